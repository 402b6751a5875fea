"""Training as the command line and Python call it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from ..config.presets import preset_title
from ..config.resolve import resolve_given
from ..config.sections import Config
from ..data.types import Data
from ..distributed import joined, started_by_torchrun
from ..errors import UsageError
from ..output.reporter import Reporter
from .folder import RunFolder, choose_folder
from .plan import Plan, plan_training, require_divisible_batches
from .run import run
from .selection import Run, Selection
from .splits import Splits, read_splits, split


@dataclass(frozen=True)
class Options:
    """How a config is trained.

    Attributes:
        title: the preset's name, which run folders take.
        data: rows in memory, in place of those that the config names.
        output: the run folder; None makes ``runs/<title>``.
        given: dotted keys of the config that a person set.
        device: auto, cpu, cuda or mps.
        seeds: one model each, trained together; None for the config's own seed.
        metrics: to measure at the end; None for what fits the variant.
        resume: continue an unfinished run in ``output`` (or the newest of this title).
        force: replace what is in ``output``.
        format: of stdin, where the config's source is ``-``.
    """

    title: str = "run"
    data: Data | None = None
    output: str | Path | None = None
    given: frozenset[str] = frozenset()
    device: str = "auto"
    seeds: Sequence[int] | None = None
    metrics: Sequence[str] | None = None
    resume: bool = False
    force: bool = False
    format: str | None = None
    reporter: Reporter = field(default_factory=Reporter)


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
    config, options = _resolved(preset, data, settings, flags, all_rows)
    (run,) = train_config(
        config,
        replace(
            options,
            output=output,
            device=device,
            resume=resume,
            force=force,
            reporter=reporter or Reporter(),
            format=format,
        ),
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
    config, options = _resolved(preset, data, settings, flags)
    return train_config(
        config,
        replace(
            options,
            output=output,
            device=device,
            seeds=seeds,
            metrics=metrics,
            resume=resume,
            force=force,
            reporter=reporter or Reporter(),
        ),
    )


def _resolved(
    preset: str | Mapping[str, Any],
    data: str | Data | None,
    settings: Iterable[str],
    flags: Mapping[str, Any] | None,
    all_rows: bool = False,
) -> tuple[Config, Options]:
    """The config that is asked for, and options that say so."""
    flags = dict(flags or {})
    if isinstance(data, str):
        flags["data.source"] = data
    elif isinstance(data, Data):
        flags.setdefault("data.source", data.name)
    if all_rows:
        flags["data.validation"] = 0
    config, given = resolve_given(preset, settings, flags)
    title = preset_title(preset) if isinstance(preset, str) else "run"
    return config, Options(title, data if isinstance(data, Data) else None, given=given)


@dataclass(frozen=True)
class Prepared:
    """A training that is planned and not begun: ``notes`` are lines for its records, ``plan.adapted``'s included."""

    splits: Splits
    plan: Plan
    notes: tuple[str, ...]


def prepare(config: Config, options: Options) -> Prepared:
    """Read the rows and decide everything before the first step; a dry run ends here."""
    reporter = options.reporter
    if options.data is not None:
        splits, notes = split(options.data, config.data.validation, config.train.seed), options.data.notes
    else:
        config, splits, notes = read_splits(config, reporter, options.format)
    plan = plan_training(config, splits, options.device, options.seeds, options.given)
    for note in plan.adapted.notes:
        reporter.say(note)
    reporter.say(f"{options.title} on {splits.train.name}: {plan.summary}")
    reporter.say(f"device: {plan.reason}; {plan.precision}")
    return Prepared(splits, plan, (*notes, *plan.adapted.notes))


def train_config(config: Config, options: Options) -> list[Run]:
    """Train a config and save a model a seed. Errors are those of :func:`train`."""
    main = started_by_torchrun()[0] == 0
    if not main:
        options = replace(options, reporter=Reporter())
    # Of several processes one writes; the others only read the state of a run that is resumed.
    path = (
        choose_folder(options.title, options.output, options.resume, options.force) if main or options.resume else None
    )
    prepared = prepare(config, options)
    plan = prepared.plan
    selection = Selection(options.title, plan, prepared.splits, prepared.notes, options.metrics, options.reporter)
    torch.set_flush_denormal(True)  # moments of weights that no longer learn would cost a CPU twice the time
    try:
        with (
            joined(plan.device) as world,
            torch.random.fork_rng(devices=[plan.device] if plan.device.type == "cuda" else []),
        ):
            require_divisible_batches(plan.config, world)
            return run(selection, RunFolder(path or Path(os.devnull)), world, options.resume)
    finally:
        torch.set_flush_denormal(False)
