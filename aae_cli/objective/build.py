"""From an adapted config to adversaries, terms, phases and optimisers."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager

import torch
from torch import Tensor, nn

from ..config.auto import ensemble_size, needs_view
from ..config.sections import Adversary as AdversaryConfig
from ..config.sections import Config, Optimizer
from ..data.types import Schema
from ..distributed import ALONE, World
from ..model.build import build_priors
from ..nn.aae import AAE
from ..nn.adversary import Adversary
from ..nn.encoder import Encoder
from ..nn.layers import BatchNorm
from ..nn.priors import Categorical
from .neighbours import Neighbours
from .phases import Objective, Phase
from .terms import (
    AdversarialConsistency,
    Consistency,
    DiscriminatorLoss,
    GeneratorLoss,
    HeadSeparation,
    Information,
    NeighbourEmbedding,
    Reconstruction,
    SemiSupervised,
    Term,
)
from .views import View, feature_view, image_view

NEIGHBOUR_ROWS = 4096  # that a table's neighbours are looked for among
CACHED_ROWS = 2_000_000  # whose neighbours are found once, not at every step: 28 bytes each


def build_neighbours(config: Config, schema: Schema, model: AAE, rows: Tensor) -> Neighbours | None:
    """Where a table's rows have the neighbours that ``augment`` asks for; None for images.

    Args:
        rows: (M, D) in the file's units, on the model's device.
    """
    count = config.augment.neighbours
    return Neighbours(count, model.scaling(rows)) if schema.kind == "table" and count else None


def build_view(
    config: Config, schema: Schema, model: AAE, neighbours: Neighbours | None, world: World = ALONE
) -> View | None:
    """The map from rows to second views (:func:`make_view`), where some term or the labelled batch asks for one."""
    labelled = config.phases.semi_supervised is not None and config.phases.semi_supervised.augment
    if not (needs_view(config) or labelled or config.augment.rows):
        return None
    return make_view(config, schema, model, neighbours, world)


def make_view(config: Config, schema: Schema, model: AAE, neighbours: Neighbours | None, world: World = ALONE) -> View:
    """The map from rows to second views, which ``augment`` describes."""
    a = config.augment
    if schema.kind == "image":
        low = torch.full((schema.size,), schema.low or 0.0, device=model.scaling.shift.device)
        return image_view(schema.shape, a.shift, a.rotation, a.scale, a.shear, a.elastic, model.scaling(low), world)
    return feature_view(float(a.noise), a.swap, neighbours, world)


def build_optimizer(config: Optimizer, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    parameters = list(parameters)
    fused = all(p.device.type in ("cpu", "cuda") for p in parameters)
    on_cuda = all(p.device.type == "cuda" for p in parameters)
    lr = (
        torch.tensor(config.lr, device=parameters[0].device) if on_cuda else config.lr
    )  # a recorded step reads it there
    if config.name == "sgd":
        return torch.optim.SGD(parameters, lr, momentum=config.momentum, fused=fused)
    return torch.optim.Adam(parameters, lr, betas=config.betas, fused=fused, capturable=on_cuda)


def build_objective(
    config: Config,
    model: AAE,
    classes: int,
    autocast: AbstractContextManager[object] | None = None,
    world: World = ALONE,
) -> Objective:
    """Adversaries and phases of an adapted config, on the model's device.

    Args:
        classes: C of the data, for label-informed adversaries.
        world: processes that share each batch.
    """
    c, device = config.phases, model.scaling.shift.device
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
    adversaries.to(device)
    for module in (*model.modules(), *adversaries.modules()):
        if isinstance(module, (Adversary, BatchNorm, Encoder)):
            module.world = world

    reconstruction: list[Term] = []
    if c.reconstruction.weight:
        reconstruction.append(Reconstruction(float(c.reconstruction.weight)))
    if config.decoder.input == "heads" and config.decoder.heads.learned and config.decoder.heads.weight:
        reconstruction.append(HeadSeparation(config.decoder.heads.weight, config.decoder.heads.eta))
    discriminate: list[Term] = []
    fool: list[Term] = []
    for part, adversary in adversaries.items():
        assert isinstance(adversary, Adversary)
        a = getattr(config.adversaries, part)
        discriminate.append(DiscriminatorLoss(part, adversary))
        fool.append(GeneratorLoss(part, adversary, float(a.weight), a.ramp))
    semi: list[Term] = []
    if c.semi_supervised is not None and c.semi_supervised.weight:
        semi.append(SemiSupervised(float(c.semi_supervised.weight), c.semi_supervised.ramp))
    ours: list[Term] = []
    if c.consistency is not None and c.consistency.weight:
        k, linear = c.consistency, float(c.semi_supervised.linear) if c.semi_supervised else 0.0
        if k.radius:
            ours.append(AdversarialConsistency(k.weight, k.ramp, k.radius, linear, ensemble_size(config)))
        else:
            ours.append(Consistency(k.weight, k.ramp, linear, ensemble_size(config)))
    if c.neighbour_embedding is not None and c.neighbour_embedding.weight:
        reconstruction.append(
            NeighbourEmbedding(float(c.neighbour_embedding.weight), c.neighbour_embedding.ramp, world)
        )
    if c.information is not None and c.information.weight:
        ours.append(Information(c.information.weight, c.information.balance, c.information.ramp, world))

    encoder = [p for p in model.encoder.parameters() if p.requires_grad]
    rest = [p for name, p in model.named_parameters() if p.requires_grad and not name.startswith("encoder.")]
    discriminator_parameters = list(adversaries.parameters())
    joint = c.schedule == "joint"
    parameters = {"encoder": encoder, "rest": rest, "adversaries": discriminator_parameters}
    units = {name: world.wrap(own, all_used=joint) for name, own in parameters.items()}
    if joint:
        plan = [
            ("regularisation", discriminate, ["adversaries"], c.regularisation.optimizer),
            ("autoencoder", [*reconstruction, *fool, *semi, *ours], ["encoder", "rest"], c.reconstruction.optimizer),
        ]
    else:
        labels_optimizer = (c.semi_supervised and c.semi_supervised.optimizer) or c.reconstruction.optimizer
        plan = [
            ("reconstruction", reconstruction, ["encoder", "rest"], c.reconstruction.optimizer),
            ("discriminator", discriminate, ["adversaries"], c.regularisation.optimizer),
            ("generator", fool, ["encoder"], c.regularisation.optimizer),
            ("semi_supervised", semi, ["encoder"], labels_optimizer),
            ("consistency", ours, ["encoder"], labels_optimizer),
        ]
    phases = []
    for name, terms, moved, optimizer in plan:
        own = [p for each in moved for p in parameters[each]]
        if terms and own:
            averaged = [unit for each in moved if (unit := units[each]) is not None]
            phases.append(Phase(name, terms, own, build_optimizer(optimizer, own), averaged))
    return Objective(model, adversaries, phases, joint=joint, autocast=autocast)
