"""The run folder on disk: its choice, lock, metrics log, training state and models."""

from __future__ import annotations

import json
import math
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch import Tensor

from ..config.resolve import to_yaml
from ..config.sections import Config
from ..data.types import Data
from ..errors import AaeError, CheckpointError, UsageError
from ..files import locked, make_folder, remove_leftovers, write_whole
from ..model.autoencoder import Autoencoder
from ..model.checkpoint import (
    CONFIG,
    METRICS,
    MODEL,
    STATE,
    checksum,
    load_tensors,
    new_run_folder,
    read_header,
    read_log,
    save_tensors,
)
from ..model.figures import sample_sheet
from ..output.curves import curves

SAMPLES, CARD, CURVES = "samples.png", "README.md", "curves.png"
RUN_FILES = (STATE, MODEL, METRICS, CONFIG, SAMPLES, CARD, CURVES)


def choose_folder(title: str, output: str | Path | None, resume: bool, force: bool) -> tuple[Path, bool]:
    """Choose the folder of a run, and whether it has a state to continue from.

    With ``resume``, a run that was killed before its first save starts anew in its folder, and one that was never started
    starts: a script may repeat the same command until it succeeds.

    Raises:
        UsageError: the folder is a file, or holds something that is not to be replaced.
    """
    if output is None:
        return _newest_to_resume(title) if resume else (new_run_folder(title), False)
    folder = Path(output)
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"-o {folder} is a file", "give a folder for the run")
    if not folder.is_dir() or not any(folder.iterdir()) or force:
        return folder, False
    if resume and (_has_state(folder) or _is_begun(folder)):
        return folder, _has_state(folder)
    if _has_state(folder) or _is_begun(folder):
        raise UsageError(
            f"-o {folder}: the folder is not empty", "continue it with --resume, or replace it with --force"
        )
    raise UsageError(
        f"-o {folder}: the folder is not empty and holds no run",
        "choose another one, or write the run beside what is there with --force",
    )


def _has_state(folder: Path) -> bool:
    return (folder / STATE).is_file()


def _is_begun(folder: Path) -> bool:
    """Whether a folder holds nothing but files of a run."""
    return all(path.name in RUN_FILES or path.name.startswith(".") for path in folder.iterdir())


def _newest_to_resume(title: str) -> tuple[Path, bool]:
    own = re.compile(re.escape(title) + r"(-\d+)?")
    runs = [path for path in Path("runs").glob("*/") if own.fullmatch(path.name)]
    started = [path for path in runs if _has_state(path)]
    if started:  # unfinished runs before finished ones, then the newest
        return max(started, key=lambda path: (not finished(path), (path / STATE).stat().st_mtime)), True
    begun = [path for path in runs if _is_begun(path)]
    return (max(begun, key=lambda path: path.stat().st_mtime) if begun else new_run_folder(title)), False


def finished(folder: Path) -> bool:
    """Whether a folder contains the checkpoint of a finished run."""
    try:
        return read_header(folder).finished
    except CheckpointError:
        return False


def is_run(folder: Path) -> bool:
    """Whether a folder is that of a run, finished or not, of one seed or several."""
    return any((folder / name).is_file() for name in (MODEL, STATE)) or any(folder.glob(f"seed-*/{MODEL}"))


def remove_run(folder: Path) -> int:
    """Delete the files of a run, and its folder unless other files lie there.

    Returns:
        number of files that are left.

    Raises:
        AaeError: a training is writing to the folder, or a file cannot be deleted.
    """
    try:
        with locked(folder):
            for part in (*folder.glob("seed-*/"), folder):
                remove_leftovers(part, RUN_FILES)
                for name in RUN_FILES:
                    (part / name).unlink(missing_ok=True)
        left = sum(path.is_file() for path in folder.rglob("*"))
        if folder.is_symlink():
            folder.unlink()
        elif not left:
            shutil.rmtree(folder)
    except OSError as error:
        raise AaeError(f"cannot delete {folder}: {error.strerror or error}") from None
    return left


class RunFolder:
    """The files of one run. Files are replaced atomically, except for the log, to which lines are appended.

    Args:
        pictures: draw samples and curves, which takes about a second.
    """

    def __init__(self, path: Path, pictures: bool = True) -> None:
        self.path, self.pictures = path, pictures
        self.last: dict[str, Any] = {}  # the last record of the log

    @contextmanager
    def exclusive(self, make: bool) -> Iterator[None]:
        """Lock the folder against other trainings, and delete the temporary files of a killed one.

        Args:
            make: create the folder first.

        Raises:
            AaeError: another training holds the lock.
        """
        if make:
            make_folder(self.path)
        with locked(self.path):
            remove_leftovers(self.path, RUN_FILES)
            yield

    def subfolder(self, name: str) -> RunFolder:
        """Create a subfolder, for one of several seeds."""
        part = RunFolder(self.path / name, self.pictures)
        make_folder(part.path)
        return part

    def clear(self) -> None:
        """Delete the state, model and log of an earlier run."""
        for name in (STATE, MODEL, METRICS):
            (self.path / name).unlink(missing_ok=True)

    def write_config(self, config: Config) -> None:
        """Write config.yaml."""
        write_whole(self.path / CONFIG, to_yaml(config))

    # --- the log ------------------------------------------------------------------------------------------------------

    def log(self, record: Mapping[str, Any]) -> None:
        """Append a record to metrics.jsonl. Raises AaeError if it cannot be written."""
        self._append(record)
        self.last = dict(record)

    def log_final(self, more: Mapping[str, Any]) -> None:
        """Append the final record: the last one, with additional entries."""
        self._append({**self.last, **more})

    def _append(self, record: Mapping[str, Any]) -> None:
        try:
            with (self.path / METRICS).open("a", encoding="utf-8") as file:
                file.write(json.dumps(record) + "\n")
                file.flush()
        except OSError as error:
            raise AaeError(f"cannot write {self.path / METRICS}: {error.strerror}") from None

    def rewind_log(self, step: int, write: bool) -> None:
        """Remove the records after a step, from which training is resumed.

        Args:
            write: whether to write the file, which only the main process does.
        """
        kept = [
            record for record in read_log(self.path) if record.get("step", math.inf) <= step and not record.get("final")
        ]
        if write:
            write_whole(self.path / METRICS, "".join(json.dumps(record) + "\n" for record in kept))
        self.last = kept[-1] if kept else {}

    # --- state and models ---------------------------------------------------------------------------------------------

    @property
    def has_model(self) -> bool:
        """Whether a model was saved."""
        return (self.path / MODEL).is_file()

    def save_state(self, tensors: dict[str, Tensor], facts: Mapping[str, Any]) -> None:
        """Save the training state: tensors, and JSON values in the header with a checksum of both."""
        header = json.dumps({**facts, "sha256": checksum(tensors, json.dumps(facts))})
        save_tensors(self.path / STATE, tensors, "aae_state", header)

    def load_state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Load the tensors and JSON values of :meth:`save_state`.

        Raises:
            CheckpointError: the file is missing, or does not match its checksum.
        """
        file = self.path / STATE
        tensors, text = load_tensors(file, "aae_state")
        try:
            facts = json.loads(text)
            claimed = facts.pop("sha256")
            whole = claimed == checksum(tensors, json.dumps(facts))
        except (KeyError, TypeError, ValueError, RecursionError):
            whole = False
        if not whole:
            raise CheckpointError(
                f"{file} is damaged: its content does not match its checksum", "start a new run with --force"
            )
        return tensors, facts

    def save_model(self, model: Autoencoder, seed: int, rows: Data, card: str | None = None) -> None:
        """Save a model with its picture of samples and, at the end of training, its model card.

        The model is written last, since its header marks the run as finished.

        Args:
            rows: rows of the training; the picture compares a table's samples with them.
        """
        if self.pictures:
            write_whole(self.path / SAMPLES, sample_sheet(model, rows, seed))
        if card is not None:
            write_whole(self.path / CARD, card)
            if self.pictures and (records := read_log(self.path)):
                write_whole(self.path / CURVES, curves(records))
        save_tensors(self.path / MODEL, dict(model.model.state_dict()), "aae", model.header.to_json())
