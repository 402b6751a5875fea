"""Second views of rows: affine and elastic distortions of images; interpolation, noise and swaps for tables."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from ..distributed import ALONE, World
from ..nn.cells import Cells
from .neighbours import Neighbours


class View(Protocol):
    """A random map (R, B, D) → (R, B, D), in the networks' units.

    Args:
        parts: sizes of the batches concatenated along B, for training over several processes; None for one batch.
        rows: (R, B) row numbers among the training rows; None for other rows.
    """

    def __call__(self, x: Tensor, parts: Sequence[int] | None = None, rows: Tensor | None = None) -> Tensor: ...


ELASTIC_NODES = 5  # nodes per side of the coarse grid of elastic displacements


def image_view(
    shape: tuple[int, ...],
    shift: float,
    rotation: float,
    scale: float,
    shear: float,
    elastic: float,
    outside: Tensor,
    world: World = ALONE,
    *,
    flip: bool = False,
    crop: float = 0.0,
) -> View:
    """Random shift, rotation, scaling, shear and elastic distortion, drawn anew for each image.

    Args:
        shape: (C, H, W).
        shift: largest shift, as a share of the side.
        rotation: largest angle, in degrees.
        scale: largest relative change of size.
        shear: largest ratio of displacement to distance.
        elastic: std of smooth displacements (after Simard et al. 2003), as a share of the side.
        outside: (D,) pixel values beyond the border, in the networks' units.
        flip: mirror every second image, left to right.
        crop: largest share of the side that is cut off around a random window, which is then enlarged.
    """
    channels, height, width = shape
    device = outside.device
    # Sampling positions are an affine map of the pixel positions in [−1, 1]² plus smooth displacements: a product of
    # random coefficients with this basis.
    y, x = torch.meshgrid(_centres(height, device), _centres(width, device), indexing="ij")
    nodes = torch.eye(ELASTIC_NODES**2, device=device).view(-1, 1, ELASTIC_NODES, ELASTIC_NODES)
    surfaces = F.interpolate(nodes, (height, width), mode="bicubic", align_corners=True).flatten(1)  # (nodes², H·W)
    basis = torch.cat([torch.stack([x.flatten(), y.flatten(), torch.ones_like(x).flatten()]), surfaces])
    basis = basis[: 3 + ELASTIC_NODES**2 * bool(elastic)]
    # A side has the length 2 in these coordinates.
    bounds = torch.tensor([math.radians(rotation), shear, scale, scale, 2 * shift, 2 * shift], device=device)
    inside = torch.tensor([1 - 1 / width, 1 - 1 / height], device=device)  # centres of the outermost pixels
    quarters = torch.tensor([0.0, -1.0, 1.0, 0.0], device=device) * (math.pi / 2)
    dark = not bool(outside.any())

    def view(x: Tensor, parts: Sequence[int] | None = None, rows: Tensor | None = None) -> Tensor:
        images = (x if dark else x - outside).reshape(-1, channels, height, width)
        draws = (world.draw(torch.rand, (*x.shape[:2], 6), device, parts) * (2 * bounds) - bounds).view(-1, 6)
        # Rotation · shear · scaling; the columns are the images of the two axes.
        right, down = (draws[:, :1] + quarters).cos().split(2, 1)  # (cos, sin) and (−sin, cos)
        sizes = draws[:, 2:4] + 1
        offset = draws[:, 4:]
        if flip or crop:
            more = world.draw(torch.rand, (*x.shape[:2], 4), device, parts).view(-1, 4)
            window = 1 - crop * more[:, :1]
            offset = offset + (1 - window) * inside * (2 * more[:, 1:3] - 1)
            mirrored = torch.where(more[:, 3:] < 0.5 * flip, -1.0, 1.0)
            sizes = sizes * torch.cat([window * mirrored, window], 1)
        columns = [right * sizes[:, :1], torch.addcmul(down, right, draws[:, 1:2]) * sizes[:, 1:], offset]
        coefficients = torch.stack(columns, -1)  # (images, 2, 3)
        if elastic:
            normal = world.draw(torch.randn, (*x.shape[:2], 2, ELASTIC_NODES**2), device, parts)
            coefficients = torch.cat([coefficients, (2 * elastic * normal).view(-1, 2, ELASTIC_NODES**2)], -1)
        grid = (coefficients @ basis).view(-1, 2, height, width).permute(0, 2, 3, 1)
        moved = F.grid_sample(images, grid, padding_mode="zeros", align_corners=False).reshape(x.shape)
        return moved if dark else moved + outside

    return view


def coloured_view(
    view: View, shape: tuple[int, ...], strength: float, ends: tuple[float, float], world: World = ALONE
) -> View:
    """Views of images with random brightness, contrast and saturation; one in five is grey.

    Args:
        shape: (C, H, W).
        strength: largest relative change of contrast and saturation; of the brightness, half of it.
        ends: smallest and largest pixel, in the networks' units.
    """
    span = ends[1] - ends[0]

    def moved(x: Tensor, parts: Sequence[int] | None = None, rows: Tensor | None = None) -> Tensor:
        images = view(x, parts, rows).unflatten(2, shape)
        draws = world.draw(torch.rand, (*x.shape[:2], 4), x.device, parts)[..., None, None, None]
        change = strength * (2 * draws - 1)
        grey = images.mean(2, keepdim=True)
        saturation = torch.where(draws[:, :, 3] < 0.2, 0.0, 1 + change[:, :, 0])
        images = grey + (images - grey) * saturation
        mean = images.mean((2, 3, 4), keepdim=True)
        images = mean + (images - mean) * (1 + change[:, :, 1]) + 0.5 * span * change[:, :, 2]
        return images.clamp(*ends).flatten(2)

    return moved


def _centres(count: int, device: torch.device) -> Tensor:
    """Centres of ``count`` equal parts of [−1, 1]: (count,)."""
    return (2 * torch.arange(count, device=device) + 1) / count - 1


def neighbour_view(view: View, neighbours: Neighbours, share: float, world: World = ALONE) -> View:
    """Views of one of a row's neighbours instead of the row itself.

    Args:
        share: probability of that.
    """

    def moved(x: Tensor, parts: Sequence[int] | None = None, rows: Tensor | None = None) -> Tensor:
        near = _one_of(neighbours, neighbours(x, rows)[1], parts, world)
        taken = world.draw(torch.rand, (*x.shape[:2], 1), x.device, parts) < share
        return view(torch.where(taken, near, x), parts, rows)

    return moved


def _one_of(neighbours: Neighbours, near: Tensor, parts: Sequence[int] | None, world: World) -> Tensor:
    """One of each row's neighbours at random: (R, B, D), from their positions (R, B, count)."""
    chosen = world.draw(partial(torch.randint, neighbours.count), (*near.shape[:2], 1), near.device, parts)
    return neighbours.reference[near.gather(-1, chosen).squeeze(-1)]


def _shifted(x: Tensor, parts: Sequence[int] | None, world: World) -> Tensor:
    """Other rows of the whole batch: a cyclic shift by a random offset. (R, B, D) → the same shape."""
    sizes = parts or [x.shape[1]]
    whole = world.gather(x, sizes)
    offset = torch.randint(1, max(whole.shape[1], 2), (), device=x.device)
    return whole[:, (world.positions(sizes, x.device) + offset) % whole.shape[1]]


def feature_view(noise: float, swap: float, neighbours: Neighbours | None, world: World = ALONE) -> View:
    """A step towards a neighbour, Gaussian noise, and features taken from other rows.

    Args:
        noise: length of the noise, as a share of the distance to the farthest neighbour; without neighbours, its std.
        swap: probability that a feature takes the value of another row of the batch.
        neighbours: search for neighbours; a row moves a random part of the way towards one of them. None for no step.
    """

    def view(x: Tensor, parts: Sequence[int] | None = None, rows: Tensor | None = None) -> Tensor:
        std: float | Tensor = noise
        if neighbours is not None:
            far, near = neighbours(x, rows)
            std = noise * (far / x.shape[-1]).sqrt()
            chosen = _one_of(neighbours, near, parts, world)
            part = world.draw(torch.rand, (*x.shape[:2], 1), x.device, parts)
            x = x + part * (chosen - x)
        if swap:
            others = _shifted(x, parts, world)
            x = torch.where(world.draw(torch.rand, x.shape, x.device, parts) < swap, others, x)
        return x + std * world.draw(torch.randn, x.shape, x.device, parts)

    return view


UNRELATED = 2.0
"""Squared distance of two random rows of a mixed table, in each column."""


def cell_view(noise: float, swap: float, cells: Cells, neighbours: Neighbours | None, world: World = ALONE) -> View:
    """The same for mixed tables: whole cells are taken from the neighbour and from other rows, with their flags.

    A row moves a random part of the way towards a neighbour: numbers that both have are interpolated, any other cell is
    the neighbour's with that probability. Noise is for numbers only, and not for a value that is modelled apart.
    """
    numbers, columns = len(cells.number_at), cells.kinds.columns

    def taken(x: Tensor, other: Tensor, p: Tensor | float, parts: Sequence[int] | None) -> Tensor:
        chosen = world.draw(torch.rand, (*x.shape[:2], columns), x.device, parts) < p
        return torch.where(chosen[..., cells.column_of], other, x)

    def view(x: Tensor, parts: Sequence[int] | None = None, rows: Tensor | None = None) -> Tensor:
        std: float | Tensor = noise
        if neighbours is not None:
            far, near = neighbours(x, rows)
            std = noise * (far / columns).clamp(max=UNRELATED).sqrt()  # FAR, where rows share no cell, is no distance
            chosen = _one_of(neighbours, near, parts, world)
            part = world.draw(torch.rand, (*x.shape[:2], 1), x.device, parts)
            both = cells.known(x) * cells.known(chosen) > 0
            between = torch.where(both, (x + part * (chosen - x))[..., :numbers], 0.0)
            x = taken(x, chosen, part, parts)
            x = torch.cat([torch.where(both, between, x[..., :numbers]), x[..., numbers:]], -1)
        if swap:
            x = taken(x, _shifted(x, parts, world), swap, parts)
        moved = x[..., :numbers] + std * world.draw(torch.randn, (*x.shape[:2], numbers), x.device, parts)
        return torch.cat([torch.where(cells.known(x) > 0, moved, 0.0), x[..., numbers:]], -1)

    return view
