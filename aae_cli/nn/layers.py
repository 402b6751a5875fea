"""Networks for several models at once: every weight and every activation has a leading model axis R.

R independent models are trained as one batch of matrix products. A single model has R = 1, at no extra cost.
Activations are (R, B, features).
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..distributed import ALONE


class Linear(nn.Module):
    """R affine maps. (R, B, inputs) → (R, B, outputs).

    Args:
        models: R.
        init_std: weights ~ N(0, init_std²), 0.01 in the paper; None for He initialisation.
        normalised: whether batch norm follows. It cancels any bias, so the bias is not trained.
        gain: weights of He initialisation have the variance gain / inputs: 2 before a ReLU, 1 for a linear output.
    """

    def __init__(
        self,
        models: int,
        inputs: int,
        outputs: int,
        init_std: float | None = None,
        normalised: bool = False,
        gain: float = 2.0,
    ) -> None:
        super().__init__()
        std = init_std if init_std is not None else (gain / max(inputs, 1)) ** 0.5
        self.weight = nn.Parameter(torch.randn(models, inputs, outputs) * std)
        self.bias = nn.Parameter(torch.zeros(models, 1, outputs), requires_grad=not normalised)

    def forward(self, x: Tensor) -> Tensor:
        return torch.baddbmm(self.bias, x, self.weight)


class BatchNorm(nn.Module):
    """Batch normalisation with separate statistics for each of R models. (R, B, features) → the same shape.

    When several processes share a batch (``world``), the statistics are those of the whole batch.
    """

    def __init__(self, models: int, features: int, momentum: float = 0.1) -> None:
        super().__init__()
        self.momentum, self.world = momentum, ALONE
        self.weight = nn.Parameter(torch.ones(models, features))
        self.bias = nn.Parameter(torch.zeros(models, features))
        self.running_mean: Tensor
        self.running_var: Tensor
        self.register_buffer("running_mean", torch.zeros(models, features))
        self.register_buffer("running_var", torch.ones(models, features))

    def forward(self, x: Tensor) -> Tensor:
        models, batch, features = x.shape
        if self.training and self.world.size > 1:
            return self._over_processes(x.float())
        columns = x.transpose(0, 1).reshape(batch, models * features)
        # A single row has no variance: use the running statistics.
        normalised = F.batch_norm(
            columns,
            self.running_mean.view(-1),
            self.running_var.view(-1),
            self.weight.view(-1),
            self.bias.view(-1),
            self.training and batch > 1,
            self.momentum,
        )
        return normalised.view(batch, models, features).transpose(0, 1)

    def _over_processes(self, x: Tensor) -> Tensor:
        """Normalise in training with statistics over all processes."""
        centred = x - self.running_mean.unsqueeze(1)  # close to 0, which avoids cancellation in the variance
        mean, square = self.world.mean(torch.stack([centred.mean(1), centred.square().mean(1)])).unbind()
        var = (square - mean.square()).clamp(min=0)
        rows = x.shape[1] * self.world.size
        with torch.no_grad():
            self.running_mean += self.momentum * mean
            self.running_var.lerp_(var * (rows / max(rows - 1, 1)), self.momentum)
        scale = self.weight * (var + 1e-5).rsqrt()
        return (centred - mean.unsqueeze(1)) * scale.unsqueeze(1) + self.bias.unsqueeze(1)


class MLP(nn.Module):
    """Hidden layers of ReLU units and an optional linear output layer. (R, B, sizes[0]) → (R, B, last or sizes[-1]).

    Args:
        models: R.
        sizes: width of the input, then those of the hidden layers.
        last: width of the output layer; None to end with the last hidden layer.
        batch_norm, batch_norm_last: batch norm of the hidden layers, and of the output layer.
        init_std: weights ~ N(0, init_std²); None for He initialisation.
    """

    def __init__(
        self,
        models: int,
        sizes: Sequence[int],
        last: int | None = None,
        *,
        batch_norm: bool = False,
        batch_norm_last: bool = False,
        init_std: float | None = None,
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for inputs, outputs in itertools.pairwise(sizes):
            layers.append(Linear(models, inputs, outputs, init_std, batch_norm))
            if batch_norm:
                layers.append(BatchNorm(models, outputs))
            layers.append(nn.ReLU())
        if last is not None:
            layers.append(Linear(models, sizes[-1], last, init_std, batch_norm_last, gain=1.0))
            if batch_norm_last:
                layers.append(BatchNorm(models, last))
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)
