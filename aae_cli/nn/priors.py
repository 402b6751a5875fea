"""Priors that can be sampled: p(z) and p(y) of sections 2 to 6.

A prior consists of ``components``, which label-informed regularisation (section 2.3) assigns to classes: the petals of
a mixture, the segments of a swiss roll, the categories. The quantile map ``at`` sends the unit cube onto each
component: uniform noise gives samples, a regular grid gives a lattice of styles.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

from ..distributed import ALONE, World


def _normal(u: Tensor) -> Tensor:
    """Standard normal quantiles of u in [0, 1], clamped to ±4.75."""
    return math.sqrt(2) * torch.erfinv(2 * u.clamp(1e-6, 1 - 1e-6) - 1)  # ndtri does not exist on Apple GPUs


class Prior(ABC):
    """A distribution that can be sampled.

    Attributes:
        dims: n, the size of a sample.
        components: number of components.
        scale: root mean square of a coordinate.
    """

    dims: int
    components: int = 1
    scale: float = 1.0

    @abstractmethod
    def at(self, u: Tensor, component: Tensor) -> Tensor:
        """The point of a component at the quantiles u.

        Args:
            u: (..., dims) in [0, 1].
            component: (...) int64 in [0, components).

        Returns:
            (..., dims) float32.
        """

    def component_of(self, z: Tensor) -> Tensor:
        """The most probable component of each point: (..., dims) → (...) int64."""
        return torch.zeros(z.shape[:-1], dtype=torch.int64, device=z.device)

    def sample(self, component: Tensor, world: World = ALONE) -> Tensor:
        """Draw one point for each entry of ``component``.

        Args:
            component: (...) int64; −1 for the whole prior.
            world: the processes of a distributed training. With more than one, ``component`` is this process's (R, B).

        Returns:
            (..., dims) float32.
        """
        component = self._draw_components(component, world)
        u = world.draw(torch.rand, (*component.shape, self.dims), component.device)
        return self.at(u, component)

    def _draw_components(self, component: Tensor, world: World) -> Tensor:
        """Replace each −1 by a random component."""
        if self.components == 1:
            return torch.zeros_like(component)
        anywhere = world.draw(partial(torch.randint, self.components), component.shape, component.device)
        return torch.where(component < 0, anywhere, component % self.components)


class Gaussian(Prior):
    """N(0, std²·I)."""

    def __init__(self, dims: int, std: float = 1.0) -> None:
        self.dims, self.std, self.scale = dims, std, std

    def at(self, u: Tensor, component: Tensor) -> Tensor:
        return _normal(u) * self.std


class Mixture(Prior):
    """A mixture of 2-D Gaussians arranged like petals (section 2.3): centres on a circle, long axes radial.

    Args:
        radius: distance of the centres from the origin.
        radial_std, tangential_std: std along and across the radial axis.
    """

    dims = 2

    def __init__(
        self, components: int = 10, radius: float = 3.0, radial_std: float = 1.0, tangential_std: float = 0.2
    ) -> None:
        self.components = components
        self.radius, self.radial_std, self.tangential_std = radius, radial_std, tangential_std
        self.scale = math.sqrt((radius**2 + radial_std**2 + tangential_std**2) / 2)

    def _axes(self, component: Tensor) -> tuple[Tensor, Tensor]:
        angle = component * (2 * math.pi / self.components)
        radial = torch.stack([angle.cos(), angle.sin()], -1)
        tangential = torch.stack([-angle.sin(), angle.cos()], -1)
        return radial, tangential

    def at(self, u: Tensor, component: Tensor) -> Tensor:
        radial, tangential = self._axes(component)
        along = self.radius + self.radial_std * _normal(u[..., :1])
        across = self.tangential_std * _normal(u[..., 1:])
        return along * radial + across * tangential

    def component_of(self, z: Tensor) -> Tensor:
        radial, tangential = self._axes(torch.arange(self.components, device=z.device))
        along = (z @ radial.T - self.radius) / self.radial_std
        across = (z @ tangential.T) / self.tangential_std
        return (along.square() + across.square()).argmin(-1)


class SwissRoll(Prior):
    """A 2-D spiral (section 2.3) with uniform density along its arc.

    The ``components`` are segments of equal mass, numbered outwards from the centre.

    Args:
        radius: distance of the outer end from the origin.
        turns: number of revolutions.
        width: std of Gaussian noise on the distance from the origin.
    """

    dims = 2

    def __init__(self, components: int = 10, radius: float = 3.0, turns: float = 2.0, width: float = 0.1) -> None:
        self.components, self.radius, self.turns, self.width = components, radius, turns, width
        self.scale = math.sqrt(radius**2 / 2 + width**2) / math.sqrt(2)

    def _spiral(self, mass: Tensor, offset: Tensor | float) -> Tensor:
        root = mass.sqrt()
        angle = 2 * math.pi * self.turns * root
        r = self.radius * root + offset
        return torch.stack([r * angle.cos(), r * angle.sin()], -1)

    def at(self, u: Tensor, component: Tensor) -> Tensor:
        return self._spiral((component + u[..., 0]) / self.components, self.width * _normal(u[..., 1]))

    def component_of(self, z: Tensor) -> Tensor:
        mass = torch.linspace(0, 1, 64 * self.components + 1, device=z.device)
        nearest = torch.cdist(z.reshape(-1, 2), self._spiral(mass, 0.0)).argmin(-1)
        return (nearest * self.components // len(mass)).view(z.shape[:-1])


class Categorical(Prior):
    """Cat(1/K) as one-hot vectors (sections 5 and 6).

    Attributes:
        share: (R, K) category probabilities of each model in place of 1/K; None for 1/K.
    """

    def __init__(self, classes: int) -> None:
        self.dims = self.components = classes
        self.share: Tensor | None = None

    def _draw_components(self, component: Tensor, world: World) -> Tensor:
        if self.share is None:
            return super()._draw_components(component, world)
        u = world.draw(torch.rand, component.shape, component.device)
        drawn = torch.searchsorted(self.share.cumsum(-1), u).clamp(max=self.components - 1)
        return torch.where(component < 0, drawn, component)

    def at(self, u: Tensor, component: Tensor) -> Tensor:
        return F.one_hot(component, self.components).to(u.dtype)

    def component_of(self, z: Tensor) -> Tensor:
        return z.argmax(-1)

    def sample(self, component: Tensor, world: World = ALONE) -> Tensor:
        return F.one_hot(self._draw_components(component, world), self.components).float()
