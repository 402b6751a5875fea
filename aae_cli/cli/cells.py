"""Rows as columns of a table, by name: what the commands write."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..data.types import Data


def ids_and_labels(data: Data) -> dict[str, Any]:
    """The id column of an output, and the label column where labels are known."""
    import numpy as np

    ids = list(data.ids) if data.ids is not None else np.arange(data.first, data.first + len(data))
    labels = data.label_names
    return {"id": ids} if labels is None else {"id": ids, "label": labels}
