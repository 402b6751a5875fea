"""Conversion between the units of a file and the units of the networks."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Scaling(nn.Module):
    """Conversion from a file's units to the networks': x = (raw − shift) / scale, with shift and scale (D,).

    All R models share one scaling. A scale of 0 marks a column that was constant in training: generated rows get that
    constant, and deviations from it in new rows are measured in the file's units.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.shift: Tensor
        self.scale: Tensor
        self.register_buffer("shift", torch.zeros(size))
        self.register_buffer("scale", torch.ones(size))

    def forward(self, raw: Tensor) -> Tensor:
        """Convert to the networks' units: (…, D) of any type → (…, D) float32."""
        return (raw.to(self.shift.dtype) - self.shift) / torch.where(self.scale == 0, 1, self.scale)

    def invert(self, x: Tensor) -> Tensor:
        """Convert to the file's units: (…, D) → (…, D)."""
        return x * self.scale + self.shift
