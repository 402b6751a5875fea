"""What training costs is measured before it starts: the time left, and the epochs that fit into a time."""

import pytest
import torch

from aae_cli import read
from aae_cli.config.resolve import resolve
from aae_cli.distributed import ALONE
from aae_cli.output.reporter import PlainReporter, Reporter
from aae_cli.training import rehearsal
from aae_cli.training.plan import Timeline, plan_training
from aae_cli.training.rehearsal import planned_within, step_seconds, work_until
from aae_cli.training.splits import split
from aae_cli.training.stages import Stages

SETTINGS = ["code.y.classes=4", "train.min_steps=0", "train.batch_size=50", "encoder.hidden=[16,8]"]


def planned(epochs: int = 20):
    config = resolve("clustering", [*SETTINGS, f"train.epochs={epochs}"])
    splits = split(read("digits")[:200], 0, 0)
    return plan_training(config, splits, "cpu", given=frozenset({"train.epochs"})), splits.train


def test_steps_are_measured_without_using_random_numbers():
    plan, rows = planned()
    stages = Stages(plan, Timeline.of(plan.config, len(rows)), rows, ALONE, Reporter())
    before = torch.get_rng_state()
    seconds = step_seconds(stages)
    assert torch.equal(torch.get_rng_state(), before)
    assert len(seconds) == 3 and min(seconds) > 0


def test_each_stage_costs_its_own():
    plan, rows = planned()
    timeline = Timeline.of(plan.config, len(rows))
    assert [timeline.steps_of(stage) for stage in range(3)] == [40, 40, 64]
    cost = work_until(timeline, [1.0, 3.0, 0.5])
    assert [cost(step) for step in (0, 10, 40, 50, 80, 144)] == [0, 10, 40, 70, 160, 192]


def test_time_left_is_that_of_the_steps_left(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("aae_cli.output.reporter.time.monotonic", lambda: now[0])
    reporter = PlainReporter()
    reporter.start("", 80, 0, lambda step: min(step, 40) + 3 * max(step - 40, 0))
    now[0] = 10.0
    assert reporter._left({"step": 20}, 80) == "70 s left"  # of 160 units, 20 took 10 s


@pytest.mark.parametrize(
    ("seconds", "epochs", "note"),
    [
        (100.0, 23, "training for 23 epochs, about 2 min"),
        (10_000.0, 200, "longer training brings nothing"),
        (3.0, 2, "the fewest possible"),
    ],
)
def test_as_many_epochs_as_fit(monkeypatch, seconds, epochs, note):
    """An epoch of 4 steps takes 4 s: 95 % of the time, less what comes after the last step, is left for them."""
    monkeypatch.setattr(rehearsal, "step_seconds", lambda stages: [1.0, 1.0, 0.0])
    plan, rows = planned()
    longer, said = planned_within(plan, lambda n: planned(n)[0], rows, lambda: seconds)
    assert longer.config.train.epochs == epochs
    assert note in said


def test_wider_layers_of_a_longer_training_are_measured_too(monkeypatch):
    """Twice as wide, at four times the cost: fewer epochs fit, which then have the narrow layers again."""
    config = resolve("clustering", ["code.y.classes=4", "train.min_steps=0", "train.batch_size=50"])
    splits = split(read("digits")[:200], 0, 0)

    def plan_of(epochs):
        shorter = config.model_copy(update={"train": config.train.model_copy(update={"epochs": epochs})})
        return plan_training(shorter, splits, "cpu", given=frozenset({"train.epochs"}))

    widths = []

    def seconds(stages):
        widths.append(stages.plan.config.encoder.hidden[0])
        return [0.001 * widths[-1] / 256, 0.001 * widths[-1] / 256]

    monkeypatch.setattr(rehearsal, "step_seconds", seconds)
    plan, _ = planned_within(plan_of(600), plan_of, splits.train, lambda: 25.0)
    assert plan.config.train.epochs == 2656 and plan.config.encoder.hidden == (256, 256)
    assert widths == [256, 512]
