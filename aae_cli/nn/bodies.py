"""Convolutional bodies for images, for several models at once: from pixels to features, and from a code to pixels.

As everywhere in ``nn``, inputs and outputs are (R, B, features), and every weight has the leading model axis R. Between
them, maps are (B, R·channels, H, W), and a convolution has one group for each model.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from math import prod

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .layers import MLP, BatchNorm

SMALLEST = 4
"""Maps are halved while their shorter side is larger than this."""


class Convolution(nn.Module):
    """R convolutions of 3×3. (B, R·inputs, H, W) → (B, R·outputs, H / stride, W / stride), rounded up.

    Args:
        gain: weights have the variance gain / (9·inputs): 2 before a ReLU, 1 for a linear output.
    """

    def __init__(self, models: int, inputs: int, outputs: int, stride: int = 1, gain: float = 2.0) -> None:
        super().__init__()
        self.stride = stride
        self.weight = nn.Parameter(torch.randn(models, outputs, inputs, 3, 3) * (gain / (9 * inputs)) ** 0.5)
        self.bias = nn.Parameter(torch.zeros(models, outputs))

    def forward(self, x: Tensor) -> Tensor:
        weight, bias = laid_out(self.weight.flatten(0, 1)), self.bias.flatten()
        return F.conv2d(x, weight, bias, self.stride, padding=1, groups=len(self.weight))


def laid_out(maps: Tensor) -> Tensor:
    """Maps or weights (N, C, H, W) in the memory layout that is faster: on a CPU, channels last.

    Of 100 photos of 32×32 on one thread, the decoder's step then takes 54 instead of 95 ms and the encoder's 24 instead of
    26 ms, those of two models 134 instead of 275 and 51 instead of 58 ms.
    """
    return maps.contiguous(memory_format=torch.channels_last) if maps.device.type == "cpu" else maps


class MapNorm(BatchNorm):
    """Batch normalisation of each channel over rows and pixels. (B, R·channels, H, W) → the same shape."""

    def forward(self, x: Tensor) -> Tensor:
        models, channels = self.weight.shape
        if self.training and self.world.size > 1:
            rows = x.unflatten(1, (models, channels)).permute(1, 0, 3, 4, 2)  # (R, B, H, W, channels)
            normalised = self._over_processes(rows.flatten(1, 3).float()).view(rows.shape)
            return normalised.permute(1, 0, 4, 2, 3).flatten(1, 2)
        return F.batch_norm(
            x,
            self.running_mean.view(-1),
            self.running_var.view(-1),
            self.weight.view(-1),
            self.bias.view(-1),
            self.training,
            self.momentum,
        )


class ConvolutionalEncoder(nn.Module):
    """Convolutions that halve the maps, then dense layers. (R, B, C·H·W) → (R, B, hidden[-1]).

    Args:
        shape: (C, H, W) of an image.
        channels: of the first convolution, which halves the image; doubled at each further halving.
        hidden: widths of the dense layers, at least one.
        batch_norm: batch norm after each layer.
    """

    def __init__(
        self, models: int, shape: Sequence[int], channels: int, hidden: Sequence[int], batch_norm: bool
    ) -> None:
        super().__init__()
        self.shape = tuple(shape)
        maps = map_shapes(shape, channels)
        layers: list[nn.Module] = []
        inputs = shape[0]
        # A convolution of whole pixels, before the first halving, takes three times as long and brings little.
        stride = 1 if maps[0][1:] == self.shape[1:] else 2
        for outputs, _, _ in maps:
            layers.append(Convolution(models, inputs, outputs, stride))
            layers += [MapNorm(models, outputs), nn.ReLU()] if batch_norm else [nn.ReLU()]
            inputs = outputs
        self.layers = nn.Sequential(*layers)
        self.dense = MLP(models, [prod(maps[-1]), *hidden], batch_norm=batch_norm)

    def forward(self, x: Tensor) -> Tensor:
        models, rows = x.shape[:2]
        maps = self.layers(laid_out(x.unflatten(2, self.shape).transpose(0, 1).flatten(1, 2)))
        return self.dense(maps.reshape(rows, models, -1).transpose(0, 1))


class ConvolutionalDecoder(nn.Module):
    """Dense layers, then maps that are enlarged and convolved, without checkerboards. (R, B, inputs) → (R, B, C·H·W).

    Args:
        shape, channels: as in :class:`ConvolutionalEncoder`, in the reverse order.
        hidden: widths of the dense layers.
    """

    def __init__(self, models: int, inputs: int, shape: Sequence[int], channels: int, hidden: Sequence[int]) -> None:
        super().__init__()
        maps = map_shapes(shape, channels)[::-1]
        self.smallest, self.sides = maps[0], [*(side for _, *side in maps[1:]), list(shape[1:])]
        self.dense = MLP(models, [inputs, *hidden, prod(self.smallest)], batch_norm=True)
        layers: list[nn.Module] = []
        for (before, _, _), (after, _, _) in itertools.pairwise(maps):
            layers.append(nn.Sequential(Convolution(models, before, after), MapNorm(models, after), nn.ReLU()))
        self.layers = nn.ModuleList([*layers, Convolution(models, maps[-1][0], shape[0], gain=1.0)])

    def forward(self, code: Tensor) -> Tensor:
        models, rows = code.shape[:2]
        maps = laid_out(self.dense(code).unflatten(2, self.smallest).transpose(0, 1).flatten(1, 2))
        for layer, side in zip(self.layers, self.sides, strict=True):
            maps = layer(maps if list(maps.shape[2:]) == side else F.interpolate(maps, side, mode="nearest"))
        return maps.reshape(rows, models, -1).transpose(0, 1)


def map_shapes(shape: Sequence[int], channels: int) -> list[tuple[int, int, int]]:
    """(channels, height, width) of the maps between an image of a shape (C, H, W) and dense layers, largest first."""
    sides = halved(shape[1], shape[2])
    return [(channels * 2**number, *side) for number, side in enumerate(sides[1:] or sides)]


def halved(height: int, width: int) -> list[tuple[int, int]]:
    """Sides of the maps of an encoder, (height, width) each, the largest first."""
    sides = [(height, width)]
    while min(sides[-1]) > SMALLEST:
        sides.append(((sides[-1][0] + 1) // 2, (sides[-1][1] + 1) // 2))
    return sides
