"""Clusters of codes: those that near rows share, equally large where they should be."""

import numpy as np
import pytest

from aae_cli.objective.code_clusters import EQUAL_LOSS, cluster_codes
from aae_cli.objective.merging import merge_clusters


def directions(sizes, spread=0.2, seed=0):
    """Unit vectors around some axes, and the number of their axis."""
    random = np.random.default_rng(seed)
    number = np.repeat(np.arange(len(sizes)), sizes)
    codes = np.eye(6)[number] + spread * random.normal(size=(len(number), 6))
    return codes / np.linalg.norm(codes, axis=1, keepdims=True), number


@pytest.mark.parametrize("equal", [True, False])
def test_separate_clusters_are_found(equal):
    codes, number = directions([50, 50, 50])
    found = cluster_codes(codes, 3, 1, equal, labelled=False)
    y = found(codes)
    assert y.sum(1) == pytest.approx(np.ones(150))
    table = np.zeros((3, 3))
    np.add.at(table, (y.argmax(1), number), 1)
    assert sorted(table.max(0)) == [50, 50, 50]
    assert found.joint.sum() == pytest.approx(1) and np.allclose(found.joint, found.joint.T)
    assert np.trace(found.joint) > 0.9  # near rows are in the same cluster
    assert np.linalg.norm(found.centres, axis=1) == pytest.approx(np.ones(3))


def test_equal_sizes_split_a_large_group_and_are_only_taken_where_they_lose_little():
    codes, _ = directions([90, 30], spread=0.3)
    found, equal = (cluster_codes(codes, 2, 1, each, labelled=False) for each in (False, True))
    assert min(np.bincount(found(codes).argmax(1))) < 35 and not found.equal
    assert min(np.bincount(equal(codes).argmax(1))) > 40
    assert equal.information(2) < found.information(2) - EQUAL_LOSS
    codes, _ = directions([60, 60], spread=0.3)
    assert cluster_codes(codes, 2, 1, equal=False, labelled=False).equal


def test_finer_clusters_of_equal_categories_are_copies_that_merge_again():
    codes, _ = directions([40, 40, 40])
    found, plain = (cluster_codes(codes, 3, each, equal=False, labelled=False) for each in (2, 1))
    assert found.equal and found.share == pytest.approx(np.full(6, 1 / 6), abs=0.01)
    groups = merge_clusters(found.joint, found.share, 3)
    assert groups.tolist() == [0, 0, 1, 1, 2, 2]
    assert found(codes) @ np.eye(3)[groups] == pytest.approx(plain(codes))
    assert found.information(3) == pytest.approx(plain.information(3))


def test_labels_receive_finer_clusters_that_differ():
    codes, _ = directions([100, 100, 100], spread=0.4)
    found = cluster_codes(codes, 3, 2, equal=True, labelled=True)
    assert found.equal and len(np.unique(found.centres.round(4), axis=0)) == 6


def test_a_few_rows_have_fewer_neighbours():
    codes, _ = directions([2, 2])
    assert cluster_codes(codes, 2, 1, equal=True, labelled=False)(codes).argmax(1).tolist() in (
        [0, 0, 1, 1],
        [1, 1, 0, 0],
    )
