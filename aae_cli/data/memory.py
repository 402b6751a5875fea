"""Rows in memory: arrays, and the frames of pandas and polars."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Any

import numpy as np

from ..errors import DataError
from ..text import clean, quoted
from .types import BY_LOOKS, Data, ReadOptions, Schema
from .values import Raw, finish

NAME = "rows in memory"


def from_memory(rows: Any, options: ReadOptions = BY_LOOKS, like: Schema | None = None) -> Data:
    """Rows as ``read`` gives them.

    Args:
        rows: Data; an array of numbers, (N, D) or images; a pair of such an array and its labels; or a frame of pandas
            or polars, whose columns are found by name.
        options, like: as in ``read``.

    Raises:
        TypeError: anything else.
        DataError: values that cannot be used, or that do not fit ``like``.
    """
    if isinstance(rows, Data):
        return rows
    library = library_of(rows)
    if library is not None:
        from .tables import read_frame

        return finish(read_frame(_frame(rows, library), NAME, options, like), options, like)
    values, labels = rows if isinstance(rows, tuple) and len(rows) == 2 else (rows, None)
    if not isinstance(values, np.ndarray):
        wanted = "a source's name, an array, a pair (array, labels), or a pandas or polars frame"
        raise TypeError(f"data is {wanted}, not {type(rows).__name__}")
    return finish(Raw(values, NAME, labels), options, like)


def _frame(rows: Any, library: str) -> Any:
    """A polars frame; polars itself would need pyarrow to read one of pandas."""
    import polars as pl

    if library == "polars":
        return rows.collect() if isinstance(rows, pl.LazyFrame) else rows
    names = [str(name) for name in rows.columns]
    if doubles := [name for name, count in Counter(names).items() if count > 1]:
        raise DataError(f"{NAME}: two columns are called {quoted(doubles[0])}", "rename one of them")
    return pl.DataFrame([_series(name, rows.iloc[:, i]) for i, name in enumerate(names)])


def _series(name: str, column: Any) -> Any:
    """A polars column of one of pandas, whose missing values may be NaN, NaT, None or NA. Raises DataError."""
    import polars as pl

    if getattr(column.dtype, "kind", "O") in "iufbMm" and isinstance(column.dtype, np.dtype):
        return pl.Series(name, column.to_numpy())
    cells = column.astype(object).where(column.notna(), None).tolist()
    try:
        if any(isinstance(cell, str) for cell in cells):  # beside which numbers may stand
            return pl.Series(name, [cell if cell is None else str(cell) for cell in cells], dtype=pl.String)
        return pl.Series(name, cells, strict=False)
    except (TypeError, ValueError, OverflowError, pl.exceptions.PolarsError) as error:
        raise DataError(f"{NAME}: the column {quoted(name)} cannot be read ({clean(error, 160)})") from error


# --- rows that the estimator takes and gives --------------------------------------------------------------------------


def library_of(rows: Any) -> str | None:
    """``pandas`` or ``polars`` for a frame of these, else None."""
    name = type(rows).__module__.partition(".")[0]
    return name if name in ("pandas", "polars") and hasattr(rows, "columns") else None


def is_missing(cell: Any) -> bool:
    """Whether a cell is None, NaN, NaT or NA."""
    try:
        return cell is None or bool(cell != cell)
    except TypeError:  # NA of pandas is neither equal to itself nor not
        return True


def frame_of(values: np.ndarray, names: Sequence[str] | None = None) -> Any:
    """A polars frame of a 2-D array with missing values or text, whose columns are called x0, x1, … unless named."""
    import polars as pl

    names = [f"x{i}" for i in range(values.shape[1])] if names is None else list(names)
    columns = dict(zip(names, values.T, strict=True))
    if values.dtype.kind == "O":
        cells = {name: [None if is_missing(cell) else cell for cell in column] for name, column in columns.items()}
        return pl.DataFrame([pl.Series(name, own, strict=False) for name, own in cells.items()])
    return pl.DataFrame(columns)


def array_of(rows: Any) -> Any:
    """Lists of rows as an array, of objects where some cells are text, so that numbers stay numbers; all else as it is."""
    if not isinstance(rows, list | tuple):
        return rows
    plain = np.asarray(rows)
    return np.array(rows, dtype=object) if plain.dtype.kind in "US" else plain


def rows_of(rows: Any, names: Sequence[str] | None, options: ReadOptions, like: Schema | None) -> Data:
    """Rows of an array or a frame, all of whose columns are features. Errors as for :func:`from_memory`.

    Args:
        names: of the columns of an array that is a table, because of missing values, text, or what a model knows.
    """
    if library_of(rows) is not None:
        return features_of(rows, options, like)
    holes = rows.dtype.kind in "OUS" or (rows.dtype.kind == "f" and np.isnan(rows).any())
    if rows.ndim == 2 and (holes or (like is not None and like.mixed is not None)):
        return features_of(frame_of(rows, names), options, like)
    return from_memory(rows, options, like)


def labels_of(y: Any, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Labels in memory: those of the labelled rows, (M,) in their own type, and which rows have one, (N,) bool.

    Args:
        rows: number of rows, N.

    Raises:
        ValueError: labels that are not one for each row, of text and numbers together, or no classes.
    """
    from sklearn.utils.multiclass import check_classification_targets

    labels = np.array(y, dtype=object) if isinstance(y, list | tuple) else np.asarray(y)
    if labels.ndim == 2 and labels.shape[1] == 1:
        from sklearn.exceptions import DataConversionWarning

        text = "A column-vector y was passed when a 1d array was expected"
        warnings.warn(text, DataConversionWarning, stacklevel=5)
        labels = labels[:, 0]
    if labels.ndim != 1:
        raise ValueError(f"y should be a 1d array of labels, not one of shape {labels.shape}")
    cells = labels.tolist()
    known = np.array([not (is_missing(cell) or (type(cell) is not str and cell == -1)) for cell in cells], dtype=bool)
    found = [cell for cell, is_known in zip(cells, known.tolist(), strict=True) if is_known]
    if len({isinstance(cell, str) for cell in found}) > 1:
        raise ValueError("y holds text and numbers: make them one type")
    own = np.array(found, dtype=object if found and isinstance(found[0], str) and labels.dtype.kind == "O" else None)
    if len(known) != rows:
        raise ValueError(f"X has {rows} rows and y {len(known)} labels: inconsistent numbers of samples")
    if len(own) and own.dtype.kind in "fiub":
        check_classification_targets(own)
    return own, known


def features_of(frame: Any, options: ReadOptions, like: Schema | None = None) -> Data:
    """Rows of a frame, all of whose columns are features, whatever their names. Errors as for :func:`from_memory`."""
    names = tuple(str(name) for name in frame.columns if str(name) not in options.ignore)
    return from_memory(frame, replace(options, columns=names), like)


def cells_of(schema: Schema, x: np.ndarray) -> dict[str, Any]:
    """Rows (N, D) as columns of a table, by name, in the types of the training file."""
    if schema.mixed is not None:
        return {column.name: column.decode(x[:, i]) for i, column in enumerate(schema.mixed)}
    return {name: x[:, i] for i, name in enumerate(schema.columns or [f"x{i}" for i in range(x.shape[1])])}


@dataclass(frozen=True)
class Form:
    """How rows were given, so that others are given back alike.

    Attributes:
        package: pandas or polars for a frame, None for an array.
        shape: of one row of an array, or of a frame.
        dtypes: name of each column of a frame, as it was given, with its type; of an array, its type under None.
    """

    package: str | None
    shape: tuple[int, ...]
    dtypes: dict[Any, Any]

    @classmethod
    def of(cls, rows: Any) -> Form:
        """The form of an array or a frame."""
        library = library_of(rows)
        if library is None:
            return cls(None, rows.shape[1:], {None: rows.dtype})
        return cls(library, rows.shape[1:], dict(zip(rows.columns, rows.dtypes, strict=True)))

    def like(self, x: np.ndarray, schema: Schema, index: Any = None) -> Any:
        """Rows (N, D) in the units of their file, in this form; columns that could not be used are missing.

        Args:
            index: that of the rows, for a frame of pandas.
        """
        if self.package is not None:
            return self._frame(cells_of(schema, x), index)
        dtype = self.dtypes[None]
        if schema.mixed is not None or (schema.columns is not None and len(schema.columns) != self.shape[0]):
            cells = cells_of(schema, x)
            whole = np.full((len(x), *self.shape), np.nan, object if dtype.kind in "OUS" else np.float64)
            for name, column in cells.items():
                whole[:, int(name.removeprefix("x"))] = column
            return whole
        if len(self.shape) == 3 and self.shape[-1] == schema.shape[0] != self.shape[0]:  # channels last
            x = np.moveaxis(x.reshape(-1, *schema.shape), 1, -1)
        return _cast(x.reshape(-1, *self.shape), dtype)

    def _frame(self, cells: dict[str, Any], index: Any) -> Any:
        columns = {name: (cells[str(name)], dtype) for name, dtype in self.dtypes.items() if str(name) in cells}
        if self.package == "polars":
            import polars as pl

            return pl.DataFrame([_of_polars(name, *column) for name, column in columns.items()])
        pd = import_module("pandas")
        series = [_of_pandas(*column) for column in columns.values()]
        frame = pd.concat(series, axis=1) if series else pd.DataFrame()
        frame.columns = pd.MultiIndex.from_tuples(columns) if all(isinstance(n, tuple) for n in columns) else [*columns]
        return frame if index is None else frame.set_axis(index)


def _cast(values: np.ndarray, dtype: np.dtype[Any]) -> np.ndarray:
    """Numbers in another type, rounded where that has whole numbers only, and as they are where they do not fit."""
    if dtype.kind == "f":
        return values.astype(dtype)
    return np.rint(values).astype(dtype) if _fit(values, dtype) else values


def _fit(values: np.ndarray, dtype: np.dtype[Any]) -> bool:
    """Whether numbers, once they are rounded, have a place in a type of whole numbers or booleans."""
    if dtype.kind not in "iub" or not np.isfinite(values).all():
        return False
    low, high = (0, 1) if dtype.kind == "b" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    return not values.size or bool(np.rint(values).min() >= low and np.rint(values).max() <= high)


def _of_polars(name: str, cells: Any, dtype: Any) -> Any:
    """Cells as a column of a type of polars, or as they are where some have no place in it."""
    import polars as pl

    column = pl.Series(name, cells)
    try:
        if dtype == pl.Duration:
            cast = (column * 86_400e6).round().cast(pl.Int64).cast(pl.Duration("us")).cast(dtype)
        elif dtype == pl.Datetime and dtype.time_zone is not None:
            cast = column.dt.replace_time_zone("UTC").dt.convert_time_zone(dtype.time_zone).cast(dtype)
        else:
            whole = column.dtype.is_float() and dtype.is_integer()
            cast = (column.round() if whole else column).cast(dtype, strict=False)
    except pl.exceptions.PolarsError:
        return column
    return cast if cast.null_count() == column.null_count() else column


def _of_pandas(cells: Any, dtype: Any) -> Any:
    """Cells as a column of a type of pandas, or as they are where some have no place in it."""
    pd = import_module("pandas")
    column = pd.Series(cells)
    missing, kind = column.isna(), getattr(dtype, "kind", "O")
    try:
        if kind == "m":
            return pd.to_timedelta(column, unit="D").astype(dtype)
        if kind in "iu":
            whole = column.dropna().to_numpy(np.float64)
            if not _fit(whole, getattr(dtype, "numpy_dtype", dtype)):
                return column
            column = column.round() if column.dtype.kind == "f" else column
        if missing.any() and kind in "biu" and isinstance(dtype, np.dtype):
            return column
        if getattr(dtype, "tz", None) is not None:
            return pd.to_datetime(column).dt.tz_localize("UTC").astype(dtype)
        cast = column.astype(dtype)
    except (TypeError, ValueError, OverflowError):
        return column
    return cast if (cast.isna() == missing).all() else column
