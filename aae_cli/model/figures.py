"""Pictures of a model, as PNG: cluster heads with members (section 6), a table's clusters, and samples."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..data.types import Data
from ..output.pictures import histograms, scatter
from ..output.sheets import Headings, image_sheet
from .members import SHOWN, Members, RowSample
from .sampling import Samples

if TYPE_CHECKING:
    from .autoencoder import Autoencoder

MOST_CLUSTERS = 100
"""Number of clusters that a sheet shows at most."""

COMPARED_ROWS = 1000
"""Number of real rows, and of sampled ones, whose columns are compared."""


def rows_for_clusters(model: Autoencoder, seed: int) -> Members | RowSample:
    """Collector of the rows that a picture of the clusters needs."""
    return (Members if model.schema.kind == "image" else RowSample)(model.model.classes, seed)


def cluster_figure(model: Autoencoder, members: Members | RowSample, name: str) -> bytes:
    """Picture of clusters: heads beside members for images, a map for tables.

    Args:
        members: rows collected by ``rows_for_clusters``.
        name: name of the rows in the title.
    """
    if isinstance(members, Members):
        return _member_sheet(model, members, name)
    return _cluster_map(model, members, name)


def _member_sheet(model: Autoencoder, members: Members, name: str) -> bytes:
    """Figure of section 6: a row for each cluster, the largest 100 where there are more.

    First comes its head, decoded from z = 0 and y = one-hot; then its most typical members, those with the highest
    confidence q(y|x), and members drawn at random. Beside it stand its size and its most frequent class.
    """
    import torch

    found = np.flatnonzero(members.sizes)
    used = np.sort(found[np.argsort(-members.sizes[found], kind="stable")][:MOST_CLUSTERS])
    y = torch.eye(model.model.classes)[torch.from_numpy(used)]
    heads = model.decode(y, torch.zeros(len(used), model.model.dims) if model.model.dims else None)
    images: list[Any] = []
    for head, cluster in zip(heads, used.tolist(), strict=True):
        images.append(head)
        for own in members.of(cluster):
            images += [*own, *([None] * (SHOWN - len(own)))]
    count = f"{len(found)} of {model.model.classes}" if len(found) < model.model.classes else str(len(found))
    title = f"{model.header.title}: {members.sizes.sum():,} rows of {name} in {count} clusters"
    headings = Headings(
        title + (f", of which the largest {len(used)} are shown" if len(used) < len(found) else ""),
        down=tuple((f"cluster {cluster}", *members.summary(cluster)) for cluster in used.tolist()),
        groups=(("decoded", 1), ("most typical (highest confidence)", SHOWN), ("drawn at random", SHOWN)),
    )
    return image_sheet(images, model.schema, 1 + 2 * SHOWN, headings)


def _cluster_map(model: Autoencoder, sample: RowSample, name: str) -> bytes:
    """Map of a table's rows, coloured by cluster, with sizes and most frequent classes in the legend.

    It shows the representation where that is made for a map (two dimensions, or cluster heads), and otherwise principal
    components of the standardised columns: those of [y, z] show the style z rather than the clusters.
    """
    import torch

    x, drawn = sample.x, sample.cluster
    if model.model.heads is not None or model.dims <= 2:
        points, what = model.embed(x), "representation"
    else:
        scaling = model.model.scaling
        points = scaling(torch.from_numpy(x).to(model.device))[:, : scaling.outputs].cpu().numpy()
        what = "principal components of the columns"
    points = model.project(points, min(2, points.shape[1], max(1, len(points))))
    legend = {str(k): f"{k}: {', '.join(sample.summary(k))}" for k in np.flatnonzero(sample.sizes).tolist()}
    shown = f"{len(x):,} of " if len(x) < sample.sizes.sum() else ""
    title = f"{model.header.title}: clusters of {shown}{sample.sizes.sum():,} rows of {name}, {what}"
    return scatter(points, [str(cluster) for cluster in drawn], title, legend=legend)


def samples_picture(model: Autoencoder, samples: Samples) -> bytes:
    """Sheet of sampled images, with the headings of its rows and columns."""
    headings = replace(samples.headings, title=f"{model.header.title}: {samples.headings.title}")
    return image_sheet(samples.x, model.schema, samples.columns, headings)


def sample_sheet(model: Autoencoder, rows: Data, seed: int = 0) -> bytes:
    """Picture of samples for a run folder: a style grid, samples of the prior, or for tables histograms of columns.

    Args:
        rows: rows of the training, with which a table's samples are compared.
    """
    import torch

    generator = torch.Generator().manual_seed(seed)
    if model.schema.kind == "image":
        samples = model.style_grid(10, generator=generator) if model.columns else model.sample(100, generator=generator)
        return samples_picture(model, samples)
    real = rows.evenly_spaced(COMPARED_ROWS).x
    sampled = model.sample(COMPARED_ROWS, generator=generator).x
    names = model.schema.columns or [f"x{i}" for i in range(model.schema.size)]
    title, mixed = f"{model.header.title}: real and sampled rows", model.schema.mixed or ()
    integer = [column.type == "integer" for column in mixed] or model.schema.integer
    levels = {i: column.levels for i, column in enumerate(mixed) if column.levels}
    return histograms(real, sampled, names, integer, title, levels)
