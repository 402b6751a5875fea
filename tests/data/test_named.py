"""Named data sets: where they are found, their parts, and what happens without them."""

from __future__ import annotations

import gzip
import os
import socket
import struct
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from aae_cli.data import named
from aae_cli.data.named import NAMES, available, named_test
from aae_cli.data.read import Head, pieces, read, read_row
from aae_cli.data.streams import NotHere
from aae_cli.data.types import ReadOptions
from aae_cli.errors import DataError

SHARED = Path(os.environ.get("AAE_DATA_DIR") or Path(__file__).parents[3] / "shared" / "data")


@pytest.fixture(autouse=True)
def bare_machine(tmp_path, monkeypatch):
    """No data folder, no cache, no network."""
    monkeypatch.delenv("AAE_DATA_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("platformdirs.user_cache_dir", lambda name: str(tmp_path / "cache" / name))
    monkeypatch.setattr(named, "_reachable", lambda url: False)
    monkeypatch.chdir(tmp_path)


def write_idx(folder: Path, ending: str = "", rows: int = 4) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for stem, count in (("train", rows), ("t10k", rows // 2)):
        images = struct.pack(">4I", 0x803, count, 28, 28) + bytes(count * 784)
        labels = struct.pack(">2I", 0x801, count) + bytes(range(count))
        for what, content in (("images-idx3", images), ("labels-idx1", labels)):
            content = gzip.compress(content) if ending else content
            (folder / f"{stem}-{what}-ubyte{ending}").write_bytes(content)


def test_mnist_mini_is_bundled():
    train, test = read("mnist-mini"), read("mnist-mini:test")
    assert train.schema.shape == (1, 28, 28) and train.x.dtype == np.uint8
    assert (len(train), len(test)) == (4000, 1000)
    assert np.bincount(train.labels).tolist() == [400] * 10 and np.bincount(test.labels).tolist() == [100] * 10
    together = {row.tobytes() for row in train.x}
    assert not any(row.tobytes() in together for row in test.x)
    assert len(read("mnist-mini:train")) == 4000


def test_digits_are_split_evenly():
    train, test = read("digits"), read("digits:test")
    assert (len(train), len(test)) == (1438, 359)
    assert (train.schema.shape, train.schema.high, train.x.max()) == ((1, 8, 8), 16, 16)
    assert np.bincount(test.labels).min() >= 34
    assert (read("digits").x == train.x).all()
    assert read("digits:test", like=train.schema).schema == train.schema


@pytest.mark.parametrize("ending", ["", ".gz"])
@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("mnist", "mnist"),
        ("mnist", "MNIST/raw"),
        ("mnist", "."),
        ("kmnist", "KMNIST/raw"),
        ("fashion-mnist", "FashionMNIST/raw"),
        ("fashion-mnist", "fashion-mnist"),
    ],
)
@pytest.mark.parametrize("root", ["given", "data", "cache/aae"])
def test_idx_layouts(tmp_path, monkeypatch, name, folder, ending, root):
    if root == "given":
        monkeypatch.setenv("AAE_DATA_DIR", str(tmp_path / root))
    write_idx(tmp_path / root / folder, ending)
    assert available(name).resolve() == (tmp_path / root / folder).resolve()
    data = read(name)
    assert len(data) == 4 and data.labels.tolist() == [0, 1, 2, 3]
    assert len(read(f"{name}:test")) == 2


def test_svhn(tmp_path, monkeypatch):
    from scipy.io import savemat

    x = np.random.default_rng(0).integers(0, 256, (32, 32, 3, 5), dtype=np.uint8)
    y = np.array([[1], [10], [9], [10], [2]], np.uint8)
    for folder in ("svhn", "SVHN", "."):
        root = tmp_path / folder.replace(".", "plain")
        (root / folder).mkdir(parents=True)
        savemat(root / folder / "train_32x32.mat", {"X": x, "y": y})
        monkeypatch.setenv("AAE_DATA_DIR", str(root))
        data = read("svhn")
        assert data.schema.shape == (3, 32, 32)
        assert data.label_names == ["1", "0", "9", "0", "2"]
        assert (data.x[3].reshape(3, 32, 32) == x[..., 3].transpose(2, 0, 1)).all()
        assert available("svhn:test") is None
    (root / "train_32x32.mat").write_bytes(b"not a mat file" * 50)
    with pytest.raises(DataError, match="not a valid SVHN file"):
        read("svhn")


def test_cifar10_of_unknown_origin_is_not_opened(tmp_path):
    (tmp_path / "data" / "cifar-10-batches-py").mkdir(parents=True)
    (tmp_path / "data" / "cifar-10-batches-py" / "data_batch_1").write_bytes(b"cos\nsystem\n(S'touch fired'\ntR.")
    with pytest.raises(DataError, match="not an intact copy"):
        read("cifar10")
    assert not (tmp_path / "fired").exists()


def spoiled(content: bytes) -> bytes:
    """Other bytes within the compressed rows."""
    return content[:200] + bytes(255 - byte for byte in content[200:260]) + content[260:]


def test_tfd(tmp_path, monkeypatch):
    with pytest.raises(NotHere, match="not public; give its path"):
        read("tfd")
    np.savez(tmp_path / "tfd.npz", x=np.zeros((2, 48, 48), np.uint8))
    monkeypatch.setenv("AAE_DATA_DIR", str(tmp_path))
    assert read("tfd").schema.shape == (1, 48, 48)
    with pytest.raises(DataError, match="has no array x_test"):
        read("tfd:test")


@pytest.mark.parametrize("damage", [lambda content: b"nonsense", lambda content: content[:-40], spoiled])
@pytest.mark.parametrize("name", ["tfd", "mnist-mini"])
def test_a_damaged_npz_is_named(tmp_path, monkeypatch, name, damage):
    file = tmp_path / "tfd.npz"
    x = np.random.default_rng(0).integers(0, 256, (20, 8, 8), dtype=np.uint8)
    np.savez_compressed(file, x_train=x, y_train=np.zeros(20, np.uint8))
    file.write_bytes(damage(file.read_bytes()))
    monkeypatch.setenv("AAE_DATA_DIR", str(tmp_path))
    monkeypatch.setattr(named, "_MINI", file)
    with pytest.raises(DataError, match=r"tfd\.npz is not a valid \.npz file"):
        read(name)


@pytest.mark.parametrize("name", ["mnist", "kmnist", "fashion-mnist", "svhn", "cifar10"])
def test_not_here(name):
    assert available(name) is None
    with pytest.raises(NotHere, match=f"{name} is not on this machine.*AAE_DATA_DIR"):
        read(name)


def test_failed_download_leaves_nothing(tmp_path, monkeypatch):
    def fail(name: str, folder: str) -> None:
        Path(folder, "half").write_text("x")
        raise RuntimeError("connection\x1b lost")

    monkeypatch.setattr(named, "_reachable", lambda url: True)
    monkeypatch.setattr(named, "_fetch", fail)
    with pytest.raises(NotHere, match=r"connection\\x1b lost"):
        read("mnist")
    assert list((tmp_path / "cache" / "aae").iterdir()) == []


def test_download_lands_in_the_cache(monkeypatch):
    monkeypatch.setattr(named, "_reachable", lambda url: True)
    monkeypatch.setattr(named, "_fetch", lambda name, folder: write_idx(Path(folder, "MNIST", "raw")))
    assert len(read("mnist")) == 4
    monkeypatch.setattr(named, "_fetch", None)
    assert len(read("mnist:test")) == 2


def test_looking_for_a_network_takes_at_most_five_seconds(monkeypatch):
    monkeypatch.undo()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: time.sleep(8) or [])
    start = time.perf_counter()
    assert named._reachable("http://example.invalid/") is False
    assert time.perf_counter() - start < 5


def test_data_folder_that_does_not_exist(monkeypatch):
    monkeypatch.setenv("AAE_DATA_DIR", "/no/such/folder")
    with pytest.raises(DataError, match="AAE_DATA_DIR is /no/such/folder") as caught:
        read("mnist")
    assert not isinstance(caught.value, NotHere)
    assert len(read("mnist-mini")) == 4000


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("mnits", "did you mean mnist?"),
        ("nothing", "a folder of images"),
        ("mnist:val", "no part 'val'"),
        ("no/such.csv", "no/such.csv does not exist"),
        ("a\x1b[2Jb", r"a\\x1b\[2Jb"),
        ("", "no data set or file ''"),
    ],
)
def test_unknown_sources(source, words):
    with pytest.raises(DataError, match=words):
        read(source)


def test_named_test():
    assert named_test("mnist") == named_test("mnist:train") == named_test("mnist:test") == "mnist:test"
    assert named_test("mnist.csv") is None
    assert [name for name in NAMES if named_test(name) is None] == ["penguins"]


def test_penguins_are_a_table_with_categories_and_missing_cells():
    rows = read("penguins")
    assert (len(rows), rows.schema.kind, rows.schema.classes) == (344, "table", ("Adelie", "Chinstrap", "Gentoo"))
    assert rows.schema.columns == (
        "island", "bill_length_mm", "bill_depth_mm", "flipper_length_mm", "body_mass_g", "sex", "year",
    )  # fmt: skip
    assert np.isnan(rows.x).sum(0).tolist() == [0, 2, 2, 2, 2, 11, 0]
    assert rows.notes[0] == "labels: species (another column with --label-column)"
    assert [column.kind for column in rows.schema.mixed].count("category") == 2
    assert read("penguins:train").x.shape == rows.x.shape
    again = read("penguins", like=rows.schema)
    assert np.array_equal(again.x, rows.x, equal_nan=True) and again.labels.tolist() == rows.labels.tolist()
    assert read_row("penguins[3]").label_names == ["Adelie"]


def test_penguins_take_column_options():
    assert read("penguins", label_column="island").schema.classes == ("Biscoe", "Dream", "Torgersen")
    every = read("penguins", columns=["species", "body_mass_g"])
    assert every.labels is None and every.schema.columns == ("species", "body_mass_g")
    assert read("penguins", like=every.schema).labels is None, "a feature of the model is no label"
    assert read("penguins", ignore=["species", "year"]).schema.size == 6
    assert read("penguins", categorical=["year"]).schema.mixed[-1].levels == ("2007", "2008", "2009")
    with pytest.raises(DataError, match="has no label column 'specis'; did you mean species"):
        read("penguins", label_column="specis")
    for part in ("test", "val"):
        with pytest.raises(DataError, match=f"penguins has no .*{part}.*stands for all of its rows"):
            read(f"penguins:{part}")
    with pytest.raises(DataError, match="mnist-mini has no named columns"):
        read("mnist-mini", ignore=["a"])


def test_the_head_of_penguins_fits_models_of_them():
    rows, head = read("penguins"), Head("penguins", ReadOptions())
    assert head.schema == rows.schema.with_classes(head.schema.classes)
    assert head.fits(rows.schema, "species") and head.fits(read("penguins", label_column="sex").schema, "sex")
    assert not head.fits(replace(rows.schema, mixed=rows.schema.mixed[:-1], columns=("x",) * 6), "specie")
    assert [len(piece) for piece in pieces("penguins", like=rows.schema)] == [344]


def test_one_row_of_a_named_set():
    row = read_row("mnist-mini:test[5]")
    assert (row.x == read("mnist-mini:test").x[5:6]).all() and row.name == "mnist-mini:test[5]"
    with pytest.raises(DataError, match=r"no row 1000 \(counted from 0\); it has 1000 rows"):
        read_row("mnist-mini:test[1000]")


@pytest.mark.skipif(not (SHARED / "mnist").is_dir(), reason="needs MNIST in $AAE_DATA_DIR or ../shared/data")
def test_mnist_itself(monkeypatch):
    monkeypatch.setenv("AAE_DATA_DIR", str(SHARED))
    train, test = read("mnist"), read("mnist:test")
    assert (len(train), len(test)) == (60000, 10000)
    assert train.labels[:5].tolist() == [5, 0, 4, 1, 9] and test.labels[:5].tolist() == [7, 2, 1, 0, 4]
