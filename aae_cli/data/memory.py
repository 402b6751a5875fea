"""Rows in memory: arrays, and the frames of pandas and polars."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import DataError
from ..text import clean, quoted
from .types import BY_LOOKS, Data, ReadOptions, Schema
from .values import Raw, finish

NAME = "rows in memory"


def from_memory(rows: Any, options: ReadOptions = BY_LOOKS, like: Schema | None = None) -> Data:
    """Rows as ``read`` gives them.

    Args:
        rows: Data; an array of numbers, (N, D) or images; a pair of such an array and its labels; or a frame of pandas
            or polars, whose columns are found by name.
        options, like: as in ``read``.

    Raises:
        TypeError: anything else.
        DataError: values that cannot be used, or that do not fit ``like``.
    """
    if isinstance(rows, Data):
        return rows
    library = type(rows).__module__.partition(".")[0]
    if library in ("pandas", "polars") and hasattr(rows, "columns"):
        from .tables import read_frame

        return finish(read_frame(_frame(rows, library), NAME, options, like), options, like)
    values, labels = rows if isinstance(rows, tuple) and len(rows) == 2 else (rows, None)
    if not isinstance(values, np.ndarray):
        wanted = "a source's name, an array, a pair (array, labels), or a pandas or polars frame"
        raise TypeError(f"data is {wanted}, not {type(rows).__name__}")
    return finish(Raw(values, NAME, labels), options, like)


def _frame(rows: Any, library: str) -> Any:
    """A polars frame; polars itself would need pyarrow to read one of pandas."""
    import polars as pl

    if library == "polars":
        return rows.collect() if isinstance(rows, pl.LazyFrame) else rows
    return pl.DataFrame([_series(str(name), rows[name]) for name in rows.columns])


def _series(name: str, column: Any) -> Any:
    """A polars column of one of pandas, whose missing values may be NaN, NaT, None or NA. Raises DataError."""
    import polars as pl

    if getattr(column.dtype, "kind", "O") in "iufbMm" and isinstance(column.dtype, np.dtype):
        return pl.Series(name, column.to_numpy())
    cells = column.astype(object).where(column.notna(), None).tolist()
    try:
        if any(isinstance(cell, str) for cell in cells):  # beside which numbers may stand
            return pl.Series(name, [cell if cell is None else str(cell) for cell in cells], dtype=pl.String)
        return pl.Series(name, cells, strict=False)
    except (TypeError, ValueError, OverflowError, pl.exceptions.PolarsError) as error:
        raise DataError(f"{NAME}: the column {quoted(name)} cannot be read ({clean(error, 160)})") from error
