"""Format measurements as text: the model card of a run, and a table of metrics."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

DIRECTIONS = {
    "reconstruction-error": "lower is better",
    "classification-error": "%, lower is better",
    "cluster-error": "%, lower is better",
    "nmi": "0 to 1, higher is better",
    "ari": "0 to 1, higher is better",
    "hungarian-accuracy": "%, higher is better",
    "clusters-used": "of those there are",
    "neighbour-accuracy": "%, higher is better",
    "prior-fit": "0.5 is perfect, 1 is worst",
    "component-accuracy": "%, higher is better",
    "style-leakage": "%, chance is perfect",
    "style-leakage-chance": "%, what guessing gives",
    "log-likelihood": "nats, higher is better",
    "log-likelihood-error": "nats, standard error",
    "log-likelihood-sigma": "chosen on validation rows",
    "log-likelihood-samples": "",
}


def card(title: str, summary: str, facts: Mapping[str, Any], metrics: Mapping[str, float], command: str) -> str:
    """Format the model card of a run, which is its README.md."""
    lines = [f"# {title}", "", summary, "", "| | |", "|---|---|"]
    lines += [f"| {name} | {str(value).replace('|', chr(92) + '|')} |" for name, value in facts.items()]
    lines += ["", "## Measured on held-out data", ""]
    if metrics:
        lines += ["| metric | value | |", "|---|---|---|"]
        lines += [f"| {name} | {value:.5g} | {DIRECTIONS.get(name, '')} |" for name, value in metrics.items()]
    else:
        lines.append("Nothing was measured, as no rows were held out.")
    lines += ["", "## Use", "", "```", command, "```", "", "![samples](samples.png)", ""]
    return "\n".join(lines)


def metrics_table(metrics: Mapping[str, float]) -> str:
    """Format measurements as aligned plain text."""
    return "\n".join(
        f"{name:<24} {value:<10.5g} {DIRECTIONS.get(name, '')}".rstrip() for name, value in metrics.items()
    )
