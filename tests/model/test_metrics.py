"""Measurements, against values known by hand."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from aae_cli import load, read
from aae_cli.data.types import Data, Schema
from aae_cli.model import metrics
from aae_cli.model.metrics import (
    Context,
    _probe,
    agreement,
    component_accuracy,
    log_likelihood,
    name_clusters,
)
from aae_cli.nn.priors import Mixture


def test_the_surest_labelled_row_names_a_cluster():
    y = np.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8], [0.3, 0.7], [0.05, 0.95]])
    labels = np.array([3, 1, 4, 2, -1])  # the surest row of cluster 1 is unlabelled: it cannot name it
    assert name_clusters(y, labels).tolist() == [3, 4]
    assert name_clusters(y, np.full(5, -1)).tolist() == [-1, -1]


def test_clusterings_that_others_share_agree_most():
    one = np.repeat([0, 1, 2], 18)
    renamed, unlike = np.array([2, 0, 1])[one], np.tile([0, 1, 2], 18)
    assert agreement([one, renamed, unlike]) == pytest.approx([0.5, 0.5, 0.0], abs=1e-6)
    assert agreement([one, renamed]) == pytest.approx([1.0, 1.0])
    assert agreement([one, np.zeros(54), np.zeros(54), renamed]) == pytest.approx([1 / 3, 0, 0, 1 / 3])


def test_a_probe_finds_what_is_there_and_nothing_else():
    random = np.random.default_rng(0)
    same = random.normal(size=(2000, 3)).astype(np.float32)
    sides = np.repeat([0, 1], 1000)
    assert abs(_probe(same, sides, 0) - 50) < 6
    shifted = same + 3 * sides[:, None]
    assert _probe(shifted, sides, 0) > 95
    ring = same * (1 + 4 * sides[:, None])  # no linear boundary
    assert _probe(ring, sides, 0) > 80


def test_codes_on_threads_inside_the_prior_do_not_pass_for_it():
    random = np.random.default_rng(0)
    prior = random.normal(size=(1500, 2)) * [1.0, 0.2]
    which = np.repeat([0, 1], 1500)
    threads, fits = (random.normal(size=(1500, 2)) * [1.0, width] for width in (0.01, 0.2))
    told = [_probe(np.concatenate([codes, prior]), which, 0, 5) for codes in (threads, fits)]
    assert told[0] > 70
    assert told[1] == pytest.approx(50, abs=5)


def test_component_accuracy_is_that_of_drawn_codes():
    labels = np.arange(2000) % 2
    centres = np.array([[0.5, 0], [-0.5, 0]], np.float32)[labels]  # components 0 and 1 lie right and left of 0
    rows = Data(centres, Schema("table", (2,)), labels)

    def z(x, draw=False):
        return x + 0.5 * torch.randn(x.shape).numpy() if draw else x

    model = SimpleNamespace(z=z, prior_z=Mixture(components=2), classes=None)
    found = [component_accuracy(Context(model, rows, None, samples=0, seed=3))["component-accuracy"] for _ in range(2)]
    assert found[0] == found[1]
    assert found[0] == pytest.approx(84.13, abs=1.2)  # one std away from the boundary: the normal quantile of 1


def test_the_parzen_width_is_chosen_on_rows_from_all_over_the_validation_rows(semi, monkeypatch):
    model, data = load(semi.folder, "cpu"), read("digits")
    validation = data[np.argsort(data.labels, kind="stable")]  # as files often are
    seen = []
    score = metrics.parzen_log_likelihood
    monkeypatch.setattr(metrics, "parzen_log_likelihood", lambda draws, x, s: seen.append(x) or score(draws, x, s))
    monkeypatch.setattr(metrics, "PARZEN_HELD_OUT_ROWS", 50)
    log_likelihood(Context(model, read("digits:test"), validation, samples=20, seed=0))
    labels = [np.flatnonzero((validation.x / 16 == row.numpy()).all(1))[0] for row in seen[0]]
    assert len(set(validation.labels[labels].tolist())) == 10
