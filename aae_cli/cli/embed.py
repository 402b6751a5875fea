"""``aae embed``: rows to points."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from ..errors import DataError, UsageError
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
from .rows import Fit, Rows, named_checkpoint
from .shards import into_folder, over_files
from .target import Target

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import numpy as np

    from ..data.types import Data
    from ..model.autoencoder import Autoencoder

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
    neighbours: Annotated[
        int | None,
        option(
            "Output",
            "--neighbours",
            metavar="K",
            min=1,
            help="Also write the ids of the K nearest rows, the nearest first.",
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
            help="Draw a map of the rows as PNG, with some of the images (of 3 dimensions, their 3 pairs); as .html, a page "
            "for the browser, to zoom, search and select in.",
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
    options = dict(locals())
    with frame(debug):
        if into_folder(data, output):
            refuse_parts(data, checkpoint, dims, neighbours)
            over_files(command, options, reporter(quiet, verbose))
            return
        target = Target.of(data, output, format, input_format, plot)
        if neighbours is not None and target.format == "npy":
            raise UsageError(
                "--neighbours gives ids, for which a .npy file has no place", "write .csv, .parquet or .npz"
            )
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

        from ..model.maps import map_for

        drawn, placed = map_for(plot, model, seed) if plot is not None else None, []

        def pieces() -> Iterator[Data]:
            for piece in rows.pieces(model.header, report):
                if drawn is not None:
                    drawn.add(piece)
                yield piece

        def tables() -> Iterator[dict[str, Any]]:
            for known, points in represented(model, pieces(), wanted, neighbours):
                axes = ["x", "y"] if points.shape[1] == 2 else [f"z{i}" for i in range(points.shape[1])]
                if drawn is not None:
                    placed.append(points)
                yield known | {axis: points[:, i] for i, axis in enumerate(axes)}

        target.write(tables(), report)
        if drawn is not None and placed:
            points, shown = drawn.plane(np.concatenate(placed))
            target.draw(lambda: drawn.draw(points, f"{model.header.title}: {Path(data).name}"), report)
            if shown:
                report.say(f"{plot} shows {shown}")


def refuse_parts(data: str, checkpoint: str | None, dims: str | None, neighbours: int | None) -> None:
    """Refuse what depends on all rows where each file of a folder is embedded by itself. Raises UsageError."""
    if neighbours is not None:
        raise UsageError("--neighbours searches all rows, but each file is embedded by itself", "give -o a file")
    wanted, path = parsed_dims(dims), named_checkpoint(checkpoint)
    if wanted is None or path is None or not Path(data).is_dir():
        return
    from ..model.abilities import Abilities
    from ..model.checkpoint import read_header

    able = Abilities(read_header(path))
    if wanted < able.dims and not (wanted == 2 and able.header.config.decoder.input == "heads"):
        why = f"{wanted} principal components of {able.dims} dimensions would differ from file to file"
        raise UsageError(why, "give --dims all, or a model of as many dimensions")


def parsed_dims(text: str | None) -> int | None:
    """``--dims``: 2 where it is not given; None for all. Raises UsageError."""
    if text is None or text == "all":
        return 2 if text is None else None
    if not text.isdecimal() or int(text) < 1:
        raise UsageError(f"--dims {text}: not a number of dimensions", "give a whole number from 1, or all")
    return int(text)


Represented = tuple[dict[str, Any], "np.ndarray"]


def represented(
    model: Autoencoder, pieces: Iterable[Data], dims: int | None, neighbours: int | None = None
) -> Iterator[Represented]:
    """Ids, labels and ids of nearest rows, and points of each piece.

    Principal components and neighbours are those of all rows, whose representations are kept until then; all else comes
    piece by piece.
    """
    fewer = dims is not None and dims < model.dims and not (dims == 2 and model.model.heads is not None)
    kept: list[Represented] = []
    for rows in pieces:
        known, points = ids_and_labels(rows), model.embed(rows.x)
        if fewer or neighbours:
            kept.append((known, points))
        else:
            yield known, points if dims is None else model.project(points, dims)
    if not kept:
        return
    import numpy as np

    from ..model.projection import nearest

    every = np.concatenate([points for _, points in kept])
    starts = np.cumsum([len(points) for _, points in kept])[:-1]
    placed = np.split(every if dims is None else model.project(every, dims), starts)
    ids = np.concatenate([np.asarray(known["id"]) for known, _ in kept])
    if (neighbours or 0) >= len(every):
        raise DataError(f"--neighbours {neighbours}: each row has {len(every) - 1} others", "give at most as many")
    near = np.split(nearest(every, neighbours or 0), starts)
    for (known, _), points, own in zip(kept, placed, near, strict=True):
        yield known | {f"neighbour{i + 1}": ids[column].tolist() for i, column in enumerate(own.T)}, points
