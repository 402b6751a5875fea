"""Checkpoints of every format that was ever written stay readable; newer ones are refused; runs are listed."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from fitting import fit

from aae_cli import load, read
from aae_cli.errors import AaeError, CheckpointError
from aae_cli.model.checkpoint import (
    FORMAT_OF_TABLES,
    checksum,
    new_run_folder,
    newest_run,
    read_header,
    runs,
    save_tensors,
)

OLD = Path(__file__).parent.parent / "checkpoints"
ROWS = np.array([[0, 0, 0], [3, 3, 3], [6, 6, 6]], np.float32)


def test_every_format_has_a_file_here():
    assert {path.name for path in OLD.iterdir()} >= {
        f"format-{number}.safetensors" for number in range(1, FORMAT_OF_TABLES + 1)
    }


def test_format_1_is_read_as_ever():
    model = load(OLD / "format-1.safetensors", "cpu")
    assert model.classes == ("x", "y", "z")
    expected = [[0.2404, 0.0365, 0.7231], [0.0351, 0.3356, 0.6293], [0.0522, 0.0426, 0.9053]]
    np.testing.assert_allclose(model.classify(ROWS), expected, atol=1e-4)
    np.testing.assert_allclose(model.z(ROWS)[:, 0], [-1.1726, 0.4699, 1.2896], atol=1e-4)


def test_format_2_is_read_as_ever():
    model = load(OLD / "format-2.safetensors", "cpu")
    rows = read("penguins", like=model.schema).x[:4]
    assert np.isnan(rows[3]).sum() == 5
    assert model.classes == ("Adelie", "Chinstrap", "Gentoo")
    expected = [[0.8374, 0, 0.1626], [0.735, 0, 0.265], [0.7999, 0, 0.2001], [0.6974, 0, 0.3026]]
    np.testing.assert_allclose(model.classify(rows), expected, atol=2e-4)
    np.testing.assert_allclose(model.z(rows)[:, 0], [0.2616, -0.1693, -0.7462, -0.7874], atol=1e-3)


def test_a_newer_format_asks_for_a_newer_aae(tmp_path):
    header, newer = json.loads(read_header(OLD / "format-1.safetensors").to_json()), FORMAT_OF_TABLES + 1
    assert header["format"] == 1, "only tables have another format"
    save_tensors(tmp_path / "m.safetensors", {}, "aae", json.dumps({**header, "format": newer}))
    with pytest.raises(CheckpointError, match=f"format {newer}, this aae reads up to {FORMAT_OF_TABLES}"):
        load(tmp_path / "m.safetensors")


def test_checksums_see_names_shapes_types_and_values():
    base = {"a": torch.zeros(2, 3)}
    others = [
        {"b": torch.zeros(2, 3)},
        {"a": torch.zeros(3, 2)},
        {"a": torch.zeros(2, 3).double()},
        {"a": torch.ones(2, 3)},
    ]
    sums = {checksum(tensors, "x") for tensors in (base, *others)} | {checksum(base, "y")}
    assert len(sums) == 6
    assert checksum(base, "x") == checksum({"a": torch.zeros(2, 3)}, "x")


def test_weights_that_are_not_finite_are_refused(tmp_path):
    model = load(OLD / "format-1.safetensors", "cpu")
    state = dict(model.model.state_dict())
    state["encoder.y.0.bias"] = state["encoder.y.0.bias"] * float("nan")
    save_tensors(tmp_path / "m.safetensors", state, "aae", model.header.to_json())
    with pytest.raises(AaeError, match=r"encoder\.y\.0\.bias holds values that are not finite"):
        load(tmp_path / "m.safetensors")


def test_a_checkpoint_from_before_sizes_were_found_is_read(tmp_path):
    model = load(OLD / "format-1.safetensors", "cpu")
    state = dict(model.model.state_dict())
    del state["encoder.share"]
    save_tensors(tmp_path / "m.safetensors", state, "aae", model.header.to_json())
    older = load(tmp_path / "m.safetensors", "cpu")
    np.testing.assert_array_equal(older.classify(ROWS), model.classify(ROWS))
    del state["encoder.groups"]
    save_tensors(tmp_path / "m.safetensors", state, "aae", model.header.to_json())
    with pytest.raises(CheckpointError, match=r"encoder\.groups: found nothing"):
        load(tmp_path / "m.safetensors", "cpu")


def test_runs_are_listed_newest_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    first = fit("quick", read("digits")[:60], None)
    second = fit("gaussian", read("digits")[:60], None)
    again = fit("quick", read("digits")[:60], None)
    assert [str(run.folder) for run in (first, second, again)] == ["runs/quick", "runs/gaussian", "runs/quick-2"]
    assert [folder.name for folder, _ in runs()] == ["quick-2", "gaussian", "quick"]
    assert newest_run(lambda header: header.title == "gaussian").name == "gaussian"
    assert new_run_folder("quick").name == "quick-3"
    (tmp_path / "runs" / "quick-2" / "model.safetensors").write_bytes(b"damaged")
    assert [folder.name for folder, _ in runs()] == ["gaussian", "quick"]


def test_a_header_with_a_key_twice_is_refused(tmp_path):
    text = read_header(OLD / "format-1.safetensors").to_json()
    save_tensors(tmp_path / "m.safetensors", {}, "aae", text[:-1] + ', "title": "another"}')
    with pytest.raises(CheckpointError, match="the key title is there twice"):
        read_header(tmp_path / "m.safetensors")
