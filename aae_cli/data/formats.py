"""Formats of files: their names, and which one a path tells."""

from __future__ import annotations

import re
from pathlib import Path

from ..errors import DataError
from ..text import clean
from .streams import Pipe

FORMATS = (
    "csv",
    "tsv",
    "parquet",
    "npz",
    "npy",
    "idx",
    "images",
    "zip",
    "tar",
    "png",
    "jpg",
    "bmp",
    "gif",
    "webp",
    "tiff",
)
TELLING = (
    "csv, tsv (also .gz), parquet (or a folder of its shards), npz, npy, idx (also .gz), "
    "a folder of images or a .zip or .tar of it, an image file, - for stdin"
)
ALBUMS = ("images", "zip", "tar")
"""Formats of many image files."""
SHARDS = (".csv", ".csv.gz", ".tsv", ".tsv.gz", ".parquet", ".npz", ".npy")
"""Suffixes of the files that are read one by one from a folder of files of rows."""
_PICKLES = {"pkl", "pickle", "pt", "pth", "joblib", "p"}
IMAGES = {"png", "jpg", "jpeg", "bmp", "gif", "webp", "tif", "tiff", "image"}


def form_of(where: Path | Pipe) -> str:
    """The format of a file, a folder or a pipe."""
    if isinstance(where, Pipe):
        return "csv"
    if where.is_dir():
        return "parquet" if any(where.glob("*.parquet")) else "images"
    return format_of(where)


def format_of(path: Path) -> str:
    """The format that a file's name tells.

    Raises:
        DataError: none that is known, or one that is not safe to read.
    """
    name = path.name.lower()
    if re.search(r"\.(tar|tgz|tar\.(gz|bz2|xz))$", name):
        return "tar"
    if re.search(r"(idx[1-4]-ubyte|\.idx)(\.gz)?$", name):
        return "idx"
    suffix = Path(name.removesuffix(".gz")).suffix[1:]
    if suffix in _PICKLES:
        raise DataError(
            f"{clean(path)} is a pickle, and reading one can run code of its own", "save the data as .npz or .csv"
        )
    if suffix in ("csv", "tsv"):
        return suffix
    if not name.endswith(".gz") and suffix in (*IMAGES, "parquet", "npz", "npy", "zip"):
        return suffix
    raise DataError(f"{clean(path)} has no suffix that tells its format", f"name it with --format; known are {TELLING}")
