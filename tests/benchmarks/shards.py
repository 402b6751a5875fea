"""Inference over many files: two processes of one thread beside one process of two threads, whole commands.

python tests/benchmarks/shards.py [--files 8] [--rows 5000] [--rounds 3]

Rounds are interleaved. Rows are digits of mnist-mini with noise, embedded by a model of the preset clustering.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from aae_cli import read, train

BIN = Path(sys.executable).parent


def seconds(processes: int, folder: Path, run: Path) -> float:
    """Duration of a command that embeds all files anew."""
    out = Path(tempfile.mkdtemp(dir=folder))
    launcher = [str(BIN / "torchrun"), "--standalone", "--nproc-per-node", str(processes), "--no-python"]
    words = [str(BIN / "aae"), "embed", str(folder / "shards"), "-c", str(run), "--dims", "all", "-o", f"{out}/", "-q"]
    environment = {**os.environ, "OMP_NUM_THREADS": str(2 // processes)}
    started = time.perf_counter()
    subprocess.run([*(launcher if processes > 1 else []), *words], check=True, env=environment, capture_output=True)
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=8)
    parser.add_argument("--rows", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder, random = Path(name), np.random.default_rng(0)
        (folder / "shards").mkdir()
        digits = read("mnist-mini").x
        for i in range(arguments.files):
            some = digits[random.integers(len(digits), size=arguments.rows)]
            np.savez(folder / "shards" / f"{i}.npz", x=(some // 2 + random.integers(0, 99, some.shape, np.uint8)))
        run = train("clustering", "mnist-mini", folder / "run", ["train.epochs=2"]).folder
        times: dict[int, list[float]] = {1: [], 2: []}
        for _ in range(arguments.rounds):
            for processes, found in times.items():
                found.append(seconds(processes, folder, run))
    rows = arguments.files * arguments.rows
    for processes, found in times.items():
        print(
            f"{processes} process(es): {statistics.median(found):5.1f} s for {rows:,} rows in {arguments.files} files"
        )


if __name__ == "__main__":
    main()
