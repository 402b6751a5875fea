"""Rows as columns of a table, by name: what the commands write."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    from ..data.types import Data, Schema


def cells_of(schema: Schema, x: np.ndarray) -> dict[str, Any]:
    """Rows as columns of a table, by name, in the types of the training file: x (N, D)."""
    if schema.mixed is not None:
        return {column.name: column.decode(x[:, i]) for i, column in enumerate(schema.mixed)}
    names = schema.columns or [f"x{i}" for i in range(x.shape[1])]
    return {name: x[:, i] for i, name in enumerate(names)}


def ids_and_labels(data: Data) -> dict[str, Any]:
    """The id column of an output, and the label column where labels are known."""
    import numpy as np

    ids = list(data.ids) if data.ids is not None else np.arange(data.first, data.first + len(data))
    labels = data.label_names
    return {"id": ids} if labels is None else {"id": ids, "label": labels}
