"""Codes as rows of a file, by the names of their dimensions."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from ..errors import DataError
from ..text import clean, listed
from .arrays import npz_keys, read_npz
from .read import head, read
from .types import ReadOptions


def read_codes(source: str) -> tuple[np.ndarray, list[str]]:
    """Codes of a table or an .npz file such as ``aae embed`` writes, or of an array: (N, m) float32, and their ids.

    Columns called z0, z1, … are taken, or x and y where there are none of these; others may stand beside them.

    Raises:
        DataError: a source without such columns or without one of them; cells there that are missing or no numbers.
    """
    name, path = "stdin" if source == "-" else clean(source, 200), Path(source)
    if path.suffix.lower() == ".npz" and path.is_file():
        wanted = _dimensions(npz_keys(path, name), name)
        columns = {key: np.asarray(read_npz(path, name, key).values) for key in wanted}
        if len({column.shape for column in columns.values()}) > 1 or columns[wanted[0]].ndim != 1:
            raise DataError(f"{name}: {listed(wanted)} are no columns of one length", "a code is a row of numbers")
        _refuse(name, [key for key, x in columns.items() if x.dtype.kind not in "fiu" or not np.isfinite(x).all()])
        return np.stack([*columns.values()], 1).astype(np.float32), []
    names = head(source, ReadOptions(kind="table")).schema.columns
    if names is None:
        rows = read(source, kind="table")
        return rows.x.astype(np.float32), list(rows.ids or ())
    wanted = _dimensions(names, name)
    rows = read(source, kind="table", columns=wanted)
    if rows.schema.mixed is not None:
        complete = zip(rows.schema.mixed, np.isfinite(rows.x).all(0).tolist(), strict=True)
        numbers = {column.name for column, whole in complete if whole and column.kind == "number"}
        _refuse(name, [each for each in wanted if each not in numbers])
    own = list(rows.schema.columns or wanted)
    return rows.x[:, [own.index(each) for each in wanted]].astype(np.float32), list(rows.ids or ())


def _refuse(source: str, bad: list[str]) -> None:
    """Raise DataError where some columns have cells that are no numbers."""
    if bad:
        raise DataError(f"{source}: some cells of {listed(bad)} are no numbers", "a code is a row of numbers")


def _dimensions(names: Iterable[str], source: str) -> list[str]:
    """The names of the dimensions, in their order. Raises DataError where there are none, or one is missing."""
    known = set(names)
    numbered = sorted((name for name in known if re.fullmatch(r"z[0-9]+", name)), key=lambda name: int(name[1:]))
    if gap := next((f"z{i}" for i, name in enumerate(numbered) if name != f"z{i}"), None):
        raise DataError(f"{source} has {numbered[-1]} but no {gap}", "give all dimensions of the codes")
    found = numbered or [name for name in ("x", "y") if name in known]
    if not found:
        raise DataError(f"{source} has no codes", "give numbers in columns z0, z1, …, as `aae embed` writes")
    return found
