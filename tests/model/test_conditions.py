"""Conditions on samples: how they are read and checked, and that rows are found, in bounded time."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from fitting import fit

from aae_cli import load
from aae_cli.data.columns import OTHER, Column
from aae_cli.data.read import read
from aae_cli.data.types import Schema
from aae_cli.errors import AaeError, CheckpointError, UsageError
from aae_cli.model import steering
from aae_cli.model.conditions import knows_columns, parse, split

COLUMNS = (
    Column("age", "number", "integer", decimals=0, low=17, high=90),
    Column("sex", "category", "text", ("female", "male")),
    Column("income >=50K", "category", "boolean", ("false", "true")),
    Column("joined", "date", "date", low=14_000, high=15_000),
    Column("seen", "date", "datetime", low=14_000.25, high=15_000.5),
    Column("grade", "category", "integer", ("1", "2", "10")),
    Column("town", "category", "text", ("A", "B", OTHER), True),
    Column("width (mm)", "number", "decimal", decimals=1, low=0, high=9),
    Column("doors", "number", "integer", decimals=0, low=2, high=5, values=(2.0, 3.0, 5.0)),
)
NAMES = tuple(column.name for column in COLUMNS)
MIXED = Schema("table", (9,), integer=(False,) * 9, columns=NAMES, mixed=COLUMNS, classes=("cat", "dog"))


def condition(text: str, schema: Schema = MIXED):
    (found,), classes = parse([text], schema, "kind")
    assert classes is None
    return found


def met(text: str, *cells: float, schema: Schema = MIXED) -> list[bool]:
    return condition(text, schema).met(np.array(cells, np.float32)).tolist()


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("age>60", ("age", ">", "60")),
        (" age >= 60 ", ("age", ">=", "60")),
        ("sex==female", ("sex", "=", "female")),
        ("income >=50K=true", ("income >=50K", "=", "true")),
        ("income=a>b", ("income", "=", "a>b")),
        ("width (mm)<=2.5", ("width (mm)", "<=", "2.5")),
        ("agee>60", None),
        ("age", None),
    ],
)
def test_a_condition_is_split_after_the_longest_name(text, parts):
    assert split(text, [*NAMES, "income"]) == parts


def test_comparisons():
    nan = float("nan")
    assert met("age>60", 60, 61, nan) == [False, True, False]
    assert met("age>=60", 59, 60, nan) == [False, True, False]
    assert met("age<60", 59, 60, nan) == [True, False, False]
    assert met("age<=60", 60, 61, nan) == [True, False, False]
    assert met("age!=60", 60, 61, nan) == [False, True, False]
    assert met("width (mm)=2.1", np.float32(2.1), 2.2) == [True, False], "cells are float32"
    assert met("width (mm)>=2.1", np.float32(2.1), 2.0) == [True, False]
    assert met("sex=female", 0, 1, nan) == [True, False, False]
    assert met("sex!=female", 0, 1, nan) == [False, True, False]
    assert met("income >=50K=True", 0, 1) == [False, True], "booleans in any case"
    assert met("grade>1.5", 0, 1, 2) == [False, True, True], "levels that are numbers are ordered as such"
    assert met("grade=10.0", 0, 1, 2) == [False, False, True]
    assert met(f"town={OTHER}", 0, 1, 2) == [False, False, True]


def test_dates_are_given_as_text():
    assert met("joined>2009-01-01", 14_245, 14_246) == [False, True]  # 2009-01-01 is day 14,245
    assert met("joined<=2009-01-01", 14_245, 14_246) == [True, False]
    assert met("seen=2009-01-01", 14_244.9, 14_245.5, 14_246) == [False, True, False], "the whole day"
    assert met("seen>=2009-01-01 12:00", 14_245.25, 14_245.5) == [False, True]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("agee>60", "no column 'agee'; did you mean age?"),
        ("zzz>60", "no column 'zzz'; columns are age, sex"),
        ("sex", "is no condition; write it as column=value"),
        ("sex=femal", "no level 'femal'; did you mean female?"),
        ("sex=x", "no level 'x'; its levels are female, male"),
        ("sex>female", "sex is a category; compare it with = or !=: female, male"),
        ("grade>10", "grade has no such value; it has 1, 2, 10"),
        ("grade=3", "grade has no such value"),
        ("age>old", "'old' is not a number; age holds numbers"),
        ("age>nan", "'nan' is not a number"),
        ("joined>soon", "'soon' is not a date; write it as 2024-12-31"),
        ("kind=bird", "kind has no level 'bird'; its levels are cat, dog"),
    ],
)
def test_refusals(text, words):
    with pytest.raises(UsageError) as caught:
        parse([text], MIXED, "kind")
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("age>90", "no sample can meet it; age is 17 to 90 in the training rows"),
        ("age<17", "age is 17 to 90"),
        ("age=91", "age is 17 to 90"),
        ("joined>2030-01-01", "joined is 2008-05-01 to 2011-01-26"),
        ("doors=4", "samples never have it; doors has the values 2, 3, 5"),
    ],
)
def test_what_no_sample_can_meet_is_said_at_once(text, words):
    with pytest.raises(CheckpointError) as caught:
        parse([text], MIXED, None)
    assert words in str(caught.value)
    for possible in ("age>=90", "age=20", "doors>3", "seen=2008-05-01"):
        parse([possible], MIXED, None)


def test_the_label_column_and_what_a_model_knows():
    assert parse(["kind!=cat"], MIXED, "kind") == ([], ["dog"])
    assert parse(["kind=cat", "kind=dog"], MIXED, "kind")[1] == []
    assert knows_columns(["age>6", "kind=cat"], MIXED, "kind")
    assert not knows_columns(["age>6", "kind=cat"], MIXED, None)
    image = Schema("image", (1, 2, 2), 0.0, 1.0, (False,))
    assert not knows_columns(["x0>1"], image, None)
    with pytest.raises(UsageError, match="for tables"):
        parse(["x0>1"], image, None)
    plain = Schema("table", (2,), integer=(True, False), smallest=(0.0, 0.0), largest=(9.0, 9.0))
    assert met("x1>2", 2, 3, schema=plain) == [False, True]
    with pytest.raises(CheckpointError, match="x0 is 0 to 9"):
        parse(["x0>10"], plain, None)
    parse(["x0>10"], replace(plain, smallest=None, largest=None), None)


# --- searching --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def penguins(tmp_path_factory):
    folder = tmp_path_factory.mktemp("penguins") / "run"
    run = fit("clustering", read("penguins"), folder, "code.y.classes=3", "train.epochs=60", "train.restarts=1")
    return load(run.folder, "cpu")


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def cells(model, x, name):
    at = model.schema.columns.index(name)
    return model.schema.mixed[at].decode(x[:, at])


def test_rows_meet_all_conditions(penguins):
    found = penguins.sample_where(50, ["sex=female", "body_mass_g<4000"], generator=generator())
    assert len(found.samples.x) == len(found.samples.labels) == 50 and found.steered == 0
    assert found.summary == f"found 50 of 50 rows in {found.draws:,} draws"
    assert set(cells(penguins, found.samples.x, "sex")) == {"female"}
    assert max(cells(penguins, found.samples.x, "body_mass_g")) < 4000
    again = penguins.sample(50, where=["sex=female", "body_mass_g<4000"], generator=generator())
    assert np.array_equal(again.x, found.samples.x), "the same seed gives the same rows"
    other = penguins.sample(50, where=["sex=female", "body_mass_g<4000"], generator=generator(1))
    assert not np.array_equal(again.x, other.x)


def test_rare_rows_are_steered_and_checked(penguins, monkeypatch):
    monkeypatch.setattr(steering, "DRAWS", 4000)
    rows = penguins.sample(4000, generator=generator(7)).x
    mass = np.quantile(rows[:, penguins.schema.columns.index("body_mass_g")], 0.998)
    where = [f"body_mass_g>{mass:.0f}", "year=2007"]
    rare = penguins.sample_where(60, where, generator=generator())
    assert 0 < rare.steered <= len(rare.samples.x) <= 60
    assert f"{rare.steered} of them by steering" in rare.summary
    assert rare.draws <= 4000 + 200 * len(rare.samples.x)
    assert min(cells(penguins, rare.samples.x, "body_mass_g")) > mass
    assert set(cells(penguins, rare.samples.x, "year")) == {2007}
    assert len(np.unique(rare.samples.x, axis=0)) > 0.9 * len(rare.samples.x), "rows are not copies"
    again = penguins.sample(60, where=where, generator=generator())
    assert np.array_equal(again.x, rare.samples.x)


def test_it_ends_and_says_so_where_nothing_is_found(penguins, monkeypatch):
    monkeypatch.setattr(steering, "DRAWS", 3000)
    where = ["island=Torgersen", "flipper_length_mm>=231", "body_mass_g<=2701"]
    with pytest.raises(AaeError, match=r"draws meets island=Torgersen and .*; ask for fewer or wider") as caught:
        penguins.sample_where(10, where, generator=generator())
    assert caught.value.exit_code == 1
    with pytest.raises(AaeError, match="none of"):
        penguins.sample(10, where=["year>2007", "year<2008"])


def test_clusters_labels_and_conditions_together(penguins):
    label = penguins.classes[int(penguins.cluster_labels[0])]
    found = penguins.sample(20, [label], where=["sex=male"], generator=generator())
    assert {penguins.classes[i] for i in found.labels} == {label}
    assert set(cells(penguins, found.x, "sex")) == {"male"}
    same = penguins.sample(20, where=[f"label={label}"], generator=generator())
    assert {penguins.classes[i] for i in same.labels} == {label}
    with pytest.raises(UsageError, match="excludes --label"):
        penguins.sample(5, [label], where=[f"label={label}"])


def test_a_plain_table_of_numbers(table):
    model = load(table.folder, "cpu")
    assert model.schema.mixed is None
    some = model.sample(1000, generator=generator()).x
    high = float(np.quantile(some[:, 1], 0.8))
    found = model.sample(30, where=[f"b>{high}", "a<=100"], generator=generator())
    assert len(found.x) == 30 and found.x[:, 1].min() > np.float32(high)
    with pytest.raises(CheckpointError, match=r"b is .* in the training rows"):
        model.sample(3, where=["b>1e9"])


def test_values_that_no_draw_had_are_tried(table, monkeypatch):
    """The largest value of the training rows, which few draws reach."""
    monkeypatch.setattr(steering, "DRAWS", 2000)
    model = load(table.folder, "cpu")
    largest = model.schema.largest[0]
    search = steering._Search(
        model._sampler(generator()), parse([f"a>={largest}"], model.schema, None)[0], 5, [], [], None
    )
    x = np.tile(model.sample(1, generator=generator()).x, (8, 1))
    assert (search._set_cells(x)[:, 0] == np.float32(largest)).all()
