"""What the commands that read DATA share: the rows, the choice of a checkpoint, and the loop from rows to a table."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import CheckpointError, UsageError
from .options import deadline

if TYPE_CHECKING:
    from ..data.read import Head
    from ..data.types import Data, ReadOptions
    from ..model.abilities import Abilities
    from ..model.checkpoint import Header
    from ..output.reporter import Reporter
    from .options import Kind


def listed(columns: str | None) -> list[str] | None:
    """``a,b`` as names."""
    return None if columns is None else [name.strip() for name in columns.split(",") if name.strip()]


def named_checkpoint(given: str | None) -> str | None:
    """-c, else $AAE_CHECKPOINT."""
    return given if given is not None else os.environ.get("AAE_CHECKPOINT") or None


def find_checkpoint(given: str | None, can: Callable[[Abilities], bool], what: str, reporter: Reporter) -> Path | None:
    """-c, else $AAE_CHECKPOINT, else the newest finished run under ./runs that can do it; the choice is reported.

    Args:
        what: the task, as a verb with its object.
    """
    named = named_checkpoint(given)
    if named is not None:
        if given is None:
            reporter.say(f"using {named} ($AAE_CHECKPOINT)")
        return Path(named)
    from ..model.abilities import Abilities
    from ..model.checkpoint import newest_run

    folder = newest_run(lambda header: can(Abilities(header)))
    if folder is not None:
        reporter.say(f"using {folder}, the newest run that can {what} (choose with -c)")
    return folder


def choose_checkpoint(
    given: str | None, can: Callable[[Abilities], bool], what: str, reporter: Reporter, presets: str
) -> Path:
    """As :func:`find_checkpoint`.

    Args:
        presets: what to train where there is none.

    Raises:
        CheckpointError: no run can do it.
    """
    found = find_checkpoint(given, can, what, reporter)
    if found is None:
        raise CheckpointError(f"no finished run under ./runs can {what}", f"train one first: {presets}")
    return found


@dataclass(frozen=True)
class Rows:
    """DATA of a command: as it stands, or in the form that a checkpoint remembers.

    Attributes:
        options: how the source is read.
    """

    source: str
    options: ReadOptions

    @classmethod
    def of(
        cls,
        source: str,
        input_format: str | None,
        label_column: str | None,
        columns: str | None,
        kind: Kind | None,
        unlabelled: str | None,
        output_format: str | None = None,
        *,
        categorical: str | None,
        numeric: str | None,
        ignore: str | None,
        size: int | None = None,
        skip_bad: bool = False,
    ) -> Rows:
        """Rows as the options name them. Without ``--input-format``, ``--format`` is also that of stdin.

        Args:
            columns, categorical, numeric, ignore: names with commas between them.
        """
        from ..data.types import ReadOptions

        format = input_format or (output_format if source == "-" else None)
        names = None if columns is None else tuple(listed(columns) or ())
        categories, numbers, ignored = (tuple(listed(each) or ()) for each in (categorical, numeric, ignore))
        options = ReadOptions(
            format, label_column, names, kind, unlabelled, categories, numbers, ignored, size, skip_bad
        )
        return cls(source, options)

    @cached_property
    def _head(self) -> Head:
        from ..data.read import Head

        return Head(self.source, self.options)

    def plain(self) -> Data:
        """As it stands. Raises DataError."""
        from ..data.read import read_source

        return read_source(self.source, self.options)

    def verbatim(self) -> Data:
        """As it stands, with a table's cells as they are written. Raises DataError."""
        from ..data.read import read_source

        return read_source(self.source, replace(self.options, verbatim=True))

    def like(self, header: Header, reporter: Reporter | None = None) -> Data:
        """In the form of a checkpoint. Raises DataError.

        Args:
            reporter: told how they are read, and of cells that are not understood.
        """
        from ..data.read import read_source

        data = read_source(self.source, self._options(header), header.schema)
        _say(_notes(data, header), reporter)
        _say(_unknown_in_words(data.unknown, header), reporter)
        return data

    def pieces(self, header: Header, reporter: Reporter | None = None, *, verbatim: bool = False) -> Iterator[Data]:
        """In the form of a checkpoint, piece by piece in bounded memory. Raises DataError.

        Args:
            reporter: told how they are read, and at the end of cells that are not understood.
            verbatim: keep a table's cells as they are written, in ``Data.frame``.
        """
        from ..data.read import pieces

        unknown: tuple[int, ...] = ()
        options, said = replace(self._options(header), verbatim=verbatim), set[str]()
        for piece in pieces(self.source, options, header.schema):
            notes = [note for note in _notes(piece, header) if note not in said]
            _say(notes, reporter)
            said |= {*notes}
            unknown = tuple(map(sum, zip(unknown or [0] * len(piece.unknown), piece.unknown, strict=True)))
            yield piece
        _say(_unknown_in_words(unknown, header), reporter)

    @property
    def image(self) -> bool:
        """Whether these are images, as far as the first rows tell."""
        schema = self._head.schema
        return schema is not None and schema.kind == "image"

    def _options(self, header: Header) -> ReadOptions:
        """As given, else as the checkpoint was trained: its label column, where these rows have it."""
        given, trained = self.options, header.config.data
        column, unlabelled = given.label_column, given.unlabelled or trained.unlabelled
        if column is None and trained.label_column is not None and self._head.fits(header.schema, trained.label_column):
            column = trained.label_column
        return replace(given, label_column=column, unlabelled=unlabelled)

    def fit(self, header: Header) -> bool:
        """Whether a run was trained on rows of this form, as far as names and shapes tell."""
        ours, theirs = header.schema, self._head.schema
        if theirs is None:  # such as a column of text, which a checkpoint that knows its columns does not need
            return self._head.fits(ours, self._options(header).label_column)
        if ours.mixed or theirs.mixed:
            return self._head.fits(ours, self._options(header).label_column)
        if ours.kind == "table" and ours.columns and theirs.columns:
            return set(ours.columns) <= set(theirs.columns)
        if ours.kind == theirs.kind == "image":
            return ours.shape == theirs.shape
        return ours.size == theirs.size


def _unknown_in_words(unknown: Sequence[int], header: Header) -> Sequence[str]:
    """Notes on the cells of a mixed table that are not understood. ``unknown``: their number in each column."""
    from ..data.columns import unknown_in_words

    return unknown_in_words(header.schema.mixed or (), unknown) if unknown else ()


def _notes(rows: Data, header: Header) -> list[str]:
    """How rows are read, without the cells that are not understood, which are counted over all pieces."""
    counted_later = _unknown_in_words(rows.unknown, header)
    return [note for note in rows.notes if note not in counted_later]


def _say(notes: Iterable[str], reporter: Reporter | None) -> None:
    if reporter is not None:
        for note in notes:
            reporter.say(note)


@dataclass(frozen=True)
class Fit:
    """What to fit on DATA itself where no run can do a task, or where it is asked for.

    Attributes:
        wanted: with ``--fit``, whatever runs there are.
        flags: dotted keys of the preset → values.
        settings: keys of the preset as ``a.b=value``.
        deadline: value of ``time.monotonic()`` at which the model should be there; None for no limit.
        asked: names of the options that shape a new model alone.
    """

    preset: str
    wanted: bool
    flags: dict[str, Any]
    seed: int
    device: str
    settings: tuple[str, ...] = ()
    deadline: float | None = None
    asked: tuple[str, ...] = ()

    def shaped(
        self, settings: Sequence[str] | None, epochs: int | None, restarts: int | None, length: str | None
    ) -> Fit:
        """As the options that shape a new model ask. Raises UsageError."""
        given = {"--set": settings, "--epochs": epochs, "--restarts": restarts, "--time": length}
        return replace(
            self,
            flags=self.flags | {"train.epochs": epochs, "train.restarts": restarts},
            settings=tuple(settings or ()),
            deadline=deadline(length, epochs),
            asked=tuple(name for name, value in given.items() if value),
        )

    def choose(
        self,
        rows: Rows,
        checkpoint: str | None,
        can: Callable[[Abilities], bool],
        what: tuple[str, str],
        reporter: Reporter,
    ) -> Path:
        """A checkpoint that is there, else one that is fitted now.

        Args:
            what: the task, as "cluster DATA" and as "clusters rows of this form".
        """
        path = self.found(rows, checkpoint, can, what[0], reporter)
        return path if path is not None else self.fitted(rows, what[1], reporter)

    def found(
        self, rows: Rows, checkpoint: str | None, can: Callable[[Abilities], bool], what: str, reporter: Reporter
    ) -> Path | None:
        """A checkpoint that is there; None where one must be fitted. Arguments are those of :meth:`choose`."""
        if self.wanted and checkpoint is not None:
            raise UsageError("--fit makes a new model, -c uses one that is there", "give one of them")
        if self.wanted:
            return None
        path = find_checkpoint(checkpoint, lambda a: can(a) and rows.fit(a.header), what, reporter)
        if path is not None and self.asked:
            raise UsageError(f"{self.asked[0]} shapes a new model, and {path} is there", "add --fit")
        return path

    def fitted(self, rows: Rows, what: str, reporter: Reporter) -> Path:
        """A checkpoint that is fitted now. ``what``: the task, as in "clusters rows of this form"."""
        from ..data.named import with_label
        from ..training.api import train

        if not self.wanted:
            reporter.say(f"no run under ./runs {what}: fitting {self.preset} on these rows, none of which are held out")

        own = {"train.seed": self.seed, "data.source": rows.source}
        given = with_label(rows.source, rows.options)
        own |= {"data.label_column": given.label_column, "data.columns": given.columns}
        own |= {"data.kind": given.kind, "data.unlabelled": given.unlabelled}
        own |= {"data.size": given.size, "data.skip_bad": given.skip_bad}
        own |= {f"data.{option}": names for option, names in given.of_columns.items()}
        run = train(
            self.preset,
            rows.plain(),
            settings=self.settings,
            seconds=None if self.deadline is None else self.deadline - time.monotonic(),
            flags={**self.flags, **own},
            device=self.device,
            all_rows=True,
            reporter=reporter,
        )
        reporter.say(f"the fitted model is kept in {run.folder}")
        return run.folder
