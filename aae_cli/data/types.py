"""Types that every reader returns: rows of features, their labels, and a schema that checkpoints store."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from math import prod
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ..errors import DataError, UsageError
from ..text import quoted
from .columns import Column

if TYPE_CHECKING:
    import polars as pl

Kind = Literal["image", "table"]


@dataclass(frozen=True)
class ReadOptions:
    """What a person says about a source, in place of what its looks tell.

    Attributes:
        format: one of ``read.FORMATS``; None goes by the suffix, and takes stdin and pipes for CSV.
        label_column: the column of a table that holds the labels; in an .npz file, the key of the labels.
        columns: the feature columns of a table.
        kind: whether 2-D values are pixels or a table.
        unlabelled: the label that means unlabelled, beside empty ones; None for −1 where all others are from 0.
        categorical, numeric: columns of a table to read as categories and as numbers.
        ignore: columns of a table to leave out.
        size: pixels of both sides to which image files are brought; None for their most frequent size, at most 64 a side.
        skip_bad: leave out damaged image files rather than refuse them.
        verbatim: keep a table's cells as they are written beside their values, in ``Data.frame``.
    """

    format: str | None = None
    label_column: str | None = None
    columns: tuple[str, ...] | None = None
    kind: Kind | None = None
    unlabelled: str | None = None
    categorical: tuple[str, ...] = ()
    numeric: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    size: int | None = None
    skip_bad: bool = False
    verbatim: bool = False

    def __post_init__(self) -> None:
        """Raise UsageError where a column is named for two purposes."""
        used = set(self.columns or ()) | {self.label_column}
        both: dict[str, set[Any]] = {"both --categorical and --numeric": set(self.categorical) & set(self.numeric)}
        both["both --ignore and --label-column or --columns"] = set(self.ignore) & used
        both["both --ignore and --categorical or --numeric"] = set(self.ignore) & {*self.categorical, *self.numeric}
        both["both --label-column and --numeric"] = {self.label_column} & set(self.numeric)
        if self.columns is not None:
            both["--categorical or --numeric, but not in --columns"] = {*self.categorical, *self.numeric} - used
        for where, names in both.items():
            if names:
                raise UsageError(f"the column {quoted(min(map(str, names)))} is named in {where}", "name it once")

    @property
    def of_columns(self) -> dict[str, tuple[str, ...]]:
        """The columns of a table that a person names, by option; those that were given."""
        every = {"categorical": self.categorical, "numeric": self.numeric, "ignore": self.ignore}
        return {name: names for name, names in every.items() if names}


BY_LOOKS = ReadOptions()
"""Nothing is said: a source is read by its looks."""


@dataclass(frozen=True)
class Schema:
    """Form of one row, stored in checkpoints.

    Attributes:
        kind: ``image`` (pixels in a known range) or ``table`` (columns with their own units).
        shape: (channels, height, width) of an image, (columns,) of a table row.
        low, high: range of pixel values in the file's own units, such as 0 and 255; None for tables.
        integer: whether the file's values are whole numbers, one entry per column (images: one entry in all).
        columns: feature names in order; None if the file has none (image files, arrays).
        classes: class names in the order of the integer labels; None without labels.
        smallest, largest: range of each column of a table among the rows trained on; None if not known.
        mixed: the columns of a table with categories, dates or missing cells; None for complete numbers.
        label_at: number of features to the left of the label column in the file; None without such a column.
    """

    kind: Kind
    shape: tuple[int, ...]
    low: float | None = None
    high: float | None = None
    integer: tuple[bool, ...] = (False,)
    columns: tuple[str, ...] | None = None
    classes: tuple[str, ...] | None = None
    smallest: tuple[float, ...] | None = None
    largest: tuple[float, ...] | None = None
    mixed: tuple[Column, ...] | None = None
    label_at: int | None = None

    @property
    def size(self) -> int:
        """Number of features in a row, D."""
        return prod(self.shape)

    def to_json(self) -> dict[str, Any]:
        value = asdict(self)
        if self.label_at is None:  # which readers of the first format do not know
            del value["label_at"]
        return value

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Schema:
        """Restore a schema from the output of ``to_json``; raise ValueError, TypeError or KeyError for other input."""
        fields: dict[str, Any] = {key: tuple(item) if isinstance(item, list) else item for key, item in value.items()}
        if fields.get("mixed") is not None:
            fields["mixed"] = tuple(Column.from_json(item) for item in fields["mixed"])
        schema = cls(**fields)
        if schema.mixed is not None and schema.columns != tuple(column.name for column in schema.mixed):
            raise ValueError("the schema's columns do not match their kinds")
        lists: list[tuple[Any, type]] = [(schema.shape, int), (schema.integer, bool)]
        lists += [(names, str) for names in (schema.columns, schema.classes) if names is not None]
        ends = [end for end in (schema.smallest, schema.largest) if end is not None]
        lists += [(end, float) for end in ends]
        if not all(isinstance(items, tuple) and all(type(item) is kind for item in items) for items, kind in lists):
            raise ValueError("the schema has values of a wrong type")
        sides = {"image": 3, "table": 1}[schema.kind]
        if len(schema.shape) != sides or min(schema.shape) < 1 or schema.size > 2**31:
            raise ValueError(f"rows cannot have the shape {schema.shape}")
        if len(schema.integer) not in (1, schema.size) or len(schema.columns or ()) not in (0, schema.size):
            raise ValueError("the schema's lists do not match its number of columns")
        if schema.label_at is not None and not (type(schema.label_at) is int and 0 <= schema.label_at <= schema.size):
            raise ValueError(f"no label column can have {schema.label_at} features to its left")
        if len(ends) == 1 or any(len(end) != schema.size for end in ends):
            raise ValueError("the schema's ranges do not match its number of columns")
        if schema.kind == "image" and not float(schema.low or 0) < float(schema.high or 0) < float("inf"):
            raise ValueError(f"pixels cannot range from {schema.low} to {schema.high}")
        return schema

    def with_ranges(self, x: Any) -> Schema:
        """With the range of each column of the rows x (N, D), which may be mapped; images have their own range."""
        if self.kind == "image" or self.mixed is not None:  # a mixed table's columns know their ranges
            return self
        pieces = [np.asarray(x[start : start + 10_000]) for start in range(0, len(x), 10_000)]
        low = np.min([piece.min(0) for piece in pieces], 0)
        high = np.max([piece.max(0) for piece in pieces], 0)
        return replace(self, smallest=tuple(map(float, low)), largest=tuple(map(float, high)))

    def with_classes(self, classes: tuple[str, ...] | None) -> Schema:
        return replace(self, classes=classes)


MAP_FROM = 2**28
"""Smallest file size in bytes for which a file is memory-mapped instead of read, if its format allows."""


class Mapped:
    """Selected rows of a memory-mapped array; each row is read from the file when it is indexed.

    Args:
        base: (M, D) memory-mapped array.
        index: (N,) numbers of the selected rows.
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
        x: (N, D) uint8 or float32, in the file's own units; an image row is (C, H, W) flattened. A large .npy file is
            memory-mapped: x is then a np.memmap, or a ``Mapped`` after rows were selected by index.
        schema: form of one row; ``schema.classes`` holds the class names of this data.
        labels: (N,) int64 indices into ``schema.classes``, −1 for unlabelled rows; None without labels.
        ids: one id per row (file names, an id column); None if row numbers from 0 serve as ids.
        name: name of the source in messages.
        notes: decisions to report to the user, such as a column left out.
        first: number of the first row within the source, for a piece of a longer source.
        unknown: in each column of a mixed table, the number of cells that are not understood.
        frame: all columns of a table, text files as text; None unless ``ReadOptions.verbatim`` asks for them.
    """

    x: np.ndarray
    schema: Schema
    labels: np.ndarray | None = None
    ids: tuple[str, ...] | None = None
    name: str = "data"
    notes: tuple[str, ...] = ()
    first: int = 0
    unknown: tuple[int, ...] = ()
    frame: pl.DataFrame | None = None

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, index: slice | np.ndarray) -> Data:
        """Select rows by a slice or an index array, with their labels and ids."""
        ids = self.ids
        if ids is not None:
            ids = tuple(ids[index]) if isinstance(index, slice) else tuple(ids[i] for i in index)
        labels = None if self.labels is None else self.labels[index]
        x: Any = (
            self.x[index] if isinstance(index, slice) or not isinstance(self.x, np.memmap) else Mapped(self.x, index)
        )
        frame = None if self.frame is None else self.frame[index]
        return replace(self, x=x, labels=labels, ids=ids, frame=frame)

    def evenly_spaced(self, count: int) -> Data:
        """Up to ``count`` evenly spaced rows, in memory: files are often sorted by class."""
        some = self[np.linspace(0, len(self) - 1, min(len(self), count)).astype(np.int64)]
        return replace(some, x=np.ascontiguousarray(some.x[:]))

    @property
    def label_names(self) -> list[str] | None:
        """Label of each row as text, empty for unlabelled rows; None without labels."""
        if self.labels is None or self.schema.classes is None:
            return None
        names = (*self.schema.classes, "")
        return [names[i] for i in self.labels]

    def labels_as(self, classes: tuple[str, ...]) -> np.ndarray:
        """Convert labels to indices into other class names, such as those of a checkpoint.

        Returns:
            (N,) int64, −1 for unlabelled rows.

        Raises:
            DataError: this data has a class that is not in ``classes``.
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
