"""``aae info``: what a checkpoint is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import AaeError, UsageError
from ..files import write_whole
from ..output.reporter import plain_table
from ..output.writers import check_output
from ..text import clean
from .frame import frame, reporter
from .options import Checkpoint, Debug, Json, Quiet, Verbose, option
from .rows import choose_checkpoint
from .target import refuse_overwriting

if TYPE_CHECKING:
    from ..model.checkpoint import Header
    from ..output.reporter import Reporter

EXAMPLES = """\
aae info
aae info -c runs/clustering --json
aae info runs/clustering runs/quick
aae info --html report.html"""


def command(
    runs: Annotated[
        list[str] | None,
        typer.Argument(metavar="[RUN…]", help="Run to show, or several to compare (default: the newest)."),
    ] = None,
    checkpoint: Checkpoint = None,
    html: Annotated[
        str | None,
        option(
            "Output", "--html", metavar="FILE", help="Write a page with all that is known of the run, and its pictures."
        ),
    ] = None,
    as_json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    debug: Debug = False,
) -> None:
    """Show what a checkpoint is: its preset, the columns that it reads, its training, its measurements, its commands."""
    with frame(debug):
        from ..model.checkpoint import read_header
        from ..model.summary import compared, describe, tables

        report, named = reporter(quiet, verbose), [*(runs or []), *([checkpoint] if checkpoint else [])]
        if html is not None:
            if len(named) > 1 or as_json:
                raise UsageError("--html shows one run, as a page", "name a single one, without --json")
            if Path(html).suffix.lower() != ".html":
                raise UsageError(f"--html {html}: not the name of a page", "name it .html")
            check_output(html, "--html")
        if len(named) > 1:
            found = [describe(read_header(name), name) for name in named]
            print(json.dumps(found) if as_json else "\n".join(plain_table(*compared(found))))
            return
        one = named[0] if named else None
        path = choose_checkpoint(one, lambda can: True, "be shown", report, "aae train --preset quick")
        header = read_header(path)
        facts = describe(header, str(path))
        if html is not None:
            refuse_overwriting(html, str(path))
            write_whole(Path(html), page(path, header, facts, report))
            report.say(f"wrote {html}")
        elif as_json:
            print(json.dumps(facts))
        else:
            for title, rows in tables(header, facts):
                print(title)
                for name, value in rows:
                    print(f"  {name:<24} {value}")


def page(path: Path, header: Header, facts: dict[str, Any], report: Reporter) -> bytes:
    """The page of ``--html``: what the run is, its pictures, how it was decided and measured."""
    from ..model.evaluation import MEANINGS
    from ..model.figures import run_pictures
    from ..model.load import load
    from ..model.summary import tables, value_of
    from ..output.browser import TablePanel
    from ..output.report import report_page
    from ..training.splits import held_out_rows

    (title, first), *rest = tables(header, facts)
    panels = [TablePanel("Model", (), first)]
    panels += [TablePanel(name[:1].upper() + name[1:], (), rows) for name, rows in rest]
    if facts["metrics"]:
        measured = [(name, value_of(facts, name), MEANINGS.get(name, "")) for name in facts["metrics"]]
        panels[-1] = TablePanel(panels[-1].title, ("metric", "value (95 % interval)", "what it means"), measured)
    if facts["decisions"]:
        decisions = [[clean(cell, 500) for cell in line] for line in facts["decisions"]]
        panels.append(TablePanel("Decided automatically", ("key", "value", "why"), decisions))
    folder = path if path.is_dir() else path.parent
    pictures = [("Samples", "samples.png"), ("Losses", "curves.png")]
    found = [(name, (folder / file).read_bytes()) for name, file in pictures if (folder / file).is_file()]
    model = load(path, "cpu")
    try:
        held_out = held_out_rows(header).held_out
    except AaeError as error:
        report.say(f"the page has no maps of held-out rows: {error.what}")
        held_out = None
    return report_page(title, panels, [*found, *run_pictures(model, held_out[0] if held_out else None)])
