"""Mixed tables on the command line: read as they are, streamed, sampled in the columns and types of the training file."""

from __future__ import annotations

import csv
import gzip
import io
import json
import random

import pytest
from conftest import small

HEADER = ["id", "size", "colour", "member", "joined", "kind"]


def table(rows: int = 90, seed: int = 0) -> str:
    draw = random.Random(seed)
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(HEADER)
    for i in range(rows):
        kind = "ab"[i % 2]
        size = "NA" if i % 9 == 0 else round(draw.gauss(3 + 4 * (i % 2), 1), 1)
        colour = draw.choice(["red", "blue"]) if kind == "a" else "green"
        member = draw.choice(["true", "false", ""])
        writer.writerow([f"r{i}", size, colour, member, f"20{draw.randint(10, 24)}-0{draw.randint(1, 9)}-11", kind])
    return out.getvalue()


@pytest.fixture(scope="session")
def mixed(trained, models):
    (models / "mixed.csv").write_text(table())
    args = ["--data", "mixed.csv", "--label-column", "kind", "-k", "2", "--epochs", "20", *small("y", "z")]
    return trained("mixed", "-p", "clustering", *args)


def test_what_was_read_is_said(run, mixed, tmp_path):
    rows = run(["info", "-c", mixed], tmp_path).ok().out
    assert "mixed table of 4 columns" in rows
    for words in (
        "numbers ",
        "size (",
        "colour (blue, green, red)",
        "member (false, true)",
        "joined (2010-",
        "all others",
    ):
        assert words in rows
    facts = json.loads(run(["info", "-c", mixed, "--json"], tmp_path).ok().out)
    notes = facts["training"]["notes"]
    assert "numbers: size; categories: colour, member; dates: joined" in notes
    assert any(note.startswith("missing cells: size 10 (NA), member ") for note in notes)


def test_rows_from_a_file_and_from_pipes_are_answered_alike(run, mixed, tmp_path):
    (tmp_path / "t.csv").write_text(table())
    expected = run(["cluster", "t.csv", "-c", mixed], tmp_path).ok()
    assert expected.header == ["id", "cluster", "confidence", "label"] and len(expected.rows) == 90
    assert run(["cluster", "-", "-c", mixed], tmp_path, stdin=table()).ok().out == expected.out
    assert run(["cluster", "-", "-c", mixed], tmp_path, stdin=gzip.compress(table().encode())).ok().out == expected.out
    (tmp_path / "t.tsv").write_text(table().replace(",", "\t"))
    assert run(["cluster", "t.tsv", "-c", mixed], tmp_path).ok().out == expected.out


def test_a_long_table_is_answered_piece_by_piece(run, mixed, tmp_path):
    once = table(90)
    lines = once.splitlines(keepends=True)
    (tmp_path / "long.csv").write_text(lines[0] + "".join(lines[1:]) * 500)
    assert (tmp_path / "long.csv").stat().st_size > 2**20
    found = run(["cluster", "long.csv", "-c", mixed], tmp_path).ok().rows
    short = run(["cluster", "-", "-c", mixed], tmp_path, stdin=once).ok().rows
    assert len(found) == 45_000
    for start in (0, 22_500, 44_910):
        assert [row["cluster"] for row in found[start : start + 90]] == [row["cluster"] for row in short]


def test_unknown_levels_and_holes_are_no_failure(run, mixed, tmp_path):
    rows = (
        "size,colour,member,joined\nwide,mauve,maybe,soon\n,,,\n3,red,true,2011-01-11\n"
        + "4,blue,false,2012-01-11\n" * 5
    )
    for command in ("classify", "embed", "evaluate"):
        args = (
            ["--metric", "reconstruction-error"] if command == "evaluate" else ["--dims", "all"] * (command == "embed")
        )
        done = run([command, "-", "-c", mixed, *args], tmp_path, stdin=rows).ok()
        for words in ("'size': 1 unknown value", "'colour': 1 unknown level", "'joined': 1 unknown value"):
            assert f"{words} taken for missing" in done.err
    header, *cells = rows.splitlines()
    long = "\n".join([header, *cells[:3] * 30_000])
    done = run(["classify", "-", "-c", mixed], tmp_path, stdin=long).ok()
    assert len(done.rows) == 90_000 and "'colour': 30000 unknown levels taken for missing" in done.err
    assert done.err.count("'colour'") == 1, "they are counted over all pieces"
    assert run(["classify", "-", "-c", mixed, "-q"], tmp_path, stdin=rows).ok().err == ""
    without = "size,colour,member\n3,red,true\n"
    run(["cluster", "-", "-c", mixed], tmp_path, stdin=without).refused(1, "lacks the columns joined")


def test_samples_have_the_columns_and_the_types_of_the_file(run, mixed, tmp_path):
    done = run(["sample", "-c", mixed, "-n", "50", "-o", "-", "--format", "csv"], tmp_path).ok()
    assert done.header == HEADER[1:], "and the label column, which is the last one of the file"
    for row in done.rows:
        assert row["colour"] in ("red", "blue", "green") and row["member"] in ("true", "false")
        assert len(row["size"].partition(".")[2]) <= 1 and len(row["joined"]) == 10
    import polars as pl

    run(["sample", "-c", mixed, "-n", "5", "-o", "s.parquet"], tmp_path).ok()
    schema = pl.read_parquet(tmp_path / "s.parquet").schema
    assert [schema[name] for name in HEADER[1:5]] == [pl.Float64, pl.String, pl.Boolean, pl.Date]


@pytest.mark.parametrize(
    ("flags", "code", "words"),
    [
        (["--categorical", "size", "--numeric", "size"], 2, "is named in both --categorical and --numeric"),
        (["--ignore", "size", "--columns", "size,colour"], 2, "--ignore"),
        (["--ignore", "siz"], 1, "did you mean size?"),
        (["--numeric", "colour"], 1, "no numbers"),
        (["--kind", "image"], 1, "is no picture"),
    ],
)
def test_options_that_cannot_be_are_refused(run, tmp_path, flags, code, words):
    (tmp_path / "t.csv").write_text(table())
    run(["train", "-p", "gaussian", "--data", "t.csv", *flags], tmp_path).refused(code, words)
    assert not (tmp_path / "runs").exists()


def test_a_model_keeps_the_kinds_it_was_trained_with(run, mixed, tmp_path):
    for flags, words in ((["--numeric", "colour"], "as a category"), (["--ignore", "size"], "leaves out size")):
        run(["cluster", "-", "-c", mixed, *flags], tmp_path, stdin=table()).refused(1, words)


def test_a_fit_says_once_how_rows_are_read(run, tmp_path):
    done = run(["cluster", "penguins", "--fit", "-k", "2", "--epochs", "1", "-o", "c.csv"], tmp_path).ok()
    assert done.err.count("missing cells:") == 1 and done.err.count("numbers: ") == 1
