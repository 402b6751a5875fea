"""Training that skips ahead once the objective on held-out rows no longer improves (``train.patience``)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch

from ..data.types import Data
from ..distributed import World
from ..objective.phases import Objective
from ..objective.terms import Batch
from .batches import Batches

CHECKS = 50  # of a whole stage
LEAST = 1e-3  # relative improvement that counts
ROWS = 1000  # held-out rows at most


@dataclass
class Patience:
    """Checks of an objective that should fall.

    Attributes:
        limit: number of checks without an improvement after which it has run out.
        every: steps between checks.
        measure: the objective.
        best: its lowest value so far. waited: checks since then. last: its value at the last check.
    """

    limit: int
    every: int
    measure: Callable[[], float]
    best: float = math.inf
    waited: int = 0
    last: float | None = None

    def runs_out(self, step: int) -> bool:
        """Check after a step, if a check is due: whether there were ``limit`` checks in a row without an improvement."""
        if step % self.every:
            return False
        self.last = value = self.measure()
        better = value < self.best - LEAST * abs(self.best) if math.isfinite(self.best) else math.isfinite(value)
        self.best, self.waited = (value, 0) if better else (self.best, self.waited + 1)
        return self.waited >= self.limit


def held_out_objective(
    objective: Objective, batches: Batches, rows: Data, seed: int, world: World
) -> Callable[[], float]:
    """The mean over models of the terms that need neither labels nor adversaries, on up to ROWS held-out rows.

    Their views are the same at each call, and random numbers of the training are left as they were.
    """
    some = rows.evenly_spaced(ROWS)
    x = batches.scaling(torch.from_numpy(some.x).to(batches.x.device)).expand(len(batches.seeds), -1, -1)
    labels = torch.full(x.shape[:2], -1, device=x.device)

    def measure() -> float:
        with torch.random.fork_rng(devices=[x.device] if x.device.type == "cuda" else []):
            torch.manual_seed(seed)
            view = batches.view(x) if batches.view is not None and objective.needs_view else None
            guide = None if batches.guide is None else batches.guide(x if view is None else view)
            value = objective.held_out(Batch(x, labels, view, guide=guide))
        return float(world.of_main(value))

    return measure
