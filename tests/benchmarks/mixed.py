"""Every job on real tables with categories, dates and missing cells, beside the usual tools; nothing is tuned per set.

python tests/benchmarks/mixed.py [--folder DIR] [--sets penguins,german] [--jobs classify,sample] [--seeds 0 1] [--quick]

Each .csv file of the folder is a set. Measured are, with the default presets:

* classify: accuracy with 10 % of the labels (drawn with the classes' proportions) on the other rows;
* embed: accuracy of 5 nearest neighbours in 2-D, 5-fold, for the label column, which is left out of the features;
* cluster: ARI with the label column, K = number of classes;
* sample: AUC of a boosted classifier that tells samples from the half of the rows that was not trained on; 0.5 is best;
* impute: 1 − error of 10 % hidden cells over that of the median or the mode, mean over columns;
* score: AUROC of rows of the rarest class, hidden as 5 % among those of the most frequent one.

Peers get standardised numbers, median where missing, and one-hot categories. `NAME: …` is a further measure of a
method, which is not compared. Peers come with `pip install '.[bench]'`; a missing one is left out.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import mixed_peers as peers
import numpy as np
import r_tables
import torch
from tables import neighbours, spread

from aae_cli import Autoencoder, Data, load, read, train, train_seeds
from aae_cli import impute as aae_impute
from aae_cli import score as aae_score
from aae_cli.data.columns import MISSING
from aae_cli.model.table_metrics import features, levels_of
from aae_cli.model.table_scores import detection, filled_gain, hide_alike, nearer
from aae_cli.nn.cells import Cells

LABELS = {
    "penguins": "species",
    "adult-6k": "income",
    "german": "credit",
    "Chile": "vote",
    "Wage": "education",
    "Carseats": "ShelveLoc",
    "Hitters": "League",
}
FOLDER = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "tables"
EPOCHS = ["train.epochs=1", "train.min_steps=0", "train.restarts=1"]

Found = dict[str, list[float]]
"""Values of each method, one a seed; those of `aae` come first."""


@dataclass
class Table:
    """A set.

    Attributes:
        label: the label column.
        head, rows: column names, and cells as they are written.
        folder: for the files and runs of this set.
        preset: the preset for sample, impute and score.
        settings: config values, a.b=value, for every training.
        components: the largest number of components that a Gaussian mixture tries.
        runs: number of files and runs so far, for their names.
    """

    name: str
    label: str
    head: list[str]
    rows: list[list[str]]
    folder: Path
    preset: str = "table"
    settings: list[str] = field(default_factory=list)
    components: int = 20
    runs: int = 0

    def read(self, rows: Sequence[list[str]] | None = None, labelled: bool = True, like: Data | None = None) -> Data:
        """Rows as `aae` reads them from a file.

        Args:
            labelled: take the label column for labels, else for a feature.
            like: rows whose columns these rows have.
        """
        path = self.folder / f"rows-{self.fresh()}.csv"
        with path.open("w", newline="") as file:
            csv.writer(file).writerows([self.head, *(self.rows if rows is None else rows)])
        label = self.label if labelled else None
        return read(str(path), label_column=label, like=None if like is None else like.schema)

    def fresh(self) -> int:
        self.runs += 1
        return self.runs

    def fit(self, preset: str, data: Data, seed: int, **flags: object) -> Autoencoder:
        named = {key.replace("__", "."): value for key, value in flags.items()}
        output = self.folder / f"run-{self.fresh()}"
        settings = [*self.settings, f"train.seed={seed}"]
        return load(train(preset, data, output, settings, flags=named, device="cpu").folder, "cpu")

    def fit_seeds(self, preset: str, data: Data, seeds: list[int], **flags: object) -> list[Autoencoder]:
        """One model a seed, trained on all rows and without labels."""
        named = {"data.validation": 0, **{key.replace("__", "."): value for key, value in flags.items()}}
        output = self.folder / f"run-{self.fresh()}"
        runs = train_seeds(preset, seeds, data, output, self.settings, flags=named, device="cpu", metrics=[])
        return [load(run.folder, "cpu") for run in runs]


def known_labels(data: Data) -> tuple[np.ndarray, np.ndarray]:
    """Labels and which rows have one."""
    assert data.labels is not None
    return data.labels, data.labels >= 0


# --- jobs -------------------------------------------------------------------------------------------------------------


def classify(table: Table, seeds: list[int]) -> Found:
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LogisticRegression

    data = table.read()
    labels, known = known_labels(data)
    x = peers.Preparation(data).encode(data.x)
    found: Found = {"aae": [], "logistic regression": [], "random forest": []}
    for seed in seeds:
        some = tenth(labels, seed)
        hidden = replace(data, labels=np.where(some, labels, -1))
        model = table.fit("semi-supervised", hidden, seed, data__labels="all", data__validation=0)
        rest = known & ~some
        found["aae"].append(float((model.classify(data.x[rest]).argmax(1) == labels[rest]).mean()))
        logistic = LogisticRegression(max_iter=5000).fit(x[some], labels[some])
        forest = RandomForestClassifier(300, random_state=seed).fit(x[some], labels[some])
        found["logistic regression"].append(float(logistic.score(x[rest], labels[rest])))
        found["random forest"].append(float(forest.score(x[rest], labels[rest])))
    return found


def tenth(labels: np.ndarray, seed: int) -> np.ndarray:
    """Which rows keep their label: a tenth of each class, at least two rows."""
    random, some = np.random.default_rng(seed), np.zeros(len(labels), dtype=bool)
    for each in np.unique(labels[labels >= 0]):
        own = random.permutation(np.flatnonzero(labels == each))
        some[own[: max(2, round(len(own) / 10))]] = True
    return some


def embed(table: Table, seeds: list[int]) -> Found:
    data = table.read()
    labels, known = known_labels(data)
    x = peers.Preparation(data).encode(data.x)
    models = table.fit_seeds("dim-reduction", replace(data, labels=None), seeds)
    maps = {"aae": [model.embed(data.x) for model in models], **peers.maps(x, seeds)}
    return {name: [neighbours(points[known], labels[known]) for points in own] for name, own in maps.items()}


def cluster(table: Table, seeds: list[int]) -> Found:
    from sklearn.metrics import adjusted_rand_score

    data = table.read()
    labels, known = known_labels(data)
    k = len(np.unique(labels[known]))
    models = table.fit_seeds("clustering", replace(data, labels=None), seeds, code__y__classes=k)
    groups = {"aae": [model.cluster(data.x)[0] for model in models], **peers.clusterings(data, k, seeds)}
    return {
        name: [float(adjusted_rand_score(labels[known], each[known])) for each in own] for name, own in groups.items()
    }


def sample(table: Table, seeds: list[int]) -> Found:
    found: Found = {}
    for seed in seeds:
        order = np.random.default_rng(seed).permutation(len(table.rows))
        half = len(order) // 2
        training = table.read([table.rows[i] for i in order[:half]], labelled=False)
        held = table.read([table.rows[i] for i in order[half:]], labelled=False, like=training)
        model = table.fit(table.preset, training, seed)
        drawn = model.sample(len(held), generator=torch.Generator().manual_seed(seed)).x
        samples = {"aae": drawn, **peers.samples(training, len(held), seed, table.components)}
        levels = levels_of(training.schema)
        known, others = (features(model.model.scaling, rows.x) for rows in (training, held))
        for name, rows in samples.items():
            found.setdefault(name, []).append(detection(held.x, rows, levels, seed))
            copied = nearer(features(model.model.scaling, rows)[0], known, others)
            found.setdefault(f"{name}: copying", []).append(copied)
        half_real = detection(held.x, hide_alike(held.x, training.x), levels, seed)
        found.setdefault("real rows: AUC", []).append(half_real)
    return found


def impute(table: Table, seeds: list[int]) -> Found:
    found: Found = {}
    for seed in seeds:
        random = np.random.default_rng(seed)
        hide = random.random((len(table.rows), len(table.head))) < 0.1
        holed = [
            ["" if gone else cell for cell, gone in zip(*each, strict=True)]
            for each in zip(table.rows, hide.tolist(), strict=True)
        ]
        data = table.read(holed, labelled=False)
        truth = table.read(labelled=False, like=data)
        hidden = np.isnan(data.x) & ~np.isnan(truth.x)
        model = table.fit(table.preset, data, seed)
        filled = {"aae": aae_impute(model, data.x), **peers.imputations(data)}
        for name, cells in filled.items():
            gain = filled_gain(truth.x, cells, hidden, data.x, levels_of(data.schema))
            found.setdefault(name, []).append(gain)
    return found


def score(table: Table, seeds: list[int]) -> Found:
    from sklearn.metrics import roc_auc_score

    at = table.head.index(table.label)
    names = np.array([row[at] for row in table.rows])
    classes, counts = np.unique(names[~np.isin(names, MISSING)], return_counts=True)
    usual, rare = classes[counts.argmax()], classes[counts.argmin()]
    found: Found = {}
    for seed in seeds:
        random = np.random.default_rng(seed)
        many, few = (random.permutation(np.flatnonzero(names == each)) for each in (usual, rare))
        few = few[: max(5, round(0.05 * len(many)))]
        rows = random.permutation(np.concatenate([many, few]))
        data = replace(table.read([table.rows[i] for i in rows]), labels=None)
        data = replace(data, schema=data.schema.with_classes(None))
        model = table.fit(table.preset, data, seed)
        values = {**our_scores(model, data.x), **peers.scores(data, seed)}
        for name, each in values.items():
            found.setdefault(name, []).append(float(roc_auc_score(names[rows] == rare, each)))
    return found


def our_scores(model: Autoencoder, x: np.ndarray) -> dict[str, np.ndarray]:
    """How unusual rows are, as `aae score` says it, and by two simpler measures."""
    from sklearn.neighbors import NearestNeighbors

    scaling, codes = model.model.scaling, model.embed(x)
    if isinstance(scaling, Cells):
        loss = scaling.cell_losses(model.output(x), scaling(torch.from_numpy(x))).sum(-1).numpy()
    else:
        loss = scaling.distance(*(torch.from_numpy(rows) for rows in (x, model.reconstruct(x)))).numpy()
    near = NearestNeighbors(n_neighbors=min(10, len(x) - 1)).fit(codes).kneighbors()[0].mean(1)
    return {"aae": aae_score(model, x).score, "aae: loss": loss, "aae: neighbours of codes": near}


@dataclass(frozen=True)
class Job:
    """A job, what it is measured in, and whether less is better."""

    run: Callable[[Table, list[int]], Found]
    measure: str
    less: bool = False


JOBS = {
    "classify": Job(classify, "accuracy"),
    "embed": Job(embed, "5-NN accuracy"),
    "cluster": Job(cluster, "ARI"),
    "sample": Job(sample, "AUC", less=True),
    "impute": Job(impute, "gain"),
    "score": Job(score, "AUROC"),
}

# --- report -----------------------------------------------------------------------------------------------------------


def summary(job: str, results: dict[str, Found]) -> list[str]:
    """A table of means ± spreads over seeds, the mean over sets, and the sets in which a peer is better than `aae`."""
    methods = list(dict.fromkeys(name for found in results.values() for name in found))
    lines = [f"| {job}: {JOBS[job].measure} | {' | '.join(methods)} |", "|---" * (len(methods) + 1) + "|"]
    for name, found in results.items():
        cells = [spread(found[method]) if method in found else "" for method in methods]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    means = {
        method: float(np.mean([np.mean(found[method]) for found in results.values() if method in found]))
        for method in methods
    }
    lines.append(f"| mean | {' | '.join(f'{mean:.3f}' for mean in means.values())} |")
    sign = -1 if JOBS[job].less else 1
    for method in methods[1:]:
        if ":" in method:
            continue
        lost = [
            name
            for name, found in results.items()
            if method in found and sign * (np.mean(found[method]) - np.mean(found["aae"])) > 0
        ]
        lines.append(f"aae loses to {method} in {len(lost)} of {len(results)}: {', '.join(lost) or 'none'}")
    return lines


def tables(arguments: argparse.Namespace, scratch: Path) -> list[Table]:
    """The sets of the folder, the smallest first; with --quick a small one made up."""
    labels = LABELS | r_tables.LABELS | dict(each.split("=") for each in arguments.label)
    found = []
    if arguments.quick:
        found.append(Table("quick", "kind", *made_up(), scratch, "table", [*arguments.set, *EPOCHS], 2))
    else:
        wanted = arguments.sets.split(",") if arguments.sets else None
        for path in sorted(arguments.folder.glob("*.csv")):
            if wanted is None or path.stem in wanted:
                with path.open(newline="") as file:
                    head, *rows = csv.reader(file)
                folder = scratch / path.stem
                folder.mkdir()
                label = labels.get(path.stem) or last_category(head, rows)
                found.append(Table(path.stem, label, head, rows, folder, arguments.preset, list(arguments.set)))
    if not found:
        sys.exit(f"there are no .csv files in {arguments.folder}: name their folder with --folder")
    return sorted(found, key=lambda table: len(table.rows) * len(table.head))


def last_category(head: list[str], rows: list[list[str]]) -> str:
    """The last column of at most 20 values."""
    few = [name for name, cells in zip(head, zip(*rows, strict=True), strict=True) if len(set(cells)) <= 20]
    return few[-1] if few else head[-1]


def made_up(rows: int = 120) -> tuple[list[str], list[list[str]]]:
    """A table of two kinds of rows, with a category, a date and missing cells."""
    random = np.random.default_rng(0)
    cells = []
    for i in range(rows):
        kind = i % 3 == 0
        size, colour = random.normal(9 * kind), random.choice(["red", "blue"] if kind else ["blue", "green"])
        day = f"2020-0{1 + int(random.integers(4)) + 4 * kind}-11"
        cells.append([f"{size:.2f}", "NA" if i % 11 == 0 else str(colour), day, str(random.integers(9)), "ab"[kind]])
    return ["size", "colour", "day", "count", "kind"], cells


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=FOLDER, help="folder of .csv files")
    parser.add_argument("--sets", help="names of files, with commas (default: all)")
    parser.add_argument(
        "--label", action="append", default=[], help="SET=COLUMN, repeatable (default: the last column of few values)"
    )
    parser.add_argument("--jobs", default=",".join(JOBS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--preset", default="table", help="for sample, impute and score: a name or a YAML file")
    parser.add_argument("--set", action="append", default=[], help="a.b=value for every training")
    parser.add_argument("--json", type=Path, help="file for the value of each method and seed")
    parser.add_argument("--quick", action="store_true", help="try out: a small made-up set, one seed, one epoch")
    arguments = parser.parse_args()
    jobs = arguments.jobs.split(",")
    if unknown := [job for job in jobs if job not in JOBS]:
        sys.exit(f"there is no job {unknown[0]}: choose from {', '.join(JOBS)}")
    seeds = arguments.seeds[:1] if arguments.quick else arguments.seeds
    results: dict[str, dict[str, Found]] = {job: {} for job in jobs}
    with tempfile.TemporaryDirectory() as scratch:
        for table in tables(arguments, Path(scratch)):
            for job in jobs:
                started = time.perf_counter()
                found = results[job][table.name] = JOBS[job].run(table, seeds)
                values = ", ".join(f"{name} {spread(own)}" for name, own in found.items())
                print(
                    f"{table.name} {job}: {values} ({time.perf_counter() - started:.0f} s)", file=sys.stderr, flush=True
                )
                if arguments.json:
                    arguments.json.write_text(json.dumps(results, indent=1))
    print("\n\n".join("\n".join(summary(job, found)) for job, found in results.items()))


if __name__ == "__main__":
    main()
