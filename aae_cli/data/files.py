"""Opening files: every way in which that fails becomes one line that names the file."""

from __future__ import annotations

import difflib
import functools
import gzip
import io
import sys
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, BinaryIO, cast

from ..errors import DataError

Where = Path | io.BytesIO
"""A file, or what was read from a pipe."""

LIMIT = 16 * 2**30
"""The most bytes that one file may unpack to: more is taken for a damaged or hostile file."""

_CHUNK = 2**24


class NotHere(DataError):
    """A named data set that is neither on this machine nor to be had over the network."""


def clean(text: object, most: int = 80) -> str:
    """Text from a file, made safe for a terminal: control characters are escaped, long text is cut to ``most``."""
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(text)[: most + 1])
    return shown if len(shown) <= most else shown[: most - 1] + "…"


def quoted(text: object) -> str:
    """``clean`` text in quotes."""
    return f"'{clean(text)}'"


def listed(names: Iterable[object], most: int = 5) -> str:
    """``a, b, c and 4 more``."""
    items = [clean(name, 40) for name in names]
    return ", ".join(items[:most]) + (f" and {len(items) - most} more" if len(items) > most else "")


def did_you_mean(word: str, known: Iterable[str]) -> str | None:
    """``did you mean x?``, or None where nothing is close."""
    close = difflib.get_close_matches(word, list(known), n=1)
    return f"did you mean {clean(close[0])}?" if close else None


@contextmanager
def guarded(name: str) -> Iterator[None]:
    """Turns what goes wrong while reading into a DataError that names the file.

    Raises:
        DataError: in place of any OSError, EOFError, MemoryError or decompression error.
    """
    try:
        yield
    except FileNotFoundError as error:
        raise DataError(f"{name} does not exist") from error
    except IsADirectoryError as error:
        raise DataError(f"{name} is a folder, not a file") from error
    except PermissionError as error:
        raise DataError(f"{name} may not be read: permission denied") from error
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{name} is cut short or damaged: {clean(error)}", "copy or download it again") from error
    except MemoryError as error:
        raise DataError(f"{name} does not fit into memory") from error
    except OSError as error:
        raise DataError(f"{name} cannot be read: {clean(error.strerror or error)}") from error


def stdin_bytes() -> io.BytesIO:
    """All of standard input; kept, so that it can be read again in the form of a checkpoint that fits it.

    Raises:
        DataError: it is a terminal or closed.
    """
    if sys.stdin is None or sys.stdin.closed or sys.stdin.isatty():
        raise DataError("nothing is piped into stdin", "pipe data into it or give a file in place of -")
    return io.BytesIO(_everything(sys.stdin.buffer))


def pipe_bytes(path: Path) -> io.BytesIO:
    """What a named pipe or ``/dev/stdin`` gives; kept like stdin."""
    return io.BytesIO(_everything(path))


@functools.cache
def _everything(source: BinaryIO | Path) -> bytes:
    if isinstance(source, Path):
        return source.read_bytes()
    return source.read()


@contextmanager
def opened(where: Where) -> Iterator[IO[bytes]]:
    """A binary stream of a file's content, unpacked if it is gzipped."""
    if isinstance(where, io.BytesIO):
        where.seek(0)
        packed = where.read(2) == b"\x1f\x8b"
        where.seek(0)
        yield cast("IO[bytes]", gzip.GzipFile(fileobj=where)) if packed else where
        return
    with where.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        yield cast("IO[bytes]", gzip.GzipFile(fileobj=file)) if packed else file


def read_up_to(file: IO[bytes], size: int) -> bytearray:
    """At most ``size`` bytes; memory grows with what is there, not with what a header claims."""
    content = bytearray()
    while len(content) < size and (chunk := file.read(min(_CHUNK, size - len(content)))):
        content += chunk
    return content


def read_whole(where: Where, name: str) -> bytes:
    """All bytes of a file, unpacked if it is gzipped.

    Raises:
        DataError: more than ``LIMIT`` bytes.
    """
    with opened(where) as file:
        plain = isinstance(where, Path) and not isinstance(file, gzip.GzipFile)
        content = file.read(LIMIT + 1) if plain else bytes(read_up_to(file, LIMIT + 1))
    if len(content) > LIMIT:
        raise DataError(f"{name} holds more than {LIMIT >> 30} GiB")
    return content
