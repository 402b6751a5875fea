"""``aae embed``: rows to points."""

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
    from collections.abc import Iterator

    import numpy as np

    from ..data.types import Data


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
        import numpy as np

        from ..output.writers import TableWriter, check_output, output_format
        from ..text import clean

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
            from ..model.abilities import Abilities

            path = choose_checkpoint(
                checkpoint,
                lambda header: Abilities(header).dims == wanted and source.fit(header),
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
        drawn: list[tuple[np.ndarray, list[str]]] = []
        with TableWriter(output, kind) as writer:
            for ids, labels, points, clusters in represented(model, source.pieces(model.header), dims, bool(plot)):
                table: dict[str, Any] = {"id": ids}
                if labels is not None:
                    table["label"] = labels
                names = ["x", "y"] if points.shape[1] == 2 else [f"z{i}" for i in range(points.shape[1])]
                writer.write(table | {each: points[:, i] for i, each in enumerate(names)})
                if plot is not None:
                    drawn.append((points, labels if labels is not None else clusters))
            if plot is not None:
                colours = [label for _, piece in drawn for label in piece]
                picture(np.concatenate([points for points, _ in drawn]), colours or None, clean(data), model, plot)
                report.say(f"drew {plot}")
        say_written(writer.rows, output, report)


def represented(model: Any, pieces: Iterator[Data], dims: int | None, clusters: bool) -> Iterator[tuple[Any, ...]]:
    """Ids, labels, points and, if asked for, cluster names of each piece.

    All but principal components come as the pieces do; those are of all rows, whose representations are kept until then.
    """
    whole = dims is not None and dims < model.dims and not (dims == 2 and model.model.heads is not None)
    kept = []
    for rows in pieces:
        points = model.embed(rows.x)
        own = [str(cluster) for cluster in model.cluster(rows.x)[0]] if clusters and model.model.classes else []
        if whole:
            kept.append((*ids_and_labels(rows), points, own))
        else:
            yield *ids_and_labels(rows), points if dims is None else model.project(points, dims), own
    if kept:
        import numpy as np

        projected = model.project(np.concatenate([piece[2] for piece in kept]), dims)
        starts = np.cumsum([len(piece[2]) for piece in kept])[:-1]
        for (ids, labels, _, own), points in zip(kept, np.split(projected, starts), strict=True):
            yield ids, labels, points, own


def picture(points: np.ndarray, labels: list[str] | None, name: str, model: Any, plot: str) -> None:
    """The points as a scatter, with the cluster heads where they lie in the same plane."""
    from pathlib import Path

    from ..files import write_whole
    from ..output.pictures import scatter

    flat = model.project(points, 2) if points.shape[1] > 2 and points.shape[1] == model.dims else points
    heads = None
    if model.model.heads is not None and model.dims == 2 and flat is points:
        heads = model.model.W_C[0].detach().cpu().numpy()
    write_whole(Path(plot), scatter(flat, labels, f"{model.header.title}: {name}", heads))
