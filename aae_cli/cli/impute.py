"""``aae impute``: a table with its missing cells filled."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any

from ..errors import DataError, UsageError
from ..text import counted, listed, quoted
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
    Source,
    Time,
    Unlabelled,
    Verbose,
    option,
)
from .rows import Fit, Rows
from .target import Target

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np
    import polars as pl

    from ..data.columns import Column
    from ..data.types import Data
    from ..model.autoencoder import Autoencoder
    from ..output.reporter import Reporter

EXAMPLES = """\
aae impute survey.csv -o filled.csv
aae impute survey.csv --fit --mark -o filled.parquet
aae impute new.csv -c runs/table --draws 5 -o completions.csv"""


def command(
    data: Source,
    checkpoint: Checkpoint = None,
    fit: Annotated[
        bool, option("Model", "--fit", help="Fit the preset table on DATA itself, and keep the run.")
    ] = False,
    set_: Set = None,
    epochs: Epochs = None,
    time: Time = None,
    restarts: Restarts = None,
    draws: Annotated[
        int | None,
        option(
            "Output",
            "--draws",
            metavar="M",
            min=1,
            help="Write M plausible completions of each row, with their number in a column draw.",
        ),
    ] = None,
    mark: Annotated[
        bool, option("Output", "--mark", help="Add a column imputed that lists the columns filled in a row.")
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
    seed: Seed = 0,
    device: DeviceOption = Device.auto,
    quiet: Quiet = False,
    verbose: Verbose = False,
    debug: Debug = False,
) -> None:
    """Write the table with its missing cells filled, all other cells as they are."""
    with frame(debug):
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
        )
        if rows.image:
            raise DataError(f"{data} holds images, which have no missing cells", "impute fills in tables")
        fitting = Fit("table", fit, {}, seed, device.value).shaped(set_, epochs, restarts, time)
        path = fitting.found(rows, checkpoint, lambda can: can.fills, f"impute {data}", report)
        if path is None:
            whole = rows.verbatim()
            table = frame_of(whole)
            if not missing_cells(table, whole.schema.mixed or ()).any():
                report.say(f"{whole.name} has no missing cells: it is written as it is, and nothing is fitted")
                layout = Layout(target.format, (), draws, mark)
                target.write([layout.columns([table] * (draws or 1), missing_cells(table, ()))], report)
                return
            path = fitting.fitted(rows, "fills in rows of this form", report)
        target.spare(path)
        from ..model.imputation import require_table
        from ..model.load import load

        model = load(path, device.value)
        require_table(model, draws)
        target.write(filled_tables(model, rows, Layout(target.format, (), draws, mark), seed, report), report)


def frame_of(rows: Data) -> pl.DataFrame:
    """The cells of a table as they are written. Raises DataError for rows that are no table with named columns."""
    if rows.frame is None:
        raise DataError(f"{rows.name} has no named columns", "impute fills in CSV, TSV and Parquet files")
    return rows.frame


def missing_cells(table: pl.DataFrame, columns: Sequence[Column]) -> np.ndarray:
    """Whether cells are missing: (N, C) bool."""
    from ..data.holes import missing

    return missing(table, columns)


@dataclass(frozen=True)
class Layout:
    """Form of the table that is written.

    Attributes:
        format: of the file. Text formats keep text cells as they are; others hold numbers as numbers.
        filled: columns that may be filled in.
        draws: number of completions of each row, which follow each other; None for one.
        mark: add a column with the names of the columns filled in.
    """

    format: str
    filled: Sequence[Column]
    draws: int | None
    mark: bool

    def columns(self, completions: Sequence[pl.DataFrame], holes: np.ndarray) -> dict[str, Any]:
        """Completions of the same N rows as columns of a table: of one piece, with its missing cells (N, C) bool."""
        import numpy as np
        import polars as pl

        from ..data.holes import typed

        count = len(completions)
        table = pl.concat(completions)
        rows = completions[0].height
        if self.format not in ("csv", "tsv"):
            table = typed(table, self.filled)
        added: dict[str, Any] = {}
        if self.draws is not None:
            added["draw"] = np.repeat(np.arange(count), rows)
        if self.mark:
            names = [",".join(c.name for c, hole in zip(self.filled, row, strict=True) if hole) for row in holes]
            empty = None if self.format in ("csv", "tsv") else ""  # text formats would write "" for the latter
            added["imputed"] = [each or empty for each in names] * count
        for name in added:
            if name in table.columns:
                raise UsageError(f"the table has a column {quoted(name)} already", "rename it")
        table = table.with_columns(
            pl.Series(name, values, dtype=pl.String if name == "imputed" else None) for name, values in added.items()
        )
        order = np.arange(rows * count).reshape(count, rows).T.ravel()
        return {cells.name: cells for cells in table[order]}


def filled_tables(
    model: Autoencoder, rows: Rows, layout: Layout, seed: int, report: Reporter
) -> Iterator[dict[str, Any]]:
    """The table with its missing cells filled, piece by piece. Says how many were, and which columns were left."""
    import torch

    from ..data.columns import blanked
    from ..data.holes import filled, with_holes
    from ..model.imputation import completions

    header = replace(model.header, schema=with_holes(model.schema))
    layout = replace(layout, filled=header.schema.mixed or ())
    generator, count = torch.Generator().manual_seed(seed), 0
    left: dict[str, int] = {}
    for piece in rows.pieces(header, report, verbatim=True):
        table = frame_of(piece)
        holes = missing_cells(table, layout.filled)
        found = completions(model, piece.x, layout.draws, generator)
        yield layout.columns([filled(table, layout.filled, x, holes) for x in found], holes)
        count += int(holes.sum())
        for cells in table:
            if cells.name not in (header.schema.columns or ()):
                left[cells.name] = left.get(cells.name, 0) + blanked(cells).null_count()
    report.say(f"filled {counted(count, 'missing cell')}" if count else f"{rows.source} has no missing cells")
    kept = [f"{name} ({number})" for name, number in left.items() if number]
    if kept:
        report.say(f"missing cells of columns that the model leaves out stay as they are: {listed(kept)}")
