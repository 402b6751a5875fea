"""Training steps a second with one CPU thread and with two, by the work of a step.

python tests/benchmarks/threads.py [--busy]

With --busy, another process computes all the while, as on a shared machine.
"""

from __future__ import annotations

import argparse
import multiprocessing
import time

import numpy as np

import aae_cli  # noqa: F401  before torch, as it sets how threads wait

import torch  # isort: skip

from aae_cli.config.auto import adapt
from aae_cli.config.draft import Facts
from aae_cli.config.resolve import resolve
from aae_cli.data.types import Schema
from aae_cli.model.build import build_model
from aae_cli.objective.build import build_objective
from aae_cli.objective.terms import Batch
from aae_cli.training.plan import step_work


def spin() -> None:
    torch.set_num_threads(1)
    while True:
        torch.ones(500, 500) @ torch.ones(500, 500)


def step_seconds(width: int, batch: int, threads: int) -> tuple[float, float]:
    """Work of a step of clustering, and its seconds (the median of blocks)."""
    torch.set_num_threads(threads)
    schema = Schema("image", (1, 16, 16), 0.0, 1.0)
    keys = ("encoder.hidden", "decoder.hidden", "adversaries.y.hidden", "adversaries.z.hidden")
    settings = [f"{key}=[{width},{width}]" for key in keys]
    config = adapt(resolve("clustering", [*settings, f"train.batch_size={batch}"]), Facts.of(schema, 10_000)).config
    torch.manual_seed(0)
    objective = build_objective(config, build_model(config, schema), 0)
    x = torch.rand(1, batch, 256)
    rows = Batch(x, torch.full((1, batch), -1), (x + 0.01).clamp(0, 1))
    times = []
    for _ in range(5):
        started = time.perf_counter()
        for _ in range(8):
            objective.step(rows, 0.5)
        times.append((time.perf_counter() - started) / 8)
    return step_work(config, schema, 1), float(np.median(times))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--busy", action="store_true", help="keep another process computing")
    options = parser.parse_args()
    other = multiprocessing.get_context("spawn").Process(target=spin, daemon=True)
    if options.busy:
        other.start()
        time.sleep(5)
    print("width  batch  Gflop  ms with 1 thread  ms with 2  ratio")
    for width, batch in ((64, 100), (128, 250), (256, 250), (400, 250), (700, 250), (1000, 250)):
        work, one = step_seconds(width, batch, 1)
        _, two = step_seconds(width, batch, 2)
        print(
            f"{width:5}  {batch:5}  {work / 1e9:5.2f}  {1000 * one:16.1f}  {1000 * two:9.1f}  {one / two:5.2f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
