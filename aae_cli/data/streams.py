"""Opening files: every way in which that fails becomes one line that names the file."""

from __future__ import annotations

import functools
import gzip
import io
import os
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, BinaryIO, cast

from ..errors import DataError
from ..text import clean

Where = Path | io.BytesIO
"""A file, or what was read from a pipe."""

LIMIT = 16 * 2**30
"""The most bytes that one file may unpack to: more is taken for a damaged or hostile file."""

_CHUNK = 2**24


class NotHere(DataError):
    """A named data set that is neither on this machine nor to be had over the network."""


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


@contextmanager
def hushed() -> Iterator[None]:
    """Keep what a library's native code writes to stderr (a panic's report, before it becomes an exception) from showing."""
    try:
        kept = os.dup(2)
    except OSError:  # stderr is closed
        yield
        return
    silence = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(silence, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(silence)


class Pipe:
    """What comes through a pipe: looked at from its beginning as often as needed, and then read once, or kept whole."""

    def __init__(self, source: IO[bytes]) -> None:
        self._source, self._kept, self._ended = source, b"", False

    def peek(self, size: int) -> bytes:
        """The first bytes, ``size`` of them or, where there are fewer, all."""
        if len(self._kept) < size and not self._ended:
            more = bytes(read_up_to(self._source, size - len(self._kept)))
            self._kept += more
            self._ended = len(self._kept) < size
        return self._kept

    def everything(self) -> bytes:
        """All bytes; kept, so that they can be read again in the form of a checkpoint that fits them."""
        if not self._ended:
            self._kept, self._ended = self._kept + self._source.read(), True
        return self._kept

    def stream(self) -> IO[bytes]:
        """All bytes, once: they are not kept."""
        kept, self._kept, self._ended = self._kept, b"", True
        return cast("IO[bytes]", io.BufferedReader(_Chained(kept, self._source), _CHUNK >> 4))


class _Chained(io.RawIOBase):
    """Bytes that were read already, then the rest of a stream."""

    def __init__(self, first: bytes, rest: IO[bytes]) -> None:
        self._first, self._rest = memoryview(first), rest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if self._first:
            size = min(len(buffer), len(self._first))
            buffer[:size], self._first = self._first[:size], self._first[size:]
            return size
        read = getattr(self._rest, "readinto1", None) or self._rest.readinto  # type: ignore[attr-defined]
        return read(buffer) or 0


def stdin_pipe() -> Pipe:
    """Standard input.

    Raises:
        DataError: it is a terminal or closed.
    """
    if sys.stdin is None or sys.stdin.closed or sys.stdin.isatty():
        raise DataError("nothing is piped into stdin", "pipe data into it or give a file in place of -")
    return _pipe(sys.stdin.buffer)


def named_pipe(path: Path) -> Pipe:
    """A named pipe or ``/dev/stdin``; opened once."""
    return _pipe(path)


@functools.cache
def _pipe(source: BinaryIO | Path) -> Pipe:
    return Pipe(source.open("rb") if isinstance(source, Path) else source)


@contextmanager
def streamed(where: Path | Pipe) -> Iterator[IO[bytes]]:
    """A binary stream of what a file or a pipe holds, read once from its beginning; unpacked if it is gzipped."""
    if isinstance(where, Path):
        with opened(where) as file:
            yield file
        return
    packed = where.peek(2)[:2] == b"\x1f\x8b"
    stream = where.stream()
    yield cast("IO[bytes]", gzip.GzipFile(fileobj=stream)) if packed else stream


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
