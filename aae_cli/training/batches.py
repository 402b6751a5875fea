"""Training rows, whole in memory on the training device, dealt out as batches without any per-row Python."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor

from ..distributed import ALONE, World
from ..nn.scaling import Scaling
from ..objective.terms import Batch
from ..objective.views import View


class Batches:
    """Batches for R models, each with a data order of its own that follows from its seed and the epoch alone.

    Args:
        x: (N, D) uint8 or float32, in the file's units, on the device that trains.
        labels: (N,) int64 on the same device, −1 for unlabelled.
        labelled: for each model, the row numbers whose labels it may see.
        batch_size: rows in a batch; an epoch has N // batch_size batches.
        labelled_size: rows of the semi-supervised phase in a batch, 0 for none.
        view: makes second views; ``augment_labelled`` passes the labelled rows through it as well.
        want_view: whether batches carry a second view of x.
        augment_rows: whether x itself is a view.
        seeds: one a model.
        world: processes that share each batch; the sizes above are of the whole batch.
        index: (N,) which rows of x are meant, where x is mapped from a file and holds others too; None for all.

    Attributes:
        linear: x (R, B, D) → probabilities (R, B, K) that batches carry along, where it is set.
        logit_adjustment: (R, 1, K) that batches carry along as it is.
    """

    linear: Callable[[Tensor], Tensor] | None = None
    logit_adjustment: Tensor | None = None

    def __init__(
        self,
        x: Tensor,
        labels: Tensor,
        labelled: Sequence[np.ndarray],
        scaling: Scaling,
        *,
        batch_size: int,
        seeds: Sequence[int],
        labelled_size: int = 0,
        view: View | None = None,
        want_view: bool = False,
        augment_labelled: bool = False,
        augment_rows: bool = False,
        world: World = ALONE,
        index: Tensor | None = None,
    ) -> None:
        self.x, self.scaling, self.batch_size, self.seeds = x, scaling, batch_size, list(seeds)
        self.view, self.labelled_size = view, labelled_size
        wanted = {"view": want_view, "x": augment_rows, "labelled": augment_labelled and labelled_size > 0}
        # Part of a batch that is a view → the rows that it is a view of.
        self.viewed = {name: "x" if name == "view" else name for name, here in wanted.items() if here}
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
        """(R, N) row numbers in the order of one epoch."""
        if epoch != self._epoch:
            orders = []
            for seed in self.seeds:
                generator = torch.Generator().manual_seed(seed * 1_000_003 + epoch)
                orders.append(torch.randperm(self.count, generator=generator))
            self._epoch, self._order = epoch, torch.stack(orders).to(self.x.device)
        return self._order

    def rows(self, step: int) -> Tensor:
        """(R, B) row numbers of one step, counted from 0 over the whole training: this process's share of them."""
        epoch, position = divmod(step, self.steps_per_epoch)
        rows = self.order(epoch)[:, position * self.batch_size : (position + 1) * self.batch_size]
        return rows.tensor_split(self.world.size, 1)[self.world.rank]

    def raw(self, rows: Tensor) -> Tensor:
        """Rows by number, in the file's units."""
        return self.x[rows if self.index is None else self.index[rows]]

    def every(self, at_once: int = 1000) -> Iterator[Tensor]:
        """All rows in the order of their numbers, (B, D) at a time, in the networks' units."""
        for some in torch.arange(self.count, device=self.x.device).split(at_once):
            yield self.scaling(self.raw(some))

    def labelled_sample(self, count: int) -> tuple[Tensor, Tensor]:
        """At most so many labelled rows of each model, (R, L, D) in the networks' units, and their labels, (R, L)."""
        chosen = np.linspace(0, self.labelled.shape[1] - 1, min(count, self.labelled.shape[1])).astype(np.int64)
        rows = self.labelled[:, torch.from_numpy(chosen).to(self.labelled.device)]
        return self.scaling(self.raw(rows)), self.all_labels[rows]

    def batch(self, rows: Tensor) -> Batch:
        """The batch of these rows. Draws random numbers where there are views, or labelled rows."""
        wanted, targets, numbers = rows, None, {"x": rows}
        if self.labelled_size:
            shape = (len(self.seeds), self.labelled_size // self.world.size)
            some = self.world.draw(partial(torch.randint, self.labelled.shape[1]), shape, self.x.device)
            chosen = self.labelled.gather(1, some)
            wanted, targets = torch.cat([rows, chosen], 1), self.all_labels[chosen]
            numbers["labelled"] = chosen
        x, labelled = self.scaling(self.raw(wanted)).tensor_split([rows.shape[1]], 1)
        linear = None if self.linear is None else self.linear(x)
        streams = {"x": x, "labelled": labelled} if self.labelled_size else {"x": x}
        if self.view is not None and self.viewed:
            seen = [streams[source] for source in self.viewed.values()]
            parts = [each.shape[1] for each in seen]
            views = self.view(torch.cat(seen, 1), parts, torch.cat([numbers[name] for name in self.viewed.values()], 1))
            streams |= dict(zip(self.viewed, views.split(parts, 1), strict=True))
        labels = self.labels[self.models, rows]
        return Batch(labels=labels, targets=targets, linear=linear, logit_adjustment=self.logit_adjustment, **streams)
