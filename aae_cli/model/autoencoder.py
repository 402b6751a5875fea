"""A trained model in use: rows in the file's own units in, codes, clusters, classes and samples out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ..errors import CheckpointError, DataError
from ..nn.aae import AAE
from ..nn.priors import Gaussian, Prior
from .abilities import representation_dims
from .build import build_priors
from .checkpoint import Header

ROWS_AT_ONCE = 2048


@dataclass(frozen=True)
class Samples:
    """Decoded rows.

    Attributes:
        x: (N, D) float32 in the file's own units.
        labels: (N,) indices into the model's classes, −1 for none; None where the model knows no classes.
        columns: how many to lay in a row of a picture.
    """

    x: np.ndarray
    labels: np.ndarray | None
    columns: int


class Autoencoder:
    """One trained adversarial autoencoder.

    Args:
        model: with R = 1.
        header: what its checkpoint says of it.
    """

    def __init__(self, model: AAE, header: Header, device: torch.device) -> None:
        self.model, self.header, self.device = model.to(device).eval(), header, device
        self.config, self.schema = header.config, header.schema

    # --- what it is ---------------------------------------------------------------------------------------------------

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names, where it was trained or its clusters were named with labels."""
        return self.schema.classes or ()

    @property
    def cluster_labels(self) -> np.ndarray | None:
        labels = self.header.cluster_labels
        return None if labels is None else np.array(labels, dtype=np.int64)

    @property
    def dims(self) -> int:
        """Dimensions of the representation that :meth:`embed` gives."""
        return representation_dims(self.header)

    @property
    def prior_z(self) -> Prior | None:
        """p(z), where there is a z."""
        return build_priors(self.config).get("z") or (Gaussian(self.model.dims) if self.model.dims else None)

    # --- encoding -----------------------------------------------------------------------------------------------------

    def _prepare(self, x: np.ndarray) -> Iterator[Tensor]:
        if x.ndim != 2 or x.shape[1] != self.schema.size:
            shape = " × ".join(map(str, x.shape[1:]))
            raise DataError(
                f"rows have {shape} features, the model was trained on {self.schema.size}", "use data of the same form"
            )
        for start in range(0, len(x), ROWS_AT_ONCE):
            rows = torch.from_numpy(np.ascontiguousarray(x[start : start + ROWS_AT_ONCE]))
            yield self.model.scaling(rows.to(self.device)).unsqueeze(0)

    def codes(self, x: np.ndarray, draw: bool = False) -> Iterator[tuple[Tensor | None, Tensor | None]]:
        """q(y|x) (rows, K) and z (rows, n) of raw rows (N, D), chunk by chunk, on the device.

        Args:
            draw: from q(z|x) instead of its centre.
        """
        for rows in self._prepare(x):
            with torch.inference_mode():
                codes = self.model.encode(rows, draw)
                yield (
                    None if codes.y is None else codes.y[0],
                    None if codes.z is None else codes.z[0],
                )

    def y(self, x: np.ndarray) -> np.ndarray:
        """q(y|x): (N, D) → (N, K), rows sum to 1. Raises CheckpointError where the model has no y."""
        if not self.model.classes:
            raise CheckpointError(f"a {self.header.title} model has no categories y", "train --preset clustering")
        return _joined([y.float().cpu() for y, _ in self.codes(x) if y is not None], self.model.classes)

    def z(self, x: np.ndarray, draw: bool = False) -> np.ndarray:
        """The continuous code: (N, D) → (N, n); the centre of q(z|x), or a draw of it."""
        return _joined([z.float().cpu() for _, z in self.codes(x, draw) if z is not None], self.model.dims)

    def embed(self, x: np.ndarray) -> np.ndarray:
        """The representation that the decoder sees, without a given label: z, [y, z] or y·W_C + z. (N, D) → (N, dims)."""
        chunks = []
        for y, z in self.codes(x):
            if self.model.decoder_input == "label":
                assert z is not None
                chunks.append(z.cpu())
                continue
            with torch.inference_mode():
                parts = (None if y is None else y.unsqueeze(0), None if z is None else z.unsqueeze(0))
                chunks.append(self.model.represent(*parts)[0].cpu())
        return _joined(chunks, self.dims)

    def project(self, representation: np.ndarray, dims: int) -> np.ndarray:
        """A representation (N, m) in fewer dimensions.

        With cluster heads and dims = 2, the heads go to points evenly spaced on a circle by a linear map (section 7);
        otherwise the principal components.

        Raises:
            DataError: more dimensions asked for than there are, or fewer rows than dimensions.
        """
        width = representation.shape[1]
        if dims > width:
            raise DataError(
                f"--dims {dims}: this model has {width} dimensions", f"ask for at most {width}, or use --fit"
            )
        if dims == width:
            return representation
        if dims == 2 and self.model.heads is not None:
            heads = self.model.W_C[0].detach().cpu().double().numpy()
            angle = 2 * np.pi * np.arange(len(heads)) / len(heads)
            circle = np.stack([np.cos(angle), np.sin(angle)], 1) * np.linalg.norm(heads, axis=1).mean()
            return (representation @ (np.linalg.pinv(heads) @ circle)).astype(np.float32)
        if len(representation) < dims:
            raise DataError(f"{len(representation)} rows have no {dims} principal components", "give more rows")
        from sklearn.decomposition import PCA

        return PCA(dims, random_state=0).fit_transform(representation).astype(np.float32)

    def cluster(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The most probable y of each row and its probability: (N,) int64 and (N,) float32."""
        y = self.y(x)
        return y.argmax(1), y.max(1) if len(y) else np.zeros(0, np.float32)

    def classify(self, x: np.ndarray) -> np.ndarray:
        """Class probabilities (N, C), in the order of ``classes``: q(y|x) summed over each class's categories.

        Raises:
            CheckpointError: the model does not know which class a y stands for.
        """
        labels = self.cluster_labels
        if labels is None or not self.model.classes:
            raise CheckpointError(
                f"a {self.header.title} model cannot classify: it has no categories y with class names",
                "train --preset semi-supervised, dim-reduction-labels or clustering (on data with labels)",
            )
        y = self.y(x)
        table = np.zeros((len(labels), len(self.classes)), dtype=np.float32)
        named = labels >= 0
        table[np.flatnonzero(named), labels[named]] = 1
        return y @ table

    # --- decoding -----------------------------------------------------------------------------------------------------

    def decode(self, y: Tensor | None, z: Tensor | None, label: Tensor | None = None) -> np.ndarray:
        """Rows in the file's units from codes without the model axis: (N, K), (N, n), (N, C) → (N, D) float32."""
        parts = [None if part is None else part.to(self.device).float().unsqueeze(0) for part in (y, z, label)]
        with torch.inference_mode():
            x = self.model.scaling.invert(self.model.decode(*parts))[0].cpu().numpy()
        return self._in_units(x)

    def _in_units(self, x: np.ndarray) -> np.ndarray:
        """Within the pixel range; whole numbers where the file had whole numbers."""
        schema = self.schema
        if schema.low is not None and schema.high is not None:
            x = x.clip(schema.low, schema.high)
        whole = np.array(schema.integer)
        if whole.any():
            x = np.where(whole if len(whole) == x.shape[1] else whole[:1], np.rint(x), x)
        return x.astype(np.float32)

    def reconstruct(self, x: np.ndarray, labels: np.ndarray | None = None) -> np.ndarray:
        """x̂ of raw rows, in the file's units. ``labels``: (N,) for decoders that are given the label."""
        outputs, start = [], 0
        for y, z in self.codes(x):
            rows = len(z if z is not None else y)  # type: ignore[arg-type]
            label = None
            if self.model.decoder_input == "label":
                own = np.full(rows, -1) if labels is None else labels[start : start + rows]
                label = self.model.one_hot(torch.from_numpy(own).to(self.device))
            outputs.append(self.decode(y, z, label))
            start += rows
        return np.concatenate(outputs) if outputs else np.zeros((0, self.schema.size), np.float32)

    @property
    def columns(self) -> int:
        """How many categories a style grid has a column for: labels, clusters, or components of the prior."""
        if self.model.decoder_input == "label":
            return self.model.labels
        if self.model.classes:
            return self.model.classes
        return self.prior_z.components if self.prior_z and self._label_informed else 0

    @property
    def _label_informed(self) -> bool:
        return self.config.adversaries.z is not None and self.config.adversaries.z.labels

    def categories_of(self, label: int) -> list[int]:
        """Which categories (columns) stand for a class, the most populous first.

        Raises:
            CheckpointError: the model has no labels, or none of its clusters stands for this one.
        """
        if self.model.decoder_input == "label" or (self._label_informed and not self.model.classes):
            return [label]
        labels = self.header.cluster_labels
        if not self.model.classes or labels is None:
            raise CheckpointError(
                f"a {self.header.title} model knows no labels",
                "train --preset supervised, semi-supervised or mixture-labels"
                + (", or use --cluster" if self.model.classes else ""),
            )
        sizes = (self.header.training or {}).get("cluster_sizes") or [0] * len(labels)
        clusters = sorted((k for k, own in enumerate(labels) if own == label), key=lambda k: -sizes[k])
        if not clusters:
            raise CheckpointError(f"no cluster of this model stands for the label {self.classes[label]!r}")
        return clusters

    def _styles(self, n: int, generator: torch.Generator | None) -> tuple[Tensor, Tensor]:
        """n draws of p(z) as components (n,) int64 and quantiles (n, dims)."""
        prior = self.prior_z
        components, dims = (prior.components, prior.dims) if prior is not None else (1, 0)
        return torch.randint(components, (n,), generator=generator), torch.rand(n, dims, generator=generator)

    def _decode_at(self, category: Tensor, component: Tensor, u: Tensor) -> np.ndarray:
        """Rows at quantiles u (N, n) of a component (N,) of p(z), for categories (N,) int64 (−1: the model has none).

        Where the prior's components are tied to labels (section 2.3), the category is the component.
        """
        prior = self.prior_z
        informed = self._label_informed and not self.model.classes and self.model.decoder_input != "label"
        return self._decode_with(category, None if prior is None else prior.at(u, category if informed else component))

    def _decode_with(self, category: Tensor, z: Tensor | None) -> np.ndarray:
        """Rows of styles z (N, n) for categories (N,)."""
        model = self.model
        y = F.one_hot(category, model.classes).float() if model.classes else None
        label = model.one_hot(category.to(self.device)) if model.decoder_input == "label" else None
        return np.concatenate([self.decode(*parts) for parts in _chunks((y, z, label), len(category))])

    def _class_of(self, category: Tensor) -> np.ndarray | None:
        if not self.classes:
            return None
        if not self.model.classes:
            return category.numpy() if self.columns else None
        labels = self.cluster_labels
        return None if labels is None else labels[category.numpy()]

    def sample(
        self,
        n: int,
        labels: Sequence[int] = (),
        clusters: Sequence[int] = (),
        generator: torch.Generator | None = None,
    ) -> Samples:
        """n decoded draws of the prior, or of given labels or clusters in turn.

        Args:
            labels: indices into ``classes``. A label that several clusters stand for draws from all of them.
            clusters: indices of y.
        """
        groups = [[k] for k in clusters] + [self.categories_of(label) for label in labels]
        if groups:
            turns = [(groups[i % len(groups)], i // len(groups)) for i in range(n)]
            category = torch.tensor([group[turn % len(group)] for group, turn in turns], dtype=torch.int64)
        elif self.columns:
            category = torch.randint(self.columns, (n,), generator=generator)
        else:
            category = torch.full((n,), -1)
        component, u = self._styles(n, generator)
        return Samples(
            self._decode_at(category, component, u),
            self._class_of(category),
            len(groups) if len(groups) > 1 else _side(n),
        )

    def draws(self, n: int, seed: int) -> Iterator[Tensor]:
        """n decoded draws of the prior, chunk by chunk on the device, in the networks' units and not rounded: (m, D)."""
        model, prior = self.model, self.prior_z
        devices = [self.device] if self.device.type == "cuda" else []
        with torch.inference_mode(), torch.random.fork_rng(devices):
            torch.manual_seed(seed)
            for start in range(0, n, ROWS_AT_ONCE):
                at = torch.full((1, min(ROWS_AT_ONCE, n - start)), -1, device=self.device)
                category = torch.randint(self.columns, at.shape, device=self.device) if self.columns else at
                informed = self._label_informed and not model.classes and model.decoder_input != "label"
                z = None if prior is None else prior.sample(category if informed else at)
                y = F.one_hot(category, model.classes).float() if model.classes else None
                label = model.one_hot(category) if model.decoder_input == "label" else None
                yield model.decode(y, z, label)[0]

    def style_grid(
        self,
        rows: int = 10,
        labels: Sequence[int] = (),
        clusters: Sequence[int] = (),
        style: np.ndarray | None = None,
        generator: torch.Generator | None = None,
    ) -> Samples:
        """One row a style z, one column a label or cluster (section 4's figure); of one label, a lattice of styles.

        Args:
            rows: number of styles, or the side of the lattice.
            style: (S, D) raw rows whose styles to take instead of drawing them.

        Raises:
            CheckpointError: the model has neither labels nor clusters and no lattice can be laid.
        """
        chosen = list(clusters) + [self.categories_of(label)[0] for label in labels]
        if style is not None:
            return self._grid_from(style, chosen)
        if len(chosen) == 1 or not self.columns:
            return self._lattice(rows, chosen[0] if chosen else -1)
        columns = chosen or list(range(self.columns))
        category = torch.tensor(columns).repeat(rows)
        component, u = (part.repeat_interleave(len(columns), 0) for part in self._styles(rows, generator))
        return Samples(self._decode_at(category, component, u), self._class_of(category), len(columns))

    def _grid_from(self, style: np.ndarray, chosen: list[int]) -> Samples:
        if self.model.dims == 0 or not self.columns or (self._label_informed and not self.model.classes):
            raise CheckpointError(
                f"a {self.header.title} model does not hold style apart from content",
                "train --preset supervised, semi-supervised or clustering",
            )
        columns = chosen or list(range(self.columns))
        z = torch.from_numpy(self.z(style)).repeat_interleave(len(columns), 0)
        category = torch.tensor(columns).repeat(len(style))
        return Samples(self._decode_with(category, z), self._class_of(category), len(columns))

    def _lattice(self, side: int, category: int) -> Samples:
        """Styles over the two directions of z that change the output most, at even quantiles of the prior."""
        prior = self.prior_z
        if prior is None:
            raise CheckpointError(f"a {self.header.title} model has no style z to lay out")
        middle = torch.full((2 * prior.dims, prior.dims), 0.5)
        for dim in range(prior.dims):
            middle[2 * dim, dim], middle[2 * dim + 1, dim] = 0.1, 0.9
        first_component = torch.zeros(len(middle), dtype=torch.int64)
        probes = self._decode_at(torch.full((len(middle),), category), first_component, middle)
        change = np.square(probes[0::2] - probes[1::2]).sum(1)
        first, second = (*np.sort(np.argsort(-change, kind="stable")[:2]).tolist(), 0)[:2] if prior.dims > 1 else (0, 0)
        ticks = (torch.arange(side) + 0.5) / side
        u = torch.full((side * side, prior.dims), 0.5)
        u[:, second] = ticks.repeat_interleave(side)
        u[:, first] = ticks.repeat(side)
        if category < 0 and prior.components > 1:
            # No labels: walk the whole prior, one row a component.
            component = torch.arange(prior.components).repeat_interleave(side)
            u = torch.full((len(component), prior.dims), 0.5)
            u[:, 0] = ticks.repeat(prior.components)
            return Samples(self.decode(None, prior.at(u, component), None), None, side)
        at = torch.full((len(u),), category)
        first_component = torch.zeros(len(u), dtype=torch.int64)
        rows = self._decode_at(at, first_component, u)
        return Samples(rows, self._class_of(at) if category >= 0 else None, side)


def _joined(chunks: list[Tensor], width: int) -> np.ndarray:
    return torch.cat(chunks).numpy() if chunks else np.zeros((0, width), np.float32)


def _chunks(parts: tuple[Tensor | None, ...], n: int) -> Iterator[tuple[Tensor | None, ...]]:
    for start in range(0, max(n, 1), ROWS_AT_ONCE):
        yield tuple(None if part is None else part[start : start + ROWS_AT_ONCE] for part in parts)


def _side(n: int) -> int:
    return max(1, min(20, round(n**0.5)))
