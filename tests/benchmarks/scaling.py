"""One training by several processes: two ranks of one thread beside one process of two threads, on this machine.

python tests/benchmarks/scaling.py [--ranks 2] [--rounds 3] [--preset likelihood] [--batch 500]

Rounds are interleaved; samples/s are of whole runs of nine epochs. Bytes that a step sends
are the gradients of all parameters and, with batch norm, two vectors a layer.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

BIN = Path(sys.executable).parent


def rate(ranks: int, threads: int, preset: str, batch: int, folder: Path) -> float:
    """Samples/s of a run of nine epochs."""
    train = [str(BIN / "aae"), "train", "-p", preset, "--data", "mnist-mini", "-o", str(folder), "--force", "-q"]
    train += ["--batch-size", str(batch), "--set", "train.min_steps=0", "--epochs", "9", "--device", "cpu"]
    launcher = [str(BIN / "torchrun"), "--standalone", "--nproc-per-node", str(ranks), "--no-python"]
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    subprocess.run([*(launcher if ranks > 1 else []), *train], check=True, env=environment, capture_output=True)
    records = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return float(records[-1]["step"] * batch / records[-1]["seconds"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--preset", default="likelihood")
    parser.add_argument("--batch", type=int, default=500)
    arguments = parser.parse_args()
    cases = {
        f"1 process x {arguments.ranks} threads": (1, arguments.ranks),
        f"{arguments.ranks} processes x 1 thread": (arguments.ranks, 1),
        "1 process x 1 thread": (1, 1),
    }
    rates: dict[str, list[float]] = {name: [] for name in cases}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(arguments.rounds):
            for name, (ranks, threads) in cases.items():
                rates[name].append(rate(ranks, threads, arguments.preset, arguments.batch, Path(folder) / "run"))
    for name, values in rates.items():
        print(f"{name:24} {statistics.median(values):8,.0f} samples/s")


if __name__ == "__main__":
    main()
