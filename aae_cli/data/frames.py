"""Frames of columns: which are features, labels and ids, and whether they are complete numbers or a mixed table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from ..errors import DataError
from ..text import clean, listed
from .columns import LEFT_OUT, Column, encoded, texts_for_missing, unknown_in_words
from .kinds import describe
from .refusals import (
    refuse_duplicates,
    refuse_missing,
    refuse_nulls,
    refuse_other_columns,
    refuse_other_kinds,
    refuse_text,
)
from .streams import LIMIT
from .types import BY_LOOKS, ReadOptions, Schema
from .values import Raw

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True)
class Used:
    """The columns of a table that are read.

    Attributes:
        label, identity: the columns of labels and of ids; None for none.
        features: the others, in order.
        by_name: whether they are those that a checkpoint names.
    """

    label: str | None
    identity: str | None
    features: tuple[str, ...]
    by_name: bool = False

    def label_at(self, names: Sequence[str], features: Sequence[str]) -> int | None:
        """Number of features to the left of the label column, among the names of all columns; None without one."""
        return None if self.label is None else len({*names[: names.index(self.label)]} & {*features})


@dataclass(frozen=True)
class _Features:
    """Values (N, D) of the columns that can be used; the other attributes are those of ``Raw``."""

    values: np.ndarray
    columns: tuple[str, ...]
    integer: tuple[bool, ...]
    notes: tuple[str, ...] = ()
    mixed: tuple[Column, ...] | None = None
    unknown: tuple[int, ...] = ()


def read_frame(
    frame: pl.DataFrame,
    name: str,
    options: ReadOptions = BY_LOOKS,
    like: Schema | None = None,
    notes: tuple[str, ...] = (),
) -> Raw:
    """Features, labels and ids of a table.

    Args:
        options: the column of labels, by default the one called ``label``, if any; and the feature columns, by default
            all but labels and ids.
        like: take the columns that this schema names, or as many by position.

    Raises:
        DataError: no rows, columns that are missing, or cells that do not fit ``like``.
    """
    import polars as pl

    if frame.height == 0:
        raise DataError(f"{name} has no rows", "it has only a header")
    if frame.height * max(1, frame.width) * 8 > LIMIT:
        raise DataError(f"{name} holds more than {LIMIT >> 30} GiB of values")
    used = columns_of(frame.columns, options, like, name)
    if like is not None:
        refuse_other_kinds(options, like, name)
    if like is not None and like.mixed is not None:
        found = _as_trained(frame, like.mixed, name)
    else:
        table = frame.select(_as_number(frame[item]) for item in used.features)
        if like is None and (options.categorical or _is_mixed(frame.select(used.features), table)):
            found = _mixed(frame, used, options, name)
        else:
            found = _numbers(frame, table, used, options, like, name)
    labels, of_labels = (None, ()) if used.label is None else _labels(frame[used.label], options, like)
    read = {used.label, *(found.columns if found.mixed is None else used.features)}  # describe() tells of the rest
    left_out = [item for item in frame.columns if item not in read and item in (options.columns or frame.columns)]
    told = (f"{LEFT_OUT}{listed(left_out)}",) if left_out else ()
    return Raw(
        found.values,
        name,
        labels,
        found.columns,
        found.integer,
        None if used.identity is None else tuple(frame[used.identity].cast(pl.String).fill_null("")),
        (*notes, *told, *found.notes, *of_labels),
        label_column=used.label,
        label_at=used.label_at(frame.columns, found.columns),
        mixed=found.mixed,
        unknown=found.unknown,
        frame=frame if options.verbatim else None,
    )


def columns_of(header: Sequence[str], options: ReadOptions, like: Schema | None, name: str) -> Used:
    """Find the columns that are read, from the names of all. Raises DataError where one that is asked for is missing."""
    wanted = options.columns if options.columns is not None else (like.columns or ()) if like is not None else ()
    kept = {*wanted, *options.numeric, *options.ignore}  # which are neither labels nor ids without being named so
    label, identity = options.label_column, None
    if label is None:
        label = next((item for item in header if item.lower() == "label" and item not in kept), None)
    else:
        refuse_missing(label, header, name, "label column")
    kept |= {*options.categorical}
    identity = next((item for item in header if item.lower() == "id" and item not in kept), None)
    if identity is None and header[:1] == [""]:
        identity = ""  # a first column without a name, which is how pandas writes row numbers
    for option, names in options.of_columns.items():
        for item in names:
            refuse_missing(item, header, name, f"column for --{option}")
    features = [item for item in header if item not in (label, identity, *options.ignore)]
    by_name = False
    if options.columns is not None:
        for item in options.columns:
            refuse_missing(item, header, name, "column")
        refuse_duplicates(list(options.columns), "--columns")
        if label in options.columns:
            raise DataError(f"the column {clean(label)} of {name} cannot be both a feature and the label")
        features = list(options.columns)
    elif like is not None and like.columns is not None and set(like.columns) <= set(header):
        by_name = True
        features = list(like.columns)
    if not features:
        raise DataError(f"{name} has no feature columns", f"its columns are {listed(header, 12)}")
    return Used(label, identity, tuple(features), by_name)


def _as_trained(frame: pl.DataFrame, mixed: tuple[Column, ...], name: str) -> _Features:
    """The columns of a mixed table that a model was trained on."""
    names = tuple(column.name for column in mixed)
    if lacking := [item for item in names if item not in frame.columns]:
        raise DataError(f"{name} lacks the columns {listed(lacking, 12)}", "name them as in the training data")
    values, unknown = encoded(frame, mixed)
    return _Features(values, names, (False,) * len(names), unknown_in_words(mixed, unknown), mixed, unknown)


def _mixed(frame: pl.DataFrame, used: Used, options: ReadOptions, name: str) -> _Features:
    """The columns of a mixed table that can be used, with the kinds that their cells show."""
    mixed, notes = describe(frame.select(used.features), options.categorical, options.numeric)
    if not mixed:
        raise DataError(f"{name} has no columns that can be used", notes[-1] if notes else None)
    found = _as_trained(frame, mixed, name)
    return replace(found, notes=(*notes, *found.notes))


def _numbers(
    frame: pl.DataFrame, table: pl.DataFrame, used: Used, options: ReadOptions, like: Schema | None, name: str
) -> _Features:
    """The columns of a table of complete numbers. ``table``: the features as numbers, where they are."""
    features = list(used.features)
    notes: tuple[str, ...] = ()
    numeric = [item for item in features if table[item].dtype.is_numeric()]
    if like is not None and not used.by_name and options.columns is None:
        refuse_other_columns(numeric, like, name)
        features = numeric
    if len(numeric) < len(features):
        refuse_text(frame, [item for item in features if item not in numeric], name)
    if not used.by_name and like is not None and like.columns is not None and list(like.columns) != features:
        notes = ("columns are taken by position, as their names are not those of the training data",)
    table = table.select(features)
    refuse_nulls(table, name)
    return _Features(table.to_numpy(), tuple(features), tuple(dtype.is_integer() for dtype in table.dtypes), notes)


def _labels(cells: pl.Series, options: ReadOptions, like: Schema | None) -> tuple[list[str | None], tuple[str, ...]]:
    """Labels as text, and a note on texts that are read as missing, unless one is named or a model knows it as a class."""
    import polars as pl

    known = like.classes or () if like is not None else ()
    texts = [text for text in texts_for_missing(cells) if text not in known] if options.unlabelled is None else []
    labels = cells.cast(pl.String)
    if not texts:
        return labels.to_list(), ()
    return labels.set(labels.str.strip_chars().is_in(texts), None).to_list(), (
        f"labels read as missing: {listed(texts)}",
    )


def _is_mixed(frame: pl.DataFrame, table: pl.DataFrame) -> bool:
    """Whether a table is more than complete numbers. ``table``: its cells as numbers, where they are."""
    import polars as pl

    if pl.Boolean in frame.dtypes or not all(dtype.is_numeric() for dtype in table.dtypes):
        return True
    return any(cells.has_nulls() or (cells.dtype.is_float() and cells.is_nan().any()) for cells in table)


def _as_number(column: pl.Series) -> pl.Series:
    """A column with booleans as 0 and 1, and with text turned into numbers where all of it is numbers."""
    import polars as pl

    if column.dtype == pl.Boolean:
        return column.cast(pl.UInt8)
    if column.dtype in (pl.Null, pl.Int128) or column.dtype.is_decimal():
        return column.cast(pl.Float64)
    if column.dtype == pl.String:
        stripped = column.str.strip_chars()
        filled = stripped.set(stripped == "", None)
        for dtype in (pl.Int64, pl.Float64):
            numbers = filled.cast(dtype, strict=False)
            if numbers.null_count() == filled.null_count():
                return numbers
    return column
