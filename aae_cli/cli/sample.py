"""``aae sample``: draws of the prior, of labels or clusters, and style grids."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from ..errors import UsageError
from ..text import clean, counted
from .cells import cells_of
from .frame import frame, reporter
from .options import Checkpoint, Debug, Device, DeviceOption, Quiet, Seed, Verbose, option
from .rows import choose_checkpoint, refuse_overwriting

if TYPE_CHECKING:
    from ..model.abilities import Abilities
    from ..model.autoencoder import Autoencoder
    from ..model.sampling import Samples
    from ..output.reporter import Reporter

PRESETS = "aae train --preset supervised, semi-supervised, mixture-labels or clustering"
FORMATS = ("png", "csv", "tsv", "parquet", "ndjson", "json", "npz", "npy")
EXAMPLES = """\
aae sample --label 7 --style-grid
aae sample --style-from "mnist-mini:test[5]" -o hand.png
aae sample -n 500 -o - --format csv
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
            help="Number of samples (default: 100), or rows of a grid (10).",
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

        labels, clusters = label or [], cluster or []
        if labels and clusters:
            raise UsageError("--label and --cluster exclude each other", "give one of them")
        output_format(output, format, allowed=FORMATS, default="png")
        check_output(output)
        report = reporter(quiet, verbose)
        from ..data.read import read_row

        if where and (style_grid or style_from is not None):
            raise UsageError("--where and the style options exclude each other", "give one of them")
        path = choose(checkpoint, labels, clusters, style_grid, style_from, where or [], report)
        for read in (str(path), *([style_from] if style_from else [])):
            refuse_overwriting(output, read)
        import torch

        from ..model.load import load

        model = load(path, device.value)
        if clusters and max(clusters) >= model.model.classes:
            raise UsageError(f"--cluster {max(clusters)}: the model has {model.model.classes} clusters, counted from 0")
        generator = torch.Generator().manual_seed(seed)
        if style_from is not None:
            style = read_row(style_from, like=model.schema)
            samples = model.style_grid(labels=labels, clusters=clusters, style=style.x)
        elif style_grid:
            samples = model.style_grid(n or 10, labels, clusters, generator=generator)
        elif where:
            found = model.sample_where(n or 100, where, labels, clusters, generator)
            report.say(found.summary)
            samples = found.samples
        else:
            samples = model.sample(n or 100, labels, clusters, generator=generator)
        image = model.schema.kind == "image"
        kind = output_format(output, format, allowed=FORMATS, default="png" if image else "csv")
        if kind == "png" and not image:
            raise UsageError("a table has no PNG", f"choose from {', '.join(FORMATS[1:])} with -o FILE or --format")
        target = output or str(_free(Path(f"samples.{kind}")))
        from ..output.writers import write

        chosen_content = bool(labels or clusters or style_grid or style_from)
        write(content(model, samples, kind, labelled=chosen_content or not image), target, kind)
        if output is None:
            print(target)
        elif output != "-":
            report.say(f"wrote {counted(len(samples.x), 'sample')} to {output}")
        if image and kind == "png" and output != "-" and not quiet and sys.stdout is not None and sys.stdout.isatty():
            from ..output.preview import preview

            preview(samples.x[: 4 * samples.columns], model.schema, samples.columns)


def choose(
    checkpoint: str | None,
    labels: list[str],
    clusters: list[int],
    style_grid: bool,
    style_from: str | None,
    where: list[str],
    report: Reporter,
) -> Path:
    """The checkpoint that is named, else the newest run that can sample what is asked for."""
    from ..data.read import read_row
    from ..model.conditions import knows_columns

    row = None if style_from is None or checkpoint else read_row(style_from).schema

    def can(abilities: Abilities) -> bool:
        schema = abilities.header.schema
        right_size = row is None or schema.size == row.size
        return right_size and abilities.samples(labels, clusters, style_grid, style_from is not None)

    what = task(labels, clusters, bool(style_grid or style_from))
    path = None
    if where:
        what += f" rows where {' and '.join(clean(each) for each in where)}"
        path = choose_checkpoint(
            checkpoint,
            lambda able: can(able) and knows_columns(where, able.header.schema, able.label_column),
            what,
            report,
            None,
        )  # a table without these columns is refused later, with the ones that it has
    if path is None:
        path = choose_checkpoint(
            checkpoint,
            lambda able: can(able) and (not where or able.header.schema.kind == "table"),
            what,
            report,
            PRESETS + (" --data TABLE" if where else ""),
        )
    assert path is not None
    return path


def task(labels: list[str], clusters: list[int], style: bool) -> str:
    """What is asked of a checkpoint, as a verb with its object."""
    what = f"sample the label {labels[0]}" if labels else f"sample the cluster {clusters[0]}" if clusters else "sample"
    return f"{what} with its style apart" if style else what


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
