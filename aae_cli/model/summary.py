"""What a checkpoint is, in plain words and numbers: facts, tables for people, and runs side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..config.draft import shown
from ..config.resolve import leaves
from ..data.columns import LEFT_OUT, Column
from ..data.kinds import PLURALS
from ..output.card import value_text
from ..text import clean, counted, listed
from .abilities import Abilities
from .checkpoint import Header

SHOWN = 40
"""The most columns, classes or clusters that are listed; the facts have them all."""


def describe(header: Header, path: str) -> dict[str, Any]:
    """The facts on a checkpoint, as JSON values.

    Args:
        path: where it lies.
    """
    can = Abilities(header)
    config, schema, training = header.config, header.schema, dict(header.training or {})
    metrics = training.pop("metrics", {})
    training.pop("cluster_sizes", None)
    intervals, decisions = training.pop("intervals", {}), training.pop("decisions", [])
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
        "intervals": intervals,
        "decisions": decisions,
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
        named = (f"{i} {name}" if name else f"{i} –" for i, name in enumerate(facts["cluster_labels"]))
        model.append(("classes of clusters", listed(named, SHOWN)))
    length = f"{counted(training.get('steps', 0), 'step')} in {training.get('seconds', 0):g} s"
    run = [("finished", "yes" if header.finished else "no"), ("data", facts["data"])]
    if "rows" in training:
        run += [("rows", str(training["rows"])), ("labels used", str(training.get("labels", 0)))]
        run += [("held out", training.get("held_out", "none")), ("length", length)]
    run += [(name, str(training[name])) for name in ("device", "precision", "torch") if name in training]
    run += [("note", note) for note in training.get("notes", ())]
    if training.get("scores"):
        run.append(("scores of restarts", ", ".join(f"{score:g}" for score in training["scores"])))
    found = [
        (f"{header.title}: {facts['checkpoint']}", model),
        ("rows that it reads", reads(header)),
        ("training", run),
    ]
    measured = [(name, value_of(facts, name)) for name in facts["metrics"]]
    if measured:
        found.append((f"measured on {training.get('held_out', 'held-out rows')}", measured))
    return [(clean(title, 200), [(name, clean(value, 2000)) for name, value in rows]) for title, rows in found]


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
        rows += column_ranges(schema.mixed)
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


def column_ranges(mixed: Sequence[Column]) -> list[tuple[str, str]]:
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


def compared(runs: Sequence[dict[str, Any]]) -> tuple[list[str], list[list[str]]]:
    """A table with a column for each run: facts, measurements, and the settings in which the runs differ.

    Args:
        runs: results of :func:`describe`.
    """
    names = ("preset", "data", "rows", "labels", "steps", "seconds", "held_out")
    rows = [[name, *(str({**run["training"], **run}.get(name, "–")) for run in runs)] for name in names]
    configs = [dict(leaves(run["config"])) for run in runs]
    keys = {key: None for config in configs for key in config if not key.startswith("about.")}
    settings = [(key, [shown(config.get(key, "–")) for config in configs]) for key in keys]
    rows += [[key, *values] for key, values in settings if len(set(values)) > 1 and key != "data.source"]
    metrics = {name: None for run in runs for name in run["metrics"]}
    rows += [[name, *(value_of(run, name) for run in runs)] for name in metrics]
    return ["", *(run["checkpoint"] for run in runs)], [[clean(cell, 60) for cell in row] for row in rows]


def value_of(run: Mapping[str, Any], metric: str) -> str:
    """A measurement with its interval."""
    ends = run["intervals"].get(metric)
    return value_text(run["metrics"][metric], tuple(ends) if ends else None) if metric in run["metrics"] else "–"
