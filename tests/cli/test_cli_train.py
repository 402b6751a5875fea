"""``aae train`` and what a run folder holds; ``aae presets``; configuration layers and their errors."""

import itertools
import json
import os
import pickle
import subprocess
import zipfile

import numpy as np
import pytest
import yaml
from conftest import AAE, small
from PIL import Image
from safetensors import safe_open
from safetensors.numpy import load

from aae_cli.config.presets import preset_names, preset_path
from aae_cli.output.losses import MEANINGS, loss_name

FILES = {
    "model.safetensors",
    "state.safetensors",
    "config.yaml",
    "metrics.jsonl",
    "samples.png",
    "README.md",
    "curves.png",
}


# --- the run folder ---------------------------------------------------------------------------------------------------


def test_run_folder(quick):
    assert {path.name for path in quick.iterdir()} == FILES
    assert Image.open(quick / "samples.png").width >= 200
    card = (quick / "README.md").read_text()
    assert card.startswith("# quick")
    assert "mnist-mini" in card
    assert "cluster-error" in card
    config = yaml.safe_load((quick / "config.yaml").read_text())
    assert config["train"]["epochs"] == 4
    assert config["code"]["y"]["classes"] == 10
    for path in quick.iterdir():
        # safetensors files start with a length, whose first byte may be that of a pickle by chance
        assert path.read_bytes()[:2] not in {pickle.PROTO + bytes([number]) for number in range(2, 6)}, path.name
        assert not zipfile.is_zipfile(path), path.name


def test_training_leaves_nothing_among_the_temporary_files(tmp_path):
    (tmp_path / "temporary").mkdir()
    environment = {**os.environ, "TMPDIR": str(tmp_path / "temporary")}
    environment.pop("TORCHINDUCTOR_CACHE_DIR", None)
    words = ["train", "-p", "quick", "-q", "--epochs", "1", "--set", "train.min_steps=0", *small("y", "z")]
    done = subprocess.run([*AAE, *words], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / done.stdout.strip() / "model.safetensors").is_file()
    assert list((tmp_path / "temporary").iterdir()) == []


def test_header(quick, iris):
    with safe_open(quick / "model.safetensors", "numpy") as file:
        header = json.loads(file.metadata()["aae"])
        assert all(file.get_tensor(name).size for name in file.keys())  # noqa: SIM118
    assert header["format"] == 1
    assert header["config"]["train"]["epochs"] == 4
    assert header["schema"]["shape"] == [1, 28, 28]
    assert (header["schema"]["low"], header["schema"]["high"]) == (0, 255)
    assert len(header["cluster_labels"]) == 10
    assert header["finished"] is True
    with safe_open(iris / "model.safetensors", "numpy") as file:
        schema = json.loads(file.metadata()["aae"])["schema"]
    assert schema["classes"] == ["setosa", "versicolor", "virginica"]
    assert schema["columns"][0] == "sepal length (cm)"


@pytest.mark.parametrize("model", ["quick", "semi", "ten_d", "mixture_labels"])
def test_metrics(model, request):
    records = [json.loads(line) for line in (request.getfixturevalue(model) / "metrics.jsonl").read_text().splitlines()]
    assert len(records) >= 2
    stages = []
    for record in records:
        assert {"step", "epoch", "seconds", "samples_per_s"} <= set(record)
        losses = {key: value for key, value in record.items() if key.startswith("loss.")}
        assert all(np.isfinite(value) for value in losses.values())
        stages.append({key.split(".")[1] for key in losses})
    # A code, categories and style follow each other for images; ten_d has fine clusters first, which know no labels.
    several = {
        "quick": [{"neighbours"}, {"regularisation", "consistency", "information"}],
        "semi": [{"neighbours"}, {"regularisation", "consistency", "information", "semi_supervised"}],
    }
    expected = several.get(model, [])
    if expected:
        expected = [*expected, {"reconstruction", "regularisation"}]
        assert [losses for losses, _ in itertools.groupby(stages)] == expected
    else:
        assert all({"reconstruction", "regularisation"} <= losses for losses in stages)
        labelled = ["semi_supervised" in losses for losses in stages]
        assert labelled == [model == "ten_d" and record["epoch"] > 0.5 * records[-1]["epoch"] for record in records]
    assert records[-1]["final"] is True
    assert not any("final" in record for record in records[:-1])
    assert any(key.startswith("eval.") for key in records[-1])
    assert [r["step"] for r in records] == sorted(r["step"] for r in records)


def test_the_config_of_a_run_is_a_preset_that_gives_the_same_weights(run, tmp_path, dim_reduction):
    run(["train", "-p", dim_reduction / "config.yaml", "-o", "again"], tmp_path).ok()
    with (
        safe_open(dim_reduction / "model.safetensors", "numpy") as a,
        safe_open(tmp_path / "again/model.safetensors", "numpy") as b,
    ):
        assert set(a.keys()) == set(b.keys())
        assert all(np.array_equal(a.get_tensor(name), b.get_tensor(name)) for name in a.keys())  # noqa: SIM118


TINY = ["train", "-p", "gaussian", "--data", "digits", "--epochs", "1", *small("z", width=8)]


def test_runs_are_numbered_and_never_overwritten(run, tmp_path):
    assert [run(TINY, tmp_path).ok().out for _ in range(3)] == [
        "runs/gaussian\n",
        "runs/gaussian-2\n",
        "runs/gaussian-3\n",
    ]


def test_o_that_is_not_empty(run, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/precious.txt").write_text("mine")
    run([*TINY, "-o", "out"], tmp_path).refused(2, "out", "not empty", "--force")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["precious.txt"]
    run([*TINY, "-o", "out", "--resume"], tmp_path).refused(2, "out", "holds no run")
    run([*TINY, "-o", "out", "--resume", "--force"], tmp_path).refused(2, "--resume", "--force")
    run([*TINY, "-o", "out", "--force"], tmp_path).ok()
    assert {path.name for path in (tmp_path / "out").iterdir()} >= FILES
    run([*TINY, "-o", "out/precious.txt"], tmp_path)
    (tmp_path / "file").write_text("mine")
    run([*TINY, "-o", "file"], tmp_path).refused(2, "file")
    assert (tmp_path / "file").read_text() == "mine"
    (tmp_path / "empty").mkdir()
    assert run([*TINY, "-o", "empty"], tmp_path).ok().out == "empty\n"


def test_resume_with_another_setting_or_more_epochs(run, tmp_path):
    run([*TINY, "-o", "out"], tmp_path).ok()
    run([*TINY, "-o", "out", "--resume", "--seed", "4"], tmp_path).refused(2, "train.seed", "0", "4")
    more = [word if word != "1" else "2" for word in TINY]
    run([*more, "-o", "out", "--resume"], tmp_path).ok()
    records = [json.loads(line) for line in (tmp_path / "out/metrics.jsonl").read_text().splitlines()]
    assert records[-1]["epoch"] == 2
    assert sum("final" in record for record in records) == 1


def test_the_same_command_starts_continues_and_does_nothing(run, tmp_path):
    command = [*TINY, "-o", "out", "--resume"]
    assert run(command, tmp_path).ok().out == "out\n"  # starts
    weights = (tmp_path / "out/model.safetensors").read_bytes()
    done = run(command, tmp_path).ok()
    assert done.out == "out\n" and "already finished" in done.err
    assert (tmp_path / "out/model.safetensors").read_bytes() == weights
    for name in ("state.safetensors", "model.safetensors", "README.md", "samples.png"):
        (tmp_path / "out" / name).unlink()  # as if killed before the first save
    done = run(["train", "-o", "out", "--resume"], tmp_path).ok()
    assert done.out == "out\n" and "starting anew" in done.err
    new, old = (load(content) for content in ((tmp_path / "out/model.safetensors").read_bytes(), weights))
    assert all(np.array_equal(new[name], old[name]) for name in old)
    records = [json.loads(line) for line in (tmp_path / "out/metrics.jsonl").read_text().splitlines()]
    assert sum("final" in record for record in records) == 1


def test_resume_needs_only_the_folder(run, tmp_path):
    """The folder holds its config; a person who types --resume -o DIR --epochs N means that one, not `quick`."""
    run([*TINY, "-o", "out"], tmp_path).ok()
    done = run(["train", "-o", "out", "--resume", "--epochs", "2"], tmp_path)
    assert done.code == 0, done.err
    assert json.loads((tmp_path / "out/metrics.jsonl").read_text().splitlines()[-1])["epoch"] == 2


def test_quiet_verbose_json(run, tmp_path):
    assert run([*TINY, "-q", "-o", "a"], tmp_path).ok().err == ""
    done = run([*TINY, "--json", "-o", "b"], tmp_path).ok()
    report = json.loads(done.out)
    assert report["checkpoint"] == "b"
    assert report["metrics"]["reconstruction-error"] > 0


def test_dry_run_trains_nothing(run, tmp_path):
    done = run([*TINY, "--dry-run"], tmp_path).ok()
    plan = yaml.safe_load(done.out)
    assert plan["train"]["epochs"] == 1
    assert plan["encoder"]["hidden"] == [8]
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "plan.yaml").write_text(done.out)
    assert "scaling: unit  # auto: pixels have a known range\n" in done.out
    again = run(["train", "-p", "plan.yaml", "--dry-run"], tmp_path).ok()
    assert yaml.safe_load(again.out) == plan
    assert "#" not in again.out  # nothing is left to decide


def test_layers_preset_set_flag(run, tmp_path):
    (tmp_path / "mine.yaml").write_text(
        "code: {z: {dims: 3}}\ndata: {source: digits}\ntrain: {epochs: 7, batch_size: 50}\n"
    )
    done = run(
        ["train", "-p", "mine.yaml", "--set", "train.epochs=8", "--set", "code.z.dims=4", "--epochs", "9", "--dry-run"],
        tmp_path,
    )
    plan = yaml.safe_load(done.ok().out)
    assert plan["train"]["epochs"] == 9
    assert plan["code"]["z"]["dims"] == 4
    assert plan["train"]["batch_size"] == 50


def test_flags(run, tmp_path, iris_csv):
    args = [
        "train",
        "-p",
        "clustering",
        "--data",
        iris_csv,
        "--label-column",
        "species",
        "-k",
        "4",
        "--restarts",
        "3",
        "--dry-run",
    ]
    plan = yaml.safe_load(run([*args, "--seed", "9", "--batch-size", "10", "--precision", "bf16"], tmp_path).ok().out)
    assert plan["code"]["y"]["classes"] == 4
    assert plan["train"]["restarts"] == 3
    assert plan["train"]["seed"] == 9
    assert plan["train"]["batch_size"] == 10
    assert plan["train"]["precision"] == "bf16"
    few = yaml.safe_load(
        run(["train", "-p", "semi-supervised", "--data", "digits", "--labels", "20%", "--dry-run"], tmp_path).ok().out
    )
    assert few["data"]["labels"] == "20%"


def test_restarts_and_bf16_train(run, tmp_path, iris_csv):
    args = ["train", "-p", "clustering", "--data", iris_csv, "--label-column", "species", "-k", "3", "--epochs", "2"]
    done = run([*args, "--restarts", "3", "--precision", "bf16", "-o", "r", *small("y", "z", width=8)], tmp_path).ok()
    assert "scores of the restarts" in done.err
    assert len(run(["cluster", iris_csv, "-c", "r"], tmp_path).ok().rows) == 150


def test_train_from_stdin(run, tmp_path, iris_csv):
    args = [
        "train",
        "-p",
        "clustering",
        "--data",
        "-",
        "--label-column",
        "species",
        "-k",
        "3",
        "--epochs",
        "1",
        *small("y", "z", width=8),
    ]
    assert run(args, tmp_path, stdin=iris_csv.read_bytes()).ok().out == "runs/clustering\n"
    run(["evaluate", "-c", "runs/clustering"], tmp_path).refused(1, "DATA")


def test_mnist_from_the_data_folder(run, tmp_path):
    """torchvision's layout under $AAE_DATA_DIR: no fallback, no warning."""
    import struct

    folder = tmp_path / "data/MNIST/raw"
    folder.mkdir(parents=True)
    random = np.random.default_rng(0)
    for stem, rows in (("train", 60), ("t10k", 20)):
        images = random.integers(0, 256, (rows, 28, 28), dtype=np.uint8)
        (folder / f"{stem}-images-idx3-ubyte").write_bytes(
            struct.pack(">4B3I", 0, 0, 8, 3, rows, 28, 28) + images.tobytes()
        )
        labels = (np.arange(rows) % 10).astype(np.uint8)
        (folder / f"{stem}-labels-idx1-ubyte").write_bytes(struct.pack(">4BI", 0, 0, 8, 1, rows) + labels.tobytes())
    args = ["train", "-p", "gaussian", "--epochs", "1", *small("z", width=8)]
    done = run(args, tmp_path, AAE_DATA_DIR=str(tmp_path / "data")).ok()
    assert "WARNING" not in done.err
    assert "20 test rows" in done.err


# --- presets ----------------------------------------------------------------------------------------------------------

PRESETS = preset_names()


@pytest.fixture(scope="module")
def rows_for_presets(tmp_path_factory):
    """120 images of 8×8 pixels with ten classes, grey and in colour."""
    folder = tmp_path_factory.mktemp("rows")
    random = np.random.default_rng(0)
    labels = np.arange(120) % 10
    grey = (random.integers(0, 100, (120, 8, 8)) + 15 * labels[:, None, None]).astype(np.uint8)
    np.savez(folder / "grey.npz", x=grey, y=labels)
    np.savez(folder / "colour.npz", x=np.stack([grey] * 3, -1), y=labels)
    return folder


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_trains(run, name, rows_for_presets, tmp_path):
    config = yaml.safe_load(preset_path(name).read_text())
    data = rows_for_presets / ("colour.npz" if "svhn" in name else "grey.npz")
    parts = [part for part in ("y", "z") if config["adversaries"].get(part)]
    args = ["train", "-p", name, "--data", data, "--epochs", "1", "--batch-size", "50", *small(*parts, width=8)]
    if config["data"].get("labels") not in (None, "all") and "%" not in str(config["data"]["labels"]):
        args += ["--labels", "50"]
    if name.endswith("likelihood"):
        args += ["--set", "about.section=none"]  # no Parzen window of 10,000 samples
    done = run([*args, "-o", "out"], tmp_path).ok()
    assert done.out == "out\n"
    assert {path.name for path in (tmp_path / "out").iterdir()} == FILES
    final = json.loads((tmp_path / "out/metrics.jsonl").read_text().splitlines()[-1])
    assert final["step"] >= 2
    assert {loss_name(key)[0] for key in final if key.startswith("loss.")} <= set(MEANINGS)
    assert final["final"] is True
    with safe_open(tmp_path / "out/model.safetensors", "numpy") as file:
        title = json.loads(file.metadata()["aae"])["title"]
    assert title in (name, name.removeprefix("paper/"))


def test_presets_are_listed(run, tmp_path):
    lines = run(["presets"], tmp_path).ok().out.splitlines()
    names = [line.split()[0] for line in lines if line.split()]
    assert [name for name in names if name in PRESETS] == PRESETS
    listed = json.loads(run(["presets", "--json"], tmp_path).ok().out)
    assert [each["name"] for each in listed] == PRESETS
    assert all(each["summary"] and each["section"] for each in listed)
    shipped = {"clustering", "semi-supervised", "supervised", "dim-reduction", "dim-reduction-10d", "dim-reduction-labels",
               "gaussian", "mixture", "mixture-labels", "swiss-roll", "swiss-roll-labels", "likelihood"}  # fmt: skip
    assert shipped <= set(PRESETS)
    assert {f"paper/{name}" for name in shipped} <= set(PRESETS)


def test_a_preset_is_printed_as_yaml(run, tmp_path):
    for name in ("quick", "semi-supervised", "paper/clustering"):
        done = run(["presets", name], tmp_path).ok()
        assert yaml.safe_load(done.out) == yaml.safe_load(preset_path(name).read_text())
    run(["presets", "clusterin"], tmp_path).refused(2, "clusterin", "did you mean clustering")


# --- configuration errors ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["-p", "quick", "--set", "encoder.hiden=[3]"], ["encoder.hiden", "did you mean hidden", "quick"]),
        (["-p", "quick", "--set", "enkoder.hidden=[3]"], ["enkoder", "did you mean encoder"]),
        (["-p", "quick", "--set", "adversaries.z.prior.nam=x"], ["adversaries.z.prior.nam", "did you mean name"]),
        (["-p", "quick", "--set", "phases.regularisation.optimizer.l=1"], ["regularisation.optimizer.l", "did you mean lr"]),
        (["-p", "quick", "--set", "train.batch_size=ten"], ["train.batch_size", "integer"]),
        (["-p", "quick", "--set", "train.batch_size=1.5"], ["train.batch_size", "integer"]),
        (["-p", "quick", "--set", "train.batch_size"], ["KEY=VALUE"]),
        (["-p", "quick", "--set", "encoder.hidden=[3, x]"], ["encoder.hidden", "integer"]),
        (["-p", "quick", "--set", "encoder.hidden={"], ["encoder.hidden", "YAML"]),
        (["-p", "quick", "--set", "encoder=5"], ["encoder"]),
        (["-p", "quick", "--set", "encoder.dropout=1.5"], ["encoder.dropout", "1"]),
        (["-p", "quick", "--set", "train.seed.x=5"], ["train.seed"]),
        (["-p", "quick", "--set", "adversaries.z.prior.name=gausian"], ["adversaries.z.prior.name", "gaussian"]),
        (["-p", "quick", "--set", "adversaries.z.prior.name=mixture"], ["adversaries.z.prior.name", "code.z.dims"]),
        (["-p", "quick", "--set", "code.y=null"], ["adversaries.y", "code.y"]),
        (["-p", "quick", "--set", "code.y.classes=auto"], ["code.y.classes", "data.labels"]),
        (["-p", "quick", "--set", "phases.semi_supervised.weight=1"], ["phases.semi_supervised", "data.labels"]),
        (["-p", "supervised", "--labels", "none"], ["decoder.input", "data.labels"]),
        (["-p", "supervised", "-k", "5"], ["code.y"]),
        (["-p", "gaussian", "-k", "5"], ["code.y"]),
        (["-p", "quick", "--labels", "some"], ["labels"]),
        (["-p", "quik"], ["quik", "did you mean quick"]),
        (["-p", "nowhere.yaml"], ["nowhere.yaml"]),
        (["-p", "quick", "--device", "mps"], ["mps"]),
    ],
)  # fmt: skip
def test_configuration_is_refused_with_its_key(run, tmp_path, flags, words):
    run(["train", "--data", "digits", "--epochs", "1", *flags], tmp_path).refused(2, *words)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("code: {z: {dim: 3}}\n", ["code.z.dim", "did you mean dims", "bad.yaml"]),
        ("code: {z: {dims: three}}\n", ["code.z.dims", "bad.yaml"]),
        ("code:\n  z: [\n", ["bad.yaml", "line 3"]),
        ("- a\n- b\n", ["bad.yaml", "mapping"]),
        ("", ["bad.yaml"]),
        ("a: &x 1\nb: *x\n", ["bad.yaml", "aliases"]),
        ("!!python/object/apply:os.system ['touch pwned']\n", ["bad.yaml"]),
        ("code: {z: {dims: 0}}\n", ["code.z.dims", "bad.yaml"]),
    ],
)
def test_a_preset_file_is_refused_with_its_name(run, tmp_path, text, words):
    (tmp_path / "bad.yaml").write_text(text)
    run(["train", "-p", "bad.yaml"], tmp_path).refused(2, *words)
    assert [path.name for path in tmp_path.iterdir()] == ["bad.yaml"]
