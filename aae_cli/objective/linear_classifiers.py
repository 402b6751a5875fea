"""Linear classifiers of the labelled rows, whose word the consistency term passes on.

On tables a few labels say most through a plane that parts them.
Labelled rows need not be shared by the classes as all rows are (they are dealt evenly, section 5): how all rows are shared
is estimated from what the classifiers say of rows without labels.
Ours, not the paper's.
"""

from __future__ import annotations

import warnings

import torch
from torch import Tensor
from torch.nn import functional as F

ABSENT_LOGIT = -30.0  # the logit of a class that no labelled row has
MIN_SHARE = 1e-4  # share of a class
PRIOR_LABELS_PER_CLASS = (
    5  # a class: so many labelled rows say that classes share all rows as they share the labelled ones
)


class LinearClassifiers:
    """One logistic regression for each of R models, with an L2 penalty of 1.

    Args:
        x: (R, L, D) labelled rows, in the networks' units. labels: (R, L) int64 in [0, classes).
        classes: how many categories q(y|x) has; those that no row is labelled with get nothing.

    Attributes:
        share: (R, K) how the classes share the rows that the classifiers go by: the labelled ones at first.
    """

    def __init__(self, x: Tensor, labels: Tensor, classes: int) -> None:
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.linear_model import LogisticRegression

        weight = torch.zeros(len(x), x.shape[-1], classes)
        bias = torch.full((len(x), 1, classes), ABSENT_LOGIT)
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
        self._fitted = self.bias
        self.count = labels.shape[1]
        self.share = self.labelled_share = F.one_hot(labels, classes).float().mean(1)

    def adjust(self, rows: Tensor) -> None:
        """Move the intercepts to how the classes share these rows, labelled or not: (N, D) in the networks' units."""
        strength = PRIOR_LABELS_PER_CLASS * self.share.shape[1] / self.count
        self.bias = self._fitted
        self.share = class_proportions(self(rows.expand(len(self.share), -1, -1)), self.labelled_share, strength)
        self.bias = self._fitted - self.logit_adjustment

    @property
    def logit_adjustment(self) -> Tensor:
        """Log of how many times more often a class is among the labelled rows than among those gone by: (R, 1, K)."""
        known = self.labelled_share
        ratio = torch.where(known > 0, known.clamp(min=MIN_SHARE) / self.share.clamp(min=MIN_SHARE), 1)
        return ratio.log().unsqueeze(1)

    def __call__(self, x: Tensor) -> Tensor:
        """(R, B, D) rows → (R, B, K) probabilities."""
        return torch.baddbmm(self.bias, x, self.weight).softmax(-1)


def class_proportions(y: Tensor, known: Tensor, strength: float, sweeps: int = 200) -> Tensor:
    """How classes share rows, found by expectation maximisation (Saerens, Latinne and Decaestecker 2002).

    Args:
        y: (R, N, K) what classifiers say of the rows that were fitted where classes have the shares ``known``, (R, K).
        strength: of ``known`` as a prior: as if it had been seen in that many times N rows.

    Returns:
        (R, K), each row summing to 1.
    """
    share = known
    for _ in range(sweeps):
        posterior = y * (share / known.clamp(min=MIN_SHARE)).unsqueeze(1)
        posterior /= posterior.sum(-1, keepdim=True).clamp(min=1e-30)
        share, before = (posterior.mean(1) + strength * known) / (1 + strength), share
        if torch.allclose(share, before, atol=1e-5, rtol=0):
            break
    return share
