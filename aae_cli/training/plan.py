"""The plan of a training (device, adapted config, labelled rows, stages), and the identity of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from ..config.auto import Adapted, adapt, needs_view
from ..config.base import widths
from ..config.draft import Facts
from ..config.phases import NeighbourEmbedding, Optimizer, Phases, Pretraining, Reconstruction
from ..config.sections import Adversaries, Code, Config, YCode, ZCode
from ..data.holdout import fingerprint
from ..data.refusals import refuse_numbers
from ..data.types import Data, Schema
from ..device import autocast, choose_device
from ..distributed import World
from ..errors import UsageError
from ..model.build import min_parameters
from ..text import counted
from .splits import Splits, choose_labelled

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
    """

    adapted: Adapted
    device: torch.device
    reason: str
    precision: str
    autocast: AbstractContextManager[object]
    labelled: Mapping[int, np.ndarray]
    summary: str
    threads: int | None = None

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
    parts = [counted(len(rows), "row"), f"{counted(used, 'label')} used", counted(int(train.epochs), "epoch")]
    parts.append(counted(int(train.epochs) * steps_per_epoch(len(rows), adapted.config), "step"))
    if len(labelled) > 1:
        parts.append(f"{len(labelled)} seeds at once")
    if int(train.restarts) > 1:
        parts.append(f"{train.restarts} restarts")
    count = None
    if where.type == "cpu" and torch.get_num_threads() > 1:
        models = len(labelled) * int(train.restarts)
        if step_work(adapted.config, rows.schema, models) < SMALL_STEP:
            count, reason = 1, reason.replace(f"{torch.get_num_threads()} threads", "1 thread, as the layers are small")
    return Plan(adapted, where, reason, precision, context, labelled, ", ".join(parts), count)


def step_work(config: Config, schema: Schema, models: int) -> float:
    """Multiplications and additions of a training step, roughly: forward and backward passes of rows and their views."""
    views = 2 if needs_view(config) else 1
    return 6.0 * models * views * config.train.batch_size * min_parameters(config, schema)


def steps_per_epoch(rows: int, config: Config) -> int:
    """Number of whole batches in the training rows, at least 1."""
    return max(1, rows // config.train.batch_size)


@dataclass(frozen=True)
class Timeline:
    """The stages of a training, in order.

    Attributes:
        config: config of the whole training.
        stages: config of each stage.
        first: epochs of the first of two stages; 0 for a single stage.
    """

    config: Config
    stages: tuple[Config, ...]
    first: int
    steps_per_epoch: int

    @classmethod
    def of(cls, config: Config, rows: int, first: int | None = None) -> Timeline:
        """Divide a training into stages.

        With ``phases.pretraining``, a code comes first, with ``code.y.overcluster`` alone, fine clusters do.

        Args:
            config: an adapted config.
            rows: number of training rows.
            first: epochs of the first stage, for a resumed run; None for the share of all epochs that the config has.
        """
        epochs, per_epoch, made = int(config.train.epochs), steps_per_epoch(rows, config), _first_stage(config)
        if made is None:
            return cls(config, (config,), 0, per_epoch)
        before, share = made
        if first is None:
            first = min(max(1, round(epochs * share)), epochs - 1)
        if first < 1:
            return cls(config, (config,), 0, per_epoch)
        before = before.model_copy(update={"train": before.train.model_copy(update={"epochs": first})})
        left = config.train.model_copy(update={"epochs": max(1, epochs - first)})
        return cls(config, (before, config.model_copy(update={"train": left})), first, per_epoch)

    @property
    def pretrains(self) -> bool:
        """Whether the first of two stages learns a code."""
        return self.first > 0 and self.config.phases.pretraining is not None

    @property
    def steps(self) -> int:
        """Number of steps of all stages."""
        return sum(int(stage.train.epochs) for stage in self.stages) * self.steps_per_epoch

    def epochs_before(self, stage: int) -> int:
        """Number of epochs of all earlier stages."""
        return sum(int(config.train.epochs) for config in self.stages[:stage])

    def steps_before(self, stage: int) -> int:
        """Number of steps of all earlier stages."""
        return self.epochs_before(stage) * self.steps_per_epoch

    def checkpoint_config(self, stage: int) -> Config:
        """Config to save in a checkpoint: that of the whole training in the last stage, else that of the stage."""
        return self.config if stage + 1 == len(self.stages) else self.stages[stage]


def _first_stage(config: Config) -> tuple[Config, float] | None:
    """Config of the first of two stages, and its share of the epochs; None for one stage."""
    y, pretraining = config.code.y, config.phases.pretraining
    if isinstance(pretraining, Pretraining):
        return _code_stage(config, pretraining), pretraining.part
    if y is not None and y.overcluster > 1:
        return _fine_stage(config, y), float(config.train.merge_at)
    return None


def _code_stage(config: Config, before: Pretraining) -> Config:
    """The stage of ``phases.pretraining``: z alone, learned by contrast of views."""
    phases = Phases(
        reconstruction=Reconstruction(weight=0.0, optimizer=Optimizer(lr=before.lr)),
        neighbour_embedding=NeighbourEmbedding(weight=1.0, temperature=before.temperature),
    )
    changes = {
        "code": Code(z=ZCode(dims=before.dims)),
        "data": config.data.model_copy(update={"labels": "none"}),
        "encoder": config.encoder.model_copy(update={"hidden": widths(config.encoder.hidden)[: before.layers]}),
        "decoder": config.decoder.model_copy(update={"input": "concat"}),
        "adversaries": Adversaries(),
        "phases": phases,
        "augment": config.augment.model_copy(update={"share": before.share}),
        "train": config.train.model_copy(update={"lr_warmup": 0.05, "lr_decay": 0.0, "lr_drops": ()}),
    }
    return config.model_copy(update=changes)


def _fine_stage(config: Config, y: YCode) -> Config:
    """The stage of fine clusters, without labels: ``code.y.overcluster`` for each category."""
    fine = y.model_copy(update={"classes": int(y.classes) * y.overcluster, "overcluster": 1})
    changes = {
        "code": config.code.model_copy(update={"y": fine}),
        "data": config.data.model_copy(update={"labels": "none"}),
        "phases": config.phases.model_copy(update={"semi_supervised": None}),
        "decoder": config.decoder.model_copy(update={"input": "concat"}),
    }
    return config.model_copy(update=changes)


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
