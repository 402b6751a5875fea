"""A trained model for use: from rows in the units of their file to codes, clusters, classes and samples."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..data.memory import from_memory
from ..data.types import Mapped
from ..errors import CheckpointError, DataError
from ..nn.aae import AAE
from ..nn.priors import Gaussian, Prior
from ..text import row_name
from .abilities import Abilities, class_table
from .build import build_priors
from .checkpoint import Header
from .projection import project
from .sampling import Sampler, Samples
from .steering import Found, search
from .units import in_units, within_ranges

ROWS_AT_ONCE = 2048


class Autoencoder:
    """A trained adversarial autoencoder. Rows are in the units of their file.

    Wherever rows x are asked for, (N, D), an array of images or a frame of pandas or polars will do as well; a frame's
    columns are found by their names.

    Args:
        model: the networks, with R = 1.
        header: header of the checkpoint.

    Attributes:
        abilities: what the model supports.
        content: the categories that it can sample.
    """

    def __init__(self, model: AAE, header: Header, device: torch.device) -> None:
        self.model, self.header, self.device = model.to(device).eval(), header, device
        self.config, self.schema, self.abilities = header.config, header.schema, Abilities(header)
        self.content = self.abilities.content

    # --- properties ---------------------------------------------------------------------------------------------------

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the C classes; empty if the training data had no labels."""
        return self.schema.classes or ()

    @property
    def cluster_labels(self) -> np.ndarray | None:
        """(K,) int64 class of each category of y, −1 for none; None if no labels were available."""
        labels = self.header.cluster_labels
        return None if labels is None else np.array(labels, dtype=np.int64)

    @property
    def dims(self) -> int:
        """Dimensions of the representation of :meth:`embed`."""
        return self.abilities.dims

    @property
    def prior_z(self) -> Prior | None:
        """p(z), or N(0, I) for a z without an adversary; None for a model without z."""
        return build_priors(self.config).get("z") or (Gaussian(self.model.dims) if self.model.dims else None)

    @property
    def p_y(self) -> Tensor | None:
        """(K,) category proportions that training matched q(y) to, where they were found in the data; None for 1/K."""
        share = self.model.encoder.share
        return None if share is None or torch.allclose(share, share.mean()) else share[0].cpu()

    # --- encoding -----------------------------------------------------------------------------------------------------

    def prepared(self, x: Any) -> Iterator[Tensor]:
        """Check rows, and yield chunks (1, B, D) in the networks' units, on the device.

        Raises:
            DataError: another number of features, columns of other names, or a missing value.
        """
        if not isinstance(x, np.ndarray | Mapped) or (x.ndim > 2 and self.schema.kind == "image"):
            x = from_memory(x, like=self.schema).x
        if x.ndim != 2 or x.shape[1] != self.schema.size:
            shape = " × ".join(map(str, x.shape[1:]))
            raise DataError(
                f"rows have {shape} features, but the model was trained on {self.schema.size}",
                "use data of the same form",
            )
        for start in range(0, len(x), ROWS_AT_ONCE):
            some = np.ascontiguousarray(x[start : start + ROWS_AT_ONCE])
            bad = np.zeros(some.shape, bool) if some.dtype.kind != "f" else ~np.isfinite(some)
            if self.schema.mixed is not None:
                bad &= ~np.isnan(some)
            if bad.any():
                row = start + int(bad.any(1).argmax())
                raise DataError(f"{row_name(row)} has a missing or infinite value", "fill it in or drop the row")
            rows = torch.from_numpy(some)
            yield self.model.scaling(rows.to(self.device)).unsqueeze(0)

    def codes(self, x: Any, draw: bool = False) -> Iterator[tuple[Tensor | None, Tensor | None]]:
        """Encode rows in chunks.

        Args:
            x: (N, D).
            draw: sample q(z|x) instead of taking its mean.

        Yields:
            q(y|x) (B, K) and z (B, n) on the device; None for the part that the model does not have.

        Raises:
            DataError: the number of features differs from training.
        """
        for rows in self.prepared(x):
            with torch.inference_mode():
                codes = self.model.encode(rows, draw)
                yield (
                    None if codes.y is None else codes.y[0],
                    None if codes.z is None else codes.z[0],
                )

    def y(self, x: Any) -> np.ndarray:
        """q(y|x): (N, D) → (N, K) float32, summing to 1 over K.

        Raises:
            CheckpointError: the model has no y. DataError: as for :meth:`codes`.
        """
        if not self.model.classes:
            raise CheckpointError(f"a {self.header.title} model has no categories y", "train --preset clustering")
        return _concatenated([y.float().cpu() for y, _ in self.codes(x) if y is not None], self.model.classes)

    def z(self, x: Any, draw: bool = False) -> np.ndarray:
        """The continuous code z: (N, D) → (N, n) float32, the mean of q(z|x), or with ``draw`` a sample of it."""
        return _concatenated([z.float().cpu() for _, z in self.codes(x, draw) if z is not None], self.model.dims)

    def embed(self, x: Any) -> np.ndarray:
        """The representation, i.e. the decoder's input without a label: z, [y, z] or y·W_C + z. (N, D) → (N, dims)."""
        chunks = []
        for y, z in self.codes(x):
            with torch.inference_mode():
                parts = (None if y is None else y.unsqueeze(0), None if z is None else z.unsqueeze(0))
                chunks.append(self.model.represent(*parts)[0].cpu())
        return _concatenated(chunks, self.dims)

    def project(self, representation: np.ndarray, dims: int) -> np.ndarray:
        """Project a representation to fewer dimensions: (N, m) → (N, dims) float32.

        With cluster heads and dims = 2, by the linear map that sends the heads to evenly spaced points on a circle
        (section 7); otherwise onto principal components.

        Raises:
            DataError: ``dims`` exceeds m, or N if principal components are needed.
        """
        heads = None if self.model.heads is None else self.model.W_C[0].detach().cpu().numpy()
        return project(representation, dims, heads)

    def cluster(self, x: Any) -> tuple[np.ndarray, np.ndarray]:
        """Most probable category of each row, (N,) int64, and its probability, (N,) float32. Errors as for y()."""
        y = self.y(x)
        return y.argmax(1), y.max(1) if len(y) else np.zeros(0, np.float32)

    def classify(self, x: Any) -> np.ndarray:
        """Class probabilities, in the order of ``classes``: q(y|x) summed over the categories of each class.

        Args:
            x: (N, D).

        Returns:
            (N, C) float32. A row sums to less than 1 if some categories have no class.

        Raises:
            CheckpointError: the model has no y, or its categories are not named after classes.
        """
        labels = self.cluster_labels
        if labels is None or not self.model.classes:
            raise CheckpointError(
                f"a {self.header.title} model cannot classify: it has no categories y with class names",
                "train --preset semi-supervised, dim-reduction-labels or clustering (on data with labels)",
            )
        return self.y(x) @ class_table(labels, len(self.classes))

    # --- decoding -----------------------------------------------------------------------------------------------------

    def decode(self, y: Tensor | None, z: Tensor | None, label: Tensor | None = None) -> np.ndarray:
        """Decode y (N, K), z (N, n) and label (N, C), each only if the decoder has that input: (N, D) float32."""
        return self._in_units(self._output(y, z, label))

    def decode_representation(self, points: np.ndarray, label: int = -1) -> np.ndarray:
        """Decode points of the space of :meth:`embed`: (N, dims) → (N, D) float32.

        Args:
            label: number of the class, for a decoder that receives it; −1 for none.

        Raises:
            DataError: points of another number of dimensions.
        """
        if points.ndim != 2 or points.shape[1] != self.dims:
            raise DataError(
                f"points of shape {points.shape} are no codes of this model", f"it has {self.dims} dimensions"
            )
        found = []
        for start in range(0, len(points), ROWS_AT_ONCE):
            code = torch.from_numpy(np.array(points[start : start + ROWS_AT_ONCE], np.float32)).to(self.device)
            given = self.model.one_hot(torch.full((len(code),), label, device=self.device))[:, : self.model.labels]
            with torch.inference_mode():
                found.append(self._in_units(self.model.decode_input(torch.cat([given, code], 1)[None])[0]))
        return np.concatenate(found) if found else np.zeros((0, self.schema.size), np.float32)

    def _in_units(self, output: Tensor) -> np.ndarray:
        """Rows in the units of the file, from the decoder's output."""
        return in_units(self.model.scaling.invert(output).cpu().numpy(), self.schema)

    def _output(self, y: Tensor | None, z: Tensor | None, label: Tensor | None) -> Tensor:
        """Output of the decoder, in the networks' units: (N, outputs) on the device."""
        parts = [None if part is None else part.to(self.device).float().unsqueeze(0) for part in (y, z, label)]
        with torch.inference_mode():
            return self.model.decode(*parts)[0]

    def _sampled(
        self, y: Tensor | None, z: Tensor | None, label: Tensor | None, generator: torch.Generator | None
    ) -> np.ndarray:
        """Rows of p(x|y, z)."""
        drawn = self.model.scaling.draw(self._output(y, z, label), generator)
        return within_ranges(drawn.cpu().numpy(), self.schema)

    def reconstruct(self, x: Any, labels: np.ndarray | None = None) -> np.ndarray:
        """Reconstruct rows: (N, D) → (N, D) float32.

        Args:
            labels: (N,) int64, −1 for unknown, for a decoder that receives the label; None if all are unknown.
        """
        return self._in_units(self.output(x, labels))

    def output(self, x: Any, labels: np.ndarray | None = None) -> Tensor:
        """Output of the decoder for rows, in the networks' units: (N, D) → (N, outputs) on the device.

        Args:
            labels: as for :meth:`reconstruct`.
        """
        outputs, start = [], 0
        for y, z in self.codes(x):
            rows = len(z if z is not None else y)  # type: ignore[arg-type]
            label = None
            if self.model.labels:
                own = np.full(rows, -1) if labels is None else labels[start : start + rows]
                label = self.model.one_hot(torch.from_numpy(own).to(self.device))
            outputs.append(self._output(y, z, label))
            start += rows
        return torch.cat(outputs) if outputs else torch.zeros(0, self.model.features, device=self.device)

    # --- sampling: see sampling.Sampler -------------------------------------------------------------------------------

    @property
    def columns(self) -> int:
        """Number of categories, the columns of a style grid: labels, clusters or components; 0 for none."""
        return self.content.count

    def _sampler(self, generator: torch.Generator | None) -> Sampler:
        decode = partial(self._sampled, generator=generator)
        return Sampler(self.abilities, self.prior_z, self.p_y, decode, self.z, self.y)

    def sample(
        self,
        n: int,
        labels: Sequence[int | str] = (),
        clusters: Sequence[int] = (),
        generator: torch.Generator | None = None,
        *,
        label: int | str | None = None,
        where: Sequence[str] = (),
    ) -> Samples:
        """Decode n samples of the prior, or of the given clusters and labels in turn.

        Categories are drawn from p(y) as training found it (:attr:`p_y`), classes of section 4 evenly.

        Args:
            labels: class names, or indices into ``classes``. A label's clusters have their shares of its samples.
            label: a single one of these.
            clusters: categories of y.
            generator: source of random numbers; None for torch's default one.
            where: conditions on the columns of a table, as for :meth:`sample_where`.

        Raises:
            UsageError: a label that is no class of the model.
            CheckpointError: the model has no class labels, or no cluster for one of ``labels``.
        """
        chosen = [*labels, *([] if label is None else [label])]
        if where:
            return self.sample_where(n, where, chosen, clusters, generator).samples
        return self._sampler(generator).sample(n, chosen, clusters, generator)

    def sample_where(
        self,
        n: int,
        where: Sequence[str],
        labels: Sequence[int | str] = (),
        clusters: Sequence[int] = (),
        generator: torch.Generator | None = None,
    ) -> Found:
        """Decode up to n samples of a table that meet conditions such as ``sex=female`` and ``age>60``.

        They may be fewer: the number of draws is bounded. Other arguments are those of :meth:`sample`.

        Raises:
            UsageError: an unknown column or level. AaeError: no sample meets the conditions.
        """
        return search(self._sampler(generator), self.abilities.label_column, n, where, labels, clusters, generator)

    def style_grid(
        self,
        rows: int = 10,
        labels: Sequence[int | str] = (),
        clusters: Sequence[int] = (),
        style: np.ndarray | None = None,
        generator: torch.Generator | None = None,
    ) -> Samples:
        """Decode a grid with one style z per row and one label or cluster per column, as in the figure of section 4.

        With a single category, or for a model without categories, the grid is a lattice over two directions of z.

        Args:
            rows: number of styles, or side of the lattice.
            labels: class names, or indices into ``classes``, for the columns; without labels and clusters, all categories.
            clusters: categories of y, for the columns.
            style: (S, D) rows whose styles are used instead of samples of p(z).
            generator: source of random numbers; None for torch's default one.

        Raises:
            CheckpointError: the model has no class labels, no cluster for one of ``labels``, no z for a lattice, or a z
                that contains more than style.
        """
        return self._sampler(generator).style_grid(rows, labels, clusters, style, generator)

    def draws(self, n: int, seed: int) -> Iterator[Tensor]:
        """Decode n samples of the prior. Yields chunks (m, D) on the device, in the networks' units, not rounded."""
        yield from map(self.model.scaling.drawn, self.prior_outputs(n, seed))

    def prior_outputs(self, n: int, seed: int) -> Iterator[Tensor]:
        """Output of the decoder for n samples of the prior. Yields chunks (m, outputs) on the device."""
        return self._sampler(None).outputs(self.model.decode, n, seed, self.device)


def _concatenated(chunks: list[Tensor], width: int) -> np.ndarray:
    return torch.cat(chunks).numpy() if chunks else np.zeros((0, width), np.float32)
