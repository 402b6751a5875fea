"""PNGs: grids of images, and scatter plots."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from .data.types import Schema

if TYPE_CHECKING:
    from .inference import Autoencoder

GAP = 2


def image_grid(x: np.ndarray, schema: Schema, columns: int, separator: int | None = None) -> bytes:
    """Rows of images as one PNG, at least 200 pixels wide.

    Args:
        x: (N, D) in the file's own units.
        columns: images in a row of the picture.
        separator: a wider gap after this many columns (cluster heads | members).
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
    """A 2-D map as PNG, coloured by name.

    Args:
        points: (N, 2), or (N, m): the first two columns are drawn.
        names: a label or cluster for each point; empty for unlabelled.
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
    """Text from files, without matplotlib's mathtext."""
    return text.replace("$", r"\$")[:60]


def cluster_figure(model: Autoencoder, x: np.ndarray, clusters: np.ndarray, members: int = 16) -> bytes:
    """Section 6: a row a cluster: its head (decoded from z = 0 and y = one-hot), then members."""
    import torch

    counts = np.bincount(clusters, minlength=model.model.classes)
    used = np.flatnonzero(counts)
    y = torch.eye(model.model.classes)[torch.from_numpy(used)]
    z = torch.zeros(len(used), model.model.dims) if model.model.dims else None
    heads = model.decode(y, z)
    blank = np.full(model.schema.size, model.schema.low or 0.0, dtype=np.float32)
    pictures = []
    for head, cluster in zip(heads, used, strict=True):
        own = np.flatnonzero(clusters == cluster)[:members]
        pictures += [head, *x[own].astype(np.float32), *([blank] * (members - len(own)))]
    return image_grid(np.stack(pictures), model.schema, 1 + members, separator=1)


def cluster_profiles(model: Autoencoder, representation: np.ndarray, clusters: np.ndarray) -> bytes:
    """For tables: the representation's first two principal components, coloured by cluster."""
    points = model.project(representation, min(2, representation.shape[1]))
    return scatter(points, [str(cluster) for cluster in clusters], f"{model.header.title}: clusters")


def sample_sheet(model: Autoencoder, seed: int = 0) -> bytes:
    """What a run folder shows: a style grid where there are columns, else draws of the prior; tables as a scatter."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    if model.schema.kind == "image":
        samples = model.style_grid(10, generator=generator) if model.columns else model.sample(100, generator=generator)
        return image_grid(samples.x, model.schema, samples.columns)
    samples = model.sample(500, generator=generator)
    columns = model.schema.columns or ("feature 0", "feature 1")
    x = samples.x.astype(np.float64)  # squares of single precision may not fit
    first = np.argsort(-x.var(0) / (np.abs(x).mean(0) + 1e-9))[:2]
    names = None if samples.labels is None else [model.classes[i] if i >= 0 else "" for i in samples.labels]
    chosen = samples.x[:, first] if samples.x.shape[1] > 1 else samples.x
    return scatter(chosen, names, "samples: " + " against ".join(columns[i] for i in first[::-1] if i < len(columns)))
