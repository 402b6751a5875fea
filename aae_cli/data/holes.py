"""Missing cells of a table, and the table with these cells filled, all others as they are written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from .columns import Column, blanked
from .types import Schema

if TYPE_CHECKING:
    import polars as pl


def with_holes(schema: Schema) -> Schema:
    """The schema of a table whose cells may be missing. ``schema``: of a mixed table, or of named complete numbers."""
    if schema.mixed is not None or schema.columns is None:
        return schema
    whole = schema.integer if len(schema.integer) == schema.size else schema.integer * schema.size
    columns = [
        Column(name, "number", "integer" if integer else "decimal")
        for name, integer in zip(schema.columns, whole, strict=True)
    ]
    return replace(schema, mixed=tuple(columns), smallest=None, largest=None)


def missing(frame: pl.DataFrame, columns: Sequence[Column]) -> np.ndarray:
    """Whether cells are missing: (N, C) bool. A cell that is there but not understood is not."""
    found = np.zeros((frame.height, len(columns)), bool)
    for i, column in enumerate(columns):
        found[:, i] = blanked(frame[column.name]).is_null().to_numpy()
    return found


def filled(frame: pl.DataFrame, columns: Sequence[Column], x: np.ndarray, holes: np.ndarray) -> pl.DataFrame:
    """The frame with cells filled in, in the types of its columns.

    Args:
        x: (N, C) values of the cells. holes: (N, C) bool, cells to fill.
    """
    import polars as pl

    new = []
    for i, column in enumerate(columns):
        if not holes[:, i].any():
            continue
        cells, at = frame[column.name], np.flatnonzero(holes[:, i])
        values = [_shortest(value) for value in column.decode(x[at, i])]
        if cells.dtype in (pl.String, pl.Categorical, pl.Enum):
            text = cells.cast(pl.String).scatter(at, [None if value is None else written(value) for value in values])
            new.append(text.cast(cells.dtype))
        elif cells.dtype == pl.Null:
            new.append(pl.Series(column.name, values))
        else:
            new.append(cells.scatter(at, pl.Series(values, strict=False).cast(cells.dtype, strict=False)))
    return frame.with_columns(new)


def _shortest(value: Any) -> Any:
    """A float with 7 significant digits, as many as float32 has; anything else as it is."""
    return float(f"{value:.7g}") if isinstance(value, float) else value


def written(value: Any) -> str:
    """A cell as text in a file."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def typed(frame: pl.DataFrame, columns: Sequence[Column]) -> pl.DataFrame:
    """Columns of text that hold numbers or booleans, as such, for formats that have types; a frame with types as it is."""
    import polars as pl

    types = {"integer": pl.Int64, "decimal": pl.Float64}
    new = []
    for column in columns:
        cells = frame[column.name]
        if cells.dtype != pl.String:
            continue
        plain = blanked(cells)
        if column.type in types:
            numbers = plain.cast(types[column.type], strict=False)
            if numbers.null_count() > plain.null_count():
                numbers = plain.cast(pl.Float64, strict=False)
            if numbers.null_count() == plain.null_count():
                new.append(numbers)
        elif column.type == "boolean":
            lower = plain.str.to_lowercase()
            if lower.drop_nulls().is_in(["true", "false"]).all():
                new.append(lower == "true")
    return frame.with_columns(new)
