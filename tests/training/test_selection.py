"""Restarts are scored and one is kept; clusters get the names of classes."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from fitting import blobs, fit, tiny

from aae_cli import load, read, train_seeds
from aae_cli.config.resolve import resolve
from aae_cli.errors import TrainingError
from aae_cli.nn.encoder import Codes
from aae_cli.nn.scaling import Scaling
from aae_cli.training import selection
from aae_cli.training.engine import Engine
from aae_cli.training.selection import Selection, best_index
from aae_cli.training.splits import Splits, split


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


def test_the_best_finite_score_wins():
    assert best_index([0.1, 0.9, 0.4]) == 1
    assert best_index([-3.0, -1.0, -2.0]) == 1
    assert best_index([math.nan, 0.1, math.inf, 0.4]) == 3


@pytest.mark.parametrize("best", [0, 1, 2])
def test_the_restart_of_the_best_score_is_kept(tmp_path, monkeypatch, best):
    candidates = []

    def scores(self, found, neighbours):
        candidates.extend(found)
        return tuple(0.5 + (i == best) - 0.1 * i for i in range(3))

    monkeypatch.setattr(Selection, "_scores", scores)
    run = fit("gaussian", blobs(60), tmp_path / "run", "train.restarts=3")
    kept = load(run.folder, "cpu").model.state_dict()
    same = [all(torch.equal(kept[k], v) for k, v in one.model.state_dict().items()) for one in candidates]
    assert same == [i == best for i in range(3)]


def scored(model):
    """A selection that can only score, and rows to score on."""
    data = blobs(60)
    plan = SimpleNamespace(config=resolve("clustering"))
    reporter = SimpleNamespace(say=lambda text: None)
    return Selection("", plan, Splits(data, None, None), (), None, reporter)._scores(model, [None] * len(model))


def candidate(y=None, x_hat=None, cluster=None):
    """A model that gives q(y|x) of a row and of its view, a reconstruction, or clusters."""
    networks = SimpleNamespace(scaling=Scaling(4), classes=0 if y is None else 3)
    answers = iter([] if y is None else y)
    networks.encode = lambda rows: Codes(next(answers).log(), None)
    options = {"reconstruct": lambda x, labels: x_hat, "cluster": lambda x: (cluster, None)}
    return SimpleNamespace(model=networks, schema=blobs(3).schema, device=torch.device("cpu"), **options)


def test_scores_rank_better_models_higher(monkeypatch):
    """Without categories −‖x − x̂‖²; with them H(mean y) − CE(q(y|x), q(y|view)), as a share of log K."""
    x = blobs(60).x
    found = scored([candidate(x_hat=x + np.float32(each)) for each in (2, 0, 1)])
    assert found == pytest.approx((-16, 0, -4), rel=1e-2, abs=1e-2)

    monkeypatch.setattr(selection, "make_view", lambda *args: lambda x: x)
    monkeypatch.setattr(selection, "agreement", lambda clusterings: [0.0] * len(clusterings))
    sure = torch.eye(3)[torch.arange(60) % 3][None].clamp(min=1e-6)
    even, one = torch.full_like(sure, 1 / 3), torch.eye(3)[[0]].expand(1, 60, -1).clamp(min=1e-6)
    found = scored([candidate([each, each]) for each in (even, sure, one)])
    assert found == pytest.approx((0, 1, 0), abs=1e-3)
    (crossed,) = scored([candidate([sure, even])])  # a view of a row says nothing of its category
    assert crossed == pytest.approx(0, abs=1e-3)


def test_agreement_with_other_restarts_counts(monkeypatch):
    monkeypatch.setattr(selection, "_view_information", lambda *args: 0.5 * math.log(3))
    parts = np.arange(60) % 3
    apart = np.arange(60) // 20
    y = torch.ones(1, 60, 3)
    found = scored([candidate([y], cluster=each) for each in (parts, (parts + 1) % 3, apart)])
    assert found[0] == pytest.approx(found[1])
    assert found[0] == pytest.approx(0.5 + 0.5, abs=0.01) and found[2] == pytest.approx(0.5, abs=0.01)


def test_test_rows_are_for_measuring_only(tmp_path, monkeypatch):
    """Clusters are named and σ is chosen on validation rows, where there are test rows too."""
    named, measured = [], []
    name_clusters, evaluate = selection.name_clusters, selection.measure
    monkeypatch.setattr(selection, "name_clusters", lambda y, labels: named.append(labels) or name_clusters(y, labels))
    monkeypatch.setattr(
        selection,
        "measure",
        lambda model, rows, metrics, **options: (
            measured.append((rows, options["validation"])) or evaluate(model, rows, metrics, **options)
        ),
    )
    fit("clustering", "digits", tmp_path / "run", "data.validation=0.2", "code.y.classes=10", "train.restarts=1")
    expected = split(read("digits"), 0.2, resolve("clustering").train.seed).validation
    assert all(np.array_equal(labels, expected.labels) for labels in named) and named
    ((rows, validation),) = measured
    assert np.array_equal(rows.x, read("digits:test").x)
    assert np.array_equal(validation.x, expected.x)
