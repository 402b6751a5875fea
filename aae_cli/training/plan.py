"""What is decided before the first step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from ..config.auto import Adapted, adapt
from ..config.resolve import validate
from ..config.sections import Config
from ..device import autocast, choose_device
from ..distributed import World
from ..errors import UsageError
from .splits import Splits, choose_labelled

HASHED = 2**28  # bytes of data that a run is recognised by


def require_shares(config: Config, world: World) -> None:
    """Each process takes an equal share of every batch."""
    semi = config.phases.semi_supervised
    sizes = {"train.batch_size": config.train.batch_size}
    if semi is not None:
        sizes["phases.semi_supervised.batch_size"] = int(semi.batch_size)
    for key, size in sizes.items():
        if size % world.size:
            whole = -(-size // world.size) * world.size
            raise UsageError(f"{key}={size} cannot be shared by {world.size} processes", f"--set {key}={whole}")


@dataclass(frozen=True)
class Plan:
    """A training before it starts. ``labelled``: seed → rows whose labels it may use; one entry a seed."""

    adapted: Adapted
    device: torch.device
    reason: str
    precision: str
    context: Any
    labelled: Mapping[int, np.ndarray]
    summary: str

    @property
    def config(self) -> Config:
        return self.adapted.config


def plan_training(config: Config, splits: Splits, device: str, seeds: Sequence[int] | None = None) -> Plan:
    """Everything that is decided before the first step, as ``--dry-run`` shows it.

    Args:
        seeds: one model each (and its restarts), trained together; None for the config's own.
    """
    where, reason = choose_device(device)
    rows = splits.train
    known = rows.labels is not None and bool((rows.labels >= 0).any())
    classes = len(rows.schema.classes or ())
    labels = rows.labels if rows.labels is not None else np.full(len(rows), -1)
    wanted = config.data.labels if known and classes > 1 else "none"  # adapt says what is wrong with the labels
    labelled = {seed: choose_labelled(labels, wanted, classes, seed) for seed in seeds or [config.train.seed]}
    adapted = adapt(config, rows.schema, len(rows), known, len(next(iter(labelled.values()))))
    c = adapted.config
    context, precision = autocast(where, c.train.precision)
    steps = c.train.epochs * max(1, len(rows) // c.train.batch_size)
    used = len(next(iter(labelled.values())))
    summary = f"{len(rows)} rows, {used} labels used, {c.train.epochs} epochs, {steps} steps"
    if len(labelled) > 1:
        summary += f", {len(labelled)} seeds at once"
    if int(c.train.restarts) > 1:
        summary += f", {c.train.restarts} restarts"
    return Plan(adapted, where, reason, precision, context, labelled, summary)


def stages(config: Config, first: int | None = None) -> list[Config]:
    """What is trained one after the other: with ``code.y.overcluster``, fine clusters (section 6), then the merged ones.

    Args:
        first: epochs of the first stage, where that is settled; None takes ``train.merge_at`` of them all.
    """
    y, epochs = config.code.y, config.train.epochs
    if y is None or y.overcluster == 1:
        return [config]
    if first is None:
        first = min(max(1, round(epochs * float(config.train.merge_at))), epochs - 1)
    if first < 1:
        return [config]
    values = config.model_dump()
    values["train"]["epochs"] = max(1, epochs - first)
    merged = validate(values, "the merged stage")
    values["train"]["epochs"] = first
    values["code"]["y"] |= {"classes": int(y.classes) * y.overcluster, "overcluster": 1}
    values["data"]["labels"] = "none"
    values["phases"]["semi_supervised"] = None
    values["decoder"]["input"] = "concat"
    return [validate(values, "the first stage"), merged]


def first_difference(old: Any, new: Any, path: str = "") -> tuple[str, Any, Any] | None:
    """The first key in which two nested values differ, with both values; epochs may differ."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in [*old, *(key for key in new if key not in old)]:
            found = first_difference(old.get(key), new.get(key), f"{path}.{key}" if path else key)
            if found is not None:
                return found
        return None
    if old == new or path == "config.train.epochs":
        return None
    return path.removeprefix("config."), old, new
