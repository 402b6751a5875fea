"""Mini-batches, indexed from one tensor of all training rows without per-row Python."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor

from ..distributed import ALONE, World
from ..nn.cells import Cells
from ..nn.scaling import Scaling
from ..objective.terms import Batch
from ..objective.views import View


class Batches:
    """Mini-batches for R models. The data order of each depends only on its seed and the epoch.

    Args:
        x: (N, D) uint8 or float32, in the file's units, on the training device.
        labels: (N,) int64 on the same device, −1 for unlabelled.
        labelled: for each model, the numbers of the rows whose labels may be used; equally many for all.
        scaling: conversion to the networks' units.
        batch_size: rows per batch; an epoch has N // batch_size batches, at least one.
        seeds: one per model.
        labelled_size: labelled rows per batch for the semi-supervised phase, 0 for none.
        view: map from rows to second views.
        want_view: whether batches contain a second view of x.
        augment_labelled: whether the labelled rows are replaced by views of them.
        augment_rows: whether x itself is replaced by a view.
        world: processes that share each batch; the sizes above are those of the whole batch.
        first_epoch: epochs of earlier stages, so that a later one does not repeat their order of rows.
        index: (N,) numbers of the training rows in x, if x is a memory-mapped file with other rows too; None for all.

    Attributes:
        guide: map from views (R, B, D) to class probabilities (R, B, K), which batches then contain; None if not used.
        logit_adjustment: (R, 1, K) tensor to add to batches; None if not used.
    """

    guide: Callable[[Tensor], Tensor] | None = None
    logit_adjustment: Tensor | None = None

    def __init__(
        self,
        x: Tensor,
        labels: Tensor,
        labelled: Sequence[np.ndarray],
        scaling: Scaling | Cells,
        *,
        batch_size: int,
        seeds: Sequence[int],
        labelled_size: int = 0,
        view: View | None = None,
        want_view: bool = False,
        augment_labelled: bool = False,
        augment_rows: bool = False,
        first_epoch: int = 0,
        world: World = ALONE,
        index: Tensor | None = None,
    ) -> None:
        self.x, self.scaling, self.batch_size, self.seeds = x, scaling, batch_size, list(seeds)
        self.view, self.labelled_size = view, labelled_size
        wanted = {"view": want_view, "x": augment_rows, "labelled": augment_labelled and labelled_size > 0}
        # Parts of a batch that are views → the rows that they are views of.
        self.viewed = {name: "x" if name == "view" else name for name, here in wanted.items() if here}
        self.first_epoch = first_epoch
        self.world, self.index, self.count = world, index, len(x) if index is None else len(index)
        self.steps_per_epoch = max(1, self.count // batch_size)
        rows = torch.from_numpy(np.stack(labelled)).to(x.device)  # (R, L)
        self.labelled = rows
        hidden = torch.full_like(labels, -1)
        visible = [hidden.scatter(0, own, labels[own]) for own in rows]
        self.labels = torch.stack(visible)  # (R, N)
        self.all_labels = labels
        self.models = torch.arange(len(self.seeds), device=x.device).unsqueeze(1)
        self._epoch, self._order = -1, torch.empty(0)

    def order(self, epoch: int) -> Tensor:
        """Data order of one epoch: (R, N) row numbers."""
        if epoch != self._epoch:
            orders = []
            for seed in self.seeds:
                generator = torch.Generator().manual_seed(seed * 1_000_003 + self.first_epoch + epoch)
                orders.append(torch.randperm(self.count, generator=generator))
            self._epoch, self._order = epoch, torch.stack(orders).to(self.x.device)
        return self._order

    def rows(self, step: int) -> Tensor:
        """Row numbers of this process's share of a batch: (R, B). Steps count from 0 over all epochs."""
        epoch, position = divmod(step, self.steps_per_epoch)
        rows = self.order(epoch)[:, position * self.batch_size : (position + 1) * self.batch_size]
        return rows.tensor_split(self.world.size, 1)[self.world.rank]

    def raw(self, rows: Tensor) -> Tensor:
        """Rows by number, in the file's units: (…) int64 → (…, D)."""
        return self.x[rows if self.index is None else self.index[rows]]

    def every(self, at_once: int = 1000) -> Iterator[Tensor]:
        """Yield all rows in the order of their numbers, as chunks (B, D) in the networks' units."""
        for some in torch.arange(self.count, device=self.x.device).split(at_once):
            yield self.scaling(self.raw(some))

    def labelled_sample(self, count: int) -> tuple[Tensor, Tensor]:
        """Up to ``count`` labelled rows of each model, (R, L, D) in the networks' units, and their labels, (R, L)."""
        chosen = np.linspace(0, self.labelled.shape[1] - 1, min(count, self.labelled.shape[1])).astype(np.int64)
        rows = self.labelled[:, torch.from_numpy(chosen).to(self.labelled.device)]
        return self.scaling(self.raw(rows)), self.all_labels[rows]

    def batch(self, rows: Tensor) -> Batch:
        """Make the batch of these rows, (R, B). Draws random numbers for views and for the choice of labelled rows."""
        wanted, targets, numbers = rows, None, {"x": rows}
        if self.labelled_size:
            shape = (len(self.seeds), self.labelled_size // self.world.size)
            some = self.world.draw(partial(torch.randint, self.labelled.shape[1]), shape, self.x.device)
            chosen = self.labelled.gather(1, some)
            wanted, targets = torch.cat([rows, chosen], 1), self.all_labels[chosen]
            numbers["labelled"] = chosen
        x, labelled = self.scaling(self.raw(wanted)).tensor_split([rows.shape[1]], 1)
        streams = {"x": x, "labelled": labelled} if self.labelled_size else {"x": x}
        if self.view is not None and self.viewed:
            seen = [streams[source] for source in self.viewed.values()]
            parts = [each.shape[1] for each in seen]
            views = self.view(torch.cat(seen, 1), parts, torch.cat([numbers[name] for name in self.viewed.values()], 1))
            streams |= dict(zip(self.viewed, views.split(parts, 1), strict=True))
        guide = None if self.guide is None else self.guide(streams.get("view", x))
        labels = self.labels[self.models, rows]
        return Batch(labels=labels, targets=targets, guide=guide, logit_adjustment=self.logit_adjustment, **streams)
