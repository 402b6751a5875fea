"""``aae runs``: what lies under ./runs, and its removal."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import AaeError, UsageError
from ..text import clean, counted, did_you_mean
from .frame import frame, reporter
from .options import Debug, Json, Quiet, Verbose

if TYPE_CHECKING:
    from ..model.checkpoint import Header

EXAMPLES = """\
aae runs
aae runs rm clustering-2 quick"""
FOLDER = Path("runs")


def command(
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="[rm RUN…]", help="rm, and the runs to delete; nothing lists all runs."),
    ] = None,
    as_json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    debug: Debug = False,
) -> None:
    """List the runs under ./runs, the newest first: preset, data, when, its first metric and size; or delete some."""
    with frame(debug):
        if words:
            remove(words, reporter(quiet, verbose).say)
            return
        from ..output.reporter import plain_table

        found = runs_here()
        if as_json:
            print(json.dumps(found))
            return
        header = ("run", "preset", "data", "when", "measured", "MB")
        lines = [[clean(str(run[name]), 60) for name in header] for run in found]
        if lines:
            print("\n".join(plain_table(header, lines)))
        else:
            reporter(quiet, verbose).say("no runs under ./runs; train one with `aae train`")


def runs_here() -> list[dict[str, Any]]:
    """Each run under ./runs, the newest first."""
    from ..model.checkpoint import MODEL, read_header
    from ..training.folder import is_run

    found = []
    for folder in FOLDER.glob("*/"):
        if not is_run(folder):
            continue
        file = next(
            (path for path in (folder / MODEL, *sorted(folder.glob(f"seed-*/{MODEL}"))) if path.is_file()), None
        )
        header, state = None, "nothing saved" if file is None else "damaged"
        with suppress(AaeError):  # a damaged run is listed all the same
            header = None if file is None else read_header(file)
        changed = (file or folder).stat().st_mtime
        size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        found.append(
            (
                changed,
                {"run": folder.name, **summary(header, state), "when": stamp(changed), "MB": round(size / 1e6, 1)},
            )
        )
    return [run for _, run in sorted(found, key=lambda each: -each[0])]


def summary(header: Header | None, state: str) -> dict[str, str]:
    """Preset, data and first metric of a run; its ``state`` where none of them is known."""
    if header is None:
        return {"preset": "–", "data": "–", "measured": state}
    training = header.training or {}
    metric = next(iter(training.get("metrics", {}).items()), None)
    measured = "not finished" if not header.finished else "–" if metric is None else f"{metric[0]} {metric[1]:.4g}"
    return {"preset": header.title, "data": str(training.get("data", header.config.data.source)), "measured": measured}


def stamp(seconds: float) -> str:
    """A time as a date and a time of day."""
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))


def remove(words: list[str], say: Callable[[str], None]) -> None:
    """Delete the files of runs. Raises UsageError for another word, or a folder that is no run, before any is deleted."""
    from ..training.folder import is_run, remove_run

    action, *names = words
    if action != "rm" or not names:
        raise UsageError(
            f"aae runs {action}: not known", "list runs with `aae runs`, delete some with `aae runs rm RUN`"
        )
    known = {path.name: path for path in FOLDER.glob("*/") if is_run(path)}
    folders = {}
    for name in names:
        parent = Path(name).parent
        own = Path(name).name if parent == Path() or parent.resolve() == FOLDER.resolve() else name
        if own not in known:
            raise UsageError(
                f"{clean(name)} is no run under ./runs", did_you_mean(own, known) or "`aae runs` lists them"
            )
        folders[own] = known[own]
    for folder in folders.values():
        left = remove_run(folder)
        say(f"deleted {folder}" + (f", but for {counted(left, 'other file')}" if left else ""))
