"""Tables in files: CSV, TSV and Parquet, read by polars."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import DataError
from ..text import clean, did_you_mean, listed, quoted
from .streams import LIMIT, Where, hushed, read_whole
from .types import Schema
from .values import Raw

if TYPE_CHECKING:
    import polars as pl

_CHOOSE = "choose numeric ones with --columns a,b,c, or name the class with --label-column NAME"
_SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs"}


def read_text_table(
    where: Where,
    name: str,
    separator: str,
    label_column: str | None = None,
    columns: Sequence[str] | None = None,
    like: Schema | None = None,
) -> Raw:
    """A CSV or TSV file, gzipped or not, with or without a header.

    Args:
        separator: used unless the first line has none of it but another of comma, semicolon and tab.
        label_column, columns, like: as in ``read_frame``.

    Raises:
        DataError: not UTF-8 text, rows of unequal length, and what ``read_frame`` raises.
    """
    import polars as pl

    content = read_whole(where, name).removeprefix(b"\xef\xbb\xbf")
    if content[:1] in (b"\r", b"\n") or content[-4:].count(b"\n") > 1:  # a copy, so only where it is needed
        content = content.strip(b"\r\n")
    _refuse_other_than_text(content, name)
    if not content or content.isspace():
        raise DataError(f"{name} is empty")
    if b"\n" not in content:
        content = content.replace(b"\r", b"\n")
    try:
        separator, first, header, has_header, notes = _first_line(content, name, separator)
    except UnicodeDecodeError:
        _refuse_other_than_utf8(content, name)
        raise
    _refuse_duplicates(header, name)
    as_text = {_label_column(header, label_column, columns, like, name), _id_column(header, columns, like)}
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
            frame = parse(None)  # slower: types that show only in later rows
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        _refuse_other_than_utf8(content, name)  # which polars refuses too, without a line
        _refuse_ragged(content, separator, len(header), name)
        raise DataError(f"{name} is not sound CSV: {clean(str(error).splitlines()[0], 160)}") from error
    if len(header) > 1 and frame[frame.columns[-1]].null_count():  # polars fills short rows up without a word
        if b"\n\n" in content or b"\n\r\n" in content:
            frame = frame.filter(~pl.all_horizontal(pl.all().is_null()))  # blank lines
        if frame[frame.columns[-1]].null_count():
            _refuse_ragged(content, separator, len(header), name)
    if header[-1] == "" and len(header) > 1 and frame[""].is_null().all():
        frame = frame.drop("")  # a separator at the end of every line
    return read_frame(frame, name, label_column, columns, like, tuple(notes))


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
        notes.append(f"the first row, {header[0]} to {header[-1]}, is taken for the header")
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
    label_column: str | None = None,
    columns: Sequence[str] | None = None,
    like: Schema | None = None,
) -> Raw:
    """A Parquet file, or a folder of them; arguments and errors are those of ``read_frame``."""
    import polars as pl

    with sound_parquet(name):
        frame = pl.read_parquet(parquet_files(where) if isinstance(where, Path) else where)
    return read_frame(frame, name, label_column, columns, like)


def read_frame(
    frame: pl.DataFrame,
    name: str,
    label_column: str | None = None,
    columns: Sequence[str] | None = None,
    like: Schema | None = None,
    notes: tuple[str, ...] = (),
) -> Raw:
    """Features, labels and ids of a table.

    Args:
        label_column: the column of labels; by default the one called ``label``, if any.
        columns: the feature columns; by default all but labels and ids.
        like: take the columns that this schema names, or as many by position.

    Raises:
        DataError: no rows, columns that are missing or not numeric, missing values.
    """
    import polars as pl

    header = frame.columns
    label = _label_column(header, label_column, columns, like, name)
    identity = _id_column(header, columns, like)
    if frame.height == 0:
        raise DataError(f"{name} has no rows", "it has only a header")
    if frame.height * max(1, frame.width) * 8 > LIMIT:
        raise DataError(f"{name} holds more than {LIMIT >> 30} GiB of values")
    features = [item for item in header if item not in (label, identity)]
    by_name = False
    if columns is not None:
        for item in columns:
            _refuse_missing(item, header, name, "column")
        _refuse_duplicates(list(columns), "--columns")
        if label in columns:
            raise DataError(f"the column {clean(label)} of {name} cannot be both a feature and the label")
        features = list(columns)
    elif like is not None and like.columns is not None and set(like.columns) <= set(header):
        by_name = True
        features = list(like.columns)
    table = frame.select(_as_number(frame[item]) for item in features)
    numeric = [item for item in features if table[item].dtype.is_numeric()]
    if like is not None and not by_name and columns is None:
        _refuse_other_columns(numeric, like, name)
        features = numeric
    if len(numeric) < len(features):
        _refuse_text(frame, [item for item in features if item not in numeric], name)
    if not features:
        raise DataError(f"{name} has no feature columns", f"its columns are {listed(header, 12)}")
    left_out = [item for item in header if item not in (label, *features)]
    if left_out and columns is None:
        notes = (*notes, f"left out: {listed(left_out)}")
    if by_name is False and like is not None and like.columns is not None and list(like.columns) != features:
        notes = (*notes, "columns are taken by position, as their names are not those of the training data")
    table = table.select(features)
    _refuse_nulls(table, name)
    return Raw(
        table.to_numpy(),
        name,
        None if label is None else frame[label].cast(pl.String).to_list(),
        tuple(features),
        tuple(dtype.is_integer() for dtype in table.dtypes),
        None if identity is None else tuple(frame[identity].cast(pl.String).fill_null("")),
        notes,
    )


def _label_column(
    header: Sequence[str], given: str | None, columns: Sequence[str] | None, like: Schema | None, name: str
) -> str | None:
    if given is not None:
        _refuse_missing(given, header, name, "label column")
        return given
    features = _wanted(columns, like)
    return next((item for item in header if item.lower() == "label" and item not in features), None)


def _id_column(header: Sequence[str], columns: Sequence[str] | None, like: Schema | None) -> str | None:
    """The column called id, else a first column without a name, which is how pandas writes row numbers."""
    features = _wanted(columns, like)
    named = next((item for item in header if item.lower() == "id" and item not in features), None)
    return named if named is not None else "" if header[:1] == [""] else None


def _wanted(columns: Sequence[str] | None, like: Schema | None) -> Sequence[str]:
    return columns if columns is not None else (like.columns or ()) if like is not None else ()


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


def _refuse_other_columns(numeric: list[str], like: Schema, name: str) -> None:
    wanted = like.columns
    if len(numeric) != like.size:
        missing = "" if wanted is None else f": {listed(item for item in wanted if item not in numeric)}"
        lacking = f"; not there{missing}" if missing and not missing.endswith(": ") else ""
        raise DataError(f"{name} has {len(numeric)} numeric columns, the model was trained on {like.size}{lacking}")
    if wanted is not None and any(a != b and a in wanted for a, b in zip(numeric, wanted, strict=True)):
        missing = listed(item for item in wanted if item not in numeric)
        raise DataError(
            f"{name} lacks the columns {missing} and has others in another order", "name them as in the training data"
        )


def _refuse_text(frame: pl.DataFrame, texts: list[str], name: str) -> None:
    """Raises: DataError that names the columns, or the one cell that keeps a column from being numeric."""
    import polars as pl

    column = frame[texts[0]]
    if len(texts) == 1 and column.dtype == pl.String:
        bad = column.str.strip_chars().cast(pl.Float64, strict=False).is_null() & column.is_not_null()
        if 2 * bad.sum() < len(bad):
            row = bad.arg_max() or 0
            raise DataError(
                f"{name}: row {row + 1} of column {clean(texts[0])} has {quoted(column[row])}, which is not a number",
                _CHOOSE,
            )
    noun = "columns" if len(texts) > 1 else "the column"
    verb = "are" if len(texts) > 1 else "is"
    raise DataError(f"{name}: {noun} {listed(texts)} {verb} not numeric", _CHOOSE)


def _refuse_nulls(table: pl.DataFrame, name: str) -> None:
    places = [
        (row, i)
        for i, column in enumerate(table)
        if column.null_count() and (row := column.is_null().arg_max()) is not None
    ]
    if places:
        row, i = min(places)
        raise DataError(
            f"{name} has a missing value in row {row + 1}, column {clean(table.columns[i])}",
            "fill it in or drop the row",
        )


def _refuse_missing(column: str, header: Sequence[str], name: str, noun: str) -> None:
    if column not in header:
        guess = did_you_mean(column, header)
        its = f"its columns are {listed(header, 12)}"
        raise DataError(f"{name} has no {noun} {quoted(column)}", f"{guess} {its}" if guess else its)


def _refuse_duplicates(names: list[str], where: str) -> None:
    twice = (
        next((item for i, item in enumerate(names) if item in names[:i]), None)
        if len(set(names)) < len(names)
        else None
    )
    if twice is not None:
        raise DataError(f"{where} has two columns called {quoted(twice)}")


def _refuse_other_than_text(content: bytes, name: str) -> None:
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise DataError(f"{name} is UTF-16 text", "convert it to UTF-8: iconv -f UTF-16 -t UTF-8")
    if b"\0" in content[:4096] or content[:4] in (b"PAR1", b"PK\x03\x04", b"\x89PNG"):
        raise DataError(f"{name} is binary, not CSV", "say what it is with --format npz, npy, parquet, idx or png")


def _refuse_other_than_utf8(content: bytes, name: str) -> None:
    try:
        content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DataError(f"{name}: line {line} is not UTF-8 text", "convert it: iconv -f LATIN1 -t UTF-8") from error


def _is_number(cell: str) -> bool:
    return re.fullmatch(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*", cell) is not None


def _counts_up(cells: list[str]) -> bool:
    """0, 1, 2, … as pandas writes for columns without names."""
    return len(cells) > 2 and [cell.strip() for cell in cells] == [str(i) for i in range(len(cells))]


def _refuse_ragged(content: bytes, separator: str, width: int, name: str) -> None:
    line = _ragged_line(content, separator, width)
    if line is not None:
        raise DataError(
            f"{name}: line {line} has more or fewer than the {width} columns of the first line",
            "check for missing quotes",
        )


def _ragged_line(content: bytes, separator: str, width: int) -> int | None:
    reader = csv.reader(io.TextIOWrapper(io.BytesIO(content), "utf-8", newline=""), delimiter=separator)
    try:
        return next((reader.line_num for row in reader if row and len(row) != width), None)
    except csv.Error:
        return reader.line_num
