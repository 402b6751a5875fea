"""What every reader returns: rows of features, their labels, and a schema that a checkpoint can remember."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from math import prod
from typing import Any, Literal

import numpy as np

from ..errors import DataError


@dataclass(frozen=True)
class Schema:
    """The form of one row, remembered by checkpoints.

    Attributes:
        kind: ``image`` (pixels in a known range) or ``table`` (columns in units of their own).
        shape: (channels, height, width) of an image, (columns,) of a table row.
        low, high: the range of a pixel in the file's own units, such as 0 and 255; None for tables.
        integer: whether values are whole numbers in the file, one entry a column (images: one entry).
        columns: feature names, in order; None where the file has none (image files, arrays).
        classes: class names, in the order of the integer labels; None where there are no labels.
    """

    kind: Literal["image", "table"]
    shape: tuple[int, ...]
    low: float | None = None
    high: float | None = None
    integer: tuple[bool, ...] = (False,)
    columns: tuple[str, ...] | None = None
    classes: tuple[str, ...] | None = None

    @property
    def size(self) -> int:
        """Number of features in a row, D."""
        return prod(self.shape)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Schema:
        """What ``to_json`` gave; ValueError, TypeError or KeyError for anything else."""
        fields: dict[str, Any] = {key: tuple(item) if isinstance(item, list) else item for key, item in value.items()}
        schema = cls(**fields)
        lists: list[tuple[Any, type]] = [(schema.shape, int), (schema.integer, bool)]
        lists += [(names, str) for names in (schema.columns, schema.classes) if names is not None]
        if not all(isinstance(items, tuple) and all(type(item) is kind for item in items) for items, kind in lists):
            raise ValueError("its schema is not one")
        sides = {"image": 3, "table": 1}[schema.kind]
        if len(schema.shape) != sides or min(schema.shape) < 1 or schema.size > 2**31:
            raise ValueError(f"rows cannot have the shape {schema.shape}")
        if len(schema.integer) not in (1, schema.size) or len(schema.columns or ()) not in (0, schema.size):
            raise ValueError("its schema names another number of columns")
        if schema.kind == "image" and not float(schema.low or 0) < float(schema.high or 0) < float("inf"):
            raise ValueError(f"pixels cannot range from {schema.low} to {schema.high}")
        return schema

    def with_classes(self, classes: tuple[str, ...] | None) -> Schema:
        return replace(self, classes=classes)


MAP_FROM = 2**28
"""Files of this many bytes or more are mapped into memory rather than read, where their format allows."""


class Mapped:
    """Some rows of an array that lies in a file: each is read when it is asked for.

    Args:
        base: (M, D), mapped.
        index: (N,) the numbers of the rows.
    """

    ndim = 2

    def __init__(self, base: np.ndarray, index: np.ndarray) -> None:
        self.base, self.index = base, index
        self.shape, self.dtype = (len(index), base.shape[1]), base.dtype

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, rows: slice | np.ndarray) -> np.ndarray:
        return np.asarray(self.base[self.index[rows]])


@dataclass(frozen=True)
class Data:
    """Rows read from one source.

    Attributes:
        x: (N, D) uint8 or float32, in the file's own units; an image row is (C, H, W) flattened. Rows of a large .npy
            file are mapped into memory: a np.memmap, or ``Mapped`` where only some of them are meant.
        schema: the form of a row. ``schema.classes`` names this data's own classes.
        labels: (N,) int64 indices into ``schema.classes``, −1 where unlabelled; None where there are none.
        ids: one id a row (file names, an id column); None means the row number from 0.
        name: what to call it in messages.
        notes: decisions worth telling a person, such as a column left out.
        first: the number of the first row, in a piece of a longer source.
    """

    x: np.ndarray
    schema: Schema
    labels: np.ndarray | None = None
    ids: tuple[str, ...] | None = None
    name: str = "data"
    notes: tuple[str, ...] = ()
    first: int = 0

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, index: slice | np.ndarray) -> Data:
        """Some of the rows (a slice or an index array), with their labels and ids."""
        ids = self.ids
        if ids is not None:
            ids = tuple(ids[index]) if isinstance(index, slice) else tuple(ids[i] for i in index)
        labels = None if self.labels is None else self.labels[index]
        x: Any = (
            self.x[index] if isinstance(index, slice) or not isinstance(self.x, np.memmap) else Mapped(self.x, index)
        )
        return replace(self, x=x, labels=labels, ids=ids)

    @property
    def label_names(self) -> list[str] | None:
        """The label of every row as text, empty where unlabelled."""
        if self.labels is None or self.schema.classes is None:
            return None
        names = (*self.schema.classes, "")
        return [names[i] for i in self.labels]

    def labels_as(self, classes: tuple[str, ...]) -> np.ndarray:
        """Labels as indices into other class names (a checkpoint's).

        Returns:
            (N,) int64, −1 where unlabelled.

        Raises:
            DataError: a class of this data is not among ``classes``.
        """
        if self.labels is None or self.schema.classes is None:
            return np.full(len(self), -1, dtype=np.int64)
        unknown = [name for name in self.schema.classes if name not in classes]
        if unknown:
            raise DataError(
                f"{self.name} has the class {unknown[0]!r}, which the model does not know",
                f"its classes are {', '.join(classes)}",
            )
        table = np.array([*(classes.index(name) for name in self.schema.classes), -1], dtype=np.int64)
        return table[self.labels]
