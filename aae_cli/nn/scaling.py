"""Conversion between the units of a file and the units of the networks."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Scaling(nn.Module):
    """Conversion from a file's units to the networks': x = (raw − shift) / scale, with shift and scale (D,).

    All R models share one scaling. A scale of 0 marks a column that was constant in training: generated rows get that
    constant, and deviations from it in new rows are measured in the file's units.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.features = self.outputs = size
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

    def draw(self, output: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Rows of p(x|y, z), which has no spread of its own here: (…, D) in the networks' units → the file's."""
        return self.invert(output)

    def drawn(self, output: Tensor) -> Tensor:
        """Rows of p(x|y, z) in the networks' units: (…, D) → (…, D)."""
        return output

    def loss(self, output: Tensor, x: Tensor) -> Tensor:
        """½‖x − x̂‖² summed over features, mean over the batch: (R, B, D) each → (R,)."""
        return F.mse_loss(output, x, reduction="none").sum((1, 2)) * (0.5 / output.shape[1])

    def distance(self, a: Tensor, b: Tensor) -> Tensor:
        """½ squared distance of rows, in the networks' units: (…, D) in the file's units, each → (…,)."""
        return 0.5 * (self(a) - self(b)).square().sum(-1)
