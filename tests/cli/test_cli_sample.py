"""``aae sample`` in all its forms."""

import io
import json

import numpy as np
import polars as pl
import pytest
from conftest import digits_of
from PIL import Image
from safetensors import safe_open


def picture(folder, done):
    path = folder / done.ok().out.removesuffix("\n")
    assert path.is_file()
    return Image.open(path)


def test_png_path_is_printed_and_nothing_is_overwritten(run, quick, tmp_path):
    first, second = (run(["sample", "-c", quick], tmp_path).ok() for _ in range(2))
    assert first.out != second.out
    assert {path.name for path in tmp_path.iterdir()} == {first.out.strip(), second.out.strip()}
    one, two = picture(tmp_path, first), picture(tmp_path, second)
    assert np.array_equal(np.asarray(one), np.asarray(two)), "the same seed gives the same samples"
    other = picture(tmp_path, run(["sample", "-c", quick, "--seed", "5"], tmp_path))
    assert not np.array_equal(np.asarray(one), np.asarray(other))


def test_o_writes_there_and_leaves_stdout_empty(run, quick, tmp_path):
    done = run(["sample", "-c", quick, "-n", "9", "-o", "nine.png"], tmp_path).ok()
    assert done.out == ""
    assert "nine.png" in done.err
    width, height = Image.open(tmp_path / "nine.png").size
    assert 0 <= height - width < 40, "three by three, under a title"


def test_npz_holds_pixels_in_the_units_of_the_training_data(run, quick, tmp_path):
    run(["sample", "-c", quick, "-n", "30", "-o", "s.npz"], tmp_path).ok()
    with np.load(tmp_path / "s.npz", allow_pickle=False) as file:
        x, y = file["x"], file["y"]
    assert x.shape == (30, 28, 28)
    assert x.dtype == np.uint8
    assert x.max() > 150
    assert len(y) == 30
    again = run(["cluster", "s.npz", "-c", quick], tmp_path).ok()
    assert len(again.rows) == 30


def test_labels_in_turn(run, supervised, tmp_path):
    done = run(
        ["sample", "-c", supervised, "-n", "6", "--label", "3", "--label", "8", "-o", "-", "--format", "csv"], tmp_path
    ).ok()
    assert [row["label"] for row in done.rows] == ["3", "8"] * 3
    assert len(done.header) == 65
    values = np.array([[float(row[name]) for name in done.header[1:]] for row in done.rows])
    assert values.min() >= 0
    assert values.max() <= 16
    assert (values == np.rint(values)).all(), "digits are whole numbers from 0 to 16"


def test_a_label_of_a_supervised_model_changes_only_the_content(run, supervised, tmp_path):
    draws = [run(["sample", "-c", supervised, "-n", "4", "--label", k, "-o", f"{k}.npz"], tmp_path).ok() for k in "38"]
    assert all(done.out == "" for done in draws)
    three, eight = (np.load(tmp_path / f"{k}.npz") for k in "38")
    assert list(three["y"]) == ["3"] * 4
    assert list(eight["y"]) == ["8"] * 4
    assert not np.array_equal(three["x"], eight["x"])


def test_label_informed_prior(run, mixture_labels, tmp_path):
    done = run(["sample", "-c", mixture_labels, "-n", "5", "--label", "2", "-o", "-", "--format", "csv"], tmp_path).ok()
    assert [row["label"] for row in done.rows] == ["2"] * 5


def test_clusters_in_turn(run, quick, tmp_path):
    args = ["sample", "-c", quick, "-n", "800", "--cluster", "4", "--cluster", "0", "-o", "s.npz"]
    run(args, tmp_path).ok()
    with np.load(tmp_path / "s.npz") as file:
        x, labels = file["x"].astype(float), file["y"]
    with safe_open(quick / "model.safetensors", "numpy") as file:
        header = json.loads(file.metadata()["aae"])
    names = [header["schema"]["classes"][header["cluster_labels"][k]] for k in (4, 0)]
    assert list(labels) == names * 400
    between = np.linalg.norm(x[0::2].mean(0) - x[1::2].mean(0))
    within = np.linalg.norm(x[0:400:2].mean(0) - x[400:800:2].mean(0))
    assert between > 1.4 * within, "clusters look different, samples of one alike"


def test_style_grid_one_row_a_style_one_column_a_label(run, supervised, tmp_path):
    done = run(["sample", "-c", supervised, "--style-grid", "-n", "3", "-o", "-", "--format", "csv"], tmp_path).ok()
    assert [row["label"] for row in done.rows] == [str(i) for i in range(10)] * 3
    columns = [
        "sample",
        "-c",
        supervised,
        "--style-grid",
        "-n",
        "3",
        "--label",
        "1",
        "--label",
        "5",
        "-o",
        "-",
        "--format",
        "csv",
    ]
    chosen = run(columns, tmp_path).ok()
    assert [row["label"] for row in chosen.rows] == ["1", "5"] * 3
    image = picture(tmp_path, run(["sample", "-c", supervised, "--style-grid", "-n", "3"], tmp_path))
    assert image.width > 2.5 * image.height


@pytest.mark.parametrize("model", ["gaussian", "mixture_labels", "dim_reduction", "ten_d", "semi"])
def test_every_variant_has_samples_and_a_grid(run, model, request, tmp_path):
    checkpoint = request.getfixturevalue(model)
    for flags in ([], ["--style-grid"]):
        image = picture(tmp_path, run(["sample", "-c", checkpoint, *flags], tmp_path))
        assert image.width >= 200
        assert np.asarray(image).std() > 1


def test_style_from_takes_the_style_of_a_row(run, semi, quick, tmp_path):
    args = ["sample", "-c", semi, "--style-from"]
    five = run([*args, "mnist-mini:test[5]", "-o", "-", "--format", "csv"], tmp_path).ok()
    assert [row["label"] for row in five.rows] == [str(i) for i in range(10)]
    six = run([*args, "mnist-mini:test[6]", "-o", "-", "--format", "csv"], tmp_path).ok()
    assert five.out != six.out
    one = run([*args, "mnist-mini:test[5]", "--label", "3", "-o", "-", "--format", "csv"], tmp_path).ok()
    assert one.out.splitlines()[1] == five.out.splitlines()[4]
    run([*args, "mnist-mini:test[99999]"], tmp_path).refused(1, "99999", "1000 rows")
    run([*args, "mnist-mini:test"], tmp_path).refused(1, "mnist-mini:test[0]")


def test_table_samples_have_the_columns_and_units_of_the_file(run, iris, tmp_path):
    done = run(["sample", "-c", iris, "-n", "300", "-o", "s.csv"], tmp_path).ok()
    assert done.out == ""
    frame = pl.read_csv(tmp_path / "s.csv")
    assert [c for c in frame.columns if c != "species"] == [
        "sepal length (cm)", "sepal width (cm)", "petal length (cm)", "petal width (cm)", "petals",
    ]  # fmt: skip
    assert 4.5 < frame["sepal length (cm)"].mean() < 7.5
    assert 1.5 < frame["petal length (cm)"].mean() < 6.5
    assert frame["petals"].dtype.is_integer(), "a column of whole numbers stays one"
    cells = (tmp_path / "s.csv").read_text().splitlines()[1].split(",")
    name = frame.columns.index("sepal length (cm)")
    assert digits_of(cells[name]) <= 7
    assert set(frame["species"]) <= {"setosa", "versicolor", "virginica", None, ""}


def test_table_without_o_writes_a_file_and_prints_its_path(run, iris, tmp_path):
    done = run(["sample", "-c", iris, "-n", "3"], tmp_path).ok()
    path = tmp_path / done.out.removesuffix("\n")
    assert len(path.read_text().splitlines()) == 4
    run(["sample", "-c", iris, "--format", "png"], tmp_path).refused(2, "table")
    run(["sample", "-c", iris, "-o", "x.png"], tmp_path).refused(2, "table")
    assert not (tmp_path / "x.png").exists()


def test_sample_pipes_into_classify_and_back_as_tables(run, iris, tmp_path):
    rows = run(["sample", "-c", iris, "-n", "50", "-o", "-", "--format", "csv"], tmp_path).ok()
    done = run(["classify", "-", "-c", iris], tmp_path, stdin=rows.raw).ok()
    assert done.header == ["id", "label", "prediction", "confidence"]
    assert len(done.rows) == 50


@pytest.mark.parametrize("form", ["tsv", "parquet", "ndjson", "json", "npz", "npy"])
def test_formats(run, iris, tmp_path, form):
    done = run(["sample", "-c", iris, "-n", "7", "-o", "-", "--format", form], tmp_path).ok()
    readers = {
        "tsv": lambda raw: len(pl.read_csv(raw, separator="\t")),
        "parquet": lambda raw: len(pl.read_parquet(io.BytesIO(raw))),
        "ndjson": lambda raw: len(pl.read_ndjson(raw)),
        "json": lambda raw: len(pl.read_json(raw)),
        "npz": lambda raw: len(np.load(io.BytesIO(raw), allow_pickle=False)["x"]),
        "npy": lambda raw: len(np.load(io.BytesIO(raw), allow_pickle=False)),
    }
    assert readers[form](done.raw) == 7


def test_refusals(run, quick, gaussian, supervised, ten_d, tmp_path):
    run(["sample", "-c", quick, "--label", "seven"], tmp_path).refused(2, "seven", "0, 1, 2")
    run(["sample", "-c", quick, "--cluster", "10"], tmp_path).refused(2, "10 clusters")
    run(["sample", "-c", quick, "--cluster", "1", "--label", "1"], tmp_path).refused(2, "--label", "--cluster")
    run(["sample", "-c", gaussian, "--label", "7"], tmp_path).refused(1, "gaussian", "supervised")
    run(["sample", "-c", gaussian, "--cluster", "1"], tmp_path).refused(2, "cluster")
    run(["sample", "-c", gaussian, "--style-from", "digits[0]"], tmp_path).refused(1, "style", "supervised")
    run(["sample", "-c", supervised, "--cluster", "1"], tmp_path).refused(2, "cluster")
    run(["sample", "-c", quick, "-o", "no/such/x.png"], tmp_path).refused(1, "no/such")
    run(["sample", "-c", quick, "-o", "x.xyz"], tmp_path).refused(2, ".xyz", "png")
    run(["sample", "-c", quick, "--format", "bmp"], tmp_path).refused(2, "bmp", "png")
    assert list(tmp_path.iterdir()) == []
