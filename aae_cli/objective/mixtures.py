"""Clusters of a table's rows by Gaussian mixtures, which supply a part of the consistency target.

Which covariance suits a table is not known in advance, and a wrong one finds none of its groups. Mixtures with each are
fitted, and that whose clusters near rows share most is used. Ours, not the paper's.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.special import entr
from torch import Tensor

from .merging import mutual_information, near_joint

COVARIANCES = {"spherical": 0.05, "tied": 0.05, "full": 0.1, "diag": 0.1}
"""Covariances tried, each with the variance that is added to every direction, as rows are standardised.

With one of them alone, the mean ARI on 31 tables is 0.29 to 0.31; with the choice among all four, 0.34.
"""

STARTS = 15  # most of a mixture, from k-means: with 5, one seed of five on penguins finds islands in place of species
WORK = 3e8  # N · K · n² times the starts, so that many large clusters of many columns take seconds
NEAR = 10  # nearest rows that a row's cluster is compared with
DIMS = 50  # most directions, as the work grows with their square; of more, principal components are kept


@dataclass(frozen=True)
class Mixture:
    """A Gaussian mixture of K components in n directions.

    Attributes:
        factors: (K, n, n), factors[k] @ factors[k].T is the inverse covariance of component k.
        means: (K, n).
        offsets: (K,) log(proportion) + ½ log det(inverse covariance).
        share: (K,) proportions.
    """

    factors: np.ndarray
    means: np.ndarray
    offsets: np.ndarray
    share: np.ndarray


class MixtureClusters:
    """Probabilities of clusters by a Gaussian mixture, one for each of R models.

    Args:
        x: (N, D) rows in the networks' units, N ≥ K.
        classes: K.
        seeds: the random seed of each model; models of the same seed have the same mixture.

    Attributes:
        share: (R, K) proportions of the clusters.
    """

    def __init__(self, x: Tensor, classes: int, seeds: Sequence[int]) -> None:
        from threadpoolctl import threadpool_limits

        rows = x.cpu().double().numpy()
        with threadpool_limits(1):  # products this small take five times as long with two threads that wait asleep
            centre, axes = _directions(rows)
            projected = (rows - centre) @ axes
            found = {seed: best_mixture(projected, classes, seed) for seed in dict.fromkeys(seeds)}
        of_models = [found[seed] for seed in seeds]

        def stacked(name: str) -> Tensor:
            return torch.from_numpy(np.stack([getattr(each, name) for each in of_models])).float().to(x.device)

        factors, means = stacked("factors"), stacked("means")  # (R, K, n, n) and (R, K, n)
        self._centre, self._axes = (torch.from_numpy(each).float().to(x.device) for each in (centre, axes))
        self._factors = factors.transpose(1, 2).flatten(2)  # (R, n, K·n)
        self._shift = -(means.unsqueeze(-2) @ factors).flatten(1).unsqueeze(1)  # (R, 1, K·n)
        self._offsets = stacked("offsets").unsqueeze(1)
        self.share = stacked("share")

    def __call__(self, x: Tensor) -> Tensor:
        """Cluster rows: (R, B, D) in the networks' units, or more features, which are ignored → (R, B, K) probabilities."""
        projected = (x[..., : len(self._centre)].float() - self._centre) @ self._axes
        standard = torch.baddbmm(self._shift, projected, self._factors)
        square = standard.unflatten(-1, (self._offsets.shape[-1], -1)).square().sum(-1)
        return (self._offsets - 0.5 * square).softmax(-1)


def best_mixture(x: np.ndarray, classes: int, seed: int) -> Mixture:
    """The mixture, among those with different covariances, whose clusters near rows share most.

    Args:
        x: (N, n) standardised rows, N ≥ K.
        classes: K.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import GaussianMixture
    from sklearn.neighbors import NearestNeighbors

    count = min(NEAR, len(x) - 1)
    near = NearestNeighbors(n_neighbors=count + 1).fit(x).kneighbors(x, return_distance=False)[:, 1:]
    starts = int(np.clip(WORK / (x.size * x.shape[1] * classes), 1, STARTS))
    best: tuple[float, Mixture] | None = None
    for covariance, variance in COVARIANCES.items():
        with warnings.catch_warnings():
            for category in (ConvergenceWarning, RuntimeWarning):
                warnings.simplefilter("ignore", category)
            fitted = GaussianMixture(
                classes, covariance_type=covariance, reg_covar=variance, n_init=starts, random_state=seed
            ).fit(x)
        told = shared_information(np.eye(classes)[fitted.predict(x)], near)
        if best is None or told > best[0]:
            best = told, _mixture(fitted, x.shape[1])
    assert best is not None
    return best[1]


def shared_information(y: np.ndarray, near: np.ndarray) -> float:
    """Mutual information of the cluster of a row and of a near row, as a share of the clusters' entropy: 0 to 1.

    Args:
        y: (N, K) one-hot clusters. near: (N, M) numbers of near rows.
    """
    joint = near_joint(y, near)
    entropy = float(entr(joint.sum(1)).sum())
    return mutual_information(joint) / entropy if entropy > 1e-9 else 0.0


def _mixture(fitted: Any, dims: int) -> Mixture:
    """A fitted mixture of scikit-learn, with its inverse covariances in one form."""
    factors, weights = fitted.precisions_cholesky_, fitted.weights_
    if fitted.covariance_type == "spherical":
        factors = factors[:, None].repeat(dims, 1)
    if fitted.covariance_type in ("spherical", "diag"):
        factors = factors[:, :, None] * np.eye(dims)
    factors = np.broadcast_to(factors, (len(weights), dims, dims))
    log_det = np.log(np.abs(np.diagonal(factors, axis1=1, axis2=2))).sum(1)
    return Mixture(factors, fitted.means_, np.log(weights.clip(min=1e-30)) + log_det, weights)


def _directions(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Centre (D,) and directions (D, n) that rows are described by: all, or the first principal components."""
    centre = x.mean(0)
    if x.shape[1] <= DIMS:
        return centre, np.eye(x.shape[1])
    from sklearn.decomposition import PCA

    return centre, PCA(min(DIMS, len(x)), random_state=0).fit(x).components_.T
