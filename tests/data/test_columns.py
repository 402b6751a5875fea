"""Cells of a mixed table become floats and come back as they were; damaged headers are refused."""

from __future__ import annotations

import datetime as dt
import json

import numpy as np
import polars as pl
import pytest

from aae_cli.data.columns import OTHER, Column, blanked, encoded, unknown_in_words
from aae_cli.data.kinds import describe
from aae_cli.data.read import read
from aae_cli.data.types import ReadOptions, Schema
from aae_cli.errors import DataError, UsageError

CELLS = {
    "whole": [3, None, 1, 2],
    "decimal": [0.25, 1.5, None, 2.0],
    "free": [0.1234567, None, 1 / 3, 2.0],
    "text": ["b", None, "a", "c"],
    "flag": [True, None, False, True],
    "code": [0, 1, None, 1],
    "half": [0.5, 1.5, None, 0.5],
    "day": [dt.date(2020, 2, 29), None, dt.date(1960, 1, 1), dt.date(9999, 12, 31)],
    "clock": [dt.time(6, 30), None, dt.time(0), dt.time(23, 59)],
    "far": [2**24 + 1, None, 5, 123_456_789],
}


@pytest.mark.parametrize("name", CELLS)
def test_cells_come_back_as_they_were(name):
    cells = pl.Series(name, CELLS[name])
    (column,), _ = describe(cells.to_frame())
    values, unknown = encoded(cells.to_frame(), (column,))
    assert values.dtype == np.float32 and unknown == (0,)
    assert np.isnan(values[:, 0]).tolist() == [cell is None for cell in CELLS[name]]
    back = column.decode(values[:, 0])
    assert back == (pytest.approx(CELLS[name]) if name == "free" else CELLS[name])
    assert [type(cell) for cell in back] == [type(cell) for cell in CELLS[name]]
    assert column.decode(column.nearest(values[:, 0].astype(float))) == back
    assert Column.from_json(json.loads(json.dumps(column.to_json()))) == column


def test_minutes_come_back_as_exactly_as_32_bits_hold_them():
    when = [dt.datetime(2020, 1, 2, 6, 30), dt.datetime(2024, 12, 31, 23, 59)]
    (column,), _ = describe(pl.DataFrame({"t": when}))
    values, _ = encoded(pl.DataFrame({"t": when}), (column,))
    assert column.decode(values[:, 0]) == when, "the ends of the range are known"
    (middle,) = column.decode(values[:1, 0] + 100.3)
    assert abs(middle - when[0] - dt.timedelta(100.3)) < dt.timedelta(minutes=3) and middle.second == 0


def test_text_is_read_as_the_training_file_wrote_it():
    column = Column("c", "category", "text", ("01", "a"))
    assert column.encode(pl.Series(["01", " a ", "1", "NA"]))[0].tolist() == pytest.approx(
        [0, 1, np.nan, np.nan], nan_ok=True
    )
    flag = Column("c", "category", "boolean", ("false", "true"))
    for cells in ([True, False], ["True", "FALSE"], ["true", "false"]):
        assert flag.encode(pl.Series(cells))[0].tolist() == [1, 0]
    code = Column("c", "category", "integer", ("0", "1"))
    for cells in ([1, 0], [1.0, 0.0], ["1", " 0"], [True, False]):
        assert code.encode(pl.Series(cells))[0].tolist() == [1, 0]


def test_unknown_levels_are_counted_never_refused():
    plain, pooled = Column("c", "category", "text", ("a", "b")), Column("c", "category", "text", ("a", OTHER), True)
    frame = pl.DataFrame({"c": ["a", "z", None, OTHER]})
    values, unknown = encoded(frame, (plain,))
    assert values[:, 0].tolist() == pytest.approx([0, np.nan, np.nan, np.nan], nan_ok=True)
    assert unknown_in_words((plain,), unknown) == ("'c': 2 unknown levels taken for missing",)
    values, unknown = encoded(frame, (pooled,))
    assert values[:, 0].tolist() == pytest.approx([0, 1, np.nan, 1], nan_ok=True)
    assert unknown_in_words((pooled,), unknown) == ("'c': 2 unknown levels taken for (other)",)
    assert pooled.decode(values[:, 0]) == ["a", OTHER, None, OTHER]
    number = Column("c", "number", "integer")
    _, unknown = encoded(pl.DataFrame({"c": ["1", "x"]}), (number,))
    assert unknown_in_words((number,), unknown) == ("'c': 1 unknown value taken for missing",)
    assert unknown_in_words((number, plain), (0, 0)) == ()


@pytest.mark.parametrize(
    "cells", [[[1], [2]], [b"a", b"b"], [{"a": 1}, {"a": 2}], [dt.time(1), dt.time(2)], [None, None], [True, False]]
)
@pytest.mark.parametrize("kind", ["number", "category", "date"])
def test_cells_of_any_other_type_are_no_failure(cells, kind):
    types = {"number": "decimal", "category": "text", "date": "date"}
    column = Column("c", kind, types[kind], ("a",) if kind == "category" else ())
    values, unknown = column.encode(pl.Series(cells))
    assert len(values) == 2 and not np.isinf(values).any()
    assert unknown <= 2


def test_pooled_numbers_come_back_as_text():
    """Beside (other), a column of Parquet could not hold numbers."""
    frame = pl.DataFrame({"c": [i % 60 for i in range(600)]})
    (column,), _ = describe(frame, ["c"])
    values, _ = encoded(frame, (column,))
    assert {type(cell) for cell in column.decode(values[:, 0])} == {str}


def test_nearest_holds_the_range_the_precision_and_few_values():
    number = Column("c", "number", "decimal", decimals=1, low=0.0, high=2.0)
    assert number.nearest(np.array([-3, 1.26, 9, np.nan])).tolist() == pytest.approx([0, 1.3, 2, np.nan], nan_ok=True)
    few = Column("c", "number", "integer", decimals=0, low=1.0, high=10.0, values=(1.0, 4.0, 10.0))
    assert few.nearest(np.array([2, 3, 8, 50, np.nan])).tolist() == pytest.approx([1, 4, 10, 10, np.nan], nan_ok=True)
    day = Column("c", "date", "date", low=0.0, high=5.0)
    assert day.nearest(np.array([1.4, 99])).tolist() == [1, 5]


def test_text_of_a_cell():
    column = Column("c", "number", "decimal", low=0.0, high=1e6)
    assert [column.text(x) for x in (np.nan, 0.123456, 123456.0)] == ["missing", "0.1235", "123456"]
    assert Column("c", "date", "date").text(0.0) == "1970-01-01"
    assert Column("c", "date", "date").text(1e12) == "None", "a date beyond the calendar is none"


def test_durations_are_days_and_categoricals_are_text():
    assert blanked(pl.Series([dt.timedelta(hours=12), None])).to_list() == [0.5, None]
    assert blanked(pl.Series(["NA", "a"], dtype=pl.Categorical)).to_list() == [None, "a"]


SOUND = {
    "number": Column("c", "number", "decimal", decimals=2, low=0.0, high=2.0, values=(0.0, 2.0), heavy=True, spike=0.0),
    "category": Column("c", "category", "text", ("a", OTHER), True),
    "date": Column("c", "date", "datetime", low=0.0, high=2.5),
}


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("number", {"kind": "colour"}),
        ("number", {"kind": ["number"]}),
        ("number", {"type": "text"}),
        ("number", {"name": 3}),
        ("number", {"low": None}),
        ("number", {"low": float("nan")}),
        ("number", {"high": 1e300}),
        ("number", {"low": 3.0}),
        ("number", {"values": [2.0, 0.0]}),
        ("number", {"values": "ab"}),
        ("number", {"decimals": 99}),
        ("number", {"decimals": True}),
        ("number", {"heavy": 1}),
        ("number", {"spike": "x"}),
        ("number", {"levels": ["a"]}),
        ("number", {"unknown": 1}),
        ("category", {"levels": []}),
        ("category", {"levels": ["a", "a"]}),
        ("category", {"levels": "ab"}),
        ("category", {"levels": ["a", 1]}),
        ("category", {"levels": ["a", "b"]}),
        ("category", {"type": "integer"}),
        ("category", {"type": "boolean"}),
        ("category", {"type": "date"}),
        ("category", {"type": "decimal", "levels": ["nan"], "other": False}),
        ("category", {"spike": 1.0}),
        ("date", {"heavy": True}),
        ("date", {"type": "integer"}),
    ],
)
def test_damaged_headers_are_refused(kind, change):
    sound = SOUND[kind].to_json()
    assert Column.from_json(json.loads(json.dumps(sound))) == SOUND[kind]
    with pytest.raises((ValueError, TypeError, KeyError)):
        Column.from_json(sound | change)


def test_schemas_of_mixed_tables_are_checked():
    schema = Schema("table", (1,), columns=("c",), mixed=(SOUND["number"],))
    assert Schema.from_json(json.loads(json.dumps(schema.to_json()))) == schema
    for change in ({"columns": ["d"]}, {"mixed": [3]}, {"mixed": []}, {"mixed": [SOUND["number"].to_json()] * 2}):
        with pytest.raises((ValueError, TypeError, KeyError)):
            Schema.from_json(schema.to_json() | change)


def test_the_place_of_the_label_column_is_checked():
    schema = Schema("table", (1,), columns=("c",), classes=("a", "b"), label_at=1)
    assert Schema.from_json(json.loads(json.dumps(schema.to_json()))) == schema
    for at in (-1, 2, 0.5, True, "1"):
        with pytest.raises(ValueError, match="to its left"):
            Schema.from_json(schema.to_json() | {"label_at": at})


# --- as read from files -----------------------------------------------------------------------------------------------


@pytest.fixture
def csv(tmp_path):
    def write(text: str, name: str = "t.csv") -> str:
        (tmp_path / name).write_text(text)
        return str(tmp_path / name)

    return write


TABLE = "size,colour,zip,label\n1,red,01,x\n2,blue,02,y\n3,NA,01,\n4,red,02,NA\n"


def test_a_mixed_table(csv):
    data = read(csv(TABLE), categorical=["zip"])
    assert [(each.name, each.kind, each.levels) for each in data.schema.mixed] == [
        ("size", "number", ()),
        ("colour", "category", ("blue", "red")),
        ("zip", "category", ("01", "02")),
    ]
    assert data.label_names == ["x", "y", "", ""]
    assert data.notes == (
        "numbers: size; categories: colour, zip",
        "missing cells: colour 1 (NA)",
        "labels read as missing: NA",
        "2 rows have no label",
    )
    later = read(csv("zip,colour,size\n1,blue,\n01,,3\n", "u.csv"), like=data.schema)
    assert later.x.tolist()[1][2] == 0 and np.isnan(later.x).sum() == 3, "a column may have missing cells later"
    assert later.schema.mixed == data.schema.mixed


def test_a_class_that_the_model_knows_is_not_missing(csv):
    path = csv("a,label\nx,None\ny,Mild\n")
    assert read(path).label_names == ["", "Mild"]
    assert read(path, unlabelled="Mild").label_names == ["None", ""]
    like = Schema(
        "table", (1,), columns=("a",), classes=("Mild", "None"), mixed=(Column("a", "category", "text", ("x",)),)
    )
    assert read(path, like=like).label_names == ["None", "Mild"]


def test_columns_named_for_two_purposes_are_refused(csv):
    for options in (
        {"categorical": ("a",), "numeric": ("a",)},
        {"ignore": ("a",), "numeric": ("a",)},
        {"ignore": ("a",), "columns": ("a", "b")},
        {"ignore": ("a",), "label_column": "a"},
        {"numeric": ("a",), "label_column": "a"},
        {"columns": ("a",), "categorical": ("b",)},
    ):
        with pytest.raises(UsageError, match="is named in"):
            ReadOptions(**options)
    assert read(csv(TABLE), categorical=["label"], label_column="label").schema.classes == ("x", "y")


def test_options_decide_what_is_read(csv):
    path = csv(TABLE)
    data = read(path, ignore=["label", "colour"])
    assert data.labels is None and data.schema.columns == ("size", "zip") and data.notes == ("left out: colour, label",)
    assert read(path, columns=["size"], categorical=["size"]).schema.mixed[0].levels == ("1", "2", "3", "4")
    assert read(csv("id,a\n1,2\n3,4\n5,6\n", "u.csv"), numeric=["id"]).schema.columns == ("id", "a")
    with pytest.raises(DataError, match=r"no column for --ignore 'colou'; did you mean colour\?"):
        read(path, ignore=["colou"])
    with pytest.raises(DataError, match="is no picture"):
        read(path, kind="image")


def test_a_model_keeps_its_kinds(csv):
    path = csv(TABLE)
    like = read(path, categorical=["zip"]).schema
    for options, words in (
        ({"ignore": ["size"]}, "--ignore leaves out size"),
        ({"columns": ["size"]}, "--columns leaves out colour, zip"),
        ({"numeric": ["zip"]}, "the model reads the column zip as a category"),
        ({"categorical": ["size"]}, "the model reads the column size as a number"),
    ):
        with pytest.raises(DataError, match=words):
            read(path, like=like, **options)
    with pytest.raises(DataError, match="lacks the columns zip"):
        read(csv("size,colour\n1,red\n", "u.csv"), like=like)
    assert len(read(path, like=like, categorical=["zip"])) == 4
