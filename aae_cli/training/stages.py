"""The stages of a training: building, running and following each other."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from ..config.auto import ensemble_size
from ..config.sections import Config
from ..data.types import Data, Mapped
from ..distributed import World
from ..model.build import build_model, set_scaling
from ..nn.aae import AAE
from ..objective.build import (
    CACHED_ROWS,
    NEIGHBOUR_ROWS,
    build_neighbours,
    build_objective,
    build_view,
)
from ..objective.linear_classifiers import LinearClassifiers
from ..objective.mixtures import MixtureClusters
from ..objective.neighbours import Neighbours
from ..objective.phases import Objective
from ..output.reporter import Reporter
from .batches import Batches
from .cuda_graph import CudaRecorder
from .engine import Callbacks, Engine
from .handover import Handover, Stage, unit_codes
from .patience import CHECKS, Patience, held_out_objective
from .plan import Plan, Timeline
from .schedule import Schedule
from .splits import SCORE_ROWS

RESTART_STRIDE = 7919
"""Step between the seeds of restarts. With a step of 1, neighbouring seeds would share restarts."""


class Stages:
    """Builder of the stages of one training.

    Args:
        rows: the training rows.
        held_out: rows on which ``train.patience`` checks the objective; None if none are held out.
        reporter: receiver of notes on long operations and on merged clusters.
    """

    def __init__(
        self,
        plan: Plan,
        timeline: Timeline,
        rows: Data,
        world: World,
        reporter: Reporter,
        held_out: Data | None = None,
    ) -> None:
        self.plan, self.timeline, self.rows, self.world, self.reporter = plan, timeline, rows, world, reporter
        self.held_out = held_out
        self.schema = rows.schema
        self.neighbours: Neighbours | None = None  # built once for the rows, and once more for codes of a first stage

    def build(self, number: int, callbacks: Callbacks) -> Stage:
        """Build a stage before its first step: untrained models, their objective, batches and engine."""
        plan, device = self.timeline.stages[number], self.plan.device
        config = plan.config
        torch.manual_seed(config.train.seed + number)
        x, index = _tensor(self.rows)
        model = build_model(plan.model, self.schema, len(self.plan.labelled) * int(config.train.restarts))
        set_scaling(model, config, self.schema, x, index)
        model.to(device)
        if plan.kind == "style":
            model.encoder.settle()
        classes = len(self.schema.classes or ())
        objective = build_objective(config, model, classes, self.plan.autocast, self.world)
        pretrained = self._pretrained(number)
        batches = self._batches(number, model, objective, x.to(device), None if index is None else index.to(device))
        self._add_guide(config, model, batches)
        t = config.train
        schedule = Schedule(int(t.epochs), batches.steps_per_epoch, t.lr_drops, t.lr_decay, t.lr_warmup)
        # A resumed run needs the models in whose codes neighbours are searched.
        kept = {} if pretrained is None else {"pretrained": pretrained}
        engine = Engine(
            model,
            nn.ModuleDict({**objective.adversaries, **kept}),
            objective,
            batches,
            schedule,
            callbacks,
            ema=config.train.ema,
            world=self.world,
            recorder=CudaRecorder() if device.type == "cuda" and self.world.size == 1 else None,
            patience=self._patience(config, objective, batches, schedule.steps),
        )
        return Stage(number, plan, model, batches, engine, pretrained)

    def _patience(self, config: Config, objective: Objective, batches: Batches, steps: int) -> Patience | None:
        """Checks of the objective on held-out rows; None where they are not asked for, or no rows are held out."""
        if config.train.patience is None or self.held_out is None:
            return None
        measure = held_out_objective(objective, batches, self.held_out, config.train.seed, self.world)
        return Patience(config.train.patience, max(1, steps // CHECKS), measure)

    def _pretrained(self, number: int) -> AAE | None:
        """Models of a first stage, yet without their weights and scaling; None if no neighbours are searched there."""
        if not self._searches_codes(number):
            return None
        before = self.timeline.stages[0].config
        models = len(self.plan.labelled) * int(before.train.restarts)
        model = build_model(before, self.schema, models, to_train=False)
        return model.to(self.plan.device).eval().requires_grad_(False)

    def _searches_codes(self, number: int) -> bool:
        """Whether the neighbours of a stage are those in the codes of the first stage."""
        after_code = number == 1 and self.timeline.pretrains
        return after_code and self.timeline.config.augment.share > 0

    def run(self, stage: Stage) -> None:
        """Train a stage to its end. Errors are those of :meth:`Engine.run`."""
        if stage.pretrained is not None:
            self._search_codes(stage, stage.pretrained)
        stage.engine.run()

    def _search_codes(self, stage: Stage, pretrained: AAE) -> None:
        """Search the neighbours of rows in the codes of the first stage, whose weights are there by now."""

        def encode(x: Tensor) -> Tensor:
            return unit_codes(pretrained, x)

        reference = pretrained.scaling(self._some(NEIGHBOUR_ROWS))
        self.neighbours = Neighbours(stage.config.augment.neighbours, reference, encode)
        stage.batches.view = build_view(stage.config, self.schema, stage.model, self.neighbours, self.world)
        self._cache_neighbours(self.neighbours, stage.batches)

    def _batches(self, number: int, model: AAE, objective: Objective, x: Tensor, index: Tensor | None) -> Batches:
        plan, config = self.plan, self.timeline.stages[number].config
        semi = config.phases.semi_supervised
        restarts, ensemble = int(config.train.restarts), ensemble_size(config)
        seeds = [seed + index * RESTART_STRIDE for seed in plan.labelled for index in range(restarts)]
        labels = self.rows.labels if self.rows.labels is not None else np.full(len(self.rows), -1)
        if self.neighbours is None and not self._searches_codes(number):
            self.neighbours = build_neighbours(config, self.schema, model, self._some(NEIGHBOUR_ROWS))
        view = build_view(config, self.schema, model, self.neighbours, self.world)
        batches = Batches(
            x,
            torch.from_numpy(labels).long().to(x.device),
            [own for own in plan.labelled.values() for _ in range(restarts)],
            model.scaling,
            batch_size=config.train.batch_size,
            # Models of an ensemble, which share their consistency targets, are trained on the same rows.
            seeds=[seeds[i - i % ensemble] for i in range(len(seeds))],
            labelled_size=int(semi.batch_size) if semi else 0,
            view=view,
            want_view=objective.needs_view,
            augment_labelled=bool(semi and semi.augment),
            augment_rows=bool(config.augment.rows),
            first_epoch=self.timeline.epochs_before(number),
            world=self.world,
            index=index,
        )
        if view is not None and self.neighbours is not None and not self.neighbours.cached:
            self._cache_neighbours(self.neighbours, batches)
        return batches

    def _cache_neighbours(self, neighbours: Neighbours, batches: Batches) -> None:
        """Cache the neighbours of all training rows, unless there are more than CACHED_ROWS."""
        if (count := batches.count) > CACHED_ROWS:
            return
        if count > 10 * NEIGHBOUR_ROWS:
            self.reporter.say(f"finding the neighbours of {count} rows, once for the whole training")
        neighbours.cache(batches.every(), count)

    def _add_guide(self, config: Config, model: AAE, batches: Batches) -> None:
        """Fit what supplies a part of the consistency target: a classifier of labelled rows, or clusters of all rows."""
        semi, views, y = config.phases.semi_supervised, config.phases.consistency, config.code.y
        sizes_found = y is not None and y.sizes == "found"
        guide: LinearClassifiers | MixtureClusters
        if semi is not None and semi.linear:
            guide = LinearClassifiers(*batches.labelled_sample(SCORE_ROWS), model.classes)
            if sizes_found:
                guide.adjust(model.scaling(self._some(SCORE_ROWS)))
                batches.logit_adjustment = guide.logit_adjustment
        elif semi is None and views is not None and views.mixture:
            rows = model.scaling(self._some(SCORE_ROWS))[:, : model.scaling.outputs]
            seeds = [seed for seed in self.plan.labelled for _ in range(int(config.train.restarts))]
            guide = MixtureClusters(rows, model.classes, seeds)
        else:
            return
        if sizes_found and model.encoder.share is not None:
            model.encoder.share.copy_(guide.share)
        batches.guide = guide

    def _some(self, count: int) -> Tensor:
        """Up to ``count`` evenly spaced training rows (files are often sorted): (M, D) unscaled, on the device."""
        return torch.from_numpy(self.rows.evenly_spaced(count).x).to(self.plan.device)

    # --- from one stage to the next -------------------------------------------------------------------------------

    def advance(self, before: Stage, callbacks: Callbacks) -> Stage:
        """Build the next stage, with what this one has learned."""
        before.model.load_state_dict(before.engine.weights)
        before.model.eval()
        after = self.build(before.number + 1, callbacks)
        hand_over = Handover(
            self.timeline.config,
            self.timeline.stages[0].config,
            self.schema,
            self._some,
            self.neighbours,
            self.world,
            self.reporter,
        )
        hand_over(before, after)
        after.engine.restart_average()
        after.engine.seconds = before.engine.seconds
        return after


def _tensor(rows: Data) -> tuple[Tensor, Tensor | None]:
    """Convert rows to a tensor. For a memory-mapped file: the whole file, not copied, and the row numbers to use."""
    if isinstance(rows.x, Mapped):
        return torch.from_numpy(np.asarray(rows.x.base)), torch.from_numpy(rows.x.index)
    return torch.from_numpy(np.ascontiguousarray(rows.x)), None
