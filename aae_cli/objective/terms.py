"""Terms: the losses on one batch. Phases (phases.py) combine them, in one of two schedules.

alternating, as in the paper: reconstruction, then the discriminators, then the encoder as generator, then the
semi-supervised phase, each with its own forward pass and optimiser.
joint: one step of the discriminators on the batch's codes, then one step on everything else through the same encoder
pass. The generator's gradient is computed from the discriminators' (adversary.generator_gradient).

Losses are (R,), one per model. Their sum is differentiated, so each model gets the gradient of its own loss.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from ..device import exact_products
from ..distributed import ALONE, World
from ..nn.aae import AAE
from ..nn.adversary import Adversary, generator_gradient
from ..nn.encoder import Codes
from ..nn.heads import separation
from .branches import Branch

Stream = Literal["x", "view", "labelled"]
CPU = torch.device("cpu")


@dataclass(frozen=True)
class Batch:
    """Rows on the training device, in the networks' units.

    Attributes:
        x: (R, B, D).
        labels: (R, B) int64, −1 for unlabelled.
        view: (R, B, D) a second view of x; None if no term needs it.
        labelled: (R, B', D) rows of the semi-supervised phase; None without that phase.
        targets: (R, B') int64 labels of these rows.
        guide: (R, B, K) class probabilities of the view from a classifier that is fitted before training; None if not used.
        logit_adjustment: (R, 1, K) log(class share among labelled rows / among all rows); None if not estimated.
    """

    x: Tensor
    labels: Tensor
    view: Tensor | None = None
    labelled: Tensor | None = None
    targets: Tensor | None = None
    guide: Tensor | None = None
    logit_adjustment: Tensor | None = None


@dataclass
class Forward:
    """One encoder pass, shared by several terms.

    Attributes:
        codes: stream (x, view or labelled) → its codes.
        progress: share of training done, in [0, 1].
        joint: whether the discriminators and the generator share this pass.
        fake_codes: y or z → (detached codes with the discriminator's gradient, (R, B, n); their logits, (R, B)).
            Filled by DiscriminatorLoss in the joint schedule.
        discriminator_branch: the CUDA stream that computes these gradients; None before the discriminators' phase.
    """

    model: AAE
    batch: Batch
    codes: dict[str, Codes]
    progress: float | Tensor
    joint: bool
    fake_codes: dict[str, tuple[Tensor, Tensor]] = field(default_factory=dict)
    discriminator_branch: Branch | None = None

    @classmethod
    def run(cls, model: AAE, batch: Batch, streams: Sequence[Stream], progress: float | Tensor, joint: bool) -> Forward:
        """Encode some streams of a batch, in one pass."""
        inputs = [getattr(batch, stream) for stream in streams]
        sizes = [x.shape[1] for x in inputs]
        codes = model.encode(torch.cat(inputs, 1) if len(inputs) > 1 else inputs[0], parts=sizes)
        parts = codes.split(sizes) if len(inputs) > 1 else [codes]
        _ = parts[0].y  # cached here, before concurrent terms read it
        return cls(model, batch, dict(zip(streams, parts, strict=True)), progress, joint)

    def content(self, adversary: Adversary) -> Tensor | None:
        """Content for the discriminator of z: the label given to the decoder, else q(y|x); None if it takes none."""
        if not adversary.content:
            return None
        return self.label if self.model.labels else self.codes["x"].part("y").detach()

    def represented(self, stream: Stream) -> Tensor:
        """Input of the decoder for a stream: (R, B, m)."""
        return self.model.represent(self.codes[stream].y, self.codes[stream].z, self.label)

    @property
    def label(self) -> Tensor | None:
        """One-hot labels of the batch, (R, B, C); None if the decoder does not receive the label."""
        return self.model.one_hot(self.batch.labels) if self.model.labels else None

    def ramp(self, share: float) -> float | Tensor:
        """Weight that rises linearly from 0 to 1 over the first ``share`` of training."""
        if not share:
            return 1.0
        if isinstance(self.progress, Tensor):
            return (self.progress / share).clamp(max=1.0)
        return min(1.0, self.progress / share)


Named = dict[str, Tensor]


class Term(ABC):
    """A loss on one batch.

    Returns the weighted (R,) objective to differentiate, and unweighted (R,) losses by name to report.

    Attributes:
        streams: the parts of the batch that must be encoded.
        needs_view: whether the batch must carry a second view that the term encodes itself.
        concurrent: whether it may run beside the other terms of its phase on its own CUDA stream. False if its gradient
            reaches W_C, as that of the reconstruction does.
        judged: whether its value on held-out rows tells how far training is: not of adversaries, whose losses are those
            of a game, nor of labels.
    """

    streams: tuple[Stream, ...] = ("x",)
    needs_view = False
    concurrent = True
    judged = True

    @abstractmethod
    def __call__(self, forward: Forward) -> tuple[Tensor, Named]: ...


class Reconstruction(Term):
    """½‖x − x̂‖² summed over features, mean over the batch; for mixed tables see :class:`~aae_cli.nn.cells.Cells`."""

    def __init__(self, weight: float) -> None:
        self.weight = weight

    def __call__(self, forward: Forward) -> tuple[Tensor, Named]:
        model, batch, codes = forward.model, forward.batch, forward.codes["x"]
        x_hat = model.decode(codes.y, codes.z, forward.label)
        loss = model.scaling.loss(x_hat, batch.x)
        return self.weight * loss, {"reconstruction": loss}


class HeadSeparation(Term):
    """Penalty of section 7: η − ‖W_C[i] − W_C[j]‖, summed over the pairs of cluster heads closer than η."""

    concurrent = False

    def __init__(self, weight: float, eta: float) -> None:
        self.weight, self.eta = weight, eta

    def __call__(self, forward: Forward) -> tuple[Tensor, Named]:
        loss = separation(forward.model.W_C, self.eta)
        return self.weight * loss, {"heads": loss}


class DiscriminatorLoss(Term):
    """Regularisation phase (a), section 2: the loss of the discriminator of y or z, in nats."""

    judged = False

    def __init__(self, part: str, adversary: Adversary) -> None:
        self.part, self.adversary = part, adversary

    def __call__(self, forward: Forward) -> tuple[Tensor, Named]:
        fake = forward.codes["x"].part(self.part).detach().requires_grad_(forward.joint)
        loss, fake_logits = self.adversary.discriminator_loss(
            fake, forward.batch.labels, forward.content(self.adversary)
        )
        if forward.joint:
            forward.fake_codes[self.part] = (fake, fake_logits.detach())
        return loss, {f"regularisation.{self.part}.discriminator": loss}


class GeneratorLoss(Term):
    """Regularisation phase (b), section 2: −log D(code), the loss of the encoder as generator of y or z, in nats."""

    judged = False

    def __init__(self, part: str, adversary: Adversary, weight: float, ramp: float) -> None:
        self.part, self.adversary, self.weight, self.ramp = part, adversary, weight, ramp

    def __call__(self, forward: Forward) -> tuple[Tensor, Named]:
        code = forward.codes["x"].part(self.part)
        name = f"regularisation.{self.part}.generator"
        weight = self.weight * forward.ramp(self.ramp)
        if self.part in forward.fake_codes:
            if forward.discriminator_branch is not None:
                forward.discriminator_branch.wait_for_mark()
            fake, fake_logits = forward.fake_codes[self.part]
            assert fake.grad is not None
            gradient = generator_gradient(fake.grad, fake_logits)
            loss = F.softplus(-fake_logits).mean(1)
            return weight * (code * gradient).sum((1, 2)), {name: loss}
        loss = self.adversary.generator_loss(code, forward.batch.labels, forward.content(self.adversary))
        return weight * loss, {name: loss}


class SemiSupervised(Term):
    """Semi-supervised phase, section 5: cross-entropy of q(y|x) on labelled rows, in nats.

    If the class proportions of the labelled rows differ from those of all rows, the logits are adjusted for the
    difference (logit adjustment; Menon et al., arXiv:2007.07314).
    """

    streams: tuple[Stream, ...] = ("labelled",)
    judged = False

    def __init__(self, weight: float, ramp: float = 0.0) -> None:
        self.weight, self.ramp = weight, ramp

    def __call__(self, forward: Forward) -> tuple[Tensor, Named]:
        logits, targets = forward.codes["labelled"].y_logits, forward.batch.targets
        assert logits is not None and targets is not None
        if forward.batch.logit_adjustment is not None:
            logits = logits + forward.batch.logit_adjustment
        loss = F.cross_entropy(logits.float().transpose(1, 2), targets, reduction="none").mean(1)
        return self.weight * forward.ramp(self.ramp) * loss, {"semi_supervised": loss}


class Consistency(Term):
    """Cross-entropy from the stop-gradient q(y|x) to q(y|view), in nats. Ours, not the paper's.

    Args:
        weight: reached after the first ``ramp`` share of training.
        guide: weight of the batch's guide in the target, 0 to 1; that of q(y|x) is 1 − guide.
        ensemble: number of consecutive models that have the same rows and categories; their mean q(y|x) is the target.
    """

    streams: tuple[Stream, ...] = ("x", "view")

    def __init__(self, weight: float, ramp: float, guide: float = 0.0, ensemble: int = 1) -> None:
        self.weight, self.ramp, self.guide, self.ensemble = weight, ramp, guide, ensemble

    def __call__(self, forward: Forward) -> tuple[Tensor, Named]:
        loss = cross_entropy(consistency_target(forward, self.guide, self.ensemble), forward.codes["view"]).mean(1)
        return self.weight * forward.ramp(self.ramp) * loss, {"consistency": loss}


class AdversarialConsistency(Term):
    """Consistency under an adversarial perturbation r: cross-entropy from the stop-gradient q(y|x) to q(y|view + r).

    r has the virtual adversarial direction of Miyato et al. (arXiv:1704.03976), computed at the view, and the length
    ``radius`` times the distance from x to the nearest other row of the batch (after Hu et al., arXiv:1702.08720).
    Other arguments are those of :class:`Consistency`. Ours, not the paper's.
    """

    needs_view = True

    def __init__(
        self,
        weight: float,
        ramp: float,
        radius: float,
        guide: float = 0.0,
        ensemble: int = 1,
        world: World = ALONE,
    ) -> None:
        self.weight, self.ramp, self.radius, self.guide, self.ensemble = weight, ramp, radius, guide, ensemble
        self.world = world

    def __call__(self, forward: Forward) -> tuple[Tensor, Named]:
        target, batch, model = consistency_target(forward, self.guide, self.ensemble), forward.batch, forward.model
        assert batch.view is not None
        view = batch.view.detach().requires_grad_()
        (slope,) = torch.autograd.grad(cross_entropy(target, model.encode(view)).sum(), view)
        length = self.radius * nearest_distance(batch.x, self.world)
        r = length.unsqueeze(-1) * F.normalize(slope.float(), dim=-1)
        loss = cross_entropy(target, model.encode(batch.view + r)).mean(1)
        return self.weight * forward.ramp(self.ramp) * loss, {"consistency": loss}


def consistency_target(forward: Forward, guide: float, ensemble: int = 1) -> Tensor:
    """Target of the consistency losses: (1 − guide)·q(y|x) + guide·(the batch's guide), without gradient. (R, B, K).

    In an ensemble, the mean q(y|x) of its models is used, without models whose weights are no longer finite.
    """
    own = forward.codes["x"].part("y").detach()
    if ensemble > 1:
        together = own.unflatten(0, (-1, ensemble))
        own = together.nanmean(1, keepdim=True).expand_as(together).flatten(0, 1)
    if not guide:
        return own
    assert forward.batch.guide is not None
    return own.lerp(forward.batch.guide, guide)


def cross_entropy(target: Tensor, view: Codes) -> Tensor:
    """Cross-entropy from a target (R, B, K) to q(y|view), in nats: (R, B)."""
    assert view.y_logits is not None
    return -(target * view.y_logits.float().log_softmax(-1)).sum(-1)


def nearest_distance(x: Tensor, world: World = ALONE) -> Tensor:
    """Euclidean distance of each row to the nearest other row of the batch of all processes: (R, B, D) → (R, B)."""
    whole = world.gather(x)
    norms = x.square().sum(-1, keepdim=True) + whole.square().sum(-1).unsqueeze(1)
    with exact_products(x.device):
        distance = norms - 2 * x @ whole.transpose(1, 2)
    itself = world.itself(x.shape[1], whole.shape[1], x.device)
    return distance.masked_fill(itself, torch.inf).amin(-1).clamp(min=0).sqrt()


class Information(Term):
    """−(balance·H(mean y) − mean H(y)) over the batch, in nats. Ours, not the paper's.

    For merged clusters of estimated proportions, log K − KL(mean y ‖ proportions) replaces H(mean y), which would force
    clusters to equal sizes and so split large classes.
    """

    def __init__(self, weight: float, balance: float, ramp: float, world: World = ALONE) -> None:
        self.weight, self.balance, self.ramp, self.world = weight, balance, ramp, world

    def __call__(self, forward: Forward) -> tuple[Tensor, Named]:
        logits = forward.codes["x"].y_logits
        assert logits is not None
        y, log_y = forward.codes["x"].part("y"), logits.float().log_softmax(-1)
        mean = self.world.mean(y.mean(1))
        share = forward.model.encoder.share
        log_ratio = 0.0 if share is None else (share * share.shape[1]).clamp(min=1e-3).log()
        marginal = -(mean * (mean.clamp(min=1e-8).log() - log_ratio)).sum(-1)
        conditional = -(y * log_y).sum(-1).mean(1)
        loss = conditional - self.balance * marginal
        return self.weight * forward.ramp(self.ramp) * loss, {"information": loss}
