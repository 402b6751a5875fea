"""Turn the raw values of a file of any format into ``Data``: encode labels, and check types, shapes and ranges."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import isqrt
from typing import Any, Literal

import numpy as np

from ..errors import DataError
from ..text import clean, counted, row_name
from .types import Data, Schema

Kind = Literal["image", "table"]


@dataclass(frozen=True)
class Raw:
    """Values and metadata as a reader found them in a file.

    Attributes:
        values: (N, D), (N, H, W), (N, C, H, W) or (N, H, W, C), in the file's own dtype.
        name: name of the source in messages.
        labels: (N,) whole numbers or text; empty, None, NaN and −1 mean unlabelled. None if the file has no labels.
        columns, integer, ids, notes: as in ``Schema`` and ``Data``. label_column: name of the labels' column, if known.
        pixel_range: (low, high) if the format fixes it, as 8-bit image files do; else None.
        part: whether this is a later piece of a long source, so that these rows alone do not show its range.
    """

    values: np.ndarray
    name: str
    labels: Any = None
    columns: tuple[str, ...] | None = None
    integer: tuple[bool, ...] | None = None
    ids: tuple[str, ...] | None = None
    notes: tuple[str, ...] = ()
    pixel_range: tuple[float, float] | None = None
    part: bool = False
    label_column: str | None = None


def finish(raw: Raw, like: Schema | None = None, kind: Kind | None = None) -> Data:
    """Turn raw values into ``Data``.

    Args:
        like: schema that a model was trained on, which the rows must match.
        kind: ``image`` reads 2-D values as pixels, ``table`` reads images as tables. Ignored with ``like``.

    Raises:
        DataError: there are no rows, or a type, shape, range or label cannot be used.
    """
    values = raw.values
    _refuse_types(values, raw.name)
    if values.dtype == bool:
        values = values.astype(np.int8)
        raw = replace(raw, values=values)
    if len(values) == 0 or values.size == 0:
        raise DataError(f"{raw.name} has no {'rows' if len(values) == 0 else 'values'} (its shape is {values.shape})")
    trained = like.classes if like is not None else None
    codes, classes, of_labels = encode_labels(raw.labels, len(values), raw.name, trained or (), raw.label_column)
    if like is not None:
        x, schema, notes = _as_trained(raw, like), like, raw.notes
    else:
        x, schema, notes = _as_found(raw, kind)
    return Data(x, schema.with_classes(classes), codes, raw.ids, raw.name, (*notes, *of_labels))


def encode_labels(
    labels: Any, rows: int, name: str, known: Sequence[str] = (), column: str | None = None
) -> tuple[np.ndarray | None, tuple[str, ...] | None, tuple[str, ...]]:
    """Encode labels as class indices. Classes are sorted as numbers if all are whole numbers, else as text.

    Args:
        labels: one whole number or text for each of N = ``rows`` rows, or None. Empty, None and NaN mean unlabelled, and
            so does −1 where all other labels are whole numbers from 0.
        known: classes of the model that the rows are for; where −1 is one of them, it is a class.
        column: name of the labels' column, for messages.

    Returns:
        (N,) int64 indices with −1 for unlabelled rows, the class names, and notes; (None, None, ()) if no row has a label.

    Raises:
        DataError: the number of labels is wrong, or labels are neither whole numbers nor text.
    """
    if labels is None:
        return None, None, ()
    array = np.asarray(labels)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1 or len(array) != rows:
        raise DataError(
            f"{name} has {counted(rows, 'row')} but labels of shape {array.shape}", "give one label per row"
        )
    if array.dtype.kind not in "iubfSUOT":
        raise DataError(f"{name} has labels of type {array.dtype}", "labels must be whole numbers or text")
    if array.dtype.kind not in "iubf":
        texts = [_text(item) for item in array]
        named = {text for text in texts if text}
        if not all(re.fullmatch(r"[+-]?\d{1,17}(\.0*)?", text) for text in named):
            if all(re.fullmatch(r"[+-]?\d*\.?\d+([eE][+-]?\d+)?", text) for text in named):
                raise _fractions(name, column)
            classes = tuple(sorted(named))
            index = {text: i for i, text in enumerate(classes)}
            return np.array([index.get(text, -1) for text in texts], dtype=np.int64), classes, _lacking(texts.count(""))
        missing = np.array([not text for text in texts], dtype=bool)
        array = np.array([int(text.partition(".")[0]) if text else 0 for text in texts], dtype=np.int64)
    else:
        missing = np.isnan(array) if array.dtype.kind == "f" else np.zeros(rows, bool)
        if array.dtype.kind == "f":
            array = np.where(missing, 0, array)
            if not np.isfinite(array).all() or (array != np.floor(array)).any():
                raise _fractions(name, column)
    return _encode_numbers(array.astype(np.int64), missing, "-1" in known)


def _encode_numbers(
    numbers: np.ndarray, missing: np.ndarray, minus_one: bool
) -> tuple[np.ndarray | None, tuple[str, ...] | None, tuple[str, ...]]:
    """As ``encode_labels``. ``missing``: (N,) rows without a label. ``minus_one``: whether −1 is a class anyway."""
    own, notes = numbers[~missing], list(_lacking(int(missing.sum())))
    if not minus_one and (own == -1).any() and own.min() == -1:
        if (count := int((own == -1).sum())) < len(own):
            notes.append(f"label −1 means unlabelled, as all others are from 0: {counted(count, 'row')}")
        missing = missing | (numbers == -1)
    names, codes = np.unique(numbers[~missing], return_inverse=True)
    if not len(names):
        return None, None, ()
    final = np.full(len(numbers), -1, dtype=np.int64)
    final[~missing] = codes.reshape(-1)
    return final, tuple(str(name) for name in names), tuple(notes)


def _fractions(name: str, column: str | None) -> DataError:
    place = "" if column is None else f" (column {clean(column)})"
    hint = "aae learns classes, not numbers: --label-column names the column of classes, --columns the features"
    return DataError(f"{name} has labels that are fractions{place}", hint)


def _lacking(count: int) -> tuple[str, ...]:
    return (f"{counted(count, 'row')} {'has' if count == 1 else 'have'} no label",) if count else ()


def _text(item: Any) -> str:
    if item is None or item != item:
        return ""
    return (item.decode("utf-8", "replace") if isinstance(item, bytes) else str(item)).strip()


def _refuse_types(values: np.ndarray, name: str) -> None:
    if values.dtype.kind not in "biuf":
        raise DataError(f"{name} holds values of type {values.dtype}", "only numbers can be read")
    if not 2 <= values.ndim <= 4:
        hint = "reshape it to (1, D) for one row" if values.ndim == 1 else None
        raise DataError(
            f"{name} has the shape {values.shape}; supported are (N, D), (N, H, W), (N, C, H, W) or (N, H, W, C)", hint
        )


def _as_found(raw: Raw, kind: Kind | None) -> tuple[np.ndarray, Schema, tuple[str, ...]]:
    """Return (N, D) values with their schema and notes, inferred from the data alone."""
    values, notes = raw.values, raw.notes
    if values.ndim > 2 and kind != "table":
        values = _channels_first(values, raw.name)
        shape = values.shape[1:]
        x = values.reshape(len(values), -1)
        low, high, integer = _pixel_range(x, raw)
        if values.dtype == np.uint8 and raw.pixel_range is None and x.max() <= 16:
            notes = (*notes, f"the largest pixel is {x.max()}: pixels are assumed to range from {low:g} to {high:g}")
        schema = Schema("image", shape, low, high, (integer,))
        return _stored(x, integer), schema, notes
    x = values.reshape(len(values), -1)
    columns, width = raw.columns, x.shape[1]
    _refuse_infinite(x, raw)
    square = _square(width)
    top = _pixels_top(x) if kind is None and square is not None and width >= 64 * square[0] else None
    if kind == "image" or top is not None:
        if square is None:
            raise DataError(
                f"{raw.name} has {width} columns, which form no square image", "give an array of shape (N, H, W)"
            )
        low, high, integer = (0.0, float(top), True) if top is not None else _pixel_range(x, raw)
        if kind is None:
            pixels = f"{square[1]}×{square[2]} pixels" + (" in 3 channels" if square[0] == 3 else "")
            notes = (
                *notes,
                f"{width} whole-number columns from 0 to {int(x.max())} are read as {pixels}; "
                "kind=table reads them as a table",
            )
        return _stored(x, integer), Schema("image", square, low, high, (integer,), columns), notes
    integers = raw.integer if raw.integer is not None else (x.dtype.kind in "biu",) * width
    return _float32(x, raw), Schema("table", (width,), None, None, integers, columns), notes


def _as_trained(raw: Raw, like: Schema) -> np.ndarray:
    """Return (N, D) values that match ``like``; raise DataError if their shape or range differs."""
    values = raw.values
    fits = values.ndim == 2 and values.shape[1] == like.size
    if values.ndim > 2 and like.kind == "image":
        if (
            values.ndim == 4
            and values.shape[1:] != like.shape
            and (*values.shape[3:], *values.shape[1:3]) == like.shape
        ):
            values = values.transpose(0, 3, 1, 2)
        fits = (values.shape[1:] if values.ndim == 4 else (1, *values.shape[1:])) == like.shape
    if not fits:
        wanted = f"{like.size} columns" if like.kind == "table" else f"images of shape {like.shape}"
        found = f"{values.shape[1]} columns" if values.ndim == 2 else f"images of shape {values.shape[1:]}"
        raise DataError(f"{raw.name} has {found}, but the model was trained on {wanted}")
    x = values.reshape(len(values), -1)
    _refuse_infinite(x, raw)
    if like.kind == "table":
        return _float32(x, raw)
    _refuse_other_range(x, raw, like)
    return _stored(x, like.integer[0])


def _refuse_other_range(x: np.ndarray, raw: Raw, like: Schema) -> None:
    low, high = like.low, like.high
    if low is None or high is None or (x.dtype == np.uint8 and raw.pixel_range == (low, high)):
        return
    least, most = x.min(), x.max()
    trained = f"but the model was trained on {'integers' if like.integer[0] else 'values'} in {low:g}..{high:g}"
    fraction = _first_fraction(x) if like.integer[0] else None
    if fraction is not None and least >= 0 and most <= 1:
        raise DataError(f"{raw.name}: values are floats in [0, 1], {trained}", f"multiply by {high:g}")
    if least < low or most > high:
        row, column = _first(x, lambda v: (v < low) | (v > high)) or (0, 0)
        whole = _first_fraction(x) is None
        hint = "divide by 255" if (low, high) == (0, 1) and whole and least >= 0 and most <= 255 else None
        raise DataError(f"{raw.name}: {row_name(row)} has the value {x[row, column]:g}, {trained}", hint)
    if fraction is not None:
        row, column = fraction
        raise DataError(f"{raw.name}: {row_name(row)} has the value {x[row, column]:g}, {trained}", "round the values")
    if raw.pixel_range is None and not raw.part and high > 1 and least == 0 and most == 1:
        raise DataError(f"{raw.name}: all values are 0 or 1, {trained}", f"multiply by {high:g}")
    if raw.pixel_range is not None and raw.pixel_range != (low, high):
        raise DataError(f"{raw.name}: pixel values are in {raw.pixel_range[0]:g}..{raw.pixel_range[1]:g}, {trained}")


def _channels_first(values: np.ndarray, name: str) -> np.ndarray:
    """Bring (N, H, W), (N, C, H, W) or (N, H, W, C) into the form (N, C, H, W), with C = 1 or 3."""
    if values.ndim == 3:
        return values[:, None]
    if values.shape[1] in (1, 3):
        return values
    if values.shape[3] in (1, 3):
        return values.transpose(0, 3, 1, 2)
    raise DataError(f"{name} has the shape {values.shape}, with neither 1 nor 3 channels on its second or last axis")


def _square(width: int) -> tuple[int, int, int] | None:
    """Return the square image shape (C, S, S) of ``width`` values, C = 1 or 3; None if there is no such shape."""
    for channels in (1, 3):
        side = isqrt(width // channels)
        if channels * side * side == width:
            return channels, side, side
    return None


def _pixels_top(x: np.ndarray) -> int | None:
    """Return 16 or 255 if (N, D) values look like pixels with that maximum, else None."""
    least, most = x.min(), x.max()
    if least < 0 or not (9 <= most <= 16 or 128 <= most <= 255) or _first_fraction(x) is not None:
        return None
    return 16 if most <= 16 else 255


FEW_IMAGES = 10


def _pixel_range(x: np.ndarray, raw: Raw) -> tuple[float, float, bool]:
    """Infer the range of pixel values: (low, high, whether they are whole numbers).

    Raises:
        DataError: the values fit none of the ranges 0..255, 0..16 and 0..1.
    """
    _refuse_infinite(x, raw)
    if raw.pixel_range is not None:
        return float(raw.pixel_range[0]), float(raw.pixel_range[1]), True
    if x.dtype == np.uint8 and (x.max() > 16 or len(x) < FEW_IMAGES):  # a few images may all be dark
        return 0.0, 255.0, True
    least, most = x.min(), x.max()
    if x.dtype.kind == "f" and least >= 0 and most <= 1:
        return 0.0, 1.0, False
    if least >= 0 and most <= 255 and _first_fraction(x) is None:
        return 0.0, 1.0 if most <= 1 else 16.0 if most <= 16 else 255.0, True
    raise DataError(
        f"{raw.name}: pixel values run from {least:g} to {most:g}", "scale them to whole numbers in 0..255 or to 0..1"
    )


def _first(x: np.ndarray, is_bad: Callable[[np.ndarray], np.ndarray]) -> tuple[int, int] | None:
    """Find row and column of the first bad one of (N, D) values, in blocks to save memory; None if there is none."""
    block = max(1, 2**22 // x.shape[1])
    for start in range(0, len(x), block):
        bad = is_bad(x[start : start + block])
        if bad.any():
            row, column = np.unravel_index(int(bad.argmax()), bad.shape)
            return start + int(row), int(column)
    return None


def _first_fraction(x: np.ndarray) -> tuple[int, int] | None:
    return _first(x, lambda v: v != np.floor(v)) if x.dtype.kind == "f" else None


def _refuse_infinite(x: np.ndarray, raw: Raw) -> None:
    if x.dtype.kind != "f":
        return
    place = _first(x, lambda v: ~np.isfinite(v))
    if place is not None:
        row, column = place
        word = "a missing value (NaN)" if np.isnan(x[place]) else f"the value {x[place]}"
        raise DataError(
            f"{raw.name} has {word} in {row_name(row)}, {_column(raw, column)}", "fill it in or drop the row"
        )


def _column(raw: Raw, index: int) -> str:
    return f"column {clean(raw.columns[index]) if raw.columns else index}"


def _stored(x: np.ndarray, integer: bool) -> np.ndarray:
    """Convert (N, D) pixels to uint8 if they are whole numbers in 0..255, else to float32."""
    whole = integer and x.min() >= 0 and x.max() <= 255
    return np.require(x, np.uint8 if whole else np.float32, ["C", "W"])


def _float32(x: np.ndarray, raw: Raw) -> np.ndarray:
    with np.errstate(over="ignore"):
        result = np.require(x, np.float32, ["C", "W"])
    if (place := _first(result, lambda v: ~np.isfinite(v))) is not None:
        row, column = place
        raise DataError(
            f"{raw.name}: the value {x[place]:g} in {row_name(row)}, {_column(raw, column)} is too large", "rescale it"
        )
    return result


def refuse_options(name: str, columns: object, label_column: object) -> None:
    """Raise DataError if a column option was given for a source without named columns."""
    for flag, value in (("--columns", columns), ("--label-column", label_column)):
        if value is not None:
            raise DataError(f"{name} has no named columns", f"{flag} is for CSV, TSV and Parquet files")
