"""``aae cluster``: rows to clusters."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from ..errors import UsageError
from ..text import counted
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
from .rows import Fit, Rows
from .shards import into_folder, over_files
from .target import Target

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..data.types import Data
    from ..model.autoencoder import Autoencoder
    from ..model.description import Description
    from ..output.reporter import Reporter

EXAMPLES = """\
aae cluster mnist-mini:test --plot clusters.png -o clusters.csv
aae cluster flowers.csv --fit -k 3 --label-column species
aae cluster penguins -k 3 --describe -o clusters.csv"""


def command(
    data: Source,
    checkpoint: Checkpoint = None,
    fit: Annotated[
        bool, option("Model", "--fit", help="Fit the preset clustering on DATA itself, and keep the run.")
    ] = False,
    clusters: Annotated[
        int | None,
        option("Model", "-k", "--clusters", metavar="N", min=2, help="Number of clusters K (default: the preset's)."),
    ] = None,
    set_: Set = None,
    epochs: Epochs = None,
    time: Time = None,
    restarts: Restarts = None,
    describe: Annotated[
        bool,
        option(
            "Output",
            "--describe",
            help="Describe each cluster on stderr: its size, mean confidence, the five columns in which it differs most "
            "from the rest, and three typical rows.",
        ),
    ] = False,
    as_json: Annotated[
        bool,
        option(
            "Output",
            "--json",
            help="Print the description as JSON, with whole rows: on stdout if -o FILE takes the clusters, else on stderr.",
        ),
    ] = False,
    plot: Annotated[
        str | None,
        option(
            "Output",
            "--plot",
            metavar="FILE",
            help="Draw typical and random members of each image cluster, or a map of a table's clusters, as PNG; as .html, "
            "a page with a map of all rows beside a description of the clusters.",
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
    """Write the cluster of every row and its probability: id, cluster, confidence, label (where known)."""
    options = dict(locals())
    with frame(debug):
        if into_folder(data, output):
            over_files(command, options, reporter(quiet, verbose))
            return
        if as_json and not describe:
            raise UsageError("--json prints a description of the clusters", "add --describe")
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
        own = {"code.y.classes": clusters}
        fitting = Fit("clustering", fit, own, seed, device.value).shaped(set_, epochs, restarts, time)
        what = f"cluster {data}" + (f" in {clusters}" if clusters else ""), "clusters rows of this form"
        path = fitting.choose(rows, checkpoint, lambda can: can.clusters_into(clusters), what, report)
        target.spare(path)
        from ..model.load import load

        model = load(path, device.value)
        if clusters is not None and model.model.classes not in (0, clusters):
            raise UsageError(f"-k {clusters}: {path} has {model.model.classes} clusters", "leave -k out, or use --fit")
        from ..model.description import Description
        from ..model.figures import cluster_plot

        drawn = cluster_plot(plot, model, seed) if plot is not None else None
        described = Description(model.model.classes, model.schema, seed) if describe else None

        def tables() -> Iterator[dict[str, Any]]:
            for piece in rows.pieces(model.header, report):
                table = table_of(model, piece)
                for collector in (drawn, described):
                    if collector is not None:
                        collector.add(piece, table["cluster"], table["confidence"])
                yield table

        target.write(tables(), report)
        if drawn is not None:
            target.draw(lambda: drawn.draw(Path(data).name), report)
        if described is not None:
            write_description(described, as_json, output, report)


def write_description(described: Description, as_json: bool, output: str | None, report: Reporter) -> None:
    """Print a description: tables on stderr, JSON on stdout unless that holds the clusters.

    Args:
        output: value of ``-o``.
    """
    from ..output.reporter import to_stderr

    if as_json:
        (to_stderr if output in (None, "-") else print)(json.dumps(described.to_json()))
        return
    from ..model.description import LEGEND

    if described.schema.kind == "table":
        report.say(LEGEND)
    for cluster in described.found:
        report.table(described.title(cluster), *described.table(cluster))
    empty = len(described.sizes) - len(described.found)
    if empty:
        report.say(f"{empty} of {counted(len(described.sizes), 'cluster')} {'is' if empty == 1 else 'are'} empty")


def table_of(model: Autoencoder, rows: Data) -> dict[str, Any]:
    """The most probable cluster of each row and its probability."""
    known = ids_and_labels(rows)
    cluster, confidence = model.cluster(rows.x)
    return {"id": known.pop("id"), "cluster": cluster, "confidence": confidence, **known}
