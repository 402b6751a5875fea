"""Projection of a representation to fewer dimensions."""

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
    from sklearn.decomposition import PCA

    return PCA(dims, random_state=0).fit_transform(representation).astype(np.float32)
