"""Search for the nearest neighbours of rows, among their features or in the codes of an encoder."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from copy import copy

import torch
from torch import Tensor

from ..device import exact_products
from ..nn.cells import Cells

KEYS_AT_ONCE = 2000
FAR = 1e12  # squared distance of rows that share no observed cell


class CellDistances:
    """Squared distances to the rows of a mixed table, over the cells that both rows have, as if they had all.

    Args:
        reference: (M, D) features of the rows.
    """

    def __init__(self, cells: Cells, reference: Tensor) -> None:
        self.cells = cells
        features, flags, observed = self._parts(reference)
        self._keys = torch.cat([flags, features.square(), features], -1).T.contiguous()
        self._observed = observed.T.contiguous()

    def _parts(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Features without flags, the flags of their columns, and the flags of all columns."""
        count, observed = self.cells.outputs, self.cells.observed(x)
        return x[..., :count], observed[..., self.cells.column_of[:count]], observed

    def __call__(self, x: Tensor) -> Tensor:
        """(…, D) features → (…, M)."""
        features, flags, observed = self._parts(x)
        square = torch.cat([features.square(), flags, -2 * features], -1) @ self._keys
        shared = observed @ self._observed
        return torch.where(shared > 0, square * (self.cells.kinds.columns / shared.clamp(min=1)), FAR)


class Neighbours:
    """Search for the reference rows that are nearest to other rows, with an optional cache for training rows.

    Args:
        count: number of neighbours. One more is returned, as a row of the reference is its own nearest neighbour.
        reference: (M, D) rows to search, in the networks' units.
        between: squared distances (…, M) of rows (…, D) to the reference; None for those of all features.
        encode: map from rows (R or 1, B, D) to codes (R, B, n), among which distances are measured, for each of R models
            their own; None for the rows themselves.

    Attributes:
        count: number of neighbours returned, at most M.
    """

    def __init__(
        self,
        count: int,
        reference: Tensor,
        encode: Callable[[Tensor], Tensor] | None = None,
        between: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        self.reference, self.count = reference, min(count + 1, len(reference))
        self._encode, self._between = encode, between
        keys = self._keys(reference)
        self._square, self._transposed = keys.square().sum(-1).unsqueeze(-2), keys.transpose(-1, -2)
        self._cache: tuple[Tensor, Tensor] | None = None

    def _keys(self, rows: Tensor) -> Tensor:
        """What distances are measured between: (…, D) → (…, D), or (R, …, n) by the encoder, in pieces."""
        if self._encode is None:
            return rows
        return torch.cat([self._encode(some) for some in rows.split(KEYS_AT_ONCE, -2)], -2)

    def _squares(self, x: Tensor) -> Tensor:
        """Squared distances of rows, or of their codes, to the reference: (…, M)."""
        keys = self._keys(x)
        return self._square - 2 * keys @ self._transposed + keys.square().sum(-1, keepdim=True)

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
        with exact_products(x.device):
            square = self._squares(x) if self._between is None else self._between(x)
        nearest, near = square.topk(self.count, largest=False, sorted=False)
        return nearest.amax(-1, keepdim=True).clamp(min=0), near
