"""Figures of a model, as PNG: cluster heads with members (section 6), a table's clusters, and a sheet of samples."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..output.pictures import image_grid, scatter

if TYPE_CHECKING:
    from .autoencoder import Autoencoder


def cluster_figure(model: Autoencoder, x: np.ndarray, clusters: np.ndarray, members: int = 16) -> bytes:
    """Figure of section 6: one row per cluster, with its head (decoded from z = 0 and y = one-hot), then members.

    Args:
        x: (N, D) images in the file's units.
        clusters: (N,) int64 cluster of each.
        members: number of members per cluster.

    Returns:
        a PNG file.
    """
    import torch

    counts = np.bincount(clusters, minlength=model.model.classes)
    used = np.flatnonzero(counts)
    y = torch.eye(model.model.classes)[torch.from_numpy(used)]
    z = torch.zeros(len(used), model.model.dims) if model.model.dims else None
    heads = model.decode(y, z)
    blank = np.full(model.schema.size, model.schema.low or 0.0, dtype=np.float32)
    pictures = []
    for head, cluster in zip(heads, used, strict=True):
        own = np.flatnonzero(clusters == cluster)[:members]
        pictures += [head, *x[own].astype(np.float32), *([blank] * (members - len(own)))]
    return image_grid(np.stack(pictures), model.schema, 1 + members, separator=1)


def cluster_profiles(model: Autoencoder, representation: np.ndarray, clusters: np.ndarray) -> bytes:
    """Scatter plot of a table: two dimensions of the representation (Autoencoder.project), coloured by cluster."""
    points = model.project(representation, min(2, representation.shape[1]))
    return scatter(points, [str(cluster) for cluster in clusters], f"{model.header.title}: clusters")


def sample_sheet(model: Autoencoder, seed: int = 0) -> bytes:
    """Picture of samples for a run folder: a style grid, samples of the prior, or for tables a scatter plot."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    if model.schema.kind == "image":
        samples = model.style_grid(10, generator=generator) if model.columns else model.sample(100, generator=generator)
        return image_grid(samples.x, model.schema, samples.columns)
    samples = model.sample(500, generator=generator)
    columns = model.schema.columns or ("feature 0", "feature 1")
    x = samples.x.astype(np.float64)  # squares may overflow in float32
    first = np.argsort(-x.var(0) / (np.abs(x).mean(0) + 1e-9))[:2]
    names = None if samples.labels is None else [model.classes[i] if i >= 0 else "" for i in samples.labels]
    chosen = samples.x[:, first] if samples.x.shape[1] > 1 else samples.x
    return scatter(chosen, names, "samples: " + " against ".join(columns[i] for i in first[::-1] if i < len(columns)))
