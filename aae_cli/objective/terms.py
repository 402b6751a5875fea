"""What is optimised: terms (losses on one batch), and phases (terms that share an optimiser and a step).

alternating, as in the paper: reconstruction, then each discriminator, then the encoder as generator, then the
semi-supervised phase, each with a forward pass and an optimiser of its own.
joint: the discriminators on the batch's codes, then one step on everything else through the same encoder pass; the
generator's gradient is read off the discriminators' (adversary.generator_gradient).

Losses are (R,), one a model; their sum is differentiated, so models never mix.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

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
        x: (R, B, D). labels: (R, B) int64, −1 for unlabelled.
        view: (R, B, D) a second view of x, where a term asks for one.
        labelled: (R, B', D) rows of the semi-supervised phase, and their ``targets`` (R, B') int64.
        linear: (R, B, K) what a linear classifier of the labelled rows says of x, where a term asks for it.
        logit_adjustment: (R, 1, K) log(class share among labelled rows / among all rows); None where not estimated.
    """

    x: Tensor
    labels: Tensor
    view: Tensor | None = None
    labelled: Tensor | None = None
    targets: Tensor | None = None
    linear: Tensor | None = None
    logit_adjustment: Tensor | None = None


@dataclass
class Forward:
    """One encoder pass over the streams that some terms need, shared by those terms.

    Attributes:
        codes: what the encoder said of each stream.
        progress: share of training done, 0 to 1.
        fake_codes: code part → (detached codes that collect the discriminator's gradient, their logits), joint only.
        discriminator_branch: where those gradients come from; None where the discriminators were no part of this pass.
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
        inputs = [getattr(batch, stream) for stream in streams]
        sizes = [x.shape[1] for x in inputs]
        codes = model.encode(torch.cat(inputs, 1) if len(inputs) > 1 else inputs[0], parts=sizes)
        parts = codes.split(sizes) if len(inputs) > 1 else [codes]
        _ = parts[0].y  # what several branches need is made before them
        return cls(model, batch, dict(zip(streams, parts, strict=True)), progress, joint)

    def content(self, adversary: Adversary) -> Tensor | None:
        """What an adversary of z sees beside it: the label that the decoder is given, else q(y|x)."""
        if not adversary.content:
            return None
        return self.label if self.model.labels else self.codes["x"].part("y").detach()

    def represented(self, stream: Stream) -> Tensor:
        """What the decoder is given for a stream: (R, B, m)."""
        return self.model.represent(self.codes[stream].y, self.codes[stream].z, self.label)

    @property
    def label(self) -> Tensor | None:
        """One-hot labels of the batch, (R, B, C), where the decoder is given them."""
        return self.model.one_hot(self.batch.labels) if self.model.labels else None

    def ramp(self, share: float) -> float | Tensor:
        """0 → 1 over the first ``share`` of training."""
        if not share:
            return 1.0
        if isinstance(self.progress, Tensor):
            return (self.progress / share).clamp(max=1.0)
        return min(1.0, self.progress / share)


Named = dict[str, Tensor]


class Term(ABC):
    """A loss on one batch. Returns the (R,) objective to differentiate, and (R,) losses to report by name.

    Attributes:
        streams: what the encoder must have seen.
        needs_view: whether the batch must carry a second view, where that is not among the streams.
        concurrent: whether it may run beside the other terms of its phase: no, where it moves what another moves directly.
    """

    streams: tuple[Stream, ...] = ("x",)
    needs_view = False
    concurrent = True

    @abstractmethod
    def __call__(self, forward: Forward) -> tuple[Tensor, Named]: ...


class Reconstruction(Term):
    """½‖x − x̂‖² summed over features, mean over the batch."""

    def __init__(self, weight: float) -> None:
        self.weight = weight

    def __call__(self, forward: Forward) -> tuple[Tensor, Named]:
        model, batch, codes = forward.model, forward.batch, forward.codes["x"]
        x_hat = model.decode(codes.y, codes.z, forward.label)
        loss = F.mse_loss(x_hat, batch.x, reduction="none").sum((1, 2)) * (0.5 / x_hat.shape[1])
        return self.weight * loss, {"reconstruction": loss}


class HeadSeparation(Term):
    """Section 7: η − ‖W_C[i] − W_C[j]‖ summed over the pairs of cluster heads closer than η."""

    concurrent = False  # it moves W_C, as the reconstruction does

    def __init__(self, weight: float, eta: float) -> None:
        self.weight, self.eta = weight, eta

    def __call__(self, forward: Forward) -> tuple[Tensor, Named]:
        loss = separation(forward.model.W_C, self.eta)
        return self.weight * loss, {"heads": loss}


class DiscriminatorLoss(Term):
    """Regularisation phase (a): the discriminator of one code part."""

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
    """Regularisation phase (b): the encoder as the generator of one code part."""

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
    """Section 5: cross-entropy of q(y|x) on labelled rows.

    Where these have another share of each class than all rows, of q(y|x) as it would be among them (Menon et al.,
    arXiv:2007.07314).
    """

    streams: tuple[Stream, ...] = ("labelled",)

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
    """Cross-entropy from the stop-gradient q(y|x) to q(y|view).

    Args:
        linear: share of the batch's linear classifier in the target, in place of q(y|x).
        ensemble: how many models, one after the other, have the same rows and categories, and teach their mean q(y|x).
    """

    streams: tuple[Stream, ...] = ("x", "view")

    def __init__(self, weight: float, ramp: float, linear: float = 0.0, ensemble: int = 1) -> None:
        self.weight, self.ramp, self.linear, self.ensemble = weight, ramp, linear, ensemble

    def __call__(self, forward: Forward) -> tuple[Tensor, Named]:
        loss = cross_entropy(consistency_target(forward, self.linear, self.ensemble), forward.codes["view"]).mean(1)
        return self.weight * forward.ramp(self.ramp) * loss, {"consistency": loss}


class AdversarialConsistency(Term):
    """Consistency where it is hardest: cross-entropy from the stop-gradient q(y|x) to q(y|view + r).

    r is the virtual adversarial direction of Miyato et al. (arXiv:1704.03976), taken at the view, of length ``radius``
    times the distance from x to the nearest other row of the batch (after Hu et al., arXiv:1702.08720).
    """

    needs_view = True

    def __init__(self, weight: float, ramp: float, radius: float, linear: float = 0.0, ensemble: int = 1) -> None:
        self.weight, self.ramp, self.radius, self.linear, self.ensemble = weight, ramp, radius, linear, ensemble

    def __call__(self, forward: Forward) -> tuple[Tensor, Named]:
        target, batch, model = consistency_target(forward, self.linear, self.ensemble), forward.batch, forward.model
        assert batch.view is not None
        view = batch.view.detach().requires_grad_()
        (slope,) = torch.autograd.grad(cross_entropy(target, model.encode(view)).sum(), view)
        length = self.radius * nearest_distance(batch.x)
        r = length.unsqueeze(-1) * F.normalize(slope.float(), dim=-1)
        loss = cross_entropy(target, model.encode(batch.view + r)).mean(1)
        return self.weight * forward.ramp(self.ramp) * loss, {"consistency": loss}


def consistency_target(forward: Forward, linear: float, ensemble: int = 1) -> Tensor:
    """The target of the views of a batch: (R, B, K), the stop-gradient q(y|x) and a share of the linear classifier.

    Of an ensemble, q(y|x) is the mean of those of its models that are finite.
    """
    own = forward.codes["x"].part("y").detach()
    if ensemble > 1:
        together = own.unflatten(0, (-1, ensemble))
        own = together.nanmean(1, keepdim=True).expand_as(together).flatten(0, 1)
    if not linear:
        return own
    assert forward.batch.linear is not None
    return own.lerp(forward.batch.linear, linear)


def cross_entropy(target: Tensor, view: Codes) -> Tensor:
    """From target (R, B, K) to q(y|view), in nats: (R, B)."""
    assert view.y_logits is not None
    return -(target * view.y_logits.float().log_softmax(-1)).sum(-1)


def nearest_distance(x: Tensor) -> Tensor:
    """Distance of each row of a batch to the nearest other row: (R, B, D) → (R, B)."""
    square = x.square().sum(-1)
    distance = square.unsqueeze(1) + square.unsqueeze(2) - 2 * x @ x.transpose(1, 2)
    itself = torch.eye(x.shape[1], dtype=torch.bool, device=x.device)
    return distance.masked_fill(itself, torch.inf).amin(-1).clamp(min=0).sqrt()


class NeighbourEmbedding(Term):
    """In the representation r, a row's view lies nearer to it than the views of the batch's other rows do, in nats.

    −log softmax of −log(1 + ‖r_i − r_j′‖²) over j, at j = i: t-SNE as contrastive learning (InfoNC-t-SNE, Damrich et al.,
    arXiv:2206.01816), where views of a table's row lie towards its neighbours.
    """

    streams: tuple[Stream, ...] = ("x", "view")
    concurrent = False  # it moves W_C, as the reconstruction does

    def __init__(self, weight: float, ramp: float, world: World = ALONE) -> None:
        self.weight, self.ramp, self.world = weight, ramp, world

    def __call__(self, forward: Forward) -> tuple[Tensor, Named]:
        r, view = (forward.represented(stream).float() for stream in self.streams)
        # Differences, no matrix product: TensorFloat-32 would blur distances between near codes.
        square = (r.unsqueeze(2) - self.world.gather(view).unsqueeze(1)).square().sum(-1)
        own = (r - view).square().sum(-1)
        loss = (own.log1p() + (-square.log1p()).logsumexp(-1)).mean(1)
        return self.weight * forward.ramp(self.ramp) * loss, {"neighbours": loss}


class Information(Term):
    """−(balance·H(mean y) − mean H(y)) over the batch, in nats.

    Where clusters were merged, H(mean y) gives way to −KL(mean y ‖ their shares): equal sizes would tear classes apart.
    """

    def __init__(self, weight: float, balance: float, ramp: float, world: World = ALONE) -> None:
        self.weight, self.balance, self.ramp, self.world = weight, balance, ramp, world

    def __call__(self, forward: Forward) -> tuple[Tensor, Named]:
        logits = forward.codes["x"].y_logits
        assert logits is not None
        y, log_y = forward.codes["x"].part("y"), logits.float().log_softmax(-1)
        mean = self.world.mean(y.mean(1))
        share = forward.model.encoder.share
        usual = 0.0 if share is None else (share * share.shape[1]).clamp(min=1e-3).log()
        marginal = -(mean * (mean.clamp(min=1e-8).log() - usual)).sum(-1)
        conditional = -(y * log_y).sum(-1).mean(1)
        loss = conditional - self.balance * marginal
        return self.weight * forward.ramp(self.ramp) * loss, {"information": loss}
