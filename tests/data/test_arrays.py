"""npy, npz and IDX files: shapes, ranges, keys, and what is refused."""

from __future__ import annotations

import gzip
import io
import pickle
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

from aae_cli.data import arrays, streams
from aae_cli.data.read import read, read_row
from aae_cli.data.types import Schema
from aae_cli.errors import DataError


@pytest.fixture
def npz(tmp_path: Path):
    def write(**arrays) -> str:
        path = tmp_path / "d.npz"
        np.savez(path, **arrays)
        return str(path)

    return write


def refused(source: str, **options) -> str:
    with pytest.raises(DataError) as caught:
        read(source, **options)
    message = str(caught.value)
    assert message.isprintable(), "one line, without control characters"
    return message


def bytes_image(*shape: int) -> np.ndarray:
    return (np.arange(np.prod(shape)) * 37 % 256).astype(np.uint8).reshape(shape)


@pytest.mark.parametrize(
    ("shape", "found"),
    [
        ((5, 4, 6), (1, 4, 6)),
        ((5, 1, 4, 6), (1, 4, 6)),
        ((5, 4, 6, 1), (1, 4, 6)),
        ((5, 3, 4, 6), (3, 4, 6)),
        ((5, 4, 6, 3), (3, 4, 6)),
    ],
)
def test_images_are_brought_to_channels_first(npz, shape, found):
    x = bytes_image(*shape)
    data = read(npz(x=x, y=[3, 1, -1, 3, 1]))
    assert data.schema == Schema("image", found, 0, 255, (True,), None, ("1", "3"))
    assert data.x.dtype == np.uint8 and data.x.flags.c_contiguous and data.x.flags.writeable
    assert data.labels.tolist() == [1, 0, -1, 1, 0]
    expected = x.transpose(0, 3, 1, 2) if shape[-1] in (1, 3) else x
    assert (data.x == expected.reshape(5, -1)).all()


@pytest.mark.parametrize(
    ("x", "found"),
    [
        (np.full((2, 3, 3), 0.5), (0, 1, False, np.float32)),
        (np.full((2, 3, 3), 1, np.int64), (0, 1, True, np.uint8)),
        (np.full((2, 3, 3), True), (0, 1, True, np.uint8)),
        (np.full((2, 3, 3), 12), (0, 16, True, np.uint8)),
        (np.full((2, 3, 3), 12.0), (0, 16, True, np.uint8)),
        (np.full((2, 3, 3), 200), (0, 255, True, np.uint8)),
        (np.full((2, 3, 3), 200, np.uint8), (0, 255, True, np.uint8)),
        (np.full((2, 3, 3), 9, np.uint8), (0, 255, True, np.uint8)),
        (np.full((20, 3, 3), 9, np.uint8), (0, 16, True, np.uint8)),
    ],
)
def test_pixel_ranges(npz, x, found):
    data = read(npz(x=x))
    assert (data.schema.low, data.schema.high, *data.schema.integer, data.x.dtype) == found


@pytest.mark.parametrize(
    ("x", "words"),
    [
        (np.full((2, 3, 3), -0.5), "run from -0.5 to -0.5; scale them"),
        (np.full((2, 3, 3), 300), "run from 300 to 300"),
        (np.full((2, 3, 3), 3.5), "0..255 or to 0..1"),
        (np.zeros((2, 5, 4, 6)), "neither 1 nor 3 channels"),
        (np.zeros((0, 3)), "has no rows"),
        (np.zeros((3, 0)), "has no values"),
        (np.zeros(3), "reshape it to (1, D)"),
        (np.zeros((2, 2, 2, 2, 2)), "(2, 2, 2, 2, 2)"),
        (np.zeros((2, 2), complex), "complex128"),
        (np.array([["a", "b"]]), "only numbers"),
        (np.array([[1.0, 2.0], [3.0, np.nan]]), "NaN) in row 1 (counted from 0), column 1"),
        (np.array([[1.0, np.inf]]), "inf in row 0 (counted from 0), column 1"),
        (np.array([[1.0, 1e300]]), "too large"),
    ],
)
def test_refused_arrays(npz, x, words):
    assert words in refused(npz(x=x))


def test_objects_and_pickles_are_refused(npz, tmp_path):
    assert "holds Python objects" in refused(npz(x=np.array([[1, None]], dtype=object)))
    assert "holds Python objects" in refused(npz(x=np.ones((2, 2)), y=np.array(["a", None], dtype=object)))
    fired = tmp_path / "fired"

    class Bomb:
        def __reduce__(self):
            return (open, (str(fired), "w"))

    for name in ("a.npy", "a.npz", "a.pkl", "a.pt", "a.csv", "a.parquet", "a.png"):
        (tmp_path / name).write_bytes(pickle.dumps(Bomb()))
        message = refused(str(tmp_path / name))
        assert ("is a pickle, and reading one can run code" in message) is name.endswith((".pkl", ".pt"))
    assert not fired.exists()


def test_keys_and_their_labels(npz):
    path = npz(x_train=np.ones((2, 3)), y_train=["a", "b"], x_test=np.ones((1, 3)), y_test=["b"], labels=[1, 2, 3])
    assert read(f"{path}[x_train]").label_names == ["a", "b"]
    assert read(f"{path}[x_test]").label_names == ["b"]
    message = refused(path)
    assert "x_train" in message and "file.npz[key]" in message
    assert "no array 'z'" in refused(f"{path}[z]")
    assert read(f"{path}[x_test]", label_column="y_test").label_names == ["b"]
    assert "2 rows but labels of shape (3,)" in refused(npz(x=np.ones((2, 3)), y=[1, 2, 3]))
    assert read(npz(images=np.ones((2, 3)), labels=[[1], [2]])).labels.tolist() == [0, 1]
    assert "no named columns" in refused(path, columns=["a"])


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        ([1, 2, 3], "2 rows but labels of shape (3,)"),
        (np.ones((2, 2)), "2 rows but labels of shape (2, 2)"),
        (np.array([1j, 2j]), "labels of type complex128"),
        ([0.5, 1.0], "labels that are fractions"),
        ([np.inf, 1.0], "labels that are fractions"),
        (["0.5", "1"], "labels that are fractions"),
    ],
)
def test_labels_that_cannot_be_used_are_refused(npz, labels, words):
    assert words in refused(npz(x=np.ones((2, 3)), y=labels))


def test_an_archive_that_unpacks_to_too_much_is_refused(npz, monkeypatch):
    path = npz(x=np.ones((20, 3)), other=np.ones((20, 3)))
    assert len(read(path)) == 20
    monkeypatch.setattr("aae_cli.data.streams.LIMIT", 500)
    assert "is too large: it claims to hold more than" in refused(path)


def test_labels_of_a_key_that_is_not_there_are_refused(npz):
    assert "no labels 'z'; it has x, y" in refused(npz(x=np.ones((2, 3)), y=[1, 2]), label_column="z")


def test_one_row(npz):
    path = npz(x=np.arange(6.0).reshape(3, 2) / 10, y=[1, 2, 3])
    assert read_row(f"{path}[2]").x.tolist() == [[np.float32(0.4), np.float32(0.5)]]
    assert read_row(f"{path}[x][1]").label_names == ["2"]


def test_digits_table_is_read_as_pixels(npz):
    from sklearn.datasets import load_digits

    data = read(npz(data=load_digits().data))
    assert data.schema.shape == (1, 8, 8) and data.schema.high == 16 and "8×8 pixels" in data.notes[0]
    assert read(npz(data=load_digits().data), kind="table").schema.shape == (64,)


def test_npy(tmp_path):
    path = tmp_path / "a.npy"
    for x in (bytes_image(3, 4, 4), np.asfortranarray(bytes_image(3, 4, 4)), bytes_image(3, 4, 4).astype(">i4")):
        np.save(path, x)
        assert (read(str(path)).x == x.reshape(3, -1)).all()
    path.write_bytes(path.read_bytes()[:-1])
    assert "cut short or damaged" in refused(str(path))
    path.write_bytes(b"hello")
    assert "not a NumPy array file" in refused(str(path))


def test_damaged_zip(npz):
    path = Path(npz(x=np.ones((50, 50))))
    content = path.read_bytes()
    path.write_bytes(content[:-30])
    assert "not a valid .npz file" in refused(str(path))
    path.write_bytes(content[:5000] + b"\1\2\3" + content[5003:])
    refused(str(path))
    path.write_bytes(b"")
    refused(str(path))


def test_header_that_claims_too_much(tmp_path):
    header = str({"descr": "<f8", "fortran_order": False, "shape": (10**9, 1000)}).ljust(117).encode() + b"\n"
    member = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as file:
        file.writestr("x.npy", member)
    assert "cut short or damaged" in refused(str(tmp_path / "a.npz"))


def member(*shape: int) -> bytes:
    """The header of an .npy member of bytes."""
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(head, {"descr": "|u1", "fortran_order": False, "shape": shape})
    return head.getvalue()


@pytest.fixture
def unread(monkeypatch):
    """No content of arrays is read."""
    monkeypatch.setattr(arrays, "read_up_to", lambda file, size: pytest.fail("content was read"))


def test_members_that_unpack_to_more_than_their_bytes_can_hold_are_refused_unread(tmp_path, unread):
    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_BZIP2) as file:  # bzip2 packs 20 MB of zeros into a hundred bytes
        file.writestr("x.npy", member(20_000_000, 1) + bytes(20_000_000))
    assert path.stat().st_size < 2000
    message = refused(str(path))
    assert "a.npz[x] claims to hold 19.1 MiB, for which" in message and "copy or download it again" in message
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        head = member(2**31, 1)
        file.writestr("x.npy", head + bytes(1000))
    content = bytearray(path.read_bytes())
    entry = content.index(b"PK\x01\x02")  # in the zip file's directory: bytes packed, and unpacked
    content[entry + 20 : entry + 28] = struct.pack("<2I", 2**30, 2**31 + len(head))
    path.write_bytes(content)
    assert "claims to hold 2.0 GiB" in refused(str(path))


def test_arrays_that_do_not_fit_into_memory_are_refused_unread(tmp_path, unread, monkeypatch):
    monkeypatch.setattr(streams, "free_memory", lambda: 5000)
    x = np.random.default_rng(0).integers(0, 256, (100, 8, 8), dtype=np.uint8)
    np.savez(tmp_path / "a.npz", x=x)
    (tmp_path / "a.idx").write_bytes(idx(x))
    (tmp_path / "a.idx.gz").write_bytes(gzip.compress(idx(x)))
    for name in ("a.npz", "a.idx", "a.idx.gz"):
        message = refused(str(tmp_path / name))
        assert f"{name}" in message and "KiB of memory, of which 4.9 KiB are free; " in message and ".npy" in message


def test_images_of_zeros_are_read_however_small_they_pack(tmp_path):
    x = np.zeros((4000, 28, 28), np.uint8)
    x[0, 0, 0] = 255
    np.savez_compressed(tmp_path / "a.npz", x=x)
    assert x.size > 900 * (tmp_path / "a.npz").stat().st_size
    assert read(str(tmp_path / "a.npz")).x.sum() == 255
    (tmp_path / "a.idx.gz").write_bytes(gzip.compress(idx(x)))
    assert read(str(tmp_path / "a.idx.gz")).x.sum() == 255


@pytest.mark.parametrize("ending", ["", ".gz"])
def test_text_that_does_not_fit_into_memory_is_refused(tmp_path, ending, monkeypatch):
    path = tmp_path / f"a.csv{ending}"
    text = b"a,b\n" + b"1,2\n" * 1000
    path.write_bytes(gzip.compress(text) if ending else text)
    assert len(read(str(path))) == 1000
    monkeypatch.setattr(streams, "free_memory", lambda: 8000)
    assert "a.csv" in refused(str(path)) and "half of the free memory, 3.9 KiB; " in refused(str(path))


def test_the_free_memory_of_this_machine_is_known_or_not():
    free = streams.free_memory()
    assert free is None or 2**20 < free < 2**50
    assert [streams.as_size(size) for size in (0, 1023, 2048, 5 * 2**40)] == [
        "0 bytes",
        "1023 bytes",
        "2.0 KiB",
        "5120.0 GiB",
    ]


def idx(x: np.ndarray, kind: int = 8) -> bytes:
    return struct.pack(f">HBB{x.ndim}I", 0, kind, x.ndim, *x.shape) + x.tobytes()


@pytest.mark.parametrize("ending", ["", ".gz"])
def test_idx(tmp_path, ending):
    x = bytes_image(4, 5, 6)
    pack = gzip.compress if ending else bytes
    (tmp_path / f"train-images-idx3-ubyte{ending}").write_bytes(pack(idx(x)))
    (tmp_path / f"train-labels-idx1-ubyte{ending}").write_bytes(pack(idx(np.array([1, 0, 9, 1], np.uint8))))
    data = read(str(tmp_path / f"train-images-idx3-ubyte{ending}"))
    assert (data.x == x.reshape(4, -1)).all() and data.schema.classes == ("0", "1", "9")
    path = tmp_path / f"a.IDX{ending}"
    path.write_bytes(pack(idx(np.full((2, 3, 3), 200, ">i4"), 0x0C)))
    assert read(str(path)).schema.high == 255 and read(str(path)).labels is None


def test_damaged_idx(tmp_path):
    path = tmp_path / "a.idx"
    whole = idx(bytes_image(4, 5, 6))
    for content, words in (
        (whole[:-1], "should hold 120 bytes of shape (4, 5, 6), but holds only 119"),
        (whole + b"x", "holds more"),
        (whole[:6], "within its header"),
        (b"hello", "not an IDX file"),
        (struct.pack(">HBB3I", 0, 8, 3, 2**31, 2**31, 9), "too few"),
        (struct.pack(">HBB3I", 0, 8, 3, 2**10, 2**10, 2**10), "claims to hold 1.0 GiB, for which 16 bytes"),
        (struct.pack(">HBB3I", 0, 8, 3, 2**4, 2**4, 2**4), "but holds only 0"),
        (gzip.compress(whole)[:-20], "cut short or damaged"),
    ):
        path.write_bytes(content)
        assert words in refused(str(path))


MODEL = Schema("image", (1, 4, 6), 0, 255, (True,), None, ("a",))


def test_like_accepts_every_layout_of_the_same_images(npz):
    x = bytes_image(5, 4, 6)
    for layout in (x, x[:, None], x[..., None], x.reshape(5, -1), x.astype(float), x.astype(np.int64)):
        data = read(npz(x=layout), like=MODEL)
        assert (data.x == x.reshape(5, -1)).all() and data.x.dtype == np.uint8
        assert data.schema == MODEL.with_classes(None)


@pytest.mark.parametrize(
    ("x", "words"),
    [
        (np.zeros((2, 4, 5), np.uint8), "images of shape (4, 5), but the model was trained on images of shape (1"),
        (np.zeros((2, 25), np.uint8), "25 columns, but the model was trained on images of shape (1, 4, 6)"),
        (bytes_image(2, 4, 6) / 255, "floats in [0, 1], but the model was trained on integers in 0..255; multiply"),
        (
            np.full((2, 4, 6), 256),
            "row 0 (counted from 0) has the value 256, but the model was trained on integers in 0..255",
        ),
        (np.full((2, 4, 6), 3.5), "row 0 (counted from 0) has the value 3.5"),
        (np.full((2, 4, 6), -1), "row 0 (counted from 0) has the value -1"),
        (np.eye(24).reshape(24, 4, 6), "all values are 0 or 1"),
        (np.full((2, 4, 6), np.nan), "NaN) in row 0 (counted from 0), column 0"),
    ],
)
def test_like_refuses(npz, x, words):
    assert words in refused(npz(x=x), like=MODEL)


def test_like_of_floats_and_of_tables(npz):
    floats = Schema("image", (1, 4, 6), 0, 1, (False,))
    data = read(npz(x=np.eye(24).reshape(24, 4, 6)), like=floats)
    assert data.x.dtype == np.float32
    assert refused(npz(x=bytes_image(2, 4, 6)), like=floats).endswith("values in 0..1; divide by 255")
    table = Schema("table", (64,), columns=tuple(f"p{i}" for i in range(64)))
    data = read(npz(x=np.full((2, 64), 16)), like=table)
    assert data.schema == table and data.x.dtype == np.float32
    assert "images of shape (8, 8), but the model was trained on 64 columns" in refused(
        npz(x=np.ones((2, 8, 8))), like=table
    )


def test_missing_and_unknown_files(tmp_path):
    assert "does not exist" in refused(str(tmp_path / "no.npz"))
    (tmp_path / "a.xyz").write_text("1")
    assert "name it with --format" in refused(str(tmp_path / "a.xyz"))
    assert "is a folder" in refused(str(tmp_path), format="npz")
