"""The options that commands share, declared once, in the groups in which ``--help`` shows them."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Annotated, Any, Literal

import typer

from .. import STARTED
from ..errors import UsageError


class Device(StrEnum):
    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"
    mps = "mps"


class Precision(StrEnum):
    fp32 = "fp32"
    tf32 = "tf32"
    bf16 = "bf16"


def option(group: str, *names: str, help: str, **more: Any) -> Any:
    """An option of one of the groups of ``help.GROUPS``; a default that matters is part of its help text."""
    return typer.Option(*names, help=help, rich_help_panel=group, show_default=False, **more)


SOURCE_HELP = (
    "A name (mnist, mnist:test, mnist-mini, digits, penguins, …), a file (.npz .npy .csv .tsv .parquet, IDX), "
    "a folder of images, an image, or - for stdin."
)
Source = Annotated[str, typer.Argument(metavar="DATA", help=SOURCE_HELP)]
LabelColumn = Annotated[
    str | None, option("Data", "--label-column", metavar="NAME", help="Column that holds the labels (default: label).")
]
Unlabelled = Annotated[
    str | None,
    option(
        "Data",
        "--unlabelled",
        metavar="VALUE",
        help="Label that means unlabelled, beside empty ones (default: -1, where all others are from 0).",
    ),
]
Columns = Annotated[
    str | None, option("Data", "--columns", metavar="A,B,…", help="Feature columns of a table (default: all others).")
]


Categorical = Annotated[
    str | None,
    option("Data", "--categorical", metavar="A,B,…", help="Columns to read as categories (default: by their cells)."),
]
Numeric = Annotated[
    str | None,
    option("Data", "--numeric", metavar="A,B,…", help="Columns to read as numbers (default: by their cells)."),
]
Ignore = Annotated[str | None, option("Data", "--ignore", metavar="A,B,…", help="Columns of a table to leave out.")]


Size = Annotated[
    int | None,
    option(
        "Data",
        "--size",
        metavar="N",
        min=1,
        max=4096,
        help="Scale and crop image files to N×N pixels (default: their most frequent size, at most 64 a side).",
    ),
]
SkipBad = Annotated[bool, option("Data", "--skip-bad", help="Leave out damaged image files.")]

Kind = Literal["image", "table"]
KindOption = Annotated[
    Kind | None,
    option(
        "Data", "--kind", metavar="image|table", help="Read numbers as pixels or as a table (default: by their looks)."
    ),
]
INPUT_HELP = "Format of the input (default: by its suffix; csv for stdin)."
InputFormat = Annotated[str | None, option("Data", "--input-format", metavar="F", help=INPUT_HELP)]
InputFormatOnly = Annotated[str | None, option("Data", "--input-format", "--format", metavar="F", help=INPUT_HELP)]
"""For commands that write no table, where ``--format`` can mean nothing else."""

Checkpoint = Annotated[
    str | None,
    option(
        "Model",
        "-c",
        "--checkpoint",
        metavar="PATH",
        help="Run folder or model.safetensors (default: $AAE_CHECKPOINT, else the newest fitting run under ./runs).",
    ),
]
Seed = Annotated[int, option("Model", "--seed", metavar="N", min=0, max=2**31 - 1, help="Random seed (default: 0).")]

Set = Annotated[
    list[str] | None,
    option("Model", "--set", metavar="KEY=VALUE", help="Change one key of the preset (repeatable)."),
]
Epochs = Annotated[int | None, option("Model", "--epochs", metavar="N", min=1, help="Passes over the data.")]
Restarts = Annotated[
    int | None,
    option(
        "Model", "--restarts", metavar="N", min=1, help="Models to train at once; a label-free score keeps the best."
    ),
]
Time = Annotated[
    str | None,
    option("Model", "--time", metavar="30s|5m", help="Train for as many epochs as fit into this time, start included."),
]


def deadline(text: str | None, epochs: int | None) -> float | None:
    """``--time`` as a value of ``time.monotonic()``. Raises UsageError, also where ``--epochs`` sets the length."""
    if text is None:
        return None
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(s|m|min|h)", text.strip().lower())
    seconds = float(found[1]) * {"s": 1, "m": 60, "min": 60, "h": 3600}[found[2]] if found else 0.0
    if not 0 < seconds < 1e7:
        raise UsageError(f"--time {text}: not a time", "write it as 30s, 5m or 1h")
    if epochs is not None:
        raise UsageError("--epochs and --time both set the length", "give one of them")
    return STARTED + seconds


Output = Annotated[
    str | None, option("Output", "-o", "--output", metavar="FILE|-", help="File to write (default: -, stdout).")
]
Format = Annotated[
    str | None,
    option(
        "Output",
        "--format",
        metavar="F",
        help="csv, tsv, parquet, ndjson, json, npz or npy (without --input-format, also that of stdin).",
    ),
]
Json = Annotated[bool, option("Output", "--json", help="Print the report as JSON.")]

DeviceOption = Annotated[
    Device,
    option(
        "Run",
        "--device",
        metavar="auto|cpu|cuda|mps",
        help="Device to compute on; auto picks CUDA, MPS or the CPU (default: auto).",
    ),
]
Quiet = Annotated[bool, option("Run", "-q", "--quiet", help="Print only warnings and errors.")]
Verbose = Annotated[bool, option("Run", "-v", "--verbose", help="Print every progress line.")]
Debug = Annotated[bool, option("Run", "--debug", help="Show a traceback on errors.")]
