"""The run of a training: its stages in order, with saving and resuming."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from ..distributed import World
from ..errors import TrainingError
from .engine import Callbacks, Engine
from .folder import RunFolder, finished
from .handover import Stage
from .plan import identity, require_same
from .rehearsal import step_seconds, work_until
from .selection import Run, Selection, finished_run
from .stages import Stages
from .timeline import Timeline


def run(selection: Selection, folder: RunFolder, world: World, resume: bool) -> list[Run]:
    """Train all stages, saving regularly, then select, measure and write one model per seed.

    Args:
        selection: the plan, the rows, and the selection among the trained models.
        folder: the run folder.
        world: the processes of the training.
        resume: continue from the state in the folder.

    Returns:
        one run per seed; without metrics in processes other than the main one.

    Raises:
        UsageError: the state belongs to a different training.
        CheckpointError: the state is missing or damaged.
        TrainingError: a loss is no longer finite.
        Interrupted: SIGINT or SIGTERM was received; the state was saved.
    """
    started, plan, rows, reporter = time.perf_counter(), selection.plan, selection.splits.train, selection.reporter
    timeline = Timeline.of(plan.config, len(rows))
    writer = RunWriter(selection, folder, timeline, identity(plan, rows), world)
    stages = Stages(plan, timeline, rows, world, reporter, selection.splits.validation)
    stage = None if resume else stages.build(0, writer.callbacks(0))  # before the folder is created, as this can fail
    with folder.exclusive(make=not resume) if world.main else nullcontext():
        if stage is None:
            writer, stage = _resumed(writer, stages)
            if writer.done(stage.number, stage.engine) >= stages.timeline.steps and writer.finished:
                reporter.say(f"{folder.path} has already finished; train longer with --epochs N")
                return [finished_run(path, seed) for seed, path in writer.folders.items()]
        elif world.main:
            folder.clear()
        if world.main:
            folder.write_config(plan.config)

        # Steps of one stage cost the same; processes that train together would have to measure together.
        several = len(stages.timeline.stages) > 1 and world.size == 1
        measured = cache(lambda: work_until(stages.timeline, step_seconds(stages)))  # if the reporter shows a time left
        cost: Callable[[int], float] = (lambda step: measured()(step)) if several else float
        reporter.start(writer.selection.title, stages.timeline.steps, writer.done(stage.number, stage.engine), cost)
        try:
            stages.run(stage)  # returns at once if the run was interrupted after the last step, during the measurement
            while stage.number + 1 < len(stages.timeline.stages):
                stage = stages.advance(stage, writer.callbacks(stage.number + 1))
                stages.run(stage)
        except TrainingError as error:
            kept = f"the last good checkpoint is {folder.path}" if folder.has_model else "no checkpoint was saved yet"
            raise TrainingError(f"{error.what}; {kept}", error.hint) from None
        finally:
            reporter.stop()

        if not world.main:
            return [Run(folder.path, {}, seed=seed) for seed in plan.labelled]
        runs = writer.finish_all(stage, stages)
        reporter.say(f"trained in {time.perf_counter() - started:.0f} s")
        return runs


def _resumed(writer: RunWriter, stages: Stages) -> tuple[RunWriter, Stage]:
    """Restore the stage and step at which the state of a folder was saved."""
    folder, plan = writer.folder, writer.selection.plan
    tensors, facts = folder.load_state()
    require_same(facts["identity"], writer.identity, folder.path)
    number = int(facts.get("stage", 0))  # more epochs extend this stage and those after it
    stages.timeline = Timeline.of(plan.config, len(stages.rows), facts["kinds"], facts["epochs_done"])
    title = str(facts.get("title", writer.selection.title))
    writer = replace(writer, selection=replace(writer.selection, title=title), timeline=stages.timeline)
    number = min(number, len(stages.timeline.stages) - 1)
    stage = stages.build(number, writer.callbacks(number))
    stage.engine.load_state(tensors, facts)
    done, steps = writer.done(number, stage.engine), stages.timeline.steps
    if done < steps or not writer.finished:
        folder.rewind_log(done, write=writer.world.main)
        writer.selection.reporter.say(f"resuming {folder.path} at step {done} of {steps}")
    return writer, stage


@dataclass(frozen=True)
class RunWriter:
    """Writer of the log and the state during a training, and of the models at its end.

    Attributes:
        identity: values that a resumed run must have in common with this one.
    """

    selection: Selection
    folder: RunFolder
    timeline: Timeline
    identity: dict[str, Any]
    world: World

    @property
    def folders(self) -> dict[int, Path]:
        """Folder of the checkpoint of each seed."""
        seeds, path = list(self.selection.plan.labelled), self.folder.path
        return {seed: path / f"seed-{seed}" if len(seeds) > 1 else path for seed in seeds}

    @property
    def finished(self) -> bool:
        """Whether every seed has its finished checkpoint."""
        return all(finished(path) for path in self.folders.values())

    def done(self, stage: int, engine: Engine) -> int:
        """Number of steps done, including earlier stages."""
        return engine.step + self.timeline.steps_before(stage)

    def callbacks(self, stage: int) -> Callbacks:
        """Callbacks for the engine of a stage. Only those of the main process write and report."""

        def at(step: int) -> str:
            return f"step {step + self.timeline.steps_before(stage)} of {self.timeline.steps}"

        if not self.world.main:
            return Callbacks(at=at)

        def log(record: dict[str, Any]) -> None:
            record["step"] += self.timeline.steps_before(stage)
            record["epoch"] = round(record["epoch"] + self.timeline.epochs_before(stage), 3)
            if not self.folder.last:
                record |= self._notes
            self.folder.log(record)
            self.selection.reporter.log(record, self.timeline.steps)

        return Callbacks(log, lambda engine: self._save(stage, engine), self.selection.reporter.say, at)

    @property
    def _notes(self) -> dict[str, Any]:
        return {"notes": list(self.selection.notes)} if self.selection.notes else {}

    def _save(self, stage: int, engine: Engine) -> None:
        """Save the state and, before the last step, the first model as an unfinished checkpoint."""
        tensors, values = engine.state()
        stages = self.timeline.stages
        where = {"stage": stage, "kinds": [plan.kind for plan in stages]}
        where["epochs_done"] = [plan.epochs for plan in stages[:stage]]
        facts = {**values, **where, "title": self.selection.title, "identity": self.identity}
        self.folder.save_state(tensors, facts)
        if self.done(stage, engine) < self.timeline.steps:
            model = self.selection.candidate(engine.weights, 0, self.timeline.stages[stage].model)
            self.folder.save_model(model, self.timeline.config.train.seed, self.selection.splits.train)

    def finish_all(self, stage: Stage, stages: Stages) -> list[Run]:
        """Finish every seed; one whose models all diverged is left out, unless it is the last that is left.

        Raises:
            TrainingError: all models of all seeds diverged.
        """
        runs, failed = [], None
        for seed in self.selection.plan.labelled:
            try:
                runs.append(self.finish(stage, stages, seed))
            except TrainingError as error:
                failed = error
                self.selection.reporter.warn(f"{error.what}: left out")
        if not runs and failed is not None:
            raise failed
        return runs

    def finish(self, stage: Stage, stages: Stages, seed: int) -> Run:
        """Select one of a seed's restarts, measure it, and write its checkpoint and the final record of the log."""
        selection, engine, seeds = self.selection, stage.engine, list(self.selection.plan.labelled)
        restarts, place, folder = int(self.timeline.config.train.restarts), seeds.index(seed), self.folder
        if len(seeds) > 1:
            selection.reporter.say(f"seed {seed}")
            folder = folder.subfolder(self.folders[seed].name)
            folder.write_config(self.timeline.config)
        models = range(place * restarts, (place + 1) * restarts)
        candidates = [selection.candidate(engine.weights, i, self.timeline.config) for i in models]
        steps = self.done(stage.number, engine)
        own = {"seed": seed} if len(seeds) > 1 else {}

        def log(metrics: Mapping[str, float]) -> None:
            measured = {f"eval.{name}": value for name, value in metrics.items()}
            self.folder.log_final({**measured, "final": True, **own, **self._notes})

        near = [None if stages.neighbours is None else stages.neighbours.of_model(i) for i in models]
        return selection.finish(folder, seed, candidates, near, steps, engine.seconds, log)
