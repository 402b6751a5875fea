"""What the commands share: options, the frame that turns errors into exit codes, and the choice of a checkpoint."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import CheckpointError, DataError, UsageError
from .options import Device

if TYPE_CHECKING:
    from ..data.types import Data, Schema
    from ..model.checkpoint import Header
    from ..output.reporter import Reporter


def check_plot(plot: str | None) -> None:
    """Pictures are PNG. Raises UsageError for another suffix, AaeError for a place that cannot be written."""
    from ..output.writers import check_output

    if plot is not None and Path(plot).suffix.lower() not in (".png", ""):
        raise UsageError(f"--plot {plot}: pictures are written as PNG", "name it .png")
    check_output(plot)


def listed(columns: str | None) -> list[str] | None:
    """``a,b`` as names."""
    return None if columns is None else [name.strip() for name in columns.split(",") if name.strip()]


def choose_checkpoint(
    given: str | None, can: Callable[[Header], bool], what: str, reporter: Reporter, presets: str | None
) -> Path | None:
    """-c, else $AAE_CHECKPOINT, else the newest finished run under ./runs that can do it; the choice is said.

    Args:
        presets: what to train where there is none; None returns None instead of raising.
    """
    if given is not None:
        return Path(given)
    variable = os.environ.get("AAE_CHECKPOINT")
    if variable:
        reporter.say(f"using {variable} ($AAE_CHECKPOINT)")
        return Path(variable)
    from ..model.checkpoint import newest_run

    folder = newest_run(can)
    if folder is not None:
        reporter.say(f"using {folder}, the newest run that can {what} (choose with -c)")
        return folder
    if presets is None:
        return None
    raise CheckpointError(f"no finished run under ./runs can {what}", f"train one first: {presets}")


class Rows:
    """DATA of a command: as it stands, or in the form that a checkpoint remembers."""

    def __init__(self, source: str, format: str | None, label_column: str | None, columns: str | None) -> None:
        self.source, self.label_column, self.columns = source, label_column, listed(columns)
        self.format = format if source == "-" else None
        self._form: Schema | None = None

    def plain(self) -> Data:
        """As it stands. Raises DataError."""
        from ..data.read import read

        return read(self.source, **self._options(self.label_column))

    def like(self, header: Header) -> Data:
        """In the form of a checkpoint. Raises DataError."""
        from ..data.read import read

        return read(self.source, **self._options(self._label_column(header)), like=header.schema)

    def pieces(self, header: Header) -> Iterator[Data]:
        """In the form of a checkpoint, piece by piece in bounded memory. Raises DataError."""
        from ..data.read import pieces

        return pieces(self.source, **self._options(self._label_column(header)), like=header.schema)

    def _label_column(self, header: Header) -> str | None:
        """The one that was given, else the one that the checkpoint was trained with, if that is here."""
        from ..data.read import head

        remembered = header.config.data.label_column
        if self.label_column is None and remembered is not None:
            with suppress(DataError):
                head(self.source, **self._options(remembered), like=header.schema)
                return remembered
        return self.label_column

    def _options(self, label_column: str | None) -> dict[str, Any]:
        return {"format": self.format, "label_column": label_column, "columns": self.columns}

    def fit(self, header: Header) -> bool:
        """Whether a run was trained on rows of this form, as far as names and shapes tell."""
        from ..data.read import head

        ours = header.schema
        try:
            if self._form is None:
                self._form = head(self.source, **self._options(self.label_column)).schema
        except DataError:  # such as a column of text, which a checkpoint that knows its columns passes over
            try:
                head(self.source, **self._options(self._label_column(header)), like=ours)
            except DataError:
                return False
            return True
        theirs = self._form
        if ours.kind == "table" and ours.columns and theirs.columns:
            return set(ours.columns) <= set(theirs.columns)
        if ours.kind == theirs.kind == "image":
            return ours.shape == theirs.shape
        return ours.size == theirs.size


def load_model(path: Path, device: Device) -> Any:
    from ..model.load import load

    return load(path, device.value)


def fit(preset: str, rows: Rows, flags: dict[str, Any], seed: int, device: Device, reporter: Reporter) -> Path:
    """Fit a preset on DATA itself and keep the run."""
    from ..training.api import train

    flags = {
        **flags,
        "train.seed": seed,
        "data.source": rows.source,
        "data.label_column": rows.label_column,
        "data.columns": rows.columns,
    }
    run = train(preset, rows.plain(), flags=flags, device=device.value, all_rows=True, reporter=reporter)
    reporter.say(f"the fitted model is kept in {run.folder}")
    return run.folder


def ids_and_labels(data: Data) -> tuple[Any, list[str] | None]:
    """The id column of an output, and the labels where known."""
    import numpy as np

    ids = list(data.ids) if data.ids is not None else np.arange(data.first, data.first + len(data))
    return ids, data.label_names


def class_index(model: Any, label: str) -> int:
    """A class by its name.

    Raises:
        UsageError: the model has no such class.
    """
    if label in model.classes:
        return int(model.classes.index(label))
    known = ", ".join(model.classes[:20])
    raise UsageError(f"--label {label}: no such class", f"the model's classes are {known}" if known else None)


def say_written(rows: int, output: str | None, reporter: Reporter) -> None:
    if output not in (None, "-"):
        reporter.say(f"wrote {rows} rows to {output}")
