"""What is decided for every preset on many forms of data, against a file of what was decided before.

python tests/config/test_adapted.py   # write the file anew, after a change that was meant
"""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest

from aae_cli.config.auto import adapt
from aae_cli.config.draft import Facts
from aae_cli.config.presets import preset_names
from aae_cli.config.resolve import resolve
from aae_cli.data.columns import Column
from aae_cli.data.types import Schema
from aae_cli.errors import AaeError

FILE = Path(__file__).with_name("adapted.json")
CLASSES = tuple("0123456789")
FLAG = (Column("flag", "category", "text", levels=("no", "yes")),)
SCHEMAS = {
    "image": Schema("image", (1, 28, 28), 0.0, 255.0, (True,), classes=CLASSES),
    "photo": Schema("image", (3, 48, 64), 0.0, 255.0, (True,), classes=CLASSES),
    "table": Schema("table", (12,), integer=(False,) * 12, classes=CLASSES),
    "mixed": Schema("table", (12,), classes=CLASSES, columns=tuple("abcdefghijkl"), mixed=12 * FLAG),
}
CASES = [
    f"{kind} {labels} {rows}"
    for kind, labels, rows in itertools.product(SCHEMAS, ("none", "10", "all"), (50, 5000, 20_000))
]


def leaves(values: Any, path: str = "") -> dict[str, Any]:
    """A nested mapping as dotted key -> value."""
    if not isinstance(values, dict) or not values:
        return {path: values}
    return {k: v for key, each in values.items() for k, v in leaves(each, f"{path}.{key}" if path else key).items()}


def decided(preset: str, case: str) -> dict[str, Any] | str:
    """The keys in which the adapted config differs from the preset; of a refusal, the error's name."""
    kind, labels, rows = case.split()
    try:
        config = resolve(preset, flags={"data.labels": labels})
        used = {"none": 0, "10": 10, "all": int(rows)}[labels]
        adapted = adapt(config, Facts.of(SCHEMAS[kind], int(rows), used)).config
    except AaeError as error:
        return type(error).__name__
    before, after = (leaves(each.model_dump(mode="json")) for each in (config, adapted))
    return {key: after.get(key) for key in sorted({*before, *after}) if before.get(key, "-") != after.get(key, "-")}


def table(preset: str) -> dict[str, Any]:
    """The decisions of a preset -> the cases in which they are taken."""
    result: dict[str, list[str]] = {}
    for case in CASES:
        result.setdefault(json.dumps(decided(preset, case)), []).append(case)
    return {", ".join(cases): json.loads(decisions) for decisions, cases in result.items()}


@pytest.mark.parametrize("preset", preset_names())
def test_decisions_are_those_on_file(preset: str) -> None:
    assert table(preset) == json.loads(FILE.read_text())[preset]


if __name__ == "__main__":
    FILE.write_text(json.dumps({preset: table(preset) for preset in preset_names()}, indent=0) + "\n")
