"""The default presets beyond MNIST, beside the classics and UMAP, several seeds at once, nothing tuned per set.

python tests/benchmarks/tables.py [--sets iris,wine,breast_cancer,digits,digits-table,eights,digit-images] [--seeds 5]

Each set of scikit-learn is written as CSV (digit-images: as 8×8 images) and given to the default presets as a user would.
The CSV of digits is read as 8×8 pixels; digits-table is the same file read with kind=table, and eights the same with two
classes, one of them rare: the eights and all other digits. Measured are clustering
with K = the number of classes (ARI), dim-reduction (accuracy of 5 nearest neighbours in 2-D, 5-fold), and semi-supervised
with 10 % of the labels (accuracy on the other 90 %). umap-learn is used where it is installed, as by
pip install '.[bench]'.
"""

from __future__ import annotations

import argparse
import csv
import json
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import torch
from sklearn import datasets
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import adjusted_rand_score
from sklearn.model_selection import cross_val_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler

from aae_cli import Data, Run, load, read, train_seeds
from aae_cli.training.splits import choose_labelled

SETS = ["iris", "wine", "breast_cancer", "digits", "digits-table", "eights", "digit-images"]


def write(name: str, folder: Path) -> Path:
    digits = name.startswith("digit") or name == "eights"
    loaded = getattr(datasets, f"load_{'digits' if digits else name}")()
    if name == "digit-images":
        path = folder / "digits.npz"
        np.savez(path, x=(loaded.images * 255 / 16).astype(np.uint8), y=loaded.target)
        return path
    x = loaded.data.astype(int) if digits else loaded.data
    path = folder / f"{name}.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*(f"f{i}" for i in range(x.shape[1])), "label"])
        target = loaded.target == 8 if name == "eights" else loaded.target
        writer.writerows([*row, f"class {label}"] for row, label in zip(x.tolist(), target, strict=True))
    return path


def neighbours(points: np.ndarray, labels: np.ndarray) -> float:
    return float(cross_val_score(KNeighborsClassifier(5), points, labels, cv=5).mean())


def ours(
    data: Data, labels: np.ndarray, seeds: list[int], folder: Path, presets: list[str], settings: list[str]
) -> dict[str, list[float]]:
    x, classes = data.x, len(data.schema.classes or ())

    def run(preset: str, **flags: object) -> list[Run]:
        started = time.perf_counter()
        named = {key.replace("__", "."): value for key, value in flags.items()}
        runs = train_seeds(
            preset,
            seeds,
            data,
            folder / preset,
            settings,
            flags={"data.validation": 0, **named},
            device="cpu",
            metrics=[],
        )
        result[f"{preset} seconds, all seeds"] = [time.perf_counter() - started]
        return runs

    result: dict[str, list[float]] = {}
    if "clustering" in presets:
        runs = run("clustering", code__y__classes=classes)
        result["cluster ARI"] = [adjusted_rand_score(labels, load(run.folder).cluster(x)[0]) for run in runs]
    for preset in [name for name in presets if name.startswith("dim-reduction")]:
        runs = run(preset)
        result[f"2-D 5-NN accuracy, {preset}"] = [neighbours(load(run.folder).embed(x), labels) for run in runs]
    if "semi-supervised" in presets:
        runs = run("semi-supervised", data__labels="10%")
        result["10 % labels accuracy"], result["logistic accuracy"] = [], []
        features = scaled(data)
        for one in runs:
            known = np.zeros(len(labels), dtype=bool)
            known[choose_labelled(labels, "10%", classes, one.seed)] = True
            predicted = load(one.folder).classify(x).argmax(1)
            result["10 % labels accuracy"].append(float((predicted == labels)[~known].mean()))
            logistic = LogisticRegression(max_iter=5000).fit(features[known], labels[known])
            result["logistic accuracy"].append(float(logistic.score(features[~known], labels[~known])))
    return result


def spread(values: list[float], digits: int = 3) -> str:
    """Mean ± standard deviation over seeds, with n − 1."""
    mean = f"{np.mean(values):.{digits}f}"
    return f"{mean} ± {np.std(values, ddof=1):.{digits}f}" if len(values) > 1 else mean


def scaled(data: Data) -> np.ndarray:
    x = data.x.astype(float)
    return x / 255 if data.schema.kind == "image" else StandardScaler().fit_transform(x)


def classics(data: Data, labels: np.ndarray, seeds: list[int]) -> dict[str, list[float]]:
    x, classes = scaled(data), len(np.unique(labels))
    result: dict[str, list[float]] = {
        "k-means ARI": [],
        "PCA 5-NN accuracy": [neighbours(PCA(2).fit_transform(x), labels)],
    }
    for seed in seeds:
        found = KMeans(classes, n_init=10, random_state=seed).fit_predict(x)
        result["k-means ARI"].append(adjusted_rand_score(labels, found))
    try:
        import umap  # type: ignore[import-not-found,import-untyped,unused-ignore]
    except ImportError:
        return result
    threads = torch.get_num_threads()
    result |= {"UMAP + k-means ARI": [], "UMAP 5-NN accuracy": []}
    for seed in seeds:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            points = umap.UMAP(random_state=seed).fit_transform(x)
        result["UMAP 5-NN accuracy"].append(neighbours(points, labels))
        found = KMeans(classes, n_init=10, random_state=seed).fit_predict(points)
        result["UMAP + k-means ARI"].append(adjusted_rand_score(labels, found))
    torch.set_num_threads(threads)  # UMAP's numba raises it, against OMP_NUM_THREADS
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--presets", default="clustering,dim-reduction,semi-supervised")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--set", action="append", default=[], help="a.b=value for each of the presets")
    arguments = parser.parse_args()
    results: dict[str, dict[str, list[float]]] = {}
    for name in arguments.sets.split(","):
        with tempfile.TemporaryDirectory() as folder:
            data = read(str(write(name, Path(folder))), kind="table" if name in ("digits-table", "eights") else None)
            assert data.labels is not None
            seeds = list(range(arguments.seeds))
            results[name] = ours(data, data.labels, seeds, Path(folder), arguments.presets.split(","), arguments.set)
            results[name] |= classics(data, data.labels, seeds)
        for key, values in results[name].items():
            print(f"{name:<14} {key:<34} {spread(values)}", flush=True)
        if arguments.json:
            arguments.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
