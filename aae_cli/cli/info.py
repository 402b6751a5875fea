"""``aae info``: what a checkpoint is."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..data.columns import LEFT_OUT, Column
from ..data.kinds import PLURALS
from ..text import clean, counted, listed
from .frame import frame, reporter
from .options import Checkpoint, Debug, Json, Quiet, Verbose
from .rows import choose_checkpoint

if TYPE_CHECKING:
    from ..model.checkpoint import Header

EXAMPLES = """\
aae info
aae info -c runs/clustering --json"""
SHOWN = 40
"""The most columns, classes or clusters that are listed; --json has them all."""


def command(
    checkpoint: Checkpoint = None,
    as_json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    debug: Debug = False,
) -> None:
    """Show what a checkpoint is: its preset, the columns that it reads, its training, its measurements, its commands."""
    with frame(debug):
        report = reporter(quiet, verbose)
        path = choose_checkpoint(checkpoint, lambda can: True, "be shown", report, "aae train --preset quick")
        assert path is not None
        from ..model.checkpoint import read_header

        header = read_header(path)
        facts = describe(header, str(path))
        if as_json:
            print(json.dumps(facts))
            return
        for title, rows in tables(header, facts):
            print(title)
            for name, value in rows:
                print(f"  {name:<24} {value}")


def describe(header: Header, path: str) -> dict[str, Any]:
    """A checkpoint in plain words and numbers."""
    from ..model.abilities import Abilities

    can = Abilities(header)
    config, schema, training = header.config, header.schema, dict(header.training or {})
    metrics = training.pop("metrics", {})
    training.pop("cluster_sizes", None)
    training.pop("reference", None)
    facts: dict[str, Any] = {
        "checkpoint": path,
        "preset": header.title,
        "summary": config.about.summary,
        "section": config.about.section,
        "finished": header.finished,
        "data": training.pop("data", config.data.source),
        "row": f"{schema.kind} {' × '.join(map(str, schema.shape))}",
        "classes": list(schema.classes or ()),
        "can": can.commands,
        "code": {name: part for name, part in config.code.model_dump(mode="json").items() if part},
        "training": {name: value for name, value in training.items() if value not in ([], None)},
        "metrics": metrics,
    }
    if can.named and not can.learned_with_labels:
        names = schema.classes or ()
        facts["cluster_labels"] = [names[i] if i >= 0 else "" for i in header.cluster_labels or ()]
    facts["config"] = config.model_dump(mode="json")
    facts["schema"] = schema.to_json()
    return facts


def tables(header: Header, facts: dict[str, Any]) -> list[tuple[str, list[tuple[str, str]]]]:
    """What a person is told of a checkpoint: tables of names and values, with their titles."""
    about, training = header.config.about, facts["training"]
    section = f" (section {about.section} of the paper)" if about.section else ""
    model = [("summary", f"{about.summary}{section}"), ("code", code(header)), ("commands", ", ".join(facts["can"]))]
    if "cluster_labels" in facts:
        named = (f"{i} {clean(name)}" if name else f"{i} –" for i, name in enumerate(facts["cluster_labels"]))
        model.append(("classes of clusters", listed(named, SHOWN)))
    length = f"{counted(training.get('steps', 0), 'step')} in {training.get('seconds', 0):g} s"
    run = [("finished", "yes" if header.finished else "no"), ("data", clean(facts["data"], 200))]
    if "rows" in training:
        run += [("rows", str(training["rows"])), ("labels used", str(training.get("labels", 0)))]
        run += [("held out", training.get("held_out", "none")), ("length", length)]
    run += [(name, str(training[name])) for name in ("device", "precision", "torch") if name in training]
    run += [("note", clean(note, 500)) for note in training.get("notes", ())]
    if training.get("scores"):
        run.append(("scores of restarts", ", ".join(f"{score:g}" for score in training["scores"])))
    found = [
        (f"{header.title}: {facts['checkpoint']}", model),
        ("rows that it reads", reads(header)),
        ("training", run),
    ]
    measured = [(name, f"{value:.5g}") for name, value in facts["metrics"].items()]
    return [*found, (f"measured on {training.get('held_out', 'held-out rows')}", measured)] if measured else found


def code(header: Header) -> str:
    """The parts of the code in words."""
    y, z, parts = header.config.code.y, header.config.code.z, []
    if y is not None:
        merged = f", merged from {y.classes * y.overcluster}" if y.overcluster > 1 and y.classes != "auto" else ""
        parts.append(f"y, {counted(int(y.classes), 'category')}{merged}")
    if z is not None:
        parts.append(f"z, {counted(int(z.dims), 'number')} ({z.posterior})")
    return "; ".join(parts)


def reads(header: Header) -> list[tuple[str, str]]:
    """The form of a row, its columns, and those that the model ignores."""
    schema, data = header.schema, header.config.data
    form = f"{schema.kind} {' × '.join(map(str, schema.shape))}"
    if schema.mixed is not None:
        form = f"mixed table of {counted(schema.size, 'column')}"
    if schema.low is not None and schema.high is not None:
        form += f", {'whole numbers' if schema.integer[0] else 'numbers'} from {schema.low:g} to {schema.high:g}"
    rows = [("form", form)]
    if schema.mixed is not None:
        rows += columns_of(schema.mixed)
    elif schema.columns is not None:
        rows.append(("columns", listed(schema.columns, SHOWN)))
    column = data.label_column or ("label" if schema.columns is not None else "")
    if schema.classes:
        rows += [("label column", clean(column))] if column else []
        rows.append(("classes", listed(schema.classes, SHOWN)))
    else:
        rows.append(("labels", "none in the training data"))
    if schema.columns is not None:
        notes = (header.training or {}).get("notes", ())
        left = [clean(note.removeprefix(LEFT_OUT), 300) for note in notes if note.startswith(LEFT_OUT)]
        rows.append(("ignored columns", "all others" + (f", in the training data {'; '.join(left)}" if left else "")))
    return rows


def columns_of(mixed: Sequence[Column]) -> list[tuple[str, str]]:
    """The columns of a mixed table by kind, with their ranges or levels."""
    rows = []
    for kind, plural in PLURALS.items():
        own = [column for column in mixed if column.kind == kind]
        words = [f"{clean(column.name, 40)} ({_range(column)})" for column in own[:SHOWN]]
        more = f" and {len(own) - SHOWN} more" if len(own) > SHOWN else ""
        rows += [(plural, ", ".join(words) + more)] if own else []
    return rows


def _range(column: Column) -> str:
    return listed(column.levels) or f"{column.text(column.low)} to {column.text(column.high)}"
