"""The command line. Commands parse, call and write; nothing heavy is imported until one runs."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from ..version import __version__
from . import classify, cluster, embed, evaluate, info, presets, sample, train

app = typer.Typer(
    name="aae",
    help="Adversarial autoencoders from the shell: train one, then cluster, embed, classify and sample.",
    context_settings={"help_option_names": ["-h", "--help"]},
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
)
for module in (train, sample, embed, cluster, classify, evaluate, presets, info):
    app.command(module.__name__.rpartition(".")[2])(module.command)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"aae {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and leave.")
    ] = False,
) -> None:
    pass


def main() -> None:
    """The ``aae`` executable."""
    for number in range(3):  # a stream that came closed leads nowhere, lest the next file to be opened take its number
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    if sys.stdout is not None and hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="replace")  # characters that a locale lacks
    app()
