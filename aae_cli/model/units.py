"""Values that a decoder gives, as the file of the training would have them."""

from __future__ import annotations

import numpy as np

from ..data.types import Schema


def in_units(x: np.ndarray, schema: Schema) -> np.ndarray:
    """Clip rows (N, D) to the pixel range, and give columns the precision of the training file: (N, D) float32."""
    if schema.mixed is not None:
        cells = [column.nearest(x[:, i].astype(np.float64)) for i, column in enumerate(schema.mixed)]
        return np.stack(cells, 1).astype(np.float32) + 0.0
    if schema.low is not None and schema.high is not None:
        x = x.clip(schema.low, schema.high)
    whole = np.array(schema.integer)
    if whole.any():
        x = np.where(whole if len(whole) == x.shape[1] else whole[:1], np.rint(x), x)
    return x.astype(np.float32) + 0.0  # −0.0, which rounding leaves, becomes 0.0


def within_ranges(x: np.ndarray, schema: Schema) -> np.ndarray:
    """The same, with a table's columns held within the ranges of the rows trained on: no negative prices."""
    x = in_units(x, schema)
    if schema.smallest is None or schema.largest is None:
        return x
    return x.clip(np.array(schema.smallest, np.float32), np.array(schema.largest, np.float32))
