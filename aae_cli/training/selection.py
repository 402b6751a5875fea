"""Which of a seed's models is kept, what its categories are called, and how good it is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Run:
    """A finished training.

    Attributes:
        folder: the run folder, which is the checkpoint.
        seed: what it started from.
        metrics: measured on held-out rows.
        scores: the label-free score of each restart, higher is better; empty for one model.
        seconds: of training, of all seeds that were trained together.
    """

    folder: Path
    metrics: dict[str, float]
    scores: tuple[float, ...] = ()
    seed: int = 0
    seconds: float = 0.0
