"""Linear classifiers of the labelled rows, whose word the consistency term passes on.

On tables a few labels say most through a plane that parts them.
Ours, not the paper's.
"""

from __future__ import annotations

import warnings

import torch
from torch import Tensor

ABSENT = -30.0  # the logit of a class that no labelled row has


class LinearClassifiers:
    """One logistic regression for each of R models, with an L2 penalty of 1.

    Args:
        x: (R, L, D) labelled rows, in the networks' units. labels: (R, L) int64 in [0, classes).
        classes: how many categories q(y|x) has; those that no row is labelled with get nothing.
    """

    def __init__(self, x: Tensor, labels: Tensor, classes: int) -> None:
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.linear_model import LogisticRegression

        weight = torch.zeros(len(x), x.shape[-1], classes)
        bias = torch.full((len(x), 1, classes), ABSENT)
        for r, (rows, own) in enumerate(zip(x.cpu().float().numpy(), labels.cpu().numpy(), strict=True)):
            if r and torch.equal(x[r], x[r - 1]) and torch.equal(labels[r], labels[r - 1]):  # another restart
                weight[r], bias[r] = weight[r - 1], bias[r - 1]
                continue
            present = sorted(set(own.tolist()))
            if len(present) == 1:
                bias[r, 0, present[0]] = 0
                continue
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)
                fitted = LogisticRegression(max_iter=1000).fit(rows, own)
            coefficients, intercepts = torch.from_numpy(fitted.coef_), torch.from_numpy(fitted.intercept_)
            if len(present) == 2:  # given as one difference of logits
                coefficients = torch.cat([torch.zeros_like(coefficients), coefficients])
                intercepts = torch.cat([torch.zeros_like(intercepts), intercepts])
            weight[r, :, present] = coefficients.T.float()
            bias[r, 0, present] = intercepts.float()
        self.weight, self.bias = weight.to(x.device), bias.to(x.device)

    def __call__(self, x: Tensor) -> Tensor:
        """(R, B, D) rows → (R, B, K) probabilities."""
        return torch.baddbmm(self.bias, x, self.weight).softmax(-1)
