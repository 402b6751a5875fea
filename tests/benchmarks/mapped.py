"""Training speed on rows that lie in files, beside the same rows in memory: .npy mapped, Parquet shards decoded and mapped.

python tests/benchmarks/mapped.py [--rows 300000] [--hidden 1000] [--rounds 5] [--json FILE]

28 × 28 bytes a row, the likelihood preset, batch 100; the files are in the page cache. Rounds are interleaved, figures are
medians: compare ratios.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl
import torch

from aae_cli.config.auto import adapt
from aae_cli.config.draft import Facts
from aae_cli.config.resolve import resolve
from aae_cli.data import arrays
from aae_cli.data import chunks as parts
from aae_cli.data.read import read
from aae_cli.data.types import Data
from aae_cli.model.build import build_model, set_scaling
from aae_cli.objective.build import build_objective
from aae_cli.training.batches import Batches
from aae_cli.training.engine import Callbacks, Engine, Schedule
from aae_cli.training.splits import split
from aae_cli.training.stages import _tensor

NEVER = 2**62


def write(folder: Path, rows: int, shards: int = 4) -> tuple[Path, Path]:
    x = np.random.default_rng(0).integers(0, 256, (rows, 784), dtype=np.uint8)
    np.save(folder / "x.npy", x.reshape(-1, 28, 28))
    parquet = folder / "shards"
    parquet.mkdir()
    for number, part in enumerate(np.array_split(x, shards)):
        pl.DataFrame(part, schema=[f"p{i}" for i in range(784)]).write_parquet(
            parquet / f"{number}.parquet", compression="lz4"
        )
    return folder / "x.npy", parquet


def engine(data: Data, hidden: int) -> Engine:
    torch.manual_seed(0)
    rows = split(data, 0.1, seed=0).train  # the rest is no longer one block of the file
    widths = [f"{name}.hidden=[{hidden},{hidden}]" for name in ("encoder", "decoder", "adversaries.z")]
    config = adapt(
        resolve("likelihood", ["train.batch_size=100", *widths], {}), Facts.of(rows.schema, len(rows))
    ).config
    x, index = _tensor(rows)
    model = build_model(config, rows.schema)
    set_scaling(model, config, rows.schema, x, index)
    batches = Batches(
        x,
        torch.full((len(rows),), -1),
        [np.empty(0, np.int64)],
        model.scaling,
        batch_size=100,
        seeds=[0],
        index=index,
    )
    objective = build_objective(config, model, 0)
    return Engine(model, objective.adversaries, objective, batches, Schedule(0, 1), Callbacks(), save_every=1e9)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=300_000)
    parser.add_argument("--hidden", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    torch.set_flush_denormal(True)
    with tempfile.TemporaryDirectory() as folder:
        npy, parquet = write(Path(folder), arguments.rows)
        engines = {}
        for name, source, limit in (("memory", npy, NEVER), (".npy, mapped", npy, 1), ("Parquet", parquet, 1)):
            arrays.MAP_FROM = parts.MAP_FROM = limit
            started = time.perf_counter()
            data = read(str(source))
            assert isinstance(data.x, np.memmap) == (limit == 1)
            print(f"{name}: opened in {time.perf_counter() - started:.1f} s", flush=True)
            engines[name] = engine(data, arguments.hidden)
        rates: dict[str, list[float]] = {name: [] for name in engines}
        for round_ in range(arguments.rounds + 1):
            for name, one in engines.items():
                one.schedule = Schedule(one.step + arguments.steps, 1)
                started = time.perf_counter()
                one.run()
                if round_:  # the first warms up
                    rates[name].append(100 * arguments.steps / (time.perf_counter() - started))
    result = {name: statistics.median(values) for name, values in rates.items()}
    for name, value in result.items():
        share = statistics.median(a / b for a, b in zip(rates[name], rates["memory"], strict=True))
        print(f"{name}: {value:,.0f} samples/s, {100 * share:.0f} % of the rows in memory")
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
