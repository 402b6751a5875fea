"""``aae embed``: rows to points."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from ..errors import UsageError
from .cells import ids_and_labels
from .frame import frame, reporter
from .options import (
    Categorical,
    Checkpoint,
    Columns,
    Debug,
    Device,
    DeviceOption,
    Epochs,
    Format,
    Ignore,
    InputFormat,
    KindOption,
    LabelColumn,
    Numeric,
    Output,
    Quiet,
    Restarts,
    Seed,
    Set,
    Size,
    SkipBad,
    Source,
    Time,
    Unlabelled,
    Verbose,
    option,
)
from .rows import Fit, Rows, Target

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import numpy as np

    from ..data.types import Data
    from ..model.autoencoder import Autoencoder
    from ..model.members import RandomRows

THUMBNAILS = 2000
"""Number of images from which those are chosen that a map has room for."""

EXAMPLES = """\
aae embed data.npz -o 2d.csv --plot map.png
aae embed mnist:test -c runs/dim-reduction-10d --dims 2
cat data.csv | aae embed - --format csv | head -3"""


def command(
    data: Source,
    checkpoint: Checkpoint = None,
    fit: Annotated[
        bool, option("Model", "--fit", help="Fit the preset dim-reduction on DATA itself, and keep the run.")
    ] = False,
    dims: Annotated[
        str | None,
        option(
            "Model",
            "--dims",
            metavar="N|all",
            help="Dimensions; a larger representation is projected, unless all are asked for (default: 2).",
        ),
    ] = None,
    set_: Set = None,
    epochs: Epochs = None,
    time: Time = None,
    restarts: Restarts = None,
    plot: Annotated[
        str | None,
        option(
            "Output",
            "--plot",
            metavar="FILE",
            help="Draw a map of the rows as PNG, with some of the images; of 3 dimensions, their 3 pairs.",
        ),
    ] = None,
    output: Output = None,
    format: Format = None,
    input_format: InputFormat = None,
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
    quiet: Quiet = False,
    verbose: Verbose = False,
    debug: Debug = False,
) -> None:
    """Write the representation of every row: id, label (where known), then x,y or z0,z1,…"""
    with frame(debug):
        target = Target.of(data, output, format, input_format, plot)
        report = reporter(quiet, verbose)
        rows = Rows.of(
            data,
            input_format,
            label_column,
            columns,
            kind,
            unlabelled,
            format,
            categorical=categorical,
            numeric=numeric,
            ignore=ignore,
            size=size,
            skip_bad=skip_bad,
        )
        wanted = parsed_dims(dims)
        own = {"code.z.dims": wanted} if wanted not in (2, None) else {}
        fitting = Fit("dim-reduction", fit, own, seed, device.value).shaped(set_, epochs, restarts, time)
        space = f" in {wanted} dimensions" if wanted else ""
        what = f"embed {data}{space}", f"embeds rows of this form{space}"
        path = fitting.choose(rows, checkpoint, lambda can: wanted in (None, can.dims), what, report)
        target.spare(path)
        from ..model.load import load

        model = load(path, device.value)
        if dims is None and model.dims <= 2:
            wanted = None  # nothing to project, and a line is as good as a plane
        import numpy as np

        from ..model.members import RandomRows

        drawn: list[tuple[np.ndarray, list[str]]] = []
        shown_rows = RandomRows(THUMBNAILS, seed)

        def pieces() -> Iterator[Data]:
            for piece in rows.pieces(model.header, report):
                if plot is not None and model.schema.kind == "image":
                    shown_rows.add(piece.x)
                yield piece

        def tables() -> Iterator[dict[str, Any]]:
            for known, points, names in represented(model, pieces(), wanted, clusters=bool(plot)):
                axes = ["x", "y"] if points.shape[1] == 2 else [f"z{i}" for i in range(points.shape[1])]
                if plot is not None:
                    drawn.append((points, known.get("label", names)))
                yield known | {axis: points[:, i] for i, axis in enumerate(axes)}

        target.write(tables(), report)
        if plot is not None and drawn:
            points, shown = plane(model, np.concatenate([piece for piece, _ in drawn]))
            colours = [label for _, piece in drawn for label in piece]
            target.draw(lambda: picture(model, points, colours, data, shown_rows), report)
            if shown:
                report.say(f"{plot} shows {shown}")


def parsed_dims(text: str | None) -> int | None:
    """``--dims``: 2 where it is not given; None for all. Raises UsageError."""
    if text is None or text == "all":
        return 2 if text is None else None
    if not text.isdecimal() or int(text) < 1:
        raise UsageError(f"--dims {text}: not a number of dimensions", "give a whole number from 1, or all")
    return int(text)


Represented = tuple[dict[str, Any], "np.ndarray", list[str]]


def represented(model: Autoencoder, pieces: Iterable[Data], dims: int | None, clusters: bool) -> Iterator[Represented]:
    """Ids and labels, points and, if asked for, cluster names of each piece.

    Principal components are those of all rows, whose representations are kept until then; all else comes piece by piece.
    """
    whole = dims is not None and dims < model.dims and not (dims == 2 and model.model.heads is not None)
    kept: list[Represented] = []
    for rows in pieces:
        points = model.embed(rows.x)
        names = [str(cluster) for cluster in model.cluster(rows.x)[0]] if clusters and model.model.classes else []
        if whole:
            kept.append((ids_and_labels(rows), points, names))
        else:
            yield ids_and_labels(rows), points if dims is None else model.project(points, dims), names
    if kept and dims is not None:
        import numpy as np

        projected = model.project(np.concatenate([points for _, points, _ in kept]), dims)
        starts = np.cumsum([len(points) for _, points, _ in kept])[:-1]
        for (known, _, names), points in zip(kept, np.split(projected, starts), strict=True):
            yield known, points, names


def plane(model: Autoencoder, points: np.ndarray) -> tuple[np.ndarray, str]:
    """Points to draw, of at most three dimensions, and where that is not all of them, what they are."""
    dims = points.shape[1]
    if dims <= 3:
        return points, ""
    if dims < model.dims:  # principal components already
        return points[:, :2], f"z0 and z1, the first two of {dims} principal components (--dims 3 draws three)"
    if len(points) < 2:
        return points[:, :2], f"z0 and z1 of {dims} dimensions"
    how = "cluster heads on a circle" if model.model.heads is not None else "principal components"
    return model.project(points, 2), f"a projection of the {dims} dimensions to two: {how} (--dims 3 draws three)"


def picture(model: Autoencoder, points: np.ndarray, names: list[str], source: str, images: RandomRows) -> bytes:
    """Draw points (N, up to 3), with some of their images, and with the cluster heads where they lie in the same space."""
    from ..output.pictures import scatter
    from ..output.sheets import pixels

    heads = None
    if model.model.heads is not None and points.shape[1] == model.dims:
        heads = model.model.W_C[0].detach().cpu().numpy()
    title, thumbnails = f"{model.header.title}: {Path(source).name}", {i: pixels(x, model.schema) for i, x in images}
    return scatter(points, names or None, title, heads, thumbnails=thumbnails)
