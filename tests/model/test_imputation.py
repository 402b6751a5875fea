"""Missing cells filled in: which, with what, and in which form."""

import numpy as np
import polars as pl
import pytest
from fitting import blobs, fit
from mixed import holes_in, mixed_frame

from aae_cli import impute, load, read
from aae_cli.data.memory import from_memory
from aae_cli.errors import CheckpointError, DataError, UsageError
from aae_cli.model.masking import masks


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    data = from_memory(holes_in(mixed_frame()))
    folder = tmp_path_factory.mktemp("table") / "run"
    return load(fit("table", data, folder, "train.epochs=60").folder, "cpu")


def test_frames_come_back_with_only_their_holes_filled(model):
    frame = holes_in(mixed_frame())
    found = impute(model, frame)
    assert found.columns == frame.columns and found.dtypes == frame.dtypes
    for name in ("length", "count", "colour"):
        known = frame[name].is_not_null()
        assert found[name].filter(known).equals(frame[name].filter(known))
        assert found[name].null_count() == 0
    assert found["name"].equals(frame["name"])  # left out, holes and all


def test_what_is_filled_follows_from_the_other_cells(model):
    whole, frame = mixed_frame(), holes_in(mixed_frame())
    found = impute(model, frame)
    hidden = frame["colour"].is_null()
    right = (found["colour"].filter(hidden) == whole["colour"].filter(hidden)).mean()
    assert right > 0.8
    hidden = frame["length"].is_null()
    error = (found["length"].filter(hidden) - whole["length"].filter(hidden)).abs().mean()
    assert error < 0.5 * (whole["length"] - whole["length"].mean()).abs().mean()


def test_arrays_come_back_as_arrays(model):
    x = from_memory(holes_in(mixed_frame()), like=model.schema).x
    found = impute(model, x)
    assert found.shape == x.shape and not np.isnan(found).any()
    assert np.array_equal(found[~np.isnan(x)], x[~np.isnan(x)])
    assert np.isnan(x).any()  # the argument is not changed


def test_frames_of_pandas_come_back_as_such(model):
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(holes_in(mixed_frame()).to_dict(as_series=False))
    found = impute(model, frame)
    assert type(found) is type(frame) and list(found.columns) == list(frame.columns)
    assert found[["length", "count", "colour"]].notna().all(axis=None)


def test_draws_differ_and_depend_on_the_seed(model):
    x = from_memory(holes_in(mixed_frame()), like=model.schema).x
    first, again, other = (impute(model, x, draws=3, seed=seed) for seed in (0, 0, 1))
    assert first.shape == (3, *x.shape)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other) and not np.array_equal(first[0], first[1])
    known = ~np.isnan(x)
    assert all(np.array_equal(draw[known], x[known]) for draw in first)
    assert len(impute(model, holes_in(mixed_frame()), draws=2)) == 2


def test_drawn_numbers_are_spread_around_the_mean(model):
    x = from_memory(holes_in(mixed_frame()), like=model.schema).x
    hole = np.isnan(x[:, 0])
    draws = impute(model, x, draws=40)[:, hole, 0]
    assert 0 < draws.std(0).mean() < x[~hole, 0].std()


def test_the_answer_does_not_depend_on_how_rows_are_chunked(model, monkeypatch):
    x = from_memory(holes_in(mixed_frame()), like=model.schema).x
    whole = impute(model, x)
    monkeypatch.setattr("aae_cli.model.imputation.ROWS_AT_ONCE", 7)
    np.testing.assert_allclose(impute(model, x), whole, atol=1e-4)


def test_a_level_that_training_never_saw_stays(model):
    frame = mixed_frame()[:3].with_columns(colour=pl.Series(["mauve", None, "red"]))
    found = impute(model, frame)["colour"]
    assert found[0] == "mauve" and found[1] in ("red", "green", "blue")


def test_models_of_complete_numbers_fill_in_too(table):
    model, data = load(table.folder, "cpu"), blobs(40)
    frame = pl.DataFrame({name: data.x[:, i] for i, name in enumerate(data.schema.columns)})
    frame = frame.with_columns(c=frame["c"].scatter([2, 5], None))
    found = impute(model, frame)
    assert found["c"].null_count() == 0
    assert found.drop("c").equals(frame.drop("c"))
    with pytest.raises(CheckpointError, match="spread"):
        impute(model, frame, draws=2)


def test_what_cannot_be_filled_is_refused(model, semi):
    with pytest.raises(UsageError, match="0 draws"):
        impute(model, np.zeros((2, 3), np.float32), draws=0)
    with pytest.raises(DataError, match="lacks the columns"):
        impute(model, mixed_frame().drop("count"))
    with pytest.raises(CheckpointError, match="no cells to fill in"):
        impute(load(semi.folder, "cpu"), read("digits:test").x)


@pytest.mark.parametrize("columns", [1, 3, 50])
def test_masks_hide_every_column_equally_often(columns):
    hidden = masks(columns, 0.7, 16)
    assert hidden.shape == (16, columns)
    assert (hidden.sum(0) == 11).all()
    assert (masks(columns, 0.001, 16).sum(0) == 1).all()
    assert (masks(columns, 0.999, 16).sum(0) == 15).all()
