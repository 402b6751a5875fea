"""Draw plots as PNG: maps of points, and histograms of a table's columns. Sheets of images are drawn by ``sheets``."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np

from ..text import clean, counted

MOST_COLUMNS = 12
"""Number of columns of a table that are drawn at most."""

NAMED_LEVELS, LEVEL_LENGTH = 12, 14
"""Number of levels of a category that are named at most, and of letters of a name."""

MOST_NAMES = 40
"""Number of names that a legend lists at most."""

THUMBNAIL = 34
"""Longer side in pixels of an image on a map."""

REAL, SAMPLED = "#9aa5b1", "#d9480f"


def scatter(
    points: np.ndarray,
    names: Sequence[str] | None,
    title: str,
    heads: np.ndarray | None = None,
    legend: Mapping[str, str] | None = None,
    thumbnails: Mapping[int, np.ndarray] = MappingProxyType({}),
) -> bytes:
    """Draw points as a map, coloured by label or cluster; returns a PNG. Arguments as for ``scatter_figure``."""
    return as_png(scatter_figure(points, names, title, heads, legend, thumbnails))


def scatter_figure(
    points: np.ndarray,
    names: Sequence[str] | None,
    title: str,
    heads: np.ndarray | None = None,
    legend: Mapping[str, str] | None = None,
    thumbnails: Mapping[int, np.ndarray] = MappingProxyType({}),
) -> Any:
    """Two dimensions as one map, three as the maps of their three pairs, one as a strip for each name.

    Args:
        points: (N, m) coordinates; of more than three dimensions the first two are drawn.
        names: label or cluster of each point, empty for unlabelled points; None draws all in one colour.
        heads: (K, m) cluster heads, drawn as crosses.
        legend: text of the legend for names where it differs from the name.
        thumbnails: numbers of points → their images, (H, W, 3) uint8; those that do not overlap are drawn, framed in the
            colour of their name.
    """
    from matplotlib.figure import Figure

    pairs = [(0, 1), (0, 2), (1, 2)] if points.shape[1] == 3 else [(0, min(1, points.shape[1] - 1))]
    figure = Figure(
        figsize=(15, 5.4) if len(pairs) > 1 else (10, 8) if thumbnails else (8, 6.4), dpi=110, layout="constrained"
    )
    panels = figure.subplots(1, len(pairs), squeeze=False)[0]
    groups = _groups(names, len(points))
    size = float(np.clip(10_000 / max(len(points), 1), 1, 24))
    for axes, (i, j) in zip(panels, pairs, strict=True):
        for place, (name, own, colour) in enumerate(groups):
            second = points[own, j] if i != j else _jitter(len(own)) - place
            axes.scatter(points[own, i], second, s=size, color=colour, linewidths=0, zorder=1 if name else 0.9)
        if heads is not None:
            axes.scatter(heads[:, i], heads[:, j], marker="x", color="black", s=40)
        if i == j:
            axes.set_yticks([])
            axes.set_xlabel("z0")
        else:
            axes.set_aspect("equal", adjustable="datalim")
        if len(pairs) > 1:
            axes.set_xlabel(f"z{i}")
            axes.set_ylabel(f"z{j}")
    if names is not None and 0 < len(groups) <= MOST_NAMES:
        texts = [_plain((legend or {}).get(name, name or "unlabelled")) for name, _, _ in groups]
        _legend(figure, texts, [colour for _, _, colour in groups])
    figure.suptitle(_plain(title, 100), fontsize=11)
    if thumbnails and points.shape[1] > 1:
        figure.draw_without_rendering()  # the scale of the axes is known from here on
        colours = {int(point): colour for _, own, colour in groups for point in own}
        for axes, pair in zip(panels, pairs, strict=True):
            _thumbnails(axes, points[:, pair], thumbnails, colours)
    return figure


def _thumbnails(axes: Any, points: np.ndarray, images: Mapping[int, np.ndarray], colours: Mapping[int, Any]) -> None:
    """Draw images at their points (N, 2), each unless it would overlap one that is drawn already."""
    from matplotlib.offsetbox import AnnotationBbox, OffsetImage

    numbers = list(images)
    places, drawn = axes.transData.transform(points[numbers]), np.empty((0, 2))
    for number, place in zip(numbers, places, strict=True):
        if (np.abs(drawn - place).max(1, initial=0.0) < THUMBNAIL + 4).any():
            continue
        drawn = np.concatenate([drawn, place[None]])
        image = images[number]
        box = OffsetImage(image, zoom=THUMBNAIL / max(image.shape[:2]), dpi_cor=False, interpolation="antialiased")
        frame = {"edgecolor": colours[number], "linewidth": 1.5, "boxstyle": "square,pad=0"}
        axes.add_artist(AnnotationBbox(box, tuple(points[number]), frameon=True, pad=0.0, bboxprops=frame))


def _groups(names: Sequence[str] | None, points: int) -> list[tuple[str, np.ndarray, Any]]:
    """Distinct names in order, numbers by size and unlabelled points last, with their points and colour."""
    if names is None:
        return [("", np.arange(points), "C0")]
    import matplotlib

    distinct = sorted(set(names), key=lambda name: (name == "", len(name) if name.isdigit() else 0, name))
    named, array = sum(name != "" for name in distinct), np.array(names)
    colours = matplotlib.colormaps["tab10" if named <= 10 else "gist_rainbow"]
    return [
        (
            name,
            np.flatnonzero(array == name),
            colours(index if named <= 10 else index / named) if name else "lightgrey",
        )
        for index, name in enumerate(distinct)
    ]


def _jitter(count: int) -> np.ndarray:
    """Heights of points on a strip, the same in every picture."""
    return np.random.default_rng(0).uniform(-0.3, 0.3, count)


def _legend(figure: Any, texts: Sequence[str], colours: Sequence[Any]) -> None:
    from matplotlib.lines import Line2D

    marks = [Line2D([], [], marker="o", linestyle="", color=colour, markersize=7) for colour in colours]
    figure.legend(marks, texts, fontsize=9, loc="outside right center", ncols=1 + len(texts) // 21)


def histograms(
    real: np.ndarray,
    sampled: np.ndarray,
    names: Sequence[str],
    integer: Sequence[bool],
    title: str,
    levels: Mapping[int, Sequence[str]] = MappingProxyType({}),
) -> bytes:
    """Draw real against sampled values of a table's columns; returns a PNG. Arguments as for ``histogram_figure``."""
    return as_png(histogram_figure(real, sampled, names, integer, title, levels))


def histogram_figure(
    real: np.ndarray,
    sampled: np.ndarray,
    names: Sequence[str],
    integer: Sequence[bool],
    title: str,
    levels: Mapping[int, Sequence[str]] = MappingProxyType({}),
) -> Any:
    """One histogram for each column, with the share of real rows and of sampled rows in each bin.

    Of more than 12 columns, those are drawn whose standard deviation is largest relative to their mean absolute value.
    Columns that never change are left out where others change.

    Args:
        real: (N, D) rows of the training data.
        sampled: (M, D) rows drawn from the model.
        names: names of the columns.
        integer: whether a column has whole numbers, one entry per column or one for all.
        levels: columns that are categories, given as level numbers → the names of their levels.
    """
    from matplotlib.figure import Figure

    chosen = _most_varying(real if len(real) else sampled)
    across = min(4, len(chosen))
    down = -(-len(chosen) // across)
    width, height = max(6.5, 3.4 * across), 2.7 * down + 0.7
    figure = Figure(figsize=(width, height), dpi=100)  # a computed layout would take as long as the drawing
    edges = {"left": 0.6 / width, "right": 1 - 0.2 / width, "bottom": 0.75 / height, "top": 1 - 0.8 / height}
    panels = figure.subplots(down, across, squeeze=False, gridspec_kw={**edges, "wspace": 0.2, "hspace": 0.45}).ravel()
    for axes in panels[len(chosen) :]:
        axes.remove()
    for place, (axes, column) in enumerate(zip(panels, chosen, strict=False)):
        whole = bool(integer[column] if len(integer) > 1 else integer[0])
        _histogram(axes, real[:, column], sampled[:, column], whole or column in levels)
        if column in levels:
            ranges = counted(len(levels[column]), "level")
            _name_levels(axes, levels[column])
        else:
            ranges = _ranges(real[:, column], sampled[:, column])
        axes.set_title(f"{_plain(names[column], 36)}\n{ranges}", fontsize=9 if len(ranges) <= 42 else 7.5)
        if place % across == 0:
            axes.set_ylabel("% of rows", fontsize=9)
    some = f", {len(chosen)} of {len(names)} columns" if len(chosen) < len(names) else ""
    figure.suptitle(_plain(title) + some, fontsize=11, y=1 - 0.1 / height, va="top")
    texts = [f"real ({len(real):,} rows)", f"sampled ({len(sampled):,} rows)"]
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    marks = [Patch(color=REAL), Line2D([], [], color=SAMPLED, linewidth=1.8)]
    figure.legend(marks, texts, fontsize=9, loc="lower center", ncols=2)
    return figure


def _most_varying(x: np.ndarray) -> list[int]:
    """Columns to draw, in the order of the file."""
    values = np.where(np.isfinite(x), x, 0).astype(np.float64) if len(x) else np.zeros((1, x.shape[1]))
    relative = values.std(0) / (np.abs(values).mean(0) + np.finfo(np.float64).tiny)
    order = np.argsort(-relative, kind="stable")[:MOST_COLUMNS]
    moving = [i for i in order.tolist() if relative[i] > 1e-9]
    return sorted(moving or order[:1].tolist())


def _histogram(axes: Any, real: np.ndarray, sampled: np.ndarray, whole: bool) -> None:
    """Histograms of two columns in the same bins: real values filled, sampled ones as a line."""
    finite = [column[np.isfinite(column)].astype(np.float64) for column in (real, sampled)]
    both = [column for column in finite if len(column)]
    axes.tick_params(labelsize=8)
    axes.ticklabel_format(axis="x", useOffset=False)
    if not both:
        return
    # Rare extremes would squeeze all else into one bin; they are counted in the outermost bins.
    low = min(float(np.quantile(column, 0.005, method="lower")) for column in both)
    high = max(float(np.quantile(column, 0.995, method="higher")) for column in both)
    if whole and high - low <= 30:
        edges = np.arange(np.floor(low), np.floor(high) + 2) - 0.5
        axes.xaxis.get_major_locator().set_params(integer=True)
    else:
        pad = 0.0 if high > low else max(0.5, abs(low) * 1e-3)
        edges = np.linspace(low - pad, high + pad, 1 + int(np.clip(1.3 * len(both[0]) ** 0.5, 8, 30)))
    for column, filled in zip(finite, (True, False), strict=True):
        if len(column):
            counts = np.histogram(column.clip(edges[0], edges[-1]), edges)[0] * (100 / len(column))
            style = {"fill": True, "color": REAL} if filled else {"color": SAMPLED, "linewidth": 1.8}
            axes.stairs(counts, edges, **style)
    axes.set_ylim(bottom=0)


def _name_levels(axes: Any, names: Sequence[str]) -> None:
    """Name the bars of a category, or only some of them where there are many."""
    step = -(-len(names) // NAMED_LEVELS)
    shown = list(range(0, len(names), step))
    long = sum(len(names[i][:LEVEL_LENGTH]) for i in shown) > 30
    texts = [_plain(names[i], LEVEL_LENGTH) for i in shown]
    axes.set_xticks(shown, texts, fontsize=7, rotation=20 if long else 0, ha="right" if long else "center")


def _ranges(real: np.ndarray, sampled: np.ndarray) -> str:
    """Range of real and of sampled values."""
    parts = []
    for name, column in (("real", real), ("sampled", sampled)):
        values = column[np.isfinite(column)]
        if len(values):
            parts.append(f"{name} {_short(values.min())} to {_short(values.max())}")
    return ", ".join(parts)


def _short(value: float) -> str:
    """A number with four digits, or whole where it has more before the point."""
    return f"{value:,.0f}" if 1000 <= abs(value) < 1e8 else f"{value:.4g}"


def _plain(text: str, most: int = 60) -> str:
    """Text from a file made safe by ``clean``, without matplotlib's mathtext and its rule for a leading underscore."""
    shown = clean(text, most).replace("$", r"\$")
    return f" {shown}" if shown.startswith("_") else shown


def as_png(figure: Any) -> bytes:
    import warnings

    from matplotlib.backends.backend_agg import FigureCanvasAgg

    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")  # drawn as a box
        FigureCanvasAgg(figure).print_png(buffer)
    return buffer.getvalue()
