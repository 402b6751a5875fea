"""One command over a folder of files: each file of rows becomes a file of results, shared among processes."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from ..errors import DataError, UsageError
from ..text import clean, counted, listed
from .rows import named_checkpoint

if TYPE_CHECKING:
    from ..output.reporter import Reporter

MADE_BY = ".aae.json"
"""File in a folder of results that tells what they are of."""

SHAPELESS = ("output", "checkpoint", "device", "quiet", "verbose", "debug")
"""Options that leave the results of a file as they are."""


def into_folder(data: str, output: str | None) -> bool:
    """Whether results go into a folder, with a file for each file of rows: ``-o out/``."""
    if output is None or output == "-":
        return False
    return output.endswith(("/", os.sep)) or (Path(output).is_dir() and Path(data).is_dir())


def over_files(command: Callable[..., None], options: dict[str, Any], report: Reporter) -> None:
    """Run a command on each file of the folder ``data``, with results in the folder ``output``.

    Under ``torchrun``, each process takes its share of the files, whole ones only. A file whose results are there, which
    are written whole or not at all, is skipped, so that an interrupted command continues where it stopped. A file that
    cannot be read is left out, and said; one that is newer than its results is done again.

    Args:
        command: a command with the options ``data``, ``output`` and ``format``.

    Raises:
        DataError: a folder without files of rows, or with two whose results would have one name; files were left out.
        UsageError: options for a single file; a folder of results that is the folder of rows, or that holds those of
            another command or model.
    """
    from ..distributed import started_by_torchrun

    folder, target = Path(options["data"]), Path(options["output"])
    if not folder.is_dir():
        raise UsageError(f"-o {target}: a folder of results is for a folder of files", "give -o a file")
    if options.get("fit") or named_checkpoint(options["checkpoint"]) is None:
        raise UsageError(f"-o {target}: a folder of results needs a trained model", "name its run with -c")
    if options.get("plot") is not None:
        raise UsageError("--plot shows the rows of one file", "leave it out, or give -o a file")
    if target.resolve() == folder.resolve():
        raise UsageError(f"-o {target}: results would lie among the rows", "give another folder")
    results = _results(folder, target, options["format"])
    _remember(target, command, {**options, "format": next(iter(results.values())).suffix})
    rank, size = started_by_torchrun()
    own = list(results)[rank::size]
    done, failed = 0, []
    for file in own:
        if results[file].is_file() and results[file].stat().st_mtime >= file.stat().st_mtime:
            done += 1
            continue
        try:
            command(**{**options, "data": str(file), "output": str(results[file])})
        except typer.Exit as error:  # its reason has been printed
            if error.exit_code != 1:
                raise
            failed.append(file.name)
            report.warn(f"{clean(file)} is left out")
    process = f"process {rank + 1} of {size}: " if size > 1 else ""
    before = f", of which {done} were there before and are left as they are" if done else ""
    report.say(f"{process}{counted(len(own) - len(failed), 'file')} in {clean(target)}{before}")
    if failed and size > 1:  # torchrun stops the others as soon as one process fails
        report.warn(f"{process}left out: {listed(failed)}; mend them, and the same command does the rest")
    elif failed:
        raise DataError(f"left out: {listed(failed)}", "mend them; the same command does the rest")


def _results(folder: Path, target: Path, format: str | None) -> dict[Path, Path]:
    """The file of results of each file of rows. Raises DataError, and UsageError for a format that cannot be written."""
    from ..output.writers import output_format

    files = sorted(path for path in folder.iterdir() if _is_shard(path))
    if not files:
        raise DataError(f"{clean(folder)} has no files of rows", "shards are .csv, .tsv, .parquet, .npz or .npy files")
    kind = output_format(None, format, pipe_input=False, default="csv")
    results = {file: target / f"{_stem(file)}.{kind}" for file in files}
    for result, count in Counter(results.values()).items():
        if count > 1:
            raise DataError(f"{clean(folder)}: {count} files would give {clean(result)}", "rename all but one of them")
    return results


def _remember(target: Path, command: Callable[..., None], options: dict[str, Any]) -> None:
    """Make the folder of results, with a file that tells which command and model they are of. Raises UsageError."""
    from ..files import make_folder, write_whole
    from ..model.checkpoint import read_header

    header = read_header(str(named_checkpoint(options["checkpoint"])))
    shaping = {name: value for name, value in options.items() if name not in SHAPELESS}
    shaping["data"] = str(Path(options["data"]).resolve())
    model = sha256(header.to_json().encode()).hexdigest()
    known = json.dumps({"command": command.__module__, "model": model, "options": shaping}, default=str, indent=1)
    file = target / MADE_BY
    if file.is_file() and file.read_text(encoding="utf-8") != known:
        why = f"-o {target} holds results of other rows or options, or of another model"
        raise UsageError(why, "give another folder")
    make_folder(target)
    write_whole(file, known)


def _is_shard(path: Path) -> bool:
    from ..data.formats import SHARDS

    return path.is_file() and path.name.lower().endswith(SHARDS) and not path.name.startswith(".")


def _stem(file: Path) -> str:
    """The name of a file without its suffix, and without that of its compression."""
    return file.name[:-3].rpartition(".")[0] if file.name.lower().endswith(".gz") else file.stem
