"""The options that commands share, declared once."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer


class Device(StrEnum):
    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"
    mps = "mps"


class Precision(StrEnum):
    fp32 = "fp32"
    tf32 = "tf32"
    bf16 = "bf16"


Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="Say nothing but warnings and errors.")]
Verbose = Annotated[bool, typer.Option("-v", "--verbose", help="Say more.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show a traceback on errors.")]
Json = Annotated[bool, typer.Option("--json", help="Print the report as JSON.")]
DeviceOption = Annotated[Device, typer.Option("--device", help="Where to compute; auto picks CUDA, MPS or the CPU.")]
Checkpoint = Annotated[
    str | None,
    typer.Option(
        "-c",
        "--checkpoint",
        metavar="PATH",
        help="Run folder or model.safetensors. Default: $AAE_CHECKPOINT, else the newest fitting run under ./runs.",
    ),
]
Source = Annotated[
    str,
    typer.Argument(
        metavar="DATA",
        help="A name (mnist, mnist:test, mnist-mini, digits, …), a file (.npz .npy .csv .tsv .parquet, IDX), "
        "a folder of images, an image, or - for stdin.",
    ),
]
Output = Annotated[
    str | None, typer.Option("-o", "--output", metavar="FILE|-", help="Where to write; - is stdout, the default.")
]
Format = Annotated[
    str | None,
    typer.Option(
        "--format", metavar="F", help="csv, tsv, parquet, ndjson, json, npz or npy; also the format of stdin."
    ),
]
LabelColumn = Annotated[
    str | None, typer.Option("--label-column", metavar="NAME", help="The column that holds labels (default: label).")
]
Columns = Annotated[
    str | None, typer.Option("--columns", metavar="A,B,…", help="The feature columns of a table (default: all others).")
]
Seed = Annotated[int, typer.Option("--seed", min=0, max=2**31 - 1, help="Of every random choice.")]
