"""2-D maps and clusters of unlabelled data, beside the usual methods: whole commands, start and imports included.

python tests/benchmarks/maps.py [--data iris] [--seeds 0 1 2] [--label-column NAME] [--json FILE] [--quick]

`aae embed --fit` is compared with UMAP, PaCMAP, openTSNE and PCA, `aae cluster --fit` with k-means and with k-means of
UMAP's map; K is the number of classes. Each fit is a process of its own, and each seed is a round of all methods. Labels
only measure. By default, the data are iris, wine, breast_cancer and all 1,797 digits of scikit-learn.

Trustworthiness (5 neighbours, at most 2,000 rows) compares a map with standardised columns, or with pixels divided by
255. Peers get these ready-made, while `aae` reads and scales the data itself. Accuracy is that of the 5 nearest
neighbours in the map (5-fold). Peers come with `pip install '.[bench]'`; any that is missing is left out.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

SETS = ["iris", "wine", "breast_cancer", "digits"]
ROWS = 2000
"""Most rows that trustworthiness is measured on, as its time grows with their square."""

Fit = Callable[[np.ndarray, int, int], np.ndarray]
"""From features (N, D), the number of clusters and a seed to points (N, 2) or clusters (N,)."""


def umap_map(x: np.ndarray, k: int, seed: int) -> np.ndarray:
    import umap  # type: ignore[import-not-found,import-untyped,unused-ignore]

    return np.asarray(umap.UMAP(random_state=seed).fit_transform(x))


def pacmap_map(x: np.ndarray, k: int, seed: int) -> np.ndarray:
    import pacmap  # type: ignore[import-not-found,import-untyped,unused-ignore]

    return np.asarray(pacmap.PaCMAP(random_state=seed).fit_transform(x))


def tsne_map(x: np.ndarray, k: int, seed: int) -> np.ndarray:
    import openTSNE  # type: ignore[import-not-found,import-untyped,unused-ignore]

    return np.asarray(openTSNE.TSNE(n_jobs=-1, random_state=seed).fit(x))


def pca_map(x: np.ndarray, k: int, seed: int) -> np.ndarray:
    from sklearn.decomposition import PCA

    return PCA(2, random_state=seed).fit_transform(x)


def kmeans(x: np.ndarray, k: int, seed: int) -> np.ndarray:
    from sklearn.cluster import KMeans

    return KMeans(k, n_init=10, random_state=seed).fit_predict(x)


def umap_kmeans(x: np.ndarray, k: int, seed: int) -> np.ndarray:
    return kmeans(umap_map(x, k, seed), k, seed)


@dataclass(frozen=True)
class Method:
    """A way to a map or to clusters.

    Attributes:
        makes: what comes out.
        module: the package that must be installed.
        fit: the fit of a peer; None for `aae`, which is run as a command.
    """

    makes: Literal["map", "clusters"]
    module: str
    fit: Fit | None = None


METHODS = {
    "`aae embed`": Method("map", "aae_cli"),
    "UMAP": Method("map", "umap", umap_map),
    "PaCMAP": Method("map", "pacmap", pacmap_map),
    "openTSNE": Method("map", "openTSNE", tsne_map),
    "PCA": Method("map", "sklearn", pca_map),
    "`aae cluster`": Method("clusters", "aae_cli"),
    "UMAP + k-means": Method("clusters", "umap", umap_kmeans),
    "k-means": Method("clusters", "sklearn", kmeans),
}
MEASURES = {"trustworthiness": 3, "accuracy": 3, "ARI": 3, "seconds": 1}
"""Columns of the table and their digits after the point."""


@dataclass(frozen=True)
class Sample:
    """One data set, as `aae` reads it and as peers do.

    Attributes:
        source: name or absolute path that `aae` is given.
        options: what `aae` is told of the source.
        ready: file of scaled features and K for peers.
        x: (N, D) scaled features.
        labels: (N,) classes, -1 for unlabelled rows.
        k: number of classes among the rows.
    """

    source: str
    options: list[str]
    ready: Path
    x: np.ndarray
    labels: np.ndarray
    k: int


def prepare(name: str, label_column: str | None, folder: Path) -> Sample:
    """Write a set of scikit-learn as a file, or take another name or path as it stands, and read it."""
    from tables import scaled, write

    from aae_cli import read
    from aae_cli.data.named import split_name

    if name in SETS:
        path = write("digit-images" if name == "digits" else name, folder)
        source, label_column = str(path), "label" if path.suffix == ".csv" else None
    elif split_name(name):
        source, label_column = name, None
    else:
        source = os.path.abspath(name)  # aae runs in another folder
    data = read(source, label_column=label_column)
    if data.labels is None or (data.labels >= 0).sum() < 2:
        sys.exit(f"{name} has no labels to measure with")
    x, k = scaled(data).astype(np.float32), len(np.unique(data.labels[data.labels >= 0]))
    ready = folder / "ready.npz"
    np.savez(ready, x=x, k=k)
    return Sample(source, ["--label-column", label_column] if label_column else [], ready, x, data.labels, k)


def command(name: str, sample: Sample, seed: int, epochs: int | None) -> list[str]:
    """Words of the command that fits a method and writes out.csv (`aae`) or out.npy."""
    if METHODS[name].fit is not None:
        return [sys.executable, os.path.abspath(__file__), "--one", name, str(sample.ready), str(seed), "out.npy"]
    what = ["cluster", "-k", str(sample.k)] if METHODS[name].makes == "clusters" else ["embed"]
    words = [sys.executable, "-m", "aae_cli", *what, sample.source, "--fit", "--seed", str(seed), *sample.options]
    return [*words, "-o", "out.csv", *(["--epochs", str(epochs)] if epochs else [])]


def one(name: str, ready: str, seed: str, out: str) -> None:
    """Fit one peer and write what comes out, in a process of its own."""
    fit = METHODS[name].fit
    assert fit is not None
    given = np.load(ready)
    np.save(out, fit(given["x"], int(given["k"]), int(seed)))


def read_table(path: Path, columns: list[str]) -> np.ndarray:
    """Columns of numbers of a CSV file."""
    with path.open(newline="") as file:
        return np.array([[float(row[column]) for column in columns] for row in csv.DictReader(file)])


def fitted(name: str, sample: Sample, seed: int, epochs: int | None) -> tuple[float, np.ndarray]:
    """Seconds of the whole process, and its points or clusters."""
    with tempfile.TemporaryDirectory() as folder:
        words = command(name, sample, seed, epochs)
        started = time.perf_counter()
        done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
        seconds = time.perf_counter() - started
        if done.returncode:
            sys.exit(f"{name}: {done.stderr}")
        npy = Path(folder) / "out.npy"
        columns = ["x", "y"] if METHODS[name].makes == "map" else ["cluster"]
        found = np.load(npy) if npy.exists() else read_table(Path(folder) / "out.csv", columns)
    return seconds, found if METHODS[name].makes == "map" else found.ravel()


def of_map(points: np.ndarray, sample: Sample) -> dict[str, float]:
    from sklearn.manifold import trustworthiness
    from tables import neighbours

    rows = np.random.default_rng(0).permutation(len(points))[:ROWS]
    known = sample.labels >= 0
    return {
        "trustworthiness": float(trustworthiness(sample.x[rows], points[rows], n_neighbors=5)),
        "accuracy": neighbours(points[known], sample.labels[known]),
    }


def of_clusters(clusters: np.ndarray, sample: Sample) -> dict[str, float]:
    from sklearn.metrics import adjusted_rand_score

    known = sample.labels >= 0
    return {"ARI": float(adjusted_rand_score(sample.labels[known], clusters[known]))}


def measured(name: str, sample: Sample, seed: int, epochs: int | None) -> dict[str, float]:
    """Fit one method once and measure it."""
    seconds, found = fitted(name, sample, seed, epochs)
    if len(found) != len(sample.x):
        sys.exit(f"{name} gave {len(found)} of {len(sample.x)} rows")
    measure = {"map": of_map, "clusters": of_clusters}[METHODS[name].makes]
    return {**measure(found, sample), "seconds": seconds}


def installed(names: Iterable[str]) -> list[str]:
    """Keep the methods whose module can be imported, and name the others on stderr.

    The import also fills the cache of files, so that the first round is not slower than the next.
    """
    broken: dict[str, str] = {}
    for module in dict.fromkeys(METHODS[name].module for name in names):
        done = subprocess.run([sys.executable, "-c", f"import {module}"], capture_output=True, text=True, check=False)
        if done.returncode:
            broken[module] = done.stderr.strip().rpartition("\n")[2]
    for name in names:
        if METHODS[name].module in broken:
            print(f"{name} is left out: {broken[METHODS[name].module]}", file=sys.stderr)
    return [name for name in names if METHODS[name].module not in broken]


def line(data: str, name: str, runs: list[dict[str, float]]) -> str:
    """A row of the table: the spread of each measure over seeds, empty where a method has none."""
    from tables import spread

    cells = [spread([run[key] for run in runs], digits) if key in runs[0] else "" for key, digits in MEASURES.items()]
    return f"| {' | '.join([data, name, *cells])} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", action="append", help=f"name or path, repeatable (default: {', '.join(SETS)})")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--label-column", help="column of the labels in files given by --data")
    parser.add_argument("--json", type=Path, help="file for the numbers of each fit")
    parser.add_argument("--quick", action="store_true", help="try out: iris, one seed, few epochs")
    parser.add_argument("--one", nargs=4, metavar=("METHOD", "DATA", "SEED", "OUT"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        one(*arguments.one)
        return
    sets, seeds, epochs = arguments.data or SETS, arguments.seeds, None
    if arguments.quick:
        sets, seeds, epochs = ["iris"], seeds[:1], 2
    names = installed(METHODS)
    print("| data | method | trustworthiness | 5-NN accuracy | ARI | seconds |\n|---|---|---|---|---|---|", flush=True)
    records: list[dict[str, Any]] = []
    for data in sets:
        runs: dict[str, list[dict[str, float]]] = {name: [] for name in names}
        with tempfile.TemporaryDirectory() as folder:
            sample = prepare(data, arguments.label_column, Path(folder))
            for seed in seeds:
                for name in names:
                    runs[name].append(measured(name, sample, seed, epochs))
                    records.append({"data": data, "method": name, "seed": seed, **runs[name][-1]})
                    if arguments.json:
                        arguments.json.write_text(json.dumps(records, indent=1))
        for name in names:
            print(line(data, name, runs[name]), flush=True)


if __name__ == "__main__":
    main()
