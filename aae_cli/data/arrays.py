"""Arrays in files: ``.npy``, ``.npz`` and IDX (the format of MNIST)."""

from __future__ import annotations

import io
import os
import re
import struct
import warnings
import zipfile
from math import prod
from pathlib import Path
from tokenize import TokenError
from typing import IO, Literal

import numpy as np

from ..errors import DataError
from ..text import clean, listed, quoted
from .streams import LIMIT, Where, opened, read_up_to
from .types import MAP_FROM
from .values import Raw

DATA_KEYS = ("x", "X", "data", "images", "arr_0")
LABEL_KEYS = ("y", "labels", "label")

_IDX_TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def read_npz(where: Where, name: str, key: str | None = None, label_key: str | None = None) -> Raw:
    """One array of an .npz file, with the labels that lie beside it.

    Args:
        key: which array; by default the first of ``DATA_KEYS`` that is there.
        label_key: which labels; by default those that belong to ``key`` (y_test to x_test), else ``LABEL_KEYS``.

    Raises:
        DataError: not a zip file, damaged, too large, holding Python objects, or without such an array.
    """
    try:
        with zipfile.ZipFile(where) as file:
            members = {info.filename.removesuffix(".npy"): info for info in file.infolist()}
            if sum(info.file_size for info in members.values()) > LIMIT:
                raise DataError(f"{name} unpacks to more than {LIMIT >> 30} GiB")
            chosen = key if key is not None else next((item for item in DATA_KEYS if item in members), None)
            if chosen is None or chosen not in members:
                what = f"no array {quoted(chosen)}" if chosen else f"none of the arrays {', '.join(DATA_KEYS)}"
                raise DataError(
                    f"{name} has {what}; it has {listed(members, 12) or 'none at all'}", "name one: file.npz[key]"
                )
            values = _read_member(file, members[chosen], name)
            labels_at = label_key if label_key is not None else _label_key(chosen, set(members))
            if labels_at is None:
                return Raw(values, name)
            if labels_at not in members:
                raise DataError(f"{name} has no labels {quoted(labels_at)}; it has {listed(members, 12)}")
            labels = _read_member(file, members[labels_at], name)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        hint = "pickles are refused, as reading one can run code: save with numpy.savez" if _pickled(where) else None
        raise DataError(f"{name} is not a sound .npz file: {clean(error)}", hint) from error
    if key is not None and label_key is None and labels_at in LABEL_KEYS and labels.shape[:1] != values.shape[:1]:
        return Raw(values, name)
    return Raw(values, name, labels)


def read_npy(where: Where, name: str) -> Raw:
    """The array of an .npy file; a large one is mapped into memory, and read as its rows are asked for.

    Raises:
        DataError: not an .npy file, cut short, or holding Python objects.
    """
    if isinstance(where, io.BytesIO):
        where.seek(0)
        return Raw(_read_array(where, len(where.getbuffer()), name), name)
    with where.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size < MAP_FROM:
            return Raw(_read_array(file, size, name), name)
        shape, fortran, dtype = read_npy_header(file, size, name)
        if not dtype.isnative:
            raise DataError(f"{name} is large and in another byte order than this machine's", "save it anew")
        order: Literal["C", "F"] = "F" if fortran else "C"
        return Raw(np.memmap(file, dtype, "c", file.tell(), shape, order), name)  # "c": the file itself never changes


def read_idx(where: Where, name: str) -> Raw:
    """An IDX file, gzipped or not; the labels of ``…-images-idx3-ubyte`` are those of ``…-labels-idx1-ubyte`` beside.

    Raises:
        DataError: not an IDX file, or not of the size that its header states.
    """
    values = read_idx_array(where, name)
    labels: np.ndarray | None = None
    notes: tuple[str, ...] = ()
    beside = _idx_labels(where) if isinstance(where, Path) else None
    if beside is not None:
        labels, notes = read_idx_array(beside, clean(beside)), (f"labels are from {clean(beside.name)}",)
    return Raw(values, name, labels, notes=notes, pixel_range=(0, 255) if values.dtype == np.uint8 else None)


def read_idx_array(where: Where, name: str) -> np.ndarray:
    """The array of an IDX file, in native byte order.

    Raises:
        DataError: not an IDX file, or not of the size that its header states.
    """
    with opened(where) as file:
        head = file.read(4)
        if len(head) < 4 or head[:2] != b"\0\0" or head[2] not in _IDX_TYPES or not 1 <= head[3] <= 4:
            raise DataError(f"{name} is not an IDX file")
        sizes = file.read(4 * head[3])
        if len(sizes) < 4 * head[3]:
            raise DataError(f"{name} is cut short within its header")
        shape = struct.unpack(f">{head[3]}I", sizes)
        dtype = np.dtype(_IDX_TYPES[head[2]])
        size = prod(shape) * dtype.itemsize
        if size > LIMIT:
            raise DataError(f"{name} claims {size >> 30} GiB in its header")
        content = read_up_to(file, size + 1)
    if len(content) != size:
        found = f"only {len(content)}" if len(content) < size else "more"
        raise DataError(f"{name} should hold {size} bytes of shape {shape}, but holds {found}")
    array = np.frombuffer(content, dtype).reshape(shape)
    return array if dtype.isnative else array.astype(dtype.newbyteorder("="))


def _label_key(key: str, keys: set[str]) -> str | None:
    paired = re.sub("images|data", "labels", key) if re.search("images|data", key) else re.sub(r"^[xX]", "y", key)
    candidates = (*(() if paired == key else (paired,)), *LABEL_KEYS)
    return next((item for item in candidates if item in keys and item != key), None)


def _read_member(file: zipfile.ZipFile, info: zipfile.ZipInfo, name: str) -> np.ndarray:
    with file.open(info) as member:
        return _read_array(member, info.file_size, f"{name}[{clean(info.filename.removesuffix('.npy'))}]")


def _read_array(file: IO[bytes], size: int, name: str) -> np.ndarray:
    """The array of an .npy stream of ``size`` bytes, whose header is checked before anything is allocated."""
    shape, fortran, dtype = read_npy_header(file, size, name)
    content = read_up_to(file, size)
    if len(content) != prod(shape) * dtype.itemsize:
        raise DataError(f"{name} is cut short")
    flat = np.frombuffer(content, dtype) if content else np.empty(0, dtype)
    array = flat.reshape(shape, order="F" if fortran else "C")
    return array if dtype.isnative else array.astype(dtype.newbyteorder("="))


def read_npy_header(file: IO[bytes], size: int | None, name: str) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Shape, whether columns come first, and type, from the header of an .npy stream.

    Args:
        size: of the whole stream in bytes, which the header must agree with; None where it is not known.

    Raises:
        DataError: not an .npy stream, of another size, or holding Python objects.
    """
    try:
        version = np.lib.format.read_magic(file)
        read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of headers that are odd, whether or not they can be read
            shape, fortran, dtype = read_header(file)
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError, SyntaxError, TokenError) as error:
        raise DataError(f"{name} is not a NumPy array file", "pickles and other formats are refused") from error
    if dtype.hasobject:
        raise DataError(f"{name} holds Python objects (pickles), which are refused", "save numbers or text")
    wrong = dtype.itemsize == 0 or any(side < 0 for side in shape)
    if wrong or (size is not None and prod(shape) * dtype.itemsize != size - file.tell()):
        raise DataError(
            f"{name} is cut short or damaged: {size or 'its'} bytes do not make the shape {shape} of {dtype}"
        )
    return shape, fortran, dtype


def _pickled(where: Where) -> bool:
    with opened(where) as file:
        return file.read(1) == b"\x80"


def _idx_labels(images: Path) -> Path | None:
    """The label file beside an IDX file of images."""
    stem = re.sub(r"idx[34]", "idx1", re.sub("images", "labels", images.name)).removesuffix(".gz")
    found = (images.with_name(stem + ending) for ending in ("", ".gz"))
    return next((path for path in found if path.is_file() and "images" in images.name), None)
