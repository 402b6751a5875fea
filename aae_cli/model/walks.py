"""Rows decoded from codes that are given, from the codes between two rows, and along one dimension of z."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from ..errors import CheckpointError, UsageError
from ..output.sheets import Headings
from ..text import clean
from .sampling import Samples

if TYPE_CHECKING:
    from .autoencoder import Autoencoder

MOST_COLUMNS = 20
"""Largest number of decoded codes in a row of a picture."""


def decoded(model: Autoencoder, codes: np.ndarray, names: Sequence[str] = (), label: str | None = None) -> Samples:
    """Decode representations (N, m), such as those of :meth:`Autoencoder.embed`.

    Args:
        names: id of each code, for the headings of a picture with a single row.
        label: class to decode with, for a decoder that receives it, and only for such a one.

    Raises:
        DataError: codes of another number of dimensions.
        UsageError: a label is missing, or is not known, or the decoder receives none.
    """
    columns = max(1, min(MOST_COLUMNS, round(len(codes) ** 0.5), len(codes)))
    headings = Headings("decoded codes", tuple(names) if len(names) == columns == len(codes) else ())
    return Samples(model.decode_representation(codes, _class(model, label)), None, columns, headings)


def _class(model: Autoencoder, label: str | None) -> int:
    """Number of the class to decode with, −1 for a decoder that receives none."""
    if not model.model.labels:
        if label is not None:
            raise UsageError(f"--label {clean(label)}: this decoder receives no class", "a code tells its own category")
        return -1
    if label is None:
        raise UsageError("this decoder receives a class beside the code", "name one with --label")
    return model.abilities.categories_of(label)[0]


def between(model: Autoencoder, first: np.ndarray, last: np.ndarray, steps: int, label: str | None = None) -> Samples:
    """Walk from the code of one row to that of another, in equal steps, both ends included.

    Args:
        first, last: (1, D) rows in the units of their file.
        steps: number of decoded rows, at least 2.
        label: as in :func:`decoded`.

    Raises:
        UsageError: fewer steps, or as in :func:`decoded`.
    """
    if steps < 2:
        raise UsageError(f"-n {steps}: a walk has two ends", "give at least 2")
    start, end = (model.embed(row).astype(np.float64) for row in (first, last))
    share = np.linspace(0, 1, steps)[:, None]
    headings = Headings("from one row to another", tuple(f"{100 * part:.0f} %" for part in share[:, 0]))
    codes = start + share * (end - start)
    return Samples(model.decode_representation(codes, _class(model, label)), None, steps, headings)


def traversed(
    model: Autoencoder,
    dim: int,
    steps: int,
    labels: Sequence[int | str] = (),
    clusters: Sequence[int] = (),
) -> Samples:
    """Vary one dimension of z over evenly spaced quantiles of its prior, the others at their medians.

    Args:
        dim: the dimension, from 0.
        steps: number of quantiles, the columns of a picture.
        labels, clusters: categories, the rows of a picture; by default all.

    Raises:
        UsageError: z has no such dimension, or its prior is no product of one-dimensional ones; an unknown label.
        CheckpointError: the model has no z, or no cluster for a label.
    """
    prior, content = model.prior_z, model.content
    if prior is None:
        raise CheckpointError(f"a {model.header.title} model has no style z", "train --preset clustering")
    if not 0 <= dim < prior.dims:
        raise UsageError(f"--traverse z{dim}: the model has z0 to z{prior.dims - 1}")
    if prior.components > 1:
        raise UsageError(
            f"--traverse z{dim}: in the prior of this model, dimensions depend on each other", "use --style-grid"
        )
    chosen = [*clusters, *(model.abilities.categories_of(label)[0] for label in labels)]
    rows = chosen or list(range(content.count)) or [-1]
    ticks = (torch.arange(steps) + 0.5) / steps
    category = torch.tensor(rows).repeat_interleave(steps)
    u = torch.full((len(category), prior.dims), 0.5)
    u[:, dim] = ticks.repeat(len(rows))
    component = content.component(category, torch.zeros_like(category))
    y, label = content.inputs(category)
    own = content.class_of(category.numpy()) if content.count else None
    headings = Headings(
        f"quantiles of z{dim} in columns" + (", categories in rows" if content.count else ""),
        tuple(f"{100 * tick:.3g} %" for tick in ticks.tolist()),
        tuple((model.abilities.class_name(row) or str(row),) for row in rows) if content.count else (),
    )
    return Samples(model.decode(y, prior.at(u, component), label), own, steps, headings, category.numpy())
