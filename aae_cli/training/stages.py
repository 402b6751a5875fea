"""The stages of a training: one is built, and fine clusters are merged into the next."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ..config.sections import Config
from ..data.types import Data, Mapped

RESTART_STRIDE = 7919  # between the seeds of restarts, so that neighbouring seeds share none


def sizes_by_linear(config: Config) -> bool:
    """Whether a linear classifier of the labelled rows says how large the categories of an adapted config are."""
    y, semi = config.code.y, config.phases.semi_supervised
    return y is not None and y.sizes == "found" and semi is not None and bool(semi.linear)


def _tensor(rows: Data) -> tuple[Tensor, Tensor | None]:
    """Rows as a tensor, without a copy where they are mapped; then with the numbers of the rows that are meant, or None."""
    if isinstance(rows.x, Mapped):
        return torch.from_numpy(np.asarray(rows.x.base)), torch.from_numpy(rows.x.index)
    return torch.from_numpy(np.ascontiguousarray(rows.x)), None
