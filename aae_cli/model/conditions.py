"""Conditions on the rows of a table, such as ``sex=female`` and ``age>60``: how they are read, and which cells meet them."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..data.columns import Column
from ..data.types import Schema
from ..errors import CheckpointError, UsageError
from ..text import clean, did_you_mean, listed, quoted

OPERATORS = (">=", "<=", "!=", "==", "=", ">", "<")


@dataclass(frozen=True)
class Condition:
    """A condition on one column.

    Attributes:
        text: as it was given.
        at: position of the column.
        operator: one of ``=``, ``!=``, ``<``, ``<=``, ``>``, ``>=``.
        value: a number, or a date in days.
        by_day: whether a date with a time is compared by its day alone.
        levels: of a category, the positions of the levels that meet the condition; None for numbers and dates.
    """

    text: str
    at: int
    operator: str
    value: float = 0.0
    by_day: bool = False
    levels: tuple[int, ...] | None = None

    def met(self, cells: np.ndarray) -> np.ndarray:
        """Whether cells (N,) of the column meet the condition; missing ones never do."""
        if self.levels is not None:
            return np.isin(cells, np.array(self.levels, cells.dtype))
        if self.by_day:
            cells = np.floor(cells)
        return ~np.isnan(cells) & _compared(cells, self.operator, cells.dtype.type(self.value))


def _compared(cells: np.ndarray, operator: str, value: float) -> np.ndarray:
    if operator in ("=", "!="):
        return (cells == value) == (operator == "=")
    if operator in (">", ">="):
        return cells >= value if operator == ">=" else cells > value
    return cells <= value if operator == "<=" else cells < value


def split(text: str, names: Sequence[str]) -> tuple[str, str, str] | None:
    """Split a condition at the first operator that follows a known name, the longest that there is: name, operator, value.

    Names may contain operators and spaces. None if there is no such name.
    """
    text = text.strip()
    for name in sorted(names, key=len, reverse=True):
        rest = text[len(name) :].lstrip()
        operator = next((each for each in OPERATORS if rest.startswith(each)), None)
        if text.startswith(name) and operator is not None:
            return name, operator.replace("==", "="), rest[len(operator) :].strip()
    return None


def names_of(schema: Schema) -> list[str]:
    """Names of the columns of a table."""
    return list(schema.columns or (f"x{i}" for i in range(schema.size)))


def knows_columns(where: Sequence[str], schema: Schema, label: str | None) -> bool:
    """Whether a table has the columns of all conditions.

    Args:
        label: name of the label column; None without labels.
    """
    names = [*names_of(schema), *([label] if label else [])] if schema.kind == "table" else []
    return all(split(text, names) for text in where)


def parse(where: Sequence[str], schema: Schema, label: str | None) -> tuple[list[Condition], list[str] | None]:
    """Read conditions.

    Args:
        label: name of the label column; None without labels.

    Returns:
        conditions on columns, and the classes that meet those on the label, in order; None if there are none.

    Raises:
        UsageError: an unknown column or level, no operator, or a value of a wrong type.
        CheckpointError: a condition that no sample can meet.
    """
    if schema.kind != "table":
        raise UsageError("--where is for tables, and this model samples images", "choose with --label or --cluster")
    names, conditions, classes = names_of(schema), [], None
    for text in where:
        parts = split(text, [*names, *([label] if label else [])])
        if parts is None:
            raise _unknown(text, [*names, *([label] if label else [])])
        name, operator, value = parts
        if name in names:
            at = names.index(name)
            column = schema.mixed[at] if schema.mixed is not None else None
            conditions.append(_condition(clean(text.strip()), at, operator, value, column, schema))
            continue
        known = schema.classes or ()
        met = _levels(clean(text.strip()), name, operator, value, known, False)
        classes = [each for i, each in enumerate(known) if i in met and (classes is None or each in classes)]
    return conditions, classes


def _unknown(text: str, names: Sequence[str]) -> UsageError:
    found = re.match(r"\s*(.+?)\s*(>=|<=|!=|==?|>|<)", text)
    if found is None:
        hint = "write it as column=value, column!=value or column>number"
        return UsageError(f"--where {clean(text)} is no condition", hint)
    hint = did_you_mean(found[1], names) or f"columns are {listed(names, 12)}"
    return UsageError(f"--where {clean(text)}: the model has no column {quoted(found[1])}", hint)


def _condition(text: str, at: int, operator: str, value: str, column: Column | None, schema: Schema) -> Condition:
    if column is not None and column.kind == "category":
        levels = _levels(text, column.name, operator, value, column.levels, column.type in ("integer", "decimal"))
        return Condition(text, at, operator, levels=tuple(levels))
    if column is not None and column.kind == "date":
        found = _day(column, value)
        if found is None:
            raise UsageError(f"--where {text}: {quoted(value)} is not a date", "write it as 2024-12-31")
        condition = Condition(text, at, operator, found, column.type == "datetime" and len(value) <= len("2024-12-31"))
    else:
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            raise UsageError(
                f"--where {text}: {quoted(value)} is not a number", f"{clean(names_of(schema)[at])} holds numbers"
            )
        condition = Condition(text, at, operator, number)
    _refuse_impossible(condition, column, schema)
    return condition


def _levels(text: str, name: str, operator: str, value: str, levels: Sequence[str], ordered: bool) -> list[int]:
    """Positions of the levels that meet a condition.

    Args:
        ordered: whether levels are numbers.
    """
    try:
        number = float(value) if ordered else math.nan
    except ValueError:
        number = math.nan
    if ordered and math.isfinite(number):
        own = np.array([float(level) if re.fullmatch(r"[-+.\deE]+", level) else math.nan for level in levels])
        met = np.flatnonzero(~np.isnan(own) & _compared(own, operator, number)).tolist()
        if not met or (operator == "!=" and len(met) == len(levels)):
            raise UsageError(f"--where {text}: {clean(name)} has no such value", f"it has {listed(levels, 12)}")
        return met
    if operator not in ("=", "!="):
        raise UsageError(
            f"--where {text}: {clean(name)} is a category", f"compare it with = or !=: {listed(levels, 12)}"
        )
    if value not in levels:
        folded = [level for level in levels if level.lower() == value.lower()]
        if len(folded) != 1:
            guess, known = did_you_mean(value, levels), f"its levels are {listed(levels, 12)}"
            raise UsageError(f"--where {text}: {clean(name)} has no level {quoted(value)}", guess or known)
        value = folded[0]
    return [i for i, level in enumerate(levels) if (level == value) == (operator == "=")]


def _day(column: Column, value: str) -> float | None:
    """A date, with or without a time, as days; None for anything else."""
    import polars as pl

    days = float(column.encode(pl.Series([value]))[0][0])
    return None if math.isnan(days) else days


def _refuse_impossible(condition: Condition, column: Column | None, schema: Schema) -> None:
    """Raise CheckpointError where no value in the range of the training rows meets a condition on a number or date."""
    at = condition.at
    if column is not None:
        ends, values = (column.low, column.high), column.values
    elif schema.smallest is not None and schema.largest is not None:
        ends, values = (schema.smallest[at], schema.largest[at]), ()
    else:
        return
    low, high = (np.float32(end) for end in ends)
    value = np.float32(condition.value)
    met = condition.met(np.array(values or ends, np.float32)).any()
    within = low <= value <= high or (condition.by_day and math.floor(low) <= value <= high)
    if met or (condition.operator == "=" and within and not values):
        return
    name = clean(names_of(schema)[at])
    shown = [column.text(end) if column is not None else f"{end:g}" for end in ends]
    if values and within and column is not None:
        raise CheckpointError(f"--where {condition.text}: samples never have it", _values(name, column))
    raise CheckpointError(
        f"--where {condition.text}: no sample can meet it", f"{name} is {shown[0]} to {shown[1]} in the training rows"
    )


def _values(name: str, column: Column) -> str:
    return f"{name} has the values {listed((column.text(value) for value in column.values), 12)}"
