"""Memory that a training will need, estimated before its first step."""

from __future__ import annotations

from math import prod

import torch

from ..config.auto import needs_view
from ..config.base import widths
from ..config.phases import Style
from ..config.sections import Config
from ..data.streams import as_size, free_memory
from ..data.types import Schema
from ..errors import DataError
from ..model.build import min_parameters
from ..nn.bodies import map_shapes
from .timeline import Timeline

KEPT = 5
"""Numbers kept for each weight: itself, its gradient, two moments of Adam, and its average."""

PASSES = 3
"""Numbers kept for each unit and row: its input, its output after batch norm, and a gradient."""


def footprint(timeline: Timeline, schema: Schema, models: int) -> int:
    """Bytes that models, optimisers and one training step take, without the rows, in the stage that takes most."""
    found = []
    for stage in timeline.stages:
        config = stage.config
        views = 2 if needs_view(config) else 1
        own = KEPT * min_parameters(stage.model, schema) + PASSES * views * config.train.batch_size * _units(
            config, schema
        )
        found.append(4 * models * own)
    return max(found)


def require_memory(need: int, device: torch.device, schema: Schema) -> None:
    """Raise DataError where a training needs more memory than is free on its device."""
    if device.type == "cuda":
        free: int | None = torch.cuda.mem_get_info(device)[0]
    else:
        free = free_memory()
    if free is not None and need > free:
        image = "--size 32 for smaller images, " if schema.kind == "image" else ""
        what = f"training needs about {as_size(need)} of memory, of which {as_size(free)} are free"
        raise DataError(what, f"pass {image}a smaller --batch-size, or --set encoder.hidden=[128,128]")


def _units(config: Config, schema: Schema) -> int:
    """Number of inputs and units of encoder and decoder, for one row."""
    size, e, d, style = schema.size, config.encoder, config.decoder, config.phases.style
    hidden = [*widths(e.hidden), *widths(d.hidden), *(widths(style.hidden) if isinstance(style, Style) else ())]
    units = 2 * size + sum(hidden)
    for body, channels in ((e.body, e.channels), (d.body, d.channels)):
        if body == "conv":
            units += sum(map(prod, map_shapes(schema.shape, channels)))
    return units
