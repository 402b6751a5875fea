"""Training as the command line and Python call it."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from ..config.presets import preset_title
from ..config.resolve import resolve
from ..data.types import Data
from ..distributed import joined, started_by_torchrun
from ..errors import UsageError
from ..output.reporter import Reporter
from .folder import choose_folder
from .plan import plan_training, require_shares
from .run import _Job
from .selection import Run
from .splits import read_splits, split


def train(
    preset: str | Mapping[str, Any] = "quick",
    data: str | Data | None = None,
    output: str | Path | None = None,
    settings: Iterable[str] = (),
    *,
    flags: Mapping[str, Any] | None = None,
    device: str = "auto",
    resume: bool = False,
    force: bool = False,
    all_rows: bool = False,
    reporter: Reporter | None = None,
    format: str | None = None,
) -> Run:
    """Train and save a model.

    Args:
        preset: a shipped preset's name, a YAML file, or a mapping.
        data: a source as on the command line, or rows in memory; None for the preset's own.
        output: the run folder; None makes ``runs/<preset>``.
        settings: ``a.b=value`` texts. flags: dotted keys → values, over the settings.
        resume: go on with an unfinished run in ``output`` (or the newest of this preset).
        force: replace what is in ``output``.
        all_rows: hold nothing out (embedding or clustering the very data that is fitted).
        format: of stdin, where ``data`` is ``-``.

    Raises:
        UsageError: a wrong config or folder. DataError, CheckpointError, TrainingError, Interrupted: as they say.
    """
    (run,) = _train(
        preset, data, output, settings, flags, device, resume, force, all_rows, reporter, format, seeds=None
    )
    return run


def train_seeds(
    preset: str | Mapping[str, Any],
    seeds: Sequence[int],
    data: str | Data | None = None,
    output: str | Path | None = None,
    settings: Iterable[str] = (),
    *,
    flags: Mapping[str, Any] | None = None,
    device: str = "auto",
    resume: bool = False,
    force: bool = False,
    metrics: Sequence[str] | None = None,
    reporter: Reporter | None = None,
) -> list[Run]:
    """Train one model a seed, all at once as a batch of models, to report means and spreads.

    Each seed has its own weights, data order, labelled rows and restarts; rows held out of training are the same for all.
    Other arguments and errors are those of :func:`train`.

    Args:
        metrics: what to measure at the end, as in :func:`aae_cli.evaluation.evaluate`; None for what fits the variant.

    Returns:
        one run a seed; their checkpoints lie in ``output``/seed-0 and so on.
    """
    if not seeds or len(set(seeds)) < len(seeds):
        raise UsageError(f"seeds {list(seeds)}: give at least one, each once")
    return _train(
        preset,
        data,
        output,
        settings,
        flags,
        device,
        resume,
        force,
        False,
        reporter,
        None,
        seeds=seeds,
        metrics=metrics,
    )


def _train(
    preset: str | Mapping[str, Any],
    data: str | Data | None,
    output: str | Path | None,
    settings: Iterable[str],
    flags: Mapping[str, Any] | None,
    device: str,
    resume: bool,
    force: bool,
    all_rows: bool,
    reporter: Reporter | None,
    format: str | None,
    *,
    seeds: Sequence[int] | None,
    metrics: Sequence[str] | None = None,
) -> list[Run]:
    reporter = reporter or Reporter()
    flags = dict(flags or {})
    if isinstance(data, str):
        flags["data.source"] = data
    elif isinstance(data, Data):
        flags.setdefault("data.source", data.name)
    if all_rows:
        flags["data.validation"] = 0
    config = resolve(preset, settings, flags)
    title = preset_title(preset) if isinstance(preset, str) else "run"
    main = started_by_torchrun()[0] == 0
    if not main:
        reporter = Reporter()
    folder = choose_folder(title, output, resume, force) if main or resume else Path(os.devnull)

    started = time.perf_counter()
    if isinstance(data, Data):
        splits, notes = split(data, config.data.validation, config.train.seed), data.notes
    else:
        config, splits, notes = read_splits(config, reporter, format)
    plan = plan_training(config, splits, device, seeds)
    for note in plan.adapted.notes:
        reporter.say(note)
    reporter.say(f"{title} on {splits.train.name}: {plan.summary}")
    reporter.say(f"device: {plan.reason}; {plan.precision}")

    torch.set_flush_denormal(True)  # moments of weights that no longer learn would cost a CPU twice the time
    try:
        with (
            joined(plan.device) as world,
            torch.random.fork_rng(devices=[plan.device] if plan.device.type == "cuda" else []),
        ):
            require_shares(plan.config, world)
            job = _Job(title, folder, plan, splits, (*notes, *plan.adapted.notes), reporter, metrics, world)
            runs = job.run(resume, started)
            del job  # its engine refers to the process group, which ends with this block
            return runs
    finally:
        torch.set_flush_denormal(False)
