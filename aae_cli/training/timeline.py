"""The timeline of a training: which stages follow each other, for how many epochs, and what each of them optimises."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Literal

from ..config.base import widths
from ..config.phases import NeighbourEmbedding, Optimizer, Phases, Pretraining, Reconstruction, Style
from ..config.sections import Adversaries, Augment, Code, Config, YCode, ZCode

Kind = Literal["code", "fine", "main", "style"]


@dataclass(frozen=True)
class StagePlan:
    """A stage of a training before it is built.

    Attributes:
        kind: what is learned: ``code``, a code of views (``phases.pretraining``); ``fine``, the fine clusters of
            ``code.y.overcluster``; ``main``, what the config asks for; ``style``, z beside a settled y (``phases.style``).
        config: what the stage optimises, with its own number of epochs.
        model: config from which the stage's model is built, and which an unfinished checkpoint gets.
    """

    kind: Kind
    config: Config
    model: Config

    @property
    def epochs(self) -> int:
        return int(self.config.train.epochs)

    def lasting(self, epochs: int) -> StagePlan:
        """The same stage with another number of epochs."""
        train = self.config.train.model_copy(update={"epochs": epochs})
        config = self.config.model_copy(update={"train": train})
        return replace(self, config=config, model=config if self.model is self.config else self.model)


@dataclass(frozen=True)
class Timeline:
    """The stages of a training, in order.

    Attributes:
        config: adapted config of the whole training.
        rows: number of training rows.
    """

    config: Config
    rows: int
    stages: tuple[StagePlan, ...]

    @classmethod
    def of(cls, config: Config, rows: int, kinds: Sequence[str] = (), done: Sequence[int] = ()) -> Timeline:
        """Divide a training into stages.

        With ``phases.pretraining``, a code comes first, with ``code.y.overcluster`` alone, fine clusters do. With
        ``phases.style``, a last stage follows. The others share the epochs of ``train.epochs``.

        Args:
            config: an adapted config.
            rows: number of training rows.
            kinds: of the stages of a run that is resumed, which keeps them; none for a new run.
            done: epochs of the stages that a resumed run has behind it; what the config has changed goes to the next one.
        """
        epochs, style = int(config.train.epochs), config.phases.style
        content = _content(config) if isinstance(style, Style) else config
        plans, lengths, first = [StagePlan("main", content, content)], [epochs], _first_stage(content)
        if first is not None and epochs > 1 and (not kinds or kinds[0] == first[0].kind):
            before, share = first
            own = min(max(1, round(epochs * share)), epochs - 1)
            plans, lengths = [before, *plans], [own, epochs - own]
        if isinstance(style, Style):
            plans.append(StagePlan("style", _style(config, style), config))
            lengths.append(max(1, round(epochs * float(style.length))))
        ends, known = list(accumulate(lengths)), list(done[: len(plans) - 1])
        for number in range(len(known), len(plans)):
            known.append(max(1, ends[number] - sum(known)))
        stages = tuple(plan.lasting(own) for plan, own in zip(plans, known, strict=True))
        last = replace(stages[-1], model=config)
        return cls(config, rows, (*stages[:-1], last))

    @property
    def fewest_epochs(self) -> int:
        """The smallest ``train.epochs`` with which every stage is trained."""
        return sum(plan.kind != "style" for plan in self.stages)

    @property
    def pretrains(self) -> bool:
        """Whether the first stage learns a code."""
        return self.stages[0].kind == "code"

    @property
    def epochs(self) -> int:
        """Number of epochs of all stages."""
        return self.epochs_before(len(self.stages))

    @property
    def steps(self) -> int:
        """Number of steps of all stages."""
        return self.steps_before(len(self.stages))

    def steps_of(self, stage: int) -> int:
        """Number of steps of a stage."""
        plan = self.stages[stage]
        return plan.epochs * steps_per_epoch(self.rows, plan.config)

    def epochs_before(self, stage: int) -> int:
        """Number of epochs of all earlier stages."""
        return sum(plan.epochs for plan in self.stages[:stage])

    def steps_before(self, stage: int) -> int:
        """Number of steps of all earlier stages."""
        return sum(self.steps_of(number) for number in range(stage))


def steps_per_epoch(rows: int, config: Config) -> int:
    """Number of whole batches in the training rows, at least 1."""
    return max(1, rows // config.train.batch_size)


def _first_stage(config: Config) -> tuple[StagePlan, float] | None:
    """The stage before the main one, and its share of the epochs; None where there is none."""
    y, pretraining = config.code.y, config.phases.pretraining
    if isinstance(pretraining, Pretraining):
        code = _code_stage(config, pretraining)
        return StagePlan("code", code, code), pretraining.part
    if y is not None and y.overcluster > 1:
        fine = _fine_stage(config, y)
        return StagePlan("fine", fine, fine), float(config.train.merge_at)
    return None


def _code_stage(config: Config, before: Pretraining) -> Config:
    """The stage of ``phases.pretraining``: z alone, learned by contrast of views."""
    phases = Phases(
        reconstruction=Reconstruction(weight=0.0, optimizer=Optimizer(lr=before.lr)),
        neighbour_embedding=NeighbourEmbedding(weight=1.0, temperature=before.temperature),
    )
    changes = {
        "code": Code(z=ZCode(dims=before.dims)),
        "data": config.data.model_copy(update={"labels": "none"}),
        "encoder": config.encoder.model_copy(update={"hidden": widths(config.encoder.hidden)[: before.layers]}),
        "decoder": config.decoder.model_copy(update={"input": "concat"}),
        "adversaries": Adversaries(),
        "phases": phases,
        "augment": config.augment.model_copy(update={"share": before.share}),
        "train": config.train.model_copy(update={"lr_warmup": 0.05, "lr_decay": 0.0, "lr_drops": ()}),
    }
    return config.model_copy(update=changes)


def _fine_stage(config: Config, y: YCode) -> Config:
    """The stage of fine clusters, without labels: ``code.y.overcluster`` for each category."""
    fine = y.model_copy(update={"classes": int(y.classes) * y.overcluster, "overcluster": 1})
    changes = {
        "code": config.code.model_copy(update={"y": fine}),
        "data": config.data.model_copy(update={"labels": "none"}),
        "phases": config.phases.model_copy(update={"semi_supervised": None}),
        "decoder": config.decoder.model_copy(update={"input": "concat"}),
    }
    return config.model_copy(update=changes)


def _content(config: Config) -> Config:
    """A stage before that of ``phases.style``: y alone, without a decoder, as what is drawn is learned afterwards."""
    phases = config.phases
    changes = {
        "code": config.code.model_copy(update={"z": None}),
        "adversaries": config.adversaries.model_copy(update={"z": None}),
        "phases": phases.model_copy(
            update={"reconstruction": phases.reconstruction.model_copy(update={"weight": 0.0}), "style": None}
        ),
    }
    return config.model_copy(update=changes)


def _style(config: Config, style: Style) -> Config:
    """The stage of ``phases.style``: z and the decoder are learned beside a y that no longer changes."""
    phases = Phases(
        schedule=config.phases.schedule,
        reconstruction=Reconstruction(weight=float(style.weight), optimizer=style.optimizer),
        regularisation=config.phases.regularisation,
    )
    flip = bool(config.augment.flip)
    changes = {
        "adversaries": config.adversaries.model_copy(update={"y": None}),
        "augment": Augment(
            rows=flip, flip=flip, shift=0, rotation=0, scale=0, shear=0
        ),  # what is drawn is not distorted
        "phases": phases,
        "train": config.train.model_copy(update={"batch_size": style.batch_size}),
    }
    return config.model_copy(update=changes)
