"""Tables in files: CSV, TSV and Parquet, read by polars."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import DataError
from ..text import clean, listed
from .columns import Column, describe, encoded
from .refusals import (
    refuse_duplicates,
    refuse_missing,
    refuse_nulls,
    refuse_other_columns,
    refuse_other_than_text,
    refuse_other_than_utf8,
    refuse_ragged,
    refuse_text,
)
from .streams import LIMIT, Where, hushed, read_whole
from .types import BY_LOOKS, LEFT_OUT, ReadOptions, Schema
from .values import Raw

if TYPE_CHECKING:
    import numpy as np
    import polars as pl
_SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs"}


def read_text_table(
    where: Where,
    name: str,
    separator: str,
    options: ReadOptions = BY_LOOKS,
    like: Schema | None = None,
) -> Raw:
    """A CSV or TSV file, gzipped or not, with or without a header.

    Args:
        separator: used unless the first line has none of it but another of comma, semicolon and tab.
        options, like: as in ``read_frame``.

    Raises:
        DataError: what ``parse_text`` and ``read_frame`` raise.
    """

    def texts(header: list[str]) -> set[str | None]:
        if options.verbatim:
            return set(header)
        return {_label_column(header, options, like, name), _id_column(header, options, like)}

    frame, notes = parse_text(where, name, separator, texts)
    return read_frame(frame, name, options, like, notes)


def parse_text(
    where: Where, name: str, separator: str, texts: Callable[[list[str]], set[str | None]] = lambda header: set()
) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """All columns of a CSV or TSV file, and notes on how it was read.

    Args:
        texts: from the column names, those columns whose values stay as they are written, such as labels.

    Raises:
        DataError: not UTF-8 text, two columns of one name, or rows of unequal length.
    """
    import polars as pl

    content = read_whole(where, name).removeprefix(b"\xef\xbb\xbf")
    if content[:1] in (b"\r", b"\n") or content[-4:].count(b"\n") > 1:  # strip makes a copy: only where it is needed
        content = content.strip(b"\r\n")
    refuse_other_than_text(content, name)
    if not content or content.isspace():
        raise DataError(f"{name} is empty")
    if b"\n" not in content:
        content = content.replace(b"\r", b"\n")
    try:
        separator, first, header, has_header, notes = _first_line(content, name, separator)
    except UnicodeDecodeError:
        refuse_other_than_utf8(content, name)
        raise
    refuse_duplicates(header, name)
    as_text = texts(header)
    types = {cell: pl.String for cell, column in zip(first, header, strict=True) if has_header and column in as_text}

    def parse(rows_to_infer: int | None) -> pl.DataFrame:
        return pl.read_csv(
            content,
            separator=separator,
            has_header=has_header,
            new_columns=header,
            schema_overrides=types or None,
            infer_schema_length=rows_to_infer,
            raise_if_empty=False,
        )

    try:
        try:
            frame = parse(1000)
        except pl.exceptions.ComputeError:
            frame = parse(None)  # slower, but finds types that appear only in later rows
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        refuse_other_than_utf8(content, name)  # polars refuses it as well, but names no line
        refuse_ragged(content, separator, len(header), name)
        raise DataError(f"{name} is not sound CSV: {clean(str(error).splitlines()[0], 160)}") from error
    if len(header) > 1 and frame[frame.columns[-1]].null_count():  # polars pads short rows in silence
        if b"\n\n" in content or b"\n\r\n" in content:
            frame = frame.filter(~pl.all_horizontal(pl.all().is_null()))  # blank lines
        if frame[frame.columns[-1]].null_count():
            refuse_ragged(content, separator, len(header), name)
    if header[-1] == "" and len(header) > 1 and frame[""].is_null().all():
        frame = frame.drop("")  # every line ends with a separator
    return frame, tuple(notes)


def _first_line(content: bytes, name: str, separator: str) -> tuple[str, list[str], list[str], bool, list[str]]:
    """The separator, the cells of the first line, the column names, whether the line names them, and notes on that."""
    line = content[: content.find(b"\n") + 1 or None]
    notes: list[str] = []
    if separator.encode() not in line:
        other = max(_SEPARATORS, key=lambda item: line.count(item.encode()))
        if line.count(other.encode()):
            notes.append(f"columns are separated by {_SEPARATORS[other]}")
            separator = other
    try:
        first = next(csv.reader(io.TextIOWrapper(io.BytesIO(content), "utf-8", newline=""), delimiter=separator))
    except csv.Error as error:
        raise DataError(f"{name} has a first line that is not CSV: {clean(error)}") from error
    has_header = not all(_is_number(cell) for cell in first) or _counts_up(first)
    header = [cell.strip() for cell in first] if has_header else [f"x{i}" for i in range(len(first))]
    if not has_header:
        notes.append("there is no header: columns are named x0, x1, …")
    elif _counts_up(first):
        notes.append(f"the first line, {header[0]} to {header[-1]}, is taken for the header")
    return separator, first, header, has_header, notes


def spoken_header(content: bytes, name: str, separator: str) -> bytes:
    """The header line of a text table, its own or the one that is assumed, to put before a later piece of it."""
    content = content.removeprefix(b"\xef\xbb\xbf").lstrip(b"\r\n")
    separator, _, header, _, _ = _first_line(content, name, separator)
    line = io.StringIO()
    csv.writer(line, delimiter=separator, lineterminator="\n").writerow(header)
    return line.getvalue().encode()


@contextmanager
def sound_parquet(name: str) -> Iterator[None]:
    """Turns what polars says of a damaged Parquet file into a DataError, and keeps its panics off stderr."""
    import polars as pl

    try:
        with hushed():
            yield
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise DataError(f"{name} is not a sound Parquet file: {clean(str(error).splitlines()[0], 160)}") from error


def parquet_files(where: Path) -> list[Path]:
    """The shards of a table, in the order of their names: the file itself, or the Parquet files of a folder."""
    files = sorted(where.glob("*.parquet")) if where.is_dir() else [where]
    if not files:
        raise DataError(f"{clean(where)} is a folder without Parquet files")
    return files


def read_parquet(
    where: Where,
    name: str,
    options: ReadOptions = BY_LOOKS,
    like: Schema | None = None,
) -> Raw:
    """A Parquet file, or a folder of them; arguments and errors are those of ``read_frame``."""
    import polars as pl

    with sound_parquet(name):
        frame = pl.read_parquet(parquet_files(where) if isinstance(where, Path) else where)
    return read_frame(frame, name, options, like)


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
        DataError: no rows, columns that are missing or not numeric, missing values.
    """
    import polars as pl

    header, columns = frame.columns, options.columns
    label = _label_column(header, options, like, name)
    identity = _id_column(header, options, like)
    if frame.height == 0:
        raise DataError(f"{name} has no rows", "it has only a header")
    if frame.height * max(1, frame.width) * 8 > LIMIT:
        raise DataError(f"{name} holds more than {LIMIT >> 30} GiB of values")
    for option, names in options.of_columns.items():
        for item in names:
            refuse_missing(item, header, name, f"column for --{option}")
    features = [item for item in header if item not in (label, identity, *options.ignore)]
    by_name = False
    if columns is not None:
        for item in columns:
            refuse_missing(item, header, name, "column")
        refuse_duplicates(list(columns), "--columns")
        if label in columns:
            raise DataError(f"the column {clean(label)} of {name} cannot be both a feature and the label")
        features = list(columns)
    elif like is not None and like.columns is not None and set(like.columns) <= set(header):
        by_name = True
        features = list(like.columns)
    if not features:
        raise DataError(f"{name} has no feature columns", f"its columns are {listed(header, 12)}")

    def finished(
        values: np.ndarray, used: Sequence[str], integer: Sequence[bool], mixed: tuple[Column, ...] | None
    ) -> Raw:
        left_out = [item for item in header if item not in (label, identity, *features)]
        told = (*notes, f"{LEFT_OUT}{listed(left_out)}") if left_out and columns is None else notes
        return Raw(
            values,
            name,
            None if label is None else frame[label].cast(pl.String).to_list(),
            tuple(used),
            tuple(integer),
            None if identity is None else tuple(frame[identity].cast(pl.String).fill_null("")),
            told,
            label_column=label,
            mixed=mixed,
            frame=frame if options.verbatim else None,
        )

    if like is not None and like.mixed is not None:
        used = [column.name for column in like.mixed]
        if lacking := [item for item in used if item not in header]:
            raise DataError(f"{name} lacks the columns {listed(lacking, 12)}", "name them as in the training data")
        values, more = encoded(frame, like.mixed)
        notes, features = (*notes, *more), used
        return finished(values, used, [False] * len(used), like.mixed)
    table = frame.select(_as_number(frame[item]) for item in features)
    if like is None and (options.categorical or options.numeric or _is_mixed(frame.select(features), table)):
        mixed, more = describe(frame.select(features), options.categorical, options.numeric)
        notes = (*notes, *more)
        if not mixed:
            raise DataError(f"{name} has no columns that can be used", more[-1] if more else None)
        used = [column.name for column in mixed]
        values, more = encoded(frame, mixed)
        notes = (*notes, *more)
        return finished(values, used, [False] * len(used), mixed)
    numeric = [item for item in features if table[item].dtype.is_numeric()]
    if like is not None and not by_name and columns is None:
        refuse_other_columns(numeric, like, name)
        features = numeric
    if len(numeric) < len(features):
        refuse_text(frame, [item for item in features if item not in numeric], name)
    if by_name is False and like is not None and like.columns is not None and list(like.columns) != features:
        notes = (*notes, "columns are taken by position, as their names are not those of the training data")
    table = table.select(features)
    refuse_nulls(table, name)
    return finished(table.to_numpy(), features, [dtype.is_integer() for dtype in table.dtypes], None)


def _is_mixed(frame: pl.DataFrame, table: pl.DataFrame) -> bool:
    """Whether a table is more than complete numbers. ``table``: its cells as numbers, where they are."""
    import polars as pl

    if pl.Boolean in frame.dtypes or not all(dtype.is_numeric() for dtype in table.dtypes):
        return True
    return any(cells.has_nulls() or (cells.dtype.is_float() and cells.is_nan().any()) for cells in table)


def _label_column(header: Sequence[str], options: ReadOptions, like: Schema | None, name: str) -> str | None:
    given = options.label_column
    if given is not None:
        refuse_missing(given, header, name, "label column")
        return given
    features = _wanted(options, like)
    return next((item for item in header if item.lower() == "label" and item not in features), None)


def _id_column(header: Sequence[str], options: ReadOptions, like: Schema | None) -> str | None:
    """The column called id, else a first column without a name, which is how pandas writes row numbers."""
    features = _wanted(options, like)
    named = next((item for item in header if item.lower() == "id" and item not in features), None)
    return named if named is not None else "" if header[:1] == [""] else None


def _wanted(options: ReadOptions, like: Schema | None) -> Sequence[str]:
    return options.columns if options.columns is not None else (like.columns or ()) if like is not None else ()


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


def _is_number(cell: str) -> bool:
    return re.fullmatch(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*", cell) is not None


def _counts_up(cells: list[str]) -> bool:
    """0, 1, 2, … as pandas writes for columns without names."""
    return len(cells) > 2 and [cell.strip() for cell in cells] == [str(i) for i in range(len(cells))]
