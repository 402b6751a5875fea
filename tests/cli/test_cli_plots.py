"""Pictures that commands draw beside their tables."""

import base64
import io
import json
import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image

from aae_cli import load
from aae_cli.output import pictures


def size(path):
    return Image.open(path).size


@pytest.fixture
def drawn(monkeypatch):
    """What is handed to the plots of the model module, without drawing."""
    from aae_cli.model import figures

    calls = []
    for name in ("histograms", "scatter", "image_sheet"):
        monkeypatch.setattr(figures, name, lambda *args, name=name, **more: calls.append((name, args, more)) or b"")
    return calls


def test_cluster_draws_members_of_the_whole_file_sorted_by_class(run, quick, tmp_path):
    """A file of folders comes class by class; its first rows are of one class only."""
    from aae_cli import read

    test = read("mnist-mini:test")
    order = np.argsort(test.labels, kind="stable")
    np.savez(tmp_path / "sorted.npz", x=test.x[order].reshape(-1, 28, 28), y=test.labels[order])
    args = ["cluster", "sorted.npz", "-c", quick, "-o", "c.csv", "--plot"]
    for plot in ("a.png", "b.png"):
        run([*args, plot], tmp_path).ok()
    run([*args, "other.png", "--seed", "1"], tmp_path).ok()
    one, same, other = ((tmp_path / name).read_bytes() for name in ("a.png", "b.png", "other.png"))
    assert one == same and one != other, "the seed decides on the members drawn at random"
    assert 900 < size(tmp_path / "a.png")[0] < 2000


def test_a_sheet_of_clusters_names_sizes_and_classes(quick, drawn):
    from aae_cli import read
    from aae_cli.model.figures import cluster_plot

    model, test = load(quick, "cpu"), read("mnist-mini:test")
    members = cluster_plot("a.png", model, 0)
    cluster, confidence = model.cluster(test.x)
    for start in range(0, 1000, 300):
        some = slice(start, start + 300)
        members.add(test[some], cluster[some], confidence[some])
    members.draw("a")
    _, (images, _, columns, headings), _ = drawn[0]
    used = np.unique(cluster)
    assert len(images) == columns * len(used) and columns == 17
    assert [lines[0] for lines in headings.down] == [f"cluster {k}" for k in used]
    assert headings.down[0][1] == f"{(cluster == used[0]).sum():,} rows"
    assert "% are " in headings.down[0][2]
    assert sum(count for _, count in headings.groups) == columns


def test_cluster_of_a_table_draws_a_map_with_sizes(run, iris, iris_csv, tmp_path, drawn):
    args = ["cluster", iris_csv, "-c", iris, "--label-column", "species", "-o", "c.csv", "--plot", "c.png"]
    run(args, tmp_path).ok()
    assert size(tmp_path / "c.png")[0] > 600
    (tmp_path / "one.csv").write_text("".join(iris_csv.read_text().splitlines(True)[:2]))
    run(["cluster", "one.csv", "-c", iris, "-o", "c.csv", "--plot", "one.png"], tmp_path).ok()

    from aae_cli import read
    from aae_cli.model.figures import cluster_plot

    model = load(iris, "cpu")
    data = read(str(iris_csv), label_column="species", like=model.schema)
    sample, (cluster, confidence) = cluster_plot("c.png", model, 0), model.cluster(data.x)
    sample.add(data, cluster, confidence)
    sample.draw("iris.csv")
    _, (points, names, _), more = drawn[0]
    assert points.shape == (150, 2) and sorted(names) == sorted(map(str, cluster))
    assert all(f"{(cluster == int(k)).sum()} row" in text for k, text in more["legend"].items())


def test_embed_draws_three_dimensions_and_tells_what_it_draws_of_more(run, ten_d, digits_npz, tmp_path):
    args = ["embed", digits_npz, "-c", ten_d, "-o", "e.csv", "--plot"]
    three = run([*args, "3.png", "--dims", "3"], tmp_path).ok()
    width, height = size(tmp_path / "3.png")
    assert width > 2 * height
    assert "3.png shows" not in three.err
    many = run([*args, "10.png", "--dims", "all"], tmp_path).ok()
    assert "10.png shows a projection of the 10 dimensions to two: cluster heads on a circle" in many.err
    five = run([*args, "5.png", "--dims", "5"], tmp_path).ok()
    assert "5.png shows z0 and z1, the first two of 5 principal components" in five.err
    for dims in ("1", "2"):
        assert "shows" not in run([*args, "p.png", "--dims", dims], tmp_path).ok().err


def test_samples_of_a_table_are_compared_with_its_rows(iris, iris_csv, drawn):
    from aae_cli import read
    from aae_cli.model.figures import sample_sheet

    model = load(iris, "cpu")
    data = read(str(iris_csv), label_column="species", like=model.schema)
    sample_sheet(model, data)
    _, (real, sampled, names, integer, _, levels), _ = drawn[0]
    assert np.array_equal(real, data.x) and len(sampled) >= 100
    figure = pictures.histogram_figure(real, sampled, names, integer, "t", levels)
    assert [axes.get_title().splitlines()[0] for axes in figure.axes] == list(model.schema.columns)
    assert size(iris / "samples.png")[0] > 900


def test_a_style_grid_is_drawn_large_with_headings(run, supervised, tmp_path):
    run(["sample", "-c", supervised, "--style-grid", "-n", "3", "-o", "g.png"], tmp_path).ok()
    width, height = size(tmp_path / "g.png")
    assert 900 < width < 2000 and height > 3 * 60
    assert np.asarray(Image.open(tmp_path / "g.png"))[0, 0].tolist() == [255, 255, 255]


def data_of(page: Path) -> dict:
    return json.loads(re.search(r'id="data">(.*?)</script>', page.read_text(encoding="utf-8"), re.S)[1])


def test_a_page_shows_all_that_is_known_of_each_row(run, quick, iris, iris_csv, tmp_path):
    run(["embed", "mnist-mini:test", "-c", quick, "-o", "e.csv", "--plot", "map.html"], tmp_path).ok()
    data = data_of(tmp_path / "map.html")
    assert [column["name"] for column in data["columns"]] == ["label", "cluster", "confidence"]
    assert data["ids"] == [str(i) for i in range(1000)] and len(data["images"]["sheets"]) == 1
    assert (data["images"]["width"], data["images"]["height"]) == (28, 28)
    x = np.frombuffer(base64.b64decode(data["x"]), "<f4")
    frame = pl.read_csv(tmp_path / "e.csv")
    assert np.allclose(x, frame["x"].to_numpy(), atol=1e-3)

    args = ["cluster", iris_csv, "-c", iris, "--label-column", "species", "-o", "c.csv", "--plot", "c.html"]
    run(args, tmp_path).ok()
    data = data_of(tmp_path / "c.html")
    names = [column["name"] for column in data["columns"]]
    assert names[0] == "cluster" and names[1:3] == ["label", "confidence"] and {"sepal length (cm)"} < set(names)
    assert data["images"] is None and len(data["panels"]) == len(data["columns"][0]["levels"])
    assert "rows" in data["panels"][0]["title"]


def test_a_page_on_clusters_of_images_shows_each_cluster_apart(run, quick, tmp_path):
    run(["cluster", "mnist-mini:test", "-c", quick, "-o", "c.csv", "--plot", "c.html"], tmp_path).ok()
    data = data_of(tmp_path / "c.html")
    x, y = (np.frombuffer(base64.b64decode(data[axis]), "<f4") for axis in "xy")
    frame, heads = pl.read_csv(tmp_path / "c.csv"), np.asarray(data["heads"])
    sure = (frame["confidence"] > 0.99).to_numpy()
    away = np.linalg.norm(np.stack([x, y], 1)[sure][:, None] - heads, axis=-1)
    assert sure.sum() > 30 and (away.argmin(1) == frame["cluster"].to_numpy()[sure]).mean() > 0.8
    first = Image.open(io.BytesIO(base64.b64decode(data["panels"][0]["picture"].split(",")[1])))
    assert first.size[1] == 28 and 2 * 28 <= first.size[0] <= 9 * 28  # its head and up to eight members
    assert "heads of their clusters" in data["note"]
