"""What training costs as data and model grow: seconds for 10,000 rows, and peak memory, of `clustering` (section 6).

python tests/benchmarks/growth.py [--threads 2] [--steps 60]

One quantity grows at a time, from 10,000 rows of 64 features, width 256, K = 10, batch 250. Each case runs in a process of
its own; time is of steady steps, memory the peak of the process above what it holds after `import torch`.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time

BASE = {"rows": 10_000, "features": 64, "width": 256, "clusters": 10}
CASES = {
    "rows": [10_000, 100_000, 1_000_000],
    "features": [64, 512, 4096],
    "width": [256, 1024, 4096],
    "clusters": [10, 100, 1000],
}


def megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def case(rows: int, features: int, width: int, clusters: int, steps: int) -> dict[str, float]:
    """One training of some steps."""
    import torch

    before = megabytes()
    from aae_cli.config.auto import adapt
    from aae_cli.config.draft import Facts
    from aae_cli.config.resolve import resolve
    from aae_cli.data.types import Schema
    from aae_cli.model.build import build_model, set_scaling
    from aae_cli.objective.build import NEIGHBOUR_ROWS, build_neighbours, build_objective, build_view
    from aae_cli.training.batches import Batches
    from aae_cli.training.engine import Callbacks, Engine, Schedule

    torch.set_flush_denormal(True)
    x = torch.empty(rows, features)
    for some in x.split(10_000):
        some.normal_()
    hidden = f"[{width},{width}]"
    bodies = ("encoder", "decoder", "adversaries.y", "adversaries.z")
    widths = [f"{body}.hidden={hidden}" for body in bodies]
    settings = [f"code.y.classes={clusters}", "code.y.overcluster=1", "train.min_steps=0", *widths]
    schema = Schema("table", (features,), integer=(False,) * features)
    config = resolve("clustering", settings, {})
    config = adapt(config, Facts.of(schema, rows)).config.model_copy(
        update={name: getattr(config, name) for name in ("encoder", "decoder", "adversaries")}  # widths as they are
    )
    model = build_model(config, schema)
    set_scaling(model, config, schema, x)
    objective = build_objective(config, model, 0)
    neighbours = build_neighbours(config, schema, model, x[:NEIGHBOUR_ROWS])
    assert neighbours is not None
    batches = Batches(
        x,
        torch.full((rows,), -1),
        [torch.empty(0).long().numpy()],
        model.scaling,
        batch_size=config.train.batch_size,
        seeds=[0],
        view=build_view(config, schema, model, neighbours),
        want_view=True,
    )
    started = time.perf_counter()
    neighbours.cache(batches.every(), rows)
    once = time.perf_counter() - started
    schedule = Schedule(steps, 1)
    engine = Engine(model, objective.adversaries, objective, batches, schedule, Callbacks(), ema=0.99, save_every=1e9)
    engine.schedule = Schedule(5, 1)
    engine.run()
    engine.schedule = Schedule(5 + steps, 1)
    started = time.perf_counter()
    engine.run()
    taken = (time.perf_counter() - started) / steps / config.train.batch_size
    return {
        "once": once,
        "seconds": 10_000 * taken,
        "megabytes": megabytes() - before,
        "parameters": sum(p.numel() for p in model.parameters()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--case", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.case:
        print(json.dumps(case(**json.loads(arguments.case), steps=arguments.steps)))
        return
    print("| grows | to | s, neighbours | s for 10,000 rows | peak MB |\n|---|---|---|---|---|")
    for name, values in CASES.items():
        for value in values:
            given = json.dumps({**BASE, name: value})
            done = subprocess.run(
                [sys.executable, __file__, "--case", given, "--steps", str(arguments.steps)],
                env={**os.environ, "OMP_NUM_THREADS": str(arguments.threads)},
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode:
                sys.exit(done.stderr)
            got = json.loads(done.stdout)
            print(
                f"| {name} | {value:,} | {got['once']:.2f} | {got['seconds']:.2f} | {got['megabytes']:,.0f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
