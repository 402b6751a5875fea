"""Cluster digits without labels, then look at what was found.

python examples/clusters.py [--epochs N] [--data mnist-mini] [-o FOLDER]
"""

from __future__ import annotations

import argparse

from aae_cli import evaluate, load, read, train

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--epochs", type=int, default=30)
parser.add_argument("--data", default="mnist-mini")
parser.add_argument("-o", "--output", default=None)
arguments = parser.parse_args()

run = train(
    "quick",
    data=arguments.data,
    output=arguments.output,
    settings=[f"train.epochs={arguments.epochs}", "train.min_steps=0", "code.y.classes=15"],
)
model = load(run.folder)

test = read(f"{arguments.data}:test")
clusters, confidence = model.cluster(test.x)  # (N,) and (N,)
points = model.embed(test.x)  # (N, 15 + 5): what the decoder sees, [y, z]
known = model.header.cluster_labels or ()
sevens = model.sample(10, labels=[7]) if 7 in known else model.sample(10)

print(
    f"{len(set(clusters.tolist()))} clusters, {confidence.mean():.2f} sure, {points.shape[1]} dimensions: {run.folder}"
)
print(f"samples: {sevens.x.shape}, pixels from {sevens.x.min():.0f} to {sevens.x.max():.0f}")
for name, value in evaluate(model, test, ["cluster-error", "agreement"]).items():
    print(f"{name}: {value:.3g}")
