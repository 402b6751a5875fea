"""The adversarial autoencoder: q(y, z|x), p(x|y, z) and the cluster heads W_C.

Every tensor has a leading model axis R (see nets.py): x is (R, B, D), y (R, B, K), z (R, B, n).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .nets import MLP, BatchNorm, Linear
from .world import ALONE


@dataclass(frozen=True)
class Codes:
    """What the encoder emits for a batch.

    Attributes:
        y_logits: (R, B, K) or None.
        z: (R, B, n), a draw of q(z|x) in training and its centre otherwise, or None.
    """

    y_logits: Tensor | None
    z: Tensor | None

    @cached_property
    def y(self) -> Tensor | None:
        """q(y|x): (R, B, K), rows sum to 1."""
        return None if self.y_logits is None else self.y_logits.float().softmax(-1)

    def part(self, name: str) -> Tensor:
        code = self.y if name == "y" else self.z
        assert code is not None, f"the model has no {name}"
        return code

    def split(self, sizes: Sequence[int]) -> list[Codes]:
        """Undo a concatenation along the batch."""
        ys = [None] * len(sizes) if self.y_logits is None else self.y_logits.split(list(sizes), 1)
        zs = [None] * len(sizes) if self.z is None else self.z.split(list(sizes), 1)
        return [Codes(y, z) for y, z in zip(ys, zs, strict=True)]


class Encoder(nn.Module):
    """q(y|x) and q(z|x) on one shared body (section 5), with the three posteriors of section 2.

    Args:
        classes: K of the softmax y, or 0 for none.
        dims: n of z, or 0 for none.
        fine: number of fine clusters that ``groups`` gathers into the ``classes`` of y, or 0 for none.
        posterior: deterministic; gaussian (mean and log-variance, reparametrised); universal (noise η joins x).
        posterior_std: of a gaussian posterior, fixed; None to learn it.
        z_scale: of the codes at first, where z has batch norm: the prior's, so that they need not grow into it.
        noise, dropout: corruption of the input in training (std of Gaussian noise; share set to 0).
    """

    def __init__(
        self,
        models: int,
        inputs: int,
        hidden: Sequence[int],
        classes: int,
        dims: int,
        *,
        fine: int = 0,
        posterior: Literal["deterministic", "gaussian", "universal"] = "deterministic",
        noise_dims: int = 10,
        posterior_std: float | None = None,
        noise: float = 0.0,
        dropout: float = 0.0,
        batch_norm: bool = False,
        batch_norm_y: bool = False,
        batch_norm_z: bool = False,
        z_scale: float = 1.0,
        init_std: float | None = None,
    ) -> None:
        super().__init__()
        self.noise, self.dropout, self.world = noise, dropout, ALONE
        self.noise_dims = noise_dims if posterior == "universal" else 0
        sizes = [inputs + self.noise_dims, *hidden]
        self.body = MLP(models, sizes, batch_norm=batch_norm, init_std=init_std)

        def head(outputs: int, normalised: bool) -> nn.Module:
            linear = Linear(models, sizes[-1], outputs, init_std, normalised, gain=1.0)
            return nn.Sequential(linear, BatchNorm(models, outputs)) if normalised else linear

        self.classes = classes
        self.y = head(fine or classes, batch_norm_y) if classes else None
        self.groups: Tensor | None
        self.register_buffer("groups", torch.arange(fine).remainder(classes).repeat(models, 1) if fine else None)
        # How the merged clusters share the rows, as the fine ones did: sizes are found, not imposed.
        self.share: Tensor | None
        self.register_buffer("share", torch.full((models, classes), 1 / classes) if fine else None)
        self.z = head(dims, batch_norm_z) if dims else None
        if dims and batch_norm_z:
            normalise = self.z[-1]  # type: ignore[index]
            nn.init.constant_(normalise.weight, z_scale)
        self.posterior_std = posterior_std
        learned = dims and posterior == "gaussian" and posterior_std is None
        self.z_log_var = head(dims, False) if learned else None

    def corrupt(self, x: Tensor, parts: Sequence[int] | None = None) -> Tensor:
        if self.noise:
            x = x + self.noise * self._normal(x, parts)
        if self.dropout:
            keep = 1 - self.dropout
            x = x * self.world.draw(partial(_bernoulli, keep), x.shape, x.device, parts).div_(keep)
        return x

    def _normal(self, like: Tensor, parts: Sequence[int] | None) -> Tensor:
        return self.world.draw(torch.randn, like.shape, like.device, parts)

    def forward(self, x: Tensor, draw: bool = False, parts: Sequence[int] | None = None) -> Codes:
        draw = draw or self.training
        if self.training:
            x = self.corrupt(x, parts)
        if self.noise_dims:
            eta = x.new_zeros(*x.shape[:-1], self.noise_dims)
            x = torch.cat([x, self._normal(eta, parts) if draw else eta], -1)
        body = self.body(x)
        y_logits = None if self.y is None else self.y(body)
        if y_logits is not None and self.groups is not None:
            y_logits = gather_logits(y_logits.float(), self.groups, self.classes)
        z = None if self.z is None else self.z(body).float()
        if z is not None and draw:
            if self.posterior_std is not None:
                z = z + self.posterior_std * self._normal(z, parts)
            elif self.z_log_var is not None:
                z = z + (0.5 * self.z_log_var(body).float()).exp() * self._normal(z, parts)
        return Codes(y_logits, z)


def _bernoulli(share: float, shape: tuple[int, ...], device: torch.device) -> Tensor:
    return torch.empty(shape, device=device).bernoulli_(share)


def gather_logits(fine: Tensor, groups: Tensor, classes: int) -> Tensor:
    """log Σ exp over the members of each group. fine (R, B, F), groups (R, F) int64 → (R, B, classes)."""
    most = fine.detach().amax(-1, keepdim=True)
    group = groups.unsqueeze(1).expand_as(fine)
    total = fine.new_zeros(*fine.shape[:-1], classes).scatter_add(-1, group, (fine - most).exp())
    return total.clamp(min=1e-30).log() + most


class Scaling(nn.Module):
    """Between a file's units and the networks': x = (raw − shift) / scale. Shared by all models; shift and scale (D,).

    A scale of 0 is of a column that never changed in training: generated rows have its value, other values of it count
    in the file's own units.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.shift: Tensor
        self.scale: Tensor
        self.register_buffer("shift", torch.zeros(size))
        self.register_buffer("scale", torch.ones(size))

    def forward(self, raw: Tensor) -> Tensor:
        return (raw.to(self.shift.dtype) - self.shift) / torch.where(self.scale == 0, 1, self.scale)

    def invert(self, x: Tensor) -> Tensor:
        return x * self.scale + self.shift


class AAE(nn.Module):
    """R adversarial autoencoders of one form.

    Args:
        models: R.
        features: D of x.
        classes: K of y, 0 for none. With ``decoder_input="label"``, y is not encoded and ``labels`` says C.
        dims: n of z, 0 for none.
        labels: C, for decoders that are given the label (section 4).
        decoder_input: concat = [y, z]; label = [one-hot label, z]; heads = y·W_C + z (section 7).
        heads_scale: a fixed W_C is heads_scale·I.
        heads_eta: a learned W_C starts with heads at least this far apart.
    """

    def __init__(
        self,
        models: int,
        features: int,
        encoder: Encoder,
        *,
        classes: int,
        dims: int,
        labels: int = 0,
        decoder_hidden: Sequence[int] = (1000, 1000),
        decoder_batch_norm: bool = False,
        decoder_batch_norm_last: bool = False,
        decoder_input: Literal["concat", "label", "heads"] = "concat",
        output: Literal["sigmoid", "linear"] = "sigmoid",
        heads_learned: bool = True,
        heads_scale: float = 10.0,
        heads_eta: float = 6.0,
        init_std: float | None = None,
    ) -> None:
        super().__init__()
        self.models, self.features, self.classes, self.dims, self.labels = models, features, classes, dims, labels
        self.decoder_input, self.output = decoder_input, output
        self.scaling = Scaling(features)
        self.encoder = encoder
        inputs = {"concat": classes + dims, "label": labels + dims, "heads": dims}[decoder_input]
        self.decoder = MLP(
            models,
            [inputs, *decoder_hidden],
            features,
            batch_norm=decoder_batch_norm,
            batch_norm_last=decoder_batch_norm_last,
            init_std=init_std,
        )
        self.heads: nn.Parameter | None = None
        if decoder_input == "heads":
            if heads_learned:
                W_C = spread_heads(torch.randn(models, classes, dims) * heads_eta, heads_eta)
            else:
                W_C = heads_scale * torch.eye(classes, dims).expand(models, -1, -1).clone()
            self.heads = nn.Parameter(W_C, requires_grad=heads_learned)

    @property
    def W_C(self) -> Tensor:
        """Cluster heads of section 7: (R, K, n)."""
        assert self.heads is not None, "only decoder_input=heads has cluster heads"
        return self.heads

    def encode(self, x: Tensor, draw: bool = False, parts: Sequence[int] | None = None) -> Codes:
        """q(y, z|x) of prepared rows. (R, B, D) → Codes; ``draw`` samples q(z|x) outside training too.

        Args:
            parts: sizes of the batches that follow each other along B, where processes share them.
        """
        return self.encoder(x, draw, parts)

    def represent(self, y: Tensor | None, z: Tensor | None, label: Tensor | None = None) -> Tensor:
        """What the decoder sees: [y, z], [label, z] or y·W_C + z.

        Args:
            y: (R, B, K). z: (R, B, n). label: (R, B, C) one-hot, zeros where unknown.
        """
        if self.decoder_input == "heads":
            assert y is not None and z is not None
            return torch.bmm(y, self.W_C) + z
        first = label if self.decoder_input == "label" else y
        return torch.cat([part for part in (first, z) if part is not None], -1)

    def decode_logits(self, y: Tensor | None, z: Tensor | None, label: Tensor | None = None) -> Tensor:
        return self.decoder(self.represent(y, z, label)).float()

    def decode(self, y: Tensor | None, z: Tensor | None, label: Tensor | None = None) -> Tensor:
        """p(x|·)'s mean in the networks' units. → (R, B, D), in (0, 1) for a sigmoid output."""
        x_hat = self.decode_logits(y, z, label)
        return x_hat.sigmoid() if self.output == "sigmoid" else x_hat

    def one_hot(self, labels: Tensor) -> Tensor:
        """(…) int64, −1 for unknown → (…, C) float32, zeros where unknown."""
        hot = F.one_hot(labels.clamp(min=0), max(self.labels, 1)).float()
        return hot * (labels >= 0).unsqueeze(-1)


def separation(W_C: Tensor, eta: float) -> Tensor:
    """Section 7: η − ‖W_C[i] − W_C[j]‖ summed over the pairs of cluster heads closer than η. (R, K, n) → (R,)."""
    i, j = torch.triu_indices(W_C.shape[1], W_C.shape[1], offset=1, device=W_C.device)
    # The small constant keeps the slope finite where two heads coincide.
    distance = ((W_C[:, i] - W_C[:, j]).square().sum(-1) + 1e-12).sqrt()
    return (eta - distance).clamp(min=0).sum(-1)


def spread_heads(W_C: Tensor, eta: float, steps: int = 300) -> Tensor:
    """Heads moved until no two are closer than η: training moves them too slowly to part from a crowd. (R, K, n).

    Where ``steps`` do not do, the whole is blown up until they are apart.
    """
    W_C = W_C.detach().clone().requires_grad_()
    for _ in range(steps):
        loss = separation(W_C, 1.05 * eta).sum()
        if not loss:
            break
        (slope,) = torch.autograd.grad(loss, W_C)
        with torch.no_grad():
            W_C -= 0.1 * slope
    W_C = W_C.detach()
    itself = torch.eye(W_C.shape[1], dtype=torch.bool, device=W_C.device)
    closest = torch.cdist(W_C, W_C).masked_fill(itself, torch.inf).amin((1, 2), keepdim=True)
    return W_C * (eta / closest.clamp(min=1e-3 * eta)).clamp(min=1.0)


def pick_model(state: dict[str, Tensor], index: int) -> dict[str, Tensor]:
    """The state of one of R models, as that of a model with R = 1."""
    return {
        name: value if name.startswith("scaling.") else value[index : index + 1].clone()
        for name, value in state.items()
    }
