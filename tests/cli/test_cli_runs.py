"""``aae runs`` lists and deletes; ``aae info`` compares runs and writes a page."""

import json
import re
import shutil

import pytest
from PIL import Image


@pytest.fixture
def two(quick, iris, tmp_path):
    shutil.copytree(quick, tmp_path / "runs" / "digits")
    shutil.copytree(iris, tmp_path / "runs" / "iris")
    (tmp_path / "runs" / "other").mkdir()
    (tmp_path / "runs" / "other" / "notes.txt").write_text("mine")
    return tmp_path


def test_runs_are_listed_with_what_they_are(run, two):
    done = run(["runs"], two).ok()
    lines = done.out.splitlines()
    assert re.split(r"\s{2,}", lines[0]) == ["run", "preset", "data", "when", "measured", "MB"]
    assert len(lines) == 3 and any(line.startswith("digits") and "quick" in line for line in lines)
    found = json.loads(run(["runs", "--json"], two).ok().out)
    assert {each["run"] for each in found} == {"digits", "iris"} and all(each["MB"] > 0 for each in found)
    (two / "runs" / "iris" / "model.safetensors").write_bytes(b"damaged")
    assert len(json.loads(run(["runs", "--json"], two).ok().out)) == 2
    empty = run(["runs"], two / "runs" / "other").ok()
    assert empty.out == "" and "no runs under ./runs" in empty.err


def test_runs_are_deleted_but_nothing_else_is(run, two):
    run(["runs", "rm", "digits", "nothing"], two).refused(2, "nothing is no run")
    run(["runs", "rm", "other"], two).refused(2, "other is no run")
    run(["runs", "remove", "digits"], two).refused(2, "remove")
    (two / "elsewhere").symlink_to("runs/digits")
    run(["runs", "rm", "elsewhere"], two).refused(2, "under ./runs")
    run(["info", "digits"], two).refused(1, "did you mean runs/digits?")
    (two / "runs" / "digits" / "notes.txt").write_text("mine")
    done = run(["runs", "rm", "runs/digits", "iris/"], two).ok()
    assert "1 other file" in done.err and not (two / "runs" / "iris").exists()
    assert [path.name for path in (two / "runs" / "digits").iterdir()] == ["notes.txt"]
    assert (two / "runs" / "other" / "notes.txt").read_text() == "mine"


def test_a_link_to_a_run_is_deleted_with_the_files_of_the_run(run, two):
    (two / "runs" / "link").symlink_to("digits")
    run(["runs", "rm", "link", "link"], two).ok()
    assert not (two / "runs" / "link").is_symlink() and not (two / "runs" / "digits" / "model.safetensors").exists()


def test_info_compares_runs(run, two):
    done = run(["info", "runs/digits", "runs/iris"], two).ok()
    lines = {re.split(r"\s{2,}", line)[0]: re.split(r"\s{2,}", line)[1:] for line in done.out.splitlines()[1:]}
    assert lines["preset"][0] == "quick"
    assert len(set(lines["code.y.classes"])) == 2
    assert len(json.loads(run(["info", "runs/digits", "-c", "runs/iris", "--json"], two).ok().out)) == 2
    assert run(["info", "runs/iris"], two).ok().out == run(["info", "-c", "runs/iris"], two).ok().out
    run(["info", "runs/digits", "runs/none"], two).refused(1, "runs/none")


def test_info_writes_a_page_that_needs_nothing_else(run, two):
    run(["info", "runs/digits", "--html", "report.html"], two).ok()
    text = (two / "report.html").read_text(encoding="utf-8")
    assert text.count("data:image/png;base64,") == 5 and "Cluster heads" in text
    assert "rows about their cluster heads" in text and "beside draws of the prior" in text
    assert "Decided automatically" in text and "<script" not in text
    assert not re.search(r'(src|href)="(?!data:)', text)
    run(["info", "runs/digits", "runs/iris", "--html", "report.html"], two).refused(2, "one run")


def test_a_page_says_that_the_data_are_gone(run, tmp_path):
    (tmp_path / "t.csv").write_text("a,b\n" + "".join(f"{i % 7},{i % 5}\n" for i in range(60)))
    run(["train", "--preset", "gaussian", "--data", "t.csv", "--epochs", "1", "-o", "run"], tmp_path).ok()
    (tmp_path / "t.csv").unlink()
    done = run(["info", "run", "--html", "report.html"], tmp_path).ok()
    assert "no maps" in done.err and "t.csv" in done.err and (tmp_path / "report.html").is_file()


def test_every_run_has_its_curves(quick):
    assert Image.open(quick / "curves.png").width > 800
    assert "curves.png" in (quick / "README.md").read_text()


def test_a_page_shows_codes_beside_the_prior_where_rows_can_be_read(run, tmp_path, digits_npz):
    short = ["--epochs", "1", "--set", "encoder.hidden=[20]", "--set", "decoder.hidden=[20]", "-o", "run"]
    run(["train", "--preset", "gaussian", "--data", digits_npz, *short], tmp_path).ok()
    run(["info", "run", "--html", "report.html"], tmp_path).ok()
    assert "beside draws of the prior" in (tmp_path / "report.html").read_text(encoding="utf-8")
