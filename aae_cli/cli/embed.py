"""``aae embed``: rows to points."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from ..errors import UsageError
from .common import (
    Checkpoint,
    Columns,
    Debug,
    Device,
    DeviceOption,
    Format,
    LabelColumn,
    Output,
    Quiet,
    Rows,
    Seed,
    Source,
    Verbose,
    check_plot,
    choose_checkpoint,
    fit,
    frame,
    ids_and_labels,
    load_model,
    reporter,
    write_rows,
)


def command(
    data: Source,
    checkpoint: Checkpoint = None,
    fit_: Annotated[bool, typer.Option("--fit", help="Fit dim-reduction on DATA itself, and keep the run.")] = False,
    dims: Annotated[
        int | None, typer.Option("--dims", min=1, help="Dimensions; a larger representation is projected. [2]")
    ] = None,
    plot: Annotated[str | None, typer.Option("--plot", metavar="FILE", help="Draw a scatter as PNG.")] = None,
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
    """Write the representation of every row: id, label (where known), then x,y or z0,z1,…"""
    with frame(debug):
        from ..output import check_output, output_format

        kind = output_format(output, format, pipe_input=data == "-", default="csv")
        check_output(output)
        if fit_ and checkpoint is not None:
            raise UsageError("--fit makes a new model, -c uses one that is there", "give one of them")
        check_plot(plot)
        report = reporter(quiet, verbose)
        source = Rows(data, format, label_column, columns)
        wanted = dims or 2
        path = None
        if not fit_:
            from ..inference import representation_dims

            path = choose_checkpoint(
                checkpoint,
                lambda header: representation_dims(header) == wanted and source.fit(header),
                f"embed {data} in {wanted} dimensions",
                report,
                None,
            )
        if path is None:
            if not fit_:
                report.say(
                    f"no run under ./runs embeds rows of this form in {wanted} dimensions: fitting dim-reduction"
                )
            flags = {"code.z.dims": wanted} if wanted != 2 else {}
            path = fit("dim-reduction", source, flags, seed, device, report)
        model = load_model(path, device)
        rows = source.like(model.header)
        points = model.embed(rows.x)
        if dims is not None:
            points = model.project(points, dims)
        ids, labels = ids_and_labels(rows)
        table: dict[str, Any] = {"id": ids}
        if labels is not None:
            table["label"] = labels
        names = ["x", "y"] if points.shape[1] == 2 else [f"z{i}" for i in range(points.shape[1])]
        table |= {name: points[:, i] for i, name in enumerate(names)}
        if plot is not None:
            from pathlib import Path

            from ..files import write_whole
            from ..pictures import scatter

            shown = labels
            if shown is None and model.model.classes:
                shown = [str(cluster) for cluster in model.cluster(rows.x)[0]]
            flat = model.project(points, 2) if points.shape[1] > 2 and points.shape[1] == model.dims else points
            heads = None
            if model.model.heads is not None and model.dims == 2 and flat is points:
                heads = model.model.W_C[0].detach().cpu().numpy()
            write_whole(Path(plot), scatter(flat, shown, f"{model.header.title}: {rows.name}", heads))
            report.say(f"drew {plot}")
        write_rows(table, len(rows), kind, output, report)
