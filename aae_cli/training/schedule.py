"""Length of a training, and the schedule of its learning rates."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Schedule:
    """Length of training and schedule of the learning rates.

    Attributes:
        drops: epochs after which the rates are divided by 10.
        decay: share of training after which the rates decrease linearly to 0; 1 for never.
        warmup: share of training in which the rates increase linearly from 0.
    """

    epochs: int
    steps_per_epoch: int
    drops: tuple[int, ...] = ()
    decay: float = 1.0
    warmup: float = 0.0

    @property
    def steps(self) -> int:
        return self.epochs * self.steps_per_epoch

    def shortened(self, step: int) -> int:
        """The step to go on from, so that the phase in which rates fall is shortened as much as the one before it.

        It is a step at which the rates, having been skipped, are as far from the end as the shortened phase is long.
        """
        share = max(self.decay, 0.5)
        return max(step, self.steps - math.ceil(step * (1 - share) / share))

    def factor(self, step: int) -> float:
        """Factor of the learning rates at a step."""
        epoch = step // self.steps_per_epoch
        factor = 0.1 ** sum(epoch >= drop for drop in self.drops)
        progress = step / self.steps
        if progress < self.warmup:
            factor *= (step + 1) / (self.steps * self.warmup)
        if progress > self.decay:
            factor *= (1 - progress) / (1 - self.decay)
        return factor
