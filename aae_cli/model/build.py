"""Build priors and models from an adapted config and a data schema."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from math import prod

import numpy as np
import torch
from torch import Tensor, nn

from ..config.base import widths
from ..config.phases import Style
from ..config.sections import Adversary as AdversaryConfig
from ..config.sections import Config
from ..data.columns import Column
from ..data.types import Schema
from ..nn.aae import AAE
from ..nn.bodies import ConvolutionalDecoder, ConvolutionalEncoder, map_shapes
from ..nn.cells import CellKinds, Cells
from ..nn.encoder import Encoder
from ..nn.priors import Categorical, Gaussian, Mixture, Prior, SwissRoll
from ..nn.scaling import Scaling


def build_prior(config: AdversaryConfig, dims: int) -> Prior:
    """Build the prior of a code part. dims: size of that part; a mixture and a swiss roll are always 2-D."""
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
    """Build the priors of the code parts (y, z) that have an adversary in an adapted config."""
    priors = {}
    if config.code.y is not None and config.adversaries.y is not None:
        priors["y"] = build_prior(config.adversaries.y, int(config.code.y.classes))
    if config.code.z is not None and config.adversaries.z is not None:
        priors["z"] = build_prior(config.adversaries.z, int(config.code.z.dims))
    return priors


def cell_kinds(mixed: Sequence[Column]) -> CellKinds:
    """What the columns of a mixed table are, for the networks."""
    numbers = [i for i, column in enumerate(mixed) if column.kind != "category"]
    return CellKinds(
        len(mixed),
        tuple(numbers),
        tuple(i for i in numbers if mixed[i].heavy),
        {i: column.spike for i, column in enumerate(mixed) if column.spike is not None},
        tuple(i for i in numbers if mixed[i].kind == "date"),
        {i: len(column.levels) for i, column in enumerate(mixed) if column.kind == "category"},
    )


def build_scaling(schema: Schema, category_weight: float = 1.0) -> Scaling | Cells:
    """Conversion between the file's units and the networks'; the identity until :func:`set_scaling`."""
    return Scaling(schema.size) if schema.mixed is None else Cells(cell_kinds(schema.mixed), category_weight)


def min_parameters(config: Config, schema: Schema) -> int:
    """Lower bound on the number of parameters of a model of an adapted config, computed without building it."""
    y, z = config.code.y, config.code.z
    classes, dims = (int(y.classes) * y.overcluster if y else 0), (int(z.dims) if z else 0)
    size = schema.size if schema.mixed is None else cell_kinds(schema.mixed).outputs
    e, d = config.encoder, config.decoder
    encoder, decoder = [size, *widths(e.hidden)], [*widths(d.hidden), size]
    if e.body == "conv":
        encoder[0] = prod(map_shapes(schema.shape, e.channels)[-1])
    if d.body == "conv":
        decoder = [*widths(d.hidden)[:1], prod(map_shapes(schema.shape, d.channels)[-1])]
    bodies = sum(a * b for sizes in (encoder, decoder) for a, b in itertools.pairwise(sizes))
    style = config.phases.style
    own = [encoder[0], *widths(style.hidden)] if isinstance(style, Style) else []
    bodies += sum(a * b for a, b in itertools.pairwise(own))
    return bodies + encoder[-1] * (classes + dims)


def build_bodies(
    config: Config, schema: Schema, models: int
) -> tuple[Callable[[Sequence[int]], nn.Module] | None, Callable[[int], nn.Module] | None]:
    """What builds the layers of encoder and decoder where they are convolutions; None where they are dense."""
    e, d = config.encoder, config.decoder

    def encoder(hidden: Sequence[int]) -> nn.Module:
        return ConvolutionalEncoder(models, schema.shape, e.channels, hidden, e.batch_norm)

    def decoder(inputs: int) -> nn.Module:
        return ConvolutionalDecoder(models, inputs, schema.shape, d.channels, widths(d.hidden)[:1])

    return encoder if e.body == "conv" else None, decoder if d.body == "conv" else None


def build_model(config: Config, schema: Schema, models: int = 1, *, to_train: bool = True) -> AAE:
    """Build models of an adapted config. Their scaling is the identity until :func:`set_scaling`.

    Args:
        to_train: whether these weights are a start of training, for which cluster heads are moved apart; otherwise others
            will take their place.
    """
    y, z, decoder = config.code.y, config.code.z, config.decoder
    assert decoder.input != "auto", "the config is not adapted"
    classes, dims = int(y.classes) if y else 0, int(z.dims) if z else 0
    weight = config.data.category_weight
    scaling = build_scaling(schema, 1.0 if weight == "auto" else weight)
    style = config.phases.style
    hidden_flags = 0 if schema.mixed is None or config.encoder.missing is True else schema.size
    encoder_body, decoder_body = build_bodies(config, schema, models)
    encoder = Encoder(
        models,
        scaling.features - hidden_flags,
        widths(config.encoder.hidden),
        classes,
        dims,
        style_hidden=widths(style.hidden) if isinstance(style, Style) else None,
        body=encoder_body,
        column_of=scaling.column_of if isinstance(scaling, Cells) else None,
        fine=int(y.classes) * y.overcluster if y and y.overcluster > 1 else 0,
        unequal=config.finds_sizes,
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
        scaling.outputs,
        encoder,
        classes=classes,
        dims=dims,
        labels=len(schema.classes or ()) if config.uses_labels else 0,
        decoder_hidden=widths(decoder.hidden),
        decoder_batch_norm=decoder.batch_norm,
        decoder_batch_norm_last=decoder.batch_norm_last,
        decoder_body=decoder_body,
        decoder_input=decoder.input,
        output="sigmoid" if decoder.output == "sigmoid" else "linear",
        heads_learned=decoder.heads.learned,
        heads_scale=decoder.heads.scale,
        heads_eta=decoder.heads.eta,
        heads_spread=to_train,
        scaling=scaling,
        init_std=config.train.init_std,
    )


@torch.no_grad()
def set_scaling(model: AAE, config: Config, schema: Schema, x: Tensor, index: Tensor | None = None) -> None:
    """Set the model's scaling from the pixel range, or from the mean and std of the training rows.

    Args:
        x: (N, D) in the file's units.
        index: (M,) numbers of the rows of x to use; None for all.
    """
    if isinstance(model.scaling, Cells):
        model.scaling.fit(x if index is None else x[index])
        return
    shift, scale = model.scaling.shift, model.scaling.scale
    if config.data.scaling == "unit":
        assert schema.low is not None and schema.high is not None
        shift.fill_(schema.low)
        scale.fill_(schema.high - schema.low)
        return
    total, square = np.zeros((2, x.shape[1]))  # float64, which does not exist on Apple GPUs
    numbers = torch.arange(len(x)) if index is None else index
    mean_of_some = x[numbers[:1000]].cpu().numpy().mean(0, dtype=np.float64)
    for some in numbers.split(10_000):  # centred first, against cancellation in columns such as years
        centred = x[some].cpu().numpy() - mean_of_some
        total += centred.sum(0)
        square += np.square(centred).sum(0)
    mean = total / len(numbers)
    std = np.sqrt((square / len(numbers) - np.square(mean)).clip(min=0))
    if schema.kind == "image":  # one std for all pixels, so that constant borders are not amplified
        std = np.full_like(std, np.sqrt(np.square(std).mean()))
    std = np.where(std > 1e-8 * (np.abs(mean_of_some) + 1e-30), std, 0)
    shift.copy_(torch.from_numpy((mean + mean_of_some).astype(np.float32)))
    scale.copy_(torch.from_numpy(std.astype(np.float32)))
