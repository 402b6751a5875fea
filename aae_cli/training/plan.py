"""What is decided before the first step: device, every `auto`, labelled rows, stages; and what makes two runs the same."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from ..config.auto import Adapted, adapt
from ..config.draft import Facts
from ..config.sections import Config
from ..data.types import Data
from ..device import autocast, choose_device
from ..distributed import World
from ..errors import UsageError
from .splits import Splits, choose_labelled

HASHED = 2**28
"""Bytes of the training rows, at most, that the fingerprint of the data covers."""


@dataclass(frozen=True)
class Plan:
    """A training before it starts.

    Attributes:
        reason: why this device. precision: of matrix products. autocast: the context that forward passes run in.
        labelled: seed → rows whose labels it may use; one entry a seed.
        summary: rows, labels, epochs, steps, seeds and restarts, in words.
    """

    adapted: Adapted
    device: torch.device
    reason: str
    precision: str
    autocast: AbstractContextManager[object]
    labelled: Mapping[int, np.ndarray]
    summary: str

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
    """Everything that is decided before the first step, as ``--dry-run`` shows it.

    Args:
        seeds: one model each (and its restarts), trained together; None for the config's own.
        given: dotted keys that a person set.
    """
    where, reason = choose_device(device)
    rows = splits.train
    classes = len(rows.schema.classes or ())
    labels = rows.labels if rows.labels is not None else np.full(len(rows), -1)
    wanted = config.data.labels if (labels >= 0).any() and classes > 1 else "none"  # adapt reports what is missing
    labelled = {seed: choose_labelled(labels, wanted, classes, seed) for seed in seeds or [config.train.seed]}
    used = len(next(iter(labelled.values())))
    adapted = adapt(config, Facts.of(rows.schema, len(rows), used), given)
    train = adapted.config.train
    context, precision = autocast(where, train.precision)
    parts = [f"{len(rows)} rows", f"{used} labels used", f"{train.epochs} epochs"]
    parts.append(f"{train.epochs * steps_per_epoch(len(rows), adapted.config)} steps")
    if len(labelled) > 1:
        parts.append(f"{len(labelled)} seeds at once")
    if int(train.restarts) > 1:
        parts.append(f"{train.restarts} restarts")
    return Plan(adapted, where, reason, precision, context, labelled, ", ".join(parts))


def steps_per_epoch(rows: int, config: Config) -> int:
    return max(1, rows // config.train.batch_size)


@dataclass(frozen=True)
class Timeline:
    """The stages of a training, one after the other, and how far it has come.

    Attributes:
        config: of the whole training. stages: the config of each.
        first: epochs of the first of two stages, 0 where there is one.
    """

    config: Config
    stages: tuple[Config, ...]
    first: int
    steps_per_epoch: int

    @classmethod
    def of(cls, config: Config, rows: int, first: int | None = None) -> Timeline:
        """With ``code.y.overcluster``, fine clusters (section 6) are trained first, then the merged ones.

        Args:
            config: adapted.
            first: epochs of the first stage, where that is settled; None takes ``train.merge_at`` of them all.
        """
        y, epochs = config.code.y, config.train.epochs
        per_epoch = steps_per_epoch(rows, config)
        if first is None and y is not None and y.overcluster > 1:
            first = min(max(1, round(epochs * float(config.train.merge_at))), epochs - 1)
        if y is None or y.overcluster == 1 or not first or first < 1:
            return cls(config, (config,), 0, per_epoch)
        fine = y.model_copy(update={"classes": int(y.classes) * y.overcluster, "overcluster": 1})
        before = config.model_copy(
            update={
                "train": config.train.model_copy(update={"epochs": first}),
                "code": config.code.model_copy(update={"y": fine}),
                "data": config.data.model_copy(update={"labels": "none"}),
                "phases": config.phases.model_copy(update={"semi_supervised": None}),
                "decoder": config.decoder.model_copy(update={"input": "concat"}),
            }
        )
        left = config.train.model_copy(update={"epochs": max(1, epochs - first)})
        return cls(config, (before, config.model_copy(update={"train": left})), first, per_epoch)

    @property
    def steps(self) -> int:
        return sum(stage.train.epochs for stage in self.stages) * self.steps_per_epoch

    def epochs_before(self, stage: int) -> int:
        return sum(config.train.epochs for config in self.stages[:stage])

    def steps_before(self, stage: int) -> int:
        return self.epochs_before(stage) * self.steps_per_epoch

    def checkpoint_config(self, stage: int) -> Config:
        """What a checkpoint of a stage carries: the whole training's config in the last one, the stage's own before."""
        return self.config if stage + 1 == len(self.stages) else self.stages[stage]


def require_divisible_batches(config: Config, world: World) -> None:
    """Each process takes an equal share of every batch. Raises UsageError."""
    semi = config.phases.semi_supervised
    sizes = {"train.batch_size": config.train.batch_size}
    if semi is not None:
        sizes["phases.semi_supervised.batch_size"] = int(semi.batch_size)
    for key, size in sizes.items():
        if size % world.size:
            whole = -(-size // world.size) * world.size
            raise UsageError(f"{key}={size} cannot be shared by {world.size} processes", f"--set {key}={whole}")


# --- what makes two runs the same --------------------------------------------------------------------------------------


def identity(plan: Plan, rows: Data) -> dict[str, Any]:
    """What a resumed run must have in common with the one that it continues."""
    config = plan.config.model_dump(mode="json", exclude={"about"})
    same = {"config": config, "rows": len(rows), "features": rows.schema.size, "data": fingerprint(rows)}
    return {**same, "seeds": list(plan.labelled)} if len(plan.labelled) > 1 else same


def fingerprint(rows: Data) -> str:
    """A checksum of rows and labels; of very large data, of rows at even distances."""
    every = max(1, rows.x.shape[1] * rows.x.dtype.itemsize * len(rows) // HASHED)
    number = zlib.crc32(np.ascontiguousarray(rows.x[::every]).data)
    return f"{number if rows.labels is None else zlib.crc32(np.ascontiguousarray(rows.labels).data, number):08x}"


def require_same(old: Mapping[str, Any], new: Mapping[str, Any], name: object) -> None:
    """UsageError that names the first key in which two identities differ; the epochs may differ."""
    difference = first_difference(old, new)
    if difference is not None:
        key, was, now = difference
        raise UsageError(f"{name} was started with {key}={was}, not {now}", "only --epochs may change on --resume")


def first_difference(old: Any, new: Any, path: str = "") -> tuple[str, Any, Any] | None:
    """The first key in which two nested values differ, with both values."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in [*old, *(key for key in new if key not in old)]:
            found = first_difference(old.get(key), new.get(key), f"{path}.{key}" if path else key)
            if found is not None:
                return found
        return None
    if old == new or path == "config.train.epochs":
        return None
    return path.removeprefix("config."), old, new
