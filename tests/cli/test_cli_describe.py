"""``aae cluster --describe``: clusters in words on stderr, and as JSON."""

import json

import pytest


@pytest.fixture(scope="module")
def penguins(trained):
    return trained("penguins", "-p", "clustering", "--data", "penguins", "-k", "3", "--epochs", "3", "--restarts", "1")


def test_tables_on_stderr_and_clusters_on_stdout(run, penguins, tmp_path):
    done = run(["cluster", "penguins", "-c", penguins, "--describe"], tmp_path).ok()
    assert len(done.rows) == 344 and done.header == ["id", "cluster", "confidence", "label"]
    assert "difference: of these, in standard deviations" in done.err
    used = sorted({row["cluster"] for row in done.rows})
    titles = [line for line in done.err.splitlines() if line.startswith("cluster ")]
    assert [title.split(":")[0] for title in titles] == [f"cluster {k}" for k in used]
    assert "of 344 rows" in titles[0] and "mean confidence" in titles[0] and "Adelie" in done.err
    plain = run(["cluster", "penguins", "-c", penguins], tmp_path).ok()
    assert plain.out == done.out and plain.err == ""


def test_json_goes_to_stdout_if_that_is_free(run, penguins, tmp_path):
    args = ["cluster", "penguins", "-c", penguins, "--describe", "--json"]
    done = run([*args, "-o", "c.csv"], tmp_path).ok()
    facts = json.loads(done.out)
    assert facts["rows"] == 344 and sum(each["size"] for each in facts["clusters"]) == 344
    assert set(facts["clusters"][0]) == {"cluster", "size", "share", "confidence", "classes", "differences", "typical"}
    assert len(facts["clusters"][0]["typical"]) == 3
    assert len((tmp_path / "c.csv").read_text().splitlines()) == 345
    done = run([*args, "-q"], tmp_path).ok()
    assert len(done.rows) == 344 and json.loads(done.err) == facts, "with -q, stderr holds nothing else"


def test_quiet_still_prints_what_was_asked_for(run, penguins, tmp_path):
    done = run(["cluster", "penguins", "-c", penguins, "--describe", "-q"], tmp_path).ok()
    assert done.err.startswith("cluster ")


def test_a_stream_of_a_plain_table_and_its_ids(run, iris, iris_csv, tmp_path):
    args = ["cluster", "-", "-c", iris, "--describe", "--label-column", "species", "--json", "-q"]
    done = run(args, tmp_path, stdin=iris_csv.read_bytes()).ok()
    facts = json.loads(done.err)
    first = facts["clusters"][0]
    assert first["typical"][0]["id"].startswith("r") and isinstance(first["typical"][0]["row"]["petals"], int)
    assert {each["column"] for each in first["differences"]} <= set(first["typical"][0]["row"])


def test_images_and_refusals(run, quick, tmp_path):
    done = run(["cluster", "mnist-mini:test", "-c", quick, "--describe"], tmp_path).ok()
    lines = [line for line in done.err.splitlines() if line]
    assert all(line.startswith(("cluster ", "1 of", "2 of")) for line in lines), done.err
    run(["cluster", "mnist-mini:test", "-c", quick, "--json"], tmp_path).refused(2, "--json", "--describe")
