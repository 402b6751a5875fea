"""Draw sheets of images as PNG: enlarged, with headings over columns and beside rows."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from ..data.types import Schema
from ..text import clean

WIDE, TALL, WIDEST = 1200, 4000, 1780
"""Width in pixels that a sheet's images are enlarged to, about; their greatest height; the width that they are cut to."""

LARGEST = 200
"""Greatest side in pixels of an enlarged image."""

GAP, GROUP_GAP, MARGIN, LINE = 3, 16, 8, 17
SIDE, UPRIGHT = 180, 120
"""Greatest width of a row's heading, greatest height of a column's."""

PAGE, INK, FRAME = (255, 255, 255), (30, 30, 30), (190, 190, 190)


@dataclass(frozen=True)
class Headings:
    """Text around a sheet of images. Names from files may stand anywhere in it.

    Attributes:
        title: one line over the sheet.
        across: heading of each column.
        down: lines beside each row of images.
        groups: name and number of columns of each group; a wider gap separates groups.
    """

    title: str = ""
    across: tuple[str, ...] = ()
    down: tuple[tuple[str, ...], ...] = ()
    groups: tuple[tuple[str, int], ...] = ()


def image_sheet(x: Sequence[Any] | np.ndarray, schema: Schema, columns: int, headings: Headings | None = None) -> bytes:
    """Draw images in rows and columns as one PNG.

    Small images are enlarged by a whole number, so that the sheet is about 1,200 pixels wide and no pixel is blurred;
    images that would make it wider than 2,000 pixels are reduced.

    Args:
        x: (N, D) images in the file's own units, row by row; None leaves a place empty.
        columns: images in each row of the sheet.
        headings: text around the images.
    """
    from PIL import Image, ImageDraw

    layout = _Layout.of(schema, len(x), columns, headings or Headings())
    page = Image.new("RGB", (layout.width, layout.height), PAGE)
    pen = ImageDraw.Draw(page)
    width, height = layout.cell
    for number, image in enumerate(x):
        if image is None:
            continue
        left, top = layout.place(number)
        pen.rectangle((left - 1, top - 1, left + width, top + height), fill=FRAME)
        tile = Image.fromarray(pixels(np.asarray(image), schema))
        if layout.cell != tile.size:
            larger = width >= tile.width
            tile = tile.resize(layout.cell, Image.Resampling.NEAREST if larger else Image.Resampling.BOX)
        page.paste(tile, (left, top))
    layout.write(page, pen)
    buffer = io.BytesIO()
    page.save(buffer, "PNG")
    return buffer.getvalue()


def pixels(image: np.ndarray, schema: Schema) -> np.ndarray:
    """(H, W, 3) uint8 of an image (D,). Of four channels the first three are drawn, of two their mean."""
    low, high = schema.low or 0.0, schema.high or 1.0
    channels = ((image.astype(np.float64) - low) / (high - low)).clip(0, 1).reshape(schema.shape)
    colours = channels[:3] if len(channels) >= 3 else channels.mean(0, keepdims=True).repeat(3, 0)
    return np.rint(np.nan_to_num(colours) * 255).astype(np.uint8).transpose(1, 2, 0)


@dataclass(frozen=True)
class _Layout:
    """Places on a sheet, in pixels."""

    headings: Headings
    columns: int
    rows: int
    cell: tuple[int, int]
    left: int
    top: int
    upright: bool

    @classmethod
    def of(cls, schema: Schema, count: int, columns: int, headings: Headings) -> _Layout:
        rows = -(-count // columns)
        gaps = columns * GAP + GROUP_GAP * max(0, len(headings.groups) - 1)
        cell = _cell(schema, rows, columns, gaps)
        side = max((_width(_fitted(line, SIDE)) for lines in headings.down for line in lines), default=0)
        longest = max((_width(_fitted(name, UPRIGHT)) for name in headings.across), default=0)
        upright = longest > cell[0]
        top = MARGIN + (LINE + 8) * bool(headings.title) + LINE * bool(headings.groups)
        top += (longest + 6 if upright else LINE) if headings.across else 0
        return cls(headings, columns, rows, cell, MARGIN + (side + 10 if side else 0), top + 2, upright)

    @property
    def row_height(self) -> int:
        """Height of an image or of the lines beside it, whichever is more, with the gap below."""
        lines = max(map(len, self.headings.down), default=0)
        return max(self.cell[1], lines * LINE) + GAP

    @property
    def _right(self) -> int:
        return self.left + self.columns * (self.cell[0] + GAP) + GROUP_GAP * max(0, len(self.headings.groups) - 1)

    @property
    def width(self) -> int:
        return MARGIN + max(self._right, MARGIN + min(WIDE, _width(clean(self.headings.title, 200))))

    @property
    def height(self) -> int:
        return self.top + self.rows * self.row_height + MARGIN

    def column(self, number: int) -> int:
        """Left edge of a column."""
        edge, before = 0, -1
        for _, columns in self.headings.groups or (("", self.columns),):
            before += edge <= number
            edge += columns
        return self.left + number * (self.cell[0] + GAP) + before * GROUP_GAP

    def place(self, number: int) -> tuple[int, int]:
        """Left and top edge of an image."""
        row, column = divmod(number, self.columns)
        return self.column(column), self.top + row * self.row_height

    def write(self, page: Any, pen: Any) -> None:
        """Write the headings."""
        told, font, y = self.headings, _font(), MARGIN
        if told.title:
            pen.text((MARGIN, y), _fitted(told.title, self.width - 2 * MARGIN), fill=INK, font=font)
            y += LINE + 8
        edges = np.cumsum([0, *(columns for _, columns in told.groups)]).tolist()
        for (name, _), edge, end in zip(told.groups, edges, edges[1:], strict=False):
            room = (self.column(end) if end < self.columns else self.width) - self.column(edge) - 6
            pen.text((self.column(edge), y), _fitted(name, room), fill=INK, font=font)
        for number, name in enumerate(told.across[: self.columns]):
            self._head(page, pen, name, self.column(number) + self.cell[0] // 2)
        for number, lines in enumerate(told.down[: self.rows]):
            middle = self.top + number * self.row_height + self.cell[1] // 2
            first = max(self.top + number * self.row_height, middle - len(lines) * LINE // 2)
            for place, line in enumerate(lines):
                pen.text((MARGIN, first + place * LINE), _fitted(line, SIDE), fill=INK, font=font)

    def _head(self, page: Any, pen: Any, name: str, middle: int) -> None:
        """Write the heading of a column, upright where one of them is wider than a column."""
        from PIL import Image, ImageDraw

        text = _fitted(name, UPRIGHT)
        if not self.upright:
            pen.text((middle, self.top - 4), text, fill=INK, font=_font(), anchor="md")
            return
        strip = Image.new("RGB", (max(1, _width(text)), LINE + 2), PAGE)
        ImageDraw.Draw(strip).text((0, 0), text, fill=INK, font=_font())
        strip = strip.rotate(90, expand=True)
        page.paste(strip, (middle - strip.width // 2, self.top - 4 - strip.height))


def _cell(schema: Schema, rows: int, columns: int, gaps: int) -> tuple[int, int]:
    """Width and height at which each image is drawn."""
    _, height, width = schema.shape
    wanted = round((WIDE - gaps) / (columns * width))
    factor = min(wanted, TALL // max(1, rows * height), LARGEST // max(height, width))
    if factor >= 1 or columns * width + gaps <= WIDEST:
        factor = max(1, factor)
        return width * factor, height * factor
    narrow = max(1, (WIDEST - gaps) // columns)
    return narrow, max(1, round(height * narrow / width))


@cache
def _font() -> Any:
    """DejaVu Sans, which comes with matplotlib and has most alphabets, else Pillow's own font, which has only ASCII."""
    from PIL import ImageFont

    found = find_spec("matplotlib")
    for folder in (found.submodule_search_locations or []) if found is not None else []:
        file = Path(folder) / "mpl-data" / "fonts" / "ttf" / "DejaVuSans.ttf"
        if file.is_file():
            return ImageFont.truetype(str(file), 13)
    return ImageFont.load_default(size=14)


def _width(text: str) -> int:
    return int(np.ceil(_font().getlength(text)))


def _fitted(text: str, room: int) -> str:
    """Text made safe by ``clean``, and cut to a width in pixels."""
    shown = clean(text, 200)
    if _width(shown) <= room:
        return shown
    while shown and _width(shown + "…") > room:
        shown = shown[:-1]
    return shown + "…" if shown else ""
