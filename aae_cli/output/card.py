"""Format measurements as text: the model card of a run, and a table of metrics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Intervals = Mapping[str, tuple[float, float]]
INTERVAL = "In brackets: where the rate on any number of such rows lies, with 95 % confidence."


def card(
    title: str,
    summary: str,
    facts: Mapping[str, Any],
    metrics: Mapping[str, float],
    intervals: Intervals,
    meanings: Mapping[str, str],
    commands: Sequence[tuple[str, str]],
) -> str:
    """Format the model card of a run, which is its README.md.

    Args:
        intervals: 95 % interval of each rate among the metrics.
        meanings: one sentence on each metric.
        commands: what can be done with the model, each with what it gives.
    """
    lines = [f"# {title}", "", summary, "", "| | |", "|---|---|"]
    lines += [f"| {name} | {_cell(value)} |" for name, value in facts.items()]
    lines += ["", "## Measured on held-out data", ""]
    if metrics:
        lines += ["| metric | value | what it means |", "|---|---|---|"]
        for name, value in metrics.items():
            lines.append(f"| {name} | {value_text(value, intervals.get(name))} | {_cell(meanings.get(name, ''))} |")
        if intervals:
            lines += ["", INTERVAL]
    else:
        lines.append("Nothing was measured, as no rows were held out.")
    lines += ["", "## Use", "", "```sh"]
    lines += [line for command, gives in commands for line in (f"# {gives}", command)]
    lines += ["```", "", "![samples](samples.png)", "", "![losses](curves.png)", ""]
    return "\n".join(lines)


def _cell(value: Any) -> str:
    return str(value).replace("|", "\\|")


def value_text(value: float, interval: tuple[float, float] | None) -> str:
    """A measured value, with its interval if it has one: 33.333 (15.2–58.3)."""
    return f"{value:.5g}" if interval is None else f"{value:.5g} ({interval[0]:.3g}–{interval[1]:.3g})"


def metrics_table(metrics: Mapping[str, float], intervals: Intervals, meanings: Mapping[str, str]) -> str:
    """Format measurements as aligned plain text, each with one sentence on what it means."""
    values = {name: value_text(value, intervals.get(name)) for name, value in metrics.items()}
    width = max((len(text) for text in values.values()), default=0)
    lines = [f"{name:<24} {text:<{width}} {meanings.get(name, '')}".rstrip() for name, text in values.items()]
    return "\n".join([*lines, *([INTERVAL] if intervals else [])])
