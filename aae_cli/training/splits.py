"""Which rows are trained on, which are held out, and whose labels may be used."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace

import numpy as np

from ..config.sections import Config
from ..data.named import named_test
from ..data.read import read
from ..data.streams import NotHere
from ..data.types import Data
from ..errors import CheckpointError, DataError, UsageError
from ..model.checkpoint import Header
from ..output.reporter import Reporter


def choose_labelled(labels: np.ndarray, wanted: int | str, classes: int, seed: int) -> np.ndarray:
    """Rows whose labels may be used, spread evenly over the classes (section 5).

    Args:
        labels: (N,) int64, −1 for unlabelled.
        wanted: none, all, a count, or a share such as 20%.

    Returns:
        sorted row numbers. Where a class has too few, its rest is spread over the others.

    Raises:
        DataError: fewer labels are asked for than there are classes.
    """
    labelled = np.flatnonzero(labels >= 0)
    if wanted == "none":
        return labelled[:0]
    count = len(labelled)
    if isinstance(wanted, str) and wanted.endswith("%"):
        count = max(classes, round(len(labelled) * float(wanted[:-1]) / 100))
    elif isinstance(wanted, int):
        count = wanted
    if count >= len(labelled):
        return labelled
    if count < classes:
        raise DataError(f"{count} labels for {classes} classes", f"use at least one a class: --labels {classes}")
    random = np.random.default_rng(seed)
    queues = [random.permutation(labelled[labels[labelled] == c]).tolist() for c in range(classes)]
    chosen: list[int] = []
    while len(chosen) < count:  # deal one a class and round, in a random order of classes
        for c in random.permutation(classes):
            if queues[c] and len(chosen) < count:
                chosen.append(queues[c].pop())
    return np.sort(np.array(chosen, dtype=np.int64))


SCORE_ROWS = 4000


@dataclass(frozen=True)
class Splits:
    """Rows to train on, rows held out of training (to name clusters, choose among restarts, fit σ), and test rows.

    ``test`` is None for data without a test part: the held-out validation rows then serve, or, of too few, none.
    """

    train: Data
    validation: Data | None
    test: Data | None

    @property
    def held_out(self) -> tuple[Data, str] | None:
        """The rows to report on, and what to call them."""
        if self.test is not None:
            return self.test, f"{len(self.test)} test rows"
        if self.validation is not None:
            return self.validation, f"{len(self.validation)} held-out rows"
        return None


def split(data: Data, share: float, seed: int, test: Data | None = None) -> Splits:
    """Hold rows out of training.

    Args:
        share: of the rows if below 1, else a count.
    """
    count = round(share * len(data)) if share < 1 else int(share)
    if count >= len(data):
        raise UsageError(f"data.validation={share:g} leaves none of {len(data)} rows to train on")
    if count < 1:
        return Splits(data, None, test)
    order = np.random.default_rng(seed).permutation(len(data))
    return Splits(data[np.sort(order[count:])], data[np.sort(order[:count])], test)


def read_splits(
    config: Config, reporter: Reporter, format: str | None = None
) -> tuple[Config, Splits, tuple[str, ...]]:
    """The splits that a config names; offline, ``mnist`` falls back to ``mnist-mini``, loudly.

    Args:
        format: of stdin.

    Returns:
        the config with the source that was really read, the splits, and notes for the run's records.
    """
    source, notes, c = config.data.source, [], config.data
    format = format if source == "-" else None
    try:
        data = read(source, format=format, label_column=c.label_column, columns=c.columns, kind=c.kind)
    except NotHere as error:
        if source.partition(":")[0] != "mnist":
            raise
        note = (
            f"mnist can neither be found nor downloaded ({error.what}): training on mnist-mini, 4,000 digits, instead"
        )
        reporter.warn(note)
        notes.append(note)
        source = "mnist-mini"
        data = read(source)
        config = config.model_copy(update={"data": c.model_copy(update={"source": source})})
    for note in data.notes:
        reporter.say(note)
        notes.append(note)
    test_name = named_test(source)
    test = read(test_name) if test_name and ":" not in source else None
    return config, split(data, c.validation, config.train.seed, test), tuple(notes)


def evenly_spaced(rows: Data, count: int) -> Data:
    """At most so many rows, at even distances."""
    some = rows[np.linspace(0, len(rows) - 1, min(len(rows), count)).astype(np.int64)]
    return replace(some, x=np.ascontiguousarray(some.x[:]))


def held_out_rows(header: Header) -> Splits:
    """The splits that a checkpoint was trained on, read again from its source.

    Raises:
        CheckpointError: the source cannot be read twice (a pipe, or rows in memory).
    """
    source = header.config.data.source
    if source == "-" or (named_test(source) is None and not os.path.exists(source.partition("[")[0])):
        raise CheckpointError(
            f"the data that this model was trained on ({source}) is not here", "give DATA to evaluate on"
        )
    return read_splits(header.config, Reporter())[1]
