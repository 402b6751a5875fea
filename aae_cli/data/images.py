"""Read image files: of any size, 8 or 16 bits a channel, grey or in colour, brought to one size."""

from __future__ import annotations

import os
import struct
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from ..errors import DataError
from ..text import clean, counted, listed
from .albums import Album, Picture
from .streams import LIMIT, Where, guarded
from .types import ReadOptions, Schema
from .values import Raw

if TYPE_CHECKING:
    from PIL.Image import Image

SCALED = "images of another size are scaled and cropped to"
"""Beginning of a note on images of other sizes than a model knows."""

MOST = 64
"""Pixels of the longer side to which images are scaled down, unless a size is asked for."""

BLOCK = 4096
"""Images of a piece of a long folder or archive."""

_DAMAGED = (ValueError, SyntaxError, EOFError, struct.error, IndexError, TypeError, KeyError)
"""What Pillow raises for damaged files, beside OSError."""

T = TypeVar("T")

Size = tuple[int, int]
"""Width and height in pixels."""


def read_image(where: Where, name: str, options: ReadOptions, like: Schema | None = None) -> Raw:
    """Read one image as a single row; arguments and errors are those of ``read_album``."""
    own = where.name if isinstance(where, Path) else name
    raw = read_album(Album(name, (Picture(own, name, lambda: where),), ("",)), options, like)
    return raw if isinstance(where, Path) else Raw(raw.values, name, notes=raw.notes, pixel_range=raw.pixel_range)


def read_album(album: Album, options: ReadOptions, like: Schema | None = None) -> Raw:
    """Read all images of a folder or an archive.

    Their ids are the row ids, and the subfolders of the first level are the labels.

    Args:
        options: ``size``, pixels of both sides, and whether to leave out damaged images (``skip_bad``).
        like: schema that sets size and channels: grey images are converted to RGB, and RGB images to grey if all their
            pixels are grey.

    Raises:
        DataError: an image is damaged or has floating-point pixels, or they exceed the size limit together.
    """
    reading = Reading.of(album, options, like)
    return reading.raw(range(len(album.pictures)))


def blocks(
    album: Album, options: ReadOptions, like: Schema | None, size: int | None = None
) -> Iterator[Callable[[], Raw]]:
    """Readers of the images of an album in pieces of ``size`` (default: BLOCK); other arguments as in ``read_album``."""
    reading, count = Reading.of(album, options, like), size or BLOCK
    for first in range(0, len(album.pictures), count):
        rows = range(first, min(first + count, len(album.pictures)))
        yield lambda rows=rows: reading.raw(rows)  # type: ignore[misc]


@dataclass
class Reading:
    """How the images of an album are read.

    Attributes:
        size: to which images are brought; None for one that all have.
        channels: 1 or 3; None to go by the images.
        skip_bad: whether damaged images are left out.
        notes: on what is done to the images.
        bad: names of damaged images that were left out.
    """

    album: Album
    size: Size | None
    channels: int | None
    skip_bad: bool
    notes: list[str]
    bad: dict[str, None] = field(default_factory=dict)

    @classmethod
    def of(cls, album: Album, options: ReadOptions, like: Schema | None) -> Reading:
        """Choose the size: that of the model, the one asked for, or the most frequent one, at most MOST a side."""
        reading = cls(album, None, None, options.skip_bad, [])
        if like is not None and like.kind == "image":
            reading.channels, height, width = like.shape
            reading.size = (width, height)
            if options.size not in (None, width, height):
                raise DataError(f"--size {options.size}: the model reads images of {_by(reading.size)}", "leave it out")
            return reading
        looks = [look for look in reading._each(_survey, range(len(album.pictures))) if look is not None]
        sizes = Counter(size for size, _ in looks)
        if not sizes:
            raise DataError(f"every image of {album.name} is damaged", f"the first is {next(iter(reading.bad))}")
        reading.channels = 1 if all(grey for _, grey in looks) else 3
        frequent = sizes.most_common(1)[0][0]
        reading.size = _bounded(frequent) if options.size is None else (options.size, options.size)
        if len(sizes) > 1:
            found = f"images of {counted(len(sizes), 'size')}, most often {_by(frequent)},"
            reading.notes.append(f"{found} are scaled and cropped to {_by(reading.size)} (--size N for N×N)")
        elif frequent != reading.size:
            reading.notes.append(f"images of {_by(frequent)} are scaled to {_by(reading.size)} (--size N for N×N)")
        total = len(looks) * reading.channels * reading.size[0] * reading.size[1]
        if total > LIMIT:
            raise DataError(f"{len(looks)} images of {_by(reading.size)} pixels take more than {LIMIT >> 30} GiB")
        return reading

    def raw(self, rows: range) -> Raw:
        """Read some of the images, by their numbers."""
        assert self.size is not None
        size, notes = self.size, dict.fromkeys(self.notes)
        kept, found = [], []
        for row, each in zip(rows, self._each(lambda picture: _decode(picture, size), rows), strict=True):
            if each is not None:
                kept.append(row)
                found.append(each[0])
                notes |= dict.fromkeys(note for note in each[1] if not (self.notes and note.startswith(SCALED)))
        if not found:
            raise DataError(f"every image of {self.album.name} is damaged", f"the first is {next(iter(self.bad))}")
        if self.bad:
            notes[f"{counted(len(self.bad), 'damaged image')} left out: {listed(self.bad, 5)}"] = None
        values = self._together(found)
        labels = [self.album.labels[row] for row in kept] if any(self.album.labels) else None
        ids = tuple(self.album.pictures[row].id for row in kept)
        return Raw(values, self.album.name, labels, ids=ids, notes=tuple(notes), pixel_range=(0, 255))

    def _together(self, found: Sequence[np.ndarray]) -> np.ndarray:
        """Images (H, W, 1 or 3) as (N, C, H, W); grey where all pixels are and grey is wanted."""
        if self.channels == 1:
            grey = [each if each.shape[2] == 1 else _grey(each) for each in found]
            if all(each is not None for each in grey):
                return np.stack(grey).transpose(0, 3, 1, 2)  # type: ignore[arg-type]
        values = np.empty((len(found), 3, *found[0].shape[:2]), np.uint8)
        for row, each in enumerate(found):
            values[row] = each.transpose(2, 0, 1)
        return values

    def _each(self, work: Callable[[Picture], T], rows: Iterable[int]) -> Iterator[T | None]:
        """The results for some pictures in order, in threads; None for damaged ones that are left out."""

        def done(row: int) -> T | DataError:
            try:
                return work(self.album.pictures[row])
            except DataError as error:
                return error

        from PIL import Image

        waiting, threads = iter(rows), min(8, os.cpu_count() or 1)
        with ThreadPoolExecutor(threads) as pool, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # as of odd metadata
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            while some := list(islice(waiting, 64 * threads)):  # few, so that an error ends the reading soon
                for row, result in zip(some, pool.map(done, some), strict=True):
                    if isinstance(result, DataError):
                        if not self.skip_bad:
                            raise DataError(result.what, result.hint or "leave damaged images out with --skip-bad")
                        self.bad[self.album.pictures[row].id] = None
                        yield None
                    else:
                        yield result


def _bounded(size: Size) -> Size:
    """A size scaled down so that its longer side has at most MOST pixels."""
    longer = max(size)
    return size if longer <= MOST else (max(1, round(size[0] * MOST / longer)), max(1, round(size[1] * MOST / longer)))


def _grey(image: np.ndarray) -> np.ndarray | None:
    return image[..., :1] if (image == image[..., :1]).all() else None


def _survey(picture: Picture) -> tuple[Size, bool]:
    """Size of an upright image, and whether it is grey, from its header."""
    with _opening(picture) as image:
        turned = image.getexif().get(0x0112, 1) >= 5  # orientations that swap width and height
        size = (image.height, image.width) if turned else image.size
        return size, _is_grey(image, picture.shown)


def _decode(picture: Picture, size: Size) -> tuple[np.ndarray, list[str]]:
    """Read an image, upright, over white where it is transparent, and cover ``size`` with it: (H, W, 1 or 3), and notes."""
    from PIL import ImageOps

    notes = []
    with _opening(picture) as image:
        if getattr(image, "n_frames", 1) > 1:
            notes.append("only the first frame of animations is read")
        grey = _is_grey(image, picture.shown)
        if size not in (image.size, image.size[::-1]):  # which of the two is known when it stands upright
            notes.append(f"{SCALED} {_by(size)}")
        image.draft("L" if grey else "RGB", (max(size), max(size)))  # a JPEG is decoded at a fraction of its size
        upright = ImageOps.exif_transpose(image)
        clear = "transparency" in upright.info or upright.mode in ("LA", "RGBA", "PA", "La", "RGBa")
        if clear:
            notes.append("transparency is put over white")
        plain = _plain(upright, grey, clear)
        if plain.size != size:
            plain = _covering(plain, size)
        pixels = np.asarray(plain)
    return pixels[..., None] if grey else pixels, notes


def _plain(image: Image, grey: bool, clear: bool) -> Image:
    """An image of 8 bits, in grey or RGB, over white where it is transparent."""
    import PIL.Image

    if image.mode == "I" or image.mode.startswith("I;"):
        deep = np.asarray(image)
        if deep.min() < 0 or deep.max() > 0xFFFF:
            raise ValueError("it has more than 16 bits a channel")
        return PIL.Image.fromarray((deep.astype(np.float32) / 257 + 0.5).astype(np.uint8))
    if clear:
        whole = image.convert("RGBA")
        image = PIL.Image.alpha_composite(PIL.Image.new("RGBA", whole.size, "white"), whole)
    return image.convert("L" if grey else "RGB")


def _covering(image: Image, size: Size) -> Image:
    """An image scaled until it covers a size, and cropped to it around its centre."""
    import PIL.Image

    (width, height), scale = image.size, max(size[0] / image.width, size[1] / image.height)
    across, down = size[0] / scale, size[1] / scale
    left, top = (width - across) / 2, (height - down) / 2
    box = (max(0.0, left), max(0.0, top), min(width, left + across), min(height, top + down))
    return image.resize(size, PIL.Image.Resampling.BICUBIC, box, reducing_gap=2.0)


@contextmanager
def _opening(picture: Picture) -> Iterator[Image]:
    """Open an image file; PIL's many exceptions, also while it is read, become a DataError that names the file."""
    from PIL import Image

    name, where = picture.shown, picture.content()
    if not isinstance(where, Path):
        where.seek(0)
    with guarded(name):
        try:
            with Image.open(where) as image:
                yield image
        except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
            raise DataError(f"{name} is too large an image: {clean(error, 120)}") from error
        except Image.UnidentifiedImageError as error:
            raise DataError(f"{name} is not an image, or is damaged") from error
        except _DAMAGED as error:
            raise DataError(f"{name} is a damaged image: {clean(error)}") from error


def _is_grey(image: Image, name: str) -> bool:
    """Whether an image is grey by its mode or palette. Raises DataError for floating-point pixels."""
    if image.mode == "F":
        raise DataError(f"{name} has floating-point pixels", "save it with 8 or 16 bits a channel")
    if image.mode in ("P", "PA"):
        palette = np.array(image.getpalette() or [0, 0, 0]).reshape(-1, 3)
        return bool((palette == palette[:, :1]).all())
    return image.mode in ("1", "L", "LA", "La", "I") or image.mode.startswith("I;")


def _by(size: Size) -> str:
    return f"{size[0]}×{size[1]}"
