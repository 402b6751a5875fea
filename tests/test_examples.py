"""Examples run as they are."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


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
