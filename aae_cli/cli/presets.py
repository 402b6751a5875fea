"""``aae presets``: what can be trained."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from .frame import frame
from .options import Debug, Json, Quiet, Verbose


def command(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", show_default=False, help="Print this one.")] = None,
    as_json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    debug: Debug = False,
) -> None:
    """List the presets, or print one as YAML."""
    with frame(debug):
        from ..config.presets import preset_names, preset_path, read_preset
        from ..config.resolve import resolve

        if name is not None:
            if as_json:
                print(json.dumps(resolve(name).model_dump(mode="json")))
            else:
                print(preset_path(name).read_text(encoding="utf-8"), end="")
            return
        abouts = {each: read_preset(each).get("about", {}) for each in preset_names()}
        if as_json:
            print(json.dumps([{"name": each, **about} for each, about in abouts.items()]))
            return
        print(f"{'preset':<28} {'section':<8} {'minutes':<8} what it does")
        for each, about in abouts.items():
            minutes = f"{about['minutes']:g}" if about.get("minutes") is not None else "–"
            print(f"{each:<28} {about.get('section', ''):<8} {minutes:<8} {about.get('summary', '')}")
        print(
            "\nminutes: on mnist-mini on one CPU thread; two take less. paper/…: literal recipes, thousands of epochs."
        )
