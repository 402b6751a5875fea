"""The kind of each column of a mixed table, found from its cells or named by a person."""

from __future__ import annotations

import datetime as dt

import numpy as np
import polars as pl
import pytest

from aae_cli.data.columns import MISSING, OTHER, Column
from aae_cli.data.kinds import HEAVY, describe
from aae_cli.errors import DataError


def one(cells, categorical=False, numeric=False, **options) -> Column:
    """The only column of a frame."""
    series = pl.Series("c", cells, **options)
    (column,), _ = describe(series.to_frame(), ["c"] if categorical else [], ["c"] if numeric else [])
    return column


def left_out(cells, **options) -> str:
    columns, notes = describe(pl.Series("c", cells, **options).to_frame())
    assert columns == ()
    return notes[0]


def test_text_and_booleans_are_categories():
    assert one(["b", "a", None, "b"]) == Column("c", "category", "text", ("a", "b"))
    assert one([True, None, False]) == Column("c", "category", "boolean", ("false", "true"))
    assert one(["b", "a"], dtype=pl.Categorical) == Column("c", "category", "text", ("a", "b"))


def test_two_numbers_are_a_category():
    assert one([1, 0, 1, None]) == Column("c", "category", "integer", ("0", "1"))
    assert one([0.5, 2.0, 2.0]) == Column("c", "category", "decimal", ("0.5", "2.0"))
    assert one([1, 0, 1], numeric=True).kind == "number"
    assert one([1, 2, 3]).kind == one([1, 1, 1]).kind == "number"
    assert one([1, 2, 3, 10], categorical=True).levels == ("1", "2", "3", "10")


def test_numbers_keep_their_precision_and_range():
    whole = one([3, 1, 2, None])
    assert (whole.type, whole.decimals, whole.low, whole.high, whole.values) == ("integer", 0, 1, 3, (1.0, 2.0, 3.0))
    prices = one([0.25, 1.5, 100.0])
    assert (prices.type, prices.decimals) == ("decimal", 2)
    assert one(np.random.default_rng(0).normal(size=50).tolist()).decimals is None
    assert one(np.arange(33)).values == () and len(one(np.arange(32)).values) == 32
    assert one(["1", " 2", "3.5"]).type == "decimal", "text of numbers is numbers"
    assert one([1, 2, 2**60], dtype=pl.Int64).type == "decimal", "what a float cannot hold is not whole"


@pytest.mark.parametrize("text", MISSING)
def test_texts_that_mean_missing(text):
    column = one([f" {text} ", "a", "b"])
    assert column.levels == ("a", "b")
    _, notes = describe(pl.DataFrame({"c": [text, "a", "b"]}))
    assert notes[1] == "missing cells: c 1" + (f" ({text})" if text else "")


def test_a_column_of_numbers_may_have_a_few_words():
    cells = [*map(str, range(20)), "unknown"]
    assert one(cells).kind == "number"
    assert one([*cells, "a", "b", "c"], categorical=True).kind == "category"
    assert one([*"12345", *"abc"]).kind == "category"


def test_rare_levels_are_pooled_by_frequency():
    """40 levels are kept; of 41, the 39 most frequent with at least 5 rows."""
    names = [f"v{i:02}" for i in range(41)]
    assert one(names[:40] * 6).levels == tuple(names[:40])
    assert not one(names[:40] * 6).other
    cells = [name for i, name in enumerate(names) for _ in range(6 + i)]
    column = one(cells)
    assert column.other and column.levels == (*names[2:], OTHER)
    rare = one([*(name for name in names[:10] for _ in range(20)), *names[10:] * 2])
    assert rare.levels == (*names[:10], OTHER)


def test_a_real_level_called_other_is_pooled():
    cells = [name for i in range(41) for name in [f"v{i:02}"] * 10] + [OTHER] * 50
    column = one(cells)
    assert column.levels.count(OTHER) == 1 and column.levels[-1] == OTHER
    assert Column.from_json(column.to_json()) == column
    assert one(["a", OTHER, "a"]).levels == (OTHER, "a") and not one(["a", OTHER, "a"]).other


def test_names_and_ids_are_left_out():
    assert "names or ids" in left_out([f"name {i}" for i in range(50)])
    assert "names or ids" in left_out([f"name {i % 26}" for i in range(50)])
    assert one([f"name {i % 25}" for i in range(50)]).kind == "category", "half of the rows are not mostly distinct"
    assert one([f"name {i}" for i in range(20)]).kind == "category", "of so few rows, each may have its level"
    assert one([f"name {i}" for i in range(50)], categorical=True).other


def test_what_cannot_be_used_is_left_out_with_its_reason():
    assert "'c' (empty)" in left_out([None, None], dtype=pl.Float64)
    assert "'c' (empty)" in left_out(["NA", "?"])
    assert "List is not understood" in left_out([[1], [2]])
    assert "Binary is not understood" in left_out([b"a", b"b"])
    assert "no numbers" in left_out([np.inf, -np.inf])
    assert "no dates" in left_out(["2020-13-45", "2020-02-31"])


def test_a_kind_that_no_cell_has_is_refused():
    for options, words in (({"numeric": True}, "--numeric c"), ({"numeric": True, "dtype": pl.String}, "no numbers")):
        with pytest.raises(DataError, match=words):
            one(["x", "y"], **options)
    with pytest.raises(DataError, match=r"--categorical c: the column cannot be read so \(List"):
        one([[1], [2]], categorical=True)


def test_dates_and_times():
    days = one([dt.date(2020, 1, 2), None, dt.date(1969, 12, 31)])
    assert (days.kind, days.type, days.low, days.high) == ("date", "date", -1, 18263)
    assert one(["2020-01-02", "1969-12-31", ""]) == days
    stamps = one(["2020-01-02T06:00", "2020-01-03 12:30:01Z"])
    assert (stamps.type, stamps.low) == ("datetime", 18263.25)
    assert one([dt.datetime(2020, 1, 2, 6), dt.datetime(2020, 1, 3)]).low == 18263.25
    assert one([dt.time(6), dt.time(18)]) == Column("c", "date", "time", low=0.25, high=0.75)
    assert one([dt.timedelta(hours=6), dt.timedelta(1), dt.timedelta(3)]).values == (0.25, 1.0, 3.0)
    assert one(["2020-01-02", "2020-01-03"] * 20, categorical=True).kind == "category"


def test_a_value_of_many_rows_is_a_spike():
    x = [0.0] * 20 + np.linspace(1, 5, 80).tolist()
    assert one(x).spike == 0 and not one(x).heavy
    assert one(x[1:]).spike is None
    assert one([0, 1, 2] * 20).spike is None, "a few values are not"


def test_heavy_tails_are_found_beside_a_spike():
    normal = np.random.default_rng(0).normal(size=200)
    assert not one(normal).heavy
    assert one([*normal, 2 * HEAVY]).heavy
    assert one([*normal, *[0.0] * 100, -2 * HEAVY]).heavy
    assert not one([0.0] * 900 + np.linspace(1, 2, 100).tolist()).heavy, "most values being one is no tail"


def test_infinite_and_too_large_numbers_are_no_cells():
    column = one([1.0, np.inf, 3.0, -np.inf, 1e300, 2.5])
    assert (column.low, column.high) == (1, 3)
    assert column.encode(pl.Series("c", [np.inf, 1e300, None, 2.0]))[1] == 2


def test_notes_say_kinds_what_is_left_out_and_what_is_missing():
    frame = pl.DataFrame(
        {"n": [1, 2, None], "c": ["x", "NA", "?"], "d": ["2020-01-02", "2020-01-03", None], "e": [None] * 3}
    )
    _, notes = describe(frame)
    assert notes == (
        "categories: n, c; dates: d",
        "left out: 'e' (empty)",
        "missing cells: n 1, c 2 (?, NA), d 1",
    )
