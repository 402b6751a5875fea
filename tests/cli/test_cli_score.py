"""``aae score``: ids, scores, percentiles and reasons."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import SHORT_FITS, digits_of, small
from mixed import holes_in, mixed_frame


@pytest.fixture(scope="module")
def odd(tmp_path_factory) -> Path:
    """Rows of which the ninth is far out in one column."""
    frame = holes_in(mixed_frame()).with_columns(mixed_frame()["name"])
    frame = frame.with_columns(length=frame["length"].scatter([9], 99.5), colour=frame["colour"].scatter([9], "red"))
    file = tmp_path_factory.mktemp("odd") / "odd.csv"
    frame.rename({"name": "id"}).write_csv(file)
    return file


@pytest.fixture(scope="module")
def model(trained, odd) -> Path:
    words = ["--epochs", "60", "--set", "train.min_steps=0", *small("z")]
    return trained("scoring", "-p", "table", "--data", odd, *words)


def test_every_row_has_a_score_in_the_order_of_the_input(run, model, odd, tmp_path):
    done = run(["score", odd, "-c", model], tmp_path).ok()
    assert done.header == ["id", "score", "percentile", "reasons"]
    assert len(done.rows) == 240 and done.rows[7]["id"] == "row 7"
    assert "percentiles are among 24 held-out rows" in done.err
    for row in done.rows:
        assert digits_of(row["score"]) <= 7
        assert 0 <= float(row["percentile"]) <= 100
    highest = max(done.rows, key=lambda row: float(row["score"]))
    assert highest["id"] == "row 9" and "length=99.5 (expected " in highest["reasons"]


def test_top_puts_the_most_unusual_first(run, model, odd, tmp_path):
    every = run(["score", odd, "-c", model], tmp_path).ok().rows
    top = run(["score", odd, "-c", model, "--top", "5"], tmp_path).ok().rows
    assert top == sorted(every, key=lambda row: -float(row["score"]))[:5]
    assert len(run(["score", odd, "-c", model, "--top", "999"], tmp_path).ok().rows) == 240


def test_top_of_a_long_table(run, model, odd, tmp_path):
    header, *lines = odd.read_text().splitlines()
    (tmp_path / "long.csv").write_text("\n".join([header, *(lines * 300)]) + "\n")
    top = run(["score", "long.csv", "-c", model, "--top", "3"], tmp_path).ok().rows
    assert [row["id"] for row in top] == ["row 9"] * 3


def test_images_have_no_reasons(run, quick, tmp_path):
    done = run(["score", "mnist-mini:test", "-c", quick, "--top", "4"], tmp_path).ok()
    assert done.header == ["id", "score", "percentile"]
    scores = [float(row["score"]) for row in done.rows]
    assert scores == sorted(scores, reverse=True) and len(scores) == 4


def test_without_a_run_one_is_fitted_on_all_rows(run, odd, tmp_path):
    done = run(["score", odd, "-o", "scores.csv"], tmp_path, code=SHORT_FITS).ok()
    assert "no run under ./runs models rows of this form: fitting table on these rows" in done.err
    assert "percentiles are among 240 training rows" in done.err
    again = run(["score", odd], tmp_path).ok()
    assert again.out == (tmp_path / "scores.csv").read_text()


def test_old_checkpoints_compare_the_rows_with_each_other(run, tmp_path):
    old = Path(__file__).parents[1] / "checkpoints" / "format-1.safetensors"
    rows = "".join(f"{i % 5},{i % 7},{i % 3}\n" for i in range(40))
    done = run(["score", "-", "-c", old], tmp_path, stdin=f"a,b,c\n{rows}").ok()
    assert "percentiles are among the rows themselves" in done.err
    assert len(done.rows) == 40
