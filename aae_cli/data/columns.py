"""Columns of mixed tables: numbers, categories and dates, with missing cells.

A cell is stored as one float: a number as it is, a category as the index of its level, a date as days since 1970-01-01,
and a missing cell as NaN. A table of complete numbers needs none of this and is read without columns of this kind. See
``kinds`` for how they are found.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ..text import counted, quoted

if TYPE_CHECKING:
    import polars as pl

MISSING = ("", "NA", "N/A", "#N/A", "nan", "NaN", "null", "NULL", "None", "?", "<NA>")
"""Texts that are read as a missing cell; skrub and pandas read the same and more."""

OTHER = "(other)"
"""The level of a category that stands for all rare ones."""

LEFT_OUT, HOLES = "left out: ", "missing cells: "
"""How the notes on columns that are not read, and on missing cells, begin."""

DECIMALS = 6
"""The most decimal places that are kept as such."""

LARGEST = float(np.finfo(np.float32).max)

Kind = Literal["number", "category", "date"]
Type = Literal["integer", "decimal", "text", "boolean", "date", "datetime", "time"]

_TYPES: dict[str, tuple[Type, ...]] = {
    "number": ("integer", "decimal"),
    "category": ("integer", "decimal", "boolean", "text"),
    "date": ("date", "datetime", "time"),
}


@dataclass(frozen=True)
class Column:
    """A column of a mixed table, stored in checkpoints.

    Attributes:
        type: what a cell is written as. A category may be of integers, decimals, booleans or text.
        levels: of a category, in order; of an ``other`` one, the last level stands for all that are not listed.
        decimals: decimal places of a number; None for as many as a float has.
        low, high: range of the observed numbers or days.
        values: the distinct observed numbers, where they are few.
        heavy: whether a number has tails so heavy that its quantiles are modelled.
        spike: a number that so many rows have that it is modelled apart; None for none.
    """

    name: str
    kind: Kind
    type: Type
    levels: tuple[str, ...] = ()
    other: bool = False
    decimals: int | None = None
    low: float = 0.0
    high: float = 0.0
    values: tuple[float, ...] = ()
    heavy: bool = False
    spike: float | None = None

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Column:
        """Restore a column from the output of ``to_json``; raise ValueError, TypeError or KeyError for other input."""
        if not isinstance(value, dict):
            raise TypeError("a column is not an object")
        fields: dict[str, Any] = {key: tuple(item) if isinstance(item, list) else item for key, item in value.items()}
        column = cls(**fields)
        numbers = [column.low, column.high, *column.values, *([] if column.spike is None else [column.spike])]
        wrong = {
            "type": column.type not in _TYPES[column.kind],
            "name": type(column.name) is not str,
            "flag": type(column.other) is not bool or type(column.heavy) is not bool,
            "level": not _are(column.levels, str),
            "number": not _are(column.values, float)
            or not all(type(x) is float and abs(x) <= LARGEST for x in numbers),
            "number of decimals": column.decimals is not None
            and not (type(column.decimals) is int and 0 <= column.decimals <= DECIMALS),
        }
        for what in (what for what, is_wrong in wrong.items() if is_wrong):
            raise ValueError(f"a column has an impossible {what}")
        column._refuse_levels()
        if column.low > column.high or list(column.values) != sorted(set(column.values)):
            raise ValueError("a column has a range that is none")
        if column.kind != "number" and (column.heavy or column.spike is not None):
            raise ValueError("a column that is no number has tails")
        return column

    def _refuse_levels(self) -> None:
        """Raise ValueError for levels that cannot be written as this column's type."""
        if (self.kind == "category") is not bool(self.levels) or len(set(self.levels)) < len(self.levels):
            raise ValueError("a column has impossible levels")
        if self.other and self.levels[-1:] != (OTHER,):
            raise ValueError("a column has no level for those that are not listed")
        for level in self._named_levels:
            number = {"integer": int, "decimal": float}.get(self.type, lambda _: 0)(level)
            if not abs(number) <= LARGEST or (self.type == "boolean" and level not in ("false", "true")):
                raise ValueError("a column has a level of another type")

    # --- from and to the cells of a frame -------------------------------------------------------------------------

    def encode(self, cells: pl.Series) -> tuple[np.ndarray, int]:
        """Cells of a frame as floats: (N,) float64, NaN for missing, and the number of cells that are not understood.

        A level that is not listed counts as the last one of an ``other`` column. Anything else that is neither missing
        nor of this column's kind is taken for missing, and counted.
        """

        cells = blanked(cells)
        found = self._floats(cells)
        found = found.set(found.is_infinite() | (found.abs() > LARGEST), None)
        unknown = found.is_null() & cells.is_not_null()
        if self.other:
            found = found.set(unknown, float(len(self.levels) - 1))
        return found.fill_null(math.nan).to_numpy().astype(np.float64), int(unknown.sum())

    def _floats(self, cells: pl.Series) -> pl.Series:
        """Blanked cells as floats, null where they are not understood."""
        import polars as pl

        if cells.dtype.is_nested() or cells.dtype in (pl.Binary, pl.Object):
            return pl.Series([None] * len(cells), dtype=pl.Float64)
        if self.kind == "date":
            return days(cells)
        if self.kind == "number":
            return cells.cast(pl.Float64, strict=False)
        levels: dict[Any, float] = {level: float(i) for i, level in enumerate(self._named_levels)}
        if self.type in ("integer", "decimal"):
            numbers = cells.cast(pl.Float64, strict=False)
            return numbers.replace_strict({float(level): i for level, i in levels.items()}, default=None)
        if self.type == "boolean" and cells.dtype.is_numeric():
            of_number = {float(level == "true"): i for level, i in levels.items()}
            return cells.cast(pl.Float64).replace_strict(of_number, default=None)
        text = cells.cast(pl.String)
        if self.type == "boolean":
            text = text.str.to_lowercase().replace({"0": "false", "1": "true"})
        return text.replace_strict(levels, default=None, return_dtype=pl.Float64)

    @property
    def _named_levels(self) -> tuple[str, ...]:
        """The levels without the one that stands for all others."""
        return self.levels[: -1 if self.other else None]

    def decode(self, values: np.ndarray) -> list[Any]:
        """Floats as cells of this column's type: (N,) → N cells, None for NaN."""
        known = np.array(sorted({self.low, self.high, *self.values}))
        at = np.searchsorted(known.astype(np.float32), values.astype(np.float32)).clip(max=len(known) - 1)
        exact = known.astype(np.float32)[at] == values  # as read, before they were rounded to 32 bits
        values = values.astype(np.float64)
        if self.kind != "category":
            values = np.where(exact, known[at], values)
        return [None if math.isnan(value) else self.cell(value) for value in values.tolist()]

    def cell(self, value: float) -> Any:
        """A float as a cell of this column's type."""
        if self.kind == "category":
            level = self.levels[min(max(round(value), 0), len(self.levels) - 1)]
            if self.other:  # as text, as "(other)" is no number
                return level
            if self.type == "boolean":
                return level == "true"
            return float(level) if self.type == "decimal" else int(level) if self.type == "integer" else level
        if self.kind == "date":
            import datetime

            start = datetime.datetime(1970, 1, 1)
            try:
                moment = start + datetime.timedelta(days=value)
            except OverflowError:
                return None
            minute = (moment + datetime.timedelta(seconds=30)).replace(second=0, microsecond=0)
            return {"date": moment.date(), "datetime": minute, "time": minute.time()}[self.type]
        if self.type == "integer":
            return round(value)
        return value if self.decimals is None else round(value, self.decimals)

    def text(self, value: float) -> str:
        """A cell as a person reads it, with at most 4 significant digits after those of a whole number."""
        if math.isnan(value):
            return "missing"
        cell = self.cell(value)
        return f"{cell:.{4 if abs(cell) < 1e4 else 7}g}" if isinstance(cell, float) else str(cell)

    def nearest(self, values: np.ndarray) -> np.ndarray:
        """Numbers or days made possible: held within the observed range, and at the few observed values if there are few."""
        if self.kind == "category":
            return values
        values = values.clip(self.low, self.high)
        if self.values:
            known = np.array(self.values)
            at = np.searchsorted((known[1:] + known[:-1]) / 2, values)
            values = np.where(np.isnan(values), np.nan, known[at.clip(max=len(known) - 1)])
        if self.type in ("integer", "date"):
            return np.rint(values)
        return values if self.decimals is None else np.round(values, self.decimals)


def _are(items: Any, kind: type) -> bool:
    return isinstance(items, tuple) and all(type(item) is kind for item in items)


def blanked(cells: pl.Series) -> pl.Series:
    """Cells with NaN, and with texts that mean missing, as null; other text without spaces around it; durations in days."""
    import polars as pl

    if cells.dtype in (pl.Categorical, pl.Enum):
        cells = cells.cast(pl.String)
    if cells.dtype == pl.String:
        stripped = cells.str.strip_chars()
        return stripped.set(stripped.is_in(list(MISSING)), None)
    if cells.dtype == pl.Duration:
        return cells.dt.total_milliseconds().cast(pl.Float64) / 86_400e3
    return cells.fill_nan(None) if cells.dtype.is_float() else cells


def texts_for_missing(cells: pl.Series) -> list[str]:
    """The texts of a column that are read as missing, besides empty ones."""
    import polars as pl

    if cells.dtype in (pl.Categorical, pl.Enum):
        cells = cells.cast(pl.String)
    if cells.dtype != pl.String:
        return []
    stripped = cells.str.strip_chars()
    return stripped.filter(stripped.is_in([text for text in MISSING if text])).unique().sort().to_list()


def days(cells: pl.Series) -> pl.Series:
    """Dates and times as days since 1970-01-01, float64, null for what is neither."""
    import polars as pl

    if cells.dtype == pl.String:
        at = cells.str.replace("T", " ").str.replace("Z$", "")
        day = at.str.slice(0, 10).str.to_date("%Y-%m-%d", strict=False).cast(pl.Int32).cast(pl.Float64)
        clock = at.str.slice(11)
        hours, minutes = (clock.str.slice(start, 2).cast(pl.Float64, strict=False).fill_null(0.0) for start in (0, 3))
        return day + hours / 24 + minutes / 1440
    if cells.dtype == pl.Date:
        return cells.cast(pl.Int32).cast(pl.Float64)
    if cells.dtype == pl.Time:
        return cells.cast(pl.Int64).cast(pl.Float64) / 86_400e9
    if cells.dtype == pl.Datetime:
        return cells.dt.timestamp("ms").cast(pl.Float64) / 86_400e3
    return pl.Series([None] * len(cells), dtype=pl.Float64)


def encoded(frame: pl.DataFrame, columns: Sequence[Column]) -> tuple[np.ndarray, tuple[int, ...]]:
    """Cells of a frame that has these columns: (N, C) float32, NaN for missing, and how many of each are not understood."""
    values, unknown = np.empty((frame.height, len(columns)), np.float32), []
    for i, column in enumerate(columns):
        values[:, i], count = column.encode(frame[column.name])
        unknown.append(count)
    return values, tuple(unknown)


def unknown_in_words(columns: Sequence[Column], unknown: Sequence[int]) -> tuple[str, ...]:
    """A note on each column that has cells which are not understood, such as ``'c': 2 unknown levels taken for missing``."""
    notes = []
    for column, count in zip(columns, unknown, strict=True):
        noun = "unknown level" if column.kind == "category" else "unknown value"
        if count:
            notes.append(
                f"{quoted(column.name)}: {counted(count, noun)} taken for {OTHER if column.other else 'missing'}"
            )
    return tuple(notes)
