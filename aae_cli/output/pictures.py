"""Draw PNGs: grids of images, and scatter plots."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np

from ..data.types import Schema

GAP = 2


def image_grid(x: np.ndarray, schema: Schema, columns: int, separator: int | None = None) -> bytes:
    """Draw a grid of images as one PNG, at least 200 pixels wide.

    Args:
        x: (N, D) images in the file's own units.
        columns: images in each row of the grid.
        separator: number of columns before a wider gap (cluster heads | members).
    """
    import torch
    from PIL import Image
    from torchvision.utils import make_grid

    channels, height, width = schema.shape
    low, high = schema.low or 0.0, schema.high or 1.0
    images = torch.from_numpy(((x - low) / (high - low)).clip(0, 1).astype(np.float32)).view(
        -1, channels, height, width
    )
    grid = make_grid(images, nrow=columns, padding=GAP, pad_value=0.5)
    if separator is not None:
        at = separator * (width + GAP) + GAP
        bar = torch.ones(grid.shape[0], grid.shape[1], 2 * GAP)
        grid = torch.cat([grid[:, :, :at], bar, grid[:, :, at:]], 2)
    pixels = (grid * 255).round().byte().permute(1, 2, 0).numpy()
    picture = Image.fromarray(pixels)
    factor = max(1, -(-200 // picture.width))
    if factor > 1:
        picture = picture.resize((picture.width * factor, picture.height * factor), Image.Resampling.NEAREST)
    return _png(picture)


def _png(picture: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", optimize=True)  # type: ignore[attr-defined]
    return buffer.getvalue()


def scatter(
    points: np.ndarray,
    names: Sequence[str] | None,
    title: str,
    heads: np.ndarray | None = None,
) -> bytes:
    """Draw points as a 2-D map, coloured by label or cluster; returns a PNG.

    Args:
        points: (N, m) coordinates, of which the first two columns are drawn.
        names: label or cluster of each point, empty for unlabelled points; None draws all in one colour.
        heads: (K, 2) cluster heads, drawn as crosses.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 6), dpi=110, layout="constrained")
    axes = figure.add_subplot()
    second = points[:, 1] if points.shape[1] > 1 else np.zeros(len(points))
    size = float(np.clip(4000 / max(len(points), 1), 1, 24))
    if names is None:
        axes.scatter(points[:, 0], second, s=size, linewidths=0)
    else:
        distinct = sorted(set(names), key=lambda name: (name == "", len(name) if name.isdigit() else 0, name))
        import matplotlib

        colours = matplotlib.colormaps["tab10" if len(distinct) <= 10 else "gist_rainbow"]
        array = np.array(names)
        for index, name in enumerate(distinct):
            own = array == name
            colour = colours(index if len(distinct) <= 10 else index / len(distinct)) if name else "lightgrey"
            label = _plain(name) if name else "unlabelled"
            axes.scatter(points[own, 0], second[own], s=size, color=colour, linewidths=0, label=label)
        if len(distinct) <= 40:
            axes.legend(
                markerscale=3, fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5), ncols=1 + len(distinct) // 21
            )
    if heads is not None:
        axes.scatter(heads[:, 0], heads[:, 1], marker="x", color="black", s=40)
    axes.set_title(_plain(title), fontsize=10)
    axes.set_aspect("equal", adjustable="datalim")
    buffer = io.BytesIO()
    FigureCanvasAgg(figure).print_png(buffer)
    return buffer.getvalue()


def _plain(text: str) -> str:
    """Escape matplotlib's mathtext in text from files, and cut the text to 60 characters."""
    return text.replace("$", r"\$")[:60]
