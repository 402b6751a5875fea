"""Read image files and folders of images."""

from __future__ import annotations

import io
import os
import struct
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..errors import DataError
from ..text import clean
from .streams import LIMIT, Where, guarded
from .types import Schema
from .values import Raw

if TYPE_CHECKING:
    from PIL.Image import Image

SUFFIXES = ("png", "jpg", "jpeg", "bmp", "gif", "webp", "tif", "tiff")


def read_image(where: Where, name: str, like: Schema | None = None) -> Raw:
    """Read one image as a single row; arguments and errors are those of ``read_folder``."""
    values, notes = _read_all([where], [name], like)
    return Raw(values, name, notes=notes, pixel_range=(0, 255), ids=(where.name,) if isinstance(where, Path) else None)


def read_folder(folder: Path, name: str, like: Schema | None = None) -> Raw:
    """Read all images in a folder and its subfolders, sorted by relative path.

    The relative paths are the row ids, and the top-level subfolders are the labels.

    Args:
        like: schema that sets the number of channels: grey images are converted to RGB, and RGB images to grey if all
            their pixels are grey.

    Raises:
        DataError: there are no images, or they differ in size, are damaged, have more than 8 bits per channel, or
            exceed the size limit together.
    """
    paths = sorted(_walk(folder))
    if not paths:
        raise DataError(f"the folder {name} has no images", f"known suffixes are {', '.join(SUFFIXES)}")
    ids = tuple(path.as_posix() for path in paths)
    values, notes = _read_all([folder / path for path in paths], [clean(folder / path) for path in paths], like)
    labels = [path.parts[0] if len(path.parts) > 1 else "" for path in paths]
    return Raw(values, name, labels if any(labels) else None, ids=ids, notes=notes, pixel_range=(0, 255))


def is_image(name: str) -> bool:
    return name.lower().rpartition(".")[2] in SUFFIXES


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


def _read_all(files: list[Where], names: list[str], like: Schema | None) -> tuple[np.ndarray, tuple[str, ...]]:
    """Read images of one size into (N, C, H, W) uint8 pixels, with notes."""
    size, modes, notes = None, set(), []
    for file, name in zip(files, names, strict=True):
        with _opening(file, name) as image:
            if size is not None and image.size != size:
                raise DataError(
                    f"images differ in size: {names[0]} is {_by(size)}, {name} is {_by(image.size)}",
                    "resize all to one size",
                )
            size = image.size
            modes.add(_mode(image, name))
            if "transparency" in image.info or image.mode in ("LA", "RGBA", "PA"):
                notes.append("transparency is dropped")
            if getattr(image, "n_frames", 1) > 1:
                notes.append("only the first frame of animations is read")
    assert size is not None
    wanted = like.shape[0] if like is not None and like.kind == "image" else None
    channels = 3 if "RGB" in modes or wanted == 3 else 1
    if len(files) * channels * size[0] * size[1] > LIMIT:
        raise DataError(f"{len(files)} images of {_by(size)} pixels take more than {LIMIT >> 30} GiB")
    values = np.empty((len(files), channels, size[1], size[0]), np.uint8)
    for row, (file, name) in enumerate(zip(files, names, strict=True)):
        with _opening(file, name) as image:
            pixels = _pixels(image, "RGB" if channels == 3 else "L", name)
            values[row] = pixels.transpose(2, 0, 1) if channels == 3 else pixels
    if wanted == 1 and channels == 3 and all((row == row[:1]).all() for row in values):
        values = np.ascontiguousarray(values[:, :1])
    return values, tuple(dict.fromkeys(notes))


class _opening:
    """Open an image file as a context manager; PIL's many exceptions become a DataError that names the file."""

    def __init__(self, file: Where, name: str) -> None:
        self.file, self.name = file, name

    def __enter__(self) -> Image:
        from PIL import Image

        if isinstance(self.file, io.BytesIO):
            self.file.seek(0)
        try:
            with guarded(self.name), warnings.catch_warnings():
                warnings.simplefilter("error", Image.DecompressionBombWarning)
                try:
                    self.image = Image.open(self.file)
                except Image.UnidentifiedImageError as error:
                    raise DataError(f"{self.name} is not an image, or is damaged") from error
        except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
            raise DataError(f"{self.name} is too large an image: {clean(error, 120)}") from error
        except (ValueError, SyntaxError, EOFError, struct.error) as error:
            raise DataError(f"{self.name} is a damaged image: {clean(error)}") from error
        return self.image

    def __exit__(self, *_: object) -> None:
        if not isinstance(self.file, io.BytesIO):
            self.image.close()


def _mode(image: Image, name: str) -> str:
    """Return ``L`` for a grey image, else ``RGB``; raise DataError for more than 8 bits per channel."""
    if image.mode in ("I", "F") or image.mode.startswith("I;"):
        raise DataError(f"{name} has more than 8 bits per channel", "save it with 8 bits")
    if image.mode in ("1", "L", "LA", "La"):
        return "L"
    if image.mode in ("P", "PA"):
        palette = np.array(image.getpalette() or [0, 0, 0]).reshape(-1, 3)
        return "L" if (palette == palette[:, :1]).all() else "RGB"
    return "RGB"


def _pixels(image: Image, mode: str, name: str) -> np.ndarray:
    try:
        return np.asarray(image.convert(mode))
    except (OSError, ValueError, SyntaxError, EOFError, struct.error, IndexError) as error:
        raise DataError(f"{name} is a damaged image: {clean(error)}") from error


def _by(size: tuple[int, int]) -> str:
    return f"{size[0]}×{size[1]}"
