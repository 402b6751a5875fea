"""One command over a folder of files: each file of rows becomes a file of results, shared among processes."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import DataError, UsageError
from ..text import clean, counted

if TYPE_CHECKING:
    from ..output.reporter import Reporter


def into_folder(data: str, output: str | None) -> bool:
    """Whether results go into a folder, with a file for each file of rows: ``-o out/``."""
    if output is None or output == "-":
        return False
    return output.endswith(("/", os.sep)) or (Path(output).is_dir() and Path(data).is_dir())


def over_files(command: Callable[..., None], options: dict[str, Any], report: Reporter) -> None:
    """Run a command on each file of the folder ``data``, with results in the folder ``output``.

    Under ``torchrun``, each process takes its share of the files, whole ones only. A file whose results are there, which
    are written whole or not at all, is skipped, so that an interrupted command continues where it stopped.

    Args:
        command: a command with the options ``data``, ``output`` and ``format``.

    Raises:
        DataError: a folder without files of rows. UsageError: options for a single file.
    """
    from ..files import make_folder

    folder, target = Path(options["data"]), Path(options["output"])
    if not folder.is_dir():
        raise UsageError(f"-o {target}: a folder of results is for a folder of files", "give -o a file")
    if options["checkpoint"] is None or options.get("fit"):
        raise UsageError(f"-o {target}: a folder of results needs a trained model", "name its run with -c")
    if options.get("plot") is not None:
        raise UsageError("--plot shows the rows of one file", "leave it out, or give -o a file")
    files = sorted(path for path in folder.iterdir() if path.is_file() and path.name.lower().endswith(ROWS))
    if not files:
        raise DataError(f"{clean(folder)} has no files of rows", "shards are .csv, .tsv, .parquet, .npz or .npy files")
    make_folder(target)
    rank, size = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    own, done = files[rank::size], 0
    for file in own:
        result = target / f"{file.name.removesuffix('.gz').rpartition('.')[0]}.{options['format'] or 'csv'}"
        if result.exists():
            done += 1
            continue
        command(**{**options, "data": str(file), "output": str(result)})
    process = f"process {rank + 1} of {size}: " if size > 1 else ""
    report.say(f"{process}{counted(len(own), 'file')} in {clean(target)}, of which {done} were there before")


ROWS = (".csv", ".csv.gz", ".tsv", ".tsv.gz", ".parquet", ".npz", ".npy")
"""Names of the files that are taken for shards."""
