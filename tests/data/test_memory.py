"""Arrays and frames in memory become rows, and anything else is refused."""

import numpy as np
import polars as pl
import pytest

from aae_cli.data.memory import from_memory
from aae_cli.data.types import ReadOptions, Schema
from aae_cli.errors import DataError

TABLE = {"b": [1.0, 2.0, 3.0], "a": [4, 5, 6], "label": ["x", "y", "x"]}


def frames():
    yield pl.DataFrame(TABLE)
    try:
        import pandas as pd
    except ImportError:
        return
    yield pd.DataFrame(TABLE)


@pytest.mark.parametrize("frame", list(frames()), ids=lambda frame: type(frame).__module__.partition(".")[0])
def test_frames_have_labels_and_columns_by_name(frame):
    data = from_memory(frame)
    assert data.schema.columns == ("b", "a")
    assert data.schema.classes == ("x", "y")
    assert data.labels.tolist() == [0, 1, 0]
    assert data.x.tolist() == [[1, 4], [2, 5], [3, 6]]
    like = Schema("table", (2,), integer=(False, True), columns=("a", "b"))
    assert from_memory(frame, like=like).x.tolist() == [[4, 1], [5, 2], [6, 3]]
    assert from_memory(frame, ReadOptions(label_column="a", columns=("b",))).schema.classes == ("4", "5", "6")


def test_arrays_with_and_without_labels():
    x = np.zeros((4, 3), np.float32)
    assert from_memory(x).labels is None
    assert from_memory((x, np.array([1, 0, -1, 1]))).labels.tolist() == [1, 0, -1, 1]
    assert from_memory(np.zeros((4, 8, 8), np.uint8)).schema.kind == "image"


@pytest.mark.parametrize("rows", [3, {"a": [1]}, [[1.0]], (np.zeros((2, 2)), [0, 1], 3)])
def test_other_types_are_refused(rows):
    with pytest.raises(TypeError, match="a pandas or polars frame"):
        from_memory(rows)


def test_missing_values_are_named():
    frame = pl.DataFrame({"a": [1.0, None], "b": [1.0, 2.0]})
    assert from_memory(frame).notes[-1] == "missing cells: a 1"
    with pytest.raises(DataError, match="column a"):
        from_memory(frame, like=Schema("table", (2,), columns=("a", "b")))
    with pytest.raises(DataError, match="column 0"):
        from_memory(np.array([[np.nan, 1.0], [1.0, 2.0]]))


def test_minus_one_is_a_class_beside_other_negative_labels():
    x = np.zeros((6, 3), np.float32)
    data = from_memory((x, np.array([-1, 0, 1, -1, 0, 1])))
    assert data.schema.classes == ("0", "1")
    assert data.labels.tolist() == [-1, 0, 1, -1, 0, 1]
    assert "label −1 means unlabelled, as all others are from 0: 2 rows" in data.notes
    signs = from_memory((x, np.array([-2, -1, 1, -1, -2, 1])))
    assert signs.schema.classes == ("-2", "-1", "1")
    assert signs.labels.tolist() == [0, 1, 2, 1, 0, 2]
    assert from_memory((x, np.array(["-1", "a", "b", "-1", "a", ""]))).schema.classes == ("-1", "a", "b")


def test_labels_that_are_missing_are_counted():
    x = np.zeros((4, 3), np.float32)
    for labels in ([0.0, np.nan, 1.0, np.nan], ["x", "", "y", None]):
        data = from_memory((x, np.array(labels)))
        assert data.labels.tolist() == [0, -1, 1, -1]
        assert "2 rows have no label" in data.notes
    assert from_memory((x, np.full(4, np.nan))).labels is None
    signs = from_memory((x, np.array([-1.0, 0, 1, 99])), ReadOptions(unlabelled="99"))
    assert signs.schema.classes == ("-1", "0", "1") and signs.labels.tolist() == [0, 1, 2, -1]


def test_a_piece_takes_minus_one_as_the_model_does():
    x = np.zeros((2, 3), np.float32)
    like = Schema("table", (3,), integer=(False,) * 3, classes=("-1", "0", "1"))
    assert from_memory((x, np.array([-1, -1])), like=like).label_names == ["-1", "-1"]


def test_frames_of_pandas_with_any_kind_of_missing_cell():
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(
        {
            "level": pd.Categorical(["a", None, "b", "a"]),
            "whole": pd.array([1, None, 3, 5], dtype="Int64"),
            "text": pd.array(["x", None, "z", "x"], dtype="string"),
            "flag": pd.array([True, None, False, True], dtype="boolean"),
            "when": pd.to_datetime(["2020-01-01", None, "2020-01-03", "2020-01-03"]),
            "there": pd.to_datetime(["2020-01-01", None, "2020-01-03", "2020-01-03"], utc=True),
            "object": ["u", np.nan, None, "v"],
            "both": ["a", 1, 2.5, None],
            "long": pd.to_timedelta([1, 2, None, 9], unit="D"),
        }
    )
    data = from_memory(frame)
    kinds = {column.name: (column.kind, column.type) for column in data.schema.mixed}
    assert kinds == {
        "level": ("category", "text"),
        "whole": ("number", "integer"),
        "text": ("category", "text"),
        "flag": ("category", "boolean"),
        "when": ("date", "date"),
        "there": ("date", "date"),
        "object": ("category", "text"),
        "both": ("category", "text"),
        "long": ("number", "integer"),
    }
    assert np.isnan(data.x).sum(0).tolist() == [1, 1, 1, 1, 1, 1, 2, 1, 1]
    assert np.array_equal(from_memory(frame, like=data.schema).x, data.x, equal_nan=True)
    with pytest.raises(DataError, match=r"'p' \(Object is not understood"):
        from_memory(pd.DataFrame({"p": [object(), 2]}))
