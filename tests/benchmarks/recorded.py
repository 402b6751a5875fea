"""Seconds an epoch of the semi-supervised preset on 60,000 images of 28 × 28, as `aae train` runs it on this device.

python tests/benchmarks/recorded.py [--device auto] [--batches 100,1000] [--models 1,8] [--steps N] [--json FILE]

On a GPU each case is timed as one recorded CUDA graph and kernel by kernel.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from aae_cli.config.auto import adapt
from aae_cli.config.draft import Facts
from aae_cli.config.resolve import resolve
from aae_cli.data.types import Schema
from aae_cli.device import autocast, choose_device
from aae_cli.model.build import build_model, set_scaling
from aae_cli.objective.build import build_objective, build_view
from aae_cli.training.batches import Batches
from aae_cli.training.cuda_graph import CudaRecorder
from aae_cli.training.engine import Callbacks, Engine, Schedule
from aae_cli.training.splits import choose_labelled

ROWS = 60_000


def build(batch: int, models: int, device: torch.device, precision: str, recorded: bool) -> Engine:
    """What the second stage of ``aae train --preset semi-supervised`` runs, without a run folder."""
    torch.manual_seed(0)
    schema = Schema("image", (1, 28, 28), 0.0, 255.0, (True,), classes=tuple("0123456789"))
    settings = [f"train.batch_size={batch}", "train.min_steps=0"]
    config = adapt(resolve("semi-supervised", settings, {}), Facts.of(schema, ROWS, 100)).config
    x = torch.randint(0, 256, (ROWS, 784), dtype=torch.uint8)
    labels = torch.randint(10, (ROWS,))
    model = build_model(config, schema, models)
    set_scaling(model, config, schema, x)
    model.to(device)
    context, _ = autocast(device, precision)
    objective = build_objective(config, model, 10, context)
    batches = Batches(
        x.to(device),
        labels.to(device),
        [choose_labelled(labels.numpy(), 100, 10, seed) for seed in range(models)],
        model.scaling,
        batch_size=batch,
        seeds=list(range(models)),
        labelled_size=config.phases.semi_supervised.batch_size,
        view=build_view(config, schema, model, None),
        want_view=True,
        augment_labelled=True,
    )
    callbacks = Callbacks(note=print)
    return Engine(
        model,
        objective.adversaries,
        objective,
        batches,
        Schedule(1, 1),
        callbacks,
        ema=config.train.ema,
        save_every=1e9,
        log_every=1e9,
        recorder=CudaRecorder() if recorded else None,
    )


def seconds_an_epoch(engine: Engine, steps: int, rounds: int) -> float:
    """The median of some rounds, after one that warms up (and records)."""
    times = []
    for _ in range(rounds + 1):
        engine.schedule = Schedule(engine.step + steps, 1)
        started = time.perf_counter()
        engine.run()  # ends with a read-out of the losses, which waits for the device
        times.append((time.perf_counter() - started) / steps)
    return statistics.median(times[1:]) * (ROWS // engine.source.batch_size)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="auto")
    parser.add_argument("--batches", default="100,1000")
    parser.add_argument("--models", default="1,8")
    parser.add_argument("--precisions", default="auto,bf16")
    parser.add_argument("--steps", type=int, help="in a round; default: an epoch on a GPU, 5 elsewhere")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    device, reason = choose_device(arguments.device)
    print(reason, "torch", torch.__version__)
    torch.set_flush_denormal(True)
    results: list[dict[str, Any]] = []
    for precision in arguments.precisions.split(","):
        for batch in map(int, arguments.batches.split(",")):
            for models in map(int, arguments.models.split(",")):
                for recorded in [True, False] if device.type == "cuda" else [False]:
                    steps = arguments.steps or (ROWS // batch if device.type == "cuda" else 5)
                    engine = build(batch, models, device, precision, recorded)
                    taken = seconds_an_epoch(engine, steps, arguments.rounds)
                    memory = torch.cuda.max_memory_allocated() / 2**30 if device.type == "cuda" else float("nan")
                    how = "one graph" if recorded else "kernel by kernel"
                    print(
                        f"{precision}, batch {batch}, {models} model(s), {how}: {taken:.3f} s an epoch, "
                        f"{1e3 * taken / (ROWS // batch):.3f} ms a step",
                        flush=True,
                    )
                    results.append(
                        {
                            "device": reason,
                            "precision": precision,
                            "batch": batch,
                            "models": models,
                            "recorded": recorded,
                            "seconds_an_epoch": taken,
                            "gib": None if np.isnan(memory) else round(memory, 2),
                        }
                    )
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
