"""Runs the installed ``aae``, and trains a handful of tiny models once."""

from __future__ import annotations

import csv
import io
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from warm import ONE_THREAD, Warm

# The one beside this Python, else the first on PATH.
FOUND = shutil.which("aae", path=Path(sys.executable).parent) or shutil.which("aae")
AAE = [FOUND] if FOUND else [sys.executable, "-m", "aae_cli"]

# ``aae`` whose fits, trainings that embed and cluster begin by themselves, are short ones of narrow nets.
SHORT_FITS = """
import functools
from aae_cli.training import api
settings = ["train.min_steps=300", "encoder.hidden=[64]", "decoder.hidden=[64]"]
api.train = functools.partial(api.train, settings=settings)
from aae_cli.cli import main
main()
"""


def small(*parts: str, width: int = 32) -> list[str]:
    """``--set`` flags for one narrow hidden layer in the encoder, the decoder and the discriminators named."""
    names = ["encoder", "decoder", *(f"adversaries.{part}" for part in parts)]
    return [word for name in names for word in ("--set", f"{name}.hidden=[{width}]")]


@dataclass
class Result:
    code: int
    out: str
    err: str
    raw: bytes

    @property
    def rows(self) -> list[dict[str, str]]:
        return list(csv.DictReader(io.StringIO(self.out)))

    @property
    def header(self) -> list[str]:
        return next(csv.reader(io.StringIO(self.out)))

    def ok(self) -> Result:
        assert self.code == 0, self.err
        assert "Traceback" not in self.err
        return self

    def refused(self, code: int, *words: str) -> Result:
        """One line on stderr that holds every word, nothing on stdout, and the exit code."""
        assert self.code == code, f"exit {self.code}, not {code}: {self.err}"
        assert self.out == ""
        assert "Traceback" not in self.err
        assert "unexpected" not in self.err, f"an internal error shows through: {self.err}"
        last = self.err.strip().splitlines()[-1]
        assert last.startswith("aae: "), self.err
        for word in words:
            assert word.lower() in last.lower(), f"{word!r} is not in {last!r}"
        return self


def environment(cache: Path, **more: str) -> dict[str, str]:
    """No network, no cached data, no terminal."""
    env = {key: value for key, value in os.environ.items() if not key.startswith(("AAE_", "COV_"))}
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        env[name] = "http://127.0.0.1:9"
    env.pop("no_proxy", None)
    env.pop("NO_PROXY", None)
    env |= {"XDG_CACHE_HOME": str(cache), **ONE_THREAD}
    bin_folder = str(Path(AAE[0]).parent)
    env["PATH"] = bin_folder + os.pathsep + env.get("PATH", "")
    return {**env, **more}


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def run(warm: Warm, cache: Path) -> Callable[..., Result]:
    """``run(args, cwd)``: one command, or Python code such as SHORT_FITS, in a fork of a warm process."""

    def command(
        args: Sequence[str | Path],
        cwd: Path,
        stdin: str | bytes = b"",
        stdout: str | None = None,
        stderr: str | None = None,
        seconds: int = 60,
        code: str = "",
        **env: str,
    ) -> Result:
        content = stdin.encode() if isinstance(stdin, str) else stdin
        warm.start(args, cwd, environment(cache, **env), code, content, stdout, stderr, seconds)
        code = warm.wait()
        raw = warm.paths["stdout"].read_bytes()
        err = warm.paths["stderr"].read_text(errors="replace")
        return Result(code, raw.decode(errors="replace"), err, raw)

    return command


@pytest.fixture(scope="session")
def shell(cache: Path) -> Callable[..., Result]:
    """``shell(script, cwd)``: a bash script with the installed executable on PATH."""

    def command(script: str, cwd: Path, **env: str) -> Result:
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=cwd,
            env=environment(cache, **env),
            capture_output=True,
            timeout=240,
            stdin=subprocess.DEVNULL,
        )
        return Result(done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(), done.stdout)

    return command


# --- tiny models, each trained once -----------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="session")
def trained(run: Callable[..., Result], models: Path) -> Callable[..., Path]:
    def train(name: str, *args: str | Path) -> Path:
        done = run(["train", "-o", name, *args], models).ok()
        assert done.out == f"{name}\n"
        return models / name

    return train


@pytest.fixture(scope="session")
def quick(trained: Callable[..., Path]) -> Path:
    """Clustering of mnist-mini."""
    return trained("quick", "-p", "quick", "--epochs", "4")


@pytest.fixture(scope="session")
def semi(trained: Callable[..., Path]) -> Path:
    return trained("semi", "-p", "semi-supervised", "--data", "mnist-mini", "--epochs", "2", *small("y", "z", width=64))


@pytest.fixture(scope="session")
def supervised(trained: Callable[..., Path]) -> Path:
    return trained("supervised", "-p", "supervised", "--data", "digits", "--epochs", "1", *small("z"))


@pytest.fixture(scope="session")
def gaussian(trained: Callable[..., Path]) -> Path:
    return trained("gaussian", "-p", "gaussian", "--data", "digits", "--epochs", "1", *small("z"))


@pytest.fixture(scope="session")
def mixture_labels(trained: Callable[..., Path]) -> Path:
    return trained("mixture-labels", "-p", "mixture-labels", "--data", "digits", "--epochs", "1", *small("z"))


@pytest.fixture(scope="session")
def dim_reduction(trained: Callable[..., Path]) -> Path:
    return trained("dim-reduction", "-p", "dim-reduction", "--data", "digits", "--epochs", "1", *small("z"))


@pytest.fixture(scope="session")
def ten_d(trained: Callable[..., Path]) -> Path:
    return trained("ten-d", "-p", "dim-reduction-10d", "--data", "digits", "--epochs", "1", *small("y", "z"))


@pytest.fixture(scope="session")
def iris_csv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """150 rows with named columns, class names as text, ids, and one column of whole numbers."""
    from sklearn.datasets import load_iris

    data = load_iris()
    file = tmp_path_factory.mktemp("iris") / "iris.csv"
    with file.open("w", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(["id", *data.feature_names, "petals", "species"])
        for i, (row, label) in enumerate(zip(data.data, data.target, strict=True)):
            writer.writerow([f"r{i:03}", *row, int(row[2] * row[3]), data.target_names[label]])
    return file


@pytest.fixture(scope="session")
def iris(trained: Callable[..., Path], iris_csv: Path) -> Path:
    """Clustering of a table, its clusters named by text labels."""
    args = ["--data", iris_csv, "--label-column", "species", "-k", "3", "--epochs", "40", *small("y", "z")]
    return trained("iris", "-p", "clustering", *args)


@pytest.fixture(scope="session")
def digits_npz(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """200 digits of 8×8 pixels (0..16) with labels; every third label is missing (−1)."""
    from sklearn.datasets import load_digits

    data: Any = load_digits()
    labels = data.target[:200].copy()
    labels[::3] = -1
    file = tmp_path_factory.mktemp("digits") / "digits.npz"
    np.savez(file, x=data.images[:200], y=labels)
    return file


# --- what is asked of any output --------------------------------------------------------------------------------------

NUMBER = re.compile(r"-?\d+(\.\d+)?([eE][+-]?\d+)?")


def digits_of(text: str) -> int:
    """Significant digits of a number as written."""
    assert NUMBER.fullmatch(text), f"{text!r} is not a plain number"
    mantissa = re.split("[eE]", text)[0].lstrip("-").replace(".", "").lstrip("0")
    return len(mantissa)


def left_behind(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*"))
