"""A run's folder on disk: which one, its lock, its log of metrics, its state and its models."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch import Tensor

from ..config.resolve import to_yaml
from ..config.sections import Config
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
    save_tensors,
)
from ..model.figures import sample_sheet

SAMPLES, CARD = "samples.png", "README.md"


def choose_folder(title: str, output: str | Path | None, resume: bool, force: bool) -> Path:
    """Where a run is written: ``output``, else a new folder ``runs/<title>``, else the one to resume.

    Raises:
        UsageError: a folder that holds something, or nothing to resume from.
    """
    if output is None:
        return _newest_to_resume(title) if resume else new_run_folder(title)
    folder = Path(output)
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"-o {folder}: that is a file", "name a folder for the run")
    full = folder.is_dir() and any(folder.iterdir())
    if resume and not (folder / STATE).is_file():
        raise UsageError(f"{folder} has no {STATE} to resume from", "leave --resume out to start anew")
    if full and not (resume or force):
        raise UsageError(f"-o {folder}: the folder is not empty", "go on with --resume, or replace it with --force")
    return folder


def _newest_to_resume(title: str) -> Path:
    own = re.compile(re.escape(title) + r"(-\d+)?")
    started = [path.parent for path in Path("runs").glob(f"*/{STATE}") if own.fullmatch(path.parent.name)]
    if not started:
        raise UsageError(f"there is no run of {title} under ./runs to resume", "name it with -o DIR")
    # Unfinished runs before finished ones, and of those the newest.
    return max(started, key=lambda path: (not finished(path), (path / STATE).stat().st_mtime))


def finished(folder: Path) -> bool:
    try:
        return read_header(folder).finished
    except CheckpointError:
        return False


class RunFolder:
    """The files of one run. Every file is replaced as a whole, except the log, which grows line by line."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.last: dict[str, Any] = {}  # the newest record of the log

    @contextmanager
    def exclusive(self, make: bool) -> Iterator[None]:
        """Keep other trainings out of the folder, and clear away what a killed one left half-written.

        Args:
            make: make the folder first.
        """
        if make:
            make_folder(self.path)
        with locked(self.path):
            remove_leftovers(self.path, (STATE, MODEL, METRICS, CONFIG, SAMPLES, CARD))
            yield

    def subfolder(self, name: str) -> RunFolder:
        """A folder below this one, for one of several seeds."""
        part = RunFolder(self.path / name)
        make_folder(part.path)
        return part

    def clear(self) -> None:
        """Remove an earlier run's state, model and log."""
        for name in (STATE, MODEL, METRICS):
            (self.path / name).unlink(missing_ok=True)

    def write_config(self, config: Config) -> None:
        write_whole(self.path / CONFIG, to_yaml(config))

    # --- the log ------------------------------------------------------------------------------------------------------

    def log(self, record: Mapping[str, Any]) -> None:
        """Add a record to metrics.jsonl."""
        self._append(record)
        self.last = dict(record)

    def log_final(self, more: Mapping[str, Any]) -> None:
        """Close the log with the newest record and what was measured at the end."""
        self._append({**self.last, **more})

    def _append(self, record: Mapping[str, Any]) -> None:
        try:
            with (self.path / METRICS).open("a", encoding="utf-8") as file:
                file.write(json.dumps(record) + "\n")
                file.flush()
        except OSError as error:
            raise AaeError(f"cannot write {self.path / METRICS}: {error.strerror}") from None

    def rewind_log(self, step: int, write: bool) -> None:
        """Forget what was logged after a step, where training goes on from there.

        Args:
            write: change the file, which one of several processes does.
        """
        file, kept = self.path / METRICS, []
        for line in file.read_text(encoding="utf-8").splitlines() if file.is_file() else []:
            try:
                record = json.loads(line)
            except ValueError:
                continue
            if record.get("step", math.inf) <= step and not record.get("final"):
                kept.append(line)
        if write:
            write_whole(file, "".join(line + "\n" for line in kept))
        self.last = json.loads(kept[-1]) if kept else {}

    # --- state and models ---------------------------------------------------------------------------------------------

    @property
    def has_model(self) -> bool:
        return (self.path / MODEL).is_file()

    def save_state(self, tensors: dict[str, Tensor], facts: Mapping[str, Any]) -> None:
        """Everything that decides how training goes on, with a checksum."""
        header = json.dumps({**facts, "sha256": checksum(tensors, json.dumps(facts))})
        save_tensors(self.path / STATE, tensors, "aae_state", header)

    def load_state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """What :meth:`save_state` wrote.

        Raises:
            CheckpointError: missing, or one bit of it has changed.
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
                f"{file} is damaged: its content does not match its checksum", "start anew with --force"
            )
        return tensors, facts

    def save_model(self, model: Autoencoder, seed: int, card: str | None = None) -> None:
        """A model with its sheet of samples and, at the end of training, its card.

        The model comes last: a run counts as finished as soon as its model says so.
        """
        write_whole(self.path / SAMPLES, sample_sheet(model, seed))
        if card is not None:
            write_whole(self.path / CARD, card)
        save_tensors(self.path / MODEL, dict(model.model.state_dict()), "aae", model.header.to_json())
