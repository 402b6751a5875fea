"""Clusters of the codes that pretraining has learned, from which q(y|x) starts. Ours, not the paper's.

Codes compared by cosine lie on a sphere. Spherical k-means (Dhillon and Modha 2001) of codes that are averaged over near
rows finds the clusters; where they should be equally large, optimal transport (Cuturi, arXiv:1306.0895) balances them, as
in self-labelling (Asano et al., arXiv:1911.05371).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.special import logsumexp, softmax
from torch import Tensor, nn

from ..nn.aae import AAE
from ..nn.layers import BatchNorm, Linear

TEMPERATURE = 0.05  # of the assignment of a code to clusters, by cosine
NEAR = 10  # nearest rows over which a code is averaged
AVERAGED = 2  # times that codes are averaged; a third time changes nothing on digits
BALANCED = 10  # updates of the centres of equally large clusters
SINKHORN = 50  # updates of the transport plan


@dataclass(frozen=True)
class CodeClusters:
    """Clusters of unit codes: the logit of cluster k is ⟨code, ``centres``[k]⟩ / TEMPERATURE + ``offsets``[k].

    Attributes:
        centres: (F, n) unit vectors.
        offsets: (F,).
        joint: (F, F) symmetric joint probabilities of the clusters of a row and of a near row.
    """

    centres: np.ndarray
    offsets: np.ndarray
    joint: np.ndarray

    def __call__(self, codes: np.ndarray) -> np.ndarray:
        """Probabilities of the clusters: (M, n) unit codes → (M, F)."""
        return np.asarray(softmax(codes @ self.centres.T / TEMPERATURE + self.offsets, 1))


def cluster_codes(codes: np.ndarray, clusters: int, equal: bool) -> CodeClusters:
    """Find clusters of codes.

    Args:
        codes: (M, n) unit vectors, float64.
        clusters: F, at most M.
        equal: whether the clusters should be equally large.
    """
    from sklearn.cluster import KMeans
    from sklearn.neighbors import NearestNeighbors

    count = max(1, min(NEAR, len(codes) // (2 * clusters)))  # at most half of a cluster
    count = min(count + 1, len(codes))  # a row is its own nearest
    near = NearestNeighbors(n_neighbors=count).fit(codes).kneighbors(codes, return_distance=False)
    smooth = codes
    for _ in range(AVERAGED):
        smooth = _unit(smooth[near].mean(1))
    centres = _unit(KMeans(clusters, n_init=3, random_state=0).fit(smooth).cluster_centers_)
    offsets = np.zeros(clusters)
    for _ in range(BALANCED if equal else 0):
        plan, offsets = _balanced(smooth @ centres.T / TEMPERATURE)
        centres = _unit(plan.T @ smooth)
    found = CodeClusters(centres, offsets, np.empty(0))
    y = found(codes)
    joint = y.T @ y[near[:, 1:]].mean(1) / len(codes)
    return CodeClusters(centres, offsets, (joint + joint.T) / 2)


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
