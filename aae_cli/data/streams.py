"""Open files and pipes; every failure becomes a one-line error that names the file."""

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
"""A file's path, or the content of a pipe."""

LIMIT = 16 * 2**30
"""Largest unpacked size of a file, in bytes; a larger file is treated as damaged or hostile."""

DEFLATE = 1032
"""Most bytes that one byte of a gzip or zip file unpacks to."""

_CHUNK = 2**24


class NotHere(DataError):
    """A named data set that is not on this machine and cannot be downloaded."""


@contextmanager
def guarded(name: str) -> Iterator[None]:
    """Turn errors while reading into a DataError that names the file.

    Raises:
        DataError: replaces any OSError, EOFError, MemoryError or decompression error.
    """
    try:
        yield
    except FileNotFoundError as error:
        raise DataError(f"{name} does not exist") from error
    except IsADirectoryError as error:
        raise DataError(f"{name} is a folder, not a file") from error
    except PermissionError as error:
        raise DataError(f"{name} cannot be read: permission denied") from error
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{name} is cut short or damaged: {clean(error)}", "copy or download it again") from error
    except MemoryError as error:
        raise DataError(f"{name} does not fit into memory") from error
    except OSError as error:
        raise DataError(f"{name} cannot be read: {clean(error.strerror or error)}") from error


@contextmanager
def hushed() -> Iterator[None]:
    """Discard what native code of a library writes to stderr, such as the report of a panic that is caught."""
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
    """Content of a pipe: its beginning can be inspected repeatedly; all of it is then streamed once, or kept."""

    def __init__(self, source: IO[bytes]) -> None:
        self._source, self._kept, self._ended = source, b"", False

    def peek(self, size: int) -> bytes:
        """Return at least the first ``size`` bytes, or all if there are fewer, without consuming them."""
        if len(self._kept) < size and not self._ended:
            more = bytes(read_up_to(self._source, size - len(self._kept)))
            self._kept += more
            self._ended = len(self._kept) < size
        return self._kept

    def everything(self) -> bytes:
        """Return all bytes and keep them, so that they can be read again with the schema of a matching checkpoint."""
        if not self._ended:
            self._kept, self._ended = self._kept + self._source.read(), True
        return self._kept

    def stream(self) -> IO[bytes]:
        """Return all bytes as a stream that can be read once; they are not kept."""
        kept, self._kept, self._ended = self._kept, b"", True
        return cast("IO[bytes]", io.BufferedReader(_Chained(kept, self._source), _CHUNK >> 4))


class _Chained(io.RawIOBase):
    """Bytes that were already read, followed by the rest of their stream."""

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
    """Return standard input.

    Raises:
        DataError: stdin is a terminal or closed.
    """
    if sys.stdin is None or sys.stdin.closed or sys.stdin.isatty():
        raise DataError("nothing is piped into stdin", "pipe data into aae, or give a file instead of -")
    return _pipe(sys.stdin.buffer)


def named_pipe(path: Path) -> Pipe:
    """Return a named pipe or ``/dev/stdin``; each path is opened only once."""
    return _pipe(path)


@functools.cache
def _pipe(source: BinaryIO | Path) -> Pipe:
    return Pipe(source.open("rb") if isinstance(source, Path) else source)


@contextmanager
def streamed(where: Path | Pipe) -> Iterator[IO[bytes]]:
    """Yield the content of a file or pipe as a binary stream, unpacked if gzipped; a pipe can be streamed only once."""
    if isinstance(where, Path):
        with opened(where) as file:
            yield file
        return
    packed = where.peek(2)[:2] == b"\x1f\x8b"
    stream = where.stream()
    yield cast("IO[bytes]", gzip.GzipFile(fileobj=stream)) if packed else stream


@contextmanager
def opened(where: Where) -> Iterator[IO[bytes]]:
    """Yield the content of a file as a binary stream, unpacked if gzipped."""
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


def size_of(where: Where) -> int:
    """Bytes of a file or of a pipe's content, as they are packed."""
    return len(where.getbuffer()) if isinstance(where, io.BytesIO) else where.stat().st_size


def read_up_to(file: IO[bytes], size: int) -> bytearray:
    """Read at most ``size`` bytes; memory grows with the actual content, not with the size that a header declares."""
    content = bytearray()
    while len(content) < size and (chunk := file.read(min(_CHUNK, size - len(content)))):
        content += chunk
    return content


def read_whole(where: Where, name: str) -> bytes:
    """Read all bytes of a file, unpacked if gzipped.

    Raises:
        DataError: there are more than ``LIMIT`` bytes, or they do not fit into memory beside their values.
    """
    free = free_memory()
    limit = LIMIT if free is None else min(LIMIT, free // 2)
    with opened(where) as file:
        packed = isinstance(file, gzip.GzipFile)
        if packed or size_of(where) <= limit:
            content = bytes(read_up_to(file, limit + 1)) if packed else file.read(limit + 1)
            if len(content) <= limit:
                return content
    if limit == LIMIT:
        raise DataError(f"{name} holds more than {LIMIT >> 30} GiB")
    hint = "use a machine with more memory, take fewer rows, or save it as .parquet or .npy"
    raise DataError(f"{name} holds more than half of the free memory, {as_size(limit)}", hint)


def refuse_claim(size: int, packed: int, name: str) -> None:
    """Refuse a size that cannot be true or does not fit into memory, before anything is unpacked.

    Args:
        size: bytes that a header claims.
        packed: bytes of the file that they are unpacked from.

    Raises:
        DataError: more than ``packed`` bytes can hold, than ``LIMIT``, or than the free memory.
    """
    if size > DEFLATE * (packed + 64):
        what = f"{name} claims to hold {as_size(size)}, for which {as_size(packed)} of the file are too few"
        raise DataError(what, "copy or download it again, or save it anew")
    if size > LIMIT:
        raise DataError(f"{name} is too large: it claims to hold more than {LIMIT >> 30} GiB")
    free = free_memory()
    if free is not None and size > free:
        hint = "take fewer rows, or save it as .npy, which is not read into memory as a whole"
        raise DataError(f"{name} takes {as_size(size)} of memory, of which {as_size(free)} are free", hint)


def as_size(count: int) -> str:
    """A number of bytes, with a unit."""
    unit = min(max(count.bit_length() - 1, 0) // 10, 3)
    return f"{count / 2 ** (10 * unit):.{1 if unit else 0}f} {('bytes', 'KiB', 'MiB', 'GiB')[unit]}"


def free_memory() -> int | None:
    """Bytes of memory that can be used without swapping, or all memory of the machine; None where neither is known."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable:"))
    except (OSError, ValueError, StopIteration):
        pass
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return None
