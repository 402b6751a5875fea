"""Pictures of a model, as PNG: cluster heads with members (section 6), a table's clusters, and samples."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

import numpy as np

from ..data.types import Data
from ..output.browser import ImagePanel, TablePanel
from ..output.pictures import histograms, scatter
from ..output.sheets import Headings, image_sheet, pixels
from .description import LEGEND, Description
from .maps import PageMap, cluster_layout, decoded_heads, is_page
from .members import SHOWN, Members, RowSample
from .sampling import Samples

if TYPE_CHECKING:
    from .autoencoder import Autoencoder

Rows = TypeVar("Rows", Members, RowSample)

MOST_CLUSTERS = 100
"""Number of clusters that a sheet shows at most."""

HEADS_ACROSS = 15
"""Number of cluster heads in a row of a picture."""

COMPARED_ROWS = 1000
"""Number of real rows, and of sampled ones, whose columns are compared."""


class ClusterPlot(Protocol):
    """A plot of clusters that is made while rows come piece by piece."""

    def add(self, rows: Data, cluster: np.ndarray, confidence: np.ndarray) -> None:
        """Remember what the plot shows of these rows with their clusters (N,) and confidences (N,)."""

    def draw(self, name: str) -> bytes:
        """Draw the clusters of all rows. ``name``: of the rows, in the title."""


def cluster_plot(plot: str, model: Autoencoder, seed: int) -> ClusterPlot:
    """A page where the file is called .html; else a sheet of members for images, a map for tables."""
    if is_page(plot):
        return ClusterPage(model, seed)
    if model.schema.kind == "image":
        return ClusterPicture(model, Members(model.model.classes, seed), _member_sheet)
    return ClusterPicture(model, RowSample(model.model.classes, seed), _cluster_map)


@dataclass(frozen=True)
class ClusterPicture(Generic[Rows]):
    """A picture of some rows of each cluster, collected in bounded memory.

    Attributes:
        figure: draws the collected rows; its last argument is their name.
    """

    model: Autoencoder
    rows: Rows
    figure: Callable[[Autoencoder, Rows, str], bytes]

    def add(self, rows: Data, cluster: np.ndarray, confidence: np.ndarray) -> None:
        """As in :class:`ClusterPlot`."""
        self.rows.add(rows, cluster, confidence)

    def draw(self, name: str) -> bytes:
        """As in :class:`ClusterPlot`."""
        return self.figure(self.model, self.rows, name)


class ClusterPage:
    """Page with a map of all rows, coloured by cluster, beside what each cluster is."""

    def __init__(self, model: Autoencoder, seed: int) -> None:
        self.model, self._page = model, PageMap(model, first="cluster")
        self._described = Description(model.model.classes, model.schema, seed)
        self._members = Members(model.model.classes, seed) if model.schema.kind == "image" else None
        self._layout = cluster_layout(model)
        self._points: list[np.ndarray] = []

    def add(self, rows: Data, cluster: np.ndarray, confidence: np.ndarray) -> None:
        """As in :class:`ClusterPlot`."""
        self._page.add(rows, (cluster, confidence))
        self._described.add(rows, cluster, confidence)
        if self._members is not None:
            self._members.add(rows, cluster, confidence)
        self._points.append(self._layout.of_rows(rows.x))

    def draw(self, name: str) -> bytes:
        """As in :class:`ClusterPlot`."""
        points, heads = self._layout.plane(np.concatenate(self._points))
        clusters = self._described.found
        title = f"{self.model.header.title}: {len(points):,} rows of {name} in {len(clusters)} clusters"
        panels = [self._panel(cluster) for cluster in clusters]
        return self._page.draw(points, title, panels, f"{self._layout.how} {self._beside}", heads)

    @property
    def _beside(self) -> str:
        """What stands beside the map."""
        if self._members is None:
            return f"Columns in which a cluster differs most – {LEGEND}."
        return "Images of a cluster: decoded from it, then its most typical members."

    def _panel(self, cluster: int) -> TablePanel | ImagePanel:
        """What a cluster is: of a table, the columns that differ; of images, its head and its most typical members."""
        title = self._described.title(cluster)
        if self._members is None:
            return TablePanel(title, *self._described.table(cluster))
        shown = [decoded_heads(self.model, [cluster])[0], *self._members.of(cluster)[0]]
        return ImagePanel(title, [pixels(image, self.model.schema) for image in shown])


def _member_sheet(model: Autoencoder, members: Members, name: str) -> bytes:
    """Figure of section 6: a row for each cluster, the largest 100 where there are more.

    First comes its head, decoded from z = 0 and y = one-hot; then its most typical members, those with the highest
    confidence q(y|x), and members drawn at random. Beside it stand its size and its most frequent class.
    """
    found = np.flatnonzero(members.sizes)
    used = np.sort(found[np.argsort(-members.sizes[found], kind="stable")][:MOST_CLUSTERS])
    heads = decoded_heads(model, used.tolist())
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
    """Map of a table's rows, coloured by cluster, with sizes and most frequent classes in the legend."""
    x, drawn, layout = sample.x, sample.cluster, cluster_layout(model)
    points, _ = layout.plane(layout.of_rows(x))
    legend = {str(k): f"{k}: {', '.join(sample.summary(k))}" for k in np.flatnonzero(sample.sizes).tolist()}
    shown = f"{len(x):,} of " if len(x) < sample.sizes.sum() else ""
    title = f"{model.header.title}: clusters of {shown}{sample.sizes.sum():,} rows of {name}, {layout.what}"
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


def run_pictures(model: Autoencoder, rows: Data | None) -> Iterator[tuple[str, bytes]]:
    """Titles and pictures of a model for the page on its run: cluster heads of images, maps of clusters and of codes.

    Args:
        rows: held-out rows; None if they cannot be read, and then without maps.
    """
    if model.model.classes and model.schema.kind == "image":
        yield "Cluster heads", _head_sheet(model)
    some = None if rows is None else rows.evenly_spaced(COMPARED_ROWS)
    if some is not None and model.model.classes:
        layout = cluster_layout(model)
        points, heads = layout.plane(layout.of_rows(some.x))
        names = some.label_names or [str(cluster) for cluster in model.cluster(some.x)[0]]
        yield f"Held-out rows: {layout.what}", scatter(points, names, model.header.title, heads)
    if some is not None and model.model.dims >= 2 and model.prior_z is not None:
        yield "Codes of held-out rows beside draws of the prior", _codes_and_prior(model, some)


def _head_sheet(model: Autoencoder) -> bytes:
    """Images that are decoded from each category, at most :data:`MOST_CLUSTERS`."""
    heads = decoded_heads(model, range(min(model.model.classes, MOST_CLUSTERS)))
    of_class = map(model.abilities.class_name, range(len(heads)))
    names = [str(k) if name is None else f"{k}: {name}" for k, name in enumerate(of_class)]
    across = tuple(names) if len(names) <= HEADS_ACROSS else ()
    headings = Headings("decoded from each category, with z = 0", across)
    return image_sheet(list(heads), model.schema, min(HEADS_ACROSS, len(heads)), headings)


def _codes_and_prior(model: Autoencoder, rows: Data) -> bytes:
    """Map of the first two dimensions of the codes of rows, and of as many draws of p(z) as there are in a comparison."""
    import torch

    assert model.prior_z is not None
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        drawn = model.prior_z.sample(torch.full((1, COMPARED_ROWS), -1))[0, :, :2].cpu().numpy()
    codes = [name or "unlabelled" for name in rows.label_names or ["codes"] * len(rows)]
    names, legend = [""] * len(drawn) + codes, {"": "draws of the prior"}
    which = "" if model.model.dims == 2 else f": z0 and z1, the first two of {model.model.dims} dimensions"
    points = np.concatenate([drawn, model.z(rows.x)[:, :2]])
    return scatter(points, names, model.header.title + which, legend=legend)
