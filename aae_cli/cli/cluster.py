"""``aae cluster``: rows to clusters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import UsageError
from .frame import frame, reporter
from .options import (
    Checkpoint,
    Columns,
    Debug,
    Device,
    DeviceOption,
    Format,
    LabelColumn,
    Output,
    Quiet,
    Seed,
    Source,
    Verbose,
)
from .rows import Rows, check_plot, choose_checkpoint, fit, ids_and_labels, load_model, say_written

if TYPE_CHECKING:
    import numpy as np


def command(
    data: Source,
    checkpoint: Checkpoint = None,
    fit_: Annotated[bool, typer.Option("--fit", help="Fit clustering on DATA itself, and keep the run.")] = False,
    clusters: Annotated[int | None, typer.Option("-k", "--clusters", min=2, help="Number of clusters K.")] = None,
    plot: Annotated[
        str | None, typer.Option("--plot", metavar="FILE", help="Draw cluster heads beside members as PNG.")
    ] = None,
    output: Output = None,
    format: Format = None,
    label_column: LabelColumn = None,
    columns: Columns = None,
    seed: Seed = 0,
    device: DeviceOption = Device.auto,
    quiet: Quiet = False,
    verbose: Verbose = False,
    debug: Debug = False,
) -> None:
    """Write the cluster of every row and how sure it is: id, cluster, confidence, label (where known)."""
    with frame(debug):
        from ..output.writers import TableWriter, check_output, output_format

        kind = output_format(output, format, pipe_input=data == "-", default="csv")
        check_output(output)
        if fit_ and checkpoint is not None:
            raise UsageError("--fit makes a new model, -c uses one that is there", "give one of them")
        check_plot(plot)
        report = reporter(quiet, verbose)
        source = Rows(data, format, label_column, columns)
        path = None
        if not fit_:

            def can(header: Any) -> bool:
                y = header.config.code.y
                unsupervised = header.config.phases.semi_supervised is None
                right_number = clusters is None or (y is not None and y.classes == clusters)
                return y is not None and unsupervised and right_number and source.fit(header)

            path = choose_checkpoint(
                checkpoint, can, f"cluster {data}" + (f" in {clusters}" if clusters else ""), report, None
            )
        if path is None:
            if not fit_:
                report.say("no run under ./runs clusters rows of this form: fitting clustering")
            path = fit("clustering", source, {"code.y.classes": clusters}, seed, device, report)
        model = load_model(path, device)
        if clusters is not None and model.model.classes not in (0, clusters):
            raise UsageError(f"-k {clusters}: {path} has {model.model.classes} clusters", "leave -k out, or use --fit")
        first: tuple[np.ndarray, np.ndarray] | None = None
        with TableWriter(output, kind) as writer:
            for rows in source.pieces(model.header):
                own, confidence = model.cluster(rows.x)
                ids, labels = ids_and_labels(rows)
                table: dict[str, Any] = {"id": ids, "cluster": own, "confidence": confidence}
                if labels is not None:
                    table["label"] = labels
                if first is None:
                    first = rows.x, own  # members to show
                writer.write(table)
            if plot is not None and first is not None:
                picture(model, *first, plot)
                report.say(f"drew {plot}")
        say_written(writer.rows, output, report)


def picture(model: Any, x: np.ndarray, own: np.ndarray, plot: str) -> None:
    """Cluster heads beside members for images, profiles for tables."""
    from pathlib import Path

    from ..files import write_whole
    from ..model.figures import cluster_figure, cluster_profiles

    if model.schema.kind == "image":
        write_whole(Path(plot), cluster_figure(model, x, own))
    else:
        write_whole(Path(plot), cluster_profiles(model, model.embed(x), own))
