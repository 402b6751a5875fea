"""Turn the raw values of a file of any format into ``Data``: encode labels, and check types, shapes and ranges."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import isqrt
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import DataError
from ..text import clean, listed, row_name
from .columns import Column
from .labels import encode_labels
from .types import BY_LOOKS, Data, Kind, ReadOptions, Schema

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True)
class Raw:
    """Values and metadata as a reader found them in a file.

    Attributes:
        values: (N, D), (N, H, W), (N, C, H, W) or (N, H, W, C), in the file's own dtype.
        name: name of the source in messages.
        labels: (N,) whole numbers or text; empty, None, NaN and −1 mean unlabelled. None if the file has no labels.
        columns, integer, ids, notes: as in ``Schema`` and ``Data``. label_column: name of the labels' column, if known.
        label_at: as in ``Schema``.
        pixel_range: (low, high) if the format fixes it, as 8-bit image files do; else None.
        mixed: kinds of the columns; values are then floats with NaN for missing cells. None for complete numbers.
        unknown: as in ``Data``.
        frame: as in ``Data``.
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
    label_at: int | None = None
    mixed: tuple[Column, ...] | None = None
    unknown: tuple[int, ...] = ()
    frame: pl.DataFrame | None = None


def finish(raw: Raw, options: ReadOptions = BY_LOOKS, like: Schema | None = None) -> Data:
    """Turn raw values into ``Data``.

    Args:
        options: of which ``kind`` and ``unlabelled`` matter here; ``kind`` does not with ``like``.
        like: schema that a model was trained on, which the rows must match.

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
    codes, classes, of_labels = encode_labels(
        raw.labels, len(values), raw.name, trained or (), options.unlabelled, raw.label_column
    )
    if like is not None:
        x, schema, notes = _as_trained(raw, like), like, raw.notes
    else:
        x, schema, notes = _as_found(raw, options.kind)
        schema = replace(schema, label_at=raw.label_at)
    return Data(
        x,
        schema.with_classes(classes),
        codes,
        raw.ids,
        raw.name,
        (*notes, *of_labels),
        unknown=raw.unknown,
        frame=raw.frame,
    )


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
    if raw.mixed is not None:
        if kind == "image":
            raise DataError(f"{raw.name} is no picture: it has cells that are missing or no numbers")
        return x, Schema("table", (width,), None, None, (False,) * width, columns, mixed=raw.mixed), notes
    _refuse_infinite(x, raw)
    square = _square(width)
    top = _pixels_top(x) if kind is None and square is not None and width >= 64 * square[0] else None
    if top is not None and columns is not None and not _named_like_pixels(columns):
        notes = (*notes, f"{width} whole-number columns from 0 to {int(x.max())} are read as a table; {_PIXELS}")
        top = None
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
                "--kind table reads them as a table",
            )
        return _stored(x, integer), Schema("image", square, low, high, (integer,), columns), notes
    integers = raw.integer if raw.integer is not None else (x.dtype.kind in "biu",) * width
    return _float32(x, raw), Schema("table", (width,), None, None, integers, columns), notes


def _as_trained(raw: Raw, like: Schema) -> np.ndarray:
    """Return (N, D) values that match ``like``; raise DataError if their shape or range differs."""
    values = raw.values
    if like.mixed is not None:
        if raw.mixed != like.mixed:
            hint = f"give a CSV, Parquet file or frame with the columns {listed(like.columns or (), 12)}"
            raise DataError(f"{raw.name} has no named columns, but the model was trained on a mixed table", hint)
        return values
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


_PIXELS = "--kind image reads them as pixels"


def _named_like_pixels(columns: Sequence[str]) -> bool:
    """Whether all columns have names such as pixel0, pixel_0_0, p0, px-0 or 1x1, as tables of pixels in use have."""
    return all(re.fullmatch(r"(?i)(p|px|pix|pixels?)[ _-]?\d+([ _x-]\d+)*|\d+x\d+", name) for name in columns)


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


def refuse_options(name: str, options: ReadOptions, keyed: bool = False) -> None:
    """Raise DataError if a column option was given for a source without named columns.

    Args:
        keyed: whether the source has a key for the labels, as an .npz file has.
    """
    named = {f"--{name}": value for name, value in options.of_columns.items()}
    for flag, value in {"--columns": options.columns, "--label-column": options.label_column, **named}.items():
        if value is not None and not (keyed and flag == "--label-column"):
            raise DataError(f"{name} has no named columns", f"{flag} is for CSV, TSV and Parquet files")


def refuse_image_options(name: str, options: ReadOptions) -> None:
    """Raise DataError if an option of image files was given for another source."""
    given = {"--size": options.size is not None, "--skip-bad": options.skip_bad}
    for flag in (flag for flag, said in given.items() if said):
        raise DataError(
            f"{name} is not made of image files", f"{flag} is for image files, and folders and archives of them"
        )
