"""Write files completely or not at all, and lock run folders."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .errors import AaeError


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield the path of a temporary file that replaces ``path`` on success and is deleted on failure.

    If ``path`` is a device, a pipe or a link, the content is written into it instead of replacing it.

    Raises:
        AaeError: the folder is missing, read-only or full.
    """
    target = Path(path)
    special = target.is_symlink() or (target.exists() and not target.is_file() and not target.is_dir())
    temporary: Path | None = None
    try:
        if target.is_dir():
            raise AaeError(f"{target} is a folder", "give the path of a file")
        if special:
            handle, name = tempfile.mkstemp(prefix=".aae-", suffix=target.suffix)
        else:
            handle, name = tempfile.mkstemp(prefix=f".{target.name[:40]}-", suffix=target.suffix, dir=target.parent)
        os.close(handle)
        temporary = Path(name)
        yield temporary
        if special:
            with target.open("wb") as through:
                through.write(temporary.read_bytes())
            return
        with temporary.open("rb+") as written:
            os.fsync(written.fileno())
        mode = target.stat().st_mode & 0o777 if target.exists() else 0o666 & ~_umask()
        temporary.chmod(mode)
        temporary.replace(target)
        temporary = None
        _sync_folder(target.parent)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise AaeError(f"cannot write {target}: {reason}", "choose another path with -o") from None
    finally:
        if temporary is not None:
            with suppress(OSError):
                temporary.unlink()


def remove_leftovers(folder: Path, names: Iterable[str]) -> None:
    """Delete temporary files left by a process killed while writing ``names``; no process may be writing them now."""
    for name in names:
        for path in folder.glob(f".{name}-????????{Path(name).suffix}"):
            with suppress(OSError):
                path.unlink()


def write_whole(path: Path, content: bytes | str) -> None:
    with whole_file(path) as temporary:
        temporary.write_bytes(content.encode() if isinstance(content, str) else content)


def make_folder(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise AaeError(f"cannot create the folder {path}: {error.strerror}", "choose another path with -o") from None


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Lock a folder, so that no other process trains into it. The lock is released when its process ends.

    Raises:
        AaeError: another process holds the lock, or the lock file cannot be written.
    """
    try:
        import fcntl
    except ImportError:  # this system has no flock
        yield
        return
    file = folder / ".lock"
    try:
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
    except OSError as error:
        raise AaeError(f"cannot write {file}: {error.strerror}", "choose another path with -o") from None
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AaeError(f"another training is writing to {folder}", "wait for it, or choose another -o") from None
        except OSError:
            pass  # this file system has no locks
        try:
            yield
        finally:
            with suppress(OSError):
                file.unlink()
    finally:
        os.close(descriptor)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _sync_folder(folder: Path) -> None:
    with suppress(OSError):  # some file systems cannot sync a folder
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
