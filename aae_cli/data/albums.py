"""Image files by their ids and contents: those below a folder, and those in a zip or tar archive, without unpacking it."""

from __future__ import annotations

import io
import os
import tarfile
import threading
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO

from ..errors import DataError
from ..text import clean, encodable
from .formats import SHARDS
from .streams import Where, as_size, free_memory, guarded, read_up_to, refuse_claim, size_of

SUFFIXES = ("png", "jpg", "jpeg", "bmp", "gif", "webp", "tif", "tiff")

LARGEST = 2**28
"""Bytes of the largest image file in an archive; larger ones are refused."""


@dataclass(frozen=True)
class Picture:
    """An image file that is not yet read.

    Attributes:
        id: its path below the folder or in the archive.
        shown: its name in messages.
        content: returns its path or its bytes; several threads may call it at once.
    """

    id: str
    shown: str
    content: Callable[[], Where]


@dataclass(frozen=True)
class Album:
    """Image files, sorted by id, with the subfolder of the first level that each is in; all '' where there are none."""

    name: str
    pictures: tuple[Picture, ...]
    labels: tuple[str, ...]

    @classmethod
    def of(cls, name: str, pictures: Iterable[Picture]) -> Album:
        """Raises DataError if there are no pictures."""
        found = sorted(pictures, key=lambda picture: PurePosixPath(picture.id))
        if not found:
            raise DataError(f"{name} has no images", f"known suffixes are {', '.join(SUFFIXES)}")
        parts = [PurePosixPath(picture.id).parts for picture in found]
        return cls(name, tuple(found), tuple(each[0] if len(each) > 1 else "" for each in parts))


def is_image(name: str) -> bool:
    return name.lower().rpartition(".")[2] in SUFFIXES


def in_folder(folder: Path, name: str) -> Album:
    """All images in a folder and its subfolders, except hidden ones. Raises DataError if there are none."""
    found = [
        Picture(encodable(path.as_posix()), clean(folder / path, 200), (folder / path).absolute)
        for path in _walk(folder)
    ]
    if not found and any(path.name.lower().endswith(SHARDS) for path in folder.iterdir()):
        raise DataError(
            f"the folder {name} has files of rows, but no images",
            "name one of them; embed, cluster, classify and score take all of them with -o FOLDER/",
        )
    return Album.of(name if found else f"the folder {name}", found)


def _walk(folder: Path) -> list[Path]:
    """List the relative paths of image files, except hidden ones; each folder is entered once, even if links loop."""
    found, seen = [], set()

    def refuse(error: OSError) -> None:
        raise error

    for here, folders, files in os.walk(folder, followlinks=True, onerror=refuse):
        real = os.path.realpath(here)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(item for item in folders if not item.startswith("."))
        found += [Path(here, item).relative_to(folder) for item in files if is_image(item) and item[0] != "."]
    return found


def in_zip(where: Where, name: str) -> Album:
    """All images in a zip archive, which stays open as long as its pictures are used.

    Raises:
        DataError: the archive is damaged, or has no images.
    """
    try:
        file = zipfile.ZipFile(where)
        members = [info for info in file.infolist() if not info.is_dir() and _wanted(info.filename)]
    except (zipfile.BadZipFile, NotImplementedError, ValueError) as error:
        raise DataError(f"{name} is not a zip archive, or is damaged: {clean(error)}") from error

    def content(info: zipfile.ZipInfo, shown: str) -> Where:
        _refuse_large(info.file_size, info.compress_size, shown)
        try:
            with file.open(info) as member:
                return _bytes(member, shown)
        except (zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:  # RuntimeError: it is encrypted
            raise DataError(f"{shown} is damaged or encrypted: {clean(error)}") from error

    return _album(name, [(info.filename, partial(content, info)) for info in members])


def in_tar(where: Where, name: str) -> Album:
    """All images in a tar archive. A compressed one is read into memory, as it has no order but that of its beginning.

    Raises:
        DataError: the archive is damaged, has no images, or is compressed and does not fit into memory.
    """
    try:
        file = tarfile.open(where) if isinstance(where, Path) else tarfile.open(fileobj=where)  # noqa: SIM115
        members = [info for info in file if info.isfile() and _wanted(info.name)]
        packed = not isinstance(file.fileobj, (io.BufferedReader, io.BytesIO))
        if packed:
            return _album(name, _unpacked(file, members, size_of(where), name))
    except (tarfile.TarError, EOFError) as error:
        raise DataError(f"{name} is not a tar archive, or is damaged: {clean(error)}") from error
    lock = threading.Lock()

    def content(info: tarfile.TarInfo, shown: str) -> Where:
        _refuse_large(info.size, info.size, shown)
        with lock:
            member = file.extractfile(info)
            assert member is not None  # it is a file
            return _bytes(member, shown)

    return _album(name, [(info.name, partial(content, info)) for info in members])


def _unpacked(
    file: tarfile.TarFile, members: list[tarfile.TarInfo], packed: int, name: str
) -> list[tuple[str, Callable[[str], Where]]]:
    total, free = sum(info.size for info in members), free_memory()
    refuse_claim(total, packed, name)
    if free is not None and total > free // 2:
        raise DataError(f"the images in {name} take {as_size(total)} of memory", "save them as .zip or as a plain .tar")
    found: list[tuple[str, Callable[[str], Where]]] = []
    for info in members:
        member = file.extractfile(info)
        assert member is not None  # it is a file
        content = _bytes(member, clean(info.name)).getvalue()
        found.append((info.name, partial(_kept, content)))
    return found


def _kept(content: bytes, shown: str) -> Where:
    return io.BytesIO(content)


def _album(name: str, members: list[tuple[str, Callable[[str], Where]]]) -> Album:
    """Pictures by their paths in an archive, without a folder that all of them are in."""
    paths = [PurePosixPath(path) for path, _ in members]
    tops = {path.parts[0] for path in paths}
    common = len(tops) == 1 and all(len(path.parts) > 1 for path in paths)
    found = []
    for path, (_, content) in zip(paths, members, strict=True):
        shown = f"{name}: {clean(path, 200)}"
        own = PurePosixPath(*path.parts[1:]) if common else path
        found.append(Picture(encodable(own.as_posix()), shown, partial(_guarded, content, shown)))
    return Album.of(name, found)


def _guarded(content: Callable[[str], Where], shown: str) -> Where:
    with guarded(shown):
        return content(shown)


def _wanted(path: str) -> bool:
    """Whether an archive's member is an image that is not hidden (macOS adds hidden ones, such as ``._1.png``)."""
    return is_image(path) and not any(part.startswith(".") for part in PurePosixPath(path).parts)


def _refuse_large(size: int, packed: int, shown: str) -> None:
    refuse_claim(size, packed, shown)
    if size > LARGEST:
        raise DataError(f"{shown} is too large an image file: {as_size(size)}")


def _bytes(file: IO[bytes], shown: str) -> io.BytesIO:
    content = read_up_to(file, LARGEST + 1)
    if len(content) > LARGEST:
        raise DataError(f"{shown} is too large an image file: more than {as_size(LARGEST)}")
    return io.BytesIO(bytes(content))
