"""From a preset to a run, through the Python API."""

import numpy as np
import polars as pl
import pytest
import torch
from fitting import blobs, fit, tiny
from mps_like import MpsLike

from aae_cli import load, read, train, train_seeds
from aae_cli.config.presets import preset_names
from aae_cli.errors import UsageError
from aae_cli.model.checkpoint import read_header
from aae_cli.output.reporter import Reporter


@pytest.mark.parametrize("name", [n for n in preset_names() if not n.startswith("paper/svhn")])
def test_every_preset_trains_two_steps_on_small_images(name, tmp_path):
    """Without what Apple GPUs lack."""
    data = read("digits")[:100]
    settings = ["data.scaling=standard"] if "svhn" in name or "tfd" in name else []
    with MpsLike():
        run = fit(name, data, tmp_path / "run", *settings)
        model = load(run.folder, "cpu")
        assert model.header.training["steps"] >= 2
        assert np.isfinite(model.embed(data.x[:5])).all()
        assert model.sample(3).x.shape == (3, 64)


def test_what_apple_gpus_lack_raises():
    with MpsLike():
        with pytest.raises(TypeError, match="float64"):
            torch.ones(3).double()
        with pytest.raises(NotImplementedError, match="ndtri"):
            torch.special.ndtri(torch.ones(3))


def test_a_first_step_that_fails_on_an_apple_gpu_is_taken_on_the_cpu(tmp_path, monkeypatch):
    asked, said = [], []

    def chosen(device="auto"):
        asked.append(device)
        return (torch.device("mps"), "mps (Apple GPU)") if device != "cpu" else (torch.device("cpu"), "cpu")

    for module in ("api", "plan"):
        monkeypatch.setattr(f"aae_cli.training.{module}.choose_device", chosen)
    reporter = Reporter()
    reporter.warn = said.append
    settings = [*tiny("quick"), "train.epochs=1", "train.min_steps=0"]
    run = train("quick", blobs(), tmp_path / "run", settings, reporter=reporter)
    assert load(run.folder, "cpu").header.training["device"] == "cpu"
    assert len(said) == 1 and said[0].startswith("the first step failed on this Apple GPU (")
    with pytest.raises(RuntimeError):
        train("quick", blobs(), tmp_path / "other", settings, device="mps")


def test_few_epochs_are_plainly_better_than_chance(semi):
    assert semi.metrics["classification-error"] < 60


def test_training_leaves_the_callers_random_numbers_alone(tmp_path):
    torch.manual_seed(4)
    expected = torch.rand(3)
    torch.manual_seed(4)
    fit("quick", read("digits")[:60], tmp_path / "run")
    assert torch.equal(torch.rand(3), expected)


def test_seeds_train_at_once_with_labels_of_their_own(tmp_path):
    settings = [*tiny("semi-supervised"), "train.epochs=2", "train.min_steps=0", "train.restarts=2", "data.labels=20"]
    runs = train_seeds("semi-supervised", [3, 8], "digits", tmp_path / "runs", settings, device="cpu")
    assert [run.seed for run in runs] == [3, 8]
    assert [run.folder.name for run in runs] == ["seed-3", "seed-8"]
    assert all(len(run.scores) == 2 and "classification-error" in run.metrics for run in runs)
    one, other = (load(run.folder, "cpu") for run in runs)
    assert read_header(runs[0].folder).finished and read_header(runs[0].folder).training["labels"] == 20
    weights = one.model.state_dict()
    assert not all(torch.equal(weights[name], value) for name, value in other.model.state_dict().items())
    with pytest.raises(UsageError, match="seeds"):
        train_seeds("semi-supervised", [1, 1], "digits", tmp_path / "again")


def test_only_the_metrics_asked_for_are_measured(tmp_path):
    settings = [*tiny("gaussian"), "train.epochs=1", "train.min_steps=0"]
    (run,) = train_seeds("gaussian", [0], "digits", tmp_path / "run", settings, device="cpu", metrics=["prior-fit"])
    assert list(run.metrics) == ["prior-fit"]
    with pytest.raises(UsageError, match="did you mean prior-fit"):  # before anything is read or trained
        train_seeds("gaussian", [0], "nowhere.npz", tmp_path / "again", metrics=["prior-fits"])


def test_rows_in_memory_are_trained_on_and_nothing_else_is(tmp_path):
    data = blobs(60)
    names = np.array(data.schema.classes)
    frame = pl.DataFrame({name: data.x[:, i] for i, name in enumerate(data.schema.columns)})
    frame = frame.with_columns(species=names[data.labels])
    settings = ["data.label_column=species", "code.y.classes=3"]
    header = read_header(fit("clustering", frame, tmp_path / "frame", *settings).folder)
    assert header.schema.columns == data.schema.columns
    assert header.schema.classes == ("b", "g", "r")
    assert read_header(fit("gaussian", (data.x, data.labels), tmp_path / "array").folder).schema.shape == (4,)
    np.save(tmp_path / "x.npy", data.x)
    assert read_header(fit("gaussian", tmp_path / "x.npy", tmp_path / "path").folder).schema.shape == (4,)
    for wrong in (3, {"a": [1]}, [[1.0]]):
        with pytest.raises(TypeError, match="frame"):
            fit("gaussian", wrong, tmp_path / "wrong")
    assert not (tmp_path / "wrong").exists()


def test_training_leaves_the_precision_of_matrix_products_alone(tmp_path):
    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision("medium")
        fit("gaussian", read("digits")[:60], tmp_path / "run")
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision(before)
