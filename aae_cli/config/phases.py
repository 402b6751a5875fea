"""The sections of a configuration that say what is optimised, and how: the phases and their losses."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from .base import AutoWidths, Fraction, NonNegative, Positive, Section


class Optimizer(Section):
    name: Literal["sgd", "adam"] = "adam"
    lr: NonNegative | Literal["auto"] = 5e-4
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    betas: tuple[Annotated[float, Field(ge=0, lt=1)], Annotated[float, Field(ge=0, lt=1)]] = (0.9, 0.999)


class Reconstruction(Section):
    """½‖x − x̂‖², summed over features, mean over the batch."""

    weight: NonNegative | Literal["auto"] = 1.0
    optimizer: Optimizer = Optimizer()


class Regularisation(Section):
    """The optimiser of the discriminators; in the alternating schedule, of the generator step too."""

    optimizer: Optimizer = Optimizer()


class SemiSupervised(Section):
    """Cross-entropy of q(y|x) on a labelled batch (section 5).

    ``batch_size``: labelled rows in a step. ``augment``: use second views of them.
    ``linear``: share of a linear classifier on the labelled rows in the consistency target; q(y|x) has the rest. Where
    ``code.y.sizes`` is found, this classifier also estimates the class proportions among all rows, and the cross-entropy is
    adjusted for them, as labelled rows are drawn evenly over the classes. Ours, not the paper's.
    ``optimizer``: of this phase in the alternating schedule; null = that of the reconstruction.
    """

    weight: NonNegative | Literal["auto"] = 1.0
    ramp: Fraction = 0.0
    batch_size: Annotated[int, Field(ge=1, le=10**9)] | Literal["auto"] = 100
    linear: Fraction | Literal["auto"] = 0.0
    augment: bool = False
    optimizer: Optimizer | None = None


class Consistency(Section):
    """Cross-entropy from q(y|x), held constant, to q(y|view), where a view is an augmented x. Ours, not the paper's.

    ``radius``: also move the view in the direction that changes q(y|view) most, by this share of the distance to the nearest
    other row of the batch (0 = do not).
    ``mixture``: share of a Gaussian mixture of the rows in the target, without labels; q(y|x) has the rest. Of mixtures with
    four kinds of covariance, that whose clusters near rows share most is used.
    ``ensemble``: use the mean q(y|x) of all restarts as the target, once their categories mean the same.
    """

    weight: NonNegative = 0.0
    radius: NonNegative = 0.0
    mixture: Fraction | Literal["auto"] = 0.0
    ensemble: bool = True
    ramp: Fraction = 0.0


class Pretraining(Section):
    """A stage before all others: the first ``layers`` of the encoder learn a code of ``dims`` dimensions by contrast of
    views. The next stage goes on with these layers, starts from clusters of the code if it has y, and searches neighbours in
    it if ``augment.share`` asks for them. Ours, not the paper's.

    ``temperature``: as in ``neighbour_embedding``. ``share``: as in ``augment``. ``lr``: learning rate, which rises over a
    twentieth of the stage and then falls to 0. ``part``: share of the epochs.
    """

    layers: Annotated[int, Field(ge=1, le=16)] = 2
    dims: Annotated[int, Field(ge=1, le=65536)] = 32
    temperature: Positive = 0.2
    share: Fraction = 0.5
    lr: Positive = 0.005
    part: Annotated[float, Field(gt=0, lt=1)] = 0.5


class Style(Section):
    """A last stage, in which q(y|x) no longer changes: the decoder learns to draw rows, and q(z|x), with ``hidden`` layers
    of its own, what y leaves open, as in section 4 where the label is given. Before it, y is learned without z and without
    a decoder. Ours, not the paper's.

    ``length``: epochs as a share of ``train.epochs``, which counts the stages before. ``weight``, ``optimizer``: those of
    the reconstruction in this stage. ``batch_size``: rows in a step.
    """

    length: Positive | Literal["auto"] = "auto"
    hidden: AutoWidths = "auto"
    weight: NonNegative = 0.3
    batch_size: Annotated[int, Field(ge=1, le=10**9)] = 100
    optimizer: Optimizer = Optimizer(lr="auto", betas=(0.5, 0.999))


class NeighbourEmbedding(Section):
    """Contrastive loss on the representation: a view lies nearer to its row than views of other rows do. Ours.

    ``width``: of the kernel 1 / (1 + (distance / width)²). ``temperature``: compare cosines, divided by it, instead.
    ``negatives``: other rows of the batch that each row is compared with, the same for all (0 = all of them).
    """

    weight: NonNegative = 0.0
    ramp: Fraction = 0.0
    width: Positive = 1.0
    temperature: Positive | None = None
    negatives: Annotated[int, Field(ge=0, le=65536)] = 0


class Information(Section):
    """−(``balance``·H(mean y) − mean H(y)) over a batch: all clusters are used, each row is assigned clearly. Ours."""

    weight: NonNegative = 0.0
    balance: NonNegative = 4.0
    ramp: Fraction = 0.0


class Phases(Section):
    """``schedule``: alternating = a forward pass and an optimiser a phase, as in the paper; joint = one encoder pass.

    ``pretraining``, ``style``: auto = for images.
    """

    schedule: Literal["joint", "alternating"] = "joint"
    pretraining: Pretraining | Literal["auto"] | None = None
    style: Style | Literal["auto"] | None = None
    reconstruction: Reconstruction = Reconstruction()
    regularisation: Regularisation = Regularisation()
    semi_supervised: SemiSupervised | None = None
    consistency: Consistency | None = None
    neighbour_embedding: NeighbourEmbedding | None = None
    information: Information | None = None
