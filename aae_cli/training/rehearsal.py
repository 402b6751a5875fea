"""What a training costs, measured by a few of its steps before the first: for the time left, and for ``--time``."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from statistics import median

import torch

from ..data.types import Data
from ..device import threads
from ..distributed import ALONE
from ..output.reporter import Reporter, duration
from .engine import Callbacks
from .plan import Plan
from .stages import Stages
from .timeline import Timeline

STEPS = 8  # measured in each stage; the first, which prepares kernels and graphs, does not count
REST = 2.5  # seconds for saving, measuring and drawing after the last step
SHARE = 0.95  # of the time left, to plan for
MOST = 10  # times the epochs of the preset, beyond which training brings nothing


def step_seconds(stages: Stages) -> list[float]:
    """Measure the seconds of a step in each stage, with untrained models. Random numbers are left as they were."""
    found = []
    device = stages.plan.device
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        for number in range(len(stages.timeline.stages)):
            engine = stages.build(number, Callbacks()).engine
            seconds = []
            for _ in range(STEPS):
                started = time.perf_counter()
                engine.advance()
                if device.type == "cuda":
                    torch.cuda.synchronize(device)
                seconds.append(time.perf_counter() - started)
            found.append(median(seconds[1:]))
    return found


def work_until(timeline: Timeline, seconds: list[float]) -> Callable[[int], float]:
    """The cost of the first N steps of a training, as a function of N, from that of a step in each stage."""

    def cost(step: int) -> float:
        total = 0.0
        for number, each in enumerate(seconds):
            total += each * min(max(step - timeline.steps_before(number), 0), timeline.steps_of(number))
        return total

    return cost


def planned_within(
    plan: Plan, replan: Callable[[int], Plan], rows: Data, left: Callable[[], float]
) -> tuple[Plan, str]:
    """Plan as many epochs as fit into a time. Longer trainings may have wider layers, whose steps are measured anew.

    Args:
        plan: the plan without a limit of time.
        replan: plans a number of epochs.
        rows: the training rows.
        left: seconds left, in which training and everything after it must be done.

    Returns:
        the new plan, and a note for the user.
    """
    usual = int(plan.config.train.epochs)
    for _ in range(2):
        timeline, hidden = Timeline.of(plan.config, len(rows)), plan.config.encoder.hidden
        with threads(plan.threads):
            seconds = step_seconds(Stages(plan, timeline, rows, ALONE, Reporter()))
        each = work_until(timeline, seconds)(timeline.steps) / int(plan.config.train.epochs)
        fitting = math.floor((left() * SHARE - REST) / each)
        epochs = max(timeline.fewest_epochs, min(MOST * usual, fitting))
        plan = replan(epochs)
        if plan.config.encoder.hidden == hidden:
            break
    if fitting < epochs:
        return plan, f"{epochs} epochs, the fewest possible, take about {duration(epochs * each)}, more than there is"
    reason = ", as longer training brings nothing" if epochs < fitting else ""
    return plan, f"training for {epochs} epochs, about {duration(epochs * each)}{reason}"
