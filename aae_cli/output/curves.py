"""Draw how a training went, from the records of its metrics.jsonl."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .losses import MEANINGS, loss_name
from .pictures import as_png

OTHERS = {"held_out": "objective on held-out rows", "lr_factor": "learning rate (share of the highest)"}
"""Keys of records that are drawn beside the losses, and their titles."""

ACROSS = 3
"""Panels in a row."""


def curves(records: Sequence[Mapping[str, Any]]) -> bytes:
    """Draw every loss, the objective on held-out rows and the learning rate against the epochs, as PNG.

    Losses that are of one stage alone are drawn for its epochs.
    """
    from matplotlib.figure import Figure

    series = series_of(records)
    down = -(-max(len(series), 1) // ACROSS)
    width, height = 11.0, 2.3 * down + 0.4
    figure = Figure(figsize=(width, height), dpi=100)  # a computed layout would take as long as the drawing
    edges = {"left": 0.05, "right": 0.985, "bottom": 0.55 / height, "top": 1 - 0.3 / height}
    panels = figure.subplots(down, ACROSS, squeeze=False, gridspec_kw={**edges, "wspace": 0.17, "hspace": 0.38}).flat
    for axes, (title, points) in zip(panels, series.items(), strict=False):
        axes.plot([epoch for epoch, _ in points], [value for _, value in points], color="#1f77b4", linewidth=1)
        axes.set_title(title, fontsize=9)
        axes.tick_params(labelsize=8)
        axes.set_xlim(0, max(float(record["epoch"]) for record in records))
    for axes in list(figure.axes)[len(series) :]:
        axes.remove()
    figure.supxlabel("epoch", fontsize=9)
    return as_png(figure)


def series_of(records: Sequence[Mapping[str, Any]]) -> dict[str, list[tuple[float, float]]]:
    """Title of each panel → (epoch, value) of the records that have it, losses in the order of MEANINGS."""
    found: dict[tuple[int, str], list[tuple[float, float]]] = {}
    order = list(MEANINGS)
    for record in records:
        for key, value in record.items():
            if value is None or not (key.startswith("loss.") or key in OTHERS):
                continue
            name, part = loss_name(key) if key not in OTHERS else ("", "")
            place = order.index(name) if name in order else len(order) + (key in OTHERS)
            title = OTHERS.get(key, f"{name} ({part})" if part else name)
            found.setdefault((place, title), []).append((float(record["epoch"]), float(value)))
    return {title: points for (_, title), points in sorted(found.items(), key=lambda each: each[0])}
