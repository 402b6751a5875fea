"""Measurements, against values known by hand."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from aae_cli import Data, load, read
from aae_cli.data.types import Schema
from aae_cli.model import metrics
from aae_cli.model.metrics import (
    Context,
    _probe,
    agreement,
    classification_error,
    cluster_agreement,
    cluster_error,
    component_accuracy,
    log_likelihood,
    name_clusters,
    neighbour_accuracy,
    prior_fit,
    reconstruction_error,
    style_leakage,
)
from aae_cli.nn.priors import Gaussian, Mixture
from aae_cli.nn.scaling import Scaling


def context(x, labels=None, validation=None, samples=1, scale=1.0, **answers) -> Context:
    """Rows of a table, and a model that answers as told. Labels are a, b, c, …"""
    x = np.asarray(x, np.float32)
    schema = Schema("table", (x.shape[1],), classes=None if labels is None else tuple("abcdefgh"))
    rows = Data(x, schema, None if labels is None else np.asarray(labels))
    other = None if validation is None else Data(np.asarray(validation, np.float32), schema)
    scaling = Scaling(x.shape[1])
    scaling.scale.fill_(scale)
    networks = SimpleNamespace(scaling=scaling, classes=99)
    model = SimpleNamespace(model=networks, classes=(), schema=schema, device=torch.device("cpu"), **answers)
    return Context(model, rows, other, samples, seed=0)


def first(x: np.ndarray) -> np.ndarray:
    """The first column, as whole numbers."""
    return x[:, 0].astype(np.int64)


def coded(x: np.ndarray, draw: bool = False) -> np.ndarray:
    """A code that is the row itself."""
    return x


def test_reconstruction_error_of_a_known_offset():
    labels = np.arange(3000) // 1500  # the second half is wrong by 2 in the networks' units, in each of two columns
    c = context(np.zeros((3000, 2)), labels, scale=5.0, reconstruct=lambda x, own: x + 10 * own[:, None].astype("f4"))
    assert reconstruction_error(c)["reconstruction-error"] == pytest.approx((0 + 0.5 * (4 + 4)) / 2)


def test_error_rates_of_known_answers():
    x, labels = [[0], [1], [1], [2], [0]], [0, 1, 2, 2, -1]
    c = context(x, labels, classify=lambda x: np.eye(3)[first(x)])
    assert classification_error(c)["classification-error"] == pytest.approx(25)  # the third of four labelled rows
    c = context(x, labels, cluster=lambda x: (first(x), None), cluster_labels=np.array([0, 2, -1]))
    assert cluster_error(c)["cluster-error"] == pytest.approx(50)  # the second and the fourth


def test_agreement_of_known_clusters():
    """Contingency table [[2, 1], [0, 3]]: the values are worked out by hand."""
    c = context([[5], [5], [7], [7], [7], [7], [3]], [0, 0, 0, 1, 1, 1, -1], cluster=lambda x: (first(x), None))
    found = cluster_agreement(c)
    mutual = math.log(2) / 3 + math.log(1 / 2) / 6 + math.log(3 / 2) / 2
    entropies = math.log(2), math.log(3) - 2 / 3 * math.log(2)
    assert found["nmi"] == pytest.approx(mutual / (sum(entropies) / 2))
    assert found["ari"] == pytest.approx((4 - 6 * 7 / 15) / ((6 + 7) / 2 - 6 * 7 / 15))
    assert found["hungarian-accuracy"] == pytest.approx(100 * 5 / 6)
    assert found["clusters-used"] == 2


def test_neighbour_accuracy_is_that_of_the_representation():
    random = np.random.default_rng(0)
    labels = np.arange(400) % 2
    x = random.normal(size=(400, 2)) + 20 * labels[:, None]
    apart = neighbour_accuracy(context(x, labels, embed=lambda x: x))
    assert apart["neighbour-accuracy"] == pytest.approx(100)
    mixed = neighbour_accuracy(context(x, labels, embed=lambda x: x - 20 * (x > 10)))
    assert mixed["neighbour-accuracy"] == pytest.approx(50, abs=12)
    assert neighbour_accuracy(context(x[:9], labels[:9], embed=lambda x: x)) == {}  # a class of four rows


def test_prior_fit_of_known_codes():
    random = np.random.default_rng(0)
    z = random.normal(size=(1200, 2)).astype(np.float32)
    half = z + 20 * (np.arange(1200) % 2)[:, None]
    # Of codes and prior samples, a quarter is plainly a code; of the rest, two thirds are prior samples.
    for codes, expected, margin in ((z, 0.5, 0.06), (z + 5, 1.0, 0.02), (half, 0.75, 0.06)):
        found = prior_fit(context(codes, z=coded, prior_z=Gaussian(2)))["prior-fit"]
        assert found == pytest.approx(expected, abs=margin)
    threads = z * [1.0, 0.0] + [0.0, 1.0] * np.sign(z)  # lines in the prior, which only neighbours tell from it
    assert prior_fit(context(threads, z=coded, prior_z=Gaussian(2)))["prior-fit"] > 0.9


def test_style_leakage_of_known_codes():
    random = np.random.default_rng(0)
    labels = np.array([0, 0, 0, 0, 0, 1, 1, 1, 2, 2] * 100)  # 50, 30 and 20 %
    z = random.normal(size=(1000, 3))
    cases = ((z, 50, 7), (z + 9 * (labels == 0)[:, None], 80, 6), (z + 9 * labels[:, None], 100, 2))
    for codes, expected, margin in cases:
        found = style_leakage(context(codes, labels, z=coded))
        assert found["style-leakage"] == pytest.approx(expected, abs=margin)
        assert found["style-leakage-chance"] == pytest.approx(50)


def test_component_accuracy_of_known_codes():
    prior = Mixture(4)
    centres = prior.at(torch.full((5, 2), 0.5), torch.tensor([0, 1, 2, 3, 0]))
    c = context(centres.numpy(), [0, 1, 2, 0, -1], z=coded, prior_z=prior)
    assert component_accuracy(c)["component-accuracy"] == pytest.approx(75)


def on_a_sphere(rows: int, rms: float, dims: int = 4) -> np.ndarray:
    """Rows whose coordinates have this root mean square."""
    x = np.random.default_rng(0).normal(size=(rows, dims))
    return x * (rms * dims**0.5 / np.linalg.norm(x, axis=1, keepdims=True))


def test_log_likelihood_of_one_gaussian():
    """One sample at 0: σ is the root mean square of the validation rows, and the density is that of a Gaussian."""
    x = np.concatenate([on_a_sphere(20, 0.5), on_a_sphere(30, 0.7)])
    c = context(2 * x, validation=2 * on_a_sphere(20, 0.3), scale=2.0, draws=lambda n, seed: iter([torch.zeros(n, 4)]))
    found = log_likelihood(c)
    sigma = found["log-likelihood-sigma"]
    assert sigma == pytest.approx(0.3, rel=0.02)
    scores = -2 * math.log(2 * math.pi * sigma**2) - (x**2).sum(1) / (2 * sigma**2)
    assert found["log-likelihood"] == pytest.approx(scores.mean(), rel=1e-4)
    assert found["log-likelihood-error"] == pytest.approx(scores.std(ddof=1) / 50**0.5, rel=1e-4)
    assert found["log-likelihood-samples"] == 1


def test_without_validation_rows_a_tenth_chooses_the_width(monkeypatch):
    seen = []
    score = metrics.parzen_log_likelihood
    monkeypatch.setattr(metrics, "parzen_log_likelihood", lambda draws, x, s: seen.append(x) or score(draws, x, s))
    log_likelihood(context(on_a_sphere(50, 0.4), draws=lambda n, seed: iter([torch.zeros(n, 4)])))
    held, scored = ({tuple(row) for row in x.tolist()} for x in (seen[0], seen[-1]))
    assert (len(held), len(scored)) == (5, 45) and not held & scored


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
