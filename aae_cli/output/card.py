"""Format measurements as text: the model card of a run, and a table of metrics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def card(
    title: str,
    summary: str,
    facts: Mapping[str, Any],
    metrics: Mapping[str, float],
    meanings: Mapping[str, str],
    commands: Sequence[tuple[str, str]],
) -> str:
    """Format the model card of a run, which is its README.md.

    Args:
        meanings: one sentence on each metric.
        commands: what can be done with the model, each with what it gives.
    """
    lines = [f"# {title}", "", summary, "", "| | |", "|---|---|"]
    lines += [f"| {name} | {_cell(value)} |" for name, value in facts.items()]
    lines += ["", "## Measured on held-out data", ""]
    if metrics:
        lines += ["| metric | value | what it means |", "|---|---|---|"]
        lines += [f"| {name} | {value:.5g} | {_cell(meanings.get(name, ''))} |" for name, value in metrics.items()]
    else:
        lines.append("Nothing was measured, as no rows were held out.")
    lines += ["", "## Use", "", "```sh"]
    lines += [line for command, gives in commands for line in (f"# {gives}", command)]
    lines += ["```", "", "![samples](samples.png)", ""]
    return "\n".join(lines)


def _cell(value: Any) -> str:
    return str(value).replace("|", "\\|")


def metrics_table(metrics: Mapping[str, float], meanings: Mapping[str, str]) -> str:
    """Format measurements as aligned plain text, each with one sentence on what it means."""
    return "\n".join(f"{name:<24} {value:<10.5g} {meanings.get(name, '')}".rstrip() for name, value in metrics.items())
