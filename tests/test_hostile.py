"""Whatever is in a file, it is read or refused in one line: property-based tests, and a fuzz run over damaged files.

AAE_FUZZ=20000 python -m pytest tests/test_hostile.py -s   # more inputs than by default; prints how many were tried
"""

import io
import json
import os
import random
import struct
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from aae_cli import load, read, train
from aae_cli.config.resolve import resolve
from aae_cli.data.columns import Column
from aae_cli.data.read import pieces
from aae_cli.data.types import Data
from aae_cli.errors import AaeError
from aae_cli.model.checkpoint import MODEL

TRIES = int(os.environ.get("AAE_FUZZ", "400"))
relaxed = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def read_or_refuse(path: Path, like=None) -> bool:
    """Whether rows came out; anything but sound rows or a one-line AaeError fails the test."""
    try:
        data = read(str(path), like=like)
    except AaeError as error:
        refusal(error, path.name)
        return False
    sound(data)
    return True


def refusal(error: AaeError, name: str) -> None:
    """One line of some length that names the file."""
    text = f"{error.what} {error.hint}"
    assert text.isprintable(), text
    assert len(text) < 1000
    assert name in text


def sound(data: Data) -> None:
    assert data.x.ndim == 2
    assert data.x.shape == (len(data), data.schema.size)
    assert data.x.dtype in (np.uint8, np.float32)
    if data.schema.mixed is None:
        assert np.isfinite(data.x).all()
    else:
        assert not np.isinf(data.x).any()
        for column, cells in zip(data.schema.mixed, data.x.T, strict=True):
            assert Column.from_json(json.loads(json.dumps(column.to_json()))) == column
            assert len(column.decode(cells)) == len(data)
    if data.labels is not None:
        assert data.labels.shape == (len(data),)
        assert data.labels.max() < len(data.schema.classes or ())
    assert data.ids is None or len(data.ids) == len(data)


@relaxed
@given(content=st.binary(max_size=200), suffix=st.sampled_from(["csv", "tsv", "npy", "npz", "parquet", "png", "idx"]))
def test_any_bytes(tmp_path, content, suffix):
    path = tmp_path / f"x.{suffix}"
    path.write_bytes(content)
    read_or_refuse(path)


@relaxed
@given(text=st.text(alphabet=st.sampled_from('0123456789.,;\t\n\r" -eEnaif\x1b[]é'), max_size=120))
def test_any_text_as_a_table(tmp_path, text):
    path = tmp_path / "x.csv"
    path.write_text(text, newline="")
    read_or_refuse(path)


@relaxed
@given(array=hnp.arrays(hnp.scalar_dtypes(), hnp.array_shapes(min_dims=0, max_dims=5, min_side=0, max_side=5)))
def test_any_array(tmp_path, array):
    path = tmp_path / "x.npy"
    np.save(path, array)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        read_or_refuse(path)


@relaxed
@given(
    labels=st.lists(st.one_of(st.none(), st.integers(), st.floats(), st.text(max_size=5)), min_size=3, max_size=3),
)
def test_any_labels(tmp_path, labels):
    path = tmp_path / "x.npz"
    np.savez(path, x=np.ones((3, 2)), y=np.array([str(label) for label in labels]))
    read_or_refuse(path)


def sources(folder: Path) -> list[Path]:
    """One sound file of each format."""
    random_ = np.random.default_rng(0)
    x, y = random_.integers(0, 256, (12, 4, 4), dtype=np.uint8), np.arange(12) % 3
    np.save(folder / "a.npy", x)
    np.savez_compressed(folder / "b.npz", x=x, y=y)
    rows = [
        ["id", "a", "b", "label"],
        *[[i, f"{v:.3f}", i * 2, "xyz"[i % 3]] for i, v in enumerate(random_.normal(size=12))],
    ]
    (folder / "c.csv").write_text("\n".join(",".join(map(str, row)) for row in rows))
    import polars as pl
    from PIL import Image

    pl.read_csv(folder / "c.csv").write_parquet(folder / "d.parquet")
    header = struct.pack(">HBB3I", 0, 8, 3, *x.shape)
    (folder / "e.idx").write_bytes(header + x.tobytes())
    Image.fromarray(x[0]).save(folder / "f.png")
    return sorted(folder.iterdir())


def damaged(content: bytes, random_: random.Random) -> bytes:
    """Cut short, with bits flipped, bytes doubled, removed or overwritten by large numbers."""
    out = bytearray(content)
    for _ in range(random_.randint(1, 4)):
        at = random_.randrange(len(out)) if out else 0
        match random_.randrange(6):
            case 0:
                del out[at:]
            case 1 if out:
                out[at] ^= 1 << random_.randrange(8)
            case 2:
                out[at:at] = out[max(0, at - 20) : at]
            case 3:
                del out[at : at + random_.randint(1, 20)]
            case 4:
                out[at : at + 4] = struct.pack("<I", random_.choice([0, 1, 0x7FFFFFFF, 0xFFFFFFFF, 1 << 20]))
            case 5:
                out[at : at + 1] = random_.choice([b"nan", b"inf", b"\0", b'"', b"\xff", b"9" * 40, b"\n"])
    return bytes(out)


@pytest.mark.timeout(3000)
def test_damaged_files_are_read_or_refused(tmp_path):
    sound_files = tmp_path / "sound"
    sound_files.mkdir()
    random_, tried, clean = random.Random(0), 0, 0
    for path in sources(sound_files):
        content = path.read_bytes()
        assert read_or_refuse(path)
        for _ in range(TRIES // 6):
            hurt = tmp_path / path.name
            hurt.write_bytes(damaged(content, random_))
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                clean += read_or_refuse(hurt)
            tried += 1
    print(f"{tried} damaged files: {clean} still readable, {tried - clean} refused, none otherwise")


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    small = [f"{body}.hidden=[4]" for body in ("encoder", "decoder", "adversaries.z", "adversaries.y")]
    x = np.random.default_rng(0).normal(size=(30, 3)).astype(np.float32)
    np.save(folder / "x.npy", x)
    steps = ["train.epochs=2", "train.min_steps=0", "code.y.classes=3", "code.y.overcluster=1"]
    return train("clustering", str(folder / "x.npy"), folder / "run", [*small, *steps], device="cpu").folder / MODEL


@pytest.mark.timeout(3000)
def test_damaged_checkpoints_load_or_are_refused(model, tmp_path):
    content, random_, tried, loaded = model.read_bytes(), random.Random(1), 0, 0
    rows = np.zeros((2, 3), np.float32)
    hurt = tmp_path / MODEL
    for _ in range(TRIES):
        hurt.write_bytes(damaged(content, random_))
        tried += 1
        try:
            load(hurt, "cpu").y(rows)
            loaded += 1
        except AaeError as error:
            refusal(error, MODEL)
    print(f"{tried} damaged checkpoints: {loaded} still loadable, {tried - loaded} refused, none otherwise")


def with_header(content: bytes, change) -> bytes:
    """A checkpoint with another JSON header; ``change`` is given the safetensors header and aae's own."""
    size = struct.unpack("<Q", content[:8])[0]
    outer = json.loads(content[8 : 8 + size])
    inner = json.loads(outer["__metadata__"]["aae"])
    change(outer, inner)
    outer["__metadata__"]["aae"] = json.dumps(inner)
    text = json.dumps(outer).encode()
    return struct.pack("<Q", len(text)) + text + content[8 + size :]


HOSTILE = {
    "a billion units": lambda outer, inner: inner["config"]["encoder"].update(hidden=[10**9]),
    "a billion clusters": lambda outer, inner: inner["config"]["code"]["y"].update(classes=10**9),
    "a billion features": lambda outer, inner: inner["schema"].update(shape=[10**9]),
    "negative sizes": lambda outer, inner: inner["schema"].update(shape=[-3]),
    "text for a size": lambda outer, inner: inner["schema"].update(shape=["3"]),
    "a million layers": lambda outer, inner: inner["config"]["encoder"].update(hidden=[4] * 100_000),
    "a newer format": lambda outer, inner: inner.update(format=99),
    "no config": lambda outer, inner: inner.pop("config"),
    "unknown keys": lambda outer, inner: inner["config"].update(run="rm -rf /"),
    "overlapping tensors": lambda outer, inner: [
        value.update(data_offsets=[0, value["data_offsets"][1] - value["data_offsets"][0]])
        for name, value in outer.items()
        if name != "__metadata__"
    ],
    "another type": lambda outer, inner: outer["encoder.y.0.bias"].update(dtype="I32"),
    "labels out of range": lambda outer, inner: inner.update(cluster_labels=[0, 7, 99]),
    "escape codes": lambda outer, inner: inner.update(title="\x1b[2J\x1b]0;owned\x07"),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_hostile_headers(model, tmp_path, what):
    path = tmp_path / MODEL
    path.write_bytes(with_header(model.read_bytes(), HOSTILE[what]))
    if what == "escape codes":
        assert load(path, "cpu").header.title.isprintable()
        return
    with pytest.raises(AaeError) as caught:
        load(path, "cpu")
    assert MODEL in caught.value.what


HOSTILE_COLUMNS = {
    "no kind": {"kind": "colour"},
    "numbers for levels": {"kind": "category", "type": "text", "levels": [1, 2], "decimals": None, "values": []},
    "no levels": {"kind": "category", "type": "text", "decimals": None, "values": []},
    "another name": {"name": "z"},
    "an infinite range": {"high": float("inf")},
    "a billion decimals": {"decimals": 10**9},
    "an unknown key": {"run": "rm -rf /"},
    "more levels than weights": {"kind": "category", "type": "text", "levels": ["a", "b", "c"], "spike": None},
}


@pytest.fixture(scope="module")
def mixed_model(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("mixed")
    lines = [f"{i % 7},{'xyz'[i % 3]},{'' if i % 4 else i}" for i in range(40)]
    (folder / "x.csv").write_text("\n".join(["a,b,c", *lines]))
    small = [f"{body}.hidden=[4]" for body in ("encoder", "decoder", "adversaries.z")]
    steps = ["train.epochs=1", "train.min_steps=0"]
    return train("gaussian", str(folder / "x.csv"), folder / "run", [*small, *steps], device="cpu").folder / MODEL


@pytest.mark.parametrize("what", HOSTILE_COLUMNS)
def test_hostile_columns(mixed_model, tmp_path, what):
    assert load(mixed_model, "cpu").schema.mixed is not None
    path = tmp_path / MODEL
    change = HOSTILE_COLUMNS[what]
    path.write_bytes(with_header(mixed_model.read_bytes(), lambda _, inner: inner["schema"]["mixed"][0].update(change)))
    with pytest.raises(AaeError) as caught:
        load(path, "cpu")
    assert MODEL in caught.value.what


@pytest.mark.timeout(3000)
def test_damaged_checkpoints_of_mixed_tables_load_or_are_refused(mixed_model, tmp_path):
    content, random_ = mixed_model.read_bytes(), random.Random(3)
    rows, hurt = np.full((2, 3), np.nan, np.float32), tmp_path / MODEL
    for _ in range(TRIES // 2):
        hurt.write_bytes(damaged(content, random_))
        try:
            model = load(hurt, "cpu")
            model.z(rows)
            model.sample(2)
        except AaeError as error:
            refusal(error, MODEL)


def test_files_that_are_not_what_they_seem(tmp_path):
    read_or_refuse(tmp_path)  # a folder
    for name, content in {
        "pickle.npy": b"\x80\x04\x95" + b"cos\nsystem\n(S'touch owned'\ntR.",
        "bomb.npz": None,
        "empty.csv": b"",
        "header.csv": b"a,b\n",
        "utf16.csv": "a,b\n1,2".encode("utf-16"),
        "objects.npy": None,
    }.items():
        path = tmp_path / name
        if name == "objects.npy":
            np.save(path, np.array([{"a": 1}], dtype=object), allow_pickle=True)
        elif name == "bomb.npz":
            with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
                head = io.BytesIO()
                np.lib.format.write_array_header_1_0(
                    head, {"descr": "|u1", "fortran_order": False, "shape": (2**40, 1)}
                )
                file.writestr("x.npy", head.getvalue() + bytes(10_000_000))
        else:
            path.write_bytes(content)
        assert not read_or_refuse(path), name
    assert not (tmp_path / "owned").exists()
    link = tmp_path / "loop.csv"
    link.symlink_to(link)
    assert not read_or_refuse(link)


@pytest.mark.parametrize(
    "text",
    [
        "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: [*c,*c,*c]",
        "code: !!python/object/apply:os.system ['touch owned']",
        "[" * 3000,
        "code: {z: {dims: -1}}",
        "code: {z: {dims: .nan}}",
        "code: {z: {dims: 1e400}}",
        "train: {epochs: 99999999999999999999999}",
        "? [1, 2]\n: 3",
        "- 1\n- 2",
        "\x00",
        "train: {batch_size: true}",
    ],
)
def test_hostile_presets(tmp_path, text):
    path = tmp_path / "p.yaml"
    path.write_text(text)
    with pytest.raises(AaeError) as caught:
        resolve(str(path), [], {})
    assert f"{caught.value.what} {caught.value.hint}".isprintable()
    assert not (tmp_path / "owned").exists()


def test_pieces_of_damaged_tables_are_read_or_refused(tmp_path, monkeypatch):
    from aae_cli.data import chunks as parts

    monkeypatch.setattr(parts, "FIRST", 60)
    monkeypatch.setattr(parts, "PIECE", 90)
    sound_files = tmp_path / "sound"
    sound_files.mkdir()
    random_ = random.Random(2)
    for name in ("a.npy", "c.csv"):
        path = next(path for path in sources(sound_files) if path.name == name)
        like, content = read(str(path)).schema, path.read_bytes()
        for _ in range(TRIES // 4):
            hurt = tmp_path / name
            hurt.write_bytes(damaged(content, random_))
            try:
                for piece in pieces(str(hurt), like=like):
                    sound(piece)
            except AaeError as error:
                refusal(error, name)
