"""Clusters of codes: those that near rows share, equally large where they should be."""

import numpy as np
import pytest

from aae_cli.objective.code_clusters import cluster_codes


def directions(sizes, spread=0.2, seed=0):
    """Unit vectors around some axes, and the number of their axis."""
    random = np.random.default_rng(seed)
    number = np.repeat(np.arange(len(sizes)), sizes)
    codes = np.eye(6)[number] + spread * random.normal(size=(len(number), 6))
    return codes / np.linalg.norm(codes, axis=1, keepdims=True), number


@pytest.mark.parametrize("equal", [True, False])
def test_separate_clusters_are_found(equal):
    codes, number = directions([50, 50, 50])
    found = cluster_codes(codes, 3, equal)
    y = found(codes)
    assert y.sum(1) == pytest.approx(np.ones(150))
    table = np.zeros((3, 3))
    np.add.at(table, (y.argmax(1), number), 1)
    assert sorted(table.max(0)) == [50, 50, 50]
    assert found.joint.sum() == pytest.approx(1) and np.allclose(found.joint, found.joint.T)
    assert np.trace(found.joint) > 0.9  # near rows are in the same cluster
    assert np.linalg.norm(found.centres, axis=1) == pytest.approx(np.ones(3))


def test_equal_sizes_split_a_large_group():
    codes, _ = directions([90, 30], spread=0.3)
    free, equal = (np.bincount(cluster_codes(codes, 2, each)(codes).argmax(1)) for each in (False, True))
    assert min(free) < 35
    assert min(equal) > 40


def test_a_few_rows_have_fewer_neighbours():
    codes, _ = directions([2, 2])
    assert cluster_codes(codes, 2, True)(codes).argmax(1).tolist() in ([0, 0, 1, 1], [1, 1, 0, 0])
