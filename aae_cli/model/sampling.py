"""Samples and style grids of a model: choice of categories and styles, which are then decoded."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from ..errors import CheckpointError
from ..nn.priors import Prior
from ..output.sheets import Headings
from .abilities import Abilities, Clusters

DECODED_AT_ONCE = 2048


@dataclass(frozen=True)
class Samples:
    """Decoded rows.

    Attributes:
        x: (N, D) float32 in the file's units.
        labels: (N,) int64 indices into the model's classes, −1 for none; None if the model has no class labels.
        columns: number of samples in each row of a picture.
        headings: title of a picture, and what its rows and columns are.
        category: (N,) int64 category of each, −1 for none.
    """

    x: np.ndarray
    labels: np.ndarray | None
    columns: int
    headings: Headings = Headings()  # noqa: RUF009
    category: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))


def draw_categories(count: int, p: Tensor | None, n: int, generator: torch.Generator | None = None) -> Tensor:
    """Draw n of ``count`` categories: (n,) int64, on the device of p.

    Args:
        p: (count,) relative frequencies; None for equal ones.
    """
    if p is None:
        return torch.randint(count, (n,), generator=generator)
    return torch.multinomial(p.clamp(min=1e-12), max(n, 1), replacement=True, generator=generator)[:n]


@dataclass(frozen=True)
class Sampler:
    """Sampler of categories and styles.

    Attributes:
        prior: p(z); None for a model without z.
        p_y: (K,) probability of each category; None for equal ones.
        decode: map from y (N, K), z (N, n) and label (N, C) to rows (N, D) in the file's units.
        encode: map from rows (N, D) in the file's units to z (N, n).
        infer: map from such rows to q(y|x) (N, K).
    """

    abilities: Abilities
    prior: Prior | None
    p_y: Tensor | None
    decode: Callable[[Tensor | None, Tensor | None, Tensor | None], np.ndarray]
    encode: Callable[[np.ndarray], np.ndarray]
    infer: Callable[[np.ndarray], np.ndarray]

    def sample(
        self, n: int, labels: Sequence[int | str], clusters: Sequence[int], generator: torch.Generator | None
    ) -> Samples:
        """See :meth:`Autoencoder.sample`."""
        content = self.abilities.content
        groups = [[k] for k in clusters] + [self.abilities.categories_of(label) for label in labels]
        if groups:
            category = torch.empty(n, dtype=torch.int64)
            for i, group in enumerate(groups):
                category[i :: len(groups)] = self._of_group(group, len(category[i :: len(groups)]), generator)
        elif content.count:
            category = draw_categories(content.count, self.p_y, n, generator)
        else:
            category = torch.full((n,), -1)
        component, u = self._styles(n, generator)
        columns = len(groups) if len(groups) > 1 else max(1, min(20, round(n**0.5)))
        named = [self.abilities.class_name(group[0]) or "" for group in groups[len(clusters) :]]
        names = (*(self._name(k) for k in clusters), *named)
        one = named[0] if named else self._in_a_title(clusters[0]) if clusters else ""
        title = "samples in turn" if len(names) > 1 else f"samples of {one}" if names else "random samples"
        headings = Headings(title, names if len(names) > 1 else ())
        return self._samples(category, self._style_at(category, component, u), columns, headings)

    def redraw(
        self, x: np.ndarray, category: np.ndarray, keep: bool, generator: torch.Generator | None = None
    ) -> Samples:
        """Draw rows anew from the codes of rows x (N, D).

        Args:
            category: (N,) category of each, −1 for none.
            keep: keep the categories; otherwise those of a softmax y are drawn from q(y|x).
        """
        own = torch.from_numpy(category)
        if isinstance(self.abilities.content, Clusters) and not keep:
            own = torch.multinomial(torch.from_numpy(self.infer(x)).clamp(min=1e-12), 1, generator=generator)[:, 0]
        return self._samples(own, None if self.prior is None else torch.from_numpy(self.encode(x)), 1, Headings())

    def _of_group(self, group: list[int], n: int, generator: torch.Generator | None) -> Tensor:
        """(n,) categories of a group: in turn if all are equally probable, else drawn from p(y | group)."""
        if self.p_y is None or len(group) == 1:
            return torch.tensor(group).repeat(-(-n // len(group)))[:n]
        return torch.tensor(group)[draw_categories(len(group), self.p_y[group], n, generator)]

    def outputs(
        self,
        decode: Callable[[Tensor | None, Tensor | None, Tensor | None], Tensor],
        n: int,
        seed: int,
        device: torch.device,
    ) -> Iterator[Tensor]:
        """Decode n samples of the prior, in chunks, without units.

        Args:
            decode: map from y (1, m, K), z (1, m, n) and label (1, m, C) to the decoder's output (1, m, outputs).
        """
        content = self.abilities.content
        with torch.inference_mode(), torch.random.fork_rng([device] if device.type == "cuda" else []):
            torch.manual_seed(seed)
            for start in range(0, n, DECODED_AT_ONCE):
                anywhere = torch.full((1, min(DECODED_AT_ONCE, n - start)), -1, device=device)
                category = anywhere
                if content.count:
                    category = draw_categories(content.count, self.p_y, anywhere.shape[1])[None].to(device)
                z = None if self.prior is None else self.prior.sample(content.component(category, anywhere))
                y, label = content.inputs(category)
                yield decode(y, z, label)[0]

    def style_grid(
        self,
        rows: int,
        labels: Sequence[int | str],
        clusters: Sequence[int],
        style: np.ndarray | None,
        generator: torch.Generator | None,
    ) -> Samples:
        """See :meth:`Autoencoder.style_grid`."""
        content = self.abilities.content
        chosen = list(clusters) + [self.abilities.categories_of(label)[0] for label in labels]
        columns = chosen or list(range(content.count))
        if style is not None:
            return self._grid_from(style, columns)
        if len(columns) == 1 or not content.count:
            return self._lattice(rows, columns[0] if columns else -1)
        category = torch.tensor(columns).repeat(rows)
        component, u = (part.repeat_interleave(len(columns), 0) for part in self._styles(rows, generator))
        headings = self._grid_headings(columns, [f"style {i + 1}" for i in range(rows)])
        return self._samples(category, self._style_at(category, component, u), len(columns), headings)

    def _grid_headings(self, columns: Sequence[int], styles: Sequence[str]) -> Headings:
        """Headings of a grid with a style in each row and a category in each column."""
        names = tuple(self._name(k) for k in columns)
        known = self._clusters and any(self.abilities.class_name(k) is not None for k in columns)
        what = "clusters (number: class)" if known else "clusters" if self._clusters else "classes"
        return Headings(f"styles in rows, {what} in columns", names, tuple((style,) for style in styles))

    @property
    def _clusters(self) -> bool:
        """Whether the categories are clusters that were found without labels."""
        return isinstance(self.abilities.content, Clusters) and not self.abilities.learned_with_labels

    def _name(self, category: int) -> str:
        """Name of a category in a heading: its class, or the number of a cluster and its class."""
        known = self.abilities.class_name(category)
        return str(category) if known is None else f"{category}: {known}" if self._clusters else known

    def _in_a_title(self, category: int) -> str:
        known = self.abilities.class_name(category)
        cluster = f"cluster {category}" + (f" ({known})" if known else "")
        return cluster if self._clusters else self._name(category)

    def _grid_from(self, style: np.ndarray, columns: list[int]) -> Samples:
        if not self.abilities.samples(style_from=True):
            raise CheckpointError(
                f"a {self.abilities.header.title} model does not separate style from content",
                "train --preset supervised, semi-supervised or clustering",
            )
        z = torch.from_numpy(self.encode(style)).repeat_interleave(len(columns), 0)
        rows = [f"row {i + 1}" for i in range(len(style))] if len(style) > 1 else ["this style"]
        headings = self._grid_headings(columns, rows)
        return self._samples(torch.tensor(columns).repeat(len(style)), z, len(columns), headings)

    def _lattice(self, side: int, category: int) -> Samples:
        """Lattice of styles along the two dimensions of z that change the output most, at evenly spaced quantiles.

        A model without categories whose prior has several components gets one row per component instead.
        """
        prior = self.prior
        if prior is None:
            raise CheckpointError(f"a {self.abilities.header.title} model has no style z for a grid")
        ticks = (torch.arange(side) + 0.5) / side
        quantiles = tuple(f"{100 * tick:.3g} %" for tick in ticks.tolist())
        if category < 0 and prior.components > 1:  # no categories: one row per component
            component = torch.arange(prior.components).repeat_interleave(side)
            u = torch.full((len(component), prior.dims), 0.5)
            u[:, 0] = ticks.repeat(prior.components)
            parts = tuple((f"part {i + 1}",) for i in range(prior.components))
            headings = Headings("parts of the prior in rows, quantiles along a part in columns", quantiles, parts)
            return Samples(self.decode(None, prior.at(u, component), None), None, side, headings)
        first, second = self._most_influential_dims(prior, category)
        u = torch.full((side * side, prior.dims), 0.5)
        u[:, second] = ticks.repeat_interleave(side)
        u[:, first] = ticks.repeat(side)
        at = torch.full((len(u),), category)
        title = "styles" if category < 0 else f"styles of {self._in_a_title(category)}"
        title += f": quantiles of z{first} in columns" + (f", of z{second} in rows" if second != first else "")
        headings = Headings(title, quantiles, tuple((quantile,) for quantile in quantiles))
        return self._samples(at, self._style_at(at, torch.zeros_like(at), u), side, headings)

    def _most_influential_dims(self, prior: Prior, category: int) -> tuple[int, int]:
        """The two dimensions of z that change the decoded rows most, in ascending order."""
        if prior.dims == 1:
            return 0, 0
        u = torch.full((2 * prior.dims, prior.dims), 0.5)
        for dim in range(prior.dims):
            u[2 * dim, dim], u[2 * dim + 1, dim] = 0.1, 0.9
        at = torch.full((len(u),), category)
        probes = self._decode_categories(at, self._style_at(at, torch.zeros_like(at), u))
        change = np.square(probes[0::2] - probes[1::2]).sum(1)
        first, second = np.sort(np.argsort(-change, kind="stable")[:2]).tolist()
        return first, second

    def _styles(self, n: int, generator: torch.Generator | None) -> tuple[Tensor, Tensor]:
        """Sample p(z) as components (n,) int64 and quantiles (n, dims)."""
        components, dims = (self.prior.components, self.prior.dims) if self.prior is not None else (1, 0)
        return torch.randint(components, (n,), generator=generator), torch.rand(n, dims, generator=generator)

    def _style_at(self, category: Tensor, component: Tensor, u: Tensor) -> Tensor | None:
        """z (N, n) at quantiles u (N, n) of components (N,) of p(z), or of those tied to the categories (N,)."""
        if self.prior is None:
            return None
        return self.prior.at(u, self.abilities.content.component(category, component))

    def _decode_categories(self, category: Tensor, z: Tensor | None) -> np.ndarray:
        """Decode categories (N,), −1 for none, and styles z (N, n): (N, D)."""
        y, label = self.abilities.content.inputs(category)
        pieces = range(0, max(len(category), 1), DECODED_AT_ONCE)
        parts = [[None if part is None else part[i : i + DECODED_AT_ONCE] for part in (y, z, label)] for i in pieces]
        return np.concatenate([self.decode(*each) for each in parts])

    def _samples(self, category: Tensor, z: Tensor | None, columns: int, headings: Headings) -> Samples:
        """Decode categories (N,) int64, −1 for none, and styles z (N, n)."""
        labels = self.abilities.content.class_of(category.numpy())
        return Samples(self._decode_categories(category, z), labels, columns, headings, category.numpy())
