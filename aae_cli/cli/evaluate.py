"""``aae evaluate``: measure a model on held-out rows."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from .frame import frame, reporter
from .options import Checkpoint, Columns, Debug, Device, DeviceOption, Json, LabelColumn, Quiet, Seed, Verbose
from .rows import Rows, choose_checkpoint, load_model


def command(
    data: Annotated[
        str | None,
        typer.Argument(metavar="[DATA]", show_default=False, help="Default: the held-out rows of the training data."),
    ] = None,
    checkpoint: Checkpoint = None,
    metric: Annotated[
        list[str] | None,
        typer.Option("--metric", metavar="NAME", help="A metric by name; repeatable. [those that fit the variant]"),
    ] = None,
    samples: Annotated[
        int, typer.Option("--samples", min=1, help="Samples of the Parzen window (log-likelihood).")
    ] = 10_000,
    format: Annotated[str | None, typer.Option("--format", metavar="F", help="Format of stdin. [csv]")] = None,
    label_column: LabelColumn = None,
    columns: Columns = None,
    seed: Seed = 0,
    device: DeviceOption = Device.auto,
    as_json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    debug: Debug = False,
) -> None:
    """Print error rates, clustering agreement, log-likelihood, prior fit or style leakage, as fits the model."""
    with frame(debug):
        report = reporter(quiet, verbose)
        from ..model.abilities import Abilities
        from ..model.evaluation import checked_metric, evaluate, why_not

        wanted = [checked_metric(name) for name in metric or []]
        source = None if data is None else Rows(data, format, label_column, columns)
        path = choose_checkpoint(
            checkpoint,
            lambda header: (
                all(why_not(Abilities(header), name, True) is None for name in wanted)
                and (source is None or source.fit(header))
            ),
            "be evaluated" + (f" on {data}" if data else ""),
            report,
            "aae train --preset clustering (any preset will do; `aae presets` lists them)",
        )
        assert path is not None
        model = load_model(path, device)
        from ..output.card import metrics_table

        validation = None
        if source is None:
            from ..training.splits import held_out_rows

            splits = held_out_rows(model.header)
            held_out = splits.held_out
            if held_out is None:
                held_out = (splits.train, "the training rows (none were held out)")
            rows, said = held_out
            validation = splits.validation if splits.test is not None else None
            report.say(f"measuring on {said} of {rows.name}")
        else:
            rows = source.like(model.header)
        measured = evaluate(model, rows, metric or None, validation=validation, samples=samples, seed=seed)
        print(json.dumps(measured) if as_json else metrics_table(measured))
