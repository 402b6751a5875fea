"""Codes in and out: nearest rows, decoded codes, walks between rows, and one dimension varied."""

import io
import shutil

import numpy as np
import polars as pl
import pytest
from PIL import Image

from aae_cli import load, read


def values(done, names):
    return np.array([[float(row[name]) for name in names] for row in done.rows])


def test_codes_that_were_written_are_decoded(run, ten_d, digits_npz, tmp_path):
    run(["embed", digits_npz, "-c", ten_d, "--dims", "all", "-o", "codes.csv"], tmp_path).ok()
    decoded = run(["sample", "-c", ten_d, "--decode", "codes.csv", "-o", "-", "--format", "csv"], tmp_path).ok()
    expected = load(ten_d, "cpu").reconstruct(read(str(digits_npz)).x)
    assert np.abs(values(decoded, decoded.header) - expected).max() <= 1.01, "but for the digits of the codes"
    run(["embed", digits_npz, "-c", ten_d, "-o", "2d.csv"], tmp_path).ok()
    run(["sample", "-c", ten_d, "--decode", "2d.csv"], tmp_path).refused(1, "10 dimensions")
    (tmp_path / "no.csv").write_text("a,b\n1,2\n3,4\n")
    run(["sample", "-c", ten_d, "--decode", "no.csv"], tmp_path).refused(1, "no codes", "z0")


def test_columns_of_codes_may_stand_in_any_order_beside_others(run, ten_d, digits_npz, tmp_path):
    run(["embed", digits_npz, "-c", ten_d, "--dims", "all", "-o", "codes.csv"], tmp_path).ok()
    frame = pl.read_csv(tmp_path / "codes.csv")
    names = [name for name in frame.columns if name.startswith("z")]
    shuffled = frame.select(*reversed(names), pl.lit("cat/1.png").alias("neighbour1"))
    shuffled.write_csv(tmp_path / "shuffled.csv")
    words = ["sample", "-c", ten_d, "-o", "-", "--format", "csv", "--decode"]
    assert run([*words, "shuffled.csv"], tmp_path).ok().out == run([*words, "codes.csv"], tmp_path).ok().out
    for other in ("codes.npz", "codes.npy", "codes.parquet"):
        run(["embed", digits_npz, "-c", ten_d, "--dims", "all", "-o", other], tmp_path).ok()
        assert len(run([*words, other], tmp_path).ok().rows) == len(frame)
    piped = run([*words, "-"], tmp_path, stdin=(tmp_path / "shuffled.csv").read_bytes()).ok()
    assert piped.out == run([*words, "codes.csv"], tmp_path).ok().out


def test_a_walk_starts_at_one_row_and_ends_at_the_other(run, quick, tmp_path):
    words = ["sample", "-c", quick, "--between", "mnist-mini:test[3]", "mnist-mini:test[8]", "-n", "5"]
    done = run([*words, "-o", "-", "--format", "csv"], tmp_path).ok()
    rows = values(done, done.header)
    ends = load(quick, "cpu").reconstruct(read("mnist-mini:test").x[[3, 8]])
    assert len(rows) == 5 and np.abs(rows[[0, -1]] - ends).max() <= 1.01
    assert 0 < np.abs(rows[1] - rows[0]).mean() < np.abs(rows[-1] - rows[0]).mean()
    run([*words, "-o", "walk.png"], tmp_path).ok()
    assert Image.open(tmp_path / "walk.png").width > 500
    run([*words[:-1], "1"], tmp_path).refused(2, "-n 1")
    shutil.copytree(quick, tmp_path / "runs" / "quick")
    run(["sample", "--between", "mnist-mini:test[3]", "no.png"], tmp_path).refused(1, "no.png does not exist")


def test_one_dimension_is_varied_for_each_category(run, quick, tmp_path):
    words = ["sample", "-c", quick, "--traverse", "z1", "-n", "4", "-o", "-", "--format", "csv"]
    done = run([*words, "--cluster", "2"], tmp_path).ok()
    rows = values(done, [name for name in done.header if name != "label"])
    assert len(rows) == 4 and np.abs(np.diff(rows, axis=0)).sum(1).min() > 0
    along_z0 = run([*words[:4], "z0", *words[5:], "--cluster", "2"], tmp_path).ok()
    assert along_z0.out != done.out
    every = run(words, tmp_path).ok()
    classes = load(quick, "cpu").columns
    assert len(every.rows) == 4 * classes
    run([*words[:4], "z99", *words[5:]], tmp_path).refused(2, "z99", "z0")
    run([*words[:4], "x", *words[5:]], tmp_path).refused(2, "not a dimension")


def test_a_decoder_of_classes_needs_one(run, supervised, ten_d, digits_npz, tmp_path):
    run(["embed", digits_npz, "-c", supervised, "--dims", "all", "-o", "codes.csv"], tmp_path).ok()
    words = ["sample", "-c", supervised, "--decode", "codes.csv"]
    run(words, tmp_path).refused(2, "--label")
    sevens = run([*words, "--label", "7", "-o", "-", "--format", "csv"], tmp_path).ok()
    model = load(supervised, "cpu")
    expected = model.reconstruct(read(str(digits_npz)).x[:5], np.full(5, 7))
    assert np.abs(values(sevens, sevens.header)[:5] - expected).max() <= 1.01
    between = ["sample", "--between", f"{digits_npz}[3]", f"{digits_npz}[8]", "-n", "3", "--label", "7"]
    assert Image.open(io.BytesIO(run([*between, "-c", supervised, "-o", "-", "--format", "png"], tmp_path).ok().raw))
    run([*between, "-c", ten_d], tmp_path).refused(2, "receives no class")


def test_codes_must_be_numbers(run, ten_d, tmp_path):
    names = ",".join(f"z{i}" for i in range(10))
    (tmp_path / "holes.csv").write_text(f"{names}\n" + ("1," * 9 + "\n" + "1," * 9 + "2\n") * 9)
    run(["sample", "-c", ten_d, "--decode", "holes.csv"], tmp_path).refused(1, "holes.csv", "z9", "numbers")
    columns = {f"z{i}": np.ones(4) for i in range(10)}
    for name, bad in (("text", np.array(["a"] * 4)), ("nan", np.full(4, np.nan))):
        np.savez(tmp_path / f"{name}.npz", **{**columns, "z9": bad})
        run(["sample", "-c", ten_d, "--decode", f"{name}.npz"], tmp_path).refused(1, f"{name}.npz", "z9")
    np.savez(tmp_path / "short.npz", **{**columns, "z9": np.ones(3)})
    run(["sample", "-c", ten_d, "--decode", "short.npz"], tmp_path).refused(1, "short.npz", "one length")
    (tmp_path / "gap.csv").write_text(names.replace("z4", "a") + "\n" + ("1," * 9 + "2\n") * 9)
    run(["sample", "-c", ten_d, "--decode", "gap.csv"], tmp_path).refused(1, "gap.csv", "z4")


@pytest.mark.parametrize(
    "more",
    [
        ["--decode", "c.csv", "--cluster", "3"],
        ["--decode", "c.csv", "-n", "3"],
        ["--between", "a", "b", "--style-grid"],
        ["--traverse", "z0", "--where", "a>1"],
    ],
)
def test_ways_to_sample_exclude_each_other(run, quick, tmp_path, more):
    run(["sample", "-c", quick, *more], tmp_path).refused(2, "exclude each other")


def test_neighbours_are_the_nearest_rows_of_the_whole_representation(run, ten_d, digits_npz, tmp_path):
    done = run(["embed", digits_npz, "-c", ten_d, "--neighbours", "3"], tmp_path).ok()
    assert done.header == ["id", "label", "neighbour1", "neighbour2", "neighbour3", "x", "y"]
    codes = load(ten_d, "cpu").embed(read(str(digits_npz)).x).astype(np.float64)
    distance = np.square(codes[:, None] - codes).sum(-1)
    np.fill_diagonal(distance, np.inf)
    found = values(done, ["neighbour1", "neighbour2", "neighbour3"]).astype(int)
    nearest = np.take_along_axis(distance, found, 1)
    assert np.allclose(nearest, np.sort(distance, 1)[:, :3], rtol=1e-3)
    run(["embed", digits_npz, "-c", ten_d, "--neighbours", "99999"], tmp_path).refused(1, "others")
