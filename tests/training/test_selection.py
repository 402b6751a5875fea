"""Restarts are scored and one is kept; clusters get the names of classes."""

import pytest
import torch
from fitting import blobs, fit, tiny

from aae_cli import load, train_seeds
from aae_cli.errors import TrainingError
from aae_cli.training.engine import Engine


class Said:
    """A reporter that keeps what it is told."""

    def __init__(self):
        self.lines = []

    def __getattr__(self, name):
        return lambda *values: self.lines.append(str(values[0])) if name in ("say", "warn") else None


@pytest.fixture
def diverging(monkeypatch):
    """Weights of some models become NaN before the first step."""
    spoilt = []

    def run(engine):
        with torch.no_grad():
            for value in engine.model.encoder.parameters():
                value[spoilt] = torch.nan
        whole(engine)

    whole = Engine.run
    monkeypatch.setattr(Engine, "run", run)
    return spoilt


def test_restarts_train_at_once_and_the_best_score_is_kept(tmp_path):
    data = blobs()
    run = fit("clustering", data, tmp_path / "run", "code.y.classes=3", "train.restarts=3", "train.epochs=15")
    assert len(run.scores) == 3
    state = (run.folder / "state.safetensors").stat().st_size
    model = load(run.folder, "cpu")
    assert model.model.models == 1
    assert state > 3 * (run.folder / "model.safetensors").stat().st_size
    assert len(set(run.scores)) == 3


def test_clusters_are_named_by_labels_though_they_never_saw_any(table):
    model = load(table.folder, "cpu")
    data = blobs(seed=1)
    assert 100 * (model.classify(data.x).argmax(1) != data.labels).mean() < 10
    assert table.metrics == {}  # nothing was held out


@pytest.mark.parametrize("preset", ["clustering", "semi-supervised", "gaussian"])
def test_a_restart_that_diverged_is_left_out(preset, tmp_path, diverging):
    diverging += [1]
    said = Said()
    own = ["code.y.classes=3"] if preset != "gaussian" else []
    own += ["data.labels=12"] if preset == "semi-supervised" else []
    run = fit(preset, blobs(), tmp_path / "run", *own, "train.restarts=3", reporter=said)
    assert "1 of 3 restarts diverged: left out" in said.lines
    assert len(run.scores) == 2
    assert all(value.isfinite().all() for value in load(run.folder, "cpu").model.state_dict().values())
    assert run.metrics


def test_a_seed_that_diverged_is_left_out(tmp_path, diverging):
    diverging += [1]
    said = Said()
    settings = [*tiny("gaussian"), "train.epochs=1", "train.min_steps=0", "train.restarts=1"]
    runs = train_seeds("gaussian", [3, 4, 5], blobs(), tmp_path / "run", settings, device="cpu", reporter=said)
    assert [run.seed for run in runs] == [3, 5]
    assert "every model of seed 4 diverged: left out" in said.lines


def test_it_is_an_error_if_every_model_diverges(tmp_path, diverging):
    diverging += [0, 1]
    with pytest.raises(TrainingError, match="no longer finite"):
        fit("gaussian", blobs(), tmp_path / "run", "train.restarts=2")


def test_it_is_said_whose_labels_named_the_clusters_and_which_rows_chose(tmp_path):
    said = Said()
    fit("clustering", blobs(100), tmp_path / "run", "code.y.classes=3", "train.restarts=2", reporter=said)
    assert "clusters are named after classes by the labels of 90 training rows, after training" in said.lines
    facts = load(tmp_path / "run", "cpu").header.training
    assert facts["held_out"] == "10 held-out rows, which also chose the restart (without their labels)"
