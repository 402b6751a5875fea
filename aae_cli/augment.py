"""Second views of a batch for the consistency phase: small affine changes of images, noise and swaps on tables."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

from .world import ALONE, World

View = Callable[[Tensor], Tensor]


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

    Returns:
        a map (R, B, D) → (R, B, D).
    """
    nodes = torch.eye(ELASTIC_NODES**2, device=outside.device).view(-1, 1, ELASTIC_NODES, ELASTIC_NODES)
    surfaces = F.interpolate(nodes, shape[1:], mode="bicubic", align_corners=True).flatten(1)  # (nodes², H·W)

    def view(x: Tensor) -> Tensor:
        images = (x - outside).reshape(-1, *shape)
        draws = (world.draw(torch.rand, (*x.shape[:2], 6), x.device) * 2 - 1).view(-1, 6).unbind(1)
        angle = draws[0] * math.radians(rotation)
        size_x, size_y = 1 + draws[1] * scale, 1 + draws[2] * scale
        lean = draws[3] * shear
        cos, sin = angle.cos(), angle.sin()
        # Rotation · shear · scaling; grid coordinates run over [−1, 1], so a whole side is 2.
        first = torch.stack([cos * size_x, (cos * lean - sin) * size_y, 2 * shift * draws[4]], -1)
        second = torch.stack([sin * size_x, (sin * lean + cos) * size_y, 2 * shift * draws[5]], -1)
        theta = torch.stack([first, second], 1)
        grid = F.affine_grid(theta, list(images.shape), align_corners=False)
        if elastic:
            heights = 2 * elastic * world.draw(torch.randn, (*x.shape[:2], 2, ELASTIC_NODES**2), x.device)
            grid = grid + (heights @ surfaces).view(-1, 2, *shape[1:]).permute(0, 2, 3, 1)
        moved = F.grid_sample(images, grid, padding_mode="zeros", align_corners=False)
        return moved.reshape(x.shape) + outside

    return view


def feature_view(noise: float, swap: float, neighbours: int, reference: Tensor, world: World = ALONE) -> View:
    """A step towards a near row, Gaussian noise, and a share ``swap`` of features from other rows.

    Args:
        noise: length, as a share of the distance to the farthest of the ``neighbours``; without them, the std.
        neighbours: a row moves a random part of the way towards one of its so many nearest in ``reference``, 0 = not.
        reference: (M, D) rows, in the networks' units.

    Returns:
        a map (R, B, D) → (R, B, D). Of several processes, each swaps among its own rows.
    """
    reference_square = reference.square().sum(-1)
    nearest = min(neighbours + 1, len(reference))  # a row that is in the reference finds itself among them

    def view(x: Tensor) -> Tensor:
        std: float | Tensor = noise
        if neighbours:
            square = reference_square - 2 * x @ reference.T + x.square().sum(-1, keepdim=True)
            near, some = square.topk(nearest, largest=False, sorted=False)
            std = noise * (near.amax(-1, keepdim=True).clamp(min=0) / x.shape[-1]).sqrt()
            chosen = world.draw(partial(torch.randint, nearest), (*x.shape[:2], 1), x.device)
            part = world.draw(torch.rand, (*x.shape[:2], 1), x.device)
            x = x + part * (reference[some.gather(-1, chosen).squeeze(-1)] - x)
        if swap:
            # One random rotation of the batch gives every swapped feature a value that some other row really has.
            offset = torch.randint(1, max(x.shape[-2], 2), (), device=x.device)
            rows = (torch.arange(x.shape[-2], device=x.device) + offset) % x.shape[-2]
            x = torch.where(world.draw(torch.rand, x.shape, x.device) < swap, x[..., rows, :], x)
        return x + std * world.draw(torch.randn, x.shape, x.device)

    return view
