"""``embed``, ``cluster``, ``classify``, ``evaluate``, ``info``: columns, rows, numbers, and the choice of a checkpoint."""

import csv
import json
import os
import re
import shlex
import shutil

import numpy as np
import polars as pl
import pytest
import yaml
from conftest import SHORT_FITS, digits_of, small
from PIL import Image


def column(done, name):
    return np.array([float(row[name]) for row in done.rows])


# --- columns, order, numbers ------------------------------------------------------------------------------------------


def test_embed_2d_columns(run, dim_reduction, digits_npz, tmp_path):
    done = run(["embed", digits_npz, "-c", dim_reduction], tmp_path).ok()
    assert done.header == ["id", "label", "x", "y"]
    assert [row["id"] for row in done.rows] == [str(i) for i in range(200)]
    with np.load(digits_npz) as file:
        labels = file["y"]
    assert [row["label"] for row in done.rows] == ["" if v < 0 else str(v) for v in labels]
    cells = [row[axis] for row in done.rows for axis in "xy"]
    assert max(map(digits_of, cells)) == 7
    assert "\r" not in done.out
    assert "dim_reduction" not in done.out


def test_embed_rows_do_not_depend_on_their_neighbours(run, dim_reduction, digits_npz, tmp_path):
    with np.load(digits_npz) as file:
        x = file["x"]
    np.save(tmp_path / "reversed.npy", x[::-1])
    whole = run(["embed", digits_npz, "-c", dim_reduction], tmp_path).ok()
    back = run(["embed", "reversed.npy", "-c", dim_reduction], tmp_path).ok()
    assert back.header == ["id", "x", "y"], "no labels, no label column"
    assert np.allclose(column(whole, "x"), column(back, "x")[::-1], rtol=1e-4, atol=1e-5)


def test_embed_larger_representations_and_dims(run, ten_d, semi, digits_npz, tmp_path):
    done = run(["embed", digits_npz, "-c", ten_d, "--dims", "all"], tmp_path).ok()
    assert done.header == ["id", "label", *(f"z{i}" for i in range(10))]
    assert run(["embed", digits_npz, "-c", ten_d], tmp_path).ok().header == ["id", "label", "x", "y"]
    run(["embed", digits_npz, "-c", ten_d, "--dims", "two"], tmp_path).refused(2, "--dims two", "all")
    flat = run(["embed", digits_npz, "-c", ten_d, "--dims", "2"], tmp_path).ok()
    assert flat.header == ["id", "label", "x", "y"]
    points = np.stack([column(done, f"z{i}") for i in range(10)], 1)
    # W_C = 10·I: head i goes to angle 2πi/10 on a circle of radius 10, by the linear map (section 7).
    angle = 2 * np.pi * np.arange(10) / 10
    expected = points @ np.stack([np.cos(angle), np.sin(angle)], 1)
    assert np.allclose(np.stack([column(flat, "x"), column(flat, "y")], 1), expected, atol=1e-4)
    three = run(["embed", digits_npz, "-c", ten_d, "--dims", "3"], tmp_path).ok()
    assert three.header == ["id", "label", "z0", "z1", "z2"]
    assert column(three, "z0").std() > column(three, "z1").std() > column(three, "z2").std()
    run(["embed", digits_npz, "-c", ten_d, "--dims", "11"], tmp_path).refused(1, "--dims 11", "10 dimensions")
    semi_d = run(["embed", "mnist-mini:test", "-c", semi, "--dims", "2"], tmp_path).ok()
    assert semi_d.header == ["id", "label", "x", "y"]
    assert len(semi_d.rows) == 1000


def test_embed_plot(run, ten_d, digits_npz, tmp_path):
    run(["embed", digits_npz, "-c", ten_d, "--dims", "all", "--plot", "p.png", "-o", "e.parquet"], tmp_path).ok()
    assert np.asarray(Image.open(tmp_path / "p.png").convert("RGB")).std() > 5
    frame = pl.read_parquet(tmp_path / "e.parquet")
    assert frame.columns == ["id", "label", *(f"z{i}" for i in range(10))]
    assert frame.height == 200


def test_cluster_columns(run, quick, iris, iris_csv, tmp_path):
    done = run(["cluster", "mnist-mini:test", "-c", quick, "--plot", "c.png"], tmp_path).ok()
    assert done.header == ["id", "cluster", "confidence", "label"]
    assert len(done.rows) == 1000
    assert {int(row["cluster"]) for row in done.rows} <= set(range(10))
    confidence = column(done, "confidence")
    assert confidence.min() >= 0.1 - 1e-6
    assert confidence.max() <= 1
    assert max(digits_of(row["confidence"]) for row in done.rows) == 7
    picture = Image.open(tmp_path / "c.png")
    assert picture.width > 17 * 28

    table = run(["cluster", iris_csv, "-c", iris, "--label-column", "species"], tmp_path).ok()
    assert table.header == ["id", "cluster", "confidence", "label"]
    assert [row["id"] for row in table.rows] == [f"r{i:03}" for i in range(150)]
    assert [row["label"] for row in table.rows] == ["setosa"] * 50 + ["versicolor"] * 50 + ["virginica"] * 50
    cluster = column(table, "cluster").astype(int)
    setosa = np.bincount(cluster[:50], minlength=3)
    others = np.bincount(cluster[50:], minlength=3)
    assert (np.minimum(setosa, others).sum() / 150) < 0.2, "clusters tell setosa from the others"


def test_cluster_needs_no_label_column_name_for_text_it_knows(run, iris, iris_csv, tmp_path):
    """The columns that the checkpoint remembers are enough: others, such as text, are left out."""
    done = run(["cluster", iris_csv, "-c", iris], tmp_path).ok()
    assert done.header == ["id", "cluster", "confidence", "label"]  # the label column is remembered too
    assert len(done.rows) == 150


def test_columns_in_another_order_are_found_by_name(run, iris, iris_csv, tmp_path):
    frame = pl.read_csv(iris_csv)
    frame.select(reversed(frame.columns)).write_csv(tmp_path / "reversed.csv")
    frame.write_parquet(tmp_path / "same.parquet")
    outs = [
        run(["cluster", name, "-c", iris], tmp_path).ok().out for name in (iris_csv, "reversed.csv", "same.parquet")
    ]
    assert outs[0] == outs[1] == outs[2]


def test_classify(run, semi, tmp_path):
    done = run(["classify", "mnist-mini:test", "-c", semi], tmp_path).ok()
    assert done.header == ["id", "label", "prediction", "confidence"]
    truth = run(["embed", "mnist-mini:test", "-c", semi], tmp_path).ok()
    assert [(row["id"], row["label"]) for row in done.rows] == [(row["id"], row["label"]) for row in truth.rows]
    right = np.mean([row["label"] == row["prediction"] for row in done.rows])
    assert right > 0.2, "rows are in order: far more right than by chance"

    proba = run(["classify", "mnist-mini:test", "-c", semi, "--proba"], tmp_path).ok()
    classes = [str(i) for i in range(10)]
    assert proba.header == ["id", "label", "prediction", "confidence", *classes]
    p = np.array([[float(row[name]) for name in classes] for row in proba.rows])
    assert np.allclose(p.sum(1), 1, atol=1e-5)
    assert [classes[i] for i in p.argmax(1)] == [row["prediction"] for row in done.rows]
    assert p.max(1) == pytest.approx([float(row["confidence"]) for row in done.rows])
    assert max(digits_of(row[name]) for row in proba.rows for name in classes) == 7


def test_classify_rows_without_ids_and_labels(run, semi, tmp_path):
    np.save(tmp_path / "x.npy", np.zeros((3, 28, 28), np.uint8))
    bare = run(["classify", "x.npy", "-c", semi], tmp_path).ok()
    assert bare.header == ["label"]
    assert len(bare.rows) == 3
    run(["classify", "x.npy", "-c", semi, "-o", "p.parquet"], tmp_path).ok()
    assert pl.read_parquet(tmp_path / "p.parquet").columns == ["id", "prediction", "confidence"]


def test_formats_of_input_and_output_are_apart(run, semi, tmp_path):
    np.save(tmp_path / "x.npy", np.zeros((3, 28, 28), np.uint8))
    raw = (tmp_path / "x.npy").read_bytes()
    args = ["classify", "-", "-c", semi, "--input-format", "npy", "--format", "json"]
    assert len(json.loads(run(args, tmp_path, stdin=raw).ok().out)) == 3
    (tmp_path / "x.data").write_bytes(raw)
    assert len(run(["classify", "x.data", "-c", semi, "--input-format", "npy"], tmp_path).ok().rows) == 3
    run(["classify", "-", "-c", semi, "--input-format", "npy", "--format", "idx"], tmp_path, stdin=raw).refused(
        2, "idx"
    )


def test_classify_by_named_clusters(run, iris, iris_csv, tmp_path):
    done = run(["classify", iris_csv, "-c", iris], tmp_path).ok()
    assert len(done.rows) == 150
    labels = [row["prediction"] for row in done.rows]
    assert set(labels) <= {"setosa", "versicolor", "virginica"}
    truth = np.repeat(["setosa", "versicolor", "virginica"], 50)
    assert np.mean(np.array(labels) == truth) > 0.5
    proba = run(["classify", iris_csv, "-c", iris, "--proba"], tmp_path).ok()
    names = ["setosa", "versicolor", "virginica"]
    assert proba.header == ["id", "label", "prediction", "confidence", *names]


def test_one_row_and_many_chunks(run, quick, tmp_path):
    np.save(tmp_path / "one.npy", np.zeros((1, 28, 28), np.uint8))
    np.save(tmp_path / "many.npy", np.zeros((5000, 28, 28), np.uint8))
    assert len(run(["cluster", "one.npy", "-c", quick], tmp_path).ok().rows) == 1
    many = run(["cluster", "many.npy", "-c", quick], tmp_path).ok()
    assert len({(row["cluster"], row["confidence"]) for row in many.rows}) == 1
    assert [row["id"] for row in many.rows] == [str(i) for i in range(5000)]


def test_folders_of_images_and_image_files(run, quick, tmp_path):
    random = np.random.default_rng(0)
    for name in ("a/one.png", "a/two.png", "b/three.png"):
        path = tmp_path / "pictures" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(random.integers(0, 256, (28, 28), dtype=np.uint8)).save(path)
    done = run(["cluster", "pictures", "-c", quick], tmp_path).ok()
    assert [row["label"] for row in done.rows] == ["a", "a", "b"]
    assert [row["id"] for row in done.rows] == ["a/one.png", "a/two.png", "b/three.png"]
    single = run(["cluster", "pictures/b/three.png", "-c", quick], tmp_path).ok()
    assert single.rows[0]["cluster"] == done.rows[2]["cluster"]


def test_output_forms(run, iris, iris_csv, tmp_path):
    done = run(["cluster", iris_csv, "-c", iris, "-o", "c.tsv"], tmp_path).ok()
    assert done.out == ""
    with (tmp_path / "c.tsv").open() as file:
        assert next(csv.reader(file, delimiter="\t")) == ["id", "cluster", "confidence", "label"]
    rows = [
        json.loads(line)
        for line in run(["cluster", iris_csv, "-c", iris, "-o", "-", "--format", "ndjson"], tmp_path)
        .ok()
        .out.splitlines()
    ]
    assert len(rows) == 150
    assert set(rows[0]) == {"id", "cluster", "confidence", "label"}
    text = run(["cluster", "-", "-c", iris, "--format", "csv"], tmp_path, stdin=iris_csv.read_bytes()).ok()
    assert len(text.rows) == 150


# --- evaluate, info ---------------------------------------------------------------------------------------------------


def test_evaluate(run, quick, semi, tmp_path):
    done = run(["evaluate", "mnist-mini:test", "-c", semi, "--json"], tmp_path).ok()
    measured = json.loads(done.out)
    rows = run(["classify", "mnist-mini:test", "-c", semi], tmp_path).ok().rows
    error = 100 * np.mean([row["label"] != row["prediction"] for row in rows])
    assert measured["classification-error"] == pytest.approx(error, abs=1e-4)
    one = run(["evaluate", "-c", quick, "--metric", "nmi", "--metric", "reconstruction-error"], tmp_path).ok()
    assert "nmi" in one.out
    assert "reconstruction-error" in one.out
    assert "cluster-error" not in one.out
    recorded = json.loads((quick / "metrics.jsonl").read_text().splitlines()[-1])["eval.nmi"]
    again = json.loads(run(["evaluate", "-c", quick, "--metric", "nmi", "--json"], tmp_path).ok().out)
    assert again["nmi"] == pytest.approx(recorded, abs=1e-5)


def test_a_metric_asked_for_is_the_only_one_printed(run, quick, tmp_path):
    done = run(["evaluate", "-c", quick, "--metric", "nmi", "--json"], tmp_path).ok()
    assert list(json.loads(done.out)) == ["nmi"]


def test_samples_of_a_table_are_compared_with_held_out_rows(run, iris, iris_csv, quick, tmp_path):
    found = json.loads(run(["evaluate", "-c", iris, "--metric", "table", "--json"], tmp_path).ok().out)
    names = ["column-shapes", "pair-trends", "detection-auc", "synthetic-utility", "copying"]
    assert list(found) == names  # no cell can be missing
    assert 0 <= found["column-shapes"] <= 1 and 0 <= found["pair-trends"] <= 1 and 0 < found["copying"] < 1
    again = run(
        ["evaluate", iris_csv, "-c", iris, "--metric", "copying", "--metric", "detection-auc", "--json"], tmp_path
    )
    assert json.loads(again.ok().out) == pytest.approx({name: found[name] for name in ("copying", "detection-auc")})
    other = tmp_path / "other.csv"
    shutil.copy(iris_csv, other)
    run(["evaluate", other, "-c", iris, "--metric", "table"], tmp_path).ok()
    run(["evaluate", "-c", quick, "--metric", "table"], tmp_path).refused(1, "table", "not one of a table")


def test_metrics_are_explained(run, quick, tmp_path):
    listed = run(["evaluate", "--metric", "list"], tmp_path).ok().out
    sentences = dict(line.split(maxsplit=1) for line in listed.splitlines())
    assert json.loads(run(["evaluate", "--metric", "list", "--json"], tmp_path).ok().out) == sentences
    lines = run(["evaluate", "-c", quick], tmp_path).ok().out.splitlines()
    assert lines[0].startswith("hungarian-accuracy ")
    assert lines.pop().endswith("with 95 % confidence.")
    for line in lines:
        assert line.endswith(sentences[line.split()[0]])
    card = (quick / "README.md").read_text()
    assert sentences["cluster-error"] in card


def test_a_card_shows_commands_that_work(run, quick, iris, models):
    for folder, commands in (
        (quick, {"info", "evaluate", "sample", "embed", "cluster", "classify"}),
        (iris, {"sample"}),
    ):
        use = (folder / "README.md").read_text().split("```sh\n")[1].split("```")[0]
        lines = [line for line in use.splitlines() if not line.startswith("#")]
        assert {line.split()[1] for line in lines} >= commands
        for line in lines:
            assert f"-c {folder.name}" in line
            run(shlex.split(line)[1:], models).ok()


def test_evaluate_refusals(run, quick, gaussian, tmp_path):
    run(["evaluate", "-c", quick, "--metric", "nmj"], tmp_path).refused(2, "nmj", "nmi")
    run(["evaluate", "-c", gaussian, "--metric", "cluster-error"], tmp_path).refused(
        1, "cluster-error", "no categories"
    )


def test_info(run, iris, tmp_path):
    facts = json.loads(run(["info", "-c", iris, "--json"], tmp_path).ok().out)
    assert facts["preset"] == "clustering"
    assert facts["finished"] is True
    assert facts["classes"] == ["setosa", "versicolor", "virginica"]
    assert "classify" in facts["can"]
    text = run(["info", "-c", iris / "model.safetensors"], tmp_path).ok().out
    assert "clustering" in text
    assert "setosa" in text
    assert not set("{}") & set(text), "no Python"
    rows = dict(re.split(r"  +", line.strip(), maxsplit=1) for line in text.splitlines() if line.startswith("  "))
    assert rows["columns"].startswith("sepal length (cm), sepal width (cm)") and rows["columns"].endswith("petals")
    assert rows["label column"] == "species"
    assert rows["classes"] == "setosa, versicolor, virginica"
    assert rows["ignored columns"] == "all others, in the training data id"
    assert rows["code"].startswith("y, 3 categories, merged from ")
    assert rows["finished"] == "yes" and rows["data"].endswith("iris.csv")


def test_info_of_images(run, quick, gaussian, tmp_path):
    text = run(["info", "-c", quick], tmp_path).ok().out
    assert "image 1 × 28 × 28, whole numbers from 0 to 255" in text
    assert "ignored columns" not in text
    assert re.search(r"hungarian-accuracy +\d", text)
    assert "classes of clusters" in text
    assert "classes of clusters" not in run(["info", "-c", gaussian], tmp_path).ok().out


# --- which checkpoint -------------------------------------------------------------------------------------------------


@pytest.fixture
def desk(tmp_path, dim_reduction, supervised, quick, iris):
    """Runs under ./runs, the newest last: digits in 2-D, digits with labels, mnist-mini clusters, iris clusters."""
    for age, source in enumerate([dim_reduction, supervised, quick, iris]):
        target = tmp_path / "runs" / source.name
        shutil.copytree(source, target)
        os.utime(target / "model.safetensors", (1e9 + age, 1e9 + age))
    return tmp_path


def test_newest_run_that_can_is_chosen_and_named(run, desk, digits_npz, iris_csv):
    known = json.loads(run(["info", "-c", "runs/quick", "--json"], desk).ok().out)["cluster_labels"][0]
    for args, name in (
        (["embed", digits_npz], "dim-reduction"),
        (["embed", "digits:test"], "dim-reduction"),
        (["cluster", "mnist-mini:test"], "quick"),
        (["classify", iris_csv, "--label-column", "species"], "iris"),
        (["sample", "--label", known, "-o", "-", "--format", "csv"], "quick"),
        (["sample", "--label", "setosa", "-o", "-"], "iris"),
        (["evaluate", "digits:test", "--metric", "reconstruction-error"], "supervised"),
        (["info"], "iris"),
    ):
        done = run(args, desk).ok()
        assert f"runs/{name}" in done.err, args
        assert done.out
    assert sorted(path.name for path in (desk / "runs").iterdir()) == ["dim-reduction", "iris", "quick", "supervised"]


@pytest.mark.parametrize("command", ["embed", "cluster", "classify", "evaluate"])
def test_stdin_with_a_chosen_run(run, desk, iris_csv, digits_npz, command):
    """Choosing the run looks at the rows, and stdin can be read but once."""
    content = iris_csv.read_bytes()
    if command == "embed":
        x = np.load(digits_npz)["x"].reshape(200, 64).astype(int)
        content = "\n".join([",".join(f"p{i}" for i in range(64)), *(",".join(map(str, row)) for row in x)]).encode()
    done = run([command, "-"], desk, stdin=content)
    done.ok()
    assert len(done.rows) >= 1
    if command != "evaluate":
        assert len(done.rows) == (200 if command == "embed" else 150)
    given = run(
        [command, "-"], desk, stdin=content, AAE_CHECKPOINT="runs/dim-reduction" if command == "embed" else "runs/iris"
    )
    assert given.ok().out == done.out


def test_a_run_of_another_shape_of_the_same_size_is_passed_over(run, desk, digits_npz, trained, dim_reduction):
    """16×4 pixels are not 8×8, though both are 64 numbers."""
    np.savez(desk / "wide.npz", x=np.random.default_rng(0).integers(0, 256, (60, 4, 16), dtype=np.uint8))
    done = run(
        ["train", "-p", "dim-reduction", "--data", "wide.npz", "--epochs", "1", *small("z"), "-o", "runs/wide"],
        desk,
    )
    done.ok()
    done = run(["embed", digits_npz], desk)
    assert "runs/dim-reduction" in done.err, done.err
    assert len(done.ok().rows) == 200


def test_unfinished_runs_are_passed_over(run, desk, digits_npz, dim_reduction):
    from safetensors import safe_open
    from safetensors.numpy import load_file, save_file

    file = desk / "runs/unfinished/model.safetensors"
    shutil.copytree(dim_reduction, file.parent)
    with safe_open(file, "numpy") as opened:
        header = json.loads(opened.metadata()["aae"])
    save_file(load_file(file), file, metadata={"aae": json.dumps({**header, "finished": False})})
    done = run(["embed", digits_npz], desk).ok()
    assert "runs/dim-reduction" in done.err


def test_environment_names_a_checkpoint(run, desk, digits_npz, ten_d):
    done = run(["embed", digits_npz, "--dims", "all"], desk, AAE_CHECKPOINT=str(ten_d)).ok()
    assert "AAE_CHECKPOINT" in done.err
    assert len(done.header) == 12
    flag = run(["embed", digits_npz, "-c", "runs/dim-reduction"], desk, AAE_CHECKPOINT=str(ten_d)).ok()
    assert flag.header == ["id", "label", "x", "y"]
    run(["embed", digits_npz], desk, AAE_CHECKPOINT="nowhere").refused(1, "nowhere")


def test_c_takes_the_folder_or_the_file(run, dim_reduction, digits_npz, tmp_path):
    folder, file = (
        run(["embed", digits_npz, "-c", path], tmp_path).ok()
        for path in (dim_reduction, dim_reduction / "model.safetensors")
    )
    assert folder.out == file.out
    moved = tmp_path / "only.safetensors"
    shutil.copy(dim_reduction / "model.safetensors", moved)
    assert run(["embed", digits_npz, "-c", moved], tmp_path).ok().out == folder.out, "the file alone is enough"


def test_where_there_is_no_run_presets_that_can_are_named(run, tmp_path, digits_npz):
    run(["sample"], tmp_path).refused(1, "aae train --preset", "supervised")
    run(["classify", digits_npz], tmp_path).refused(1, "aae train --preset", "semi-supervised")
    run(["evaluate"], tmp_path).refused(1, "aae train --preset")
    assert list(tmp_path.iterdir()) == []


def test_cluster_fits_on_stdin_and_keeps_the_run(run, tmp_path):
    random = np.random.default_rng(0)
    x = np.concatenate([random.normal(c, 0.2, (12, 2)) for c in (0.0, 4.0)])
    content = "a,b\n" + "".join(f"{a},{b}\n" for a, b in x)
    done = run(["cluster", "-", "-k", "2"], tmp_path, stdin=content, code=SHORT_FITS).ok()
    assert "fitting clustering" in done.err
    assert "runs/clustering" in done.err
    assert (tmp_path / "runs/clustering/model.safetensors").is_file()
    own = [row["cluster"] for row in done.rows]
    assert own == [own[0]] * 12 + [own[-1]] * 12
    assert own[0] != own[-1]
    (tmp_path / "two.csv").write_text(content)
    again = run(["cluster", "two.csv"], tmp_path).ok()
    assert again.out == done.out
    assert "using runs/clustering" in again.err
    run(["cluster", "two.csv", "-c", "runs/clustering", "-k", "5"], tmp_path).refused(2, "-k 5", "2 clusters")
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["clustering"]


def test_fit_and_c_exclude_each_other(run, dim_reduction, digits_npz, tmp_path):
    for command in ("embed", "cluster"):
        run([command, digits_npz, "--fit", "-c", dim_reduction, "-q"], tmp_path, seconds=5).refused(2, "--fit")


@pytest.mark.parametrize(
    "options", [["--epochs", "3"], ["--time", "30s"], ["--set", "train.epochs=3"], ["--restarts", "2"]]
)
def test_options_that_shape_a_new_model_need_one(run, dim_reduction, digits_npz, tmp_path, options):
    done = run(["embed", digits_npz, "-c", dim_reduction, *options], tmp_path)
    done.refused(2, options[0], "add --fit")


def test_a_fit_takes_settings_and_a_time(run, iris_csv, tmp_path):
    words = [
        "cluster",
        iris_csv,
        "--label-column",
        "species",
        "--fit",
        "-k",
        "2",
        "--set",
        "code.z.dims=3",
        "--restarts",
        "1",
        "--time",
        "6s",
    ]
    done = run([*words, "-q"], tmp_path).ok()
    assert len(done.rows) == 150
    config = yaml.safe_load((tmp_path / "runs" / "clustering" / "config.yaml").read_text())
    assert (config["code"]["z"]["dims"], config["train"]["restarts"]) == (3, 1)
    run([*words, "--epochs", "3"], tmp_path).refused(2, "--epochs and --time")
    for time in ("5x", "0s", "m", "-3s"):
        run(["embed", iris_csv, "--fit", f"--time={time}"], tmp_path).refused(2, f"--time {time}", "30s")


def test_a_continued_run_keeps_its_length(run, digits_npz, tmp_path):
    words = ["train", "-p", "clustering", "--data", digits_npz, "-k", "4", "-o", "out", "--resume"]
    run([*words, "--epochs", "2", *small("y", "z")], tmp_path).ok()
    done = run([*words, "--time", "1h", *small("y", "z")], tmp_path).ok()
    assert "keeps its length" in done.err and "already finished" in done.err


def test_images_of_another_size_than_the_model_knows_are_said(run, quick, tmp_path):
    (tmp_path / "photos").mkdir()
    for i in range(3):
        Image.fromarray(np.full((20, 30), 60 * i, np.uint8)).save(tmp_path / "photos" / f"{i}.png")
    done = run(["cluster", "photos", "-c", quick, "-o", "c.csv"], tmp_path).ok()
    assert done.err.count("scaled and cropped to 28×28") == 1
