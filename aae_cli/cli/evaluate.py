"""``aae evaluate``: measure a model on held-out rows."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Annotated

import typer

from .frame import frame, reporter
from .options import (
    Categorical,
    Checkpoint,
    Columns,
    Debug,
    Device,
    DeviceOption,
    Ignore,
    InputFormatOnly,
    Json,
    KindOption,
    LabelColumn,
    Numeric,
    Quiet,
    Seed,
    Size,
    SkipBad,
    Unlabelled,
    Verbose,
    option,
)
from .rows import Rows, choose_checkpoint

if TYPE_CHECKING:
    from ..data.types import Data
    from ..model.autoencoder import Autoencoder
    from ..output.reporter import Reporter

EXAMPLES = """\
aae evaluate
aae evaluate mnist:test -c runs/clustering --metric nmi --metric ari --json
aae evaluate penguins.csv -c runs/table --metric table"""
PRESETS = "aae train --preset clustering (any preset will do; `aae presets` lists them)"


def command(
    data: Annotated[
        str | None,
        typer.Argument(metavar="[DATA]", show_default=False, help="Default: the held-out rows of the training data."),
    ] = None,
    checkpoint: Checkpoint = None,
    metric: Annotated[
        list[str] | None,
        option(
            "Model",
            "--metric",
            metavar="NAME",
            help="Measure this (repeatable; `list` explains all; default: what fits the variant).",
        ),
    ] = None,
    samples: Annotated[
        int, option("Model", "--samples", metavar="N", min=1, help="Samples of the Parzen window (default: 10000).")
    ] = 10_000,
    input_format: InputFormatOnly = None,
    label_column: LabelColumn = None,
    columns: Columns = None,
    kind: KindOption = None,
    unlabelled: Unlabelled = None,
    categorical: Categorical = None,
    numeric: Numeric = None,
    ignore: Ignore = None,
    size: Size = None,
    skip_bad: SkipBad = False,
    seed: Seed = 0,
    device: DeviceOption = Device.auto,
    as_json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    debug: Debug = False,
) -> None:
    """Print error rates, clustering agreement, log-likelihood, prior fit or style leakage, as fits the model.

    Each has a sentence on what it means, and the one that tells most of the model comes first.
    """
    with frame(debug):
        report = reporter(quiet, verbose)
        from ..model.evaluation import (
            EXPLAINED,
            MEANINGS,
            checked_metrics,
            intervals,
            measure,
            require_possible,
            why_not,
        )

        if metric == ["list"]:
            print(
                json.dumps(EXPLAINED) if as_json else "\n".join(f"{name:<24} {EXPLAINED[name]}" for name in EXPLAINED)
            )
            return
        for name in metric or []:
            checked_metrics(name)
        rows = (
            None
            if data is None
            else Rows.of(
                data,
                input_format,
                label_column,
                columns,
                kind,
                unlabelled,
                categorical=categorical,
                numeric=numeric,
                ignore=ignore,
                size=size,
                skip_bad=skip_bad,
            )
        )
        path = choose_checkpoint(
            checkpoint,
            lambda can: (
                all(why_not(can, name, True) is None for name in metric or [])
                and (rows is None or rows.fit(can.header))
            ),
            "be evaluated" + (f" on {data}" if data else ""),
            report,
            PRESETS,
        )
        from ..model.abilities import Abilities
        from ..model.checkpoint import read_header
        from ..model.load import load
        from ..output.card import metrics_table

        require_possible(Abilities(read_header(path)), metric or [], str(path))  # before weights and rows are read
        model = load(path, device.value)
        if rows is None:
            measured_on, validation, training = held_out(model, report)
        else:
            measured_on, validation = others(rows, model, report), None
            training = trained_rows(model) if needs_training(metric or []) else None
        measured = measure(
            model, measured_on, metric or None, validation=validation, training=training, samples=samples, seed=seed
        )
        print(json.dumps(measured) if as_json else metrics_table(measured, intervals(measured, measured_on), MEANINGS))


def held_out(model: Autoencoder, report: Reporter) -> tuple[Data, Data | None, Data | None]:
    """The rows that the model did not see, other such rows to choose σ on, and those that it was trained on."""
    from ..training.splits import held_out_rows

    splits = held_out_rows(model.header)
    rows, name = splits.held_out or (splits.train, "the training rows (none were held out)")
    report.say(f"measuring on {name} of {rows.name}")
    known = splits.train if splits.held_out is not None else None
    return rows, splits.validation if splits.test is not None else None, known


def needs_training(metrics: list[str]) -> bool:
    """Whether one of these metrics compares with the training rows."""
    from ..model.evaluation import checked_metrics
    from ..model.table_metrics import TABLE_METRICS

    return any(name in TABLE_METRICS for metric in metrics for name in checked_metrics(metric))


def trained_rows(model: Autoencoder) -> Data | None:
    """The rows that the model was trained on, read again; None where they are no longer there."""
    from ..errors import AaeError
    from ..training.splits import held_out_rows

    try:
        return held_out_rows(model.header).train
    except AaeError:
        return None


def others(rows: Rows, model: Autoencoder, report: Reporter) -> Data:
    """DATA, without the rows that the model was trained on where that is known."""
    from ..model.evaluation import unseen

    data, remark = unseen(model.header, rows.like(model.header, report))
    source = model.header.config.data.source
    if (
        remark is None
        and os.path.exists(source)
        and os.path.exists(rows.source)
        and os.path.samefile(source, rows.source)
    ):
        remark = f"{rows.source} has changed since the model was trained on it: it has seen some of these rows"
    if remark is not None:
        report.warn(remark)
    return data
