"""Fine clusters into fewer: those that a row and its second view share belong together.

Training with more clusters than wanted splits classes rather than joining them, and what splits one class (a slant, a
thickness) is what views cross. Of several restarts, clusters that share rows belong together, whichever restart they are
of: what is chance in one is voted down by the others (cluster ensembles; Strehl and Ghosh 2002).
No label is used. Ours, not the paper's.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from scipy.special import xlogy
from torch import Tensor

from ..nn.aae import AAE
from .views import View

ROWS, VIEWS, ROWS_AT_ONCE = 20_000, 3, 2000
EQUAL_TOLERANCE = 0.01  # share of log K: merged clusters whose sizes are this close to equal ones are taken for equal


def _cluster_probabilities(model: AAE, x: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """At most ``ROWS`` rows, some at a time: (R, B, D) in the networks' units, and q(y|x) outside training, (R, B, K)."""
    training = model.training
    model.eval()
    for some in x[:ROWS].split(ROWS_AT_ONCE):
        prepared = model.scaling(some).expand(model.models, -1, -1)
        yield prepared, model.encode(prepared).part("y").double()
    model.train(training)


@torch.no_grad()
def coupling(model: AAE, x: Tensor, view: View) -> tuple[np.ndarray, np.ndarray]:
    """How often a row is in cluster i and its view in cluster j.

    Args:
        x: (N, D) rows in the file's units, on the model's device.

    Returns:
        (R, K, K) symmetric shares, and (R, K) the shares of the clusters.
    """
    size, rows = model.classes, min(len(x), ROWS)
    joint = torch.zeros(model.models, size, size, dtype=torch.float64, device=x.device)
    share = torch.zeros(model.models, size, dtype=torch.float64, device=x.device)
    for prepared, y in _cluster_probabilities(model, x):
        share += y.sum(1)
        for _ in range(VIEWS):
            joint += y.transpose(1, 2) @ model.encode(view(prepared)).part("y").double()
    joint = (joint + joint.transpose(1, 2)) / (2 * VIEWS * rows)
    return joint.cpu().numpy(), (share / rows).cpu().numpy()


@torch.no_grad()
def co_occurrence(model: AAE, x: Tensor, restarts: int) -> tuple[np.ndarray, np.ndarray]:
    """How often a row is in cluster i of one restart and in cluster j of another, or of the same.

    Args:
        x: (N, D) rows in the file's units, on the model's device.
        restarts: models that belong together; they follow each other.

    Returns:
        (R / restarts, restarts·K, restarts·K) symmetric shares, and (R, K) the shares of the clusters.
    """
    size = restarts * model.classes
    joint = torch.zeros(model.models // restarts, size, size, dtype=torch.float64, device=x.device)
    for _, y in _cluster_probabilities(model, x):
        every = y.nan_to_num().unflatten(0, (-1, restarts)).transpose(1, 2).flatten(2)
        joint += every.transpose(1, 2) @ every
    joint /= min(len(x), ROWS)
    share = joint.sum(-1).view(model.models, model.classes) / restarts
    return joint.cpu().numpy(), share.cpu().numpy()


def merge_restarts(joint: np.ndarray, restarts: int, groups: int) -> np.ndarray:
    """Spectral clustering of the clusters of all restarts by the rows that they share (Yu and Shi 2003).

    Args:
        joint: (restarts·K, restarts·K) symmetric shares of :func:`co_occurrence`.
        groups: how many to end with, at most K.

    Returns:
        (restarts, K) int64: the group of each cluster, which means the same in all restarts; none lacks a group.
    """
    from sklearn.cluster import SpectralClustering

    spectral = SpectralClustering(groups, affinity="precomputed", assign_labels="discretize", random_state=0)
    with warnings.catch_warnings():
        for kind in (UserWarning, RuntimeWarning):  # of groups that share nothing at all, or everything
            warnings.simplefilter("ignore", kind)
        found = spectral.fit_predict(joint + 1e-12)
    shared = joint @ np.eye(groups)[found] / joint.sum(1, keepdims=True).clip(min=1e-12)
    result = found.reshape(restarts, -1).astype(np.int64)
    for own, votes in zip(result, shared.reshape(restarts, -1, groups), strict=True):
        if len(np.unique(own)) < groups:
            _fill_groups(own, votes)
    return result


def _fill_groups(own: np.ndarray, votes: np.ndarray) -> None:
    """Give every group the cluster that suits it best. own (K,) group of each cluster, changed; votes (K, groups)."""
    group, taken = linear_sum_assignment(-votes.T)
    own[taken] = group


def merge_clusters(joint: np.ndarray, share: np.ndarray, groups: int) -> np.ndarray:
    """Join, again and again, the two clusters that are crossed most for their sizes, P(i, j) / (P(i)·P(j)).

    Then move single clusters to other groups, as long as that raises what a row's group says of its view's, in nats.

    Args:
        joint: (K, K) symmetric shares of :func:`coupling`. share: (K,).
        groups: how many to end with, at most K.

    Returns:
        (K,) int64: the group of each cluster, numbered by their first members.
    """
    whole = joint.astype(np.float64)
    joint, share = whole.copy(), share.astype(np.float64).copy()
    members = [[i] for i in range(len(share))]
    while len(members) > groups:
        size = share.clip(min=1e-6)
        lift = joint / (size[:, None] * size)
        np.fill_diagonal(lift, -1)
        i, j = sorted(divmod(int(lift.argmax()), len(members)))
        for axis in (0, 1):
            joint = _merged_axis(joint, i, j, axis)
        share[i] += share[j]
        share = np.delete(share, j)
        members[i] += members.pop(j)
    result = np.zeros(sum(map(len, members)), dtype=np.int64)
    for group, own in enumerate(sorted(members, key=min)):
        result[own] = group
    _, first, result = np.unique(_refined(whole, result), return_index=True, return_inverse=True)
    return first.argsort().argsort()[result]


def _refined(joint: np.ndarray, groups: np.ndarray, sweeps: int = 20) -> np.ndarray:
    """Groups after moves of single clusters that raise the mutual information of the groups of a row and of its view.

    Args:
        joint: (F, F) symmetric shares. groups: (F,) the group of each fine cluster.
    """
    one_hot = np.eye(groups.max() + 1)[groups]
    table = one_hot.T @ joint @ one_hot
    for _ in range(sweeps):
        before = one_hot.copy()
        for i, own in enumerate(before.argmax(1)):
            towards = joint[i] @ one_hot
            for other in np.argsort(-towards)[:3]:  # where it is crossed most
                if other == own or one_hot[:, own].sum() == 1:
                    continue
                rows = _rows_after_move(table, own, other, towards, joint[i, i])
                if _information(rows, own, other) > _information(table[[own, other]], own, other) + 1e-12:
                    table[[own, other]], table[:, [own, other]] = rows, rows.T
                    one_hot[i, [own, other]] = 0, 1
                    break
        if (one_hot == before).all():
            break
    return one_hot.argmax(1)


def _rows_after_move(table: np.ndarray, a: int, b: int, towards: np.ndarray, itself: float) -> np.ndarray:
    """Rows a and b of a symmetric table after a part of a has gone to b.

    Args:
        towards: how that part is spread over the columns, ``itself`` of it on itself.
    """
    rows = np.stack([table[a] - towards, table[b] + towards])
    rows[0, a] -= towards[a] - itself
    rows[1, b] += towards[b] + itself
    rows[0, b] += towards[a] - itself
    rows[1, a] = rows[0, b]
    return rows


def _information(rows: np.ndarray, a: int, b: int) -> float:
    """What rows and columns a and b, ``rows`` (2, K), of a symmetric table add to its mutual information, in nats."""
    cells, sums = xlogy(rows, rows), rows.sum(1)
    twice = cells[0, a] + cells[1, b] + cells[0, b] + cells[1, a]
    return float(2 * cells.sum() - twice - 2 * xlogy(sums, sums).sum())


def label_clusters(joint: np.ndarray, share: np.ndarray, y: np.ndarray, labels: np.ndarray, classes: int) -> np.ndarray:
    """Give each cluster the class that labelled rows vote for, their votes passed on along what views cross.

    Args:
        joint: (K, K), share: (K,) of :func:`coupling`.
        y: (L, K) q(y|x) of labelled rows. labels: (L,) int64 in [0, classes), classes ≤ K.

    Returns:
        (K,) int64 classes; every class has at least one cluster.
    """
    votes = np.zeros((len(share), classes))
    np.add.at(votes.T, labels, y.astype(np.float64))
    votes /= votes.sum(0).clip(min=1e-12)
    step = joint / share.clip(min=1e-6)[:, None]
    step /= step.sum(1, keepdims=True).clip(min=1e-12)
    votes = np.linalg.solve(np.eye(len(share)) - 0.9 * step, votes)
    votes /= votes.sum(1, keepdims=True).clip(min=1e-12)
    result = votes.argmax(1)
    _fill_groups(result, votes)
    return result


def _merged_axis(table: np.ndarray, i: int, j: int, axis: int) -> np.ndarray:
    """Row (or column) j added to i and taken out."""
    table = np.moveaxis(table, axis, 0).copy()
    table[i] += table[j]
    return np.moveaxis(np.delete(table, j, 0), 0, axis)


def merged_proportions(groups: np.ndarray, share: np.ndarray, classes: int) -> np.ndarray:
    """How merged clusters share the rows: (K,), summing to 1; equal where KL(found ‖ equal) < ``EQUAL_TOLERANCE``·log K.

    Args:
        groups: (F,) the group of each fine cluster. share: (F,).
    """
    found = np.bincount(groups, share, minlength=classes) / share.sum()
    divergence = (found * np.log(found.clip(min=1e-12) * classes)).sum()
    return np.full(classes, 1 / classes) if divergence < EQUAL_TOLERANCE * math.log(classes) else found
