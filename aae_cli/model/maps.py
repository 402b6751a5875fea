"""Maps of rows: a picture, or a page for the browser."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Protocol

import numpy as np

from ..data.types import Data, Schema
from ..output.browser import Field, ImagePanel, TablePanel, Thumbnails, map_page
from ..output.pictures import scatter
from ..output.sheets import pixels
from .members import RandomRows
from .projection import about_heads

if TYPE_CHECKING:
    from .autoencoder import Autoencoder

DRAWN_IMAGES = 2000
"""Number of images from which those are chosen that a picture has room for."""

MOST_COLUMNS = 40
"""Number of a table's columns that a page shows at most."""

OWN = ("id", "label", "cluster", "confidence")
"""What a page calls the things that it knows beside the columns."""


class Map(Protocol):
    """A map that is made while rows come piece by piece."""

    def plane(self, points: np.ndarray) -> tuple[np.ndarray, str]:
        """Those of all points (N, m) that the map can show, and where that is not all of them, what they are."""

    def add(self, rows: Data) -> None:
        """Remember what the map shows of these rows."""

    def draw(self, points: np.ndarray, title: str) -> bytes:
        """Draw all rows at their points (N, up to 3)."""


def map_for(plot: str, model: Autoencoder, seed: int) -> Map:
    """A page where the file is called .html, else a PNG."""
    return PageMap(model) if is_page(plot) else PictureMap(model, seed)


def is_page(plot: str) -> bool:
    """Whether a plot is a page for the browser, by its name."""
    return plot.lower().endswith(".html")


def shown_of(model: Autoencoder, points: np.ndarray, most: int) -> tuple[np.ndarray, str]:
    """Points (N, m) in at most so many dimensions, and where that is fewer than m, what they are."""
    dims, hint = points.shape[1], "" if most < 3 else " (--dims 3 draws three)"
    if dims <= most:
        return points, ""
    if dims < model.dims:  # principal components already
        return points[:, :2], f"z0 and z1, the first two of {dims} principal components{hint}"
    if len(points) < 2:
        return points[:, :2], f"z0 and z1 of {dims} dimensions"
    how = "cluster heads on a circle" if model.model.heads is not None else "principal components"
    return model.project(points, 2), f"a projection of the {dims} dimensions to two: {how}{hint}"


def heads_of(model: Autoencoder, dims: int) -> np.ndarray | None:
    """Cluster heads (K, dims), where they lie in the space of points of so many dimensions."""
    if model.model.heads is None or dims != model.dims:
        return None
    return np.asarray(model.model.W_C[0].detach().cpu().numpy())


def decoded_heads(model: Autoencoder, clusters: Sequence[int]) -> np.ndarray:
    """Rows decoded from z = 0 and the one-hot y of each cluster (section 6): (len(clusters), D)."""
    import torch

    z = torch.zeros(len(clusters), model.model.dims) if model.model.dims else None
    return model.decode(torch.eye(model.model.classes)[list(clusters)], z)


@dataclass(frozen=True)
class ClusterLayout:
    """Places of rows on a map that shows their clusters.

    Attributes:
        of_rows: gives for rows (N, D) the points (N, m) that are kept of them, piece by piece.
        plane: places the points of all rows in at most two dimensions, and the cluster heads (K, 2), where there are any.
        what: what the places are, for a title.
        how: a sentence on them.
    """

    of_rows: Callable[[np.ndarray], np.ndarray]
    plane: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray | None]]
    what: str
    how: str


def cluster_layout(model: Autoencoder) -> ClusterLayout:
    """The representation where that is made for a map; for images, places about heads; for tables, principal components.

    Principal components of a representation [y, z] would show the style z rather than the clusters. Those of a table's
    standardised columns show how far the clusters are clusters of the rows.
    """

    def components(points: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        placed = model.project(points, min(2, points.shape[1], max(1, len(points))))
        return placed, heads_of(model, placed.shape[1])

    if model.model.heads is not None or model.dims <= 2:
        how = "The axes are those of the representation, of more than two dimensions a projection."
        return ClusterLayout(model.embed, components, "representation", how)
    if model.schema.kind == "image":
        how = "Rows lie about the heads of their clusters, doubtful ones between several; alike clusters are near."
        return ClusterLayout(model.embed, partial(_about_heads, model), "rows about their cluster heads", how)
    what = "principal components of the columns"
    return ClusterLayout(partial(_standardised, model), components, what, f"The axes are {what}.")


def _about_heads(model: Autoencoder, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    classes = model.model.classes
    return about_heads(points[:, :classes], points[:, classes:], decoded_heads(model, range(classes)))


def _standardised(model: Autoencoder, x: np.ndarray) -> np.ndarray:
    """Columns of a table, scaled for the networks, without those that mark missing cells: (N, D) → (N, outputs)."""
    import torch

    scaling = model.model.scaling
    points = scaling(torch.from_numpy(np.asarray(x[:])).to(model.device))[:, : scaling.outputs]
    return np.asarray(points.cpu().numpy())


class PictureMap:
    """Points coloured by label, or else by cluster, with some of the images."""

    def __init__(self, model: Autoencoder, seed: int) -> None:
        self.model = model
        self._images = RandomRows(DRAWN_IMAGES, seed)
        self._names: list[str] = []

    def add(self, rows: Data) -> None:
        """As in :class:`Map`."""
        if self.model.schema.kind == "image":
            self._images.add(rows.x)
        names = rows.label_names
        if names is None and self.model.model.classes:
            names = [str(cluster) for cluster in self.model.cluster(rows.x)[0]]
        self._names += names or []

    def plane(self, points: np.ndarray) -> tuple[np.ndarray, str]:
        """As in :class:`Map`; of three dimensions, the picture shows three pairs."""
        return shown_of(self.model, points, 3)

    def draw(self, points: np.ndarray, title: str) -> bytes:
        """As in :class:`Map`."""
        images = {number: pixels(x, self.model.schema) for number, x in self._images}
        return scatter(points, self._names or None, title, heads_of(self.model, points.shape[1]), thumbnails=images)


class PageMap:
    """Everything that is known of each row, for a page.

    Args:
        first: name of the field that colours the map at first, where it is there.
    """

    def __init__(self, model: Autoencoder, first: str = "label") -> None:
        self.model, self.first = model, first
        self._images = Thumbnails()
        self._ids: list[str] = []
        self._labels: list[str] = []
        self._clusters: list[np.ndarray] = []
        self._x: list[np.ndarray] = []

    def add(self, rows: Data, found: tuple[np.ndarray, np.ndarray] | None = None) -> None:
        """As in :class:`Map`. ``found``: clusters (N,) and confidences (N,) of the rows, if they are known already."""
        self._ids += rows.ids or map(str, range(rows.first, rows.first + len(rows)))
        self._labels += rows.label_names or [""] * len(rows)
        if self.model.model.classes:
            self._clusters.append(np.stack(found or self.model.cluster(rows.x)))
        if self.model.schema.kind == "image":
            for x in rows.x:
                self._images.add(pixels(np.asarray(x), self.model.schema))
        else:
            self._x.append(np.asarray(rows.x[:]))

    def plane(self, points: np.ndarray) -> tuple[np.ndarray, str]:
        """As in :class:`Map`."""
        return shown_of(self.model, points, 2)

    def draw(
        self,
        points: np.ndarray,
        title: str,
        panels: Sequence[TablePanel | ImagePanel] = (),
        note: str = "",
        heads: np.ndarray | None = None,
    ) -> bytes:
        """As in :class:`Map`.

        Args:
            panels: tables and images beside the map.
            note: one line on it.
            heads: (K, 2) places of the cluster heads, where they are not those of the representation.
        """
        heads = heads_of(self.model, points.shape[1]) if heads is None else heads
        columns = 0 if self.model.schema.kind == "image" else self.model.schema.size
        if columns > MOST_COLUMNS:
            note = f"{note} Of {columns} columns, the page has the first {MOST_COLUMNS}.".strip()
        fields = self._fields()
        fields.sort(key=lambda field: field.name != self.first)
        return map_page(title, points, self._ids, fields, self._images, heads, panels, note)

    def _fields(self) -> list[Field]:
        """Label, cluster and confidence, where there are any, then the columns of a table."""
        found = [Field("label", self._labels)] if any(self._labels) else []
        if self._clusters:
            cluster, confidence = np.concatenate(self._clusters, 1)
            found.append(Field("cluster", [str(int(number)) for number in cluster]))
            found.append(Field("confidence", confidence))
        return found + (_columns(np.concatenate(self._x), self.model.schema) if self._x else [])


def _columns(x: np.ndarray, schema: Schema) -> list[Field]:
    """The first columns of a table's rows: numbers as numbers, dates and categories as text."""
    names, mixed = schema.columns or [f"x{i}" for i in range(schema.size)], schema.mixed
    found = []
    for i, column_name in enumerate(names[:MOST_COLUMNS]):
        name = f"{column_name} (column)" if column_name in OWN else column_name
        values, column = x[:, i], None if mixed is None else mixed[i]
        if column is None or column.kind == "number":
            found.append(Field(name, values))
        else:
            found.append(Field(name, ["" if np.isnan(value) else column.text(value) for value in values.tolist()]))
    return found
