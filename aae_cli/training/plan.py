"""The plan of a training (device, adapted config, labelled rows, stages), and the identity of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from ..config.auto import Adapted, adapt, needs_view
from ..config.draft import Facts
from ..config.sections import Config
from ..data.holdout import fingerprint
from ..data.refusals import refuse_numbers
from ..data.streams import as_size
from ..data.types import Data, Schema
from ..device import autocast, choose_device
from ..distributed import World
from ..errors import UsageError
from ..model.build import min_parameters
from ..text import counted
from .footprint import footprint
from .splits import Splits, choose_labelled
from .timeline import Timeline

SMALL_STEP = 1e9
"""Multiplications and additions of a training step below which one CPU thread is faster than two.

Measured by ``tests/benchmarks/threads.py``. The rule is fixed, not measured at the start of each training, as the number of
threads changes the rounding of sums, and a resumed run must have the same bits.
"""


@dataclass(frozen=True)
class Plan:
    """Decisions taken before training starts.

    Attributes:
        adapted: the config without ``auto``, and the reasons of its values.
        reason: name of the device, and why it was chosen.
        precision: description of the precision of matrix products.
        autocast: context of the forward passes.
        labelled: seed → numbers of the rows whose labels it may use.
        summary: rows, labels, epochs, steps, seeds and restarts as a text.
        threads: number of CPU threads; None for torch's default.
        memory: bytes that training needs beside the rows, roughly.
    """

    adapted: Adapted
    device: torch.device
    reason: str
    precision: str
    autocast: AbstractContextManager[object]
    labelled: Mapping[int, np.ndarray]
    summary: str
    threads: int | None = None
    memory: int = 0

    @property
    def config(self) -> Config:
        return self.adapted.config


def plan_training(
    config: Config,
    splits: Splits,
    device: str = "auto",
    seeds: Sequence[int] | None = None,
    given: frozenset[str] = frozenset(),
) -> Plan:
    """Plan a training, as ``--dry-run`` shows it.

    Args:
        seeds: seeds to train one model each for (with its restarts), all together; None for the config's seed.
        given: dotted config keys that the user set.

    Raises:
        UsageError: the device is not available, or the config contradicts what the data requires.
        DataError: too few rows, classes or labels for the config.
    """
    where, reason = choose_device(device)
    rows = splits.train
    classes = len(rows.schema.classes or ())
    labels = rows.labels if rows.labels is not None else np.full(len(rows), -1)
    # adapt reports missing labels
    wanted = config.data.labels if (labels >= 0).any() and classes > 1 else "none"
    refuse_numbers(rows, wanted, config.data.label_column)
    labelled = {seed: choose_labelled(labels, wanted, classes, seed) for seed in seeds or [config.train.seed]}
    used = len(next(iter(labelled.values())))
    adapted = adapt(config, Facts.of(rows.schema, len(rows), used), given)
    train = adapted.config.train
    context, precision = autocast(where, train.precision)
    timeline = Timeline.of(adapted.config, len(rows))
    parts = [counted(len(rows), "row"), f"{counted(used, 'label')} used", counted(timeline.epochs, "epoch")]
    parts.append(counted(timeline.steps, "step"))
    if len(labelled) > 1:
        parts.append(f"{len(labelled)} seeds at once")
    if int(train.restarts) > 1:
        parts.append(f"{train.restarts} restarts")
    models = len(labelled) * int(train.restarts)
    need = footprint(timeline, rows.schema, models)
    parts.append(f"about {as_size(need)} of memory")
    count = None
    small = step_work(adapted.config, rows.schema, models) < SMALL_STEP
    if where.type == "cpu" and torch.get_num_threads() > 1 and small:
        count, reason = 1, reason.replace(f"{torch.get_num_threads()} threads", "1 thread, as the layers are small")
    return Plan(adapted, where, reason, precision, context, labelled, ", ".join(parts), count, need)


def step_work(config: Config, schema: Schema, models: int) -> float:
    """Multiplications and additions of a training step, roughly: forward and backward passes of rows and their views."""
    views = 2 if needs_view(config) else 1
    return 6.0 * models * views * config.train.batch_size * min_parameters(config, schema)


def require_divisible_batches(config: Config, world: World) -> None:
    """Raise UsageError unless every batch can be divided equally among the processes."""
    semi = config.phases.semi_supervised
    sizes = {"train.batch_size": config.train.batch_size}
    if semi is not None:
        sizes["phases.semi_supervised.batch_size"] = int(semi.batch_size)
    for key, size in sizes.items():
        if size % world.size:
            whole = -(-size // world.size) * world.size
            raise UsageError(f"{key}={size} cannot be shared by {world.size} processes", f"--set {key}={whole}")


# --- the identity of a run --------------------------------------------------------------------------------------------


def identity(plan: Plan, rows: Data) -> dict[str, Any]:
    """Values that a resumed run must have in common with the original one: config, data and seeds."""
    config = plan.config.model_dump(mode="json", exclude={"about"})
    same = {"config": config, "rows": len(rows), "features": rows.schema.size, "data": fingerprint(rows)}
    return {**same, "seeds": list(plan.labelled)} if len(plan.labelled) > 1 else same


def require_same(old: Mapping[str, Any], new: Mapping[str, Any], name: object) -> None:
    """Raise UsageError if two identities differ in more than the epochs. It names the first key that differs."""
    difference = first_difference(old, new)
    if difference is not None:
        key, was, now = difference
        raise UsageError(f"{name} was started with {key}={was}, not {now}", "only --epochs may change with --resume")


def first_difference(old: Any, new: Any, path: str = "") -> tuple[str, Any, Any] | None:
    """Find the first key in which two nested values differ: key, old value, new value. The epochs may differ."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in [*old, *(key for key in new if key not in old)]:
            found = first_difference(old.get(key), new.get(key), f"{path}.{key}" if path else key)
            if found is not None:
                return found
        return None
    if old == new or path == "config.train.epochs":
        return None
    return path.removeprefix("config."), old, new
