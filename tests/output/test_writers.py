"""Writers: formats, digits, and files that appear whole or not at all."""

import io
import os
import stat

import numpy as np
import polars as pl
import pytest

from aae_cli.errors import AaeError, UsageError
from aae_cli.files import whole_file, write_whole
from aae_cli.output.writers import output_format, significant, table_bytes

TABLE = {
    "id": [0, 1],
    "label": ["a", ""],
    "x": np.array([1 / 3, 123456.789], np.float32),
    "n": np.array([3.0, 255.0], np.float32),
}


def test_csv_has_seven_significant_digits_and_whole_numbers_stay_whole():
    lines = table_bytes(TABLE, "csv").decode().splitlines()
    assert lines[0] == "id,label,x,n"
    assert lines[1] == "0,a,0.3333333,3"
    assert lines[2].startswith("1,") and lines[2].endswith(",123456.8,255")


@pytest.mark.parametrize("value", [0.0, 1.0, -1 / 3, 1e-20, 1.0928931e-17, 1.4251634e-23, 6.02e23, 1e-45, np.pi * 1e-7])
def test_significant_digits(value):
    got = significant(np.array([value]))[0]
    assert got == pytest.approx(value, rel=1e-6)
    digits = repr(float(got)).lstrip("-").split("e")[0].replace(".", "").strip("0")
    assert len(digits) <= 7


def test_significant_keeps_what_is_not_finite():
    assert np.isnan(significant(np.array([np.nan]))[0])
    assert significant(np.array([np.inf]))[0] == np.inf


@pytest.mark.parametrize("format", ["parquet", "ndjson", "json"])
def test_tables_read_back(format):
    frame = getattr(pl, f"read_{format}")(io.BytesIO(table_bytes(TABLE, format)))
    assert frame.columns == list(TABLE)
    assert frame["x"][0] == pytest.approx(1 / 3, abs=1e-7)


def test_numpy_files_read_back_without_pickle():
    loaded = np.load(io.BytesIO(table_bytes(TABLE, "npz")), allow_pickle=False)
    assert loaded["label"].tolist() == ["a", ""]
    array = np.load(io.BytesIO(table_bytes(TABLE, "npy")), allow_pickle=False)
    assert array.shape == (2, 2)


def test_text_that_looks_like_csv_is_quoted():
    text = table_bytes({"label": ['a,"b"', "c"]}, "csv").decode()
    assert pl.read_csv(io.StringIO(text))["label"].to_list() == ['a,"b"', "c"]


def test_the_format_is_told_by_option_then_suffix_then_default():
    assert output_format("a.parquet", None, default="csv") == "parquet"
    assert output_format("a.parquet", "tsv", default="csv") == "tsv"
    assert output_format("-", None, default="csv") == "csv"
    assert output_format("a.csv", "npy", pipe_input=True, default="csv") == "csv"
    with pytest.raises(UsageError, match="xls"):
        output_format("a.xls", None, default="csv")
    with pytest.raises(UsageError, match="choose from"):
        output_format(None, "xls", default="csv")


def test_a_failed_write_leaves_what_was_there(tmp_path):
    target = tmp_path / "out.csv"
    target.write_text("before")
    with pytest.raises(ZeroDivisionError), whole_file(target) as temporary:
        temporary.write_text(f"half{1 / 0}")
    assert target.read_text() == "before"
    assert list(tmp_path.iterdir()) == [target]


def test_links_and_modes_are_kept(tmp_path):
    real, link = tmp_path / "real.csv", tmp_path / "link.csv"
    real.write_text("old")
    real.chmod(0o640)
    link.symlink_to(real)
    write_whole(link, "new")
    assert link.is_symlink()
    assert real.read_text() == "new"
    write_whole(real, "newer")
    assert stat.S_IMODE(real.stat().st_mode) == 0o640


def test_devices_are_written_through():
    write_whole(__import__("pathlib").Path(os.devnull), "gone")
    assert not os.path.isfile(os.devnull)


def test_missing_folders_are_one_clear_error(tmp_path):
    with pytest.raises(AaeError, match="No such file"):
        write_whole(tmp_path / "no" / "out.csv", "x")
