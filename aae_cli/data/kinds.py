"""Kinds of the columns of a mixed table, found from their cells."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..errors import DataError
from ..text import clean, listed, quoted
from .columns import DECIMALS, HOLES, LARGEST, LEFT_OUT, OTHER, Column, Type, blanked, days, texts_for_missing

if TYPE_CHECKING:
    import polars as pl

LEVELS = 40
"""The most levels of a category; rarer ones are pooled."""

RARE_ROWS, RARE_SHARE = 5, 0.001
"""Where there are too many levels, one of fewer rows, in number or as a share, is pooled."""

NAMES_FROM = 0.5
"""Text with more distinct values than this share of the rows is a name or an id."""

MOSTLY = 0.9
"""Text of which at least this share of the cells are numbers is a number; the others are missing."""

SPIKE, SPIKE_VALUES = 0.2, 10
"""Share of the rows from which one value of a number is modelled apart, where there are at least so many distinct ones."""

HEAVY = 10.0
"""Robust |z| of the farthest value from which a number is mapped through its quantiles."""

FEW_VALUES, MANY_VALUES, REPEATED = 32, 1000, 3
"""A sampled number takes one of the observed values if these are at most FEW_VALUES, as in tab-ddpm, or at most MANY_VALUES
and each stands in REPEATED rows on average: loans of 6, 12 or 18 months, wages of a survey."""

PLURALS = {"number": "numbers", "category": "categories", "date": "dates"}
_ISO = r"^\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?Z?)?$"


def describe(
    frame: pl.DataFrame, categorical: Sequence[str] = (), numeric: Sequence[str] = ()
) -> tuple[tuple[Column, ...], tuple[str, ...]]:
    """Find the kinds of the columns of a frame.

    Args:
        categorical, numeric: columns whose kind a person names.

    Returns:
        the columns that can be used, and notes: the kinds, what is left out, and what is missing.

    Raises:
        DataError: a column whose kind is named has no cell of it.
    """
    columns, left_out, holes, texts = [], [], [], []
    for cells in frame:
        column, why = _described(cells, cells.name in categorical, cells.name in numeric)
        if column is None:
            if cells.name in (*categorical, *numeric):
                flag = "categorical" if cells.name in categorical else "numeric"
                raise DataError(f"--{flag} {clean(cells.name)}: the column cannot be read so ({why})")
            left_out.append(f"{quoted(cells.name)} ({why})")
            continue
        columns.append(column)
        holes.append(int(blanked(cells).null_count()))
        texts.append(texts_for_missing(cells))
    notes = [kinds_in_words(columns)] if columns else []
    notes += [f"{LEFT_OUT}{listed(left_out, 12)}"] if left_out else []
    notes += holes_in_words([column.name for column in columns], holes, texts)
    return tuple(columns), tuple(notes)


def holes_in_words(names: Sequence[str], holes: Sequence[int], texts: Sequence[Sequence[str]] = ()) -> list[str]:
    """A note on the missing cells of each column, such as ``missing cells: a 3, b 11 (NA)``; none where there are none.

    Args:
        texts: what stands in the missing cells of each column, if known.
    """
    written = [f" ({', '.join(own)})" if own else "" for own in texts] or [""] * len(names)
    found = [f"{name} {count}{text}" for name, count, text in zip(names, holes, written, strict=True) if count]
    return [f"{HOLES}{listed(found, 12)}"] if found else []


def kinds_in_words(columns: Sequence[Column], most: int = 12) -> str:
    """``numbers: a, b; categories: c``."""
    names = {kind: [column.name for column in columns if column.kind == kind] for kind in PLURALS}
    return "; ".join(f"{PLURALS[kind]}: {listed(found, most)}" for kind, found in names.items() if found)


def _described(cells: pl.Series, categorical: bool, numeric: bool) -> tuple[Column | None, str]:
    """One column; None and the reason for a column that is left out."""
    import polars as pl

    observed = blanked(cells).drop_nulls()
    dtype, text = observed.dtype, observed.dtype == pl.String
    if not len(observed):
        return None, "empty"
    if dtype.is_nested() or dtype in (pl.Binary, pl.Object):
        return None, f"{str(dtype).partition('(')[0]} is not understood"
    if categorical:
        return _category(observed), ""
    numbers = _finite(observed.cast(pl.Float64, strict=False))
    if numeric or dtype.is_numeric() or (text and len(numbers) >= MOSTLY * len(observed)):
        if not len(numbers):
            return None, "no numbers"
        return (_category if numbers.n_unique() == 2 and not numeric else _number)(numbers), ""
    if dtype.is_temporal() or (text and observed.str.contains(_ISO).sum() >= MOSTLY * len(observed)):
        found = days(observed).drop_nulls().to_numpy()
        return (_date(cells.name, found, dtype == pl.Time), "") if len(found) else (None, "no dates")
    if text and observed.n_unique() > max(LEVELS // 2, NAMES_FROM * len(cells)):
        return None, "names or ids, mostly distinct"
    return _category(observed), ""


def _finite(numbers: pl.Series) -> pl.Series:
    """Numbers that 32 bits can hold."""
    return numbers.filter(numbers.is_finite() & (numbers.abs() <= LARGEST))


def _date(name: str, found: np.ndarray, of_day: bool) -> Column:
    whole = bool((found == np.floor(found)).all())
    kind: Type = "time" if of_day else "date" if whole else "datetime"
    return Column(name, "date", kind, low=float(found.min()), high=float(found.max()))


def _category(observed: pl.Series) -> Column:
    import polars as pl

    kind: Type = "boolean" if observed.dtype == pl.Boolean else "text"
    if kind == "text" and not observed.dtype.is_numeric():
        observed = observed.cast(pl.String)
        whole = observed.cast(pl.Int64, strict=False)
        if bool((whole.cast(pl.String) == observed).fill_null(False).all()):  # not 01, which is a code
            observed = whole
    if observed.dtype.is_numeric():
        numbers = _finite(observed.cast(pl.Float64))
        kind = "integer" if _whole(numbers.to_numpy()) else "decimal"
        observed = numbers.cast(pl.Int64) if kind == "integer" else numbers
    levels = sorted(observed.rename("level").value_counts().rows(), key=lambda each: (-each[1], str(each[0])))
    other = len(levels) > LEVELS
    if other:
        least = max(RARE_ROWS, RARE_SHARE * len(observed))
        most = [each for each in levels if each[0] != OTHER][: LEVELS - 1]
        levels = [each for each in most if each[1] >= least] or most
    kept = sorted(level for level, _ in levels)
    names = [str(level).lower() if kind == "boolean" else str(level) for level in kept]
    return Column(observed.name, "category", kind, (*names, *([OTHER] if other else [])), other)


def _whole(x: np.ndarray) -> bool:
    return bool((x == np.floor(x)).all()) and bool((np.abs(x) < 2**53).all())


def _number(observed: pl.Series) -> Column:
    x = observed.to_numpy()
    whole = _whole(x)
    distinct, counts = np.unique(x, return_counts=True)
    spike, few = None, min(MANY_VALUES, len(x) // REPEATED)
    if len(distinct) >= SPIKE_VALUES and counts.max() >= SPIKE * len(x):
        spike = float(distinct[counts.argmax()])
    return Column(
        observed.name,
        "number",
        "integer" if whole else "decimal",
        decimals=0 if whole else _decimals(x[:10_000]),
        low=float(x.min()),
        high=float(x.max()),
        values=tuple(map(float, distinct)) if len(distinct) <= max(FEW_VALUES, few) else (),
        heavy=_robust_z(x if spike is None else x[x != spike]) > HEAVY,
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
