"""Description of clusters: what is counted, compared and kept, however the rows come."""

import json
from dataclasses import replace

import numpy as np
import pytest

from aae_cli.data.columns import Column
from aae_cli.data.types import Data, Schema
from aae_cli.model.description import HEADER, Description, percent

RANDOM = np.random.default_rng(1)
ROWS = 2000
CLUSTER = RANDOM.integers(0, 3, ROWS)
CONFIDENCE = RANDOM.uniform(0.4, 1, ROWS).astype(np.float32)
COLUMNS = (
    Column("mass g", "number", "integer", decimals=0, low=0, high=9000),
    Column("island", "category", "text", ("Biscoe", "Dream", "Torgersen")),
    Column("met", "date", "date", low=0, high=20_000),
    Column("same", "number", "integer", decimals=0, low=7, high=7),
    Column("flag", "category", "boolean", ("false", "true")),
)
MIXED = Schema("table", (5,), integer=(False,) * 5, columns=tuple(c.name for c in COLUMNS), mixed=COLUMNS)


def mixed_rows() -> np.ndarray:
    x = np.empty((ROWS, 5), np.float32)
    x[:, 0] = np.rint(RANDOM.normal(4000, 300, ROWS) + 1000 * (CLUSTER == 1))
    x[:, 1] = np.where(CLUSTER == 2, 1, RANDOM.integers(0, 3, ROWS))
    x[:, 2] = 14_000 + 1000 * (CLUSTER == 0) + RANDOM.integers(0, 300, ROWS)
    x[:, 3] = 7
    x[:, 4] = RANDOM.integers(0, 2, ROWS)
    x[:, 0][RANDOM.uniform(size=ROWS) < 0.1] = np.nan
    x[:, 4][(RANDOM.uniform(size=ROWS) < 0.5) & (CLUSTER == 0)] = np.nan
    return x


X = mixed_rows()


def described(schema: Schema = MIXED, x: np.ndarray = X, piece: int = ROWS, ids=None, seed: int = 0) -> Description:
    found = Description(5, schema, seed)
    for start in range(0, len(x), piece):
        some = slice(start, start + piece)
        own = None if ids is None else tuple(ids[some])
        found.add(Data(x[some], schema, ids=own, first=start), CLUSTER[some], CONFIDENCE[some])
    return found


def test_columns_are_ranked_by_their_difference_in_standard_deviations():
    found = described()
    own = CLUSTER == 1
    first = found.differences(1)[0]
    assert (first.at, first.level) == (0, None)
    assert first.here == pytest.approx(np.nanmean(X[own, 0], dtype=float))
    assert first.rest == pytest.approx(np.nanmean(X[~own, 0], dtype=float))
    assert first.size == pytest.approx((first.here - first.rest) / np.nanstd(X[:, 0], dtype=float))
    island = found.differences(2)[0]
    rest = (X[CLUSTER != 2, 1] == 1).mean()
    assert (island.at, island.level, island.here) == (1, 1, 1) and island.rest == pytest.approx(rest)
    p = (X[:, 1] == 1).mean()
    assert island.size == pytest.approx((1 - rest) / np.sqrt(p * (1 - p)))
    for cluster in range(3):
        sizes = [abs(each.size) for each in found.differences(cluster)]
        assert sizes == sorted(sizes, reverse=True)
        assert 3 not in [each.at for each in found.differences(cluster)], "a constant column says nothing"


def test_missing_cells_are_a_difference_too():
    (flag,) = (each for each in described().differences(0) if each.at == 4)
    assert flag.missing and flag.level is None
    assert flag.here == pytest.approx(np.isnan(X[CLUSTER == 0, 4]).mean()) and flag.rest == 0
    assert ("flag missing", percent(flag.here), "0 %") == described().table(0)[1][1][:3]


@pytest.mark.parametrize("piece", [700, 1])
def test_pieces_give_what_the_whole_gives(piece):
    whole, parts = described(), described(piece=piece)
    assert parts.sizes.tolist() == whole.sizes.tolist()
    for cluster in range(3):
        assert parts.confidence(cluster) == pytest.approx(whole.confidence(cluster))
        for a, b in zip(parts.differences(cluster), whole.differences(cluster), strict=True):
            assert (a.at, a.level) == (b.at, b.level)
            assert (a.here, a.rest, a.size) == pytest.approx((b.here, b.rest, b.size))
        assert [row.id for row in parts.typical(cluster)] == [row.id for row in whole.typical(cluster)]


def test_typical_rows_have_the_highest_confidence_and_their_ids():
    ids = [f"r{i}" for i in range(ROWS)]
    found = described(piece=300, ids=ids)
    for cluster in range(3):
        own = np.flatnonzero(cluster == CLUSTER)
        best = own[np.argsort(-CONFIDENCE[own])][:3]
        rows = found.typical(cluster)
        assert [row.id for row in rows] == [f"r{i}" for i in best]
        assert np.array_equal(np.stack([row.x for row in rows]), X[best], equal_nan=True)
    assert len(found._ids) == 9, "only the ids of kept rows stay in memory"
    assert described(x=X[:, :], piece=500).typical(0)[0].id.isdecimal(), "rows count from 0 without ids"


def test_tables_and_titles():
    found = described()
    header, lines = found.table(1)
    assert header[:4] == HEADER and len(header) == 7 and header[4].startswith("row ")
    assert lines[0][0] == "mass g" and lines[0][3].startswith("+")
    (met,) = (line for line in found.table(0)[1] if line[0] == "met")
    assert met[1].startswith("2011-") and met[2].startswith("2008-"), "dates are compared as dates"
    assert found.title(1).startswith(f"cluster 1: {(CLUSTER == 1).sum()} of 2,000 rows (")
    labels = np.where(CLUSTER == 1, 0, 1)
    labels[:100] = -1
    named = Description(3, MIXED)
    named.add(Data(X, MIXED.with_classes(("cat\x1b", "ship")), labels), CLUSTER, CONFIDENCE)
    assert named.title(1).endswith(r"; 100 % cat\x1b")


def test_json_holds_whole_rows_and_no_nan():
    text = json.dumps(described().to_json(), allow_nan=False)
    facts = json.loads(text)
    assert facts["rows"] == ROWS and [each["cluster"] for each in facts["clusters"]] == [0, 1, 2]
    first = facts["clusters"][0]
    assert first["size"] == (CLUSTER == 0).sum() and "classes" not in first
    missing = next(each for each in first["differences"] if each["column"] == "flag")
    assert missing["missing"] is True and missing["rest"] == 0
    met = next(each for each in first["differences"] if each["column"] == "met")
    assert met["mean"].startswith("2011-") and met["rest"].startswith("2008-")
    island = facts["clusters"][2]["differences"][0]
    assert (island["column"], island["level"], island["share"]) == ("island", "Dream", 1)
    row = first["typical"][0]["row"]
    assert set(row) == set(MIXED.columns) and row["island"] in COLUMNS[1].levels and row["same"] == 7
    assert row["flag"] in (True, False, None)


def test_plain_tables_with_and_without_column_names():
    x = np.stack([RANDOM.normal(2008 + (CLUSTER == 0) * 0.5, 1), np.full(ROWS, 3.0)], 1).astype(np.float32)
    schema = Schema("table", (2,), integer=(False, True), columns=("year", "three"))
    (line,) = described(schema, x).table(0)[1]
    assert line[0] == "year" and abs(float(line[1]) - float(line[2])) == pytest.approx(0.5, abs=0.2)
    assert described(replace(schema, columns=None), x).table(0)[1][0][0] == "x0"
    row = described(schema, x).to_json()["clusters"][0]["typical"][0]["row"]
    assert row["three"] == 3 and isinstance(row["three"], int)


def test_of_images_only_sizes_confidence_and_classes():
    schema = Schema("image", (1, 2, 2), 0.0, 255.0, (True,), classes=("a", "b"))
    found = Description(2, schema)
    labels = np.array([0, 0, 1, -1])
    found.add(Data(np.zeros((4, 4), np.uint8), schema, labels), np.array([0, 0, 0, 1]), np.full(4, 0.5, np.float32))
    assert found.title(0) == "cluster 0: 3 of 4 rows (75 %), mean confidence 0.50; 67 % a, 33 % b"
    assert found.table(0)[1] == []
    assert found.to_json()["clusters"][1] == {"cluster": 1, "size": 1, "share": 0.25, "confidence": 0.5}


def test_a_single_cluster_differs_from_nothing():
    found = Description(3, MIXED)
    found.add(Data(X[:5], MIXED), np.ones(5, np.int64), CONFIDENCE[:5])
    assert found.found == [1] and found.differences(1) == [] and found.differences(0) == []
    assert len(found.to_json()["clusters"][0]["typical"]) == 3


def test_a_column_that_is_missing_in_a_whole_cluster():
    x = X.copy()
    x[CLUSTER == 1, 0] = np.nan
    first = described(x=x).differences(1)[0]
    assert (first.at, first.missing, first.here) == (0, True, 1)


def test_shares_are_rounded_to_all_or_none_only_if_they_are():
    assert [percent(part, 1000) for part in (0, 1, 340, 999, 1000)] == ["0 %", "< 1 %", "34 %", "99 %", "100 %"]
