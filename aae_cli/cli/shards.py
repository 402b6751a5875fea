"""One command over a folder of files: each file of rows becomes a file of results, shared among processes."""

from __future__ import annotations

import os
from collections import Counter
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
        DataError: a folder without files of rows, or with two whose results would have one name.
        UsageError: options for a single file, or a folder of results that is the folder of rows.
    """
    from ..data.formats import SHARDS
    from ..distributed import started_by_torchrun
    from ..files import make_folder

    folder, target = Path(options["data"]), Path(options["output"])
    if not folder.is_dir():
        raise UsageError(f"-o {target}: a folder of results is for a folder of files", "give -o a file")
    if options["checkpoint"] is None or options.get("fit"):
        raise UsageError(f"-o {target}: a folder of results needs a trained model", "name its run with -c")
    if options.get("plot") is not None:
        raise UsageError("--plot shows the rows of one file", "leave it out, or give -o a file")
    if target.resolve() == folder.resolve():
        raise UsageError(f"-o {target}: results would lie among the rows", "give another folder")
    files = sorted(path for path in folder.iterdir() if path.is_file() and path.name.lower().endswith(SHARDS))
    if not files:
        raise DataError(f"{clean(folder)} has no files of rows", "shards are .csv, .tsv, .parquet, .npz or .npy files")
    results = {file: target / f"{_stem(file)}.{options['format'] or 'csv'}" for file in files}
    for result, count in Counter(results.values()).items():
        if count > 1:
            raise DataError(f"{clean(folder)}: {count} files would give {clean(result)}", "rename all but one of them")
    make_folder(target)
    rank, size = started_by_torchrun()
    own, done = files[rank::size], 0
    for file in own:
        result = results[file]
        if result.exists():
            done += 1
            continue
        command(**{**options, "data": str(file), "output": str(result)})
    process = f"process {rank + 1} of {size}: " if size > 1 else ""
    report.say(f"{process}{counted(len(own), 'file')} in {clean(target)}, of which {done} were there before")


def _stem(file: Path) -> str:
    """The name of a file without its suffix, and without that of its compression."""
    return file.name[:-3].rpartition(".")[0] if file.name.lower().endswith(".gz") else file.stem
