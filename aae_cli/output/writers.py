"""Writers by suffix: tables of results as CSV, TSV, Parquet, JSON lines or NumPy files; whole or not at all.

Numbers have 7 significant digits in text.
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
    """The format to write, decided before any work is done.

    Args:
        output: ``-o``. format: ``--format``, which with ``pipe_input`` also names the format of stdin.

    Raises:
        UsageError: a format that cannot be written.
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


def check_output(output: str | None) -> None:
    """Refuse what cannot be written before the work is done, not after.

    Raises:
        AaeError: the folder does not exist, or the path is a folder.
    """
    if output is None or output == "-":
        return
    path = Path(output)
    if path.is_dir():
        raise AaeError(f"-o {output} is a folder", "give a file's path")
    if not path.parent.is_dir():
        raise AaeError(f"-o {output}: there is no folder {path.parent}", "make it first")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise AaeError(f"-o {output} cannot be written: permission denied", "choose another place")


def significant(values: np.ndarray, digits: int = 7) -> np.ndarray:
    """Floats rounded to significant digits, as float64 whose shortest text has no more."""
    values = np.asarray(values, dtype=np.float64)
    size = np.zeros_like(values)
    nonzero = (values != 0) & np.isfinite(values)
    np.floor(np.log10(np.abs(values, where=nonzero, out=np.ones_like(values)), out=size), out=size)
    power = digits - 1 - size
    # Two factors: 10^(digits) of the smallest float32 would overflow nothing, but its inverse must stay exact enough.
    rounded = np.where(
        power >= 0,
        np.rint(values * 10.0 ** np.maximum(power, 0)) / 10.0 ** np.maximum(power, 0),
        np.rint(values / 10.0 ** np.maximum(-power, 0)) * 10.0 ** np.maximum(-power, 0),
    )
    return np.where(nonzero, rounded, values)


def table_bytes(columns: Mapping[str, Column], format: str, *, integers: bool = True, header: bool = True) -> bytes:
    """A table in one of the formats. .npy holds the number columns side by side; .npz an array a column.

    Args:
        integers: write columns of whole numbers without a decimal point, in text.
        header: whether text begins with the names of the columns.
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
            raise UsageError("--format npy: there are no number columns", "use npz or csv")
        np.save(buffer, np.column_stack(numbers), allow_pickle=False)
    return buffer.getvalue()


class TableWriter:
    """A table that is written piece by piece: to a file, which appears whole at the end, or to stdout as it comes.

    Text is written at once; other formats are kept until the end. Used as a context manager.
    """

    def __init__(self, output: str | None, format: str) -> None:
        self.output, self.format, self.rows = output, format, 0
        self._stack = ExitStack()
        self._file: IO[bytes] | None = None
        self._kept: dict[str, list[np.ndarray]] = {}

    def __enter__(self) -> TableWriter:
        if self.output not in (None, "-"):
            temporary = self._stack.enter_context(whole_file(Path(str(self.output))))
            self._file = self._stack.enter_context(temporary.open("wb"))
        else:
            _refuse_terminal(self.format)
        return self

    def write(self, columns: Mapping[str, Column]) -> None:
        """Add rows. Columns must be the same each time."""
        if self.format in ("csv", "tsv", "ndjson"):
            self._put(table_bytes(columns, self.format, integers=False, header=self.rows == 0))
        else:
            for name, values in columns.items():
                self._kept.setdefault(name, []).append(np.asarray(values))
        self.rows += len(next(iter(columns.values())))

    def _put(self, content: bytes) -> None:
        _put(content, self._file or _stdout())

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: Any) -> None:
        try:
            if kind is None and self._kept:
                whole = {name: np.concatenate(pieces) for name, pieces in self._kept.items()}
                self._put(table_bytes(whole, self.format, integers=False))
        except BaseException:
            self._stack.__exit__(*sys.exc_info())
            raise
        self._stack.__exit__(kind, error, trace)


def write(content: bytes, output: str | None, format: str) -> None:
    """To a file (whole), or to stdout.

    Raises:
        UsageError: binary content for a terminal.
    """
    if output not in (None, "-"):
        write_whole(Path(str(output)), content)
        return
    _refuse_terminal(format)
    _put(content, _stdout())


def _refuse_terminal(format: str) -> None:
    if format in BINARY and sys.stdout is not None and sys.stdout.isatty():
        raise UsageError(f"{format} would garble the terminal", "write it to a file with -o FILE, or pipe it on")


def _stdout() -> IO[bytes]:
    if sys.stdout is None:
        raise AaeError("stdout is closed", "write to a file with -o FILE")
    return sys.stdout.buffer


def _put(content: bytes, out: IO[bytes]) -> None:
    for start in range(0, len(content), 1 << 16):
        out.write(content[start : start + (1 << 16)])
    out.flush()
