"""Samples of a table that meet conditions: by drawing, steering and checking, never endless.

Rows are drawn from the prior, and those that meet all conditions are kept, which is exact. Where these are too rare, rows
are steered: the cells under a condition are set, the row is encoded and drawn anew from its code, and again, so that the
other cells follow (Rezende, Mohamed & Wierstra 2014, appendix F). What is kept has always been drawn, and is checked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from ..errors import AaeError, UsageError
from ..text import clean
from .conditions import Condition, parse
from .sampling import Sampler, Samples

DRAWS, DRAWS_PER_ROW = 20_000, 200
"""At most so many rows are drawn, and so many more for each one that is found."""

ROUND = 1024
"""Number of rows that are drawn at once."""

SWEEPS, MOST_SWEEPS = 3, 12
"""How often a row is steered before it may be kept, and after how often a new row takes its place."""

ENOUGH, NEAREST = 5, 8
"""Rows that must be found unsteered for cells to be set as in these; else, to the nearest of so many possible values."""


@dataclass(frozen=True)
class Found:
    """Rows that meet the conditions.

    Attributes:
        samples: the rows, at least one and at most as many as were wanted.
        wanted: how many were wanted.
        draws: number of rows that were drawn.
        steered: number of the rows that were found by steering.
    """

    samples: Samples
    wanted: int
    draws: int
    steered: int

    @property
    def summary(self) -> str:
        """One line such as: found 37 of 100 rows in 20,000 draws."""
        line = f"found {len(self.samples.x):,} of {self.wanted:,} rows in {self.draws:,} draws"
        return f"{line}, {self.steered:,} of them by steering" if self.steered else line


def search(
    sampler: Sampler,
    label: str | None,
    n: int,
    where: Sequence[str],
    labels: Sequence[int | str] = (),
    clusters: Sequence[int] = (),
    generator: torch.Generator | None = None,
) -> Found:
    """Draw n rows that meet all conditions.

    Args:
        label: name of the label column; None without labels.
        where: conditions, such as ``age>60``.
        labels, clusters, generator: as in :meth:`Autoencoder.sample`.

    Raises:
        UsageError, CheckpointError: what ``parse`` and ``sample`` raise.
        AaeError: no row was found.
    """
    conditions, classes = parse(where, sampler.abilities.header.schema, label)
    if classes is not None:
        if labels or clusters:
            raise UsageError(f"--where on {clean(label)} excludes --label and --cluster", "give one of them")
        if not classes:
            raise UsageError(f"no class meets all conditions on {clean(label)}")
        labels = classes
    return _Search(sampler, conditions, n, labels, clusters, generator).run()


class _Search:
    """One search.

    Attributes:
        kept: what was found, piece by piece.
        exact: (M, D) rows of it that were not steered.
        pools: position of each column under a condition → cells of draws that meet the conditions on it.
    """

    def __init__(
        self,
        sampler: Sampler,
        conditions: Sequence[Condition],
        n: int,
        labels: Sequence[int | str],
        clusters: Sequence[int],
        generator: torch.Generator | None,
    ) -> None:
        self.sampler, self.conditions, self.n = sampler, conditions, n
        self.labels, self.clusters, self.generator = labels, clusters, generator
        self.schema = sampler.abilities.header.schema
        self.chosen = bool(labels or clusters)
        self.draws = self.found = self.steered = 0
        self.kept: list[Samples] = []
        self.exact = np.zeros((0, self.schema.size), np.float32)
        self.pools: dict[int, np.ndarray] = {each.at: np.zeros(0, np.float32) for each in conditions}
        self.random = np.random.default_rng(int(torch.randint(2**31 - 1, (), generator=generator)))

    @property
    def left(self) -> int:
        """Number of draws that are left."""
        return DRAWS + DRAWS_PER_ROW * self.found - self.draws

    def run(self) -> Found:
        while self.found < self.n and self.left > 0:
            if self.draws >= DRAWS / 2 and DRAWS_PER_ROW * self.found < self.draws:
                self._steer()
                break
            self._draw(ROUND)
        if not self.kept:
            conditions = " and ".join(each.text for each in self.conditions)
            raise AaeError(f"none of {self.draws:,} draws meets {conditions}", "ask for fewer or wider conditions")
        return Found(_joined(self.kept), self.n, self.draws, self.steered)

    def _draw(self, count: int) -> Samples:
        """Draw from the prior, keep what meets all conditions, and remember values that meet those on their column."""
        count = min(count, self.left)
        rows = self.sampler.sample(count, self.labels, self.clusters, self.generator)
        self.draws += count
        for at, pool in self.pools.items():
            own = rows.x[:, at]
            self.pools[at] = np.concatenate([pool, own[self._met(rows.x, at)]])[:ROUND]
        self.exact = np.concatenate([self.exact, rows.x[self._keep(rows, self._met(rows.x))]])
        return rows

    def _met(self, x: np.ndarray, at: int | None = None) -> np.ndarray:
        """Which rows meet all conditions, or all of those on one column."""
        met = np.ones(len(x), bool)
        for each in self.conditions:
            if at in (None, each.at):
                met &= each.met(x[:, each.at])
        return met

    def _keep(self, rows: Samples, own: np.ndarray) -> np.ndarray:
        """Keep rows among those that are marked, as many as are still wanted; their numbers."""
        index = np.flatnonzero(own)[: self.n - self.found]
        if len(index):
            self.kept.append(_picked(rows, index))
            self.found += len(index)
        return index

    def _steer(self) -> None:
        """Set the cells under conditions, encode and draw anew, until a row is kept or given up and another one follows."""
        rows = self._draw(min(ROUND, max(64, 2 * (self.n - self.found))))
        sweeps = np.zeros(len(rows.x), np.int64)
        while self.found < self.n and self.left >= len(rows.x):
            rows = self.sampler.redraw(self._set_cells(rows.x), rows.category, self.chosen, self.generator)
            self.draws += len(rows.x)
            sweeps += 1
            kept = self._keep(rows, (sweeps >= SWEEPS) & self._met(rows.x))
            self.steered += len(kept)
            done = np.union1d(kept, np.flatnonzero(sweeps >= MOST_SWEEPS)).astype(np.int64)
            if len(done) and self.found < self.n and self.left > 0:
                new = self._draw(len(done))
                done = done[: len(new.x)]
                rows, sweeps[done] = _replaced(rows, done, new), 0

    def _set_cells(self, x: np.ndarray) -> np.ndarray:
        """Give the cells under a condition values that meet it, in rows that miss one: those of a row that was found without
        steering, or values near the row's own."""
        x, missed = x.copy(), np.flatnonzero(~self._met(x))
        if len(self.exact) >= ENOUGH:
            source = self.random.integers(len(self.exact), size=len(missed))
            for at in self.pools:
                x[missed, at] = self.exact[source, at]
            return x
        for at, pool in self.pools.items():
            own = missed[~self._met(x[missed], at)]
            values = pool if len(pool) else self._candidates(x, at)
            if len(own) and len(values):
                some = self.random.choice(values, (len(own), 1 if self._is_category(at) else NEAREST))
                nearest = np.abs(some - x[own, at, None]).argmin(1)
                x[own, at] = some[np.arange(len(own)), nearest]
        return x

    def _is_category(self, at: int) -> bool:
        return self.schema.mixed is not None and self.schema.mixed[at].kind == "category"

    def _candidates(self, x: np.ndarray, at: int) -> np.ndarray:
        """Values that meet the conditions on a column, though no draw did: the possible ones nearest to the draws."""
        column = self.schema.mixed[at] if self.schema.mixed is not None else None
        own = [each for each in self.conditions if each.at == at]
        if column is not None and self._is_category(at):
            values = np.arange(len(column.levels), dtype=np.float32)
        else:
            cells = x[:, at].astype(np.float64)
            low, high = min(cells.min(), *(c.value for c in own)), max(cells.max(), *(c.value for c in own))
            if column is not None:
                low, high = column.low, column.high
            elif self.schema.smallest is not None and self.schema.largest is not None:
                low, high = self.schema.smallest[at], self.schema.largest[at]
            grid = np.concatenate([np.linspace(low, high, 1001), [each.value for each in own]])
            grid = column.nearest(grid) if column is not None else grid
            grid = grid[np.argsort(np.abs(grid - np.median(cells)), kind="stable")]
            values = grid.astype(np.float32)
        met = np.ones(len(values), bool)
        for each in own:
            met &= each.met(values)
        return values[met] if self._is_category(at) else values[met][:50]


def _picked(rows: Samples, index: np.ndarray) -> Samples:
    labels = None if rows.labels is None else rows.labels[index]
    return replace(rows, x=rows.x[index], labels=labels, category=rows.category[index])


def _replaced(rows: Samples, index: np.ndarray, new: Samples) -> Samples:
    x, category = rows.x.copy(), rows.category.copy()
    x[index], category[index] = new.x, new.category
    labels = rows.labels
    if labels is not None and new.labels is not None:
        labels = labels.copy()
        labels[index] = new.labels
    return replace(rows, x=x, labels=labels, category=category)


def _joined(parts: Sequence[Samples]) -> Samples:
    labels = [part.labels for part in parts if part.labels is not None]
    return replace(
        parts[0],
        x=np.concatenate([part.x for part in parts]),
        labels=np.concatenate(labels) if labels else None,
        category=np.concatenate([part.category for part in parts]),
    )
