"""The configuration: a typed, frozen tree that one YAML file (a preset) fills in, validated before anything is built.

Layers, lowest first: the defaults here, the preset, ``--set a.b=value``, named flags. Key names follow the paper.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, field_validator


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    @field_validator("*", mode="before")
    @classmethod
    def _no_truth_for_numbers(cls, value: Any, info: ValidationInfo) -> Any:
        """``true`` is not 1."""
        wanted = cls.model_fields[str(info.field_name)].annotation
        if isinstance(value, bool) and wanted in (int, float):
            raise ValueError("a number is wanted, not true or false")
        return value


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
Widths = Annotated[tuple[Annotated[int, Field(ge=1, le=65536)], ...], Field(max_length=16)]
Fraction = Annotated[float, Field(ge=0, le=1)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class About(_Section):
    """What ``aae presets`` says."""

    section: str = ""
    summary: str = ""
    minutes: NonNegative | None = None


class DataConfig(_Section):
    """Which rows, and how they reach the networks.

    ``labels``: how many labelled rows may be used, evenly over the classes: none, all, a count, or a share (20%).
    ``validation``: rows held out of training to name clusters, choose among restarts and fit σ (a share, or a count).
    ``scaling``: unit = pixels in [0, 1]; standard = zero mean and unit variance per feature; auto = unit for images.
    ``kind``: read numbers as pixels or as a table, whatever they look like. ``label_column``, ``columns``: of a table.
    """

    source: str = "mnist"
    labels: Labels = "none"
    validation: NonNegative = 0.1
    scaling: Literal["auto", "unit", "standard"] = "auto"
    kind: Literal["image", "table"] | None = None
    label_column: str | None = None
    columns: tuple[str, ...] | None = None


class YCode(_Section):
    """q(y|x): a softmax over ``classes`` (auto = the number of label classes; of a map without labels, 20 heads, or one for
    30 rows where that is fewer).

    ``overcluster``: training starts without labels, with this many times ``classes`` clusters (more where that would be
    fewer than 30; fewer, but at least 3 times, where each would have less than 60 rows); at ``train.merge_at`` they are
    merged into ``classes``, by how often second views cross between them and by labels, where some may be used.
    ``sizes``: what merged clusters are held to: equal sizes, or those found while merging (unless these are nearly equal),
    with a linear classifier of labelled rows those that it finds; auto = equal on images, found on tables.
    Ours, not the paper's.
    """

    classes: Annotated[int, Field(ge=2, le=100_000)] | Literal["auto"] = "auto"
    overcluster: Annotated[int, Field(ge=1, le=64)] = 1
    sizes: Literal["auto", "equal", "found"] = "auto"
    batch_norm: bool = False


class ZCode(_Section):
    """q(z|x), section 2: deterministic, gaussian (reparametrised), or universal (``noise_dims`` of η join the input).

    ``std``: of a gaussian posterior, for all rows alike; null = learned, one a row.
    """

    dims: Annotated[int, Field(ge=1, le=65536)] = 2
    posterior: Literal["deterministic", "gaussian", "universal"] = "deterministic"
    noise_dims: Annotated[int, Field(ge=1, le=4096)] = 10
    std: Positive | None = None
    batch_norm: bool = False


class Code(_Section):
    y: YCode | None = None
    z: ZCode | None = ZCode()


class Encoder(_Section):
    """``noise``: std of Gaussian noise added to the input, ``dropout``: share of inputs set to 0; in training only.

    dropout: auto = 0.2 on images, 0 on tables.
    """

    hidden: Widths = (1000, 1000)
    batch_norm: bool = False
    noise: NonNegative = 0.0
    dropout: Annotated[float, Field(ge=0, lt=1)] | Literal["auto"] = 0.0


class Heads(_Section):
    """The cluster heads W_C of section 7.

    ``learned``: else W_C = ``scale``·I. ``eta``: heads start apart, and those closer than this are pushed apart with
    ``weight``·(η − distance).
    """

    learned: bool = True
    scale: Positive = 10.0
    eta: Positive = 6.0
    weight: NonNegative = 1.0


class Decoder(_Section):
    """``input``: concat = [y, z]; label = [one-hot label, z] (section 4); heads = y·W_C + z (section 7).

    auto = heads, but of a table without labels z alone: y is left out, unless ``code.y.classes`` says how many heads.
    """

    hidden: Widths = (1000, 1000)
    batch_norm: bool = False
    batch_norm_last: bool = False
    input: Literal["auto", "concat", "label", "heads"] = "concat"
    output: Literal["auto", "sigmoid", "linear"] = "auto"
    heads: Heads = Heads()


class Prior(_Section):
    """p(z) or p(y). gaussian: ``std``. mixture: petals (below). swiss-roll: ``radius``, ``turns``, ``width``.

    ``std``: auto = 1, but 3 where ``decoder.input: auto`` leaves y out.
    mixture: ``components`` 2-D Gaussians (auto = one a class, else 10) at ``radius`` with a long radial axis.
    """

    name: Literal["gaussian", "mixture", "swiss-roll", "categorical"] = "gaussian"
    std: Positive | Literal["auto"] = 1.0
    components: Annotated[int, Field(ge=1, le=10_000)] | Literal["auto"] = "auto"
    radius: Positive = 3.0
    radial_std: Positive = 1.0
    tangential_std: Positive = 0.2
    turns: Positive = 2.0
    width: NonNegative = 0.1


class Adversary(_Section):
    """One code part's discriminator. ``labels``: it also sees a one-hot label with an extra unlabelled class (2.3).

    ``apart``: the discriminator of z also sees y (or the label given to the decoder), so that z fits its prior whatever
    the content is: style apart from content. Ours, not the paper's.
    ``noise``: std of Gaussian noise on the discriminator's inputs. ``weight``: of the encoder's loss, reached linearly
    over the first ``ramp`` share of training; auto = 1, but 0.1 where ``decoder.input: auto`` leaves y out.
    """

    prior: Prior = Prior()
    labels: bool = False
    apart: bool = False
    hidden: Widths = (1000, 1000)
    noise: NonNegative = 0.0
    weight: NonNegative | Literal["auto"] = 1.0
    ramp: Fraction = 0.0


class Adversaries(_Section):
    y: Adversary | None = None
    z: Adversary | None = None


class Optimizer(_Section):
    name: Literal["sgd", "adam"] = "adam"
    lr: NonNegative = 5e-4
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    betas: tuple[Annotated[float, Field(ge=0, lt=1)], Annotated[float, Field(ge=0, lt=1)]] = (0.9, 0.999)


class Reconstruction(_Section):
    """½‖x − x̂‖², summed over features, mean over the batch.

    ``weight``: auto = 0.003 on images, 1 on tables, whose few columns make a small sum.
    """

    weight: NonNegative | Literal["auto"] = 1.0
    optimizer: Optimizer = Optimizer()


class Regularisation(_Section):
    """Discriminators, and in the alternating schedule generators as well, use ``optimizer``."""

    optimizer: Optimizer = Optimizer()


class SemiSupervised(_Section):
    """Cross-entropy of q(y|x) on a labelled batch.

    ``weight``: auto = 0.2 on tables; on images 0.2 + 2·(share of labelled rows), as a handful must not outweigh what all
    the other rows say. ``batch_size``: labelled rows a step; auto = 100 for every 10,000 labels, from 100 to twice the
    batch. ``linear``: share of a linear classifier of the labelled rows in what the consistency term teaches, the rest
    being the model's own q(y|x); auto = 0.75 on tables, 0 on images. With ``code.y.sizes`` found, labelled rows, which are
    dealt evenly, are weighed by how the classes share all rows, as the classifier finds it. Ours, not the paper's.
    """

    weight: NonNegative | Literal["auto"] = 1.0
    ramp: Fraction = 0.0
    batch_size: Annotated[int, Field(ge=1, le=10**9)] | Literal["auto"] = 100
    linear: Fraction | Literal["auto"] = 0.0
    augment: bool = False
    optimizer: Optimizer | None = None


class Consistency(_Section):
    """Cross-entropy from the stop-gradient q(y|x) to q(y|view); a view is an ``augment``-ed x. Ours, not the paper's.

    ``radius``: the view is also moved in the direction that changes q(y|view) most, by this share of the distance to the
    nearest other row of the batch (0 = not). ``ensemble``: of several restarts, the mean of their q(y|x) is taught,
    once their categories mean the same: merged together, or named by labels.
    """

    weight: NonNegative = 0.0
    radius: NonNegative = 0.0
    ensemble: bool = True
    ramp: Fraction = 0.0


class NeighbourEmbedding(_Section):
    """In the representation, a view lies nearer to its row than views of other rows do. Ours, not the paper's.

    ``weight``: auto = 3 on tables, 0 on images.
    """

    weight: NonNegative | Literal["auto"] = 0.0
    ramp: Fraction = 0.0


class Information(_Section):
    """−(balance·H(mean y) − mean H(y)) over a batch: every cluster in use, each point sure. Ours, not the paper's."""

    weight: NonNegative = 0.0
    balance: NonNegative = 4.0
    ramp: Fraction = 0.0


class Phases(_Section):
    """alternating: one forward pass and optimiser a phase, as in the paper. joint: one encoder pass for all."""

    schedule: Literal["joint", "alternating"] = "joint"
    reconstruction: Reconstruction = Reconstruction()
    regularisation: Regularisation = Regularisation()
    semi_supervised: SemiSupervised | None = None
    consistency: Consistency | None = None
    neighbour_embedding: NeighbourEmbedding | None = None
    information: Information | None = None


class Augment(_Section):
    """A second view of a row. Images: ``shift`` (share of the side), ``rotation`` and ``shear`` (degrees, ratio), ``scale``,
    ``elastic`` (std of smooth displacements, as a share of the side).

    ``rows``: every training row is such a view, in every phase, as if there were more rows.
    Tables: a step of random length towards one of the ``neighbours`` nearest rows (0 = none), Gaussian ``noise`` (its length
    as a share of the distance to these rows; without them, its std in standardised features; auto = a quarter of that
    distance in each of the D columns, √D/4 in all, but at most 1), and a share ``swap`` of features taken from other rows.
    """

    rows: bool = False
    shift: Fraction = 0.08
    rotation: Annotated[float, Field(ge=0, le=180)] = 10.0
    scale: Annotated[float, Field(ge=0, lt=1)] = 0.1
    shear: NonNegative = 0.15
    elastic: Fraction = 0.0
    neighbours: Annotated[int, Field(ge=0, le=1000)] = 5
    noise: NonNegative | Literal["auto"] = 0.5
    swap: Annotated[float, Field(ge=0, lt=1)] = 0.0


class Train(_Section):
    """``min_steps`` raises the epochs of small data. ``lr_drops``: epochs after which rates are divided by 10.

    ``lr_decay``: share of training after which rates fall linearly to 0 (1 = never). ``init_std``: weights ~ N(0, std²)
    (null = He). ``restarts``: models trained at once, of which a label-free score keeps the best; auto = 5 for clusters and
    maps of a table of at most 10,000 rows, else 1. ``ema``: decay of the averaged weights that are saved (0 = off).
    ``merge_at``: share of the epochs after which ``code.y.overcluster``ed clusters are merged; auto = 0.5, but 0.2 where
    most rows have labels, and 0.8 for restarts on a table without labels and cluster heads. ``precision``: of matrix
    products; auto = tf32 on CUDA, else fp32.
    """

    epochs: Annotated[int, Field(ge=1, le=10**9)] = 50
    min_steps: Annotated[int, Field(ge=0, le=10**9)] = 0
    batch_size: Annotated[int, Field(ge=1, le=10**9)] = 100
    lr_drops: tuple[Annotated[int, Field(ge=1)], ...] = ()
    lr_decay: Fraction = 1.0
    init_std: Positive | None = None
    restarts: Annotated[int, Field(ge=1, le=1024)] | Literal["auto"] = "auto"
    seed: Annotated[int, Field(ge=0, le=2**31 - 1)] = 0
    ema: Annotated[float, Field(ge=0, lt=1)] = 0.0
    merge_at: Annotated[float, Field(gt=0, lt=1)] | Literal["auto"] = "auto"
    precision: Literal["auto", "fp32", "tf32", "bf16"] = "auto"


class Config(_Section):
    """One training run, whole. Parts that do not fit each other are found by checks.contradictions."""

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
    def uses_labels(self) -> bool:
        return self.data.labels != "none"
