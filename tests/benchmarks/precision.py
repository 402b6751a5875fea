"""What less precision costs in quality: test error of a short semi-supervised training in each, over seeds.

python tests/benchmarks/precision.py [--precisions fp32,bf16] [--seeds 15] [--epochs 30] [--data mnist-mini] [--threads 1]

100 labels, 400 units a layer; the same seeds, and so the same weights, orders and labelled rows, in each precision.
"""

from __future__ import annotations

import argparse
import tempfile

import numpy as np
import torch

from aae_cli import train_seeds

BODIES = ("encoder", "decoder", "adversaries.y", "adversaries.z")


def errors(precision: str, seeds: int, epochs: int, data: str) -> np.ndarray:
    settings = [f"{body}.hidden=[400,400]" for body in BODIES]
    settings += [f"train.precision={precision}", f"train.epochs={epochs}", "train.min_steps=0"]
    with tempfile.TemporaryDirectory() as folder:
        runs = train_seeds(
            "semi-supervised",
            range(seeds),
            data,
            f"{folder}/run",
            settings,
            flags={"data.labels": 100},
            device="cpu",
            metrics=["classification-error"],
        )
    return np.array([run.metrics["classification-error"] for run in runs])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--precisions", default="fp32,bf16")
    parser.add_argument("--seeds", type=int, default=15)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--data", default="mnist-mini")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    for precision in arguments.precisions.split(","):
        found = errors(precision, arguments.seeds, arguments.epochs, arguments.data)
        spread = f" ± {found.std(ddof=1):.2f}" if len(found) > 1 else ""
        print(f"{precision}: error {found.mean():.2f}{spread} %, {np.round(found, 1).tolist()}", flush=True)


if __name__ == "__main__":
    main()
