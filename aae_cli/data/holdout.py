"""Division of rows into those to train on and those held out, and the fingerprint by which they are recognised later."""

from __future__ import annotations

import zlib

import numpy as np

from ..errors import UsageError
from .types import Data

HASHED = 2**28
"""Approximate maximum number of bytes of the training rows that the fingerprint of the data reads."""


def fingerprint(rows: Data) -> str:
    """Checksum of the labels and the rows; of evenly spaced rows if there are more than ``HASHED`` bytes."""
    every = max(1, rows.x.shape[1] * rows.x.dtype.itemsize * len(rows) // HASHED)
    number = zlib.crc32(np.ascontiguousarray(rows.x[::every]).data)
    return f"{number if rows.labels is None else zlib.crc32(np.ascontiguousarray(rows.labels).data, number):08x}"


def held_out_count(share: float, rows: int) -> int:
    """Number of rows to hold out. ``share``: of the rows if below 1, else their number."""
    return round(share * rows) if share < 1 else int(share)


def hold_out(data: Data, share: float, seed: int) -> tuple[Data, Data | None]:
    """Divide rows into training and held-out rows: a random share of each class, so that small sets keep every class.

    Args:
        share: as in :func:`held_out_count`.

    Returns:
        the training rows, and the others; None if no row is held out.

    Raises:
        UsageError: no rows are left to train on.
    """
    count = held_out_count(share, len(data))
    if count >= len(data):
        raise UsageError(f"data.validation={share:g} leaves none of the {len(data)} rows for training")
    if count < 1:
        return data, None
    order = np.random.default_rng(seed).permutation(len(data))
    if data.labels is not None:
        order = order[_stratified(data.labels[order])]
    return data[np.sort(order[count:])], data[np.sort(order[:count])]


def _stratified(labels: np.ndarray) -> np.ndarray:
    """An order of rows of which every beginning has the classes in proportion.

    Args:
        labels: (N,) int64, −1 for unlabelled, which counts as a class of its own.

    Returns:
        (N,) int64 positions; rows of one class keep their order.
    """
    _, codes, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    rank = np.empty(len(labels), dtype=np.int64)
    rank[np.argsort(codes, kind="stable")] = np.concatenate([np.arange(size) for size in sizes])
    return np.argsort((rank + 0.5) / sizes[codes], kind="stable")
