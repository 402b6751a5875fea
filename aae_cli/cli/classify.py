"""``aae classify``: rows to classes."""

from __future__ import annotations

from typing import Annotated, Any

import typer

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
)
from .rows import Rows, choose_checkpoint, load_model, say_written

PRESETS = "aae train --preset semi-supervised (or dim-reduction-labels, dim-reduction-10d, clustering)"


def can_classify(header: Any) -> bool:
    labels = header.cluster_labels
    return header.config.code.y is not None and labels is not None and any(label >= 0 for label in labels)


def command(
    data: Source,
    checkpoint: Checkpoint = None,
    proba: Annotated[bool, typer.Option("--proba", help="Write a column of probabilities for each class.")] = False,
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
        from ..output.writers import TableWriter, check_output, output_format

        kind = output_format(output, format, pipe_input=data == "-", default="csv")
        check_output(output)
        report = reporter(quiet, verbose)
        source = Rows(data, format, label_column, columns)
        path = choose_checkpoint(
            checkpoint,
            lambda header: can_classify(header) and source.fit(header),
            f"classify {data}",
            report,
            PRESETS,
        )
        assert path is not None
        model = load_model(path, device)
        with TableWriter(output, kind) as writer:
            for rows in source.pieces(model.header):
                probabilities = model.classify(rows.x)
                if proba:
                    writer.write({name: probabilities[:, i] for i, name in enumerate(model.classes)})
                else:
                    writer.write({"label": [model.classes[i] for i in probabilities.argmax(1)]})
        say_written(writer.rows, output, report)
