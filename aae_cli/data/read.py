"""Data by name or by path: ``read`` gives rows, labels and a schema, whatever the format."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import DataError, UsageError
from ..text import clean, counted, did_you_mean, quoted, row_name
from .formats import ALBUMS, FORMATS, IMAGES, TELLING, form_of
from .named import NAMES, named_test, read_named, split_name, table_file, with_label
from .streams import Pipe, Where, guarded, named_pipe, stdin_pipe
from .types import BY_LOOKS, Data, Kind, ReadOptions, Schema

if TYPE_CHECKING:
    import polars as pl

    from . import albums
    from .values import Raw


def read(
    source: str,
    *,
    format: str | None = None,
    label_column: str | None = None,
    columns: Sequence[str] | None = None,
    kind: Kind | None = None,
    unlabelled: str | None = None,
    categorical: Sequence[str] = (),
    numeric: Sequence[str] = (),
    ignore: Sequence[str] = (),
    size: int | None = None,
    skip_bad: bool = False,
    like: Schema | None = None,
) -> Data:
    """Read a data set.

    Args:
        source: a name (``mnist``, ``mnist:test``, …, see ``NAMES``), a path, ``file.npz[key]``, or ``-`` for stdin.
        format: one of ``FORMATS``, in place of what the suffix says; stdin and pipes are CSV without it.
        label_column: the column of a table that holds the labels; in an .npz file, the key of the labels.
        columns: the feature columns of a table.
        kind: read 2-D values as ``image`` (pixels) or ``table`` rather than by their looks.
        unlabelled: the label that means unlabelled, beside empty ones, in place of −1.
        categorical, numeric, ignore: columns of a table to read as categories or as numbers, or to leave out.
        size: pixels of both sides to which image files are scaled and cropped, in place of their most frequent size, scaled
            down to at most 64 pixels a side.
        skip_bad: leave out damaged image files rather than refuse them.
        like: the schema that a checkpoint remembers. Rows that differ from it in shape, range or columns are refused.

    Returns:
        Rows in the file's own units: uint8 if they are pixels of whole numbers in 0..255, else float32.

    Raises:
        NotHere: a named data set that is neither on this machine nor to be downloaded.
        DataError: anything else that cannot be read, or does not fit ``like``.
        UsageError: an unknown ``format``.
    """
    named = None if columns is None else tuple(columns)
    said = (tuple(categorical), tuple(numeric), tuple(ignore))
    return read_source(source, ReadOptions(format, label_column, named, kind, unlabelled, *said, size, skip_bad), like)


def read_source(source: str, options: ReadOptions = BY_LOOKS, like: Schema | None = None) -> Data:
    """As ``read``."""
    from .values import finish, refuse_image_options

    format = options.format
    if format is not None and format.lower() not in {*FORMATS, *IMAGES}:
        guess = did_you_mean(format, FORMATS)
        raise UsageError(f"there is no format {quoted(format)}", guess or f"there are {', '.join(FORMATS)}")
    name = "stdin" if source == "-" else clean(source, 200)
    named = split_name(source)
    with guarded(name):
        if named is not None:
            refuse_image_options(name, options)
            raw = read_named(*named, options, like)
        else:
            at, key = _locate(source)
            form = (format and format.lower()) or form_of(at)
            if form == "parquet" and isinstance(at, Path):
                from . import chunks

                if not options.verbatim and chunks.needs_spool(at, name):
                    return chunks.spooled(at, name, options, like)
            raw = _read_path(at, key, name, form, options, like)
        return finish(raw, options, like)


def pieces(source: str, options: ReadOptions = BY_LOOKS, like: Schema | None = None) -> Iterator[Data]:
    """What ``read_source`` gives, piece by piece in bounded memory, however long the source is.

    Tables as text (from pipes too), .npy and Parquet files come in pieces, all others in one. Each piece has its own class
    names; rows count from the beginning of the source. Arguments and errors are those of ``read``.
    """
    yield from _pieces(source, options, like, head=False)


def head(source: str, options: ReadOptions = BY_LOOKS, like: Schema | None = None) -> Data:
    """The first piece of ``pieces``; a pipe can still be read from its beginning after that."""
    return next(_pieces(source, options, like, head=True))


class Head:
    """The first rows of a source, parsed once, to find out which forms they fit; a pipe can still be read afterwards.

    Args:
        source, options: as in ``read_source``.
    """

    def __init__(self, source: str, options: ReadOptions) -> None:
        self.options = with_label(source, options)
        self._name = "stdin" if source == "-" else clean(source, 200)
        self._frame: pl.DataFrame | None = None
        self.schema: Schema | None = None
        with suppress(DataError):
            self._frame = self._read_frame(source, options.format)
            if self._frame is None:
                self.schema = head(source, options).schema
            else:
                self.schema = self._taken(None, self.options.label_column).schema

    def _read_frame(self, source: str, format: str | None) -> pl.DataFrame | None:
        from . import chunks

        if (table := table_file(source)) is not None:
            return chunks.first_frame(table, self._name, "csv")
        if split_name(source) is not None:
            return None
        with guarded(self._name):
            where, key = _locate(source)
            form = (format and format.lower()) or form_of(where)
            tabular = key is None and form in ("csv", "tsv", "parquet")
            return chunks.first_frame(where, self._name, form) if tabular else None

    def _taken(self, like: Schema | None, label_column: str | None) -> Data:
        from .tables import read_frame
        from .values import finish

        assert self._frame is not None
        options = replace(self.options, label_column=label_column)
        return finish(read_frame(self._frame, self._name, options, like), options, like)

    def fits(self, like: Schema, label_column: str | None) -> bool:
        """Whether the rows can be read in a form that a checkpoint remembers; only tables are asked.

        Args:
            label_column: in place of the one given.
        """
        if self._frame is None:
            return False
        try:
            self._taken(like, label_column)
        except DataError:
            return False
        return True


def _pieces(source: str, options: ReadOptions, like: Schema | None, head: bool) -> Iterator[Data]:
    import numpy as np

    from . import chunks
    from .values import finish, refuse_options

    name = "stdin" if source == "-" else clean(source, 200)
    where: Path | Pipe | None = None
    form = options.format and options.format.lower()
    album: albums.Album | None = None
    if split_name(source) is None:
        with guarded(name):
            where, key = _locate(source)
            form = form or form_of(where)
            if form in ALBUMS and key is None and isinstance(where, Path):
                refuse_options(name, options)
                album = _album(where, name, form)
            if key is not None or not chunks.divides(where, form):
                where = None
    if album is not None and (head or (like is not None and like.kind == "image")):
        yield from _blocks(album, name, options, like, 1 if head else None)
        return
    if where is None or form is None:
        yield read_source(source, options, like)
        return
    if form == "npy":
        refuse_options(name, options)
    if head and isinstance(where, Pipe):
        where = Pipe(io.BytesIO(where.peek(chunks.HEAD[form])))
    rows = 0
    with guarded(name):
        for make, lines in chunks.divide(where, name, form, options, like):
            try:
                raw = make()
                data = finish(raw, options, like)
            except DataError as error:
                raise chunks.moved(error, rows, lines) from error
            if data.labels is None and raw.labels is not None:  # a label column without a label here
                data = replace(data, labels=np.full(len(data), -1), schema=data.schema.with_classes(()))
            yield replace(data, first=rows)
            rows += len(data)


def _blocks(
    album: albums.Album, name: str, options: ReadOptions, like: Schema | None, size: int | None
) -> Iterator[Data]:
    """The images of a folder or an archive, ``size`` at a time (None: as many as are read well at once)."""
    from .images import blocks
    from .values import finish

    rows = 0
    with guarded(name):
        for make in blocks(album, options, like, size):
            data = finish(make(), options, like)
            yield replace(data, first=rows)
            rows += len(data)


def read_row(source: str, options: ReadOptions = BY_LOOKS, like: Schema | None = None) -> Data:
    """One row, as in ``mnist:test[5]``, ``file.npz[5]``, ``file.npz[key][5]``, ``folder[3]``, or an image file.

    Rows count from 0. A source of a single row needs no number. Other arguments are those of ``read``.

    Raises:
        DataError: what ``read`` raises, a row that is not there, or no row chosen from several.
    """
    match = None if os.path.exists(source) else re.fullmatch(r"(.*)\[\s*([+-]?\d+)\s*\]", source, re.DOTALL)
    data = read_source(match[1] if match else source, options, like)
    if match is None and len(data) > 1:
        raise DataError(f"{data.name} has {len(data)} rows", f"choose one, as in {data.name}[0]")
    row = int(match[2]) if match else 0
    if not 0 <= row < len(data):
        raise DataError(f"{data.name} has no {row_name(row)}", f"it has {counted(len(data), 'row')}")
    return replace(data[row : row + 1], name=clean(source, 200))


def _read_path(
    at: Path | Pipe, key: str | None, name: str, form: str, options: ReadOptions, like: Schema | None
) -> Raw:
    from . import arrays, images, tables, values

    where: Where = io.BytesIO(at.everything()) if isinstance(at, Pipe) else at
    if isinstance(where, Path) and where.is_dir() and form not in ("parquet", "images"):
        raise DataError(f"{name} is a folder, not a file of the format {form}")
    if key is None and form in ALBUMS:
        values.refuse_options(name, options)
        return images.read_album(_album(where, name, form), options, like)
    if form not in IMAGES:
        values.refuse_image_options(name, options)
    if key is not None and form != "npz":
        raise DataError(f"{name}: only .npz files have keys, and single rows are for --style-from and --between")
    if form in ("csv", "tsv"):
        separator = "," if form == "csv" else "\t"
        return tables.read_text_table(where, name, separator, options, like)
    if form == "parquet":
        return tables.read_parquet(where, name, options, like)
    values.refuse_options(name, options, keyed=form == "npz")
    if form == "npz":
        return arrays.read_npz(where, name, key, options.label_column)
    if form == "npy":
        return arrays.read_npy(where, name)
    if form == "idx":
        return arrays.read_idx(where, name)
    if form in IMAGES:
        return images.read_image(where, name, options, like)
    raise DataError(f"{name}: files of the format {form} cannot be read")


def _album(where: Where, name: str, form: str) -> albums.Album:
    """The images of a folder or an archive. Raises DataError."""
    from . import albums

    if form == "zip":
        return albums.in_zip(where, name)
    if form == "tar":
        return albums.in_tar(where, name)
    if not isinstance(where, Path) or not where.is_dir():
        raise DataError(f"{name} is a file, not a folder of images")
    return albums.in_folder(where, name)


def _locate(source: str) -> tuple[Path | Pipe, str | None]:
    """A file, a folder or a pipe, and the key of ``file.npz[key]``.

    Raises:
        DataError: there is no such name or file.
    """
    if source == "-":
        return stdin_pipe(), None
    if "\0" not in source and source:
        if os.path.exists(source):
            path = Path(source)
            return (path if path.is_file() or path.is_dir() else named_pipe(path)), None
        match = re.fullmatch(r"(.+?)\[([^\[\]]+)\]", source, re.DOTALL)
        if match and os.path.exists(match[1]):
            return Path(match[1]), match[2]
        if match and (named := split_name(match[1])):
            raise DataError(f"{clean(source)}: one row of {named[0]} is chosen only with --style-from")
    guess = did_you_mean(source, [*NAMES, *filter(None, map(named_test, NAMES))])
    shown = clean(source, 200)
    if "/" in source or "\\" in source or (not guess and "." in source):
        raise DataError(f"{shown} does not exist", guess or "check the path")
    known = f"data is one of {', '.join(NAMES)}, or a path: {TELLING}"
    raise DataError(f"there is no data set or file '{shown}'", f"{guess} {known}" if guess else known)
