"""A run's folder on disk."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from torch import Tensor

from ..errors import CheckpointError, UsageError
from ..model.checkpoint import STATE, checksum, load_tensors, new_run_folder, read_header


def choose_folder(title: str, output: str | Path | None, resume: bool, force: bool) -> Path:
    if output is None:
        if resume:
            own = re.compile(re.escape(title) + r"(-\d+)?")
            started = [path.parent for path in Path("runs").glob(f"*/{STATE}") if own.fullmatch(path.parent.name)]
            # Unfinished ones last, and of those the newest.
            started.sort(key=lambda path: (not finished(path), (path / STATE).stat().st_mtime))
            if not started:
                raise UsageError(f"there is no run of {title} under ./runs to resume", "name it with -o DIR")
            return started[-1]
        return new_run_folder(title)
    folder = Path(output)
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"-o {folder}: that is a file", "name a folder for the run")
    full = folder.is_dir() and any(folder.iterdir())
    if resume and not (folder / STATE).is_file():
        raise UsageError(f"{folder} has no {STATE} to resume from", "leave --resume out to start anew")
    if full and not (resume or force):
        raise UsageError(f"-o {folder}: the folder is not empty", "go on with --resume, or replace it with --force")
    return folder


def load_state(file: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """What :meth:`_Job._save` wrote; CheckpointError where one bit of it has changed."""
    tensors, text = load_tensors(file, "aae_state")
    try:
        values = json.loads(text)
        claimed = values.pop("sha256")
        whole = claimed == checksum(tensors, json.dumps(values))
    except (KeyError, TypeError, ValueError, RecursionError):
        whole = False
    if not whole:
        raise CheckpointError(f"{file} is damaged: its content does not match its checksum", "start anew with --force")
    return tensors, values


def finished(folder: Path) -> bool:
    try:
        return read_header(folder).finished
    except CheckpointError:
        return False
