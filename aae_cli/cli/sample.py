"""``aae sample``: draws of the prior, of labels or clusters, and style grids."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from ..errors import UsageError
from .frame import frame, reporter
from .options import Checkpoint, Debug, Device, DeviceOption, Quiet, Seed, Verbose
from .rows import choose_checkpoint, class_index, load_model

PRESETS = "aae train --preset supervised, semi-supervised, mixture-labels or clustering"
FORMATS = ("png", "csv", "tsv", "parquet", "ndjson", "json", "npz", "npy")


def can_sample(header: Any, labels: list[str], clusters: list[int], style_grid: bool, style_from: bool) -> bool:
    """Whether a run can answer, from its header alone."""
    config, classes = header.config, header.schema.classes or ()
    y, adversary = config.code.y, config.adversaries.z
    informed = adversary is not None and adversary.labels and y is None
    given = config.decoder.input == "label"
    if clusters and (y is None or max(clusters) >= int(y.classes)):
        return False
    if style_from and (not (given or y is not None) or config.code.z is None):
        return False
    for label in labels:
        if label not in classes:
            return False
        named = header.cluster_labels is not None and classes.index(label) in header.cluster_labels
        if not (given or informed or (y is not None and named)):
            return False
    return not style_grid or config.code.z is not None


def command(
    checkpoint: Checkpoint = None,
    n: Annotated[
        int | None, typer.Option("-n", "--number", min=1, help="How many; of a style grid: rows. [100; 10]")
    ] = None,
    label: Annotated[list[str] | None, typer.Option("--label", metavar="L", help="Of this class; repeatable.")] = None,
    cluster: Annotated[
        list[int] | None, typer.Option("--cluster", metavar="K", min=0, help="Of this cluster; repeatable.")
    ] = None,
    style_grid: Annotated[
        bool,
        typer.Option("--style-grid", help="A row a style, a column a label or cluster; of one: a lattice of styles."),
    ] = False,
    style_from: Annotated[
        str | None, typer.Option("--style-from", metavar="DATA[i]", help="Take the style of this row.")
    ] = None,
    seed: Seed = 0,
    output: Annotated[
        str | None,
        typer.Option("-o", "--output", metavar="FILE|-", help="Where to write; - is stdout. [samples.png]"),
    ] = None,
    format: Annotated[
        str | None, typer.Option("--format", metavar="F", help="png, csv, tsv, parquet, ndjson, json, npz or npy.")
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
        what = "sample"
        if labels:
            what += f" the label {labels[0]}"
        elif clusters:
            what += f" the cluster {clusters[0]}"
        if style_grid or style_from:
            what += " with its style apart"
        from ..data.read import read_row

        row = None if style_from is None or checkpoint else read_row(style_from).schema
        path = choose_checkpoint(
            checkpoint,
            lambda header: (
                can_sample(header, labels, clusters, style_grid, style_from is not None)
                and (row is None or header.schema.size == row.size)
            ),
            what,
            report,
            PRESETS,
        )
        assert path is not None
        import torch

        model = load_model(path, device)
        chosen = [class_index(model, name) for name in labels]
        if clusters and max(clusters) >= model.model.classes:
            raise UsageError(f"--cluster {max(clusters)}: the model has {model.model.classes} clusters, counted from 0")
        generator = torch.Generator().manual_seed(seed)
        image = model.schema.kind == "image"
        if style_from is not None:
            style = read_row(style_from, like=model.schema)
            samples = model.style_grid(labels=chosen, clusters=clusters, style=style.x)
        elif style_grid:
            samples = model.style_grid(n or 10, chosen, clusters, generator=generator)
        else:
            samples = model.sample(n or 100, chosen, clusters, generator=generator)
        kind = output_format(output, format, allowed=FORMATS, default="png" if image else "csv")
        if kind == "png" and not image:
            raise UsageError("a table has no PNG", f"choose from {', '.join(FORMATS[1:])} with -o FILE or --format")
        target = output or str(_free(Path(f"samples.{kind}")))
        _write(model, samples, target, kind)
        if output is None:
            print(target)
        elif output != "-":
            report.say(f"wrote {len(samples.x)} samples to {output}")
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


def _write(model: Any, samples: Any, target: str, kind: str) -> None:
    from ..output.writers import table_bytes, write

    if kind == "png":
        from ..output.pictures import image_grid

        write(image_grid(samples.x, model.schema, samples.columns), target, kind)
        return
    names = model.schema.columns or [f"x{i}" for i in range(samples.x.shape[1])]
    table: dict[str, Any] = {}
    if kind == "npz":  # one array, in the form that the readers take back
        import io

        import numpy as np

        shape = model.schema.shape
        shape = shape[1:] if len(shape) == 3 and shape[0] == 1 else shape
        x = samples.x.reshape(-1, *shape)
        whole = model.schema.kind == "image" and model.schema.integer[0] and (model.schema.high or 0) <= 255
        arrays = {"x": x.astype(np.uint8) if whole else x}
        if samples.labels is not None:
            arrays["y"] = np.array([model.classes[i] if i >= 0 else "" for i in samples.labels])
        buffer = io.BytesIO()
        np.savez_compressed(buffer, **arrays)
        write(buffer.getvalue(), target, kind)
        return
    if samples.labels is not None:
        table["label"] = [model.classes[i] if i >= 0 else "" for i in samples.labels]
    table |= {name: samples.x[:, i] for i, name in enumerate(names)}
    write(table_bytes(table, kind), target, kind)
