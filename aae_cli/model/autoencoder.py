"""A trained model in use: rows in the file's own units in, codes, clusters, classes and samples out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from ..errors import CheckpointError, DataError
from ..nn.aae import AAE
from ..nn.priors import Gaussian, Prior
from .abilities import Abilities
from .build import build_priors
from .checkpoint import Header
from .sampling import Sampler, Samples

ROWS_AT_ONCE = 2048


class Autoencoder:
    """One trained adversarial autoencoder.

    Args:
        model: with R = 1.
        header: of its checkpoint.

    Attributes:
        abilities: what it can do. content: what its decoder is told beside the style z.
    """

    def __init__(self, model: AAE, header: Header, device: torch.device) -> None:
        self.model, self.header, self.device = model.to(device).eval(), header, device
        self.config, self.schema, self.abilities = header.config, header.schema, Abilities(header)
        self.content = self.abilities.content

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
        return self.abilities.dims

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
        return _concatenated([y.float().cpu() for y, _ in self.codes(x) if y is not None], self.model.classes)

    def z(self, x: np.ndarray, draw: bool = False) -> np.ndarray:
        """The continuous code: (N, D) → (N, n); the centre of q(z|x), or a draw of it."""
        return _concatenated([z.float().cpu() for _, z in self.codes(x, draw) if z is not None], self.model.dims)

    def embed(self, x: np.ndarray) -> np.ndarray:
        """The representation that the decoder sees, without a given label: z, [y, z] or y·W_C + z. (N, D) → (N, dims)."""
        chunks = []
        for y, z in self.codes(x):
            with torch.inference_mode():
                parts = (None if y is None else y.unsqueeze(0), None if z is None else z.unsqueeze(0))
                chunks.append(self.model.represent(*parts)[0].cpu())
        return _concatenated(chunks, self.dims)

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
            if self.model.labels:
                own = np.full(rows, -1) if labels is None else labels[start : start + rows]
                label = self.model.one_hot(torch.from_numpy(own).to(self.device))
            outputs.append(self.decode(y, z, label))
            start += rows
        return np.concatenate(outputs) if outputs else np.zeros((0, self.schema.size), np.float32)

    # --- sampling: see sampling.Sampler -------------------------------------------------------------------------------

    @property
    def columns(self) -> int:
        """How many categories a style grid has a column for: labels, clusters, or components of the prior."""
        return self.content.count

    @property
    def _sampler(self) -> Sampler:
        return Sampler(self.abilities, self.prior_z, self.decode, self.z)

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

        Raises:
            CheckpointError: the model knows no labels, or none of its clusters stands for one of these.
        """
        return self._sampler.sample(n, labels, clusters, generator)

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
        return self._sampler.style_grid(rows, labels, clusters, style, generator)

    def draws(self, n: int, seed: int) -> Iterator[Tensor]:
        """n decoded draws of the prior, chunk by chunk on the device, in the networks' units and not rounded: (m, D)."""
        prior, content, device = self.prior_z, self.content, self.device
        with torch.inference_mode(), torch.random.fork_rng([device] if device.type == "cuda" else []):
            torch.manual_seed(seed)
            for start in range(0, n, ROWS_AT_ONCE):
                anywhere = torch.full((1, min(ROWS_AT_ONCE, n - start)), -1, device=device)
                category = torch.randint(content.count, anywhere.shape, device=device) if content.count else anywhere
                z = None if prior is None else prior.sample(content.component(category, anywhere))
                y, label = content.inputs(category)
                yield self.model.decode(y, z, label)[0]


def _concatenated(chunks: list[Tensor], width: int) -> np.ndarray:
    return torch.cat(chunks).numpy() if chunks else np.zeros((0, width), np.float32)
