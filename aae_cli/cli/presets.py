"""``aae presets``: what can be trained."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from ..errors import UsageError
from .frame import frame
from .options import Debug, Json, Quiet, Verbose, option

EXAMPLES = """\
aae presets
aae presets clustering > mine.yaml
aae presets dim-reduction --auto"""


def command(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", show_default=False, help="Print this one.")] = None,
    auto: Annotated[
        bool, option("Output", "--auto", help="Print the rules for the keys of the preset that follow the data.")
    ] = False,
    as_json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    debug: Debug = False,
) -> None:
    """List the presets, or print one as YAML."""
    with frame(debug):
        if auto:
            print_rules(name, as_json)
        elif name is not None:
            print_one(name, as_json)
        else:
            print_all(as_json)


def print_rules(name: str | None, as_json: bool) -> None:
    """How the keys of a preset follow the data: rules for ``auto``, and limits."""
    from ..config.auto import rules_of
    from ..config.resolve import resolve

    if name is None:
        raise UsageError("--auto is for one preset", "name it, as in `aae presets clustering --auto`")
    rules = rules_of(resolve(name))
    if as_json:
        print(json.dumps([{"keys": keys.split(", "), "rule": words} for keys, words in rules]))
        return
    for keys, words in rules:
        print(f"{keys}\n    {words}")


def print_one(name: str, as_json: bool) -> None:
    from ..config.presets import preset_path
    from ..config.resolve import resolve

    if as_json:
        print(json.dumps(resolve(name).model_dump(mode="json")))
    else:
        print(preset_path(name).read_text(encoding="utf-8"), end="")


def print_all(as_json: bool) -> None:
    from ..config.presets import preset_names, read_preset

    abouts = {each: read_preset(each).get("about", {}) for each in preset_names()}
    if as_json:
        print(json.dumps([{"name": each, **about} for each, about in abouts.items()]))
        return
    print(f"{'preset':<28} {'section':<8} {'minutes':<8} what it does")
    for each, about in abouts.items():
        minutes = f"{about['minutes']:g}" if about.get("minutes") is not None else "–"
        print(f"{each:<28} {about.get('section', ''):<8} {minutes:<8} {about.get('summary', '')}")
    print("\nminutes: on mnist-mini on one CPU thread; two take less. paper/…: literal recipes, thousands of epochs.")
