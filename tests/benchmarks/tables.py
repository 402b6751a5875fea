"""The default presets on small tables, beside the classics: k-means, PCA, logistic regression.

python tests/benchmarks/tables.py [--sets iris,digits] [--seeds 1] [--json FILE]

Each set is written as CSV and given to the command line as a user would: `cluster --fit -k C` (ARI), `embed --fit`
(accuracy of 5 nearest neighbours in 2-D, 5-fold), `train --preset semi-supervised` on a file in which 10 % of the rows
keep their label, then `classify` (accuracy on the other 90 %).
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from sklearn import datasets
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import adjusted_rand_score
from sklearn.model_selection import cross_val_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


def aae(*words: str, cwd: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "aae_cli", *words, "-q"], cwd=cwd, capture_output=True, text=True, check=True
    )
    return done.stdout


def write(path: Path, x: np.ndarray, labels: list[str]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*(f"f{i}" for i in range(x.shape[1])), "label"])
        writer.writerows([*row, label] for row, label in zip(x.tolist(), labels, strict=True))


def column(text: str, name: str) -> list[str]:
    return [row[name] for row in csv.DictReader(text.splitlines())]


def neighbours(points: np.ndarray, labels: np.ndarray) -> float:
    return float(cross_val_score(KNeighborsClassifier(5), points, labels, cv=5).mean())


def measure(name: str, seed: int) -> dict[str, float]:
    loaded = getattr(datasets, f"load_{name}")()
    x, labels = loaded.data, loaded.target
    if name == "digits":
        x = x.astype(int)
    classes = len(np.unique(labels))
    scaled = x / 16 if name == "digits" else StandardScaler().fit_transform(x)
    result: dict[str, float] = {"seed": seed}
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        write(work / "all.csv", x, [str(label) for label in labels])
        started = time.perf_counter()
        clusters = column(
            aae("cluster", "all.csv", "--fit", "-k", str(classes), "--seed", str(seed), cwd=work), "cluster"
        )
        result["cluster ARI"] = adjusted_rand_score(labels, clusters)
        result["cluster seconds"] = time.perf_counter() - started
        started = time.perf_counter()
        text = aae("embed", "all.csv", "--fit", "--seed", str(seed), cwd=work)
        points = np.array([column(text, "x"), column(text, "y")], dtype=float).T
        result["embed 5-NN accuracy"] = neighbours(points, labels)
        result["embed seconds"] = time.perf_counter() - started
        random = np.random.default_rng(seed)
        known = np.zeros(len(labels), dtype=bool)
        for c in range(classes):
            own = np.flatnonzero(labels == c)
            known[random.choice(own, max(1, round(0.1 * len(own))), replace=False)] = True
        few = [str(label) if keep else "" for label, keep in zip(labels, known, strict=True)]
        write(work / "few.csv", x, few)
        started = time.perf_counter()
        train = ["train", "-p", "semi-supervised", "--data", "few.csv", "--labels", "all", "--seed", str(seed)]
        run = aae(*train, "--set", "data.validation=0", cwd=work).strip()
        predicted = np.array(column(aae("classify", "all.csv", "-c", run, cwd=work), "label")).astype(int)
        result["classify accuracy"] = float((predicted == labels)[~known].mean())
        result["classify seconds"] = time.perf_counter() - started
    result["k-means ARI"] = adjusted_rand_score(
        labels, KMeans(classes, n_init=10, random_state=seed).fit_predict(scaled)
    )
    result["PCA 5-NN accuracy"] = neighbours(PCA(2).fit_transform(scaled), labels)
    logistic = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(x[known], labels[known])
    result["logistic accuracy"] = float(logistic.score(x[~known], labels[~known]))
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", default="iris,digits")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    results: dict[str, list[dict[str, float]]] = {}
    for name in arguments.sets.split(","):
        results[name] = [measure(name, seed) for seed in range(arguments.seeds)]
        for key in results[name][0]:
            values = [result[key] for result in results[name]]
            print(f"{name:<10} {key:<22} {np.mean(values):.3f} ± {np.std(values):.3f}", flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
