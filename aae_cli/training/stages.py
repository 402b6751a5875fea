"""The stages of a training: building a stage, and merging its fine clusters into the categories of the next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

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
    make_view,
)
from ..objective.code_clusters import cluster_codes, start_head
from ..objective.linear_classifiers import LinearClassifiers
from ..objective.merging import ROWS as COUPLING_ROWS
from ..objective.merging import (
    carry_decoder,
    co_occurrence,
    coupling,
    group_clusters,
    merge_restarts,
    merged_proportions,
)
from ..objective.mixtures import MixtureClusters
from ..objective.neighbours import Neighbours
from ..objective.phases import Objective
from ..output.reporter import Reporter
from .batches import Batches
from .cuda_graph import CudaRecorder
from .engine import Callbacks, Engine
from .patience import CHECKS, Patience, held_out_objective
from .plan import Plan, Timeline
from .schedule import Schedule
from .splits import SCORE_ROWS

RESTART_STRIDE = 7919
"""Step between the seeds of restarts. With a step of 1, neighbouring seeds would share restarts."""


@dataclass(frozen=True)
class Stage:
    """A stage of a training. Stages are numbered from 0.

    Attributes:
        pretrained: models of the first stage, in whose codes neighbours are searched; None for the rows themselves.
    """

    number: int
    config: Config
    model: AAE
    batches: Batches
    engine: Engine
    pretrained: AAE | None = None


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
        config, device = self.timeline.stages[number], self.plan.device
        torch.manual_seed(config.train.seed + number)
        x, index = _tensor(self.rows)
        model = build_model(config, self.schema, len(self.plan.labelled) * int(config.train.restarts))
        set_scaling(model, config, self.schema, x, index)
        model.to(device)
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
        return Stage(number, config, model, batches, engine, pretrained)

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
        before = self.timeline.stages[0]
        models = len(self.plan.labelled) * int(before.train.restarts)
        model = build_model(before, self.schema, models, to_train=False)
        return model.to(self.plan.device).eval().requires_grad_(False)

    def _searches_codes(self, number: int) -> bool:
        """Whether the neighbours of a stage are those in the codes of the first stage."""
        return number > 0 and self.timeline.pretrains and self.timeline.config.augment.share > 0

    def run(self, stage: Stage) -> None:
        """Train a stage to its end. Errors are those of :meth:`Engine.run`."""
        if stage.pretrained is not None:
            self._search_codes(stage, stage.pretrained)
        stage.engine.run()

    def _search_codes(self, stage: Stage, pretrained: AAE) -> None:
        """Search the neighbours of rows in the codes of the first stage, whose weights are there by now."""

        def encode(x: Tensor) -> Tensor:
            return _unit_codes(pretrained, x)

        reference = pretrained.scaling(self._some(NEIGHBOUR_ROWS))
        self.neighbours = Neighbours(stage.config.augment.neighbours, reference, encode)
        stage.batches.view = build_view(stage.config, self.schema, stage.model, self.neighbours, self.world)
        self._cache_neighbours(self.neighbours, stage.batches)

    def _batches(self, number: int, model: AAE, objective: Objective, x: Tensor, index: Tensor | None) -> Batches:
        plan, config = self.plan, self.timeline.stages[number]
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
            augment_rows=config.augment.rows,
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
        if self.timeline.pretrains:
            after.model.encoder.body.load_state_dict(before.model.encoder.body.state_dict(), strict=False)
        else:
            self._merge(before, after)
        if after.pretrained is not None:
            after.pretrained.load_state_dict(before.model.state_dict())
            self.reporter.say(f"neighbours are now searched in {before.model.dims}-D codes")
        if self.timeline.pretrains and after.model.classes:
            self._start_clusters(before, after)
        after.engine.restart_average()
        after.engine.seconds = before.engine.seconds
        return after

    # --- from a code to categories -----------------------------------------------------------------------------------

    def _start_clusters(self, before: Stage, after: Stage) -> None:
        """Let q(y|x) start from clusters of the codes, which labelled rows assign to categories if there are any."""
        y, model = after.config.code.y, after.model
        assert y is not None
        x = before.model.scaling(self._some(COUPLING_ROWS))[None]
        codes = _unit_codes(before.model, x).double().cpu().numpy()
        fine, labelled = int(y.classes) * y.overcluster, after.config.phases.semi_supervised is not None
        if fine > codes.shape[1]:
            return
        found = [cluster_codes(own, model.classes, y.overcluster, y.sizes == "equal", labelled) for own in codes]
        start_head(before.model, model, found, x)
        if model.encoder.groups is not None:
            votes = None
            if labelled:
                rows, labels = after.batches.labelled_sample(SCORE_ROWS)
                own = _unit_codes(before.model, rows).double().cpu().numpy()
                votes = [each(some) for each, some in zip(found, own, strict=True)], labels.cpu().numpy()
            share = [each.share for each in found]
            groups = group_clusters([each.joint for each in found], share, model.classes, votes)
            for name, value in self._merged_groups(groups, share, model.classes).items():
                model.encoder.get_buffer(name).copy_(value)
        for value in model.encoder.state_dict().values():
            value.copy_(self.world.of_main(value))
        self.reporter.say(f"{fine} clusters found in {before.model.dims}-D codes")

    # --- from fine clusters to categories -----------------------------------------------------------------------------

    def _merge(self, before: Stage, after: Stage) -> None:
        """Give the next stage the trained encoder and decoder of this one, with its clusters merged.

        The discriminators, which see categories of another number, and the optimisers start anew.
        """
        encoder, found = after.model.encoder, self._merged(before, after)
        assert encoder.share is not None
        merged = {"groups": found["groups"], "share": found.get("share", encoder.share)}
        shared = {name: self.world.of_main(value.to(self.plan.device)) for name, value in merged.items()}
        encoder.load_state_dict({**before.model.encoder.state_dict(), **shared})
        carry_decoder(before.model, after.model, shared["groups"])
        self.reporter.say(f"{before.model.classes} clusters merged into {after.model.classes}")

    def _merged(self, before: Stage, after: Stage) -> dict[str, Tensor]:
        """Merge fine clusters: ``groups`` (R, F) int64, and their proportions ``share`` (R, K) if to be estimated."""
        config, classes, ensemble = self.timeline.config, after.model.classes, ensemble_size(self.timeline.config)
        labelled = config.phases.semi_supervised is not None
        if ensemble > 1 and not labelled:
            joint, share = co_occurrence(before.model, self._some(COUPLING_ROWS), ensemble)
            groups = [own for each in joint for own in merge_restarts(each, ensemble, classes)]
        else:
            joint, share = self._coupling(before.model)
            own = _labelled_codes(before.model, after.batches) if labelled else None
            groups = group_clusters(joint, share, classes, own)
        return self._merged_groups(groups, share, classes)

    def _merged_groups(
        self, groups: Sequence[np.ndarray], share: Sequence[np.ndarray] | np.ndarray, classes: int
    ) -> dict[str, Tensor]:
        """``groups`` and, if to be estimated, ``share`` as tensors, from the groups and proportions of fine clusters."""
        config = self.timeline.config
        merged = {"groups": torch.from_numpy(np.stack(groups))}
        if config.code.y is not None and config.code.y.sizes == "found" and not proportions_from_linear(config):
            sizes = [merged_proportions(own, each, classes) for own, each in zip(groups, share, strict=True)]
            merged["share"] = torch.from_numpy(np.stack(sizes).astype(np.float32))
        return merged

    def _coupling(self, model: AAE) -> tuple[np.ndarray, np.ndarray]:
        """:func:`coupling` with the views of the first stage, without using random numbers of the training."""
        before = self.timeline.stages[0]
        with torch.random.fork_rng(devices=[self.plan.device] if self.plan.device.type == "cuda" else []):
            torch.manual_seed(before.train.seed)
            view = make_view(before, self.schema, model, self.neighbours)
            return coupling(model, self._some(COUPLING_ROWS), view)


@torch.no_grad()
def _unit_codes(model: AAE, x: Tensor) -> Tensor:
    """Codes of rows as unit vectors: (R or 1, B, D) in the networks' units → (R, B, n)."""
    return F.normalize(model.encode(x.expand(model.models, -1, -1)).part("z"), dim=-1)


@torch.no_grad()
def _labelled_codes(model: AAE, batches: Batches) -> tuple[np.ndarray, np.ndarray]:
    """q(y|x) of up to SCORE_ROWS labelled rows of each model, (R, L, K), and their labels, (R, L)."""
    x, labels = batches.labelled_sample(SCORE_ROWS)
    model.eval()
    y = model.encode(x).part("y").nan_to_num()
    model.train()
    return y.cpu().numpy(), labels.cpu().numpy()


def proportions_from_linear(config: Config) -> bool:
    """Whether an adapted config estimates its class proportions with a linear classifier on the labelled rows."""
    y, semi = config.code.y, config.phases.semi_supervised
    return y is not None and y.sizes == "found" and semi is not None and bool(semi.linear)


def _tensor(rows: Data) -> tuple[Tensor, Tensor | None]:
    """Convert rows to a tensor. For a memory-mapped file: the whole file, not copied, and the row numbers to use."""
    if isinstance(rows.x, Mapped):
        return torch.from_numpy(np.asarray(rows.x.base)), torch.from_numpy(rows.x.index)
    return torch.from_numpy(np.ascontiguousarray(rows.x)), None
