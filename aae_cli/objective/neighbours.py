"""The rows of a table that lie nearest to a row."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor


class Neighbours:
    """The rows of a reference that are nearest to a table's rows.

    Args:
        count: how many; a row that is in the reference finds itself beside them.
        reference: (M, D) rows, in the networks' units.
    """

    def __init__(self, count: int, reference: Tensor) -> None:
        self.reference, self.count = reference, min(count + 1, len(reference))
        self._square = reference.square().sum(-1)
        self._cache: tuple[Tensor, Tensor] | None = None

    def cache(self, training: Iterable[Tensor], count: int) -> None:
        """Find those of all training rows once and for all.

        Args:
            training: the rows, (B, D) at a time, in the order of their numbers. count: of them all.
        """
        far = self.reference.new_empty(count, 1)
        near = torch.empty(count, self.count, dtype=torch.int32, device=far.device)
        done = 0
        for some in training:  # filled in place: pieces kept one by one would scatter over the memory
            own = slice(done, done + len(some))
            far[own], near[own] = self(some)
            done += len(some)
        self._cache = far, near

    @property
    def cached(self) -> bool:
        return self._cache is not None

    def __call__(self, x: Tensor, rows: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """(…, D) rows → squared distance to the farthest of its nearest, (…, 1), and their numbers, (…, count).

        Args:
            rows: (…) the numbers of training rows, which are looked up where they are remembered.
        """
        if rows is not None and self._cache is not None:
            far, near = self._cache
            return far[rows], near[rows]
        square = self._square - 2 * x @ self.reference.T + x.square().sum(-1, keepdim=True)
        nearest, near = square.topk(self.count, largest=False, sorted=False)
        return nearest.amax(-1, keepdim=True).clamp(min=0), near
