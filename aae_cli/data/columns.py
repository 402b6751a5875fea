"""Columns of mixed tables: numbers, categories and dates, with missing cells.

A cell is stored as one float: a number as it is, a category as the index of its level, a date as days since 1970-01-01,
and a missing cell as NaN. A table of complete numbers needs none of this and is read without columns of this kind.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ..text import counted, listed, quoted

if TYPE_CHECKING:
    import polars as pl

MISSING = ("", "NA", "N/A", "#N/A", "nan", "NaN", "null", "NULL", "None", "?", "<NA>")
"""Texts that are read as a missing cell; skrub and pandas read the same and more."""

LEVELS = 40  # the most levels of a category; rarer ones are pooled
RARE_ROWS, RARE_SHARE = 5, 0.001  # a level of fewer rows, in number or as a share, is pooled where there are too many
OTHER = "(other)"
NAMES_FROM = 0.5  # text with more distinct values than this share of the rows is a name or an id
SPIKE = 0.2  # share of the rows from which a single value of a number is modelled apart
SPIKE_VALUES = 10  # distinct values from which a number may have such a value; fewer are levels anyway
HEAVY = 10.0  # robust |z| of the farthest value from which a number is mapped through its quantiles
FEW_VALUES = 32  # a sampled number of at most so many distinct values takes one of them, as tab-ddpm does
DECIMALS = 6
_ISO = r"^\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?Z?)?$"

Kind = Literal["number", "category", "date"]
Type = Literal["integer", "decimal", "text", "boolean", "date", "datetime"]


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
        fields: dict[str, Any] = {key: tuple(item) if isinstance(item, list) else item for key, item in value.items()}
        column = cls(**fields)
        kinds: dict[str, tuple[str, ...]] = {
            "number": ("integer", "decimal"),
            "category": ("integer", "decimal", "boolean", "text"),
            "date": ("date", "datetime"),
        }
        if column.type not in kinds[column.kind] or not all(
            type(item) is str for item in (column.name, *column.levels)
        ):
            raise ValueError("a column has values of a wrong type")
        numbers = [column.low, column.high, *column.values, *([] if column.spike is None else [column.spike])]
        if not all(type(item) is float and math.isfinite(item) for item in numbers):
            raise ValueError("a column has a range that is not finite")
        if not all(type(item) is bool for item in (column.other, column.heavy)):
            raise ValueError("a column has values of a wrong type")
        if column.decimals is not None and not (type(column.decimals) is int and 0 <= column.decimals <= DECIMALS):
            raise ValueError("a column has an impossible number of decimals")
        if (column.kind == "category") is not bool(column.levels) or len(set(column.levels)) < len(column.levels):
            raise ValueError("a column has impossible levels")
        return column

    # --- from and to the cells of a frame -------------------------------------------------------------------------

    def encode(self, cells: pl.Series) -> tuple[np.ndarray, int]:
        """Cells of a frame as floats: (N,) float64, NaN for missing, and the number of cells that are not understood.

        A level that is not listed counts as the last one of an ``other`` column. Anything else that is neither missing
        nor of this column's kind is taken for missing, and counted.
        """
        import polars as pl

        cells = blanked(cells)
        if self.kind == "date":
            found = _days(cells)
        elif self.kind == "number":
            found = cells.cast(pl.Float64, strict=False)
        elif self.type in ("integer", "decimal"):
            numbers = {float(level): float(i) for i, level in enumerate(self._named_levels)}
            found = cells.cast(pl.Float64, strict=False).replace_strict(numbers, default=None, return_dtype=pl.Float64)
        else:
            if self.type == "boolean" and cells.dtype == pl.String:
                cells = cells.str.to_lowercase()
            index = {level: float(i) for i, level in enumerate(self._named_levels)}
            found = cells.cast(pl.String).replace_strict(index, default=None, return_dtype=pl.Float64)
        unknown = found.is_null() & cells.is_not_null()
        if self.other:
            found = found.set(unknown, float(len(self.levels) - 1))
        values = found.to_numpy().astype(np.float64)
        infinite = np.isinf(values)
        values[infinite] = np.nan
        return values, int(unknown.sum()) + int(infinite.sum())

    @property
    def _named_levels(self) -> tuple[str, ...]:
        """The levels without the one that stands for all others."""
        return self.levels[: -1 if self.other else None]

    def decode(self, values: np.ndarray) -> list[Any]:
        """Floats as cells of this column's type: (N,) → N cells, None for NaN."""
        return [None if math.isnan(value) else self.cell(value) for value in values.astype(np.float64).tolist()]

    def cell(self, value: float) -> Any:
        """A float as a cell of this column's type."""
        if self.kind == "category":
            level = self.levels[min(max(round(value), 0), len(self.levels) - 1)]
            if level == OTHER and self.other:
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
            return moment.date() if self.type == "date" else moment.replace(second=0, microsecond=0)
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


def blanked(cells: pl.Series) -> pl.Series:
    """Cells with NaN, and with texts that mean missing, as null; other text without spaces around it."""
    import polars as pl

    if cells.dtype == pl.String:
        stripped = cells.str.strip_chars()
        return stripped.set(stripped.is_in(list(MISSING)), None)
    if cells.dtype.is_float():
        return cells.fill_nan(None)
    return cells.cast(pl.String) if cells.dtype in (pl.Categorical, pl.Enum) else cells


def describe(
    frame: pl.DataFrame, categorical: Sequence[str] = (), numeric: Sequence[str] = ()
) -> tuple[tuple[Column, ...], tuple[str, ...]]:
    """Find the kinds of the columns of a frame.

    Args:
        categorical, numeric: columns whose kind a person names.

    Returns:
        the columns that can be used, and notes: the kinds, what is left out, and what is missing.
    """
    columns, left_out, notes, holes = [], [], [], []
    for cells in frame:
        column, why = _described(cells, categorical, numeric)
        if column is None:
            left_out.append(f"{quoted(cells.name)} ({why})")
            continue
        columns.append(column)
        missing = int(blanked(cells).null_count())
        if missing:
            holes.append(f"{column.name} {missing}{_written_as(cells)}")
    kinds = [("number", "numbers"), ("category", "categories"), ("date", "dates")]
    names = {kind: [column.name for column in columns if column.kind == kind] for kind, _ in kinds}
    said_kinds = [f"{plural}: {listed(names[kind], 12)}" for kind, plural in kinds if names[kind]]
    if said_kinds:
        notes.append("; ".join(said_kinds))
    notes += [f"left out: {listed(left_out, 12)}"] if left_out else []
    notes += [f"missing cells: {listed(holes, 12)}"] if holes else []
    return tuple(columns), tuple(notes)


def _written_as(cells: pl.Series) -> str:
    """How missing cells are written, such as `` (NA)``; nothing for empty ones."""
    import polars as pl

    if cells.dtype != pl.String:
        return ""
    stripped = cells.str.strip_chars()
    texts = stripped.filter(stripped.is_in([text for text in MISSING if text])).unique().sort().to_list()
    return f" ({', '.join(texts)})" if texts else ""


def _described(cells: pl.Series, categorical: Sequence[str], numeric: Sequence[str]) -> tuple[Column | None, str]:
    """One column; None and the reason for a column that is left out."""
    import polars as pl

    name, observed = cells.name, blanked(cells).drop_nulls()
    if not len(observed):
        return None, "empty"
    if name in categorical:
        return _category(name, observed), ""
    numbers = observed if observed.dtype.is_numeric() else observed.cast(pl.Float64, strict=False)
    text = observed.dtype == pl.String
    if name in numeric or observed.dtype.is_numeric() or (text and _mostly(numbers)):
        if numbers.drop_nulls().n_unique() == 2 and name not in numeric:
            return _category(name, numbers.drop_nulls()), ""
        return _number(name, numbers.drop_nulls()), ""
    if observed.dtype.is_temporal() or (text and bool(observed.str.contains(_ISO).all())):
        days = _days(observed).drop_nulls().to_numpy()
        if not len(days):
            return None, "not understood"
        whole = bool((days == np.floor(days)).all())
        return Column(name, "date", "date" if whole else "datetime", low=float(days.min()), high=float(days.max())), ""
    if observed.dtype not in (pl.String, pl.Boolean):
        return None, f"{observed.dtype} is not understood"
    if text and observed.n_unique() > max(LEVELS // 2, NAMES_FROM * len(cells)):
        return None, "names or ids, mostly distinct"
    return _category(name, observed), ""


def _mostly(numbers: pl.Series) -> bool:
    """Whether a column of text is one of numbers: nearly all of its cells are."""
    return numbers.null_count() <= 0.1 * len(numbers)


def _days(cells: pl.Series) -> pl.Series:
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
    if cells.dtype == pl.Duration:
        return cells.dt.total_milliseconds().cast(pl.Float64) / 86_400e3
    return (
        cells.dt.timestamp("ms").cast(pl.Float64) / 86_400e3 if cells.dtype.is_temporal() else cells.clear(len(cells))
    )


def _category(name: str, observed: pl.Series) -> Column:
    import polars as pl

    kind: Type = "boolean" if observed.dtype == pl.Boolean else "text"
    if observed.dtype.is_numeric():
        whole = bool((observed.cast(pl.Float64) == observed.cast(pl.Float64).floor()).all())
        kind = "integer" if whole else "decimal"
        observed = observed.cast(pl.Int64 if whole else pl.Float64)
    counts = observed.rename("level").value_counts(sort=True)
    levels = [(level, count) for level, count in counts.rows()]
    levels.sort(key=lambda each: (-each[1], str(each[0])))
    other = len(levels) > LEVELS
    if other:
        least = max(RARE_ROWS, RARE_SHARE * len(observed))
        levels = [each for each in levels[: LEVELS - 1] if each[1] >= least] or levels[: LEVELS - 1]
    kept = sorted(level for level, _ in levels)
    names = [str(level).lower() if kind == "boolean" else str(level) for level in kept]
    return Column(name, "category", kind, (*names, OTHER) if other else tuple(names), other)


def _number(name: str, observed: pl.Series) -> Column:
    import polars as pl

    x = observed.cast(pl.Float64).to_numpy()
    x = x[np.isfinite(x)]
    if not len(x):
        x = np.zeros(1)
    whole = bool((x == np.floor(x)).all()) and bool((np.abs(x) < 2**53).all())
    distinct, counts = np.unique(x, return_counts=True)
    spike = None
    if len(distinct) >= SPIKE_VALUES and counts.max() >= SPIKE * len(x):
        spike = float(distinct[counts.argmax()])
    rest = x if spike is None else x[x != spike]
    return Column(
        name,
        "number",
        "integer" if whole else "decimal",
        decimals=0 if whole else _decimals(x[:10_000]),
        low=float(x.min()),
        high=float(x.max()),
        values=tuple(map(float, distinct)) if len(distinct) <= FEW_VALUES else (),
        heavy=_robust_z(rest) > HEAVY,
        spike=spike,
    )


def _decimals(x: np.ndarray) -> int | None:
    """The decimal places with which all numbers are written; None for more than ``DECIMALS``."""
    for places in range(1, DECIMALS + 1):
        if np.allclose(np.round(x, places), x, rtol=1e-12, atol=0):
            return places
    return None


def _robust_z(x: np.ndarray) -> float:
    """The largest distance from the median in robust standard deviations, those of the inner half of the values."""
    low, middle, high = np.quantile(x, [0.25, 0.5, 0.75])
    scale = (high - low) / 1.349 or 1.2533 * np.abs(x - middle).mean()
    return float(np.abs(x - middle).max() / scale) if scale else 0.0


def encoded(frame: pl.DataFrame, columns: Sequence[Column]) -> tuple[np.ndarray, tuple[str, ...]]:
    """Cells of a frame that has these columns: (N, C) float32, NaN for missing, and notes on what was not understood."""
    values = np.empty((frame.height, len(columns)), np.float32)
    notes = []
    for i, column in enumerate(columns):
        values[:, i], unknown = column.encode(frame[column.name])
        if unknown:
            what = f"{OTHER}" if column.other else "missing"
            noun = "level" if column.kind == "category" else "value"
            notes.append(f"{quoted(column.name)}: {counted(unknown, f'unknown {noun}')} taken for {what}")
    return values, tuple(notes)
