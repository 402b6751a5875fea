"""The configuration: a typed, frozen tree that one YAML file (a preset) fills in, validated before anything is built.

Layers, lowest first: the defaults here, the preset, ``--set a.b=value``, named flags. Key names follow the paper.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from .base import AutoWidths, Fraction, NonNegative, Positive, Section, Widths
from .phases import Phases


def _parse_labels(value: Any) -> Any:
    """``none``, ``all``, a count or a share such as ``20%``."""
    if value is None:
        return "none"
    if isinstance(value, str):
        text = value.strip().lower()
        if text.isdigit():
            return int(text)
        if text in ("none", "all"):
            return text
        if re.fullmatch(r"\d+(\.\d+)?%", text) and 0 < float(text[:-1]) <= 100:
            return text
    elif isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value or "none"
    raise ValueError("labels is none, all, a whole number, or a share such as 20%")


Labels = Annotated[int | str, BeforeValidator(_parse_labels)]


class About(Section):
    """What ``aae presets`` lists: the section of the paper, a summary, and minutes on one CPU thread."""

    section: str = ""
    summary: str = ""
    minutes: NonNegative | None = None


class DataConfig(Section):
    """Which rows are read, and how they are scaled.

    ``source``: a name or a path, as after ``--data``.
    ``labels``: how many labelled rows may be used, evenly over the classes: none, all, a count, or a share (20%).
    ``validation``: rows held out of training (a share, or a count); they name clusters, choose among restarts and fit σ.
    ``scaling``: unit = pixels in [0, 1]; standard = zero mean and unit variance per feature.
    ``kind``: read numbers as pixels or as a table, whatever they look like.
    ``category_weight``: weight of a category in squared distances and in the reconstruction, where a number has 1.
    ``label_column``, ``columns``: the label column and the feature columns of a table.
    ``unlabelled``: the label that means unlabelled, beside empty ones; null = −1, where all others are from 0.
    ``categorical``, ``numeric``, ``ignore``: columns of a table to read as categories or as numbers, or to leave out.
    ``size``: pixels of both sides to which image files are scaled and cropped; null = their most frequent size, scaled down
    to at most 64 pixels a side. ``skip_bad``: leave out damaged image files.
    """

    source: str = "mnist"
    labels: Labels = "none"
    validation: NonNegative = 0.1
    scaling: Literal["auto", "unit", "standard"] = "auto"
    kind: Literal["image", "table"] | None = None
    category_weight: Positive | Literal["auto"] = "auto"
    label_column: str | None = None
    columns: tuple[str, ...] | None = None
    unlabelled: str | None = None
    categorical: tuple[str, ...] = ()
    numeric: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    size: Annotated[int, Field(ge=1, le=4096)] | None = None
    skip_bad: bool = False


class YCode(Section):
    """q(y|x), a softmax over ``classes`` categories.

    ``overcluster``: train without labels first, with this many clusters for each category. After ``train.merge_at`` of
    the epochs they are merged into ``classes`` categories: clusters that second views of a row often cross, or that
    labelled rows assign to one class, belong together.
    After ``phases.pretraining``, these clusters are those of the code instead, and are merged at once.
    ``sizes``: the category proportions that training aims at after the merging: equal, or as found (by the merging, by a
    linear classifier on labelled rows, or in the code: equal there if that loses little of what near rows share).
    ``overcluster`` and ``sizes`` are ours, not the paper's.
    """

    classes: Annotated[int, Field(ge=2, le=100_000)] | Literal["auto"] = "auto"
    overcluster: Annotated[int, Field(ge=1, le=64)] = 1
    sizes: Literal["auto", "equal", "found"] = "auto"
    batch_norm: bool = False


class ZCode(Section):
    """q(z|x), a linear code of ``dims`` dimensions, with a posterior of section 2.

    ``posterior``: deterministic; gaussian (reparametrised); universal (``noise_dims`` values of noise η join the input).
    ``std``: a fixed standard deviation of the gaussian posterior; null = learned, one for each row.
    """

    dims: Annotated[int, Field(ge=1, le=65536)] | Literal["auto"] = 2
    posterior: Literal["deterministic", "gaussian", "universal"] = "deterministic"
    noise_dims: Annotated[int, Field(ge=1, le=4096)] = 10
    std: Positive | None = None
    batch_norm: bool = False


class Code(Section):
    y: YCode | None = None
    z: ZCode | None = ZCode()


class Encoder(Section):
    """The encoder's body.

    ``body``: mlp, as in the paper; conv = convolutions that halve the image, before dense layers of ``hidden`` units.
    ``channels``: of the first convolution, which halves the image; doubled at each further halving.
    ``hidden``: widths of the layers; auto = from the number of rows that training shows, or of columns.
    ``noise``: std of Gaussian noise on the input. ``dropout``: share of the input that is set to 0, in mixed tables by
    whole cells, which trains filling in. Both in training only.
    ``missing``: whether the encoder sees which cells of a mixed table are missing.
    """

    body: Literal["auto", "mlp", "conv"] = "mlp"
    channels: Annotated[int, Field(ge=1, le=1024)] = 32
    hidden: AutoWidths = (1000, 1000)
    batch_norm: bool = False
    noise: NonNegative = 0.0
    dropout: Annotated[float, Field(ge=0, lt=1)] | Literal["auto"] = 0.0
    missing: bool | Literal["auto"] = "auto"


class Heads(Section):
    """The cluster heads W_C of section 7.

    ``learned``: whether W_C is trained; otherwise W_C = ``scale``·I.
    ``eta``: heads start at least this far apart; closer pairs are penalised by ``weight``·(η − distance).
    """

    learned: bool = True
    scale: Positive = 10.0
    eta: Positive = 6.0
    weight: NonNegative = 1.0


class Decoder(Section):
    """The decoder. ``input``: concat = [y, z]; label = [one-hot label, z] (section 4); heads = y·W_C + z (section 7).

    ``body``: mlp, as in the paper; conv = a dense layer of ``hidden[0]`` units, then small maps that are enlarged and
    convolved, with batch norm. ``channels``: of the last maps before the image; doubled at each halving.
    """

    body: Literal["auto", "mlp", "conv"] = "mlp"
    channels: Annotated[int, Field(ge=1, le=1024)] = 32
    hidden: AutoWidths = (1000, 1000)
    batch_norm: bool = False
    batch_norm_last: bool = False
    input: Literal["concat", "label", "heads"] = "concat"
    output: Literal["auto", "sigmoid", "linear"] = "auto"
    heads: Heads = Heads()


class Prior(Section):
    """p(z) or p(y).

    gaussian: N(0, ``std``²·I). categorical: one-hot vectors.
    mixture: ``components`` Gaussians in two dimensions, like petals: centres at ``radius``, with ``radial_std`` along the
    radius and ``tangential_std`` across it.
    swiss-roll: a spiral of ``turns`` turns that ends at ``radius``, with noise of std ``width``; labels can be tied to its
    ``components`` stretches.
    """

    name: Literal["gaussian", "mixture", "swiss-roll", "categorical"] = "gaussian"
    std: Positive = 1.0
    components: Annotated[int, Field(ge=1, le=10_000)] | Literal["auto"] = "auto"
    radius: Positive = 3.0
    radial_std: Positive = 1.0
    tangential_std: Positive = 0.2
    turns: Positive = 2.0
    width: NonNegative = 0.1


class Adversary(Section):
    """The prior and the discriminator of one code part.

    ``labels``: the discriminator also sees a one-hot label, with an extra class for unlabelled rows (section 2.3).
    ``apart``: the discriminator of z also sees y (or the label given to the decoder), so that z matches its prior within
    every category and holds the style alone. Ours, not the paper's.
    ``noise``: std of Gaussian noise on the discriminator's inputs.
    ``weight``: of the encoder's loss against this discriminator, reached linearly over the first ``ramp`` share of training.
    """

    prior: Prior = Prior()
    labels: bool = False
    apart: bool = False
    hidden: Widths = (1000, 1000)
    noise: NonNegative = 0.0
    weight: NonNegative = 1.0
    ramp: Fraction = 0.0


class Adversaries(Section):
    y: Adversary | None = None
    z: Adversary | None = None


class Augment(Section):
    """Second views of rows.

    ``rows``: use a view in place of every training row, in every phase.
    Images: ``shift`` (share of the side), ``rotation`` (degrees), ``scale``, ``shear`` (ratios), ``elastic`` (std of smooth
    displacements, as a share of the side), ``flip`` (mirror every second image), ``crop`` (largest share of the side that is
    cut off around a random window, which is enlarged), ``colour`` (largest relative change of contrast and saturation); a
    ``share`` of the views are views of one of the ``neighbours`` nearest rows.
    Tables: a step of random length towards one of the ``neighbours`` nearest rows (0 = none); Gaussian ``noise`` (length as
    a share of the distance to these rows, or the std of standardised features without them); a share ``swap`` of
    features taken from other rows.
    """

    rows: bool | Literal["auto"] = False
    shift: Fraction = 0.08
    rotation: Annotated[float, Field(ge=0, le=180)] = 10.0
    scale: Annotated[float, Field(ge=0, lt=1)] = 0.1
    shear: NonNegative = 0.15
    elastic: Fraction = 0.0
    flip: bool | Literal["auto"] = False
    crop: Annotated[float, Field(ge=0, lt=1)] | Literal["auto"] = 0.0
    colour: Fraction | Literal["auto"] = 0.0
    neighbours: Annotated[int, Field(ge=0, le=1000)] = 5
    share: Fraction = 0.0
    noise: NonNegative = 0.5
    swap: Annotated[float, Field(ge=0, lt=1)] = 0.0


class Train(Section):
    """Lengths, sizes, rates and seeds of training.

    ``epochs``: passes over the data; auto = fewer for more rows; more for small data, so that there are ``min_steps`` steps.
    ``lr_drops``: epochs after which learning rates are divided by 10.
    ``lr_warmup``: share of training in which learning rates rise linearly from 0.
    ``lr_decay``: share of training after which learning rates fall linearly to 0 (1 = never).
    ``init_std``: initial weights ~ N(0, std²); null = He initialisation.
    ``restarts``: models trained at once, of which a label-free score keeps the best.
    ``patience``: once the objective on held-out rows has not improved in so many of the 50 checks of a stage, training skips
    ahead to the fall of the learning rates, or within it, so that it ends sooner; null = never.
    ``ema``: decay of the averaged weights, which are the ones saved (0 = no averaging).
    ``merge_at``: share of the epochs after which the clusters of ``code.y.overcluster`` are merged.
    ``precision``: of matrix products; auto = tf32 on CUDA, else fp32.
    With ``code.y.overcluster``, ``lr_drops``, ``lr_decay`` and every ``ramp`` count within each of the two stages.
    """

    epochs: Annotated[int, Field(ge=1, le=10**9)] | Literal["auto"] = 50
    min_steps: Annotated[int, Field(ge=0, le=10**9)] | Literal["auto"] = 0
    batch_size: Annotated[int, Field(ge=1, le=10**9)] = 100
    lr_drops: tuple[Annotated[int, Field(ge=1)], ...] = ()
    lr_warmup: Fraction = 0.0
    lr_decay: Fraction = 1.0
    init_std: Positive | None = None
    restarts: Annotated[int, Field(ge=1, le=1024)] | Literal["auto"] = "auto"
    seed: Annotated[int, Field(ge=0, le=2**31 - 1)] = 0
    patience: Annotated[int, Field(ge=1, le=50)] | None = None
    ema: Annotated[float, Field(ge=0, lt=1)] = 0.0
    merge_at: Annotated[float, Field(gt=0, lt=1)] | Literal["auto"] = "auto"
    precision: Literal["auto", "fp32", "tf32", "bf16"] = "auto"


class Config(Section):
    """The config of one training. Contradictions between its sections are found by ``checks.contradictions``."""

    about: About = About()
    data: DataConfig = DataConfig()
    code: Code = Code()
    encoder: Encoder = Encoder()
    decoder: Decoder = Decoder()
    adversaries: Adversaries = Adversaries()
    phases: Phases = Phases()
    augment: Augment = Augment()
    train: Train = Train()

    @property
    def finds_sizes(self) -> bool:
        """Whether the categories may have other proportions than 1/K."""
        y, views, semi = self.code.y, self.phases.consistency, self.phases.semi_supervised
        if y is None or y.overcluster > 1:
            return y is not None
        start = semi.linear if semi is not None else views.mixture if views is not None else 0
        return y.sizes == "found" and start not in ("auto", 0)

    @property
    def uses_labels(self) -> bool:
        return self.data.labels != "none"
