"""Long sources in pieces give the rows, labels, ids and errors that they give whole."""

import gzip
import io

import numpy as np
import polars as pl
import pytest

from aae_cli.data import chunks as parts
from aae_cli.data.read import head, pieces, read
from aae_cli.data.streams import Pipe
from aae_cli.data.types import ReadOptions
from aae_cli.errors import DataError


@pytest.fixture(autouse=True)
def short(monkeypatch):
    monkeypatch.setattr(parts, "FIRST", 200)
    monkeypatch.setattr(parts, "PIECE", 500)
    monkeypatch.setattr(parts, "HEAD", {"csv": 200, "tsv": 200, "npy": 400})


def like_of(path, **options):
    return read(str(path), **options).schema


def together(got):
    assert [piece.first for piece in got] == np.cumsum([0, *map(len, got)])[:-1].tolist()
    labels = [name for piece in got for name in piece.label_names or []]
    ids = [name for piece in got for name in piece.ids or ()]
    return np.concatenate([piece.x for piece in got]), labels, ids


def check(path, least=3, **options):
    """As many pieces, and the same rows as in one."""
    whole = read(str(path), like=like_of(path, **options), **options)
    got = list(pieces(str(path), ReadOptions(**options), whole.schema))
    x, labels, ids = together(got)
    assert len(got) >= least
    assert np.array_equal(x, whole.x)
    assert labels == (whole.label_names or [])
    assert ids == list(whole.ids or ())
    first = head(str(path), ReadOptions(**options), whole.schema)
    assert np.array_equal(first.x, got[0].x)


def rows(count=100):
    random = np.random.default_rng(0)
    return [[f"{value:.3f}" for value in random.normal(size=3)] for _ in range(count)]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_text_with_a_header(tmp_path, end, separator):
    lines = [["a", "b", "c"], *rows()]
    path = tmp_path / "t.csv"
    path.write_text(end.join(separator.join(line) for line in lines) + end, encoding="utf-8-sig", newline="")
    check(path)


def test_text_without_a_header(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("\n".join(",".join(line) for line in rows()))
    check(path)


def test_packed_text(tmp_path):
    path = tmp_path / "t.csv.gz"
    path.write_bytes(gzip.compress(("a,b,c\n" + "\n".join(",".join(line) for line in rows())).encode()))
    check(path, least=2)


def test_labels_ids_and_line_ends_within_quotes(tmp_path):
    path = tmp_path / "t.csv"
    text = "".join(f'"row\n{i}",{",".join(line)},{"ab"[i > 60]}\n' for i, line in enumerate(rows()))
    path.write_text("id,a,b,c,label\n" + text)
    check(path)


def test_a_piece_without_labels(tmp_path):
    path = tmp_path / "t.csv"
    text = "".join(f"{','.join(line)},{'x' if i < 5 else ''}\n" for i, line in enumerate(rows()))
    path.write_text("a,b,c,label\n" + text)
    check(path)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["u1", "<f4", ">f8"])
def test_arrays(tmp_path, order, dtype):
    array = np.asarray(np.random.default_rng(0).integers(0, 256, (90, 4, 4)), dtype=dtype, order=order)
    np.save(tmp_path / "x.npy", array)
    assert parts.divides(tmp_path / "x.npy", "npy")
    check(tmp_path / "x.npy", least=1 if order == "F" else 3)


def test_parquet(tmp_path, monkeypatch):
    monkeypatch.setattr(parts, "ROWS", 30)
    frame = pl.DataFrame({"a": range(100), "b": np.arange(100) / 7, "label": ["x", "y"] * 50})
    frame.write_parquet(tmp_path / "t.parquet")
    check(tmp_path / "t.parquet")


def test_a_pipe_is_looked_at_and_then_read_once(monkeypatch):
    content = ("a,b,c\n" + "\n".join(",".join(line) for line in rows())).encode()
    pipe = Pipe(io.BytesIO(content))
    assert len(pipe.peek(10)) == 10
    assert pipe.peek(4)[:4] == content[:4]
    assert pipe.stream().read() == content


def test_pipes_come_in_pieces_and_can_be_fitted_first(monkeypatch):
    content = ("a,b,c\n" + "\n".join(",".join(line) for line in rows())).encode()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content)))
    schema = head("-").schema
    assert schema.columns == ("a", "b", "c")
    x, _, _ = together(list(pieces("-", like=schema)))
    assert x.shape == (100, 3)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content)))
    head("-")
    assert np.array_equal(read("-").x, x)


def test_npy_pipes_come_in_pieces(monkeypatch):
    buffer = io.BytesIO()
    array = np.arange(300, dtype=np.float32).reshape(100, 3)
    np.save(buffer, array)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(buffer.getvalue())))
    schema = head("-", ReadOptions("npy")).schema
    got = list(pieces("-", ReadOptions("npy"), schema))
    assert len(got) > 2
    assert np.array_equal(together(got)[0], array)


def refusal(path, schema):
    with pytest.raises(DataError) as caught:
        list(pieces(str(path), like=schema))
    return f"{caught.value.what} {caught.value.hint}"


def test_errors_count_from_the_beginning_of_the_source(tmp_path):
    path = tmp_path / "t.csv"
    lines = ["a,b,c", *(",".join(line) for line in rows())]
    path.write_text("\n".join(lines))
    schema = like_of(path)
    path.write_text("\n".join([*lines[:81], "1,2,3,4", *lines[82:]]))
    assert "line 82 has more or fewer" in refusal(path, schema)
    path.write_text("\n".join([*lines[:81], "1,2,", *lines[82:]]))
    assert "missing value in row 80 (counted from 0)" in refusal(path, schema)
    path.write_bytes("\n".join([*lines[:81], "1,2,\xe9", *lines[82:]]).encode("latin1"))
    assert "line 82 is not UTF-8" in refusal(path, schema)
    array = np.random.default_rng(0).normal(size=(100, 3))
    array[77, 1] = np.nan
    np.save(tmp_path / "x.npy", array)
    assert "row 77 (counted from 0)" in refusal(tmp_path / "x.npy", schema)


def test_a_line_without_end_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "t.csv"
    path.write_text("a,b,c\n" + "\n".join(",".join(line) for line in rows()))
    schema = like_of(path)
    monkeypatch.setattr(parts, "LINE", 1000)
    path.write_text("a,b,c\n1,2,3\n" + '"' + "x" * 5000)
    assert "a line of more than" in refusal(path, schema)


def test_a_pipe_that_ends_early_is_refused(monkeypatch, tmp_path):
    buffer = io.BytesIO()
    np.save(buffer, np.zeros((100, 3), np.float32))
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(buffer.getvalue()[:-100])))
    with pytest.raises(DataError, match="cut short: it holds 91 of 100 rows"):
        list(pieces("-", ReadOptions("npy")))


def test_a_quote_that_is_never_closed_is_named_by_its_line(tmp_path):
    lines = [["a", "b", "c"], *rows(3000)]
    lines[1500][0] = '"' + lines[1500][0]
    path = tmp_path / "t.csv"
    path.write_text("\n".join(",".join(line) for line in lines))
    with pytest.raises(DataError, match=r"line 1501 has more or fewer than the 3 columns.*missing quotes"):
        list(pieces(str(path)))
    with pytest.raises(DataError, match="line 1501 "):
        read(str(path))
