"""Members of clusters that a picture shows, chosen as rows come."""

import numpy as np
import pytest

from aae_cli.data.types import Data, Schema
from aae_cli.model.members import Members, RandomRows, RowSample

SCHEMA = Schema("table", (1,), classes=("cat", "ship"))
RANDOM = np.random.default_rng(3)
ROWS = 3000
CLUSTER = RANDOM.integers(0, 3, ROWS) * 2  # clusters 1 and 3 are empty
CONFIDENCE = RANDOM.uniform(0.3, 1, ROWS).astype(np.float32)
LABELS = np.where(RANDOM.uniform(size=ROWS) < 0.9, CLUSTER // 2, 0) - 1  # −1, 0, 1


def collected(members, piece: int):
    x = np.arange(ROWS, dtype=np.float32)[:, None]
    for start in range(0, ROWS, piece):
        some = slice(start, start + piece)
        members.add(Data(x[some], SCHEMA, LABELS[some]), CLUSTER[some], CONFIDENCE[some])
    return members


@pytest.mark.parametrize("piece", [ROWS, 700, 1])
def test_typical_members_have_the_highest_confidence_and_others_are_drawn(piece):
    members = collected(Members(5, seed=0), piece)
    assert members.sizes.tolist() == np.bincount(CLUSTER, minlength=5).tolist()
    for cluster in (0, 2, 4):
        own = np.flatnonzero(cluster == CLUSTER)
        typical, drawn = (rows[:, 0].astype(int) for rows in members.of(cluster))
        assert typical.tolist() == own[np.argsort(-CONFIDENCE[own])][:8].tolist()
        assert len(drawn) == 8 and set(drawn) <= set(own) - set(typical)
        assert drawn.max() > 200, "not the first of the file"
    assert collected(Members(5, seed=0), 999).of(2)[1].tolist() == members.of(2)[1].tolist(), "not on how rows come"
    assert collected(Members(5, seed=1), piece).of(2)[1].tolist() != members.of(2)[1].tolist()


@pytest.mark.parametrize("piece", [ROWS, 700, 1])
def test_random_rows_keep_their_numbers(piece):
    drawn, x = RandomRows(50, seed=0), np.arange(ROWS)[:, None] * 2.0
    for start in range(0, ROWS, piece):
        drawn.add(x[start : start + piece])
    found = {number: float(row[0]) for number, row in drawn}
    assert len(found) == 50 and found == {number: 2.0 * number for number in found}
    whole = RandomRows(50, seed=0)
    whole.add(x)
    assert [number for number, _ in whole] == [number for number, _ in drawn]
    assert max(found) > 2000 and not list(RandomRows(50, seed=0))


def test_equal_confidences_do_not_favour_the_first_rows():
    members = Members(1, seed=0)
    x = np.arange(1000, dtype=np.float32)[:, None]
    members.add(Data(x, SCHEMA), np.zeros(1000, int), np.ones(1000, np.float32))
    assert members.of(0)[0].max() > 100


def test_a_small_cluster_shows_each_member_once_and_memory_is_bounded():
    members = Members(2, seed=0)
    for start in range(10):
        members.add(Data(np.full((1, 1), start, np.float32), SCHEMA), np.array([1]), np.array([0.5], np.float32))
    typical, drawn = members.of(1)
    assert sorted([*typical[:, 0], *drawn[:, 0]]) == list(range(10))
    assert members.of(0)[0].shape == (0, 1)
    members = collected(Members(5, seed=0), 100)
    assert members.kept <= 3 * (8 + 16)


def test_summaries_name_the_size_and_the_most_frequent_class():
    members = collected(Members(5, seed=0), 256)
    own = LABELS[CLUSTER == 4]
    share = (own == 1).sum() / (own >= 0).sum()
    lines = members.summary(4)
    assert lines[0] == f"{(CLUSTER == 4).sum():,} rows"
    assert lines[1] == f"{100 * share:.0f} % are ship"
    assert lines[2] == f"of {(own >= 0).sum():,} labelled"
    unknown = Members(1, seed=0)
    unknown.add(Data(np.zeros((1, 1), np.float32), SCHEMA), np.array([0]), np.array([0.5], np.float32))
    assert unknown.summary(0) == ("1 row",)


def test_a_share_is_rounded_to_all_only_when_it_is_all():
    members = Members(1, seed=0)
    labels = np.ones(1000, np.int64)
    labels[5] = 0
    members.add(Data(np.zeros((1000, 1), np.float32), SCHEMA, labels), np.zeros(1000, int), np.ones(1000, np.float32))
    assert members.summary(0)[1] == "99 % are ship"


def test_a_map_samples_rows_of_the_whole_file():
    sample = collected(RowSample(5, seed=0, rows=200), 300)
    x, cluster = sample.x, sample.cluster
    assert x.shape == (200, 1) and x.max() > ROWS / 2
    assert (cluster == CLUSTER[x[:, 0].astype(int)]).all()
    assert sample.sizes.sum() == ROWS and sample.summary(4)[0].endswith(" rows")
