"""``aae train``: a preset and data in, a run folder out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from ..errors import UsageError
from ..output.reporter import to_stderr
from .frame import frame, reporter
from .options import Columns, Debug, Device, DeviceOption, Json, LabelColumn, Precision, Quiet, Verbose
from .rows import listed


def command(
    preset: Annotated[
        str | None,
        typer.Option("-p", "--preset", metavar="NAME|FILE", help="A preset (`aae presets`) or a YAML file. [quick]"),
    ] = None,
    data: Annotated[str | None, typer.Option("--data", metavar="DATA", help="A name, a path or - for stdin.")] = None,
    output: Annotated[
        str | None, typer.Option("-o", "--output", metavar="DIR", help="Run folder. [runs/<preset>]")
    ] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change one key of the preset; repeatable.")
    ] = None,
    epochs: Annotated[int | None, typer.Option("--epochs", min=1, help="Passes over the data.")] = None,
    batch_size: Annotated[int | None, typer.Option("--batch-size", min=1, help="Rows in a step.")] = None,
    labels: Annotated[
        str | None, typer.Option("--labels", metavar="N", help="Labelled rows to use: N, 20%, all or none.")
    ] = None,
    clusters: Annotated[int | None, typer.Option("-k", "--clusters", min=2, help="Number of clusters K.")] = None,
    restarts: Annotated[
        int | None, typer.Option("--restarts", min=1, help="Models trained at once; a label-free score keeps one.")
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", min=0, help="Of every random choice.")] = None,
    device: DeviceOption = Device.auto,
    precision: Annotated[
        Precision | None, typer.Option("--precision", help="Of matrix products; weights stay fp32.")
    ] = None,
    label_column: LabelColumn = None,
    columns: Columns = None,
    format: Annotated[str | None, typer.Option("--format", metavar="F", help="Format of stdin. [csv]")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with an unfinished run.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace what is in -o DIR.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the resolved config and plan; train nothing.")
    ] = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Train a preset; prints the path of the checkpoint."""
    with frame(debug):
        flags = {
            "data.source": data,
            "data.labels": labels,
            "train.epochs": epochs,
            "train.batch_size": batch_size,
            "code.y.classes": clusters,
            "train.restarts": restarts,
            "train.seed": seed,
            "train.precision": precision.value if precision else None,
            "data.label_column": label_column,
            "data.columns": listed(columns),
        }
        if resume and force:
            raise UsageError("--resume goes on with a run, --force replaces it", "give one of them")
        from ..config.presets import preset_title
        from ..config.resolve import resolve_given, to_yaml

        chosen = preset or "quick"
        if resume and preset is None and output is not None:
            chosen = str(Path(output) / "config.yaml")  # what the run was started with
        config, given = resolve_given(chosen, set_ or [], flags)  # wrong usage is reported before torch is imported
        if preset is None and not resume and not quiet:
            to_stderr("no --preset given: using quick (`aae presets` lists the others)")
        from ..training.api import Options, prepare, train_config

        options = Options(
            preset_title(chosen),
            output=output,
            given=given,
            device=device.value,
            resume=resume,
            force=force,
            format=format,
            reporter=reporter(quiet, verbose),
        )
        if dry_run:
            adapted = prepare(config, options).plan.adapted
            print(json.dumps(adapted.config.model_dump(mode="json")) if as_json else to_yaml(adapted.config), end="")
            return
        from ..distributed import started_by_torchrun

        (run,) = train_config(config, options)
        if started_by_torchrun()[0] == 0:  # of several processes, one speaks
            print(json.dumps({"checkpoint": str(run.folder), "metrics": run.metrics}) if as_json else run.folder)
