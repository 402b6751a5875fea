"""Config and data schema → priors, model, adversaries and phases: the only place where names become objects."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from . import phases as ph
from .adversary import Adversary
from .augment import Neighbours, View, feature_view, image_view
from .config import Adversary as AdversaryConfig
from .config import Config, Optimizer, map_without_labels, validate
from .data.types import Schema
from .errors import DataError
from .model import AAE, Encoder
from .nets import BatchNorm
from .priors import Categorical, Gaussian, Mixture, Prior, SwissRoll
from .world import ALONE, World

TABLE_WIDTH_PER_FEATURE, TABLE_WIDTH_LEAST = 4, 256
TABLE_RESTARTS, TABLE_RESTART_ROWS = 5, 10_000
HEADS, ROWS_A_HEAD = 20, 30
BATCHES_PER_EPOCH_LEAST = 4
FINE_LEAST = 30  # clusters before they are merged: a few would each join rows of several classes
ROWS_A_FINE = 60  # on average, in each of them
LINEAR_SHARE = 0.75  # of a linear classifier in what a table's consistency term teaches
MERGED_TOGETHER = 2048  # fine clusters of all restarts, at most: that takes seconds
NEIGHBOUR_WEIGHT = 3.0  # of the embedding of a table's neighbours in a map
# Of a map without heads: the prior's std (neighbours are told apart at distances around 1), and the adversary's weight.
MAP_STD, MAP_WEIGHT = 3.0, 0.1
NEIGHBOUR_ROWS = 4096  # that a table's neighbours are looked for among
REMEMBERED_ROWS = 2_000_000  # whose neighbours are found once, not at every step: 28 bytes each


@dataclass(frozen=True)
class Adapted:
    """A config with every ``auto`` decided for one data set, and what a person should know about it."""

    config: Config
    notes: tuple[str, ...]


def adapt(config: Config, schema: Schema, rows: int, labelled: bool, used: int | None = None) -> Adapted:
    """Make a preset fit the data: widths, classes, output, scaling, batch size and number of epochs.

    Args:
        rows: number of training rows.
        labelled: whether the data has labels.
        used: how many rows' labels the training may use; None = all.

    Raises:
        DataError: the config needs labels and there are none, or too few rows.
    """
    notes: list[str] = []
    config, alone = _decide_heads(config, schema)
    if alone:
        notes.append("a table's map has no cluster heads: near rows lie near each other (train with -k N for heads)")
    values: dict[str, Any] = config.model_dump()
    if rows < 2:
        raise DataError(f"there are {rows} rows to train on", "at least 2 are needed")
    if config.uses_labels and not labelled:
        raise DataError(
            "this preset needs labels and the data has none",
            "name the column with --label-column, or try --preset clustering or dim-reduction",
        )
    classes = len(schema.classes or ())
    if config.uses_labels and classes < 2:
        raise DataError(f"the labels name {classes} class", "at least 2 are needed")
    y = values["code"]["y"]
    if y is not None and y["classes"] == "auto":
        y["classes"] = min(HEADS, max(2, rows // ROWS_A_HEAD)) if map_without_labels(config) else classes
    if y is not None and y["sizes"] == "auto":
        y["sizes"] = "found" if schema.kind == "table" else "equal"
    if y is not None and y["overcluster"] > 1:
        fine = max(FINE_LEAST, min(y["overcluster"] * y["classes"], rows // ROWS_A_FINE))
        y["overcluster"] = max(min(3, y["overcluster"]), -(-fine // y["classes"]))
    if y is not None and config.phases.semi_supervised is not None and y["classes"] < classes:
        raise DataError(f"the data has {classes} classes and code.y.classes is {y['classes']}", "leave it at auto")
    if config.decoder.input == "heads" and not config.decoder.heads.learned:
        values["code"]["z"]["dims"] = max(values["code"]["z"]["dims"], y["classes"])
    for adversary in values["adversaries"].values():
        if adversary and adversary["prior"]["components"] == "auto":
            adversary["prior"]["components"] = classes if adversary["labels"] else 10
    if values["data"]["scaling"] == "auto":
        values["data"]["scaling"] = "unit" if schema.kind == "image" else "standard"
    if schema.kind == "table" and values["data"]["scaling"] == "unit":
        values["data"]["scaling"] = "standard"
        notes.append("columns are standardised: a table has no pixel range")
    if values["phases"]["reconstruction"]["weight"] == "auto":
        values["phases"]["reconstruction"]["weight"] = 1.0 if schema.kind == "table" else 0.003
    if values["encoder"]["dropout"] == "auto":
        values["encoder"]["dropout"] = 0.0 if schema.kind == "table" else 0.2
    if values["augment"]["noise"] == "auto":
        values["augment"]["noise"] = min(1.0, schema.size**0.5 / 4)
    semi = values["phases"]["semi_supervised"]
    used = rows if used is None else used
    if semi is not None and semi["weight"] == "auto":
        semi["weight"] = 0.2 if schema.kind == "table" else round(0.2 + 2 * used / rows, 6)
    if semi is not None and semi["linear"] == "auto":
        semi["linear"] = LINEAR_SHARE if schema.kind == "table" and config.phases.consistency else 0.0
    if semi is not None and semi["batch_size"] == "auto":
        semi["batch_size"] = 100 * max(1, min(round(used / 10_000), 2 * config.train.batch_size // 100))
    near = values["phases"]["neighbour_embedding"]
    if near is not None and near["weight"] == "auto":
        near["weight"] = NEIGHBOUR_WEIGHT if schema.kind == "table" else 0.0
    bounded = values["data"]["scaling"] == "unit"
    if values["decoder"]["output"] == "auto" or (values["decoder"]["output"] == "sigmoid" and not bounded):
        values["decoder"]["output"] = "sigmoid" if bounded else "linear"
    if schema.kind == "table":
        most = max(TABLE_WIDTH_LEAST, TABLE_WIDTH_PER_FEATURE * schema.size)
        bodies = [values["encoder"], values["decoder"], *filter(None, values["adversaries"].values())]
        if any(width > most for body in bodies for width in body["hidden"]):
            notes.append(f"hidden layers narrowed to {most} units for {schema.size} columns")
            for body in bodies:
                body["hidden"] = [min(width, most) for width in body["hidden"]]
        if _needs_view(config):
            notes.append(
                "views of a row lie between it and near rows, with noise: image augmentation is off for tables"
            )
        if semi is not None and semi["linear"]:
            notes.append(f"a linear classifier of the labelled rows has a {semi['linear']:.0%} say in what views teach")
    if values["train"]["restarts"] == "auto":
        several = alone or (y is not None and y["overcluster"] > 1)
        again = schema.kind == "table" and rows <= TABLE_RESTART_ROWS and several
        values["train"]["restarts"] = TABLE_RESTARTS if again else 1
        if again:
            how = "one is kept" if alone else "they teach each other, and one is kept"
            notes.append(f"{TABLE_RESTARTS} models at once, as {rows} rows are quick: {how}")
    if values["train"]["merge_at"] == "auto":
        early = semi is not None and used > rows / 2
        # What restarts found together is good as it is; heads, though, are learned after the merging.
        together = semi is None and ensemble_size(validate(values, "the adapted preset")) > 1
        late = schema.kind == "table" and together and config.decoder.input != "heads"
        values["train"]["merge_at"] = 0.2 if early else 0.8 if late else 0.5
    batch_size = min(config.train.batch_size, max(2, rows // BATCHES_PER_EPOCH_LEAST))
    if batch_size < config.train.batch_size:
        notes.append(f"batch size {batch_size} instead of {config.train.batch_size} for {rows} rows")
    steps = max(1, rows // batch_size)
    epochs = max(config.train.epochs, -(-config.train.min_steps // steps))
    if epochs > config.train.epochs:
        notes.append(f"{epochs} epochs instead of {config.train.epochs}, so that {rows} rows give enough steps")
    values["train"] |= {"batch_size": batch_size, "epochs": epochs, "min_steps": 0}
    return Adapted(validate(values, "the adapted preset"), tuple(notes))


def _decide_heads(config: Config, schema: Schema) -> tuple[Config, bool]:
    """A config without ``auto`` in ``decoder.input`` and adversaries, and whether that left z alone, without y."""
    auto = config.decoder.input == "auto"
    values, y = config.model_dump(), config.code.y
    alone = auto and schema.kind == "table" and map_without_labels(config) and y is not None and y.classes == "auto"
    if auto:
        values["decoder"]["input"] = "concat" if alone else "heads"
    if alone:
        values["code"]["y"] = values["adversaries"]["y"] = None
        values["phases"] |= {"consistency": None, "information": None}
    for adversary in filter(None, values["adversaries"].values()):
        adversary["apart"] = adversary["apart"] and not alone
        if adversary["prior"]["std"] == "auto":
            adversary["prior"]["std"] = MAP_STD if alone else 1.0
        if adversary["weight"] == "auto":
            adversary["weight"] = MAP_WEIGHT if alone else 1.0
    return validate(values, "the adapted preset"), alone


def _needs_view(config: Config) -> bool:
    p = config.phases
    return p.consistency is not None or (p.neighbour_embedding is not None and p.neighbour_embedding.weight != 0)


def ensemble_size(config: Config) -> int:
    """How many models teach each other in a stage of an adapted config: a seed's restarts, where categories agree.

    They do where labels name them, or where the clusters of all restarts were merged together.
    """
    y, consistency, restarts = config.code.y, config.phases.consistency, int(config.train.restarts)
    if y is None or consistency is None or not consistency.ensemble:
        return 1
    fine = restarts * int(y.classes) * y.overcluster
    together = y.overcluster > 1 and fine <= MERGED_TOGETHER
    return restarts if config.phases.semi_supervised is not None or together else 1


def build_prior(config: AdversaryConfig, dims: int) -> Prior:
    p = config.prior
    components = p.components if isinstance(p.components, int) else 10
    if p.name == "categorical":
        return Categorical(dims)
    if p.name == "mixture":
        return Mixture(components, p.radius, p.radial_std, p.tangential_std)
    if p.name == "swiss-roll":
        return SwissRoll(components, p.radius, p.turns, p.width)
    return Gaussian(dims, float(p.std))


def build_priors(config: Config) -> dict[str, Prior]:
    """The prior of each regularised code part of an adapted config."""
    priors = {}
    if config.code.y is not None and config.adversaries.y is not None:
        priors["y"] = build_prior(config.adversaries.y, int(config.code.y.classes))
    if config.code.z is not None and config.adversaries.z is not None:
        priors["z"] = build_prior(config.adversaries.z, config.code.z.dims)
    return priors


def least_size(config: Config, schema: Schema) -> int:
    """A number of parameters that a model of an adapted config has at least, found without building it."""
    y, z = config.code.y, config.code.z
    classes, dims = (int(y.classes) * y.overcluster if y else 0), (z.dims if z else 0)
    encoder, decoder = [schema.size, *config.encoder.hidden], [*config.decoder.hidden, schema.size]
    bodies = sum(a * b for sizes in (encoder, decoder) for a, b in itertools.pairwise(sizes))
    return bodies + encoder[-1] * (classes + dims)


def build_model(config: Config, schema: Schema, models: int = 1) -> AAE:
    """An untrained model of an adapted config; scaling is set by :func:`set_scaling`."""
    y, z, decoder = config.code.y, config.code.z, config.decoder
    assert decoder.input != "auto", "the config is not adapted"
    classes, dims = int(y.classes) if y else 0, z.dims if z else 0
    encoder = Encoder(
        models,
        schema.size,
        config.encoder.hidden,
        classes,
        dims,
        fine=int(y.classes) * y.overcluster if y and y.overcluster > 1 else 0,
        posterior=z.posterior if z else "deterministic",
        noise_dims=z.noise_dims if z else 0,
        posterior_std=z.std if z else None,
        noise=config.encoder.noise,
        dropout=float(config.encoder.dropout),
        batch_norm=config.encoder.batch_norm,
        batch_norm_y=y.batch_norm if y else False,
        batch_norm_z=z.batch_norm if z else False,
        z_scale=build_prior(config.adversaries.z, dims).scale if config.adversaries.z else 1.0,
        init_std=config.train.init_std,
    )
    return AAE(
        models,
        schema.size,
        encoder,
        classes=classes,
        dims=dims,
        labels=len(schema.classes or ()) if config.uses_labels else 0,
        decoder_hidden=decoder.hidden,
        decoder_batch_norm=decoder.batch_norm,
        decoder_batch_norm_last=decoder.batch_norm_last,
        decoder_input=decoder.input,
        output="sigmoid" if decoder.output == "sigmoid" else "linear",
        heads_learned=decoder.heads.learned,
        heads_scale=decoder.heads.scale,
        heads_eta=decoder.heads.eta,
        init_std=config.train.init_std,
    )


@torch.no_grad()
def set_scaling(model: AAE, config: Config, schema: Schema, x: Tensor, index: Tensor | None = None) -> None:
    """Fill in the model's scaling: from the pixel range, or from the training rows x (N, D) in the file's units.

    Args:
        index: which rows of x are meant; None for all.
    """
    shift, scale = model.scaling.shift, model.scaling.scale
    if config.data.scaling == "unit":
        assert schema.low is not None and schema.high is not None
        shift.fill_(schema.low)
        scale.fill_(schema.high - schema.low)
        return
    total = torch.zeros(x.shape[1], dtype=torch.float64)
    square = torch.zeros_like(total)
    numbers = torch.arange(len(x)) if index is None else index
    mean_of_some = x[numbers[:1000]].double().mean(0).cpu()
    for some in numbers.split(10_000):  # centred first: no cancellation on columns such as years
        centred = x[some].double().cpu() - mean_of_some
        total += centred.sum(0)
        square += centred.square().sum(0)
    mean = total / len(numbers)
    std = (square / len(numbers) - mean.square()).clamp(min=0).sqrt()
    if schema.kind == "image":  # one spread for all pixels: a border that never changes must not be blown up
        std = std.square().mean().sqrt().expand_as(std).clone()
    std = torch.where(std > 1e-8 * (mean_of_some.abs() + 1e-30), std, 0)
    shift.copy_(mean + mean_of_some)
    scale.copy_(std)


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
    if not (_needs_view(config) or labelled or config.augment.rows):
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
) -> ph.Objective:
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

    reconstruction: list[ph.Term] = []
    if c.reconstruction.weight:
        reconstruction.append(ph.Reconstruction(float(c.reconstruction.weight)))
    if config.decoder.input == "heads" and config.decoder.heads.learned and config.decoder.heads.weight:
        reconstruction.append(ph.HeadSeparation(config.decoder.heads.weight, config.decoder.heads.eta))
    discriminate: list[ph.Term] = []
    fool: list[ph.Term] = []
    for part, adversary in adversaries.items():
        assert isinstance(adversary, Adversary)
        a = getattr(config.adversaries, part)
        discriminate.append(ph.Discriminate(part, adversary))
        fool.append(ph.Fool(part, adversary, float(a.weight), a.ramp))
    semi: list[ph.Term] = []
    if c.semi_supervised is not None and c.semi_supervised.weight:
        semi.append(ph.SemiSupervised(float(c.semi_supervised.weight), c.semi_supervised.ramp))
    ours: list[ph.Term] = []
    if c.consistency is not None and c.consistency.weight:
        k, linear = c.consistency, float(c.semi_supervised.linear) if c.semi_supervised else 0.0
        if k.radius:
            ours.append(ph.AdversarialConsistency(k.weight, k.ramp, k.radius, linear, ensemble_size(config)))
        else:
            ours.append(ph.Consistency(k.weight, k.ramp, linear, ensemble_size(config)))
    if c.neighbour_embedding is not None and c.neighbour_embedding.weight:
        reconstruction.append(
            ph.NeighbourEmbedding(float(c.neighbour_embedding.weight), c.neighbour_embedding.ramp, world)
        )
    if c.information is not None and c.information.weight:
        ours.append(ph.Information(c.information.weight, c.information.balance, c.information.ramp, world))

    encoder = [p for p in model.encoder.parameters() if p.requires_grad]
    rest = [p for name, p in model.named_parameters() if p.requires_grad and not name.startswith("encoder.")]
    judges = list(adversaries.parameters())
    joint = c.schedule == "joint"
    parameters = {"encoder": encoder, "rest": rest, "adversaries": judges}
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
            phases.append(ph.Phase(name, terms, own, build_optimizer(optimizer, own), averaged))
    return ph.Objective(model, adversaries, phases, joint=joint, autocast=autocast)
