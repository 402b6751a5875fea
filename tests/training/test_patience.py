"""Training skips ahead once its objective on held-out rows stands still, and does so again when it is resumed."""

import json

import pytest
import torch
from fitting import fit

from aae_cli import load, read
from aae_cli.errors import Interrupted
from aae_cli.output.reporter import Reporter
from aae_cli.training.engine import Engine
from aae_cli.training.patience import Patience
from aae_cli.training.schedule import Schedule

SETTINGS = ["code.y.classes=4", "train.epochs=40", "train.batch_size=50", "data.validation=0.2", "train.patience=2"]
SETTINGS += ["phases.style=null"]


class Notes(Reporter):
    def __init__(self):
        self.said = []

    def say(self, text):
        self.said.append(text)


def test_patience_runs_out_after_checks_without_an_improvement():
    values = iter([3.0, 2.0, 1.9999, 2.5, 1.0, 1.0, 1.0])
    patience = Patience(2, 10, lambda: next(values))
    asked = [(step, patience.runs_out(step)) for step in range(1, 71)]
    assert [step for step, out in asked if out] == [40, 70]
    assert (patience.best, patience.waited) == (1.0, 2)


@pytest.mark.parametrize(
    ("decay", "step", "later"), [(0.5, 30, 70), (0.5, 50, 50), (0.8, 40, 90), (0.0, 20, 80), (1.0, 30, 100)]
)
def test_the_fall_of_the_rates_is_shortened_as_much_as_what_came_before(decay, step, later):
    assert Schedule(10, 10, decay=decay).shortened(step) == later


def test_steps_are_skipped_and_told(tmp_path):
    notes = Notes()
    run = fit("clustering", read("digits")[:300], tmp_path / "run", *SETTINGS, reporter=notes)
    skipped = [text for text in notes.said if "no longer improves" in text]
    assert skipped and "steps are skipped at step" in skipped[0]
    lines = [json.loads(line) for line in (run.folder / "metrics.jsonl").read_text().splitlines()]
    assert lines[-1]["step"] == 160


def test_a_resumed_run_skips_the_same_steps(tmp_path, monkeypatch):
    data = read("digits")[:300]
    whole = Notes()
    expected = load(fit("clustering", data, tmp_path / "whole", *SETTINGS, reporter=whole).folder, "cpu")
    skip = Engine._skip_ahead
    monkeypatch.setattr(Engine.__init__, "__kwdefaults__", {**Engine.__init__.__kwdefaults__, "save_every": 0.0})
    stopping = [True]

    def interrupted(self, patience):
        skip(self, patience)
        if stopping and self.step == 6:
            stopping.clear()
            self.callbacks.save(self)
            raise Interrupted("stopped", "", 2)

    monkeypatch.setattr(Engine, "_skip_ahead", interrupted)
    with pytest.raises(Interrupted):
        fit("clustering", data, tmp_path / "run", *SETTINGS)
    again = Notes()
    got = load(fit("clustering", data, tmp_path / "run", *SETTINGS, resume=True, reporter=again).folder, "cpu")
    told = [[text for text in notes.said if "no longer improves" in text] for notes in (whole, again)]
    assert told[0] and told[0] == told[1]
    weights = got.model.state_dict()
    assert all(torch.equal(value, weights[name]) for name, value in expected.model.state_dict().items())
