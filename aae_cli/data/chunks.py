"""Long sources in pieces: text tables by whole lines, .npy by rows, Parquet by rows; each is read as a source of its own."""

from __future__ import annotations

import io
import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from math import prod
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from ..errors import DataError
from ..text import row_name
from .arrays import read_npy_header
from .columns import HOLES, unknown_in_words
from .frames import columns_of, read_frame
from .kinds import holes_in_words
from .labels import encode_labels
from .streams import Pipe, read_up_to, streamed
from .tables import parquet_files, parse_text, read_text_table, sound_parquet, spoken_header
from .types import MAP_FROM, Data, ReadOptions, Schema
from .values import Raw, finish

if TYPE_CHECKING:
    import polars as pl

FIRST, PIECE, LINE = 2**20, 2**24, 2**28
"""Bytes: of the first piece, small so that results start early; of the others; and the most that one line may take."""

HEAD = {"csv": FIRST, "tsv": FIRST, "npy": 4 * PIECE}
"""What is kept of a pipe to read its first piece from."""

ROWS, SLICES = 2**16, 16
"""Rows of a piece of a Parquet file; pieces that together show the kinds of its columns, of as many rows in all."""

Piece = tuple[Callable[[], Raw], int]


def divides(where: Path | Pipe, form: str) -> bool:
    """Whether a source is long enough to come in pieces, and of a format that can."""
    if form not in ("csv", "tsv", "npy", "parquet") or (form == "parquet" and isinstance(where, Pipe)):
        return False
    if isinstance(where, Pipe):
        return len(where.peek(FIRST)) >= FIRST
    if form == "parquet":
        return sum(file.stat().st_size for file in parquet_files(where)) > PIECE
    return where.is_file() and where.stat().st_size > FIRST


def divide(where: Path | Pipe, name: str, form: str, options: ReadOptions, like: Schema | None) -> Iterator[Piece]:
    """Readers of the pieces in order, each with the number of lines that come before it, less its own repeated header.

    Raises:
        DataError: a line longer than ``LINE``, or what the readers raise.
    """
    if form in ("csv", "tsv"):
        yield from _text(where, name, "," if form == "csv" else "\t", options, like)
    elif form == "npy":
        yield from _npy(where, name)
    else:
        assert isinstance(where, Path)
        yield from _parquet(where, name, options, like)


def first_frame(where: Path | Pipe, name: str, form: str) -> pl.DataFrame:
    """All columns of the first rows of a text table or of Parquet files; a pipe can still be read from its beginning.

    Raises:
        DataError: what the readers raise.
    """
    import polars as pl

    if form == "parquet":
        with sound_parquet(name):
            if isinstance(where, Pipe):
                return pl.read_parquet(io.BytesIO(where.everything()))
            scan = pl.scan_parquet(parquet_files(where))
            return scan.head(_rows_at_once(scan)).collect()
    if isinstance(where, Pipe):
        where = Pipe(io.BytesIO(where.peek(FIRST)))
    with streamed(where) as file:
        block = next(_blocks(file, name), b"")
    return parse_text(io.BytesIO(block), name, "," if form == "csv" else "\t")[0]


def moved(error: DataError, rows: int, lines: int) -> DataError:
    """An error of one piece, with rows and lines counted from the beginning of the source."""

    def shifted(by: int) -> Callable[[re.Match[str]], str]:
        return lambda match: f"{match[1]}{int(match[2]) + by}"

    what = re.sub(r"(\brow )(\d+)", shifted(rows), error.what, count=1)
    return DataError(re.sub(r"(\bline )(\d+)", shifted(lines), what, count=1), error.hint)


def _text(where: Path | Pipe, name: str, separator: str, options: ReadOptions, like: Schema | None) -> Iterator[Piece]:
    header, lines = b"", 0
    with streamed(where) as file:
        for block in _blocks(file, name):
            if not block.isspace():
                content = header + block
                yield partial(read_text_table, io.BytesIO(content), name, separator, options, like), lines
                if not header:
                    header = spoken_header(block, name, separator)
                    lines -= 1  # later pieces repeat the header, which is counted already
            lines += block.count(b"\n")


def _blocks(file: IO[bytes], name: str) -> Iterator[bytes]:
    """Whole lines of a text table; line ends within quotes do not count.

    Each byte is looked at once: a quote that is never closed must not make long files slow.
    """
    kept, size, open_quote = b"", FIRST, 0
    while chunk := bytes(read_up_to(file, size)):
        whole = len(kept) + 1
        kept += chunk
        if len(chunk) < size:
            break
        read = np.frombuffer(chunk, np.uint8)
        quotes, ends = np.flatnonzero(read == ord('"')), np.flatnonzero(read == ord("\n"))
        outside = ends[(np.searchsorted(quotes, ends) + open_quote) % 2 == 0]
        open_quote = (open_quote + len(quotes)) % 2
        if len(outside):
            whole += int(outside[-1])
            yield kept[:whole]
            kept, size = kept[whole:], PIECE
        elif len(kept) > LINE:
            raise DataError(
                f"{name} has a line of more than {LINE >> 20} MiB", "check for missing quotes and line ends"
            )
    if kept:
        yield kept


def _npy(where: Path | Pipe, name: str) -> Iterator[Piece]:
    size = where.stat().st_size if isinstance(where, Path) else None
    with streamed(where) as file:
        shape, fortran, dtype = read_npy_header(file, size, name)
        if fortran and isinstance(where, Path):
            mapped = np.memmap(where, dtype, "c", file.tell(), shape, "F")
            for start in range(0, len(mapped), ROWS):
                yield partial(Raw, np.array(mapped[start : start + ROWS]), name, part=start > 0), 0
            return
        width = prod(shape[1:]) * dtype.itemsize
        total = shape[0] if shape else 0
        rows = total if fortran else max(1, PIECE // max(width, 1))  # column-major: a row needs the whole array
        if not shape or not total or not width:
            yield partial(Raw, np.empty(shape, dtype), name), 0
            return
        start = 0
        while start < total:
            count = min(rows if start or fortran else max(1, FIRST // width), total - start)
            content = read_up_to(file, count * width)
            if len(content) < count * width:
                raise DataError(f"{name} is cut short: it holds {start + len(content) // width} of {total} rows")
            array = np.frombuffer(content, dtype).reshape((count, *shape[1:]), order="F" if fortran else "C")
            native = array if dtype.isnative else array.astype(dtype.newbyteorder("="))
            yield partial(Raw, native, name, part=start > 0), 0
            start += count


def _kinds(where: Path, name: str, options: ReadOptions) -> tuple[Schema | None, tuple[str, ...]]:
    """The kinds of the columns of Parquet files, and notes; None for complete numbers.

    Evenly spaced rows show them, and the first row with a missing cell.
    """
    import polars as pl

    with sound_parquet(name):
        scan = pl.scan_parquet(parquet_files(where))
        total, rows = int(scan.select(pl.len()).collect().item()), _rows_at_once(scan)
        slices = min(SLICES, -(-total // rows))
        count = min(rows // slices + 1, total)
        starts = [round(i * (total - count) / max(slices - 1, 1)) for i in range(slices)]
        features = scan.select(columns_of(scan.collect_schema().names(), options, None, name).features)
        missing = pl.any_horizontal(pl.all().is_null(), pl.selectors.float().is_nan())
        first = features.select(missing.arg_max()).collect().item() or 0
        frame = pl.concat([scan.slice(start, count) for start in [first, *starts]]).collect()
    found = read_frame(frame, name, options)
    if found.mixed is None:
        return None, ()
    schema = Schema("table", (len(found.mixed),), columns=found.columns, mixed=found.mixed)
    counted = {*unknown_in_words(found.mixed, found.unknown), *(note for note in found.notes if note.startswith(HOLES))}
    return schema, tuple(note for note in found.notes if note not in counted)


def _parquet(where: Path, name: str, options: ReadOptions, like: Schema | None) -> Iterator[Piece]:
    import polars as pl

    with sound_parquet(name):
        scan = pl.scan_parquet(parquet_files(where))
        total = int(scan.select(pl.len()).collect().item())
        rows = _rows_at_once(scan)
    for start in range(0, max(total, 1), rows):
        with sound_parquet(name):
            frame = scan.slice(start, rows).collect()
        yield partial(read_frame, frame, name, options, like), 0


def _rows_at_once(scan: pl.LazyFrame) -> int:
    return max(1, min(ROWS, PIECE // (8 * max(1, len(scan.collect_schema())))))


def needs_spool(where: Path | Pipe, name: str) -> bool:
    """Whether the values of Parquet files are too many to be kept in memory."""
    import polars as pl

    if isinstance(where, Pipe):
        return False
    with sound_parquet(name):
        scan = pl.scan_parquet(parquet_files(where))
        return int(scan.select(pl.len()).collect().item()) * len(scan.collect_schema()) * 4 >= MAP_FROM


def spooled(where: Path, name: str, options: ReadOptions, like: Schema | None) -> Data:
    """All rows of Parquet files, decoded once into a temporary file without a name (in $TMPDIR) that is mapped into memory.

    Raises:
        DataError: what ``read_frame`` and ``finish`` raise, or no room for the temporary file.
    """
    rows, dtype = 0, np.dtype(np.float32)
    first: Raw | None = None
    names: dict[str, int] = {}
    codes: list[np.ndarray] = []
    kinds, notes = _kinds(where, name, options) if like is None else (None, ())
    holes: Any = 0
    unknown: Any = 0
    with tempfile.TemporaryFile() as file:
        for make, lines in _parquet(where, name, options, like or kinds):
            try:
                raw = replace(make(), ids=None)
                if first is None:
                    first = raw
                    pixels = raw.values.dtype == np.uint8 and finish(raw, options, like).schema.kind == "image"
                    dtype = raw.values.dtype if pixels else dtype
                values = raw.values
                if values.dtype != dtype:
                    values = finish(replace(raw, labels=None), ReadOptions(kind="table")).x
            except DataError as error:
                raise moved(error, rows, lines) from error
            if values.dtype != dtype:
                raise DataError(f"{name} holds {dtype} first and {raw.values.dtype} from {row_name(rows)}")
            if kinds is not None and raw.mixed is not None:
                unknown = unknown + np.array(raw.unknown)
                holes = holes + np.isnan(values).sum(0) - np.where([each.other for each in raw.mixed], 0, raw.unknown)
            with _room(name):
                file.write(np.ascontiguousarray(values).data)
            rows += len(values)
            if raw.labels is not None:
                codes.append(np.array([names.setdefault(label or "", len(names)) for label in raw.labels], np.int32))
        with _room(name):
            file.flush()
        assert first is not None
        mapped = np.memmap(file, dtype, "r+", 0, (rows, first.values.shape[1]))
    if kinds is not None:
        notes = (*notes, *holes_in_words(kinds.columns or (), holes), *unknown_in_words(kinds.mixed or (), unknown))
        first = replace(first, notes=notes, unknown=tuple(map(int, unknown)))
    data = finish(replace(first, values=mapped, labels=None), options, like)
    classes, found, _ = (
        encode_labels(list(names), len(names), name, (), options.unlabelled) if codes else (None, None, ())
    )
    if classes is None:
        return data
    return replace(data, labels=classes[np.concatenate(codes)], schema=data.schema.with_classes(found))


@contextmanager
def _room(name: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        what = f"{name} is decoded into {tempfile.gettempdir()}, and that failed: {error.strerror}"
        raise DataError(what, "set TMPDIR to a folder with room") from error
