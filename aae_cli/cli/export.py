"""``aae export``: a model for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from .frame import frame, reporter
from .options import Checkpoint, Debug, Quiet, Verbose, option
from .rows import choose_checkpoint
from .target import refuse_overwriting

EXAMPLES = """\
aae export -o model.onnx
aae export -c runs/semi-supervised -o model.pt2"""


def command(
    output: Annotated[
        str, option("Output", "-o", "--output", metavar="FILE", help="File to write: .onnx, or .pt2 for PyTorch.")
    ],
    checkpoint: Checkpoint = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
    debug: Debug = False,
) -> None:
    """Write the encoder to FILE, the decoder beside it, and for a table how its cells become numbers."""
    with frame(debug):
        report = reporter(quiet, verbose)
        path = choose_checkpoint(checkpoint, lambda can: True, "be exported", report, "aae train --preset quick")
        refuse_overwriting(output, str(path))
        from ..model.export import export
        from ..model.load import load

        for written in export(load(path, "cpu"), Path(output)):
            print(written)
