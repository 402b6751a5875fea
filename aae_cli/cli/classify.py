"""``aae classify``: rows to classes."""

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
    Format,
    Ignore,
    InputFormat,
    KindOption,
    LabelColumn,
    Numeric,
    Output,
    Quiet,
    Size,
    SkipBad,
    Source,
    Unlabelled,
    Verbose,
    option,
)
from .rows import Rows, choose_checkpoint
from .shards import into_folder, over_files
from .target import Target

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..data.types import Data
    from ..model.autoencoder import Autoencoder

PRESETS = "aae train --preset semi-supervised (or dim-reduction-labels, dim-reduction-10d, clustering)"
EXAMPLES = """\
aae classify digits.npz -o classes.csv
aae classify flowers.csv -c runs/semi-supervised --proba -o classes.parquet"""


def command(
    data: Source,
    checkpoint: Checkpoint = None,
    proba: Annotated[
        bool,
        option(
            "Output",
            "--proba",
            help="Write a column of probabilities for each class, p(class) where its name is that of another column.",
        ),
    ] = False,
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
    device: DeviceOption = Device.auto,
    quiet: Quiet = False,
    verbose: Verbose = False,
    debug: Debug = False,
) -> None:
    """Write the predicted class of every row: id, label (the true one, where known), prediction, confidence.

    Rows without ids and labels give, as CSV, the prediction alone, under the header `label`.
    """
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
        path = choose_checkpoint(
            checkpoint, lambda can: can.named and rows.fit(can.header), f"classify {data}", report, PRESETS
        )
        target.spare(path)
        from ..model.load import load

        model = load(path, device.value)
        text = target.format == "csv"
        target.write((table(model, piece, proba, text) for piece in rows.pieces(model.header, report)), report)


def table(model: Autoencoder, rows: Data, proba: bool, text: bool) -> dict[str, Any]:
    """The predicted class of each row and its probability.

    Args:
        proba: add a column of probabilities for each class.
        text: write the prediction alone where rows have neither ids nor labels, so that lines can be counted.
    """
    probabilities = model.classify(rows.x)
    prediction = [model.classes[i] for i in probabilities.argmax(1)]
    columns = probability_columns(model.classes)
    every = {name: probabilities[:, i] for i, name in enumerate(columns)} if proba else {}
    if text and rows.ids is None and rows.labels is None:
        return {"label": prediction} | every
    confidence = probabilities.max(1) if len(rows) else probabilities[:, 0]
    return ids_and_labels(rows) | {"prediction": prediction, "confidence": confidence} | every


def probability_columns(classes: Sequence[str]) -> list[str]:
    """Names of the columns of probabilities: the classes, or p(class) for one named like another column."""
    names = list(classes)
    for i in range(len(names)):
        while names[i] in ("id", "label", "prediction", "confidence") or names[i] in names[:i] + names[i + 1 :]:
            names[i] = f"p({names[i]})"
    return names
