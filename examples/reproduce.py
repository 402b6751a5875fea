"""The paper's numbers and ours, row by row: trains, measures on test digits, and puts the table into RESULTS.md.

python examples/reproduce.py                     # every row, 5 seeds, trained together as one batch of models
python examples/reproduce.py --quick             # one seed, an eighth of the epochs: for a CPU
python examples/reproduce.py --rows labels-100   # some rows
python examples/reproduce.py --refresh           # no training: the table anew, from results.jsonl

Each finished row is one JSON line in results.jsonl: every seed, and the version, commit, command, machine and time. A row
that is there already is not run again, so an interrupted run continues where it stopped. After each row, the block
between <!-- results --> and <!-- end of results --> of RESULTS.md is written anew; the rest of that document is written
by hand.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
import textwrap
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from digit_reader import DigitReader
from provenance import changed_since, commit, machine, spoken

from aae_cli import Run, __version__, evaluate, load, read, train_seeds
from aae_cli.config.resolve import resolve
from aae_cli.data.named import named_test
from aae_cli.errors import AaeError, Interrupted
from aae_cli.output.reporter import Reporter, choose_reporter
from aae_cli.training.splits import read_splits

HERE = Path(__file__).resolve().parent
Values = dict[str, float]


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        metrics: what ``aae evaluate`` is asked for. ``also``: more measurements of a finished run.
        shown: name of a measured value → (what the table calls it, the paper's figure, must, goal); a goal above the
            must says that higher is better.
    """

    name: str
    what: str
    command: str
    flags: dict[str, Any]
    metrics: list[str]
    shown: dict[str, tuple[str, str, float, float]]
    also: Callable[[Run, str], Values] | None = None

    @property
    def preset(self) -> str:
        return self.command.split("--preset ")[1].split()[0]


def many_samples(run: Run, device: str) -> Values:
    """Section 3's second figure: a Parzen window of ten million samples (as many as AAE_PARZEN says)."""
    count = int(float(os.environ.get("AAE_PARZEN", "1e7")))
    model = load(run.folder, device)
    splits = read_splits(model.config, Reporter())[1]
    assert splits.test is not None
    measured = evaluate(model, splits.test, ["log-likelihood"], validation=splits.validation, samples=count)
    return {f"many-{name}": value for name, value in measured.items()}


_readers: dict[str, DigitReader] = {}


def generated_digits(run: Run, device: str) -> Values:
    """How many generated digits a convolutional network, trained on real ones, reads as the label asked for, in %."""
    model = load(run.folder, device)
    source = model.config.data.source
    if source not in _readers:
        _readers[source] = DigitReader.train(read(source), str(model.device))
    reader, test = _readers[source], read(named_test(source) or source)
    assert test.labels is not None
    samples = model.sample(10_000, labels=range(10), generator=torch.Generator().manual_seed(run.seed))
    assert samples.labels is not None
    return {
        "reader-error": 100 * float((reader(test.x) != test.labels).mean()),
        "read-as-asked": 100 * float((reader(samples.x) == samples.labels).mean()),
    }


def hungarian_error(run: Run, device: str) -> Values:
    return {"hungarian-error": 100 - run.metrics["hungarian-accuracy"]}


FULL = 60
"""Epochs of the full-length recipes; by themselves, the presets train for as many as are worth waiting for."""


def labels(name: str, preset: str, count: int | str, what: str, paper: str, must: float, goal: float) -> Row:
    command = f"aae train --preset {preset} --labels {count} --data mnist"
    shown = {"classification-error": ("error %", paper, must, goal)}
    flags = {"data.labels": count, "train.epochs": FULL}
    return Row(name, what, command, flags, ["classification-error"], shown)


def clusters(name: str, k: int, paper: str, must: float, goal: float) -> Row:
    shown = {"cluster-error": ("error %", paper, must, goal)}
    command = f"aae train --preset clustering -k {k} --data mnist"
    metrics = ["cluster-error", "agreement"]
    if k == 10:
        shown = {"hungarian-error": ("Hungarian error %", paper, must, goal)}
    also = hungarian_error if k == 10 else None
    flags = {"code.y.classes": k, "train.epochs": FULL}
    return Row(name, f"{k} clusters, no labels", command, flags, metrics, shown, also=also)


def prior(name: str, what: str) -> Row:
    shown = {"prior-fit": ("two-sample accuracy", "–", 0.60, 0.53)}
    return Row(f"prior-{name}", what, f"aae train --preset {name} --data mnist", {}, ["prior-fit"], shown)


ROWS = [
    labels("labels-100", "semi-supervised", 100, "100 labels", "1.90 ± 0.10", 1.90, 0.80),
    labels("labels-1000", "semi-supervised", 1000, "1000 labels", "1.60 ± 0.08", 1.60, 0.70),
    labels("labels-all", "semi-supervised", "all", "all labels", "0.85 ± 0.02", 0.85, 0.50),
    clusters("clusters-30", 30, "4.10 ± 1.13", 4.10, 1.5),
    clusters("clusters-16", 16, "9.55 ± 2.05", 9.55, 2.5),
    clusters("clusters-10", 10, "–", 10, 1.6),
    labels("map-1000", "dim-reduction-labels", 1000, "2-D map, 1000 labels", "4.20", 4.20, 1.5),
    labels("map-100", "dim-reduction-labels", 100, "2-D map, 100 labels", "6.08", 6.08, 2.0),
    Row(
        "map-none",
        "2-D map, no labels, 20 clusters",
        "aae train --preset dim-reduction-heads --data mnist",
        {},
        ["cluster-error", "neighbour-accuracy"],
        {"cluster-error": ("error %", "–", 10, 3)},
    ),
    labels("10d-100", "dim-reduction-10d", 100, "10-D, W_C = 10·I, 100 labels", "3.90", 3.90, 1.0),
    Row(
        "likelihood",
        "Parzen log-likelihood",
        "aae train --preset likelihood --data mnist",
        {},
        ["log-likelihood", "prior-fit"],
        {
            "log-likelihood": ("nats, 10k samples", "340 ± 2", 340, 400),
            "many-log-likelihood": ("nats, 10M samples", "427", 427, 450),
        },
        also=many_samples,
    ),
    prior("gaussian", "codes against a 2-D Gaussian"),
    prior("mixture", "codes against a mixture of ten 2-D Gaussians"),
    prior("swiss-roll", "codes against a swiss roll"),
    Row(
        "petals",
        "codes in their label's petal, 10,800 labels (a fifth)",
        "aae train --preset mixture-labels --data mnist",
        {},
        ["component-accuracy", "prior-fit"],
        {"component-accuracy": ("%", "–", 95, 98)},
    ),
    Row(
        "supervised",
        "label given to the decoder",
        "aae train --preset supervised --data mnist",
        {},
        ["style-leakage", "prior-fit"],
        {
            "style-leakage": ("label read from z, % (chance 11)", "–", 20, 13),
            "read-as-asked": ("generated digits read as asked, %", "–", 98, 99.5),
        },
        also=generated_digits,
    ),
]


def reproducing(row: Row, arguments: argparse.Namespace) -> str:
    """The command that runs a row again."""
    words = ["python", "examples/reproduce.py", "--rows", row.name, "--seeds", *map(str, arguments.seeds)]
    words += ["--effort", f"{arguments.effort:g}"] if arguments.effort != 1 else []
    words += ["--data", arguments.data] if arguments.data != "mnist" else []
    return shlex.join([*words, *(word for setting in arguments.set for word in ("--set", setting))])


def run_row(row: Row, arguments: argparse.Namespace) -> dict[str, Any]:
    """Train a row's seeds together, measure them, and give its line."""
    flags = dict(row.flags)
    if arguments.effort != 1:
        epochs = int(row.flags.get("train.epochs", resolve(row.preset, [], {}).train.epochs))
        flags["train.epochs"] = max(2, round(epochs * arguments.effort))
    folder = arguments.output / row.name
    code, date, started = commit(), datetime.now(UTC).isoformat(timespec="seconds"), time.perf_counter()
    runs = train_seeds(
        row.preset,
        arguments.seeds,
        arguments.data,
        folder,
        arguments.set,
        flags=flags,
        device=arguments.device,
        force=True,
        metrics=row.metrics,
        reporter=choose_reporter(arguments.quiet),
    )
    seeds = []
    for run in runs:
        more = row.also(run, arguments.device) if row.also else {}
        seeds.append({"seed": run.seed, **run.metrics, **more, "scores": list(run.scores)})
    header = load(runs[0].folder, "cpu").header
    training = header.training or {}
    return {
        "row": row.name,
        "reproduce": reproducing(row, arguments),
        "command": row.command,
        "settings": arguments.set,
        "epochs": header.config.train.epochs,
        "share_of_epochs": arguments.effort,
        "data": training.get("data"),
        "rows": training.get("rows"),
        "labels": training.get("labels"),
        "seconds": round(time.perf_counter() - started, 1),
        "training_seconds": round(runs[0].seconds, 1),
        "date": date,
        "machine": machine(arguments.device),
        "precision": training.get("precision"),
        "version": __version__,
        "commit": code,
        "notes": training.get("notes", []),
        "seeds": seeds,
    }


def spread(values: list[float], digits: int) -> str:
    """Mean ± standard deviation over seeds, with n − 1."""
    mean = f"{np.mean(values):.{digits}f}"
    return f"{mean} ± {np.std(values, ddof=1):.{digits}f}" if len(values) > 1 else f"{mean} (one seed)"


Changed = Callable[[str], bool]


def table(lines: list[dict[str, Any]], changed: Changed) -> str:
    """The newest line of each row, in Markdown."""
    newest = {line["row"]: line for line in lines}
    out = [
        "| task | paper | ours | goal | seeds | epochs | minutes | commit | command |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in ROWS:
        line = newest.get(row.name)
        if line is None:
            continue
        for name, (unit, paper, must, goal) in row.shown.items():
            values = [seed[name] for seed in line["seeds"] if name in seed]
            if not values:
                continue
            if name.startswith("many"):
                unit = f"nats, {line['seeds'][0]['many-log-likelihood-samples']:,.0f} samples"
            mean = float(np.mean(values))
            met = [mean >= bound if goal > must else mean <= bound for bound in (must, goal)]
            digits = 3 if name == "prior-fit" else 1 if "likelihood" in name else 2
            mark = "**" if met[1] else "" if met[0] else "*"
            own = "train.epochs" not in row.flags and line["share_of_epochs"] == 1
            epochs = "" if own else f"--epochs {line['epochs']}"
            settings = " ".join(f"--set {setting}" for setting in line["settings"])
            command = "`" + " ".join(part for part in (row.command, epochs, settings) if part) + "`"
            minutes = f"{line['training_seconds'] / 60:.1f}" if line["training_seconds"] is not None else "–"
            sign = "≥" if goal > must else "≤"
            aim = f"{sign} {goal:g}" + f" ({sign} {must:g})" * (paper == "–")
            code = f"{line['commit'][:7]}{' †' * changed(line['commit'])}"
            out.append(
                f"| {row.what}, {unit} | {paper} | {mark}{spread(values, digits)}{mark} | {aim} | {len(values)} "
                f"| {line['epochs']} | {minutes} | {code} | {command} |"
            )
    return "\n".join(out)


BEGIN, END = "<!-- results -->", "<!-- end of results -->"
LEGEND = """\
Error rates and scores are measured on the test rows, as the mean ± standard deviation (with n − 1) over seeds. Bold:
our goal for the row is met. Italics: the paper's figure is missed, or, where the paper gives none, our own minimum,
which stands in brackets beside the goal. Minutes are the training time of all seeds of a row together, – where they
were not recorded. †: measured on an earlier commit; code that decides results has changed since."""


def block(lines: list[dict[str, Any]], changed: Changed = changed_since) -> str:
    """The generated part of a document: table, machines and notes, between its marks."""
    machines = [f"- {machine}" for machine in sorted({spoken(line["machine"]) for line in lines})]
    noted: dict[str, list[str]] = {}
    for line in lines:
        for note in line["notes"]:
            noted.setdefault(note, []).append(line["row"])
    notes = [f"- {', '.join(dict.fromkeys(rows))}: {note}" for note, rows in noted.items()]
    parts = [BEGIN, LEGEND, table(lines, changed)]
    for title, items in (("Machines:", machines), ("Notes:", notes)):
        if items:
            parts += [title, "\n".join(textwrap.fill(item, 118, subsequent_indent="  ") for item in items)]
    return "\n\n".join([*parts, END])


def refresh(document: Path, lines: list[dict[str, Any]]) -> None:
    """Write a document's block anew; a document that does not exist is made of the block alone."""
    text = document.read_text(encoding="utf-8") if document.is_file() else f"# Results\n\n{BEGIN}{END}\n"
    if BEGIN not in text or END not in text:
        sys.exit(f"{document} has no block to refresh: put {BEGIN} and {END} into it, each on a line of its own")
    before, after = text.split(BEGIN)[0], text.split(END)[1]
    document.write_text(before + block(lines) + after, encoding="utf-8")


def read_lines(file: Path) -> list[dict[str, Any]]:
    if not file.is_file():
        return []
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--rows", default="", help="comma-separated names; default all: " + ", ".join(r.name for r in ROWS)
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=None, help="default 0 1 2 3 4")
    parser.add_argument("--effort", type=float, default=None, help="share of each preset's epochs")
    parser.add_argument(
        "--quick", action="store_true", help="one seed, an eighth of the epochs, 100,000 Parzen samples"
    )
    parser.add_argument("--data", default="mnist")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--output", type=Path, default=Path("runs/reproduce"), help="folder of the checkpoints")
    parser.add_argument("--results", type=Path, default=HERE / "results.jsonl")
    parser.add_argument("--set", action="append", default=[], help="a.b=value for every preset")
    parser.add_argument("--again", action="store_true", help="run rows that are in the results already")
    parser.add_argument("--quiet", action="store_true")
    parser.add_argument(
        "--document", type=Path, help="document whose block gets the table; default RESULTS.md beside the results"
    )
    parser.add_argument("--refresh", action="store_true", help="train nothing; only write the document's block anew")
    arguments = parser.parse_args()
    arguments.effort = arguments.effort or (0.125 if arguments.quick else 1.0)
    arguments.seeds = arguments.seeds or ([0] if arguments.quick else [0, 1, 2, 3, 4])
    if arguments.quick:
        os.environ.setdefault("AAE_PARZEN", "1e5")
    document = arguments.document or arguments.results.parent / "RESULTS.md"
    wanted = [name for name in arguments.rows.split(",") if name]
    unknown = sorted(set(wanted) - {row.name for row in ROWS})
    if unknown:
        parser.error(f"there are no rows {', '.join(unknown)}")
    refresh(document, read_lines(arguments.results))  # first, as a document without the block is an error
    if arguments.refresh:
        return

    failed = []
    for row in ROWS:
        if wanted and row.name not in wanted:
            continue
        lines = read_lines(arguments.results)
        same = [
            line
            for line in lines
            if line["row"] == row.name
            and [seed["seed"] for seed in line["seeds"]] == arguments.seeds
            and line["share_of_epochs"] == arguments.effort
            and line["settings"] == arguments.set
        ]
        if same and not arguments.again:
            older = " on an earlier commit; --again runs it anew" * changed_since(same[-1]["commit"])
            print(f"{row.name}: done before{older}", file=sys.stderr)
            continue
        try:
            line = run_row(row, arguments)
        except Interrupted as error:
            sys.exit(f"{row.name}: {error.what}; rows that are done are kept")
        except (AaeError, RuntimeError) as error:  # one row that fails must not take the others with it
            failed.append(row.name)
            print(f"{row.name}: {error}", file=sys.stderr)
            continue
        with arguments.results.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        for name, (unit, paper, must, goal) in row.shown.items():
            values = [seed[name] for seed in line["seeds"] if name in seed]
            print(
                f"{row.name} {name} {spread(values, 3)} {unit} (paper {paper}, must {must}, goal {goal}; "
                f"{line['seconds']:.0f} s)",
                flush=True,
            )
        refresh(document, [*lines, line])
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
