"""``aae score``: how unusual rows are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

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
    from collections.abc import Iterable, Iterator

    from ..model.autoencoder import Autoencoder
    from ..output.reporter import Reporter

EXAMPLES = """\
aae score customers.csv --fit --top 20
aae score new.csv -c runs/table -o scores.csv
aae score mnist:test -c runs/gaussian --top 10"""

TABLES, IMAGES = "table", "gaussian"


def command(
    data: Source,
    checkpoint: Checkpoint = None,
    fit: Annotated[
        bool,
        option("Model", "--fit", help="Fit the preset table (images: gaussian) on DATA itself, and keep the run."),
    ] = False,
    set_: Set = None,
    epochs: Epochs = None,
    time: Time = None,
    restarts: Restarts = None,
    top: Annotated[
        int | None,
        option("Output", "--top", metavar="N", min=1, help="Write the N most unusual rows, the most unusual first."),
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
    """Write how unusual every row is: id, score, percentile, and for tables the three cells that fit least."""
    options = dict(locals())
    with frame(debug):
        if into_folder(data, output):
            over_files(command, options, reporter(quiet, verbose))
            return
        target = Target.of(data, output, format, input_format)
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
        preset = IMAGES if rows.image else TABLES
        fitting = Fit(preset, fit, {}, seed, device.value).shaped(set_, epochs, restarts, time)
        what = f"score {data}", "models rows of this form"
        path = fitting.choose(rows, checkpoint, lambda can: can.generative, what, report)
        target.spare(path)
        from ..model.load import load

        tables = scored(load(path, device.value), rows, report)
        target.write(tables if top is None else [most_unusual(tables, top)], report)


def scored(model: Autoencoder, rows: Rows, report: Reporter) -> Iterator[dict[str, Any]]:
    """Ids, scores, percentiles and reasons, piece by piece; all at once for a checkpoint without reference scores."""
    from ..model.unusual import Reference, reference_of, scores

    reference, pieces = Reference.of(model), rows.pieces(model.header, report)
    if reference is None:
        whole = rows.like(model.header)
        reference, pieces = (
            reference_of(model, whole.x, "the rows themselves, as the checkpoint has none"),
            iter([whole]),
        )
    report.say(f"percentiles are among {reference.rows}")
    for piece in pieces:
        found = scores(model, piece.x, reference)
        table = {"id": ids_and_labels(piece)["id"], "score": found.score, "percentile": found.percentile}
        yield table if found.reasons is None else table | {"reasons": found.reasons}


def most_unusual(tables: Iterable[dict[str, Any]], top: int) -> dict[str, Any]:
    """The rows with the highest scores, the highest first; of equal ones the first."""
    import numpy as np

    kept: dict[str, Any] = {}
    for table in tables:
        joined = {
            name: np.concatenate([*([kept[name]] if kept else []), np.asarray(new)]) for name, new in table.items()
        }
        order = np.argsort(-joined["score"], kind="stable")[:top]
        kept = {name: values[order] for name, values in joined.items()}
    return {name: values if values.dtype.kind == "f" else values.tolist() for name, values in kept.items()}
