"""Metrics of a trained model: which ones there are, and what they give."""

from dataclasses import replace

import numpy as np
import pytest
from fitting import blobs

from aae_cli import evaluate, load, read
from aae_cli.errors import DataError, UsageError
from aae_cli.model.evaluation import MEANINGS, RATES, default_metrics, intervals, leading_value, wilson


def test_metrics_follow_the_variant(semi, table):
    data = read("digits:test")
    assert default_metrics(load(semi.folder, "cpu"), data) == [
        "reconstruction-error", "classification-error", "prior-fit", "style-leakage"
    ]  # fmt: skip
    assert "cluster-error" in default_metrics(load(table.folder, "cpu"), blobs())
    with pytest.raises(UsageError, match="no metric"):
        evaluate(load(semi.folder, "cpu"), data, ["accuracy"])
    with pytest.raises(DataError, match="not tied to labels"):
        evaluate(load(semi.folder, "cpu"), data, ["component-accuracy"])


def test_log_likelihood_chooses_its_width_on_other_rows(semi):
    model = load(semi.folder, "cpu")
    measured = evaluate(model, read("digits:test"), ["log-likelihood"], samples=500)
    assert 0.03 < measured["log-likelihood-sigma"] < 1
    assert np.isfinite(measured["log-likelihood"])
    noise = evaluate(model, read("digits:test"), ["log-likelihood"], samples=1)
    assert noise["log-likelihood"] < measured["log-likelihood"]


def test_clusters_are_scored_by_their_own_label(table):
    """Section 6: a row counts for the label of its most probable cluster, not for the label with the most mass."""
    model = load(table.folder, "cpu")
    data = blobs(seed=2)
    names = np.array(model.header.cluster_labels)
    expected = 100 * (names[model.cluster(data.x)[0]] != data.labels).mean()
    assert evaluate(model, data, ["cluster-error"])["cluster-error"] == pytest.approx(expected)


def test_the_value_that_tells_most_comes_first_and_each_has_a_sentence(semi, table):
    measured = evaluate(load(semi.folder, "cpu"), read("digits:test"))
    assert next(iter(measured)) == "classification-error"
    clusters = evaluate(load(table.folder, "cpu"), blobs(seed=1))
    assert next(iter(clusters)) == "hungarian-accuracy"
    assert {*measured, *clusters} <= set(MEANINGS)
    assert all(sentence and sentence[-1] != "." and len(sentence) < 95 for sentence in MEANINGS.values())
    assert list(evaluate(load(table.folder, "cpu"), blobs(seed=1), ["nmi", "cluster-error"])) == [
        "nmi",
        "cluster-error",
    ]


def test_more_clusters_than_classes_are_led_by_the_error(table):
    """One cluster for each class leaves the other clusters out, so that the accuracy would mislead."""
    model = load(table.folder, "cpu")
    two = blobs()
    two = replace(two, schema=two.schema.with_classes(("0", "1")), labels=np.minimum(two.labels, 1))
    model.header = replace(model.header, schema=two.schema)
    assert leading_value(model, two) == "cluster-error"


def test_every_rate_has_an_interval():
    """Wilson's: 3 of 30 rows are 10 %, and could be 3.5 to 25.6 %."""
    assert wilson(0.1, 30) == pytest.approx((3.46, 25.62), abs=0.01)
    assert wilson(0.0, 15) == pytest.approx((0, 20.39), abs=0.01)
    assert wilson(1.0, 15) == pytest.approx((79.61, 100), abs=0.01)
    data = blobs(30)
    found = intervals({"cluster-error": 10.0, "nmi": 0.5, "reconstruction-error": 3.0}, data)
    assert found == {"cluster-error": wilson(0.1, 30)}
    assert intervals({"cluster-error": 10.0}, replace(data, labels=None)) == {}
    assert set(RATES) == {
        name for name, text in MEANINGS.items() if text.startswith("% of rows") and "chance" not in name
    }
