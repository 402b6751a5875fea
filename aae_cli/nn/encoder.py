"""The encoder q(y, z|x): a softmax y and a linear z on one shared body (section 5), with the posteriors of section 2."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Literal

import torch
from torch import Tensor, nn

from ..distributed import ALONE
from .layers import MLP, BatchNorm, Linear


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
