"""What a checkpoint supports, decided in one place from its header: commands, metrics, and kinds of samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from shlex import quote
from typing import TYPE_CHECKING

import numpy as np

from ..data.memory import NAME
from ..data.named import named_test
from ..errors import CheckpointError, UsageError
from ..text import clean
from .checkpoint import Header

if TYPE_CHECKING:  # not imported at run time, as reading a header must stay fast
    from torch import Tensor


@dataclass(frozen=True)
class Content:
    """The categories that can be chosen when sampling, beside the style z. In this base class: none.

    Attributes:
        count: number of categories, and of columns of a style grid.
        z_is_style: whether z contains style only, so that the style of a row can be combined with other categories.
    """

    count: int = 0
    z_is_style = False

    def inputs(self, category: Tensor) -> tuple[Tensor | None, Tensor | None]:
        """Inputs y (…, K) and label (…, C) of the decoder, or None, for categories (…) int64, −1 for none."""
        return None, None

    def component(self, category: Tensor, drawn: Tensor) -> Tensor:
        """Component of p(z) to sample the style of a category from; by default the one already ``drawn``."""
        return drawn

    def class_of(self, category: np.ndarray) -> np.ndarray | None:
        """Class of each category, −1 for none; None if the model has no class labels."""
        return None

    def categories_of(self, label: int) -> list[int] | None:
        """Categories of a class, the largest first; None if the model has no class labels."""
        return None


@dataclass(frozen=True)
class Labels(Content):
    """The label that the decoder receives (section 4): category k is class k."""

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
    """The components of a prior tied to labels (section 2.3): component k is class k. The decoder receives z alone."""

    def component(self, category: Tensor, drawn: Tensor) -> Tensor:
        return category

    def class_of(self, category: np.ndarray) -> np.ndarray | None:
        return category

    def categories_of(self, label: int) -> list[int] | None:
        return [label]


@dataclass(frozen=True)
class Clusters(Content):
    """The categories of a softmax y (sections 5 to 7).

    Attributes:
        names: (K,) class of each category, −1 for none; None if no labels were available.
        sizes: (K,) number of rows in each category; empty if they were not counted.
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


def class_table(names: np.ndarray, classes: int) -> np.ndarray:
    """(K, C) float32, 1 where a category stands for a class. ``names``: (K,) class of each category, −1 for none."""
    table = np.zeros((len(names), classes), dtype=np.float32)
    named = names >= 0
    table[np.flatnonzero(named), names[named]] = 1
    return table


def content_of(header: Header) -> Content:
    """Determine the categories that a model can sample."""
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
    """What one checkpoint supports."""

    header: Header

    @cached_property
    def content(self) -> Content:
        return content_of(self.header)

    @property
    def style(self) -> bool:
        """Whether the model has a z."""
        return self.header.config.code.z is not None

    @property
    def dims(self) -> int:
        """Dimensions of the representation, the decoder's input without a label: z, [y, z] or y·W_C + z."""
        y, dims = self.header.config.code.y, self.style_dims
        return dims + int(y.classes) if y is not None and self.header.config.decoder.input == "concat" else dims

    @property
    def style_dims(self) -> int:
        """Dimensions of z, 0 without it."""
        z = self.header.config.code.z
        return int(z.dims) if z else 0

    @property
    def clusters(self) -> bool:
        """Whether the model has a y, so that it can cluster rows."""
        return self.header.config.code.y is not None

    @property
    def named(self) -> bool:
        """Whether at least one category of y is named after a class, so that the model can classify rows."""
        content = self.content
        return isinstance(content, Clusters) and content.names is not None and max(content.names, default=-1) >= 0

    @property
    def learned_with_labels(self) -> bool:
        """Whether y was trained with labels (section 5), rather than named after classes once trained (section 6)."""
        return self.header.config.phases.semi_supervised is not None

    @property
    def tied_to_labels(self) -> bool:
        """Whether the components of p(z) are tied to class labels (section 2.3)."""
        z = self.header.config.adversaries.z
        return z is not None and z.labels

    @property
    def label_column(self) -> str | None:
        """Name of the label column of a table; None without labels."""
        return (self.header.config.data.label_column or "label") if self.header.schema.classes else None

    @property
    def generative(self) -> bool:
        """Whether the model was trained for nothing but the distribution of its rows, without labels and neighbours."""
        p = self.header.config.phases
        near = p.neighbour_embedding is not None and p.neighbour_embedding.weight != 0
        return p.semi_supervised is None and p.consistency is None and not near

    @property
    def fills(self) -> bool:
        """Whether the model was trained to fill in cells that it does not see, those of a table."""
        config = self.header.config
        return self.header.schema.kind == "table" and self.generative and bool(config.encoder.dropout)

    @property
    def commands(self) -> list[str]:
        """The commands that work with this checkpoint."""
        able = {"cluster": self.clusters, "classify": self.named, "impute": self.fills, "score": True}
        return ["embed", "sample", *(name for name, can in able.items() if can)]

    def examples(self, path: str) -> list[tuple[str, str]]:
        """Commands that use this checkpoint, at ``path``, each with what it gives."""
        c, source, classes = f"-c {quote(path)}", self.header.config.data.source, self.header.schema.classes or ()
        known = source not in ("-", NAME)  # else a pipe or rows in memory, which cannot be read again
        rows = quote(named_test(source) or source) if known else "DATA"
        image, label = self.header.schema.kind == "image", next(filter(self._can_sample, classes), None)
        samples = "samples.png" if image else "samples.csv"
        found = [
            (f"aae info {c}", "what the model is, and which columns it reads"),
            (f"aae evaluate {c}" if known else f"aae evaluate DATA {c}", "its metrics, and what they mean"),
            (f"aae sample {c} -o {samples}", "rows drawn at random"),
        ]
        if label is not None:
            found.append((f"aae sample {c} --label {quote(label)} -o {samples}", f"rows of the class {clean(label)}"))
        if image and self.content.z_is_style and self.style:
            found.append(
                (f"aae sample {c} --style-grid -o {samples}", "a style in each row, a category in each column")
            )
        found.append((f"aae embed {rows} {c} -o codes.csv", "the code of each row"))
        if self.clusters:
            found.append((f"aae cluster {rows} {c} -o clusters.csv", "the cluster of each row, with its probability"))
        if self.named:
            found.append((f"aae classify {rows} {c} -o classes.csv", "the class of each row, with its probability"))
        if self.fills:
            found.append((f"aae impute {rows} {c} -o filled.csv", "the rows with their missing cells filled"))
            found.append((f"aae score {rows} {c} --top 10", "the rows that are most unusual, and why"))
        return found

    def _can_sample(self, label: str) -> bool:
        return self.samples(labels=[label])

    def clusters_into(self, clusters: int | None) -> bool:
        """Whether its categories were trained without labels and are ``clusters`` in number (None for any number)."""
        right = clusters is None or self.content.count == clusters
        return self.clusters and not self.learned_with_labels and right

    def samples(
        self,
        labels: Sequence[str] = (),
        clusters: Sequence[int] = (),
        style_grid: bool = False,
        style_from: bool = False,
    ) -> bool:
        """Whether it can sample these classes and clusters, make a style grid, and take the style of a given row."""
        classes, content = self.header.schema.classes or (), self.content
        if clusters and not (self.clusters and max(clusters) < content.count):
            return False
        if style_from and not (content.z_is_style and self.style):
            return False
        if any(name not in classes or not content.categories_of(classes.index(name)) for name in labels):
            return False
        return not style_grid or self.style

    def class_name(self, category: int) -> str | None:
        """Name of the class of a category; None if it has none."""
        classes, own = self.header.schema.classes or (), self.content.class_of(np.array([category]))
        return classes[own[0]] if own is not None and 0 <= own[0] < len(classes) else None

    def class_index(self, label: int | str) -> int:
        """The place of a class, given by its name or by its place. Raises UsageError for a class that is not there."""
        classes = self.header.schema.classes or ()
        if isinstance(label, str) and label in classes:
            return classes.index(label)
        if not isinstance(label, str) and 0 <= label < len(classes):
            return int(label)
        known = f"the model's classes are {', '.join(classes[:20])}" if classes else None
        raise UsageError(f"there is no class {label!r}", known)

    def categories_of(self, label: int | str) -> list[int]:
        """Categories of a class, given by its name or by its place, the largest first.

        Raises:
            UsageError: the model has no such class.
            CheckpointError: the model has no class labels, or no cluster is named after this class.
        """
        index = self.class_index(label)
        found = self.content.categories_of(index)
        if found is None:
            hint = "train --preset supervised, semi-supervised or mixture-labels"
            hint += ", or use --cluster" if self.clusters else ""
            raise CheckpointError(f"a {self.header.title} model has no class labels", hint)
        if not found:
            name = (self.header.schema.classes or ())[index]
            raise CheckpointError(f"this model has no cluster for the label {name!r}")
        return found
