"""``aae classify``: rows to classes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

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
    Source,
    Verbose,
    option,
)
from .rows import Rows, Target, choose_checkpoint

if TYPE_CHECKING:
    from ..data.types import Data
    from ..model.autoencoder import Autoencoder

PRESETS = "aae train --preset semi-supervised (or dim-reduction-labels, dim-reduction-10d, clustering)"
EXAMPLES = """\
aae classify mnist-mini:test | sort | uniq -c
aae classify flowers.csv -c runs/semi-supervised --proba -o classes.parquet"""


def command(
    data: Source,
    checkpoint: Checkpoint = None,
    proba: Annotated[bool, option("Output", "--proba", help="Write a column of probabilities for each class.")] = False,
    output: Output = None,
    format: Format = None,
    label_column: LabelColumn = None,
    columns: Columns = None,
    device: DeviceOption = Device.auto,
    quiet: Quiet = False,
    verbose: Verbose = False,
    debug: Debug = False,
) -> None:
    """Write the predicted class of every row, one a line under the header `label`."""
    with frame(debug):
        target = Target.of(data, output, format)
        report = reporter(quiet, verbose)
        rows = Rows.of(data, format, label_column, columns)
        path = choose_checkpoint(
            checkpoint, lambda can: can.named and rows.fit(can.header), f"classify {data}", report, PRESETS
        )
        assert path is not None
        target.spare(path)
        from ..model.load import load

        model = load(path, device.value)
        target.write((table(model, piece, proba) for piece in rows.pieces(model.header)), report)


def table(model: Autoencoder, rows: Data, proba: bool) -> dict[str, Any]:
    """The predicted class of each row, or the probability of each class."""
    probabilities = model.classify(rows.x)
    if proba:
        return {name: probabilities[:, i] for i, name in enumerate(model.classes)}
    return {"label": [model.classes[i] for i in probabilities.argmax(1)]}
