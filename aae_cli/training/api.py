"""The training functions that the command line and Python call."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from ..config.presets import preset_title
from ..config.resolve import resolve, resolve_given
from ..config.sections import Config
from ..data.memory import NAME, from_memory
from ..data.types import Data
from ..device import choose_device, kept_precision, threads
from ..distributed import joined, started_by_torchrun
from ..errors import UsageError
from ..model.evaluation import checked_metrics
from ..output.reporter import Reporter
from ..text import clean
from .folder import RunFolder, choose_folder
from .footprint import require_memory
from .plan import Plan, plan_training, require_divisible_batches
from .rehearsal import planned_within
from .run import run
from .selection import Run, Selection
from .splits import Splits, options_of, read_splits, split


@dataclass(frozen=True)
class Options:
    """Options of a training, beside its config.

    Attributes:
        title: name of the preset, used to name run folders.
        data: rows in memory, in place of the config's source.
        output: the run folder; None for a new ``runs/<title>``.
        given: dotted config keys that the user set.
        device: auto, cpu, cuda or mps.
        seeds: seeds to train one model each for, all together; None for the config's seed.
        metrics: metrics to measure at the end; None for the defaults of the variant.
        resume: continue an unfinished run in ``output``, or else the newest one of this title.
        force: replace the contents of ``output``.
        format: format of stdin, if the config's source is ``-``.
        deadline: value of ``time.monotonic()`` at which everything should be done; None for no limit.
        reporter: receiver of notes and progress.
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
    deadline: float | None = None
    pictures: bool = True
    reporter: Reporter = field(default_factory=Reporter)


def train(
    preset: str | Mapping[str, Any] = "quick",
    data: Any = None,
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
    seconds: float | None = None,
    pictures: bool = True,
) -> Run:
    """Train and save a model.

    Args:
        preset: name of a shipped preset, path of a YAML file, or a mapping.
        data: a source as on the command line; or rows in memory: an array, a pair of an array and its labels, or a frame
            of pandas or polars, whose labels are in the column ``label`` (or ``data.label_column``); None for the
            preset's source.
        output: the run folder; None for a new ``runs/<preset>``.
        settings: config values as ``a.b=value``.
        flags: config values by dotted key, which take precedence over ``settings``.
        device: auto, cpu, cuda or mps.
        resume: continue an unfinished run in ``output``, or else the newest one of this preset.
        force: replace the contents of ``output``.
        all_rows: train on all rows instead of holding some out, to embed or cluster these rows.
        reporter: receiver of notes and progress; None for silence.
        format: format of stdin, if ``data`` is ``-``.
        seconds: train for as many epochs as fit into this time; None for those of the preset.
        pictures: draw samples and curves in the run folder.

    Returns:
        the finished run.

    Raises:
        UsageError: an invalid config, or an unusable run folder.
        TypeError: data of another kind.
        DataError: data that cannot be read or that does not suit the preset.
        CheckpointError: a damaged state in a run to resume.
        TrainingError: a loss is no longer finite.
        Interrupted: SIGINT or SIGTERM was received; the state was saved.
    """
    deadline = None if seconds is None else time.monotonic() + seconds
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
            deadline=deadline,
            pictures=pictures,
        ),
    )
    return run


def train_seeds(
    preset: str | Mapping[str, Any],
    seeds: Sequence[int],
    data: Any = None,
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
    """Train one model per seed, all at once as a batch of models, for example to report means and deviations.

    Each seed has its own weights, data order, labelled rows and restarts. The rows held out of training are the same
    for all. Other arguments and errors are those of :func:`train`.

    Args:
        seeds: at least one, all different.
        metrics: metrics to measure at the end, as for :func:`aae_cli.evaluate`; None for the defaults of the variant.

    Returns:
        one run per seed. With several seeds, their checkpoints are in ``output``/seed-<seed>.
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
    data: Any,
    settings: Iterable[str],
    flags: Mapping[str, Any] | None,
    all_rows: bool = False,
) -> tuple[Config, Options]:
    """Resolve the config, and collect the options that follow from these arguments."""
    flags = dict(flags or {})
    named = data is None or isinstance(data, str | os.PathLike)
    if not named:
        flags.setdefault("data.source", data.name if isinstance(data, Data) else NAME)
    elif data is not None:
        flags["data.source"] = os.fspath(data)
    if all_rows:
        flags["data.validation"] = 0
    config, given = resolve_given(preset, settings, flags)
    title = preset_title(preset) if isinstance(preset, str) else "run"
    rows = None if named else from_memory(data, options_of(config.data))
    return config, Options(title, rows, given=given)


@dataclass(frozen=True)
class Prepared:
    """A planned training. ``notes`` are for its log and model card, and include those of ``plan.adapted``."""

    splits: Splits
    plan: Plan
    notes: tuple[str, ...]


def prepare(config: Config, options: Options) -> Prepared:
    """Read the rows and plan the training. A dry run ends here."""
    reporter = options.reporter
    if options.data is not None:
        splits, notes = split(options.data, config.data.validation, config.train.seed), options.data.notes
        for note in notes:
            reporter.say(note)
    else:
        config, splits, notes = read_splits(config, reporter, options.format)
    plan = plan_training(config, splits, options.device, options.seeds, options.given)
    timed = ""
    if options.deadline is not None:
        plan, timed = _within(config, options, splits, plan, options.deadline)
    for note in plan.adapted.notes:
        reporter.say(note)
    reporter.say(f"{options.title} on {splits.train.name}: {plan.summary}")
    reporter.say(f"device: {plan.reason}; {plan.precision}")
    if timed:
        reporter.say(timed)
    require_memory(plan.memory, plan.device, splits.train.schema)
    return Prepared(splits, plan, (*notes, *plan.adapted.notes))


def _within(config: Config, options: Options, splits: Splits, plan: Plan, deadline: float) -> tuple[Plan, str]:
    """The plan of as many epochs as can be done before a deadline, and a note on them."""
    if started_by_torchrun()[1] > 1:
        raise UsageError("--time is for one process", "give --epochs N instead")

    def replan(epochs: int) -> Plan:
        longer = config.model_copy(update={"train": config.train.model_copy(update={"epochs": epochs, "min_steps": 0})})
        return plan_training(longer, splits, options.device, options.seeds, options.given | {"train.epochs"})

    return planned_within(plan, replan, splits.train, lambda: deadline - time.monotonic())


def train_config(config: Config, options: Options) -> list[Run]:
    """Train a config and save one model per seed. Errors are those of :func:`train`."""
    for name in options.metrics or ():
        checked_metrics(name)  # measured at the end: a name that is not known must not wait until then
    main = started_by_torchrun()[0] == 0
    if not main:
        options = replace(options, reporter=Reporter())
    # Only the main process writes. The others need the folder to read the state of a run to resume.
    path, resume = Path(os.devnull), False
    if main or options.resume:
        path, resume = choose_folder(options.title, options.output, options.resume, options.force)
    if options.resume and not resume:
        options.reporter.say(f"nothing was saved in {path} yet: starting anew")
    folder = RunFolder(path, options.pictures)
    try:
        return _train_on_device(config, options, folder, resume)
    except (RuntimeError, TypeError) as error:
        # Apple GPUs lack some types and operations, which shows in the first step; the CPU has them all.
        if options.device != "auto" or choose_device("auto")[0].type != "mps" or folder.last or resume:
            raise
        options.reporter.warn(f"the first step failed on this Apple GPU ({clean(error, 160)}): training on the CPU")
        return _train_on_device(config, replace(options, device="cpu"), RunFolder(path, options.pictures), resume)


def _train_on_device(config: Config, options: Options, folder: RunFolder, resume: bool) -> list[Run]:
    """As :func:`train_config`, in a folder that is chosen, without another device to fall back on."""
    if resume and options.deadline is not None:
        options.reporter.say("a run that is continued keeps its length, whatever time was given")
        settled = resolve(str(folder.path / "config.yaml"))
        config = config.model_copy(update={name: getattr(settled, name) for name in ("train", "encoder", "decoder")})
        options = replace(options, deadline=None)
    with kept_precision():  # the plan sets another one
        prepared = prepare(config, options)
        plan = prepared.plan
        selection = Selection(options.title, plan, prepared.splits, prepared.notes, options.metrics, options.reporter)
        torch.set_flush_denormal(True)  # optimiser moments of unused weights become denormal, which halves CPU speed
        try:
            with (
                threads(plan.threads),
                joined(plan.device) as world,
                torch.random.fork_rng(devices=[plan.device] if plan.device.type == "cuda" else []),
            ):
                require_divisible_batches(plan.config, world)
                return run(selection, folder, world, resume)
        finally:
            torch.set_flush_denormal(False)
