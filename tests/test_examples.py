"""Examples run as they are."""

import importlib
import json
import os
import shutil
import statistics
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from aae_cli import read

ROOT = Path(__file__).resolve().parent.parent


KEYS = {"row", "reproduce", "command", "settings", "epochs", "share_of_epochs", "data", "rows", "labels", "seconds"}
KEYS |= {"training_seconds", "date", "machine", "precision", "version", "commit", "notes", "seeds"}
MACHINE = {"gpu", "cpu", "cores", "threads", "torch"}


@pytest.fixture
def example(monkeypatch):
    """Imports a script of the examples."""
    monkeypatch.syspath_prepend(str(ROOT / "examples"))
    return importlib.import_module


def test_results_say_where_they_come_from():
    lines = [json.loads(line) for line in (ROOT / "examples" / "results.jsonl").read_text().splitlines()]
    assert len(lines) >= 17
    for line in lines:
        assert set(line) == KEYS
        assert set(line["machine"]) == MACHINE and line["machine"]["torch"]
        assert line["commit"] and line["version"] and line["seeds"]
        assert line["machine"]["gpu"] or line["machine"]["threads"]
        seeds = " ".join(str(seed["seed"]) for seed in line["seeds"])
        assert line["reproduce"].startswith(f"python examples/reproduce.py --rows {line['row']} --seeds {seeds}")


def test_the_table_of_results_is_that_of_the_recorded_rows(example):
    """Except for the marks of rows whose code has changed, which depend on the history."""
    reproduce = example("reproduce")
    document = (ROOT / "examples" / "RESULTS.md").read_text(encoding="utf-8")
    lines = reproduce.read_lines(ROOT / "examples" / "results.jsonl")
    none, all_ = (reproduce.block(lines, changed=lambda commit, every=every: every) for every in (False, True))
    assert none.replace(" †", "") in document.replace(" †", "")
    assert none.count(" †") == 1 and all_.count(" †") == 1 + all_.count("`aae train")
    rows = [row for row in document.splitlines() if "`aae train" in row and row.startswith("| ")]
    assert any("≤" in row for row in rows) and all("≤" in row or "≥" in row for row in rows)


def test_spreads_over_seeds_have_n_minus_1(example, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "tests" / "benchmarks"))
    values = [1.0, 2.0, 4.0]
    expected = f"{statistics.mean(values):.3f} ± {statistics.stdev(values):.3f}"
    assert example("reproduce").spread(values, 3) == example("tables").spread(values) == expected
    assert example("reproduce").spread([2.0], 3) == "2.000 (one seed)"
    assert example("tables").spread([2.0, 4.0], 1) == "3.0 ± 1.4"


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
def test_rows_whose_code_has_changed_since_are_found(example, tmp_path):
    changed_since = example("provenance").changed_since

    def commit(path: str) -> str:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        with (tmp_path / path).open("a") as file:
            file.write("x")
        author = ["-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false"]
        for words in (["add", "-A"], [*author, "commit", "-qm", path], ["rev-parse", "--short", "HEAD"]):
            done = subprocess.run(["git", "-C", tmp_path, *words], capture_output=True, text=True, check=True)
        return done.stdout.strip()

    assert changed_since("0b07026", tmp_path)  # no repository
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    first = commit("aae_cli/nn/aae.py")
    assert not changed_since(first, tmp_path)
    for path in (
        "README.md",
        "aae_cli/README.md",
        "aae_cli/cli/train.py",
        "aae_cli/output/card.py",
        "tests/test_aae.py",
    ):
        commit(path)
    assert not changed_since(first, tmp_path)
    second = commit("presets/quick.yaml")
    assert changed_since(first, tmp_path) and not changed_since(second, tmp_path)
    commit("aae_cli/nn/aae.py")
    assert changed_since(second, tmp_path)
    for untold in ("unknown", f"{second}-dirty", "0" * 12):
        assert changed_since(untold, tmp_path)


def script(name: str, *words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "examples" / name), *words]
    # A script finds its neighbours, such as digit_reader, in its own folder.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONSAFEPATH"}
    done = subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=environment)
    assert done.returncode == 0, done.stderr
    return done


@pytest.fixture
def forked(warm):
    """The same in a process that has imported torch already."""

    def run(code: str, *words: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
        warm.start(words, cwd, os.environ, code)
        status = warm.wait()
        out, err = (warm.paths[stream].read_text() for stream in ("stdout", "stderr"))
        assert status == 0, err
        return subprocess.CompletedProcess(words, status, out, err)

    return run


# A script, whose path is the first word.
SCRIPT = """
import os, runpy, sys
sys.argv[0] = sys.argv.pop(1)
sys.path.insert(0, os.path.dirname(sys.argv[0]))
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def test_clusters_runs(forked, tmp_path):
    words = [ROOT / "examples" / "clusters.py", "--epochs", "2", "-o", tmp_path / "run"]
    assert forked(SCRIPT, *words, cwd=tmp_path).stdout.strip()
    assert (tmp_path / "run" / "model.safetensors").is_file()


SHORTENED = """
import sys
source = open(sys.argv[1], encoding="utf-8").read()
assert source.count("random_state=0)") >= 4
exec(compile(source.replace("random_state=0)", "random_state=0, epochs=2)"), sys.argv[1], "exec"), {"__name__": "__main__"})
"""


def test_the_estimator_is_shown_cell_by_cell(forked, tmp_path):
    done = forked(SHORTENED, ROOT / "examples" / "estimator.py", cwd=tmp_path)
    assert "clusters: ARI" in done.stdout and "best number of dimensions" in done.stdout
    assert not list(tmp_path.iterdir()), "no run folder is written"


def test_a_folder_of_images_is_written(forked, tmp_path):
    words = ["photos", "--data", "mnist-mini:test", "--rows", "30"]
    forked(SCRIPT, ROOT / "examples" / "photo_folder.py", *words, cwd=tmp_path)
    test = read("mnist-mini:test")
    paths = sorted((tmp_path / "photos").glob("*/*.png"))
    assert len(paths) == 30 and {path.parent.name for path in paths} == set(map(str, test.labels[:30]))
    first = np.asarray(Image.open(tmp_path / "photos" / str(test.labels[0]) / "00000.png"))
    assert (first == test.x[0].reshape(28, 28)).all()


def test_dask_embeds_block_by_block(tmp_path):
    pytest.importorskip("dask.array", reason="needs dask")
    assert script("dask_codes.py", cwd=tmp_path).stdout.strip() == "(1797, 2)"


def test_reproduce_runs_each_row_once_and_figures_draw_from_it(forked, tmp_path):
    small = ["encoder.hidden=[20]", "decoder.hidden=[20]", "adversaries.z.hidden=[20]", "train.min_steps=4"]
    small = [word for setting in small for word in ("--set", setting)]
    reproduce = ROOT / "examples" / "reproduce.py"
    words = ["--rows", "labels-100,prior-gaussian", "--seeds", "0", "1", "--effort", "0.01", "--data", "mnist-mini"]
    words += ["--results", "results.jsonl", "--output", "runs", "--device", "cpu", "--quiet", *small]
    first = script("reproduce.py", *words, cwd=tmp_path)
    assert "labels-100 classification-error" in first.stdout and "goal 0.8" in first.stdout
    lines = [json.loads(line) for line in (tmp_path / "results.jsonl").read_text().splitlines()]
    assert [line["row"] for line in lines] == ["labels-100", "prior-gaussian"]
    assert all(set(line) == KEYS and set(line["machine"]) == MACHINE for line in lines)
    assert all(line["seconds"] >= line["training_seconds"] > 0 and line["machine"]["cores"] > 0 for line in lines)
    assert abs(datetime.now(UTC) - datetime.fromisoformat(lines[0]["date"])) < timedelta(hours=1)
    assert lines[0]["reproduce"].startswith(
        "python examples/reproduce.py --rows labels-100 --seeds 0 1 --effort 0.01 --data"
    )
    assert [seed["seed"] for seed in lines[0]["seeds"]] == [0, 1]
    assert lines[0]["seeds"][0]["classification-error"] != lines[0]["seeds"][1]["classification-error"]
    second = forked(SCRIPT, reproduce, *words, cwd=tmp_path)
    assert second.stdout == "" and second.stderr.count("done before") == 2
    assert "| 100 labels, error % | 1.90 ± 0.10 |" in (tmp_path / "RESULTS.md").read_text()

    document = tmp_path / "document.md"
    document.write_text("before\n<!-- results -->\nstale\n<!-- end of results -->\nafter\n")
    forked(SCRIPT, reproduce, "--results", "results.jsonl", "--document", str(document), "--refresh", cwd=tmp_path)
    text = document.read_text()
    assert "stale" not in text and "| 100 labels" in text and text.startswith("before") and text.endswith("after\n")
    assert text.count("<!-- results -->") == text.count("<!-- end of results -->") == 1
    forked(SCRIPT, reproduce, "--results", "results.jsonl", "--document", str(document), "--refresh", cwd=tmp_path)
    assert document.read_text() == text

    drawn = script("figures.py", "runs", "-o", "pictures", "--data", "mnist-mini:test", cwd=tmp_path)
    assert drawn.stdout.split() == ["pictures/prior-gaussian.png"]
    assert (tmp_path / "pictures" / "prior-gaussian.png").read_bytes().startswith(b"\x89PNG")


def test_the_reader_of_generated_digits_learns_to_read(forked, tmp_path):
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from digit_reader import DigitReader\n"
        "from aae_cli import read\n"
        "some, test = read('mnist-mini')[::2], read('mnist-mini:test')\n"
        "reader = DigitReader.train(some, 'cpu', epochs=1, batch_size=50)\n"
        "print((reader(test.x) != test.labels).mean())"
    )
    done = forked(code, ROOT / "examples", cwd=tmp_path)
    assert float(done.stdout) < 0.2


def test_maps_are_compared_with_the_peers_that_are_installed(tmp_path, monkeypatch):
    """A stand-in for UMAP takes the first two columns; the other two peers cannot be imported, installed or not."""
    peers = tmp_path / "peers"
    peers.mkdir()
    (peers / "umap.py").write_text(
        "class UMAP:\n    def __init__(self, random_state): pass\n    def fit_transform(self, x): return x[:, :2]\n"
    )
    for name in ("pacmap", "openTSNE"):
        (peers / f"{name}.py").write_text(f"raise ImportError('no {name} here')")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(peers), *filter(None, [os.environ.get("PYTHONPATH")])]))
    done = script("../tests/benchmarks/maps.py", "--quick", "--json", "fits.json", cwd=tmp_path)
    fits = {fit.pop("method"): fit for fit in json.loads((tmp_path / "fits.json").read_text())}
    maps, clusters = ["`aae embed`", "UMAP", "PCA"], ["`aae cluster`", "UMAP + k-means", "k-means"]
    assert list(fits) == maps + clusters
    for name, fit in fits.items():
        measures = {"trustworthiness", "accuracy"} if name in maps else {"ARI"}
        assert set(fit) == {"data", "seed", "seconds", *measures} and fit["seconds"] > 0
    assert fits["PCA"]["trustworthiness"] > fits["UMAP"]["trustworthiness"] > 0.8
    assert fits["PCA"]["accuracy"] > 0.9 and 0.5 < fits["k-means"]["ARI"] < 0.7
    rows = [[cell.strip() for cell in row.split("|")[1:-1]] for row in done.stdout.splitlines()]
    assert [row[:2] for row in rows[2:]] == [["iris", name] for name in fits]
    assert {len(row) for row in rows} == {6}
    assert done.stderr.splitlines() == [
        "PaCMAP is left out: ImportError: no pacmap here",
        "openTSNE is left out: ImportError: no openTSNE here",
    ]


def test_jobs_on_mixed_tables_are_compared(tmp_path, monkeypatch):
    """Stand-ins for the peers that may not be installed: the first two features, and none."""
    peers = tmp_path / "peers"
    peers.mkdir()
    (peers / "umap.py").write_text(
        "class UMAP:\n    def __init__(self, random_state): pass\n    def fit_transform(self, x): return x[:, :2]\n"
    )
    (peers / "kmodes.py").write_text("raise ImportError('no kmodes here')")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(peers), *filter(None, [os.environ.get("PYTHONPATH")])]))
    done = script("../tests/benchmarks/mixed.py", "--quick", "--json", "jobs.json", cwd=tmp_path)
    found = {job: sets["quick"] for job, sets in json.loads((tmp_path / "jobs.json").read_text()).items()}
    peers_of = {
        "classify": {"logistic regression", "random forest"},
        "embed": {"PCA", "UMAP"},
        "cluster": {"k-means", "Gaussian mixture"},
        "sample": {"independent columns", "Gaussian mixture"},
        "impute": {"10 neighbours"},
        "score": {"isolation forest"},
    }
    assert {job: {name for name in own if ":" not in name} - {"aae"} for job, own in found.items()} == peers_of
    assert all(next(iter(own)) == "aae" and len(values) == 1 for own in found.values() for values in own.values())
    assert found["classify"]["logistic regression"][0] > 0.9 and found["cluster"]["k-means"][0] > 0.8
    assert found["impute"]["10 neighbours"][0] > 0.2 and found["score"]["isolation forest"][0] > 0.9
    assert found["sample"]["real rows: AUC"][0] < 0.7
    blocks = done.stdout.split("\n\n")
    assert [block.split("|")[1].split(":")[0].strip() for block in blocks] == list(peers_of)
    lost = found["cluster"]["k-means"][0] > found["cluster"]["aae"][0]
    assert f"aae loses to k-means in {int(lost)} of 1" in blocks[2]
