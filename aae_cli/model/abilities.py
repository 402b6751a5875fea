"""What a checkpoint can do, decided once from its header; the commands, ``info``, ``evaluate`` and ``sample`` ask here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from ..errors import CheckpointError
from .checkpoint import Header

if TYPE_CHECKING:  # a header can be read, and asked what it can do, without torch
    from torch import Tensor


@dataclass(frozen=True)
class Content:
    """What a decoder is told beside the style z. This one: nothing.

    Attributes:
        count: number of categories; a style grid has a column for each.
        z_is_style: whether z holds the style alone, so that a row's style can be given to other categories.
    """

    count: int = 0
    z_is_style = False

    def inputs(self, category: Tensor) -> tuple[Tensor | None, Tensor | None]:
        """What the decoder is given for categories (…) int64, −1 for none: y (…, K), and the label (…, C)."""
        return None, None

    def component(self, category: Tensor, drawn: Tensor) -> Tensor:
        """The component of p(z) that a style of this category comes from."""
        return drawn

    def class_of(self, category: np.ndarray) -> np.ndarray | None:
        """The class that each category stands for, −1 for none; None where the model knows no classes."""
        return None

    def categories_of(self, label: int) -> list[int] | None:
        """The categories that stand for a class, the largest first; None where the model knows no classes."""
        return None


@dataclass(frozen=True)
class Labels(Content):
    """The label itself (section 4): category k is class k."""

    z_is_style = True

    def inputs(self, category: Tensor) -> tuple[Tensor | None, Tensor | None]:
        from ..nn.aae import one_hot

        return None, one_hot(category, self.count)

    def class_of(self, category: np.ndarray) -> np.ndarray | None:
        return category

    def categories_of(self, label: int) -> list[int] | None:
        return [label]


@dataclass(frozen=True)
class Components(Content):
    """Nothing; but labels choose the component of p(z) (section 2.3), so that component k is class k."""

    def component(self, category: Tensor, drawn: Tensor) -> Tensor:
        return category

    def class_of(self, category: np.ndarray) -> np.ndarray | None:
        return category

    def categories_of(self, label: int) -> list[int] | None:
        return [label]


@dataclass(frozen=True)
class Clusters(Content):
    """A softmax y (sections 5 to 7).

    Attributes:
        names: (K,) the class of each y, −1 for none; None where no label was ever seen.
        sizes: (K,) rows in each cluster, as far as they were counted.
    """

    names: tuple[int, ...] | None = None
    sizes: tuple[int, ...] = ()
    z_is_style = True

    def inputs(self, category: Tensor) -> tuple[Tensor | None, Tensor | None]:
        from ..nn.aae import one_hot

        return one_hot(category, self.count), None

    def class_of(self, category: np.ndarray) -> np.ndarray | None:
        return None if self.names is None else np.array(self.names, dtype=np.int64)[category]

    def categories_of(self, label: int) -> list[int] | None:
        if self.names is None:
            return None
        sizes = self.sizes or (0,) * self.count
        return sorted((k for k, own in enumerate(self.names) if own == label), key=lambda k: -sizes[k])


def content_of(header: Header) -> Content:
    """The one place that chooses among the contents."""
    config, sizes = header.config, (header.training or {}).get("cluster_sizes") or ()
    if config.decoder.input == "label":
        return Labels(len(header.schema.classes or ()))
    if config.code.y is not None:
        return Clusters(int(config.code.y.classes), header.cluster_labels, tuple(sizes))
    if config.adversaries.z is not None and config.adversaries.z.labels:
        return Components(int(config.adversaries.z.prior.components))
    return Content()


@dataclass(frozen=True)
class Abilities:
    """What one checkpoint can do."""

    header: Header

    @cached_property
    def content(self) -> Content:
        return content_of(self.header)

    @property
    def style(self) -> bool:
        """Whether there is a z."""
        return self.header.config.code.z is not None

    @property
    def dims(self) -> int:
        """Dimensions of what the decoder sees without a given label: z, [y, z] or y·W_C + z."""
        y, z = self.header.config.code.y, self.header.config.code.z
        dims = z.dims if z else 0
        return dims + int(y.classes) if y is not None and self.header.config.decoder.input == "concat" else dims

    @property
    def clusters(self) -> bool:
        """Whether rows have a most probable y."""
        return self.header.config.code.y is not None

    @property
    def named(self) -> bool:
        """Whether some category y stands for a class."""
        content = self.content
        return isinstance(content, Clusters) and content.names is not None and max(content.names, default=-1) >= 0

    @property
    def learned_with_labels(self) -> bool:
        """Whether labels shaped the categories (section 5), rather than naming them afterwards (section 6)."""
        return self.header.config.phases.semi_supervised is not None

    @property
    def tied_to_labels(self) -> bool:
        """Whether labels choose the component of p(z) (section 2.3)."""
        z = self.header.config.adversaries.z
        return z is not None and z.labels

    @property
    def commands(self) -> list[str]:
        """The commands that have an answer."""
        return ["embed", "sample", *(["cluster"] if self.clusters else []), *(["classify"] if self.named else [])]

    def clusters_into(self, clusters: int | None) -> bool:
        """Whether it finds clusters without labels, and so many of them (None: any number)."""
        right = clusters is None or self.content.count == clusters
        return self.clusters and not self.learned_with_labels and right

    def samples(
        self,
        labels: Sequence[str] = (),
        clusters: Sequence[int] = (),
        style_grid: bool = False,
        style_from: bool = False,
    ) -> bool:
        """Whether it can sample these classes or clusters, lay out styles, or take the style of a row."""
        classes, content = self.header.schema.classes or (), self.content
        if clusters and not (self.clusters and max(clusters) < content.count):
            return False
        if style_from and not (content.z_is_style and self.style):
            return False
        if any(name not in classes or not content.categories_of(classes.index(name)) for name in labels):
            return False
        return not style_grid or self.style

    def categories_of(self, label: int) -> list[int]:
        """The categories that stand for a class, the largest first.

        Raises:
            CheckpointError: the model has no labels, or none of its clusters stands for this one.
        """
        found = self.content.categories_of(label)
        if found is None:
            hint = "train --preset supervised, semi-supervised or mixture-labels"
            hint += ", or use --cluster" if self.clusters else ""
            raise CheckpointError(f"a {self.header.title} model knows no labels", hint)
        if not found:
            name = (self.header.schema.classes or ())[label]
            raise CheckpointError(f"no cluster of this model stands for the label {name!r}")
        return found
