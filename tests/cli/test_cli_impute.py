"""``aae impute``: observed cells as they are written, holes filled, in the input's columns, order and types."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import polars as pl
import pytest
from conftest import SHORT_FITS, small
from mixed import holes_in, mixed_frame

KINDS = ("length", "count", "colour")


@pytest.fixture(scope="module")
def holed(tmp_path_factory) -> Path:
    """Rows with holes that are written in several ways, numbers of several forms, an id and a label."""
    file = tmp_path_factory.mktemp("holed") / "holed.csv"
    frame = holes_in(mixed_frame())
    with file.open("w", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(["id", *frame.columns, "label"])
        for i, row in enumerate(frame.rows()):
            cells = [("" if i % 2 else "NA") if cell is None else cell for cell in row]
            cells[1] = "1.50" if i == 3 else cells[1]  # not as a float would be written
            cells[2] = "007" if i == 3 else cells[2]
            writer.writerow([f"r{i}", *cells, "" if i % 3 else "seen"])
    return file


@pytest.fixture(scope="module")
def model(trained, holed) -> Path:
    words = ["--label-column", "label", "--epochs", "60", "--set", "train.min_steps=0", *small("z")]
    return trained("filling", "-p", "table", "--data", holed, *words)


def test_info_and_the_card_name_filling_and_scoring(run, model, tmp_path):
    facts = json.loads(run(["info", "-c", model, "--json"], tmp_path).ok().out)
    assert {"impute", "score"} <= set(facts["can"])
    card = (model / "README.md").read_text()
    assert "aae impute" in card and "aae score" in card


def read_rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_observed_cells_stay_as_they_are_written(run, model, holed, tmp_path):
    done = run(["impute", holed, "-c", model], tmp_path).ok()
    before, after = read_rows(holed.read_text()), done.rows
    assert list(after[0]) == list(before[0]) and len(after) == len(before)
    for old, new in zip(before, after, strict=True):
        for name, cell in old.items():
            assert new[name] == cell if cell not in ("", "NA") or name not in KINDS else new[name] not in ("", "NA")
    assert after[3]["length"] == "1.50" and after[3]["count"] == "007"
    assert {row["colour"] for row in after} == {"red", "green", "blue"}
    holes = sum(row[name] in ("", "NA") for row in before for name in KINDS)
    assert f"filled {holes} missing cells" in done.err
    assert "stay as they are: name (" in done.err and "label (160)" in done.err


def test_marks_list_what_was_filled(run, model, holed, tmp_path):
    after = run(["impute", holed, "-c", model, "--mark"], tmp_path).ok().rows
    assert list(after[0])[-1] == "imputed"
    for old, new in zip(read_rows(holed.read_text()), after, strict=True):
        assert new["imputed"] == ",".join(name for name in KINDS if old[name] in ("", "NA"))


def test_draws_follow_each_other_and_differ(run, model, holed, tmp_path):
    after = run(["impute", holed, "-c", model, "--draws", "3"], tmp_path).ok().rows
    assert len(after) == 3 * 240
    assert [row["draw"] for row in after[:4]] == ["0", "1", "2", "0"]
    assert [row["id"] for row in after[:4]] == ["r0", "r0", "r0", "r1"]
    lengths = [{row["length"] for row in after[i : i + 3]} for i in range(0, len(after), 3)]
    assert sum(len(each) > 1 for each in lengths) > 10
    again = run(["impute", holed, "-c", model, "--draws", "3"], tmp_path).ok().rows
    assert after == again
    other = run(["impute", holed, "-c", model, "--draws", "3", "--seed", "1"], tmp_path).ok().rows
    assert after != other


def test_parquet_keeps_its_types(run, model, tmp_path):
    frame = holes_in(mixed_frame()).with_columns(pl.col("colour").cast(pl.Categorical), pl.col("count").cast(pl.Int16))
    frame = frame.with_columns(length=pl.col("length") + 1e-9)  # more digits than are written elsewhere
    frame.write_parquet(tmp_path / "in.parquet")
    run(["impute", "in.parquet", "-c", model, "-o", "out.parquet"], tmp_path).ok()
    found = pl.read_parquet(tmp_path / "out.parquet")
    assert found.schema == frame.schema
    for name in KINDS:
        known = frame[name].is_not_null()
        assert found[name].filter(known).to_list() == frame[name].filter(known).to_list()
        assert found[name].null_count() == 0


def test_json_of_a_csv_has_numbers(run, model, holed, tmp_path):
    lines = run(["impute", holed, "-c", model, "--format", "ndjson"], tmp_path).ok().out.splitlines()
    row = json.loads(lines[0])
    assert isinstance(row["length"], float) and isinstance(row["count"], int) and isinstance(row["colour"], str)


def test_a_pipe_is_filled_and_a_hole_that_training_never_saw_is_no_error(run, trained, tmp_path):
    words = ["--epochs", "30", "--set", "train.min_steps=0", *small("z")]
    mixed_frame().drop("name", "colour").write_csv(tmp_path / "whole.csv")
    numbers = trained("numbers", "-p", "table", "--data", tmp_path / "whole.csv", *words)
    done = run(["impute", "-", "-c", numbers], tmp_path, stdin="count,length\n5,\n,19.5\n").ok()
    assert done.header == ["count", "length"]
    (first, second) = done.rows
    assert first["count"] == "5" and float(first["length"]) and second["length"] == "19.5" and int(second["count"]) >= 0


def test_without_a_run_one_is_fitted_and_kept(run, holed, tmp_path):
    done = run(["impute", holed, "-o", "out.csv"], tmp_path, code=SHORT_FITS).ok()
    assert "no run under ./runs fills in rows of this form: fitting table on these rows" in done.err
    assert (tmp_path / "runs" / "table" / "model.safetensors").is_file()
    again = run(["impute", holed], tmp_path).ok()
    assert "using runs/table" in again.err and again.out == (tmp_path / "out.csv").read_text()
    refused = run(["impute", holed, "--epochs", "3"], tmp_path)
    assert refused.code == 2 and "add --fit" in refused.err


def test_a_table_without_holes_is_passed_through(run, model, tmp_path):
    text = "name,length,count,colour\na,1.50,007,red\nb,2.0,8,blue\n"
    (tmp_path / "whole.csv").write_text(text)
    for words in ([], ["-c", model]):
        done = run(["impute", "whole.csv", *words], tmp_path).ok()
        assert done.out == text and "no missing cells" in done.err
    assert not (tmp_path / "runs").exists()
    marked = run(["impute", "whole.csv", "--mark", "--draws", "2"], tmp_path).ok()
    assert [(row["name"], row["draw"], row["imputed"]) for row in marked.rows] == [
        ("a", "0", ""),
        ("a", "1", ""),
        ("b", "0", ""),
        ("b", "1", ""),
    ]


def test_long_tables_come_in_pieces(run, model, tmp_path):
    frame = holes_in(mixed_frame())
    long = pl.concat([frame] * 250)
    long.write_csv(tmp_path / "long.csv")
    assert (tmp_path / "long.csv").stat().st_size > 2**20
    done = run(["impute", "long.csv", "-c", model], tmp_path).ok()
    frame.write_csv(tmp_path / "short.csv")
    short = run(["impute", "short.csv", "-c", model], tmp_path).ok()
    assert done.out.splitlines()[1:241] == done.out.splitlines()[-240:] == short.out.splitlines()[1:]
    assert len(done.rows) == len(long)


def test_what_has_no_missing_cells_by_nature_is_refused(run, quick, model, tmp_path):
    done = run(["impute", "mnist-mini"], tmp_path)
    assert done.code == 1 and "holds images" in done.err
    (tmp_path / "a.csv").write_text("length,count,colour\n1,,red\n")
    done = run(["impute", "a.csv", "-c", quick], tmp_path)
    assert done.code == 1 and "model of images" in done.err
    (tmp_path / "b.csv").write_text("length,count,colour,draw\n1,,red,2\n")
    done = run(["impute", "b.csv", "-c", model, "--draws", "2"], tmp_path)
    assert done.code == 2 and "'draw'" in done.err
    done = run(["impute", "a.csv", "-c", model, "-o", "a.csv"], tmp_path)
    assert done.code == 2 and "being read" in done.err
