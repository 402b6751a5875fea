"""A map as one HTML page that works offline: zoom, hover, colour by column, selection of rows and search by id.

Plotly draws the points with WebGL, which stays smooth at 50,000 of them; its script is part of the page. Whatever comes from
files stands in the page as JSON whose ``<`` are escaped, and reaches the screen as text only.
"""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from typing import Any

import numpy as np

from ..text import clean

LARGEST = 56
"""Largest side of a thumbnail in pixels: the page of 10,000 grey images of this size has some 15 MB."""

EACH, ACROSS = 1024, 32
"""Images on a sheet of thumbnails, and in each of its rows."""

POLICY = "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; img-src data: blob:"
"""What the page may load: nothing but itself. Plotly compiles its shaders' code, hence ``unsafe-eval``."""


@dataclass(frozen=True)
class Field:
    """A column that is shown when a row is pointed at, and that can colour the map.

    Attributes:
        values: (N,) text, or numbers with NaN for unknown ones.
    """

    name: str
    values: Sequence[str] | np.ndarray

    def to_json(self) -> dict[str, Any]:
        """Numbers as float32, text as level numbers, −1 for empty text."""
        if isinstance(self.values, np.ndarray):
            return {"name": clean(self.name, 80), "levels": None, "values": _encoded(self.values, np.float32)}
        distinct = sorted({*self.values} - {""}, key=lambda text: (len(text) if text.isdigit() else 0, text))
        index = {text: place for place, text in enumerate(distinct)}
        codes = np.array([index.get(text, -1) for text in self.values])
        return {"name": clean(self.name, 80), "levels": distinct, "values": _encoded(codes, np.int32)}


@dataclass(frozen=True)
class TablePanel:
    """A table with a title; text from files may stand anywhere in it."""

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]

    def to_json(self) -> dict[str, Any]:
        """Its cells as text."""
        return {"title": self.title, "header": list(self.header), "rows": [*map(list, self.rows)]}


@dataclass(frozen=True)
class ImagePanel:
    """Images side by side, with a title.

    Attributes:
        images: (H, W, 3) uint8 each, of one size; they are drawn at most :data:`LARGEST` pixels high and wide.
    """

    title: str
    images: Sequence[np.ndarray]

    def to_json(self) -> dict[str, Any]:
        """The images as one data URL."""
        strip = np.concatenate([_reduced(image) for image in self.images], 1)
        return {"title": self.title, "picture": _data_url(strip)}


class Thumbnails:
    """Small pictures of all images of a map, as they come piece by piece."""

    def __init__(self) -> None:
        self._images: list[np.ndarray] = []

    def add(self, image: np.ndarray) -> None:
        """Add an image (H, W, 3) uint8."""
        self._images.append(_reduced(image))

    def to_json(self) -> dict[str, Any] | None:
        """Sheets of EACH thumbnails as data URLs, and how to find one on them; None without images."""
        if not self._images:
            return None
        height, width = self._images[0].shape[:2]
        starts = range(0, len(self._images), EACH)
        sheets = [_sheet(self._images[start : start + EACH]) for start in starts]
        return {"width": width, "height": height, "across": ACROSS, "each": EACH, "sheets": sheets}


def _reduced(image: np.ndarray) -> np.ndarray:
    """An image (H, W, 3) uint8, reduced if its larger side exceeds :data:`LARGEST`."""
    from PIL import Image

    height, width = image.shape[:2]
    scale = LARGEST / max(height, width)
    if scale >= 1:
        return image
    smaller = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(Image.fromarray(image).resize(smaller, Image.Resampling.BOX))


def _sheet(images: Sequence[np.ndarray]) -> str:
    """Images of one size on a sheet."""
    height, width = images[0].shape[:2]
    down = -(-len(images) // ACROSS)
    page = np.zeros((down * height, ACROSS * width, 3), np.uint8)
    for place, image in enumerate(images):
        top, left = place // ACROSS * height, place % ACROSS * width
        page[top : top + height, left : left + width] = image
    return _data_url(page)


def _data_url(page: np.ndarray) -> str:
    """Pixels (H, W, 3) as a data URL: grey ones as PNG, coloured ones as JPEG, which is a fifth as large."""
    from PIL import Image

    grey = bool((page[..., :1] == page).all())
    buffer, kind = io.BytesIO(), "png" if grey else "jpeg"
    picture = Image.fromarray(page[..., 0] if grey else page)
    picture.save(buffer, kind, **({"optimize": True} if grey else {"quality": 85}))
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}"


def map_page(
    title: str,
    points: np.ndarray,
    ids: Sequence[str],
    fields: Sequence[Field],
    images: Thumbnails | None = None,
    heads: np.ndarray | None = None,
    panels: Sequence[TablePanel | ImagePanel] = (),
    note: str = "",
) -> bytes:
    """Make the page of a map.

    Args:
        points: (N, m) coordinates, of which the first two are drawn; of one, the second is a random height.
        ids: id of each row.
        fields: what is known of each row; the first one colours the map at first.
        images: thumbnails of the rows.
        heads: (K, 2) cluster heads.
        panels: tables and images beside the map.
        note: a line over them on what they and the places of rows are.
    """
    second = points[:, 1] if points.shape[1] > 1 else np.random.default_rng(0).uniform(-0.3, 0.3, len(points))
    content = {
        "title": clean(title, 200),
        "x": _encoded(points[:, 0], np.float32),
        "y": _encoded(second, np.float32),
        "ids": list(ids),
        "columns": [field.to_json() for field in fields],
        "images": None if images is None else images.to_json(),
        "heads": [] if heads is None else np.round(heads[:, :2].astype(float), 5).tolist(),
        "note": note,
        "panels": [panel.to_json() for panel in panels],
    }
    return _page(clean(title, 200), content).encode()


def _page(title: str, content: dict[str, Any]) -> str:
    from plotly.offline import get_plotlyjs

    web = files("aae_cli") / "output" / "web"
    style, script = ((web / name).read_text("utf-8") for name in ("page.css", "map.js"))
    data = json.dumps(content).replace("<", "\\u003c")
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{escape(POLICY)}">
<link rel="icon" href="data:,"><title>{escape(title)}</title><style>{style}</style></head>
<body><header><h1 id="title"></h1>
<label>colour <select id="colour"></select></label>
<label>id <input id="search" type="search" placeholder="search"></label><span id="found" class="hint"></span>
<button id="copy" disabled>copy ids</button><button id="download" disabled>download CSV</button></header>
<div id="map"></div><div id="bubble" hidden></div>
<aside><div id="selection" class="hint"></div><canvas id="image"></canvas><dl id="row"></dl>
<p class="hint">Point at a row to see it. Drag to move, scroll to zoom; the box and the lasso above the map select rows.
A click in the legend hides a group.</p><p class="hint" id="note"></p><div id="panels"></div></aside>
<script type="application/json" id="data">{data}</script>
<script>{get_plotlyjs()}</script>
<script>{script}</script></body></html>
"""


def _encoded(values: np.ndarray, dtype: Any) -> str:
    """Values as little-endian bytes in base64."""
    return base64.b64encode(np.ascontiguousarray(values, dtype=np.dtype(dtype).newbyteorder("<")).tobytes()).decode()
