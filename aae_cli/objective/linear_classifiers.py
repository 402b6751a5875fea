"""Linear classifiers on the labelled rows, which supply a part of the consistency target.

On tables, a few labels are used best by a plane that separates the classes.
Where labelled rows are spread evenly over the classes (section 5), their class proportions may differ from those of all
rows. The latter are then estimated from the classifiers' probabilities on all rows.
Ours, not the paper's.
"""

from __future__ import annotations

import warnings

import torch
from torch import Tensor
from torch.nn import functional as F

ABSENT_LOGIT = -30.0  # logit of a class without labelled rows
MIN_SHARE = 1e-4  # lower bound on the proportion of a class
EVEN = 1.25  # most labels of a class over the fewest of another, for classes that were labelled evenly
PRIOR_LABELS_PER_CLASS = 5  # labelled rows per class at which labelled and estimated proportions weigh equally


class LinearClassifiers:
    """Logistic regression with an L2 penalty of 1, one for each of R models.

    Args:
        x: (R, L, D) labelled rows, in the networks' units.
        labels: (R, L) int64 in [0, classes).
        classes: K, the number of categories of q(y|x). Those without labelled rows get a probability of about 0.

    Attributes:
        labelled_share: (R, K) class proportions of the labelled rows.
        share: (R, K) class proportions that the intercepts fit: those of the labelled rows until :meth:`adjust`.
    """

    def __init__(self, x: Tensor, labels: Tensor, classes: int) -> None:
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.linear_model import LogisticRegression

        weight = torch.zeros(len(x), x.shape[-1], classes)
        bias = torch.full((len(x), 1, classes), ABSENT_LOGIT)
        for r, (rows, own) in enumerate(zip(x.cpu().float().numpy(), labels.cpu().numpy(), strict=True)):
            if r and torch.equal(x[r], x[r - 1]) and torch.equal(labels[r], labels[r - 1]):
                # The restarts of a seed have the same labelled rows.
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
            if len(present) == 2:  # scikit-learn gives the difference of the two logits
                coefficients = torch.cat([torch.zeros_like(coefficients), coefficients])
                intercepts = torch.cat([torch.zeros_like(intercepts), intercepts])
            weight[r, :, present] = coefficients.T.float()
            bias[r, 0, present] = intercepts.float()
        self.weight, self.bias = weight.to(x.device), bias.to(x.device)
        self._fitted = self.bias
        self.count = labels.shape[1]
        self.share = self.labelled_share = F.one_hot(labels, classes).float().mean(1)

    def adjust(self, rows: Tensor) -> None:
        """Shift the intercepts to the class proportions estimated on these rows, (N, D) in the networks' units.

        Only where the classes have about as many labels each, as section 5 draws them: labels in other proportions are taken
        for a random part of all rows, which few labels would estimate worse.
        """
        known = self.labelled_share[self.labelled_share > 0]
        if known.max() > EVEN * known.min():
            return
        strength = PRIOR_LABELS_PER_CLASS * self.share.shape[1] / self.count
        self.bias = self._fitted
        self.share = class_proportions(self(rows.expand(len(self.share), -1, -1)), self.labelled_share, strength)
        self.bias = self._fitted - self.logit_adjustment

    @property
    def logit_adjustment(self) -> Tensor:
        """log(class share among labelled rows / among all rows), 0 for classes without labelled rows: (R, 1, K)."""
        known = self.labelled_share
        ratio = torch.where(known > 0, known.clamp(min=MIN_SHARE) / self.share.clamp(min=MIN_SHARE), 1)
        return ratio.log().unsqueeze(1)

    def __call__(self, x: Tensor) -> Tensor:
        """Classify rows: (R, B, D) in the networks' units → (R, B, K) probabilities."""
        return torch.baddbmm(self.bias, x, self.weight).softmax(-1)


def class_proportions(y: Tensor, labelled_share: Tensor, strength: float, sweeps: int = 200) -> Tensor:
    """Estimate the class proportions of rows by expectation maximisation (Saerens, Latinne and Decaestecker 2002).

    Args:
        y: (R, N, K) class probabilities of the rows, from classifiers fitted at the proportions ``labelled_share``.
        labelled_share: (R, K) class proportions of the labelled rows, which also serve as a prior.
        strength: weight of the prior, in multiples of N rows.
        sweeps: maximum number of iterations.

    Returns:
        (R, K), summing to 1 over K.
    """
    share = labelled_share
    for _ in range(sweeps):
        posterior = y * (share / labelled_share.clamp(min=MIN_SHARE)).unsqueeze(1)
        posterior /= posterior.sum(-1, keepdim=True).clamp(min=1e-30)
        share, before = (posterior.mean(1) + strength * labelled_share) / (1 + strength), share
        if torch.allclose(share, before, atol=1e-5, rtol=0):
            break
    return share
