"""Read arrays from ``.npy``, ``.npz`` and IDX files (IDX is the format of MNIST)."""

from __future__ import annotations

import io
import os
import re
import struct
import warnings
import zipfile
import zlib
from math import prod
from pathlib import Path
from tokenize import TokenError
from typing import IO, Literal

import numpy as np

from ..errors import DataError
from ..text import clean, listed, quoted
from .streams import Where, opened, read_up_to, refuse_claim, size_of
from .types import MAP_FROM
from .values import Raw

DATA_KEYS = ("x", "X", "data", "images", "arr_0")
LABEL_KEYS = ("y", "labels", "label")

_DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError)
_IDX_TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def read_npz(where: Where, name: str, key: str | None = None, label_key: str | None = None) -> Raw:
    """Read one array of an .npz file, and its labels if the file has any.

    Args:
        key: name of the array; by default the first of ``DATA_KEYS`` in the file.
        label_key: name of the label array; by default the one paired with ``key`` (y_test with x_test), else the first
            of ``LABEL_KEYS`` in the file.

    Raises:
        DataError: the file is not a zip archive, is damaged or too large, holds Python objects, or lacks the array.
    """
    try:
        with zipfile.ZipFile(where) as file:
            members = {info.filename.removesuffix(".npy"): info for info in file.infolist()}
            chosen = key if key is not None else next((item for item in DATA_KEYS if item in members), None)
            if chosen is None or chosen not in members:
                what = f"no array {quoted(chosen)}" if chosen else f"none of the arrays {', '.join(DATA_KEYS)}"
                raise DataError(
                    f"{name} has {what}; it has {listed(members, 12) or 'no arrays'}", "choose one with file.npz[key]"
                )
            values = _read_member(file, members[chosen], size_of(where), name)
            labels_at = label_key if label_key is not None else _label_key(chosen, set(members))
            if labels_at is None:
                return Raw(values, name)
            if labels_at not in members:
                raise DataError(f"{name} has no labels {quoted(labels_at)}; it has {listed(members, 12)}")
            labels = _read_member(file, members[labels_at], size_of(where), name)
    except _DAMAGED as error:
        raise _invalid(where, name, error) from error
    # A general label array of another length belongs to another array of the file.
    if key is not None and label_key is None and labels_at in LABEL_KEYS and labels.shape[:1] != values.shape[:1]:
        return Raw(values, name)
    return Raw(values, name, labels)


def npz_keys(where: Where, name: str) -> list[str]:
    """Names of the arrays in an .npz file. Raises DataError if it is not a zip archive."""
    try:
        with zipfile.ZipFile(where) as file:
            return [member.removesuffix(".npy") for member in file.namelist()]
    except _DAMAGED as error:
        raise _invalid(where, name, error) from error


def _invalid(where: Where, name: str, error: Exception) -> DataError:
    hint = "pickles are refused, as loading one can run code: save with numpy.savez" if _pickled(where) else None
    return DataError(f"{name} is not a valid .npz file: {clean(error)}", hint)


def read_npy(where: Where, name: str) -> Raw:
    """Read the array of an .npy file. A large file is memory-mapped: its rows are read only when used.

    Raises:
        DataError: the file is not .npy, is cut short, holds Python objects, or is large and not in native byte order.
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
            raise DataError(f"{name} is large and not in this machine's byte order", "save it in native byte order")
        order: Literal["C", "F"] = "F" if fortran else "C"
        return Raw(np.memmap(file, dtype, "c", file.tell(), shape, order), name)  # "c": copy on write


def read_idx(where: Where, name: str) -> Raw:
    """Read an IDX file, gzipped or not. ``…-images-idx3-ubyte`` gets its labels from ``…-labels-idx1-ubyte`` beside it.

    Raises:
        DataError: the file is not IDX, or its size does not match its header.
    """
    values = read_idx_array(where, name)
    labels: np.ndarray | None = None
    notes: tuple[str, ...] = ()
    beside = _idx_labels(where) if isinstance(where, Path) else None
    if beside is not None:
        labels, notes = read_idx_array(beside, clean(beside)), (f"labels are read from {clean(beside.name)}",)
    return Raw(values, name, labels, notes=notes, pixel_range=(0, 255) if values.dtype == np.uint8 else None)


def read_idx_array(where: Where, name: str) -> np.ndarray:
    """Read the array of an IDX file, in native byte order.

    Raises:
        DataError: the file is not IDX, or its size does not match its header.
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
        refuse_claim(size, size_of(where), name)
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


def _read_member(file: zipfile.ZipFile, info: zipfile.ZipInfo, whole: int, name: str) -> np.ndarray:
    """Read a member of a zip file of ``whole`` bytes."""
    name = f"{name}[{clean(info.filename.removesuffix('.npy'))}]"
    refuse_claim(info.file_size, min(info.compress_size, whole), name)
    with file.open(info) as member:
        return _read_array(member, info.file_size, name)


def _read_array(file: IO[bytes], size: int, name: str) -> np.ndarray:
    """Read an .npy stream of ``size`` bytes; the header is checked before memory is allocated."""
    shape, fortran, dtype = read_npy_header(file, size, name)
    content = read_up_to(file, size)
    if len(content) != prod(shape) * dtype.itemsize:
        raise DataError(f"{name} is cut short")
    flat = np.frombuffer(content, dtype) if content else np.empty(0, dtype)
    array = flat.reshape(shape, order="F" if fortran else "C")
    return array if dtype.isnative else array.astype(dtype.newbyteorder("="))


def read_npy_header(file: IO[bytes], size: int | None, name: str) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Read the header of an .npy stream: shape, whether the data is in Fortran (column-major) order, and dtype.

    Args:
        size: bytes in the whole stream, checked against the header; None if unknown.

    Raises:
        DataError: the stream is not .npy, its size does not match its header, or it holds Python objects.
    """
    try:
        version = np.lib.format.read_magic(file)
        read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # NumPy warns of unusual headers even if it can read them
            shape, fortran, dtype = read_header(file)
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError, SyntaxError, TokenError) as error:
        raise DataError(f"{name} is not a NumPy array file", "pickles and other formats are refused") from error
    if dtype.hasobject:
        raise DataError(f"{name} holds Python objects (pickles), which are refused", "save numbers or text")
    wrong = dtype.itemsize == 0 or any(side < 0 for side in shape)
    if wrong or (size is not None and prod(shape) * dtype.itemsize != size - file.tell()):
        raise DataError(
            f"{name} is cut short or damaged: {size or 'its'} bytes do not fit the shape {shape} of {dtype}"
        )
    return shape, fortran, dtype


def _pickled(where: Where) -> bool:
    with opened(where) as file:
        return file.read(1) == b"\x80"


def _idx_labels(images: Path) -> Path | None:
    """Find the label file beside an IDX file of images."""
    stem = re.sub(r"idx[34]", "idx1", re.sub("images", "labels", images.name)).removesuffix(".gz")
    found = (images.with_name(stem + ending) for ending in ("", ".gz"))
    return next((path for path in found if path.is_file() and "images" in images.name), None)
