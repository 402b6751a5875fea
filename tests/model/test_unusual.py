"""Scores of unusual rows, their percentiles and reasons."""

import re
from dataclasses import replace

import numpy as np
import pytest
from fitting import blobs, fit
from mixed import holes_in, mixed_frame

from aae_cli import Autoencoder, load, read, score
from aae_cli.data.memory import from_memory
from aae_cli.errors import CheckpointError
from aae_cli.model.unusual import QUANTILES, Reference, reference_of


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    data = from_memory(holes_in(mixed_frame()))
    folder = tmp_path_factory.mktemp("table") / "run"
    return load(fit("table", data, folder, "train.epochs=60").folder, "cpu")


def changed(model, **stored):
    facts = {**model.header.training, "reference": {**model.header.training["reference"], **stored}}
    return Autoencoder(model.model, replace(model.header, training=facts), model.device)


def test_a_row_that_contradicts_itself_is_the_most_unusual(model):
    frame = mixed_frame()
    assert frame["colour"][7] == "green"
    frame = frame.with_columns(colour=frame["colour"].scatter([7], "red"), length=frame["length"].scatter([9], 60.0))
    found = score(model, frame)
    assert set(np.argsort(-found.score)[:2]) == {7, 9}
    assert found.percentile[[7, 9]].min() > 98
    assert "length=60 (expected " in found.reasons[9]
    assert "colour=red (expected green)" in found.reasons[7]


def test_reasons_are_observed_cells_that_are_not_as_expected(model):
    found = score(model, holes_in(mixed_frame()))
    frame = holes_in(mixed_frame())
    for row in (0, 1, 2, 3, 50, 90):
        known = sum(frame[name][row] is not None for name in ("length", "count", "colour"))
        assert found.reasons[row].count(" (expected ") <= known
        assert "missing" not in found.reasons[row]
    pairs = [pair for reasons in found.reasons for pair in re.findall(r"=([^,=]+) \(expected ([^)]+)\)", reasons)]
    assert len(pairs) > len(frame) and all(here != expected for here, expected in pairs)


def test_scores_are_about_one_and_percentiles_about_even(model):
    found = score(model, holes_in(mixed_frame()))
    assert 0.5 < found.score.mean() < 2
    assert 35 < found.percentile.mean() < 65
    assert found.percentile.min() >= 0 and found.percentile.max() <= 100
    order = np.argsort(found.score)
    assert (np.diff(found.percentile[order]) >= 0).all()


def test_the_reference_is_that_of_held_out_rows(model, tmp_path):
    assert Reference.of(model).rows == "24 held-out rows"
    run = fit("table", from_memory(mixed_frame()), tmp_path / "run", all_rows=True)
    reference = Reference.of(load(run.folder, "cpu"))
    assert reference.rows == "240 training rows"
    assert len(reference.quantiles) == QUANTILES and len(reference.losses) == 3


def test_without_stored_scores_rows_are_compared_with_each_other(model):
    old = Autoencoder(model.model, replace(model.header, training={}), model.device)
    assert Reference.of(old) is None
    assert abs(score(old, mixed_frame()).percentile.mean() - 50) < 1


@pytest.mark.parametrize(
    "stored",
    [
        {"losses": [1.0]},
        {"quantiles": ["a"] * 101},
        {"losses": None},
        {"quantiles": [1.0, 0.0, *[2.0] * 99]},
        {"losses": [0.0] * 3},
    ],
)
def test_damaged_reference_scores_are_refused(model, stored):
    with pytest.raises(CheckpointError, match="damaged"):
        score(changed(model, **stored), mixed_frame())


def test_the_answer_does_not_depend_on_how_rows_are_chunked(model, monkeypatch):
    whole = score(model, mixed_frame())
    monkeypatch.setattr("aae_cli.model.unusual.ROWS_AT_ONCE", 7)
    parts = score(model, mixed_frame())
    np.testing.assert_allclose(parts.score, whole.score, rtol=1e-4)
    assert parts.reasons == whole.reasons


def test_tied_scores_have_one_percentile():
    reference = Reference((1.0,), (0.0,) * 50 + (1.0,) * 51, "rows")
    assert reference.percentile(np.array([-1.0, 0.0, 1.0, 2.0])).tolist() == [0.0, 24.5, 75.0, 100.0]


def test_images_have_scores_without_reasons(semi):
    model, rows = load(semi.folder, "cpu"), read("digits:test").x
    noise = np.random.default_rng(0).integers(0, 17, (20, rows.shape[1])).astype(np.uint8)
    found = score(model, np.concatenate([rows[:100], noise]))
    assert found.reasons is None
    assert found.score[100:].min() > np.median(found.score[:100])


def test_tables_of_complete_numbers_have_reasons_too(table):
    model, data = load(table.folder, "cpu"), blobs(40)
    data.x[3, 1] = 900_000
    found = score(model, data.x)
    assert found.score.argmax() == 3
    assert found.reasons[3].startswith("b=900000 (expected ")


def test_a_reference_of_few_rows(model):
    assert (
        len(reference_of(model, from_memory(mixed_frame()[:2], like=model.schema).x, "2 rows").quantiles) == QUANTILES
    )
