"""Labels of a file, as whole numbers or text, encoded as indices of classes."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import DataError
from ..text import clean, counted


def encode_labels(
    labels: Any,
    rows: int,
    name: str,
    known: Sequence[str] = (),
    unlabelled: str | None = None,
    column: str | None = None,
) -> tuple[np.ndarray | None, tuple[str, ...] | None, tuple[str, ...]]:
    """Encode labels as class indices. Classes are sorted as numbers if all are whole numbers, else as text.

    Args:
        labels: one whole number or text for each of N = ``rows`` rows, or None. Empty, None and NaN mean unlabelled, and
            so does −1 where all other labels are whole numbers from 0.
        known: classes of the model that the rows are for; where −1 is one of them, it is a class.
        unlabelled: the label that means unlabelled, in place of −1.
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
        texts = ["" if text == unlabelled else text for text in texts]
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
        if unlabelled is not None:
            missing |= array == _number(unlabelled)
        if array.dtype.kind == "f":
            array = np.where(missing, 0, array)
            if not np.isfinite(array).all() or (array != np.floor(array)).any():
                raise _fractions(name, column)
    return _encode_numbers(array.astype(np.int64), missing, "-1" in known or unlabelled is not None)


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


def _number(text: str) -> float:
    """The number that a text is, else NaN, which equals none."""
    try:
        return float(text)
    except ValueError:
        return math.nan


def _text(item: Any) -> str:
    if item is None or item != item:
        return ""
    return (item.decode("utf-8", "replace") if isinstance(item, bytes) else str(item)).strip()
