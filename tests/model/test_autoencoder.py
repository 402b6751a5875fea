"""Rows in, codes, clusters and classes out."""

import numpy as np
import polars as pl
import pytest
from fitting import blobs, fit

from aae_cli import load, read
from aae_cli.data.types import Data, Schema
from aae_cli.errors import CheckpointError, DataError


def test_classify_gives_probabilities_of_classes(semi):
    model = load(semi.folder, "cpu")
    data = read("digits:test")
    p = model.classify(data.x)
    np.testing.assert_allclose(p.sum(1), 1, atol=1e-5)
    error = 100 * (p.argmax(1) != data.labels).mean()
    assert error == pytest.approx(semi.metrics["classification-error"], abs=1e-3)


def test_representation_is_what_the_decoder_sees(semi):
    model = load(semi.folder, "cpu")
    x = read("digits:test").x[:9]
    np.testing.assert_allclose(model.embed(x), np.hstack([model.y(x), model.z(x)]), atol=1e-6)


def test_answers_do_not_depend_on_how_rows_are_chunked(semi, monkeypatch):
    model = load(semi.folder, "cpu")
    x = read("digits").x[:100]
    whole = model.embed(x)
    monkeypatch.setattr("aae_cli.model.autoencoder.ROWS_AT_ONCE", 7)
    np.testing.assert_allclose(model.embed(x), whole, atol=1e-5)


def test_rows_of_another_width_are_refused(semi):
    with pytest.raises(DataError, match="64"):
        load(semi.folder, "cpu").embed(np.zeros((3, 65), np.uint8))


def test_labels_of_a_model_without_any(tmp_path):
    run = fit("gaussian", read("digits")[:100], tmp_path / "run")
    model = load(run.folder, "cpu")
    with pytest.raises(CheckpointError, match="no class labels"):
        model.sample(3, labels=[1])
    with pytest.raises(CheckpointError, match="cannot classify"):
        model.classify(read("digits").x[:3])
    with pytest.raises(CheckpointError, match="no categories"):
        model.cluster(read("digits").x[:3])


def test_tables_cluster_by_standardised_columns(table):
    model = load(table.folder, "cpu")
    data = blobs()
    from sklearn.metrics import adjusted_rand_score

    assert adjusted_rand_score(data.labels, model.cluster(data.x)[0]) > 0.9
    assert model.config.decoder.output == "linear"
    assert model.config.encoder.hidden == (32,)


def test_a_map_of_a_table_is_z_alone(tmp_path):
    random = np.random.default_rng(0)
    rows = random.normal(size=(60, 5)).astype(np.float32)
    data = Data(rows, Schema("table", (5,), integer=(False,) * 5))
    folder = fit("dim-reduction", data, tmp_path / "run", "train.epochs=2").folder
    model = load(folder, "cpu")
    assert model.model.classes == 0 and model.embed(rows).shape == (60, 2)
    assert model.sample(3).x.shape == (3, 5)


def test_frames_are_read_by_the_names_of_their_columns(table):
    model, data = load(table.folder, "cpu"), blobs(30)
    frame = pl.DataFrame({name: data.x[:, i] for i, name in enumerate(data.schema.columns)})
    expected = model.embed(data.x)
    for columns in (frame.columns, frame.columns[::-1]):
        assert np.array_equal(model.embed(frame.select(columns)), expected)
    with pytest.raises(DataError, match="3 numeric columns"):
        model.embed(frame.drop("b"))


def test_missing_values_are_refused_with_their_row(table):
    rows = blobs(30).x.copy()
    rows[7, 2] = np.nan
    with pytest.raises(DataError, match=r"row 7 \(counted from 0\) has a missing"):
        load(table.folder, "cpu").classify(rows)


def test_loading_does_not_move_cluster_heads_apart(tmp_path, monkeypatch):
    """It took seconds with a thousand heads, which the checkpoint's own then replaced."""
    run = fit("dim-reduction-heads", read("digits")[:100], tmp_path / "run")
    expected = load(run.folder, "cpu").model.W_C

    def refuse(*arguments):
        raise AssertionError("heads are spread")

    monkeypatch.setattr("aae_cli.nn.aae.spread_heads", refuse)
    assert np.array_equal(load(run.folder, "cpu").model.W_C, expected)
    with pytest.raises(AssertionError, match="spread"):
        fit("dim-reduction-heads", read("digits")[:100], tmp_path / "again")
