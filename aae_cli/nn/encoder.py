"""The encoder q(y, z|x): a softmax y and a linear z on shared layers (section 5) or each on its own, with the posteriors of
section 2."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Literal

import torch
from torch import Tensor, nn

from ..distributed import ALONE
from .layers import MLP, BatchNorm, Linear


@dataclass(frozen=True)
class Codes:
    """Output of the encoder for a batch.

    Attributes:
        y_logits: (R, B, K), or None for a model without y.
        z: (R, B, n), or None for a model without z. In training a sample of q(z|x), otherwise its mean (for a universal
            approximator posterior, the output at η = 0).
    """

    y_logits: Tensor | None
    z: Tensor | None

    @cached_property
    def y(self) -> Tensor | None:
        """q(y|x): (R, B, K) probabilities, summing to 1 over K."""
        return None if self.y_logits is None else self.y_logits.float().softmax(-1)

    def part(self, name: str) -> Tensor:
        """q(y|x) for ``y``, (R, B, K), or z for ``z``, (R, B, n). The model must have it."""
        code = self.y if name == "y" else self.z
        assert code is not None, f"the model has no {name}"
        return code

    def split(self, sizes: Sequence[int]) -> list[Codes]:
        """Split codes of batches that were concatenated along B."""
        ys = [None] * len(sizes) if self.y_logits is None else self.y_logits.split(list(sizes), 1)
        zs = [None] * len(sizes) if self.z is None else self.z.split(list(sizes), 1)
        return [Codes(y, z) for y, z in zip(ys, zs, strict=True)]


class Encoder(nn.Module):
    """q(y|x) and q(z|x) on shared hidden layers (section 5), with the three posteriors of section 2.

    Args:
        models: R.
        inputs: D, the size of a row x.
        hidden: widths of the shared hidden layers.
        classes: K, the size of the softmax y; 0 for no y.
        dims: n, the size of z; 0 for no z.
        style_hidden: widths of hidden layers of z alone; None for a z on the layers of y, as in the paper.
        body: builds layers of given widths, (R, B, D) → (R, B, last width); None for dense ones. It has no noise η.
        column_of: (D,) column of each feature of a mixed table, whose cells dropout then sets to 0 as a whole, flags
            included; ``inputs`` may be less than D, and the last features are then not seen. None for other rows.
        fine: number of fine clusters; their probabilities are summed by ``groups`` into the K of y. 0 for none.
        unequal: whether the categories may have other target proportions than 1/K.
        posterior: deterministic; gaussian (mean and log-variance, reparametrised); universal (noise η appended to x).
        noise_dims: size of η.
        posterior_std: fixed std of a gaussian posterior; None to learn it.
        noise: std of Gaussian noise on the input, in training only.
        dropout: share of the inputs set to 0, in training only.
        batch_norm, batch_norm_y, batch_norm_z: batch norm of the hidden layers, of the logits of y, and of z.
        z_scale: initial weight of the batch norm of z; the prior's scale starts the codes at the prior's size.
        init_std: weights ~ N(0, init_std²); None for He initialisation.

    Attributes:
        groups: (R, fine) int64 category of each fine cluster; None without fine clusters.
        share: (R, K) target proportions of the categories, 1/K unless estimated; None if they may have no other.
        settled: whether q(y|x) no longer changes in training (:meth:`settle`).
    """

    def __init__(
        self,
        models: int,
        inputs: int,
        hidden: Sequence[int],
        classes: int,
        dims: int,
        *,
        style_hidden: Sequence[int] | None = None,
        body: Callable[[Sequence[int]], nn.Module] | None = None,
        column_of: Tensor | None = None,
        fine: int = 0,
        unequal: bool = False,
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
        self.settled = False
        self.inputs = inputs
        self.column_of: Tensor | None
        self.register_buffer("column_of", column_of, persistent=False)
        self.columns = 0 if column_of is None else int(column_of.max()) + 1
        self.noise_dims = noise_dims if posterior == "universal" else 0
        sizes = [inputs + self.noise_dims, *hidden]

        def dense(hidden: Sequence[int]) -> nn.Module:
            return MLP(models, [sizes[0], *hidden], batch_norm=batch_norm, init_std=init_std)

        build = body or dense
        self.body = build(hidden)
        own = None if style_hidden is None else [sizes[0], *style_hidden]
        self.z_body = None if style_hidden is None else build(style_hidden)

        def head(outputs: int, normalised: bool, below: Sequence[int] = sizes) -> nn.Module:
            linear = Linear(models, below[-1], outputs, init_std, normalised, gain=1.0)
            return nn.Sequential(linear, BatchNorm(models, outputs)) if normalised else linear

        self.classes = classes
        self.y = head(fine or classes, batch_norm_y) if classes else None
        self.groups: Tensor | None
        self.register_buffer("groups", torch.arange(fine).remainder(classes).repeat(models, 1) if fine else None)
        self.share: Tensor | None
        self.register_buffer("share", torch.full((models, classes), 1 / classes) if unequal else None)
        self.z = head(dims, batch_norm_z, own or sizes) if dims else None
        if dims and batch_norm_z:
            normalise = self.z[-1]  # type: ignore[index]
            nn.init.constant_(normalise.weight, z_scale)
        self.posterior_std = posterior_std
        learned = dims and posterior == "gaussian" and posterior_std is None
        self.z_log_var = head(dims, False, own or sizes) if learned else None

    def corrupt(self, x: Tensor, parts: Sequence[int] | None = None) -> Tensor:
        """Add the Gaussian noise and the dropout of training to the input: (R, B, D) → the same shape."""
        if self.noise:
            x = x + self.noise * self._normal(x, parts)
        if self.dropout and self.column_of is not None:
            shape = (*x.shape[:2], self.columns)
            kept = self.world.draw(partial(_bernoulli, 1 - self.dropout), shape, x.device, parts)
            return x * kept[..., self.column_of]
        if self.dropout:
            keep = 1 - self.dropout
            x = x * self.world.draw(partial(_bernoulli, keep), x.shape, x.device, parts).div_(keep)
        return x

    def _with_eta(self, x: Tensor, draw: bool, parts: Sequence[int] | None) -> Tensor:
        """The features that the encoder sees, with the noise η of a universal approximator posterior, 0 unless drawn."""
        x = x[..., : self.inputs]
        if not self.noise_dims:
            return x
        eta = x.new_zeros(*x.shape[:-1], self.noise_dims)
        return torch.cat([x, self._normal(eta, parts) if draw else eta], -1)

    def _normal(self, like: Tensor, parts: Sequence[int] | None) -> Tensor:
        return self.world.draw(torch.randn, like.shape, like.device, parts)

    def settle(self) -> None:
        """Hold q(y|x), which has layers of its own, as it is: from now on, training changes z alone."""
        assert self.z_body is not None and self.y is not None
        self.settled = True
        self.body.requires_grad_(False)
        self.y.requires_grad_(False)

    def train(self, mode: bool = True) -> Encoder:
        super().train(mode)
        if self.settled:
            self.body.eval()
            self.y.eval()  # type: ignore[union-attr]
        return self

    def forward(self, x: Tensor, draw: bool = False, parts: Sequence[int] | None = None) -> Codes:
        draw = draw or self.training
        clean = x
        if self.training:
            x = self.corrupt(x, parts)
        x = self._with_eta(x, draw, parts)
        body = self.body(self._with_eta(clean, False, parts) if self.settled else x)
        y_logits = None if self.y is None else self.y(body)
        if y_logits is not None and self.groups is not None:
            y_logits = gather_logits(y_logits.float(), self.groups, self.classes)
        body = body if self.z_body is None else self.z_body(x)
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
    """Logits of groups of fine clusters: log Σ exp over the members of each group.

    Args:
        fine: (R, B, F) logits of the fine clusters.
        groups: (R, F) int64 group of each fine cluster, in [0, classes).

    Returns:
        (R, B, classes).
    """
    most = fine.detach().amax(-1, keepdim=True)
    group = groups.unsqueeze(1).expand_as(fine)
    total = fine.new_zeros(*fine.shape[:-1], classes).scatter_add(-1, group, (fine - most).exp())
    return total.clamp(min=1e-30).log() + most
