"""Reading and encoding speed, and how soon commands answer.

python tests/benchmarks/inference.py [--rows 60000] [--rounds 5] [--threads 2]

- embed, classify: rows/s of a 784-1000-1000 encoder on uint8 rows, beside the bound that the forward pass's FLOPs and this
  process's rate of matrix products of its shapes set; from memory, and the whole command from an .npy file.
- csv: seconds to read a table as DATA, beside polars alone.
- start: seconds of `aae --help`, of `import torch`, and of `aae embed` of 100 rows.

Rounds are interleaved, and figures are medians.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import torch

from aae_cli import load, read, train

HIDDEN = 1000


def seconds(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def medians(calls: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    times: dict[str, list[float]] = {name: [] for name in calls}
    for round_ in range(rounds + 1):
        for name, call in calls.items():
            taken = seconds(call)
            if round_:
                times[name].append(taken)
    return {name: statistics.median(values) for name, values in times.items()}


def run(*command: str, threads: int) -> Callable[[], object]:
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    return lambda: subprocess.run(command, check=True, env=environment, capture_output=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=60_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    aae = str(Path(sys.executable).with_name("aae"))
    with tempfile.TemporaryDirectory() as name:
        folder, random = Path(name), np.random.default_rng(0)
        x = random.integers(0, 256, (arguments.rows, 28, 28), dtype=np.uint8)
        np.save(folder / "x.npy", x)
        np.save(folder / "few.npy", x[:100])
        small = ["train.epochs=2", "train.min_steps=0", "decoder.hidden=[8]"]
        widths = ["adversaries.z.hidden=[8]", "adversaries.y.hidden=[8]", "code.y.overcluster=1"]
        digits = read("mnist-mini")[:1000]
        embedder = train("likelihood", digits, folder / "likelihood", [*small, widths[0]], device="cpu").folder
        classifier = train("semi-supervised", digits, folder / "semi", [*small, *widths], device="cpu").folder
        rows = read(str(folder / "x.npy")).x
        models = {"embed": load(embedder, "cpu"), "classify": load(classifier, "cpu")}
        w = [torch.randn(a, b) for a, b in ((784, HIDDEN), (HIDDEN, HIDDEN))]
        some = torch.randn(2048, 784)

        def bound() -> None:
            for _ in range(0, arguments.rows, len(some)):
                torch.mm(torch.mm(some, w[0]), w[1])

        table = pl.DataFrame({f"x{i}": random.normal(size=arguments.rows) for i in range(32)})
        table.write_csv(folder / "t.csv")
        calls: dict[str, Callable[[], object]] = {
            "bound of the forward pass": bound,
            "embed, from memory": lambda: models["embed"].embed(rows),
            "classify, from memory": lambda: models["classify"].classify(rows),
            "read the .npy": lambda: read(str(folder / "x.npy")),
            "read the CSV": lambda: read(str(folder / "t.csv")),
            "polars reads the CSV": lambda: pl.read_csv(folder / "t.csv"),
        }
        got = medians(calls, arguments.rounds)
        out = str(folder / "o.csv")
        got |= medians(
            {
                "aae embed x.npy": run(
                    aae,
                    "embed",
                    str(folder / "x.npy"),
                    "-c",
                    str(embedder),
                    "--dims",
                    "all",
                    "-o",
                    out,
                    threads=arguments.threads,
                ),
                "aae embed few.npy": run(
                    aae,
                    "embed",
                    str(folder / "few.npy"),
                    "-c",
                    str(embedder),
                    "--dims",
                    "all",
                    "-o",
                    out,
                    threads=arguments.threads,
                ),
                "import torch": run(sys.executable, "-c", "import torch", threads=arguments.threads),
                "aae --help": run(aae, "--help", threads=arguments.threads),
            },
            arguments.rounds,
        )
    for what, value in got.items():
        print(f"{what:28} {value:8.3f} s")
    least = got["bound of the forward pass"]
    print(f"embed reaches {least / got['embed, from memory']:.0%} of the bound, ", end="")
    print(f"with reading {least / (got['embed, from memory'] + got['read the .npy']):.0%}; ", end="")
    print(f"classify {least / got['classify, from memory']:.0%}")
    print(f"embedding of 100 rows takes {got['aae embed few.npy'] - got['import torch']:.2f} s more than import torch")
    print(f"CSV is read at {got['polars reads the CSV'] / got['read the CSV']:.0%} of polars' speed")


if __name__ == "__main__":
    main()
