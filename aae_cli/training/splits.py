"""Division of the rows into training, validation and test rows, and choice of the labels to use."""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np

from ..config.sections import Config, DataConfig
from ..data.holdout import hold_out
from ..data.named import named_test, split_name, with_label
from ..data.read import read, read_source
from ..data.streams import NotHere
from ..data.types import Data, ReadOptions
from ..errors import CheckpointError, DataError
from ..model.checkpoint import Header
from ..model.evaluation import trained_on
from ..output.reporter import Reporter
from ..text import counted


def choose_labelled(labels: np.ndarray, wanted: int | str, classes: int, seed: int) -> np.ndarray:
    """Choose the rows whose labels may be used, spread evenly over the classes (section 5).

    Args:
        labels: (N,) int64, −1 for unlabelled.
        wanted: none, all, a count, or a share such as 20%.
        classes: C, the number of classes.

    Returns:
        sorted row numbers. If a class has too few labelled rows, the others get more.

    Raises:
        DataError: fewer labels are requested than there are classes.
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
        raise DataError(
            f"{counted(count, 'label')} for {classes} classes", f"use at least one per class: --labels {classes}"
        )
    random = np.random.default_rng(seed)
    queues = [random.permutation(labelled[labels[labelled] == c]).tolist() for c in range(classes)]
    chosen: list[int] = []
    while len(chosen) < count:  # in each round, take one row of each class, in a random order of classes
        for c in random.permutation(classes):
            if queues[c] and len(chosen) < count:
                chosen.append(queues[c].pop())
    return np.sort(np.array(chosen, dtype=np.int64))


SCORE_ROWS = 4000  # maximum number of rows on which restarts are scored, and linear classifiers and mixtures fitted


@dataclass(frozen=True)
class Splits:
    """Training rows, validation rows (held out to name clusters, choose among restarts and fit σ), and test rows.

    ``test`` is None for data without a test part. Metrics are then measured on the validation rows, if there are any.
    """

    train: Data
    validation: Data | None
    test: Data | None

    @property
    def held_out(self) -> tuple[Data, str] | None:
        """The rows to measure on, and their description; None if no rows were held out."""
        if self.test is not None:
            return self.test, counted(len(self.test), "test row")
        if self.validation is not None:
            return self.validation, counted(len(self.validation), "held-out row")
        return None


def split(data: Data, share: float, seed: int, test: Data | None = None) -> Splits:
    """Hold validation rows out of training, as :func:`hold_out` does. ``test`` rows are passed on."""
    return Splits(*hold_out(data, share, seed), test)


def options_of(config: DataConfig, format: str | None = None) -> ReadOptions:
    """How a config's source is read."""
    return ReadOptions(
        format,
        config.label_column,
        config.columns,
        config.kind,
        config.unlabelled,
        config.categorical,
        config.numeric,
        config.ignore,
        config.size,
        config.skip_bad,
    )


def read_splits(
    config: Config, reporter: Reporter, format: str | None = None
) -> tuple[Config, Splits, tuple[str, ...]]:
    """Read the data of a config and split it. If ``mnist`` is not available, ``mnist-mini`` is read, with a warning.

    Args:
        format: format of stdin, if the source is ``-``.

    Returns:
        the config with the source that was read, the splits, and notes for the log and the model card.

    Raises:
        DataError, UsageError: the data cannot be read or split.
    """
    source, notes, c = config.data.source, [], config.data
    try:
        options = with_label(source, options_of(c, format if source == "-" else None))
        data = read_source(source, options)
        if options.label_column != c.label_column:
            config = config.model_copy(update={"data": c.model_copy(update={"label_column": options.label_column})})
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


def held_out_rows(header: Header) -> Splits:
    """Read the splits on which a checkpoint was trained, from its original source.

    Raises:
        CheckpointError: the source is not available (a pipe, rows in memory, or a missing file), or its rows are no longer
            those that were split, so that it is not known which of them were trained on.
    """
    source = header.config.data.source
    if source == "-" or (split_name(source) is None and not os.path.exists(source.partition("[")[0])):
        raise CheckpointError(
            f"the training data of this model ({source}) is not available", "give DATA to evaluate on"
        )
    splits = read_splits(header.config, Reporter())[1]
    if splits.test is None and not trained_on(header, splits.train):
        known = "fingerprint" in (header.training or {})
        what = f"{source} has changed since this model was trained" if known else "an older aae trained this model"
        raise CheckpointError(f"{what}: it is not known which rows were held out", "give DATA that it has not seen")
    return splits
