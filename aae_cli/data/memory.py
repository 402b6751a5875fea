"""Rows in memory: arrays, and the frames of pandas and polars."""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module
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
    library = library_of(rows)
    if library is not None:
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


# --- frames that the estimator takes and gives ------------------------------------------------------------------------


def library_of(rows: Any) -> str | None:
    """``pandas`` or ``polars`` for a frame of these, else None."""
    name = type(rows).__module__.partition(".")[0]
    return name if name in ("pandas", "polars") and hasattr(rows, "columns") else None


def is_missing(cell: Any) -> bool:
    """Whether a cell is None, NaN, NaT or NA."""
    try:
        return cell is None or bool(cell != cell)
    except TypeError:  # NA of pandas is neither equal to itself nor not
        return True


def frame_of(values: np.ndarray) -> Any:
    """A polars frame of a 2-D array with missing values or text, whose columns are called x0, x1, …"""
    import polars as pl

    columns = {f"x{i}": column for i, column in enumerate(values.T)}
    if values.dtype.kind == "O":
        cells = {name: [None if is_missing(cell) else cell for cell in column] for name, column in columns.items()}
        return pl.DataFrame([pl.Series(name, own, strict=False) for name, own in cells.items()])
    return pl.DataFrame(columns)


def features_of(frame: Any, options: ReadOptions, like: Schema | None = None) -> Data:
    """Rows of a frame, all of whose columns are features, whatever their names. Errors as for :func:`from_memory`."""
    names = tuple(str(name) for name in frame.columns if str(name) not in options.ignore)
    return from_memory(frame, replace(options, columns=names), like)


def framed(x: np.ndarray, schema: Schema, library: str) -> Any:
    """A frame of rows (N, D) in the units of their file, with their columns.

    Args:
        library: pandas or polars.
    """
    return import_module(library).DataFrame(cells_of(schema, x))


def cells_of(schema: Schema, x: np.ndarray) -> dict[str, Any]:
    """Rows (N, D) as columns of a table, by name, in the types of the training file."""
    if schema.mixed is not None:
        return {column.name: column.decode(x[:, i]) for i, column in enumerate(schema.mixed)}
    return {name: x[:, i] for i, name in enumerate(schema.columns or [f"x{i}" for i in range(x.shape[1])])}
