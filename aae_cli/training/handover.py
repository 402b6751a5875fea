"""What a stage of a training hands to the next one: the layers of a code, fine clusters to merge, or settled categories."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ..config.auto import ensemble_size
from ..config.sections import Config
from ..data.types import Schema
from ..distributed import World
from ..nn.aae import AAE
from ..objective.build import make_view
from ..objective.code_clusters import cluster_codes, start_head
from ..objective.merging import ROWS as COUPLING_ROWS
from ..objective.merging import (
    carry_decoder,
    co_occurrence,
    coupling,
    group_clusters,
    merge_restarts,
    merged_proportions,
)
from ..objective.neighbours import Neighbours
from ..output.reporter import Reporter
from .batches import Batches
from .engine import Engine
from .splits import SCORE_ROWS
from .timeline import Kind, StagePlan


@dataclass(frozen=True)
class Stage:
    """A stage of a training. Stages are numbered from 0.

    Attributes:
        pretrained: models of the first stage, in whose codes neighbours are searched; None for the rows themselves.
    """

    number: int
    plan: StagePlan
    model: AAE
    batches: Batches
    engine: Engine
    pretrained: AAE | None = None

    @property
    def config(self) -> Config:
        """What the stage optimises."""
        return self.plan.config


@dataclass(frozen=True)
class Handover:
    """From one stage to the next.

    Attributes:
        config: config of the whole training.
        first: config of the first stage, whose views show which fine clusters belong together.
        some: up to so many evenly spaced training rows, (M, D) unscaled, on the device.
    """

    config: Config
    first: Config
    schema: Schema
    some: Callable[[int], Tensor]
    neighbours: Neighbours | None
    world: World
    reporter: Reporter

    def __call__(self, before: Stage, after: Stage) -> None:
        """Give a stage what the one before it, whose model holds its final weights, has learned."""
        hand: dict[Kind, Callable[[Stage, Stage], None]] = {
            "code": self.code,
            "fine": self.fine_clusters,
            "main": self.categories,
        }
        hand[before.plan.kind](before, after)

    def categories(self, before: Stage, after: Stage) -> None:
        """Give the stage of style the settled categories."""
        encoder = after.model.encoder
        kept = ("body.", "y.", "groups", "share")
        learned = {name: value for name, value in before.model.encoder.state_dict().items() if name.startswith(kept)}
        encoder.load_state_dict(learned, strict=False)
        self.reporter.say("the categories are settled; style and decoder are learned beside them")

    # --- from a code to categories ------------------------------------------------------------------------------------

    def code(self, before: Stage, after: Stage) -> None:
        """Give the next stage the layers of a code, clusters of it to start q(y|x) from, and the code to find neighbours."""
        after.model.encoder.body.load_state_dict(before.model.encoder.body.state_dict(), strict=False)
        if after.pretrained is not None:
            after.pretrained.load_state_dict(before.model.state_dict())
            self.reporter.say(f"neighbours are now searched in {before.model.dims}-D codes")
        if after.model.classes:
            self._start_clusters(before, after)

    def _start_clusters(self, before: Stage, after: Stage) -> None:
        """Let q(y|x) start from clusters of the codes, which labelled rows assign to categories if there are any."""
        y, model = after.config.code.y, after.model
        assert y is not None
        x = before.model.scaling(self.some(COUPLING_ROWS))[None]
        codes = unit_codes(before.model, x).double().cpu().numpy()
        fine, labelled = int(y.classes) * y.overcluster, after.config.phases.semi_supervised is not None
        if fine > codes.shape[1]:
            return
        found = [cluster_codes(own, model.classes, y.overcluster, y.sizes == "equal", labelled) for own in codes]
        start_head(before.model, model, found, x)
        if model.encoder.groups is not None:
            votes = None
            if labelled:
                rows, labels = after.batches.labelled_sample(SCORE_ROWS)
                own = unit_codes(before.model, rows).double().cpu().numpy()
                votes = [each(some) for each, some in zip(found, own, strict=True)], labels.cpu().numpy()
            share = [each.share for each in found]
            groups = group_clusters([each.joint for each in found], share, model.classes, votes)
            for name, value in self._merged_groups(groups, share, model.classes).items():
                model.encoder.get_buffer(name).copy_(value)
        for value in model.encoder.state_dict().values():
            value.copy_(self.world.of_main(value))
        self.reporter.say(f"{fine} clusters found in {before.model.dims}-D codes")

    # --- from fine clusters to categories -----------------------------------------------------------------------------

    def fine_clusters(self, before: Stage, after: Stage) -> None:
        """Give the next stage the trained encoder and decoder of this one, with its clusters merged.

        The discriminators, which see categories of another number, and the optimisers start anew.
        """
        encoder, found = after.model.encoder, self._merged(before, after)
        assert encoder.share is not None
        merged = {"groups": found["groups"], "share": found.get("share", encoder.share)}
        shared = {
            name: self.world.of_main(value.to(before.model.scaling.shift.device)) for name, value in merged.items()
        }
        encoder.load_state_dict({**before.model.encoder.state_dict(), **shared})
        carry_decoder(before.model, after.model, shared["groups"])
        self.reporter.say(f"{before.model.classes} clusters merged into {after.model.classes}")

    def _merged(self, before: Stage, after: Stage) -> dict[str, Tensor]:
        """Merge fine clusters: ``groups`` (R, F) int64, and their proportions ``share`` (R, K) if to be estimated."""
        config, classes, ensemble = self.config, after.model.classes, ensemble_size(self.config)
        labelled = config.phases.semi_supervised is not None
        if ensemble > 1 and not labelled:
            joint, share = co_occurrence(before.model, self.some(COUPLING_ROWS), ensemble)
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
        config = self.config
        merged = {"groups": torch.from_numpy(np.stack(groups))}
        if config.code.y is not None and config.code.y.sizes == "found" and not proportions_from_linear(config):
            sizes = [merged_proportions(own, each, classes) for own, each in zip(groups, share, strict=True)]
            merged["share"] = torch.from_numpy(np.stack(sizes).astype(np.float32))
        return merged

    def _coupling(self, model: AAE) -> tuple[np.ndarray, np.ndarray]:
        """:func:`coupling` with the views of the first stage, without using random numbers of the training."""
        before = self.first
        rows = self.some(COUPLING_ROWS)
        with torch.random.fork_rng(devices=[rows.device] if rows.device.type == "cuda" else []):
            torch.manual_seed(before.train.seed)
            view = make_view(before, self.schema, model, self.neighbours)
            return coupling(model, rows, view)


@torch.no_grad()
def unit_codes(model: AAE, x: Tensor) -> Tensor:
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
