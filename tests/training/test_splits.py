"""Training, validation and test rows."""

from dataclasses import replace

import numpy as np
import pytest
from fitting import blobs, fit

from aae_cli import evaluate, load, read
from aae_cli.errors import CheckpointError, UsageError
from aae_cli.model.checkpoint import read_header
from aae_cli.model.evaluation import unseen
from aae_cli.training.splits import held_out_rows, split


def test_splits_are_disjoint_and_whole():
    data = blobs(100)
    parts = split(data, 0.1, 0)
    assert (len(parts.train), len(parts.validation)) == (90, 10)
    both = np.concatenate([parts.train.x, parts.validation.x])
    assert np.array_equal(np.sort(both[:, 0]), np.sort(data.x[:, 0]))
    assert len(split(data, 30, 0).validation) == 30
    assert split(data, 0, 0).validation is None
    with pytest.raises(UsageError, match="validation"):
        split(data, 100, 0)


def test_held_out_rows_have_the_classes_in_proportion():
    """150 flowers of three kinds: five of each, not a random 15."""
    data = blobs(150)
    assert np.bincount(split(data, 0.1, 0).validation.labels).tolist() == [5, 5, 5]
    labels = np.array([0] * 90 + [1] * 9 + [2] + [-1] * 50)
    uneven = replace(data, labels=labels)
    for seed in range(5):
        found = split(uneven, 0.2, seed).validation.labels
        assert np.bincount(found + 1, minlength=4).tolist() == [10, 18, 2, 0]
    one, other = (split(data, 0.1, seed).validation.x[:, 0] for seed in (0, 1))
    assert not np.array_equal(one, other)


def rows_of(path, count, seed=0):
    data = blobs(count, seed)
    lines = [",".join([*(f"{v:.6g}" for v in x), "rgb"[label]]) for x, label in zip(data.x, data.labels, strict=True)]
    path.write_text("\n".join(["a,b,c,d,label", *lines]) + "\n")
    return str(path)


def test_held_out_rows_are_those_of_the_training(tmp_path):
    """One row appended to the file, and a new split would hold out rows that were trained on."""
    source = rows_of(tmp_path / "a.csv", 100)
    run = fit("clustering", source, tmp_path / "run", "code.y.classes=3")
    header = read_header(run.folder)
    held_out = held_out_rows(header).validation
    assert len(held_out) == 10 and run.metrics
    kept, remark = unseen(header, read(source))
    assert np.array_equal(kept.x, held_out.x) and "10 rows that it did not see" in remark
    other = read(rows_of(tmp_path / "b.csv", 100, seed=1))
    assert unseen(header, other) == (other, None)
    with open(source, "a") as file:
        file.write("1,2,3,4,r\n")
    with pytest.raises(CheckpointError, match="has changed since this model was trained"):
        held_out_rows(header)
    older = replace(header, training={})
    with pytest.raises(CheckpointError, match="an older aae trained this model"):
        held_out_rows(older)


def test_evaluating_the_training_rows_in_memory_uses_those_held_out(tmp_path):
    data = blobs(100)
    run = fit("clustering", data, tmp_path / "run", "code.y.classes=3")
    with pytest.warns(UserWarning, match="measuring on the 10 rows that it did not see"):
        again = evaluate(load(run.folder, "cpu"), data)
    assert {key: round(value, 6) for key, value in again.items()} == run.metrics
    run = fit("clustering", data, tmp_path / "all", "code.y.classes=3", all_rows=True)
    with pytest.warns(UserWarning, match="none were held out"):
        evaluate(load(run.folder, "cpu"), data)
