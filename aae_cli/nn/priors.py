"""Priors that can be sampled: p(z) and p(y) of sections 2 to 6.

A prior is made of ``components`` (the parts that label-informed regularisation, section 2.3, ties to classes: the
petals of a mixture, the stretches of a swiss roll, the categories). Each is one map ``at`` from the unit cube, which
serves sampling (uniform noise in) and lattices of styles (a grid in) alike.
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
    """Standard normal quantiles, kept within ±4.75."""
    return torch.special.ndtri(u.clamp(1e-6, 1 - 1e-6))


class Prior(ABC):
    """Attributes: ``dims``, the size of a sample; ``components``, the number of parts; ``scale``, the root mean square of a
    coordinate.
    """

    dims: int
    components: int = 1
    scale: float = 1.0

    @abstractmethod
    def at(self, u: Tensor, component: Tensor) -> Tensor:
        """The point at quantiles u of a component.

        Args:
            u: (..., dims) in [0, 1].
            component: (...) int64 in [0, components).

        Returns:
            (..., dims) float32.
        """

    def component_of(self, z: Tensor) -> Tensor:
        """The most probable component of each point. (..., dims) → (...) int64."""
        return torch.zeros(z.shape[:-1], dtype=torch.int64, device=z.device)

    def sample(self, component: Tensor, world: World = ALONE) -> Tensor:
        """Draw one point for each entry of ``component`` ((...) int64; −1 means from the whole prior).

        Args:
            world: processes that share a batch, with (R, B) of ``component`` each.
        """
        component = self._draw_components(component, world)
        u = world.draw(torch.rand, (*component.shape, self.dims), component.device)
        return self.at(u, component)

    def _draw_components(self, component: Tensor, world: World) -> Tensor:
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
    """2-D Gaussians laid out like petals (section 2.3): centres at ``radius``, each long axis radial."""

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
    """A 2-D spiral of even density along its arc, cut into ``components`` stretches of equal mass from the centre out.

    Args:
        radius: of the outer end.
        turns: around the centre.
        width: std of Gaussian noise across the arc.
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
        share: (R, K) other probabilities of the categories, one set a model; None for 1/K.
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
