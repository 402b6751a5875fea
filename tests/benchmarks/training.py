"""Training speed on this machine's CPU: ours beside the textbook loop and beside what its matrix products must cost.

python tests/benchmarks/training.py [--threads 2] [--rounds 7] [--batches 100,500] [--precisions fp32,bf16] [--json FILE]

Encoder 784-1000-1000-8, decoder 8-1000-1000-784, discriminator 8-1000-1000-1 (the likelihood preset's form).

- textbook: the loop that most implementations have: three phases, three Adams, an encoder pass in each, in fp32; of bf16
  runs also in bf16.
- ours: the engine with the batches, losses, schedule and read-out of `aae train`, with and without averaged weights.
- bound: the FLOPs that one joint step needs, over the rate of matrix products of the step's own shapes that this process
  reaches ("products"), and over its best rate on 2000 × 2000 matrices ("peak").

Rounds are interleaved, and figures are medians: compare ratios, machines are noisy.
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from aae_cli.config.auto import adapt
from aae_cli.config.draft import Facts
from aae_cli.config.resolve import resolve
from aae_cli.data.types import Schema
from aae_cli.device import autocast
from aae_cli.model.build import build_model, set_scaling
from aae_cli.objective.build import build_objective
from aae_cli.training.batches import Batches
from aae_cli.training.engine import Callbacks, Engine, Schedule

ROWS, PIXELS, WIDTH, CODE = 10_000, 784, 1000, 8


class Textbook:
    """Reconstruction, discriminator, generator: each with its own encoder pass, its own Adam and its own read-out."""

    def __init__(self, x: Tensor, batch: int) -> None:
        def mlp(*sizes: int) -> nn.Sequential:
            layers: list[nn.Module] = []
            for inputs, outputs in itertools.pairwise(sizes):
                layers += [nn.Linear(inputs, outputs), nn.ReLU()]
            return nn.Sequential(*layers[:-1])

        self.x, self.batch = x.float() / 255, batch
        self.encoder, self.decoder = mlp(PIXELS, WIDTH, WIDTH, CODE), mlp(CODE, WIDTH, WIDTH, PIXELS)
        self.discriminator = mlp(CODE, WIDTH, WIDTH, 1)
        both = [*self.encoder.parameters(), *self.decoder.parameters()]
        self.reconstruction = torch.optim.Adam(both, 1e-3)
        self.regularisation = torch.optim.Adam(self.discriminator.parameters(), 1e-3)
        self.generation = torch.optim.Adam(self.encoder.parameters(), 1e-3)
        self.losses = 0.0

    def run(self, steps: int, context: Callable[[], object]) -> None:
        ones, zeros = torch.ones(self.batch, 1), torch.zeros(self.batch, 1)
        order = torch.randperm(len(self.x))
        for step in range(steps):
            start = step * self.batch % (len(self.x) - self.batch + 1)
            x = self.x[order[start : start + self.batch]]
            with context():  # type: ignore[attr-defined]
                loss = F.mse_loss(self.decoder(self.encoder(x)).sigmoid().float(), x)
            self.reconstruction.zero_grad()
            loss.backward()
            self.reconstruction.step()
            with context():  # type: ignore[attr-defined]
                real, fake = (
                    self.discriminator(torch.randn(self.batch, CODE)),
                    self.discriminator(self.encoder(x).detach()),
                )
                d_loss = F.binary_cross_entropy_with_logits(real.float(), ones)
                d_loss = d_loss + F.binary_cross_entropy_with_logits(fake.float(), zeros)
            self.regularisation.zero_grad()
            d_loss.backward()
            self.regularisation.step()
            with context():  # type: ignore[attr-defined]
                g_loss = F.binary_cross_entropy_with_logits(self.discriminator(self.encoder(x)).float(), ones)
            self.generation.zero_grad()
            g_loss.backward()
            self.generation.step()
            self.losses += loss.item() + d_loss.item() + g_loss.item()


def build(x: Tensor, batch: int, precision: str, ema: float, steps: int) -> Engine:
    """What `aae train --preset likelihood` runs, without a run folder."""
    schema = Schema("image", (1, 28, 28), 0.0, 255.0, (True,))
    settings = [f"train.batch_size={batch}", "train.min_steps=0"]
    config = adapt(resolve("likelihood", settings, {}), Facts.of(schema, len(x))).config
    model = build_model(config, schema)
    set_scaling(model, config, schema, x)
    context, _ = autocast(torch.device("cpu"), precision)
    objective = build_objective(config, model, 0, context)
    labels = torch.full((len(x),), -1)
    batches = Batches(x, labels, [torch.empty(0).long().numpy()], model.scaling, batch_size=batch, seeds=[0])
    schedule = Schedule(steps, 1)
    return Engine(model, objective.adversaries, objective, batches, schedule, Callbacks(), ema=ema, save_every=1e9)


def flops(batch: int) -> float:
    """Of one joint step: a multiplication and an addition each, for every product that some weight's gradient needs."""

    def layers(*sizes: int) -> list[int]:
        return [a * b for a, b in itertools.pairwise(sizes)]

    encoder, decoder = layers(PIXELS, WIDTH, WIDTH, CODE), layers(CODE, WIDTH, WIDTH, PIXELS)
    judge = layers(CODE, WIDTH, WIDTH, 1)
    autoencoder = 3 * sum(encoder) - encoder[0] + 3 * sum(decoder)  # nobody needs the gradient of x
    adversary = 2 * 3 * sum(judge) - judge[0]  # real and fake rows; nobody needs the real ones' gradient
    return 2.0 * batch * (autoencoder + adversary)


class Products:
    """Products of the step's big shapes: forward, weight gradient and input gradient."""

    def __init__(self, batch: int, dtype: torch.dtype) -> None:
        self.cases = []
        for rows, inputs, outputs in (
            (batch, PIXELS, WIDTH),
            (batch, WIDTH, WIDTH),
            (batch, WIDTH, PIXELS),
            (2 * batch, WIDTH, WIDTH),
        ):
            x, w = torch.randn(rows, inputs, dtype=dtype), torch.randn(inputs, outputs, dtype=dtype)
            g = torch.randn(rows, outputs, dtype=dtype)
            self.cases.append((x, w, g))
        self.flops = sum(3 * 2.0 * x.shape[0] * w.shape[0] * w.shape[1] for x, w, _ in self.cases)

    def run(self) -> None:
        for x, w, g in self.cases:
            torch.mm(x, w)
            torch.mm(x.t(), g)
            torch.mm(g, w.t())


def seconds(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def measure(batch: int, precision: str, rounds: int, steps: int) -> dict[str, float]:
    x = torch.randint(0, 256, (ROWS, PIXELS), dtype=torch.uint8)
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    square = torch.randn(2000, 2000, dtype=dtype)
    # Less precision is compared with what people have today: the textbook loop in fp32, and in that precision.
    textbooks = {"textbook": "fp32"} | ({f"textbook in {precision}": precision} if precision != "fp32" else {})
    loops = {name: Textbook(x, batch) for name in textbooks}
    products = Products(batch, dtype)
    engines = {"ours": build(x, batch, precision, 0.0, 0), "ours, averaged": build(x, batch, precision, 0.999, 0)}
    times: dict[str, list[float]] = {name: [] for name in (*textbooks, *engines, "products", "peak")}

    def go_on(engine: Engine) -> None:
        engine.schedule = Schedule(engine.step + steps, 1)
        engine.run()

    def go_through(name: str) -> None:
        loops[name].run(steps, lambda: autocast(x.device, textbooks[name])[0])

    for round_ in range(rounds + 1):
        taken = {name: seconds(partial(go_through, name)) for name in loops}
        for name, engine in engines.items():
            taken[name] = seconds(partial(go_on, engine))
        taken["products"] = seconds(products.run) * flops(batch) / products.flops * steps
        taken["peak"] = seconds(lambda: square @ square) * flops(batch) / (2 * 2000**3) * steps
        if round_:  # the first warms up
            for name, value in taken.items():
                times[name].append(value)
    result = {f"{name}: samples/s": batch * steps / statistics.median(values) for name, values in times.items()}

    def ratio(over: str, under: str) -> float:
        return statistics.median(a / b for a, b in zip(times[over], times[under], strict=True))

    result["times the textbook"] = ratio("textbook", "ours")
    result["averaged, times the textbook"] = ratio("textbook", "ours, averaged")
    result["share of the products' bound"] = ratio("products", "ours")
    result["share of the peak's bound"] = ratio("peak", "ours")
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=40, help="of each contender in a round")
    parser.add_argument("--batches", default="100,500")
    parser.add_argument("--precisions", default="fp32,bf16")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.set_flush_denormal(True)  # as `aae train` does; the textbook gains from it too
    results = []
    for precision in arguments.precisions.split(","):
        for batch in map(int, arguments.batches.split(",")):
            result = measure(batch, precision, arguments.rounds, max(4, arguments.steps * 100 // batch))
            results.append({"precision": precision, "batch": batch, "threads": arguments.threads, **result})
            print(f"{precision}, batch {batch}, {arguments.threads} threads")
            for name, value in result.items():
                print(f"  {name:34} {value:10,.0f}" if "samples" in name else f"  {name:34} {value:10.2f}")
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
