"""Second views of a batch for the consistency phase: small affine changes of images, noise and swaps on tables."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from ..distributed import ALONE, World
from .neighbours import Neighbours


class View(Protocol):
    """A random map (R, B, D) → (R, B, D).

    Args:
        parts: sizes of the batches that follow each other along B, None for one.
        rows: (R, B) the numbers that these rows have in training, where they are training rows.
    """

    def __call__(self, x: Tensor, parts: Sequence[int] | None = None, rows: Tensor | None = None) -> Tensor: ...


ELASTIC_NODES = 5  # a side of the coarse lattice of displacements


def image_view(
    shape: tuple[int, ...],
    shift: float,
    rotation: float,
    scale: float,
    shear: float,
    elastic: float,
    outside: Tensor,
    world: World = ALONE,
) -> View:
    """Random shift, rotation, scaling, shear and elastic distortion, one draw an image.

    Args:
        shape: (C, H, W).
        shift: largest shift as a share of the side. rotation: largest angle in degrees. scale: largest relative change.
            shear: largest ratio. elastic: std of smooth displacements (after Simard et al. 2003), as a share of the side.
        outside: (D,) what lies beyond the border, in the networks' units.
    """
    channels, height, width = shape
    device = outside.device
    # Where a pixel is looked up: an affine map of its place in [−1, 1]², and a sum of smooth surfaces: one product.
    y, x = torch.meshgrid(_centres(height, device), _centres(width, device), indexing="ij")
    nodes = torch.eye(ELASTIC_NODES**2, device=device).view(-1, 1, ELASTIC_NODES, ELASTIC_NODES)
    surfaces = F.interpolate(nodes, (height, width), mode="bicubic", align_corners=True).flatten(1)  # (nodes², H·W)
    place = torch.cat([torch.stack([x.flatten(), y.flatten(), torch.ones_like(x).flatten()]), surfaces])
    place = place[: 3 + ELASTIC_NODES**2 * bool(elastic)]
    # Lengths are shares of a side, which is 2 here.
    bounds = torch.tensor([math.radians(rotation), shear, scale, scale, 2 * shift, 2 * shift], device=device)
    quarters = torch.tensor([0.0, -1.0, 1.0, 0.0], device=device) * (math.pi / 2)
    dark = not bool(outside.any())

    def view(x: Tensor, parts: Sequence[int] | None = None, rows: Tensor | None = None) -> Tensor:
        images = (x if dark else x - outside).reshape(-1, channels, height, width)
        draws = (world.draw(torch.rand, (*x.shape[:2], 6), device, parts) * (2 * bounds) - bounds).view(-1, 6)
        # Rotation · shear · scaling; columns are where the axes go.
        right, down = (draws[:, :1] + quarters).cos().split(2, 1)  # (cos, sin) and (−sin, cos)
        sizes = draws[:, 2:4] + 1
        columns = [right * sizes[:, :1], torch.addcmul(down, right, draws[:, 1:2]) * sizes[:, 1:], draws[:, 4:]]
        way = torch.stack(columns, -1)  # (images, 2, 3)
        if elastic:
            normal = world.draw(torch.randn, (*x.shape[:2], 2, ELASTIC_NODES**2), device, parts)
            way = torch.cat([way, (2 * elastic * normal).view(-1, 2, ELASTIC_NODES**2)], -1)
        grid = (way @ place).view(-1, 2, height, width).permute(0, 2, 3, 1)
        moved = F.grid_sample(images, grid, padding_mode="zeros", align_corners=False).reshape(x.shape)
        return moved if dark else moved + outside

    return view


def _centres(count: int, device: torch.device) -> Tensor:
    """Middles of so many equal parts of [−1, 1]."""
    return (2 * torch.arange(count, device=device) + 1) / count - 1


def feature_view(noise: float, swap: float, neighbours: Neighbours | None, world: World = ALONE) -> View:
    """A step towards a near row, Gaussian noise, and a share ``swap`` of features from other rows.

    Args:
        noise: length, as a share of the distance to the farthest of the neighbours; without them, the std.
        neighbours: a row moves a random part of the way towards one of them; None = not.

    Of several processes, each swaps among its own rows.
    """

    def view(x: Tensor, parts: Sequence[int] | None = None, rows: Tensor | None = None) -> Tensor:
        std: float | Tensor = noise
        if neighbours is not None:
            far, near = neighbours(x, rows)
            std = noise * (far / x.shape[-1]).sqrt()
            chosen = world.draw(partial(torch.randint, neighbours.count), (*x.shape[:2], 1), x.device, parts)
            part = world.draw(torch.rand, (*x.shape[:2], 1), x.device, parts)
            x = x + part * (neighbours.reference[near.gather(-1, chosen).squeeze(-1)] - x)
        if swap:
            # One random rotation of the batch gives every swapped feature a value that some other row really has.
            offset = torch.randint(1, max(x.shape[-2], 2), (), device=x.device)
            others = (torch.arange(x.shape[-2], device=x.device) + offset) % x.shape[-2]
            x = torch.where(world.draw(torch.rand, x.shape, x.device, parts) < swap, x[..., others, :], x)
        return x + std * world.draw(torch.randn, x.shape, x.device, parts)

    return view
