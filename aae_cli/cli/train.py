"""``aae train``: a preset and data in, a run folder out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

from ..errors import UsageError
from ..output.reporter import to_stderr
from .frame import frame, reporter
from .options import (
    Categorical,
    Columns,
    Debug,
    Device,
    DeviceOption,
    Epochs,
    Ignore,
    InputFormatOnly,
    Json,
    KindOption,
    LabelColumn,
    Numeric,
    Precision,
    Quiet,
    Restarts,
    Set,
    Size,
    SkipBad,
    Time,
    Unlabelled,
    Verbose,
    deadline,
    option,
)
from .rows import listed

EXAMPLES = """\
aae train --preset clustering -k 20
aae train --preset semi-supervised --data flowers.csv --label-column species --labels 15
aae train --preset clustering --set code.z.dims=8 --dry-run"""


def command(
    preset: Annotated[
        str | None,
        option(
            "Model", "-p", "--preset", metavar="NAME|FILE", help="Preset (`aae presets`) or YAML file (default: quick)."
        ),
    ] = None,
    data: Annotated[
        str | None,
        option("Data", "--data", metavar="DATA", help="A name, a path or - for stdin (default: the preset's own)."),
    ] = None,
    output: Annotated[
        str | None, option("Output", "-o", "--output", metavar="DIR", help="Run folder (default: runs/<preset>).")
    ] = None,
    set_: Set = None,
    epochs: Epochs = None,
    time: Time = None,
    batch_size: Annotated[
        int | None, option("Model", "--batch-size", metavar="N", min=1, help="Rows in a step.")
    ] = None,
    labels: Annotated[
        str | None, option("Data", "--labels", metavar="N", help="Labelled rows to use: N, 20%, all or none.")
    ] = None,
    clusters: Annotated[
        int | None, option("Model", "-k", "--clusters", metavar="N", min=2, help="Number of clusters K.")
    ] = None,
    restarts: Restarts = None,
    seed: Annotated[int | None, option("Model", "--seed", metavar="N", min=0, help="Random seed (default: 0).")] = None,
    device: DeviceOption = Device.auto,
    precision: Annotated[
        Precision | None,
        option(
            "Run",
            "--precision",
            metavar="fp32|tf32|bf16",
            help="Precision of matrix products (weights stay fp32; default: tf32 on CUDA, else fp32).",
        ),
    ] = None,
    label_column: LabelColumn = None,
    columns: Columns = None,
    kind: KindOption = None,
    unlabelled: Unlabelled = None,
    categorical: Categorical = None,
    numeric: Numeric = None,
    ignore: Ignore = None,
    size: Size = None,
    skip_bad: SkipBad = False,
    input_format: InputFormatOnly = None,
    resume: Annotated[
        bool,
        option(
            "Output",
            "--resume",
            help="Continue an unfinished run; start one that has not begun; leave a finished one as it is.",
        ),
    ] = False,
    force: Annotated[bool, option("Output", "--force", help="Replace what is in -o DIR.")] = False,
    dry_run: Annotated[
        bool,
        option("Run", "--dry-run", help="Print the config that would be trained, with reasons; train nothing."),
    ] = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Train a preset, and print the path of the checkpoint."""
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
            "data.kind": kind,
            "data.unlabelled": unlabelled,
            "data.categorical": listed(categorical),
            "data.numeric": listed(numeric),
            "data.ignore": listed(ignore),
            "data.size": size,
            "data.skip_bad": skip_bad or None,
        }
        until = deadline(time, epochs)
        if resume and force:
            raise UsageError("--resume goes on with a run, --force replaces it", "give one of them")
        from ..config.presets import preset_title
        from ..config.resolve import resolve_given, to_commented_yaml

        chosen, title = preset or "quick", preset_title(preset or "quick")
        started = Path(output or "") / "config.yaml"  # the config of the run that is continued
        if resume and preset is None and output is not None and started.is_file():
            chosen, title = str(started), started.parent.name
        config, given = resolve_given(chosen, set_ or [], flags)  # wrong usage is reported before torch is imported
        if preset is None and not resume and not quiet:
            to_stderr("no --preset given: using quick (`aae presets` lists the others)")
        from ..training.api import Options, prepare, train_config

        options = Options(
            title,
            output=output,
            given=given,
            device=device.value,
            resume=resume,
            force=force,
            format=input_format,
            deadline=until,
            reporter=reporter(quiet, verbose),
        )
        if dry_run:
            adapted = prepare(config, options).plan.adapted
            comments = {decision.key: decision.comment for decision in adapted.decisions}
            plain, whole = (
                json.dumps(adapted.config.model_dump(mode="json")),
                to_commented_yaml(adapted.config, comments),
            )
            print(plain if as_json else whole, end="")
            return
        from ..distributed import started_by_torchrun

        (run,) = train_config(config, options)
        if started_by_torchrun()[0] == 0:  # of several processes, one prints
            options.reporter.say(f"saved in {run.folder}")
            print(json.dumps({"checkpoint": str(run.folder), "metrics": run.metrics}) if as_json else run.folder)
