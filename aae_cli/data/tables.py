"""Tables in files: CSV, TSV and Parquet, read by polars."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import DataError
from ..text import clean
from .frames import columns_of, read_frame
from .refusals import refuse_duplicates, refuse_other_than_text, refuse_other_than_utf8, refuse_ragged
from .streams import Where, hushed, read_whole
from .types import BY_LOOKS, ReadOptions, Schema
from .values import Raw

if TYPE_CHECKING:
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
        used = columns_of(header, options, like, name)
        levels = [] if like is None else [each.name for each in like.mixed or () if each.type == "text"]
        return {used.label, used.identity, *options.categorical, *levels}

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


def _is_number(cell: str) -> bool:
    return re.fullmatch(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*", cell) is not None


def _counts_up(cells: list[str]) -> bool:
    """0, 1, 2, … as pandas writes for columns without names."""
    return len(cells) > 2 and [cell.strip() for cell in cells] == [str(i) for i in range(len(cells))]
