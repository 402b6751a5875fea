"""Search for the nearest neighbours of rows, among their features or in the codes of an encoder."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from copy import copy

import torch
from torch import Tensor

from ..device import exact_products

KEYS_AT_ONCE = 2000


class Neighbours:
    """Search for the reference rows that are nearest to other rows, with an optional cache for training rows.

    Args:
        count: number of neighbours. One more is returned, as a row of the reference is its own nearest neighbour.
        reference: (M, D) rows to search, in the networks' units.
        encode: map from rows (R or 1, B, D) to codes (R, B, n), among which distances are measured, for each of R models
            their own; None for the rows themselves.

    Attributes:
        count: number of neighbours returned, at most M.
    """

    def __init__(self, count: int, reference: Tensor, encode: Callable[[Tensor], Tensor] | None = None) -> None:
        self.reference, self.count = reference, min(count + 1, len(reference))
        self._encode = encode
        keys = self._keys(reference)
        self._square, self._transposed = keys.square().sum(-1).unsqueeze(-2), keys.transpose(-1, -2)
        self._cache: tuple[Tensor, Tensor] | None = None

    def _keys(self, rows: Tensor) -> Tensor:
        """What distances are measured between: (…, D) → (…, D), or (R, …, n) by the encoder, in pieces."""
        if self._encode is None:
            return rows
        return torch.cat([self._encode(some) for some in rows.split(KEYS_AT_ONCE, -2)], -2)

    def of_model(self, index: int) -> Neighbours:
        """The search in the codes of one of several models; the search itself where it is the same for all."""
        if self._encode is None:
            return self
        encode, one = self._encode, copy(self)
        one._encode = lambda x: encode(x)[index : index + 1]
        one._square, one._transposed, one._cache = (
            self._square[index : index + 1],
            self._transposed[index : index + 1],
            None,
        )
        return one

    def cache(self, training: Iterable[Tensor], count: int) -> None:
        """Cache the neighbours of all training rows.

        Args:
            training: chunks (B, D) of the training rows in the order of their row numbers, in the networks' units.
            count: total number of training rows.
        """
        models = self._square.shape[:-2]  # (R,) with an encoder, else ()
        far = self.reference.new_empty(*models, count, 1)
        near = torch.empty(*models, count, self.count, dtype=torch.int32, device=far.device)
        done = 0
        for some in training:  # filled in place: a list of chunks would fragment the memory
            own = slice(done, done + len(some))
            far[..., own, :], near[..., own, :] = self(some)
            done += len(some)
        self._cache = far, near

    @property
    def cached(self) -> bool:
        """Whether the neighbours of the training rows are cached."""
        return self._cache is not None

    def __call__(self, x: Tensor, rows: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Find the neighbours of rows.

        Args:
            x: (…, D) in the networks' units.
            rows: (…) row numbers of x among the training rows, for the cache; None for other rows.

        Returns:
            squared distance to the farthest neighbour, (…, 1), and the neighbours' positions in ``reference``,
            (…, count), in any order.
        """
        if rows is not None and self._cache is not None:
            far, near = self._cache
            if far.dim() == 2:
                return far[rows], near[rows]
            models = torch.arange(len(far), device=rows.device).unsqueeze(1)
            return far[models, rows], near[models, rows]
        keys = self._keys(x)
        with exact_products(x.device):
            square = self._square - 2 * keys @ self._transposed + keys.square().sum(-1, keepdim=True)
        nearest, near = square.topk(self.count, largest=False, sorted=False)
        return nearest.amax(-1, keepdim=True).clamp(min=0), near
