"""Build adversaries, terms, phases and optimisers from an adapted config."""

from __future__ import annotations

from contextlib import AbstractContextManager

import torch
from torch import Tensor, nn

from ..config.auto import ensemble_size, needs_view
from ..config.sections import Adversary as AdversaryConfig
from ..config.sections import Config
from ..data.types import Schema
from ..distributed import ALONE, World
from ..model.build import build_priors
from ..nn.aae import AAE
from ..nn.adversary import Adversary
from ..nn.cells import Cells
from ..nn.encoder import Encoder
from ..nn.layers import BatchNorm
from ..nn.priors import Categorical
from .contrastive import Contrastive, NeighbourEmbedding
from .neighbours import CellDistances, Neighbours
from .optimizers import build_optimizer
from .phases import Objective, Phase
from .terms import (
    AdversarialConsistency,
    Consistency,
    DiscriminatorLoss,
    GeneratorLoss,
    HeadSeparation,
    Information,
    Reconstruction,
    SemiSupervised,
    Term,
)
from .views import View, cell_view, coloured_view, feature_view, image_view, neighbour_view

NEIGHBOUR_ROWS = 4096  # training rows searched for neighbours of a table's row
CACHED_ROWS = 2_000_000  # maximum number of training rows whose neighbours are cached, 28 bytes each


def build_neighbours(config: Config, schema: Schema, model: AAE, rows: Tensor) -> Neighbours | None:
    """Build the search for neighbours of rows; None for ``augment.neighbours`` = 0, and for images whose views need none.

    Args:
        rows: (M, D) in the file's units, on the model's device.
    """
    count = config.augment.neighbours
    wanted = schema.kind == "table" or config.augment.share
    if not wanted or not count:
        return None
    reference, cells = model.scaling(rows), model.scaling
    return Neighbours(count, reference, between=CellDistances(cells, reference) if isinstance(cells, Cells) else None)


def build_view(
    config: Config, schema: Schema, model: AAE, neighbours: Neighbours | None, world: World = ALONE
) -> View | None:
    """Build the map from rows to second views (:func:`make_view`); None if no term and no batch uses it."""
    labelled = config.phases.semi_supervised is not None and config.phases.semi_supervised.augment
    if not (needs_view(config) or labelled or config.augment.rows):
        return None
    return make_view(config, schema, model, neighbours, world)


def make_view(config: Config, schema: Schema, model: AAE, neighbours: Neighbours | None, world: World = ALONE) -> View:
    """Build the map from rows to the second views that ``augment`` describes, for images or for tables."""
    a = config.augment
    if schema.kind == "image":
        low = torch.full((schema.size,), schema.low or 0.0, device=model.scaling.shift.device)
        outside, flip, crop = model.scaling(low), bool(a.flip), float(a.crop)
        distortions = (a.shift, a.rotation, a.scale, a.shear, a.elastic)
        view = image_view(schema.shape, *distortions, outside, world, flip=flip, crop=crop)
        if a.colour:
            high = model.scaling(torch.full_like(low, schema.high or 1.0))
            ends = float(outside.min()), float(high.max())
            view = coloured_view(view, schema.shape, float(a.colour), ends, world)
        return view if neighbours is None or not a.share else neighbour_view(view, neighbours, a.share, world)
    if isinstance(model.scaling, Cells):
        return cell_view(a.noise, a.swap, model.scaling, neighbours, world)
    return feature_view(a.noise, a.swap, neighbours, world)


def build_objective(
    config: Config,
    model: AAE,
    classes: int,
    autocast: AbstractContextManager[object] | None = None,
    world: World = ALONE,
) -> Objective:
    """Build the adversaries and phases of an adapted config, on the model's device.

    Args:
        classes: C, the number of classes of the data, for label-informed adversaries.
        autocast: context of the forward passes; None for full precision.
        world: processes that share each batch.
    """
    adversaries = _build_adversaries(config, model, classes)
    for module in (*model.modules(), *adversaries.modules()):
        if isinstance(module, (Adversary, BatchNorm, Encoder)):
            module.world = world
    phases = _build_phases(config, model, adversaries, _build_terms(config, adversaries, world), world)
    return Objective(model, adversaries, phases, joint=config.phases.schedule == "joint", autocast=autocast)


def _build_adversaries(config: Config, model: AAE, classes: int) -> nn.ModuleDict:
    """Build the adversaries of y and z that the config has."""
    adversaries = nn.ModuleDict()
    for part, prior in build_priors(config).items():
        a: AdversaryConfig = getattr(config.adversaries, part)
        if isinstance(prior, Categorical):
            prior.share = model.encoder.share
        adversaries[part] = Adversary(
            model.models,
            prior,
            a.hidden,
            labels=classes if a.labels else 0,
            content=(model.classes or model.labels) if a.apart else 0,
            noise=a.noise,
            init_std=config.train.init_std,
        )
    return adversaries.to(model.scaling.shift.device)


def _build_terms(config: Config, adversaries: nn.ModuleDict, world: World) -> dict[str, list[Term]]:
    """Build the losses of each phase of the alternating schedule, except those of weight 0."""
    terms: dict[str, list[Term]] = {name: [] for name in ALTERNATING}
    c, heads, near = config.phases, config.decoder.heads, config.phases.neighbour_embedding
    semi, views, information = c.semi_supervised, c.consistency, c.information
    if c.reconstruction.weight:
        terms["reconstruction"].append(Reconstruction(float(c.reconstruction.weight)))
    if config.decoder.input == "heads" and heads.learned and heads.weight:
        terms["reconstruction"].append(HeadSeparation(heads.weight, heads.eta))
    if near is not None and near.weight:
        terms["reconstruction"].append(
            NeighbourEmbedding(float(near.weight), near.ramp, near.width, near.negatives, world)
            if near.temperature is None
            else Contrastive(float(near.weight), near.ramp, near.temperature, near.negatives, world)
        )
    for part, adversary in adversaries.items():
        assert isinstance(adversary, Adversary)
        a = getattr(config.adversaries, part)
        terms["discriminator"].append(DiscriminatorLoss(part, adversary))
        terms["generator"].append(GeneratorLoss(part, adversary, float(a.weight), a.ramp))
    if semi is not None and semi.weight:
        terms["semi_supervised"].append(SemiSupervised(float(semi.weight), semi.ramp))
    if views is not None and views.weight:
        start = float(semi.linear) if semi else float(views.mixture)
        ensemble = ensemble_size(config)
        terms["consistency"].append(
            AdversarialConsistency(views.weight, views.ramp, views.radius, start, ensemble, world)
            if views.radius
            else Consistency(views.weight, views.ramp, start, ensemble)
        )
    if information is not None and information.weight:
        terms["consistency"].append(Information(information.weight, information.balance, information.ramp, world))
    return terms


ALTERNATING = {
    "reconstruction": ("encoder", "rest"),
    "discriminator": ("adversaries",),
    "generator": ("encoder",),
    "semi_supervised": ("encoder",),
    "consistency": ("encoder",),
}
"""The phases of the alternating schedule in order, each with the parameters that it updates."""


def _build_phases(
    config: Config, model: AAE, adversaries: nn.ModuleDict, terms: dict[str, list[Term]], world: World
) -> list[Phase]:
    """Group losses into phases: those of the paper in the alternating schedule, two in the joint one."""
    c, joint = config.phases, config.phases.schedule == "joint"
    parameters = {
        "encoder": [p for p in model.encoder.parameters() if p.requires_grad],
        "rest": [p for name, p in model.named_parameters() if p.requires_grad and not name.startswith("encoder.")],
        "adversaries": list(adversaries.parameters()),
    }
    units = {name: world.wrap(own, all_used=joint) for name, own in parameters.items()}
    if joint:
        together = ("reconstruction", "generator", "semi_supervised", "consistency")
        plan = [
            ("regularisation", terms["discriminator"], ("adversaries",), c.regularisation.optimizer),
            (
                "autoencoder",
                [t for name in together for t in terms[name]],
                ("encoder", "rest"),
                c.reconstruction.optimizer,
            ),
        ]
    else:
        labels = (c.semi_supervised and c.semi_supervised.optimizer) or c.reconstruction.optimizer
        optimizers = {"discriminator": c.regularisation.optimizer, "generator": c.regularisation.optimizer}
        optimizers |= {"semi_supervised": labels, "consistency": labels}
        plan = [
            (name, terms[name], moved, optimizers.get(name, c.reconstruction.optimizer))
            for name, moved in ALTERNATING.items()
        ]
    phases = []
    for name, own_terms, moved, optimizer in plan:
        own = [p for each in moved for p in parameters[each]]
        if own_terms and own:
            averaged = [unit for each in moved if (unit := units[each]) is not None]
            phases.append(Phase(name, own_terms, own, build_optimizer(optimizer, own), averaged))
    return phases
