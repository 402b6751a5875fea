"""The command line. Commands parse, call and write; nothing heavy is imported until one runs."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from ..version import __version__
from . import classify, cluster, embed, evaluate, export, impute, info, presets, runs, sample, score, train
from .help import Command, Group

app = typer.Typer(
    name="aae",
    cls=Group,
    help="Adversarial autoencoders from the shell: train one, then cluster, embed, classify, sample, impute and score.",
    context_settings={"help_option_names": ["-h", "--help"]},
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
for module, summary in (
    (train, "Train a preset, and print the checkpoint's path."),
    (sample, "Generate rows, or a grid of styles."),
    (embed, "Turn rows into points."),
    (cluster, "Assign rows to clusters."),
    (classify, "Predict the class of rows."),
    (impute, "Fill in the missing cells of a table."),
    (score, "Rank rows by how unusual they are."),
    (evaluate, "Measure a model on held-out rows."),
    (presets, "List the presets, or print one."),
    (info, "Show what a checkpoint is and can do."),
    (runs, "List the runs under ./runs, or delete some."),
    (export, "Write a model as ONNX or .pt2, for other programs."),
):
    name = module.__name__.rpartition(".")[2]
    app.command(name, cls=Command, short_help=summary, epilog=module.EXAMPLES)(module.command)


def _version(context: typer.Context, wanted: bool) -> None:
    if not wanted:
        return
    print(f"aae {__version__}")
    if context.params.get("verbose"):
        from .about import environment

        for name, value in environment():
            print(f"{name:<14} {value}")
    raise typer.Exit


@app.callback()
def _main(
    verbose: Annotated[
        bool, typer.Option("--verbose", is_eager=True, help="With --version: also print what bug reports need.")
    ] = False,
    version: Annotated[bool, typer.Option("--version", callback=_version, help="Print the version and exit.")] = False,
) -> None:
    pass


def main() -> None:
    """The ``aae`` executable."""
    for number in range(3):  # a closed standard stream is opened on os.devnull, or the next file would take its number
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    if sys.stdout is not None and hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="replace")  # characters that a locale lacks
    app()
