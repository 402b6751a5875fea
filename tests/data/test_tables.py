"""CSV, TSV and Parquet: columns, labels, headers, and what is refused."""

from __future__ import annotations

import gzip
import io
import os
from pathlib import Path

import numpy as np
import pytest

from aae_cli.data.read import read, read_row
from aae_cli.data.types import Schema
from aae_cli.errors import DataError, UsageError


@pytest.fixture
def csv(tmp_path: Path):
    def write(text: str | bytes, name: str = "t.csv") -> str:
        path = tmp_path / name
        content = text if isinstance(text, bytes) else text.encode()
        path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
        return str(path)

    return write


def refused(source: str, **options) -> str:
    with pytest.raises(DataError) as caught:
        read(source, **options)
    message = str(caught.value)
    assert message.isprintable(), "one line, without control characters"
    return message


def test_features_labels_and_ids(csv):
    data = read(csv("ID,a,b,Label\nr1,1,2.5,dog\nr2,3,4,\nr3,5,6,cat\n"))
    assert data.schema == Schema(
        "table", (2,), integer=(True, False), columns=("a", "b"), classes=("cat", "dog"), label_at=2
    )
    assert data.x.dtype == np.float32
    assert data.x.tolist() == [[1, 2.5], [3, 4], [5, 6]]
    assert data.labels.tolist() == [1, -1, 0]
    assert data.label_names == ["dog", "", "cat"]
    assert data.ids == ("r1", "r2", "r3")
    assert data.notes == ("left out: ID", "1 row has no label")


@pytest.mark.parametrize(
    ("labels", "classes", "codes"),
    [
        (["10", "9", "-1"], ("9", "10"), [1, 0, -1]),
        (["7.0", "", "-1.0"], ("7",), [0, -1, -1]),
        (["b", "10", "9"], ("10", "9", "b"), [2, 0, 1]),
        (["-1", "", "-1"], None, None),
        (["true", "false", "true"], ("false", "true"), [1, 0, 1]),
    ],
)
def test_label_values(csv, labels, classes, codes):
    data = read(csv("a,label\n" + "".join(f"1,{label}\n" for label in labels)))
    assert data.schema.classes == classes
    assert (None if data.labels is None else data.labels.tolist()) == codes


def test_label_column_and_feature_columns(csv):
    path = csv("a,b,species,c\n1,2,x,3\n4,5,y,6\n")
    assert read(path, label_column="species").schema.columns == ("a", "b", "c")
    data = read(path, label_column="species", columns=["c", "a"])
    assert data.x.tolist() == [[3, 1], [6, 4]] and data.schema.classes == ("x", "y")
    assert "did you mean species?" in refused(path, label_column="specie")
    assert "no column 'd'" in refused(path, columns=["a", "d"])
    data = read(path)
    assert data.schema.columns == ("a", "b", "species", "c") and data.schema.mixed is not None
    assert "numbers" not in data.notes[0] and data.notes[0] == "categories: a, b, species, c"
    like = read(path, columns=["a", "b"], kind="table").schema
    message = refused(path, like=like, columns=["a", "species"])
    assert "species is not numeric" in message and "--columns a,b,c" in message and "--label-column NAME" in message


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("name", ["t.csv", "T.CSV", "t.csv.gz", "t.tsv", "t.tsv.gz"])
def test_line_ends_byte_order_mark_and_gzip(csv, name, end):
    comma = "\t" if "tsv" in name else ","
    text = end.join(["a,b,label", "1,2,x", "3,4,y", ""]).replace(",", comma)
    data = read(csv(b"\xef\xbb\xbf" + text.encode(), name))
    assert data.schema.columns == ("a", "b") and data.x.tolist() == [[1, 2], [3, 4]]


def test_other_separators_are_found_and_noted(csv):
    for comma, word in ((";", "semicolons"), ("\t", "tabs")):
        data = read(csv("a,b\n1,2\n".replace(",", comma)))
        assert data.x.tolist() == [[1, 2]] and word in data.notes[0]


def test_no_header(csv):
    data = read(csv("1,2.5,3\n4,5,6\n"))
    assert data.schema.columns == ("x0", "x1", "x2") and len(data) == 2 and "no header" in data.notes[0]
    assert read(csv("5,1,2\n3,4,5\n"), label_column="x0").schema.classes == ("3", "5")


def test_pandas_headers(csv):
    assert read(csv("0,1,2\n7,8,9\n")).x.tolist() == [[7, 8, 9]], "columns without names are counted"
    data = read(csv(",a,b\n0,7,8\n1,9,10\n"))
    assert data.schema.columns == ("a", "b") and data.ids == ("0", "1"), "row numbers are no feature"


def test_blank_lines_old_line_ends_and_trailing_separators(csv):
    assert read(csv("a,b\n1,2\n\n3,4\n\n")).x.tolist() == [[1, 2], [3, 4]]
    assert read(csv("a,b\r1,2\r3,4\r")).x.tolist() == [[1, 2], [3, 4]]
    assert read(csv("a,b,\n1,2,\n3,4,\n")).schema.columns == ("a", "b")


def test_types_that_show_late(csv):
    rows = ["1,1,1"] * 2000
    data = read(csv("\n".join(["a,b,label", *rows, "2.5,99999999999999999999,x"])))
    assert data.x[-1].tolist() == [2.5, np.float32(1e20)] and data.schema.classes == ("1", "x")
    hole = csv("\n".join(["a,b", *["1,1"] * 2000, "1,"]))
    assert np.isnan(read(hole).x[-1, 1]) and read(hole).notes == ("numbers: a, b", "missing cells: b 1")
    assert "missing value in row 2000 (counted from 0), column b" in refused(hole, like=TRAINED)
    word = csv("\n".join(["a,b", *["1,1"] * 2000, "1,x"]))
    assert np.isnan(read(word).x[-1, 1]) and "'b': 1 unknown value taken for missing" in read(word).notes
    assert "row 2000 (counted from 0) of column b has 'x'" in refused(word, like=TRAINED)


def test_quotes_spaces_and_booleans(csv):
    data = read(csv('"a, b", c ,flag\n"1", 2,true\n3, 4,false\n'))
    assert data.schema.columns == ("a, b", "c", "flag")
    assert [column.type for column in data.schema.mixed] == ["integer", "integer", "boolean"]
    assert [column.decode(data.x[:, i]) for i, column in enumerate(data.schema.mixed)] == [
        [1, 3],
        [2, 4],
        [True, False],
    ]
    like = Schema("table", (3,), integer=(True,) * 3, columns=("a, b", "c", "flag"))
    assert read(csv('"a, b", c ,flag\n"1", 2,true\n3, 4,false\n'), like=like).x.tolist() == [[1, 2, 1], [3, 4, 0]]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty"),
        ("a,b\n", "has no rows; it has only a header"),
        ("a,a\n1,2\n", "two columns called 'a'"),
        ("a,b\n,NA\n,?\n", "has no columns that can be used; left out: 'a' (empty), 'b' (empty)"),
        ("a,b\n1,2\n3,inf\n", "inf in row 1 (counted from 0), column b"),
        ("a,b\n1,2\n3,4,5\n", "line 3 has more or fewer than the 2 columns"),
        ("a,b\n1,2\n3,1e300\n", "1e+300 in row 1 (counted from 0), column b is too large"),
        ("\x1b[31m,b\nNA,\n,?\n", r"'\x1b[31m' (empty)"),
        ("a,label\n1,0.5\n", "labels that are fractions (column label); aae learns classes"),
        ("label\n1\n", "no feature columns"),
        ("a,b\n1,é\n".encode("latin1"), "line 2 is not UTF-8"),
        ("a,b\n1,2\n".encode("utf-16"), "UTF-16"),
        (b"\x89PNG\r\n\x1a\n\0\0", "binary"),
    ],
)
def test_refusals(csv, text, words):
    assert words in refused(csv(text))


def test_a_column_is_not_both_feature_and_label(csv):
    message = refused(csv("a,b\n1,2\n3,4\n"), columns=["a", "b"], label_column="b")
    assert "cannot be both a feature and the label" in message


def test_at_most_five_columns_are_named(csv):
    like = Schema("table", (7,), columns=tuple("abcdefg"))
    message = refused(csv("a,b,c,d,e,f,g\n" + "x,x,x,x,x,x,x\n"), like=like)
    assert "a, b, c, d, e and 2 more" in message


def test_damaged_gzip(csv, tmp_path):
    path = Path(csv("a,b\n1,2\n" * 100, "t.csv.gz"))
    path.write_bytes(path.read_bytes()[:-12])
    assert "cut short or damaged" in refused(str(path))


def test_parquet(tmp_path):
    import polars as pl

    path = str(tmp_path / "t.parquet")
    pl.DataFrame({"a": [1, 2], "b": [0.5, 1.5], "label": ["x", None]}).write_parquet(path)
    data = read(path)
    assert data.x.tolist() == [[1, 0.5], [2, 1.5]] and data.label_names == ["x", ""]
    Path(path).write_bytes(b"PAR1 no")
    assert "not a sound Parquet file" in refused(path)


def test_stdin(monkeypatch):
    def give(content: bytes) -> None:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content)))

    give(b"a,b\n1,2\n")
    data = read("-")
    assert data.name == "stdin" and data.x.tolist() == [[1, 2]]
    give(b"a\tb\n1\t2\n")
    assert read("-", format="tsv").x.tolist() == [[1, 2]]
    give(gzip.compress(b"a,b\n1,2\n"))
    assert read("-").x.tolist() == [[1, 2]]
    buffer = io.BytesIO()
    np.savez(buffer, x=np.ones((2, 3)))
    give(buffer.getvalue())
    assert read("-", format="npz").x.shape == (2, 3)
    give(buffer.getvalue())
    assert "--format" in refused("-")
    with pytest.raises(UsageError, match="did you mean csv"):
        read("-", format="cvs")


def pixels(side: int, top: int, rows: int = 3, name: str = "p{}") -> str:
    columns = side * side
    values = (np.arange(rows * columns).reshape(rows, columns) * 7) % (top + 1)
    lines = [",".join(name.format(i) for i in range(columns)), *(",".join(map(str, row)) for row in values)]
    return "\n".join(lines) + "\n"


def test_pixels_are_recognised(csv):
    path = csv(pixels(8, 16))
    data = read(path)
    assert data.schema.kind == "image" and data.schema.shape == (1, 8, 8) and data.x.dtype == np.uint8
    assert (data.schema.low, data.schema.high, data.schema.integer) == (0, 16, (True,))
    assert data.schema.columns[:2] == ("p0", "p1")
    assert data.notes == (
        "64 whole-number columns from 0 to 16 are read as 8×8 pixels; --kind table reads them as a table",
    )
    assert read(path, kind="table").schema.kind == "table"
    assert read(csv(pixels(8, 255))).schema.high == 255
    assert read(csv(pixels(8, 100))).schema.kind == "table"
    assert read(csv(pixels(8, 100)), kind="image").schema.high == 255
    assert read(csv(pixels(7, 16))).schema.kind == "table"
    assert read(csv(pixels(7, 16)), kind="image").schema.shape == (1, 7, 7)
    assert "no square image" in refused(csv("a,b\n1,2\n"), kind="image")


@pytest.mark.parametrize("name", ["pixel{}", "pixel_{}_0", "px-{}", "P{}", "1x{}", "pixels{}"])
def test_columns_named_like_pixels_are_pixels(csv, name):
    assert read(csv(pixels(8, 16, name=name))).schema.kind == "image"


@pytest.mark.parametrize("name", ["item{}", "q{}", "pH{}", "price{}"])
def test_a_square_table_of_whole_numbers_is_a_table(csv, name):
    """A hundred answers from 0 to 10 are no picture."""
    path = csv(pixels(8, 10, name=name))
    data = read(path)
    assert data.schema.kind == "table"
    assert data.notes == (
        "64 whole-number columns from 0 to 10 are read as a table; --kind image reads them as pixels",
    )
    assert read(path, kind="image").schema.shape == (1, 8, 8)


def test_the_label_that_means_unlabelled_can_be_named(csv):
    path = csv("a,label\n1,-1\n2,0\n3,9\n4,\n")
    data = read(path, unlabelled="9")
    assert data.schema.classes == ("-1", "0") and data.labels.tolist() == [0, 1, -1, -1]
    assert "2 rows have no label" in data.notes
    words = read(csv("a,label\n1,cat\n2,unknown\n3,dog\n"), unlabelled="unknown")
    assert words.schema.classes == ("cat", "dog") and words.labels.tolist() == [0, -1, 1]


TRAINED = Schema("table", (2,), integer=(False, True), columns=("a", "b"), classes=("u",))


def test_like_takes_columns_by_name(csv):
    data = read(csv("b,text,a,label\n1,x,2,v\n"), like=TRAINED)
    assert data.x.tolist() == [[2, 1]]
    assert data.schema == TRAINED.with_classes(("v",))
    assert data.notes == ("left out: text",)


def test_like_takes_columns_by_position(csv):
    data = read(csv("id,c,d,label\nr,1,2,u\n"), like=TRAINED)
    assert data.x.tolist() == [[1, 2]] and "by position" in data.notes[-1]
    assert data.schema.columns == ("a", "b")


def test_like_refuses_other_columns(csv):
    message = refused(csv("a,c,d\n1,2,3\n"), like=TRAINED)
    assert "3 numeric columns" in message and "trained on 2" in message and "not there: b" in message
    assert "another order" in refused(csv("b,c\n1,2\n"), like=TRAINED)
    assert "b is not numeric" in refused(csv("a,b\n1,x\n"), like=TRAINED)
    assert "missing value in row 1 (counted from 0), column b" in refused(csv("a,b\n1,2\n3,\n"), like=TRAINED)
    assert "row 2 (counted from 0) of column b has 'NA'" in refused(csv("a,b\n1,2\n3,4\n5,NA\n"), like=TRAINED)
    assert r"b\x1b[31m" in refused(csv("a,b\x1b[31m\n1,x\n"), columns=["a", "b\x1b[31m"], like=TRAINED)
    features = Schema("table", (1,), columns=("label",))
    assert read(csv("label\n1\n"), like=features).labels is None


def test_csv_for_an_image_model(csv):
    like = Schema("image", (1, 2, 2), 0, 255, (True,))
    data = read(csv("a,b,c,d,label\n0,1,2,255,7\n"), like=like)
    assert data.x.dtype == np.uint8 and data.x.tolist() == [[0, 1, 2, 255]] and data.schema.classes == ("7",)
    assert "row 1 (counted from 0) has the value 256" in refused(csv("a,b,c,d\n0,1,2,255\n0,1,256,0\n"), like=like)
    message = refused(csv("a,b,c,d\n0,0.5,1,1\n"), like=like)
    assert "values are floats in [0, 1], but the model was trained on integers in 0..255; multiply by 255" in message


def test_read_row(csv):
    path = csv("id,a\nr,1\ns,2\n")
    row = read_row(f"{path}[1]")
    assert row.x.tolist() == [[2]] and row.ids == ("s",) and len(row) == 1
    with pytest.raises(DataError, match=r"no row 2 \(counted from 0\); it has 2 rows"):
        read_row(f"{path}[2]")
    with pytest.raises(DataError, match="no row -1"):
        read_row(f"{path}[-1]")
    with pytest.raises(DataError, match="has 2 rows; choose one"):
        read_row(path)
    assert "--style-from" in refused(f"{path}[1]")


def test_a_panic_of_the_parquet_reader_stays_off_stderr(tmp_path, capfd):
    from aae_cli.data.streams import hushed

    with hushed():
        os.write(2, b"thread panicked")
    os.write(2, b"heard")
    assert capfd.readouterr().err == "heard"
