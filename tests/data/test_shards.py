"""A folder of Parquet files is one table; one too large for memory is decoded into a mapped file: the same rows."""

import numpy as np
import polars as pl
import pytest
from test_mapped import SMALL

from aae_cli import load, read, train
from aae_cli.data import chunks as parts
from aae_cli.data.read import head, pieces
from aae_cli.data.types import Schema
from aae_cli.errors import DataError


def shards(folder, frame: pl.DataFrame, count: int = 3):
    folder.mkdir()
    for number, part in enumerate(frame.iter_slices(-(-len(frame) // count))):
        part.write_parquet(folder / f"part-{number}.parquet")
    (folder / "_SUCCESS").touch()
    return str(folder)


@pytest.fixture
def frame():
    random = np.random.default_rng(0)
    columns = {f"f{i}": random.normal(size=100) for i in range(4)}
    labels = random.choice(np.array(["b", "a", None], dtype=object), 100)
    return pl.DataFrame({**columns, "whole": np.arange(100), "label": labels.tolist()})


@pytest.fixture
def spooled(monkeypatch):
    monkeypatch.setattr(parts, "MAP_FROM", 1)
    monkeypatch.setattr(parts, "ROWS", 30)


def test_a_folder_of_shards_is_their_rows_in_order(frame, tmp_path):
    whole = tmp_path / "whole.parquet"
    frame.write_parquet(whole)
    expected, data = read(str(whole)), read(shards(tmp_path / "shards", frame))
    assert np.array_equal(data.x, expected.x)
    assert data.label_names == expected.label_names
    assert data.schema == expected.schema


def test_decoded_rows_are_those_in_memory(frame, tmp_path, spooled, monkeypatch):
    source = shards(tmp_path / "shards", frame)
    data = read(source)
    assert isinstance(data.x, np.memmap)
    monkeypatch.setattr(parts, "MAP_FROM", 1e9)
    expected = read(source)
    assert not isinstance(expected.x, np.memmap)
    assert np.array_equal(data.x, expected.x)
    assert data.schema == expected.schema
    assert data.label_names == expected.label_names
    assert np.array_equal(data.labels, expected.labels)


def test_decoded_pixels_stay_bytes(tmp_path, spooled):
    pixels = np.random.default_rng(0).integers(0, 256, (90, 64), dtype=np.uint8)
    frame = pl.DataFrame({f"p{i}": pixels[:, i] for i in range(64)})
    data = read(shards(tmp_path / "shards", frame))
    assert isinstance(data.x, np.memmap) and data.x.dtype == np.uint8
    assert data.schema.kind == "image"
    assert data.labels is None
    assert np.array_equal(data.x, pixels)
    table = read(str(tmp_path / "shards"), kind="table")
    assert table.x.dtype == np.float32 and np.array_equal(table.x, pixels)


def test_training_on_decoded_rows_is_training_on_rows_in_memory(frame, tmp_path, spooled, monkeypatch):
    source = shards(tmp_path / "shards", frame)
    spool = train("gaussian", source, tmp_path / "a", SMALL, device="cpu")
    monkeypatch.setattr(parts, "MAP_FROM", 1e9)
    memory = train("gaussian", source, tmp_path / "b", SMALL, device="cpu")
    x = read(source).x
    assert np.array_equal(load(spool.folder).embed(x), load(memory.folder).embed(x))


def test_shards_come_in_pieces(frame, tmp_path, monkeypatch):
    source = shards(tmp_path / "shards", frame)
    monkeypatch.setattr(parts, "PIECE", 800)
    own = [len(piece) for piece in pieces(source)]
    assert sum(own) == 100 and len(own) > 1
    assert len(head(source)) == own[0]


@pytest.mark.parametrize("large", [False, True])
def test_a_missing_value_makes_a_mixed_table(frame, tmp_path, large, monkeypatch):
    """Wherever it is; a model of complete numbers refuses it."""
    if large:
        monkeypatch.setattr(parts, "MAP_FROM", 1)
        monkeypatch.setattr(parts, "ROWS", 30)
    bad = frame.with_columns(pl.when(pl.col("whole") == 76).then(None).otherwise(pl.col("f1")).alias("f1"))
    source = shards(tmp_path / "shards", bad)
    data = read(source)
    assert isinstance(data.x, np.memmap) == large
    assert np.argwhere(np.isnan(data.x)).tolist() == [[76, 1]] and "missing cells: f1 1" in data.notes
    like = Schema("table", (5,), integer=(False,) * 5, columns=(*[f"f{i}" for i in range(4)], "whole"))
    with pytest.raises(DataError, match=r"row 76 \(counted from 0\), column f1"):
        read(source, like=like)


def test_spooled_pieces_have_the_kinds_of_the_whole_table(tmp_path, spooled, monkeypatch):
    """A level, a hole or a fraction that only later rows have is understood in all of them."""
    random = np.random.default_rng(0)
    late = np.arange(100) >= 45
    columns = {
        "colour": np.where(late, random.choice(["red", "blue"], 100), "red").tolist(),
        "size": [None if row % 7 == 3 and late[row] else float(row) / 2 for row in range(100)],
        "flag": (np.arange(100) % 3 == 0).tolist(),
        "name": [f"n{i}" for i in range(100)],
        "label": random.choice(["a", "b"], 100).tolist(),
    }
    source = shards(tmp_path / "shards", pl.DataFrame(columns))
    data = read(source)
    monkeypatch.setattr(parts, "MAP_FROM", 1e9)
    expected = read(source)
    assert isinstance(data.x, np.memmap) and not isinstance(expected.x, np.memmap)
    assert np.array_equal(data.x, expected.x, equal_nan=True) and data.label_names == expected.label_names
    assert data.schema.columns == expected.schema.columns == ("colour", "size", "flag")
    assert [column.kind for column in data.schema.mixed] == ["category", "number", "category"]
    assert "missing cells: size 8" in data.notes and sum("names or ids" in note for note in data.notes) == 1


def test_shards_of_other_columns_are_refused(frame, tmp_path):
    source = shards(tmp_path / "shards", frame)
    frame.select("f0", "label").write_parquet(tmp_path / "shards" / "part-9.parquet")
    with pytest.raises(DataError, match="shards"):
        read(source)


def test_a_folder_without_shards_is_refused(tmp_path):
    with pytest.raises(DataError, match="without Parquet files"):
        read(str(tmp_path), format="parquet")


def test_a_full_disk_is_named(frame, tmp_path, spooled, monkeypatch):
    source = shards(tmp_path / "shards", frame)
    monkeypatch.setattr(parts.tempfile, "TemporaryFile", lambda: open("/dev/full", "w+b"))  # noqa: SIM115
    with pytest.raises(DataError, match="No space left"):
        read(source)
