"""Between a file's units and those of the networks."""

from __future__ import annotations

import torch
from torch import Tensor, nn


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
