"""``aae sample``: draws of the prior, of labels or clusters, and style grids."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from ..errors import UsageError
from ..text import counted
from .frame import frame, reporter
from .options import Checkpoint, Debug, Device, DeviceOption, Quiet, Seed, Verbose, option
from .sample_request import SampleRequest
from .target import refuse_overwriting

if TYPE_CHECKING:
    from ..model.autoencoder import Autoencoder
    from ..model.sampling import Samples

FORMATS = ("png", "csv", "tsv", "parquet", "ndjson", "json", "npz", "npy")
EXAMPLES = """\
aae sample --label 7 --style-grid
aae sample --style-from "mnist-mini:test[5]" -o hand.png
aae sample -n 500 -o - --format csv
aae sample --between "mnist-mini:test[3]" "mnist-mini:test[8]" -o walk.png
aae sample --where sex=female --where "body_mass_g>4500" -o heavy.csv"""


def command(
    checkpoint: Checkpoint = None,
    n: Annotated[
        int | None,
        option(
            "Output",
            "-n",
            "--number",
            metavar="N",
            min=1,
            help="Number of samples (default: 100), rows of a grid or steps of a walk (10).",
        ),
    ] = None,
    label: Annotated[
        list[str] | None, option("Output", "--label", metavar="L", help="Sample this class (repeatable).")
    ] = None,
    cluster: Annotated[
        list[int] | None, option("Output", "--cluster", metavar="K", min=0, help="Sample this cluster (repeatable).")
    ] = None,
    where: Annotated[
        list[str] | None,
        option(
            "Output",
            "--where",
            metavar="COND",
            help="Sample rows of a table that meet a condition such as sex=female, age>60 or year!=2007 (repeatable; "
            "=, !=, <, <=, >, >=): draws that are checked, steered if few meet it. There may be fewer than -n.",
        ),
    ] = None,
    style_grid: Annotated[
        bool,
        option(
            "Output",
            "--style-grid",
            help="Lay out styles in rows and labels or clusters in columns; of one label, a lattice of styles.",
        ),
    ] = False,
    style_from: Annotated[
        str | None, option("Output", "--style-from", metavar="DATA[i]", help="Take the style of this row.")
    ] = None,
    decode: Annotated[
        str | None,
        option(
            "Output",
            "--decode",
            metavar="CODES",
            help="Decode codes, as `aae embed --dims all` writes them.",
        ),
    ] = None,
    between: Annotated[
        tuple[str, str] | None,
        option(
            "Output",
            "--between",
            metavar="DATA[i] DATA[j]",
            help="Walk from one row's code to another's (-n steps).",
        ),
    ] = None,
    traverse: Annotated[
        str | None,
        option(
            "Output",
            "--traverse",
            metavar="zN",
            help="Vary one dimension of z (-n steps).",
        ),
    ] = None,
    seed: Seed = 0,
    output: Annotated[
        str | None,
        option("Output", "-o", "--output", metavar="FILE|-", help="File to write; - is stdout (default: samples.png)."),
    ] = None,
    format: Annotated[
        str | None, option("Output", "--format", metavar="F", help="png, csv, tsv, parquet, ndjson, json, npz or npy.")
    ] = None,
    device: DeviceOption = Device.auto,
    quiet: Quiet = False,
    verbose: Verbose = False,
    debug: Debug = False,
) -> None:
    """Decode samples: a PNG (its path is printed), or rows in the units of the training data."""
    with frame(debug):
        from ..output.writers import check_output, output_format

        request = SampleRequest(
            n, label or [], cluster or [], where or [], style_grid, style_from, decode, between, traverse
        )
        output_format(output, format, allowed=FORMATS, default="png")
        check_output(output)
        report = reporter(quiet, verbose)
        path = request.choose(checkpoint, report)
        for read in (str(path), *request.read):
            refuse_overwriting(output, read)
        import torch

        from ..model.load import load

        model = load(path, device.value)
        if cluster and max(cluster) >= model.model.classes:
            raise UsageError(f"--cluster {max(cluster)}: the model has {model.model.classes} clusters, counted from 0")
        samples = request.samples(model, torch.Generator().manual_seed(seed), report)
        image = model.schema.kind == "image"
        kind = output_format(output, format, allowed=FORMATS, default="png" if image else "csv")
        if kind == "png" and not image:
            raise UsageError("a table has no PNG", f"choose from {', '.join(FORMATS[1:])} with -o FILE or --format")
        target = output or str(_free(Path(f"samples.{kind}")))
        from ..output.writers import write

        write(content(model, samples, kind, labelled=request.labelled or not image), target, kind)
        if output is None:
            print(target)
        elif output != "-":
            report.say(f"wrote {counted(len(samples.x), 'sample')} to {output}")
        if image and kind == "png" and output != "-" and not quiet and sys.stdout is not None and sys.stdout.isatty():
            from ..output.preview import preview

            preview(samples.x[: 4 * samples.columns], model.schema, samples.columns)


def _free(path: Path) -> Path:
    """The path itself, or with the first number that is free."""
    free, count = path, 1
    while free.exists():
        count += 1
        free = path.with_stem(f"{path.stem}-{count}")
    return free


def content(model: Autoencoder, samples: Samples, kind: str, labelled: bool) -> bytes:
    """Samples in a format: a picture, arrays in the form that the readers take back, or a table.

    Args:
        labelled: write the label of each sample in a table; of images drawn at random, the pixels alone.
    """
    from ..data.memory import cells_of
    from ..output.writers import table_bytes

    if kind == "png":
        from ..model.figures import samples_picture

        return samples_picture(model, samples)
    labels = None if samples.labels is None else [model.classes[i] if i >= 0 else "" for i in samples.labels]
    if kind == "npz":
        return _npz(model, samples, labels)
    cells = cells_of(model.schema, samples.x)
    if labelled and labels is not None:  # where the training file has its label column
        names, at = list(cells), model.schema.label_at or 0
        names.insert(at, model.abilities.label_column or "label")
        cells = {name: cells.get(name, labels) for name in names}
    return table_bytes(cells, kind)


def _npz(model: Autoencoder, samples: Samples, labels: list[str] | None) -> bytes:
    import numpy as np

    schema = model.schema
    shape = schema.shape[1:] if len(schema.shape) == 3 and schema.shape[0] == 1 else schema.shape
    x = samples.x.reshape(-1, *shape)
    whole = schema.kind == "image" and schema.integer[0] and (schema.high or 0) <= 255
    arrays = {"x": x.astype(np.uint8) if whole else x} | ({} if labels is None else {"y": np.array(labels)})
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
    return buffer.getvalue()
