"""What is wrong with a table, found after a reader has failed, and said in one line."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..errors import DataError
from ..text import clean, did_you_mean, listed, quoted, row_name
from .types import Data, ReadOptions, Schema

if TYPE_CHECKING:
    import polars as pl

_CHOOSE = "choose numeric ones with --columns a,b,c, or name the class with --label-column NAME"

MANY = 30
"""Fewer numbers than these are classes, however few rows there are of each."""


def refuse_other_columns(numeric: list[str], like: Schema, name: str) -> None:
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


def refuse_other_kinds(options: ReadOptions, like: Schema, name: str) -> None:
    """Raise DataError where a person leaves out a column that the model reads, or names another kind for it."""
    wanted = like.columns or ()
    if like.mixed is not None and options.columns is not None:
        left_out = [item for item in wanted if item not in options.columns]
        if left_out:
            raise DataError(f"--columns leaves out {listed(left_out)}, which the model reads")
    if left_out := [item for item in options.ignore if item in wanted]:
        raise DataError(f"--ignore leaves out {listed(left_out)}, which the model reads")
    categories = {column.name for column in like.mixed or () if column.kind == "category"}
    for item in wanted:
        if (item in options.categorical and item not in categories) or (item in options.numeric and item in categories):
            kind = "category" if item in categories else "number"
            raise DataError(
                f"{name}: the model reads the column {clean(item)} as a {kind}", "train a new one to change that"
            )


def refuse_text(frame: pl.DataFrame, texts: list[str], name: str) -> None:
    """Raises: DataError that names the columns, or the one cell that keeps a column from being numeric."""
    import polars as pl

    column = frame[texts[0]]
    if len(texts) == 1 and column.dtype == pl.String:
        bad = column.str.strip_chars().cast(pl.Float64, strict=False).is_null() & column.is_not_null()
        if 2 * bad.sum() < len(bad):
            row = bad.arg_max() or 0
            raise DataError(
                f"{name}: {row_name(row)} of column {clean(texts[0])} has {quoted(column[row])}, which is not a number",
                _CHOOSE,
            )
    noun = "columns" if len(texts) > 1 else "the column"
    verb = "are" if len(texts) > 1 else "is"
    raise DataError(f"{name}: {noun} {listed(texts)} {verb} not numeric", _CHOOSE)


def refuse_nulls(table: pl.DataFrame, name: str) -> None:
    places = [
        (row, i)
        for i, column in enumerate(table)
        if column.null_count() and (row := column.is_null().arg_max()) is not None
    ]
    if places:
        row, i = min(places)
        raise DataError(
            f"{name} has a missing value in {row_name(row)}, column {clean(table.columns[i])}",
            "fill it in or drop the row",
        )


def refuse_missing(column: str, header: Sequence[str], name: str, noun: str) -> None:
    if column not in header:
        guess = did_you_mean(column, header)
        its = f"its columns are {listed(header, 12)}"
        raise DataError(f"{name} has no {noun} {quoted(column)}", f"{guess} {its}" if guess else its)


def refuse_numbers(rows: Data, wanted: int | str, column: str | None) -> None:
    """Raise DataError where labels are so many different numbers that they are a quantity rather than classes.

    Args:
        wanted: labels that may be used: none, all, a share or a count.
        column: the label column, if it was named.
    """
    classes = rows.schema.classes or ()
    if wanted == "none" or len(classes) < MANY or rows.labels is None or not all(map(is_whole, classes)):
        return
    labelled = int((rows.labels >= 0).sum())
    few = 2 * len(classes) > labelled  # rows of each
    if few or (isinstance(wanted, int) and wanted < min(len(classes), labelled)):
        named = quoted(column or "label") if column or rows.schema.columns else "of the labels"
        raise DataError(
            f"{rows.name}: the column {named} holds {len(classes)} different numbers, and aae learns classes, not numbers",
            "name a column of classes with --label-column NAME, or train without labels (--preset clustering or "
            "dim-reduction)" + ("" if few else f"; if these are classes, --labels {len(classes)} uses one row of each"),
        )


def is_whole(text: str) -> bool:
    return text.removeprefix("-").isdecimal()


def refuse_duplicates(names: list[str], where: str) -> None:
    twice = (
        next((item for i, item in enumerate(names) if item in names[:i]), None)
        if len(set(names)) < len(names)
        else None
    )
    if twice is not None:
        raise DataError(f"{where} has two columns called {quoted(twice)}")


def refuse_other_than_text(content: bytes, name: str) -> None:
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise DataError(f"{name} is UTF-16 text", "convert it to UTF-8: iconv -f UTF-16 -t UTF-8")
    if b"\0" in content[:4096] or content[:4] in (b"PAR1", b"PK\x03\x04", b"\x89PNG"):
        raise DataError(f"{name} is binary, not CSV", "say what it is with --format npz, npy, parquet, idx or png")


def refuse_other_than_utf8(content: bytes, name: str) -> None:
    try:
        content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DataError(f"{name}: line {line} is not UTF-8 text", "convert it: iconv -f LATIN1 -t UTF-8") from error


def refuse_ragged(content: bytes, separator: str, width: int, name: str) -> None:
    line = _ragged_line(content, separator, width)
    if line is not None:
        raise DataError(
            f"{name}: line {line} has more or fewer than the {width} columns of the first line",
            "check for missing quotes",
        )


def _ragged_line(content: bytes, separator: str, width: int) -> int | None:
    """Where the first row of another width begins; a quote that is never closed makes such a row."""
    reader = csv.reader(io.TextIOWrapper(io.BytesIO(content), "utf-8", newline=""), delimiter=separator)
    begin = 1
    try:
        for row in reader:
            if row and len(row) != width:
                return begin
            begin = reader.line_num + 1
    except csv.Error:
        return begin
    return None
