"""Write tables of results as CSV, TSV, Parquet, JSON, JSON lines or NumPy files, completely or not at all.

Numbers in text have 7 significant digits.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

import numpy as np

from ..errors import AaeError, UsageError
from ..files import whole_file, write_whole

TABLES = ("csv", "tsv", "parquet", "ndjson", "json", "npz", "npy")
BINARY = ("parquet", "npz", "npy", "png")
Column = Sequence[Any] | np.ndarray


def output_format(
    output: str | None, format: str | None, *, pipe_input: bool = False, allowed: Sequence[str] = TABLES, default: str
) -> str:
    """Choose the format to write, before any work is done.

    Args:
        output: value of ``-o``.
        format: value of ``--format``.
        pipe_input: whether data is read from stdin; ``--format`` then names its format too.
        allowed: formats to choose from.
        default: format if neither ``-o`` nor ``--format`` sets one.

    Raises:
        UsageError: the format cannot be written.
    """
    suffixes = Path(output).suffixes if output not in (None, "-") else []
    suffix = suffixes[-1].removeprefix(".").lower() if suffixes else ""
    if suffix in allowed and (format is None or pipe_input):
        return suffix
    if format is not None:
        name = format.lower().removeprefix(".")
        if name in allowed:
            return name
        if not pipe_input:
            raise UsageError(f"--format {format}: cannot be written here", f"choose from {', '.join(allowed)}")
        return default
    if suffix and output is not None and not Path(output).exists():
        raise UsageError(f"-o {output}: unknown suffix .{suffix}", f"use one of {', '.join(allowed)}, or add --format")
    return default


def check_output(output: str | None, option: str = "-o") -> None:
    """Check before any work is done that the output can be written.

    Args:
        option: the option that names it.

    Raises:
        AaeError: the folder does not exist, or the path is a folder or not writable.
    """
    if output is None or output == "-":
        return
    path = Path(output)
    if path.is_dir():
        raise AaeError(f"{option} {output} is a folder", "give the path of a file")
    if not path.parent.is_dir():
        raise AaeError(f"{option} {output}: there is no folder {path.parent}", "create it first")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise AaeError(f"{option} {output} cannot be written: permission denied", "choose another place")


EXACT_POWER = 22
"""Largest power of ten that is a float64."""


def significant(values: np.ndarray, digits: int = 7) -> np.ndarray:
    """Round floats to significant digits; the shortest text of each resulting float64 has no more digits."""
    values = np.asarray(values, dtype=np.float64)
    size = np.zeros_like(values)
    nonzero = (values != 0) & np.isfinite(values)
    np.floor(np.log10(np.abs(values, where=nonzero, out=np.ones_like(values)), out=size), out=size)
    power = digits - 1 - size
    # Multiply and divide by powers of ten of at least 1: negative powers of ten are not exact.
    rounded = np.where(
        power >= 0,
        np.rint(values * 10.0 ** np.maximum(power, 0)) / 10.0 ** np.maximum(power, 0),
        np.rint(values / 10.0 ** np.maximum(-power, 0)) * 10.0 ** np.maximum(-power, 0),
    )
    tiny = np.abs(power) > EXACT_POWER
    rounded[tiny] = [float(f"{value:.{digits - 1}e}") for value in values[tiny]]
    return np.where(nonzero, rounded, values)


def table_bytes(columns: Mapping[str, Column], format: str, *, integers: bool = True, header: bool = True) -> bytes:
    """Encode a table in one of the formats. .npy holds the numeric columns side by side, .npz one array per column.

    Args:
        integers: write columns of whole numbers without a decimal point in CSV and TSV.
        header: begin CSV and TSV with the column names.
    """
    if format in ("npz", "npy"):
        return _numpy_bytes(columns, format)
    import polars as pl

    series = []
    for name, values in columns.items():
        if isinstance(values, np.ndarray) and values.dtype.kind == "f":
            whole = np.isfinite(values).all() and (values == np.rint(values)).all() and (np.abs(values) < 2**53).all()
            as_integers = integers and whole and format in ("csv", "tsv") and len(values)
            series.append(pl.Series(name, values.astype(np.int64) if as_integers else significant(values)))
        else:
            series.append(pl.Series(name, values))
    frame = pl.DataFrame(series)
    buffer = io.BytesIO()
    if format == "parquet":
        frame.write_parquet(buffer)
    elif format == "ndjson":
        frame.write_ndjson(buffer)
    elif format == "json":
        frame.write_json(buffer)
    else:
        frame.write_csv(buffer, separator="\t" if format == "tsv" else ",", include_header=header)
    return buffer.getvalue()


def _numpy_bytes(columns: Mapping[str, Column], format: str) -> bytes:
    buffer = io.BytesIO()
    arrays = {name: np.asarray(values) for name, values in columns.items()}
    if format == "npz":
        arrays = {name: a.astype(str) if a.dtype.kind == "O" else a for name, a in arrays.items()}
        np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
    else:
        numbers = [a for name, a in arrays.items() if a.dtype.kind in "fiu" and name not in ("id", "label")]
        if not numbers:
            raise UsageError("--format npy: there are no numeric columns", "use npz or csv")
        np.save(buffer, np.column_stack(numbers), allow_pickle=False)
    return buffer.getvalue()


class TableWriter:
    """Write a table piece by piece: to a file that appears when it is complete, or directly to stdout.

    CSV, TSV and JSON lines are written immediately; other formats are kept in memory until the end. Used as a context
    manager.
    """

    def __init__(self, output: str | None, format: str) -> None:
        self.output, self.format, self.rows = output, format, 0
        self._stack = ExitStack()
        self._file: IO[bytes] | None = None
        self._kept: dict[str, list[Any]] = {}

    def __enter__(self) -> TableWriter:
        if self.output not in (None, "-"):
            temporary = self._stack.enter_context(whole_file(Path(str(self.output))))
            self._file = self._stack.enter_context(temporary.open("wb"))
        else:
            _refuse_terminal(self.format)
        return self

    def write(self, columns: Mapping[str, Column]) -> None:
        """Add rows. Every call must pass the same columns; those of polars are written as they are, without rounding."""
        if self.format in ("csv", "tsv", "ndjson"):
            self._put(table_bytes(columns, self.format, integers=False, header=self.rows == 0))
        else:
            for name, values in columns.items():
                self._kept.setdefault(name, []).append(values if _of_polars(values) else np.asarray(values))
        self.rows += len(next(iter(columns.values())))

    def _put(self, content: bytes) -> None:
        _put(content, self._file or _stdout())

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: Any) -> None:
        try:
            if kind is None and self._kept:
                whole = {name: _joined(pieces) for name, pieces in self._kept.items()}
                self._put(table_bytes(whole, self.format, integers=False))
        except BaseException:
            self._stack.__exit__(*sys.exc_info())
            raise
        self._stack.__exit__(kind, error, trace)


def _of_polars(values: Any) -> bool:
    return type(values).__module__.partition(".")[0] == "polars"


def _joined(pieces: list[Any]) -> Column:
    """Pieces of a column as one; columns of polars as text where their types differ from piece to piece."""
    if not _of_polars(pieces[0]):
        return np.concatenate(pieces)
    import polars as pl

    if len({piece.dtype for piece in pieces}) > 1:
        pieces = [piece.cast(pl.String) for piece in pieces]
    return pl.concat(pieces)  # type: ignore[return-value]


def write(content: bytes, output: str | None, format: str) -> None:
    """Write content to a file, completely or not at all, or to stdout.

    Raises:
        UsageError: binary content would be printed on a terminal.
    """
    if output not in (None, "-"):
        write_whole(Path(str(output)), content)
        return
    _refuse_terminal(format)
    _put(content, _stdout())


def _refuse_terminal(format: str) -> None:
    if format in BINARY and sys.stdout is not None and sys.stdout.isatty():
        raise UsageError(f"{format} would garble the terminal", "write it to a file with -o FILE, or use a pipe")


def _stdout() -> IO[bytes]:
    if sys.stdout is None:
        raise AaeError("stdout is closed", "write to a file with -o FILE")
    return sys.stdout.buffer


def _put(content: bytes, out: IO[bytes]) -> None:
    for start in range(0, len(content), 1 << 16):
        out.write(content[start : start + (1 << 16)])
    out.flush()
