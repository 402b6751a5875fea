"""``aae info``: what a checkpoint is."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from .frame import frame, reporter
from .options import Checkpoint, Debug, Json, Quiet, Verbose
from .rows import choose_checkpoint

if TYPE_CHECKING:
    from ..model.checkpoint import Header

EXAMPLES = """\
aae info
aae info -c runs/clustering --json"""


def command(
    checkpoint: Checkpoint = None,
    as_json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    debug: Debug = False,
) -> None:
    """Show a checkpoint's preset, data, measurements and what can be done with it."""
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
        for name, value in facts.items():
            if name in ("config", "schema"):
                continue
            if isinstance(value, dict):
                print(f"{name}:")
                for key, item in value.items():
                    print(f"  {key:<24} {item}")
            else:
                shown = ", ".join(map(str, value)) if isinstance(value, list) else value
                print(f"{name:<16} {shown}")


def describe(header: Header, path: str) -> dict[str, Any]:
    """A checkpoint in plain words and numbers."""
    from ..model.abilities import Abilities

    can = Abilities(header)
    config, schema, training = header.config, header.schema, dict(header.training or {})
    metrics = training.pop("metrics", {})
    training.pop("cluster_sizes", None)
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
