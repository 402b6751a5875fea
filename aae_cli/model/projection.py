"""Projection of a representation to fewer dimensions, and places of rows about their cluster heads."""

from __future__ import annotations

import numpy as np

from ..errors import DataError


def project(representation: np.ndarray, dims: int, heads: np.ndarray | None) -> np.ndarray:
    """See :meth:`Autoencoder.project`.

    Args:
        heads: (K, m) cluster heads; None for a model without.
    """
    width = representation.shape[1]
    if dims > width:
        raise DataError(
            f"--dims {dims}: the representation of this model has {width} dimensions",
            f"choose at most {width}, or use --fit",
        )
    if dims == width:
        return representation
    if dims == 2 and heads is not None:
        heads = heads.astype(np.float64)
        angle = 2 * np.pi * np.arange(len(heads)) / len(heads)
        circle = np.stack([np.cos(angle), np.sin(angle)], 1) * np.linalg.norm(heads, axis=1).mean()
        return (representation @ (np.linalg.pinv(heads) @ circle)).astype(np.float32)
    if len(representation) < dims:
        raise DataError(
            f"{len(representation)} rows are too few for {dims} principal components",
            "give more rows, or --dims all",
        )
    return _components(representation, dims).astype(np.float32)


def _components(points: np.ndarray, dims: int) -> np.ndarray:
    """Principal components of points: (N, m) → (N, dims), zeros where all points are one."""
    from sklearn.decomposition import PCA

    with np.errstate(divide="ignore", invalid="ignore"):  # shares of a variance of 0, which are not used
        return np.asarray(PCA(dims, random_state=0).fit_transform(points))


def nearest(points: np.ndarray, count: int) -> np.ndarray:
    """Numbers of the nearest other rows of each, the nearest first: (N, m) → (N, count)."""
    from sklearn.neighbors import NearestNeighbors

    if count < 1:
        return np.zeros((len(points), 0), np.int64)
    return np.asarray(NearestNeighbors(n_neighbors=count).fit(points).kneighbors(return_distance=False))


STYLE = 0.2
"""Standard deviation of the style about a cluster head, in median distances from a head to the nearest other one."""


def about_heads(y: np.ndarray, z: np.ndarray, decoded: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Place rows about their cluster heads, so that clusters, doubtful rows and styles show.

    Heads are placed by metric multidimensional scaling of what is decoded from them: alike ones are near. A row lies at
    the mean of the heads, weighted by q(y|x), moved by the first two principal components of its style z.

    Args:
        y: (N, K) q(y|x).
        z: (N, n) styles.
        decoded: (K, D) row decoded from each category.

    Returns:
        places of the rows, (N, 2), and of the heads, (K, 2), where half of the heads have another within distance 1.
    """
    from scipy.spatial.distance import cdist
    from sklearn.manifold import smacof

    apart, heads = cdist(decoded, decoded), np.zeros((len(decoded), 2))
    if apart.any():
        start = _components(decoded, 2)
        heads = smacof(apart, n_components=2, init=start, n_init=1, normalized_stress=False)[0]
    between = cdist(heads, heads) + np.diag(np.full(len(heads), np.inf))
    heads = heads / (np.median(between.min(1)) or 1)
    styles, moved = min(2, *z.shape), np.zeros((len(y), 2))
    if styles and z.std(0).any():
        components = _components(z, styles)
        moved[:, :styles] = STYLE * components / np.maximum(components.std(0), 1e-9)
    return (y @ heads + moved).astype(np.float32), heads.astype(np.float32)
