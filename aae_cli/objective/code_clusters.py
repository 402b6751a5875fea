"""Clusters of the codes that pretraining has learned, from which q(y|x) starts. Ours, not the paper's.

Codes compared by cosine lie on a sphere. Spherical k-means (Dhillon and Modha 2001) of codes that are averaged over near
rows finds the clusters. Where equally large clusters tell as much about near rows, optimal transport (Cuturi,
arXiv:1306.0895) balances them, as in self-labelling (Asano et al., arXiv:1911.05371); elsewhere, finer clusters are merged.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy.special import logsumexp, softmax
from torch import Tensor, nn

from ..nn.aae import AAE
from ..nn.layers import BatchNorm, Linear
from .merging import merge_clusters, mutual_information, near_joint

TEMPERATURE = 0.05  # of the assignment of a code to clusters, by cosine
NEAR = 10  # nearest rows over which a code is averaged
AVERAGED = 2  # times that codes are averaged; a third time changes nothing on digits
RESTARTS = 20  # of k-means for the categories: with 3, one seed of digits in 4 joins two digits
FINE_RESTARTS = 3  # of k-means for finer clusters, which are merged
BALANCED = 10  # updates of the centres of equally large clusters
SINKHORN = 50  # updates of the transport plan
EQUAL_LOSS = 0.1
"""Categories are equally large if that loses less than this × log K of the mutual information of near rows' categories.

On mnist-mini and digits, ten clusters lose 0.00 to 0.08 in 13 trainings; sixteen clusters lose 0.14 to 0.16 in two, and
ten clusters of digits with half of the classes cut to a quarter lose 0.12 to 0.18 in four.
"""


@dataclass(frozen=True)
class CodeClusters:
    """Clusters of unit codes: the logit of cluster f is ⟨code, ``centres``[f]⟩ / TEMPERATURE + ``offsets``[f].

    Attributes:
        centres: (F, n) unit vectors.
        offsets: (F,).
        joint: (F, F) symmetric joint probabilities of the clusters of a row and of a near row.
        equal: whether the clusters were made equally large.
    """

    centres: np.ndarray
    offsets: np.ndarray
    joint: np.ndarray
    equal: bool = False

    def __call__(self, codes: np.ndarray) -> np.ndarray:
        """Probabilities of the clusters: (M, n) unit codes → (M, F)."""
        return np.asarray(softmax(codes @ self.centres.T / TEMPERATURE + self.offsets, 1))

    @property
    def share(self) -> np.ndarray:
        """(F,) proportions of the clusters."""
        return np.asarray(self.joint.sum(1))

    def information(self, classes: int) -> float:
        """Mutual information / log K, in [0, 1], of the categories of a row and of a near row, after merging into K."""
        groups = np.eye(classes)[merge_clusters(self.joint, self.share, classes)]
        return mutual_information(groups.T @ self.joint @ groups) / float(np.log(classes))

    def repeated(self, times: int) -> CodeClusters:
        """Each cluster as ``times`` clusters of the same centre, which share its rows equally."""
        return replace(
            self,
            centres=self.centres.repeat(times, 0),
            offsets=self.offsets.repeat(times) - np.log(times),
            joint=self.joint.repeat(times, 0).repeat(times, 1) / times**2,
        )


class CodeRows:
    """Codes of rows, averaged over near rows so that rows between clusters move into them.

    Args:
        codes: (M, n) unit vectors, float64.
        clusters: F, at most M.
    """

    def __init__(self, codes: np.ndarray, clusters: int) -> None:
        from sklearn.neighbors import NearestNeighbors

        self.codes, self.clusters = codes, clusters
        count = max(1, min(NEAR, len(codes) // (2 * clusters)))  # at most half of a cluster
        count = min(count + 1, len(codes))  # a row is its own nearest
        self.near = NearestNeighbors(n_neighbors=count).fit(codes).kneighbors(codes, return_distance=False)
        self.smooth = codes
        for _ in range(AVERAGED):
            self.smooth = _unit(self.smooth[self.near].mean(1))

    def found(self, restarts: int) -> CodeClusters:
        """Clusters by spherical k-means, of whatever size."""
        from sklearn.cluster import KMeans

        found = KMeans(self.clusters, n_init=restarts, random_state=0).fit(self.smooth)
        return self._with_joint(_unit(found.cluster_centers_), np.zeros(self.clusters))

    def balanced(self, found: CodeClusters) -> CodeClusters:
        """Clusters made equally large."""
        centres, offsets = found.centres, found.offsets
        for _ in range(BALANCED):
            plan, offsets = _balanced(self.smooth @ centres.T / TEMPERATURE)
            centres = _unit(plan.T @ self.smooth)
        return replace(self._with_joint(centres, offsets), equal=True)

    def _with_joint(self, centres: np.ndarray, offsets: np.ndarray) -> CodeClusters:
        found = CodeClusters(centres, offsets, np.empty(0))
        return replace(found, joint=near_joint(found(self.codes), self.near[:, 1:]))


def cluster_codes(codes: np.ndarray, classes: int, each: int, equal: bool, labelled: bool) -> CodeClusters:
    """Find clusters of codes, ``each`` of them for each category.

    Args:
        codes: (M, n) unit vectors, float64.
        classes: K categories.
        each: F / K, the clusters of a category; F is at most M.
        equal: whether the categories must be equally large; otherwise they are if that loses little information.
        labelled: whether labels will group the clusters, which then differ within a category too.
    """
    rows = CodeRows(codes, classes)
    balanced = rows.balanced(rows.found(RESTARTS))
    if equal and not labelled:
        return balanced.repeated(each)
    fine = rows if each == 1 else CodeRows(codes, classes * each)
    found = fine.found(FINE_RESTARTS)
    equal = equal or found.information(classes) - balanced.information(classes) < EQUAL_LOSS
    if not equal:
        return found
    return fine.balanced(found) if labelled else balanced.repeated(each)


def _unit(x: np.ndarray) -> np.ndarray:
    return np.asarray(x / np.linalg.norm(x, axis=-1, keepdims=True).clip(min=1e-12))


def _balanced(logits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Assign rows to equally large clusters by Sinkhorn's iterations.

    Args:
        logits: (M, F).

    Returns:
        (M, F) probabilities, whose columns have equal sums, and the (F,) offsets of the logits that make them so.
    """
    rows, size = np.zeros((len(logits), 1)), np.log(len(logits) / logits.shape[1])
    for _ in range(SINKHORN):
        offsets = size - logsumexp(logits + rows, 0)
        rows = -logsumexp(logits + offsets, 1, keepdims=True)
    return np.exp(logits + offsets + rows), offsets


@torch.no_grad()
def start_head(before: AAE, after: AAE, found: list[CodeClusters], x: Tensor) -> None:
    """Let q(y|x) of a model assign rows as clusters of its codes do.

    Args:
        before: models of codes, whose body ``after`` has.
        found: clusters of the codes of each of the R models.
        x: (R or 1, M, D) rows in the networks' units, to which a batch norm of the logits is fitted.
    """
    code, head = before.encoder.z, after.encoder.y
    assert isinstance(code, Linear) and head is not None
    linear, norm = (head[0], head[1]) if isinstance(head, nn.Sequential) else (head, None)
    assert isinstance(linear, Linear)
    body = before.encoder.body(x.expand(before.models, -1, -1))
    lengths = code(body).norm(dim=-1).mean(1)
    for r, each in enumerate(found):
        centres = torch.from_numpy(each.centres.T).to(code.weight) / (TEMPERATURE * lengths[r])
        linear.weight[r] = code.weight[r] @ centres
        linear.bias[r] = code.bias[r] @ centres + torch.from_numpy(each.offsets).to(code.bias)
    if norm is not None:
        assert isinstance(norm, BatchNorm)
        logits = linear(body)  # a bias before a batch norm has no effect
        mean, var = logits.mean(1), logits.var(1)
        norm.running_mean.copy_(mean)
        norm.running_var.copy_(var)
        norm.weight.copy_((var + 1e-5).sqrt())
        norm.bias.copy_(mean)
