"""Large .npy files are mapped, not read: the same rows, the same training."""

import numpy as np
import pytest

from aae_cli import load, read, train
from aae_cli.data import arrays
from aae_cli.data.types import Mapped
from aae_cli.errors import DataError
from aae_cli.training.splits import split

SMALL = [
    "train.epochs=2",
    "train.min_steps=0",
    "encoder.hidden=[16]",
    "decoder.hidden=[16]",
    "adversaries.z.hidden=[8]",
]


@pytest.fixture
def file(tmp_path, monkeypatch):
    monkeypatch.setattr(arrays, "MAP_FROM", 1)
    path = tmp_path / "x.npy"
    np.save(path, np.random.default_rng(0).integers(0, 256, (400, 8, 8), dtype=np.uint8))
    return path


def test_rows_of_a_large_file_stay_in_it(file):
    data = read(str(file))
    assert isinstance(data.x, np.memmap)
    splits = split(data, 0.25, seed=0)
    assert isinstance(splits.train.x, Mapped)
    assert (len(splits.train), len(splits.validation)) == (300, 100)
    in_memory = split(read(str(file)[:-4] + ".npy"), 0.25, seed=0).train
    assert np.array_equal(splits.train.x[10:20], np.asarray(data.x)[splits.train.x.index[10:20]])
    assert np.array_equal(splits.train[np.array([3, 1])].x[:], in_memory.x[np.array([3, 1])])


def test_training_on_mapped_rows_is_training_on_rows_in_memory(file, tmp_path, monkeypatch):
    mapped = train("gaussian", str(file), tmp_path / "mapped", SMALL, device="cpu")
    monkeypatch.setattr(arrays, "MAP_FROM", 2**40)
    whole = train("gaussian", str(file), tmp_path / "whole", SMALL, device="cpu")
    assert mapped.metrics == whole.metrics
    rows = read(str(file)).x
    assert np.array_equal(load(mapped.folder).embed(rows), load(whole.folder).embed(rows))


def test_a_file_is_never_changed_through_its_map(file):
    before = file.read_bytes()
    data = read(str(file))
    data.x[:] = 0
    assert file.read_bytes() == before


def test_a_large_file_in_another_byte_order_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(arrays, "MAP_FROM", 1)
    np.save(tmp_path / "x.npy", np.zeros((4, 4), ">f4"))
    with pytest.raises(DataError, match="byte order"):
        read(str(tmp_path / "x.npy"))
