"""Merging of fine clusters into the categories of y.

Training with more clusters than categories splits classes rather than joining them. Properties that split a class, such
as slant or stroke thickness, often change between a row and its second view. Two clusters are therefore merged if a row
often falls into one of them and its view into the other. With several restarts, clusters that contain the same rows are
merged, within and across restarts, which outvotes accidents of one restart (cluster ensembles; Strehl and Ghosh 2002).
Labels are used only by :func:`label_clusters`. Ours, not the paper's.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from scipy.special import xlogy
from torch import Tensor
from torch.nn import functional as F

from ..nn.aae import AAE
from .views import View

ROWS = 20_000  # maximum number of rows on which clusters are compared
VIEWS = 3  # second views per row
ROWS_AT_ONCE = 2000
EQUAL_TOLERANCE = 0.01  # clusters count as equally large if KL(sizes ‖ equal) is below this × log K


def _float64(y: Tensor) -> np.ndarray:
    """Probabilities for sums over many rows, on the CPU, as Apple GPUs have no float64; those that are not finite are 0."""
    return y.nan_to_num().cpu().numpy().astype(np.float64)


def _cluster_probabilities(model: AAE, x: Tensor) -> Iterator[tuple[Tensor, np.ndarray]]:
    """Encode up to ``ROWS`` rows in evaluation mode: yields (R, B, D) in the networks' units and q(y|x), (R, B, K).

    Probabilities of a model that diverged are 0.
    """
    training = model.training
    model.eval()
    for some in x[:ROWS].split(ROWS_AT_ONCE):
        prepared = model.scaling(some).expand(model.models, -1, -1)
        yield prepared, _float64(model.encode(prepared).part("y"))
    model.train(training)


@torch.no_grad()
def coupling(model: AAE, x: Tensor, view: View) -> tuple[np.ndarray, np.ndarray]:
    """Joint distribution of the cluster of a row and the cluster of its second view.

    Args:
        x: (N, D) rows in the file's units, on the model's device.
        view: draws second views.

    Returns:
        (R, K, K) symmetric joint probabilities, and (R, K) cluster proportions, both float64.
    """
    size, rows = model.classes, min(len(x), ROWS)
    joint, share = np.zeros((model.models, size, size)), np.zeros((model.models, size))
    for prepared, y in _cluster_probabilities(model, x):
        share += y.sum(1)
        for _ in range(VIEWS):
            joint += y.swapaxes(1, 2) @ _float64(model.encode(view(prepared)).part("y"))
    joint = (joint + joint.swapaxes(1, 2)) / (2 * VIEWS * rows)
    return joint, share / rows


@torch.no_grad()
def co_occurrence(model: AAE, x: Tensor, restarts: int) -> tuple[np.ndarray, np.ndarray]:
    """Share of rows that are both in cluster i and in cluster j, for the clusters of all restarts of a seed.

    Args:
        x: (N, D) rows in the file's units, on the model's device.
        restarts: number of restarts of each seed, which are consecutive among the R models.

    Returns:
        (R / restarts, restarts·K, restarts·K) symmetric shares, and (R, K) cluster proportions, both float64.
    """
    size = restarts * model.classes
    joint = np.zeros((model.models // restarts, size, size))
    for _, y in _cluster_probabilities(model, x):
        # (seeds, restarts, B, K) → (seeds, B, restarts·K)
        every = y.reshape(-1, restarts, *y.shape[1:]).swapaxes(1, 2).reshape(len(joint), y.shape[1], size)
        joint += every.swapaxes(1, 2) @ every
    joint /= min(len(x), ROWS)
    share = joint.sum(-1).reshape(model.models, model.classes) / restarts
    return joint, share


def near_joint(y: np.ndarray, near: np.ndarray) -> np.ndarray:
    """Joint distribution of the cluster of a row and the cluster of a near row.

    Args:
        y: (N, K) probabilities of the clusters. near: (N, M) numbers of the rows that are near each row.

    Returns:
        (K, K) symmetric joint probabilities.
    """
    joint = y.T @ y[near].mean(1) / len(y)
    return np.asarray((joint + joint.T) / 2)


def mutual_information(joint: np.ndarray) -> float:
    """Mutual information, in nats, of two clusters with symmetric joint probabilities (K, K)."""
    share = joint.sum(1)
    return float(xlogy(joint, joint).sum() - 2 * xlogy(share, share).sum())


def merge_restarts(joint: np.ndarray, restarts: int, groups: int) -> np.ndarray:
    """Merge the clusters of all restarts by spectral clustering of their co-occurrence (Yu and Shi 2003).

    Args:
        joint: (restarts·K, restarts·K) symmetric shares of :func:`co_occurrence`.
        groups: number of groups, at most K.

    Returns:
        (restarts, K) int64: the group of each cluster. Groups correspond across restarts, and every restart has a
        cluster in each group.
    """
    from sklearn.cluster import SpectralClustering

    spectral = SpectralClustering(groups, affinity="precomputed", assign_labels="discretize", random_state=0)
    with warnings.catch_warnings():
        for kind in (UserWarning, RuntimeWarning):  # raised for groups that share no rows, or all rows
            warnings.simplefilter("ignore", kind)
        found = spectral.fit_predict(joint + 1e-12)
    shared = joint @ np.eye(groups)[found] / joint.sum(1, keepdims=True).clip(min=1e-12)
    result = found.reshape(restarts, -1).astype(np.int64)
    for own, votes in zip(result, shared.reshape(restarts, -1, groups), strict=True):
        if len(np.unique(own)) < groups:
            _fill_groups(own, votes)
    return result


def _fill_groups(own: np.ndarray, votes: np.ndarray) -> None:
    """Give every group at least one cluster, by the assignment of clusters to groups with the most votes.

    Args:
        own: (K,) group of each cluster, changed in place.
        votes: (K, groups) how well each cluster fits each group.
    """
    group, taken = linear_sum_assignment(-votes.T)
    own[taken] = group


def merge_clusters(joint: np.ndarray, share: np.ndarray, groups: int) -> np.ndarray:
    """Merge clusters according to the joint distribution of a row's and its view's cluster.

    Repeatedly joins the two clusters with the highest lift P(i, j) / (P(i)·P(j)), then moves single clusters to other
    groups while that raises the mutual information between the group of a row and the group of its view.

    Args:
        joint: (K, K) symmetric joint probabilities of :func:`coupling`.
        share: (K,) cluster proportions.
        groups: number of groups, at most K.

    Returns:
        (K,) int64: the group of each cluster. Groups are numbered in the order of their first members.
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
    """Move single clusters while that raises the mutual information between the group of a row and of its view.

    Args:
        joint: (F, F) symmetric joint probabilities.
        groups: (F,) the group of each fine cluster.
        sweeps: maximum number of passes over all clusters.

    Returns:
        (F,) the new group of each fine cluster; no group becomes empty.
    """
    one_hot = np.eye(groups.max() + 1)[groups]
    table = one_hot.T @ joint @ one_hot
    for _ in range(sweeps):
        before = one_hot.copy()
        for i, own in enumerate(before.argmax(1)):
            towards = joint[i] @ one_hot
            for other in np.argsort(-towards)[:3]:  # the groups that its views fall into most often
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
    """Rows a and b of the groups' joint distribution after a cluster has moved from group a to group b.

    Args:
        table: (K, K) symmetric joint probabilities of the groups.
        towards: (K,) joint probabilities of the moved cluster with each group.
        itself: joint probability of the moved cluster with itself.

    Returns:
        (2, K).
    """
    rows = np.stack([table[a] - towards, table[b] + towards])
    rows[0, a] -= towards[a] - itself
    rows[1, b] += towards[b] + itself
    rows[0, b] += towards[a] - itself
    rows[1, a] = rows[0, b]
    return rows


def _information(rows: np.ndarray, a: int, b: int) -> float:
    """Terms of the mutual information, in nats, that involve group a or b. rows (2, K): their joint probabilities."""
    cells, sums = xlogy(rows, rows), rows.sum(1)
    twice = cells[0, a] + cells[1, b] + cells[0, b] + cells[1, a]
    return float(2 * cells.sum() - twice - 2 * xlogy(sums, sums).sum())


def label_clusters(joint: np.ndarray, share: np.ndarray, y: np.ndarray, labels: np.ndarray, classes: int) -> np.ndarray:
    """Assign a class to each cluster by the votes of labelled rows, propagated between clusters by second views.

    Args:
        joint: (K, K) symmetric joint probabilities of :func:`coupling`.
        share: (K,) cluster proportions.
        y: (L, K) q(y|x) of labelled rows.
        labels: (L,) int64 in [0, classes), classes ≤ K.

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


def group_clusters(
    joint: Sequence[np.ndarray] | np.ndarray,
    share: Sequence[np.ndarray] | np.ndarray,
    classes: int,
    labelled: tuple[Sequence[np.ndarray] | np.ndarray, np.ndarray] | None,
) -> list[np.ndarray]:
    """Group the fine clusters of each of R models, by labelled rows or by joint probabilities alone.

    Args:
        joint: (R, F, F) symmetric joint probabilities.
        share: (R, F) proportions of the fine clusters.
        labelled: (R, L, F) clusters of labelled rows and their (R, L) labels; None to do without labels.

    Returns:
        R arrays (F,) int64: the group of each fine cluster, in [0, classes).
    """
    if labelled is None:
        return [merge_clusters(*each, classes) for each in zip(joint, share, strict=True)]
    return [label_clusters(*each, classes) for each in zip(joint, share, *labelled, strict=True)]


def _merged_axis(table: np.ndarray, i: int, j: int, axis: int) -> np.ndarray:
    """Add row (axis 0) or column (axis 1) j of a table to i, and remove j."""
    table = np.moveaxis(table, axis, 0).copy()
    table[i] += table[j]
    return np.moveaxis(np.delete(table, j, 0), 0, axis)


@torch.no_grad()
def carry_decoder(before: AAE, after: AAE, groups: Tensor) -> None:
    """Copy the decoder of models with fine clusters to models with merged ones.

    Weights from y are means over the members of each group. A decoder that receives something else than [y, z] in the next
    stage (cluster heads, or a label) keeps the first layer that it starts with.

    Args:
        groups: (R, F) int64 group of each fine cluster, in [0, after.classes).
    """
    old, new = before.decoder.state_dict(), after.decoder.state_dict()
    first = "layers.0.weight"  # (R, K + n, units)
    for name, value in new.items():
        if name != first:
            value.copy_(old[name])
    if after.heads is None and not after.labels:
        members = F.one_hot(groups, after.classes).float().transpose(1, 2)  # (R, K, F)
        mean = members / members.sum(-1, keepdim=True).clamp(min=1)
        from_y, from_z = old[first].split([before.classes, before.dims], 1)
        new[first].copy_(torch.cat([mean @ from_y, from_z], 1))


def merged_proportions(groups: np.ndarray, share: np.ndarray, classes: int) -> np.ndarray:
    """Proportions of the merged clusters, or 1/K each if KL(proportions ‖ equal) < ``EQUAL_TOLERANCE``·log K.

    Args:
        groups: (F,) the group of each fine cluster, in [0, classes).
        share: (F,) proportions of the fine clusters.

    Returns:
        (K,), summing to 1, where K = ``classes``.
    """
    found = np.bincount(groups, share, minlength=classes) / share.sum().clip(min=1e-12)
    divergence = (found * np.log(found.clip(min=1e-12) * classes)).sum()
    return np.full(classes, 1 / classes) if divergence < EQUAL_TOLERANCE * math.log(classes) else found
