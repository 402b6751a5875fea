"""Exported models give what ours give, for any number of rows, and tell what a program must know."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from aae_cli import load
from aae_cli.errors import UsageError
from aae_cli.model.export import columns_of, export

CHECKPOINTS = Path(__file__).parent.parent / "checkpoints"
NAMES = ["clustering", "semi-supervised", "supervised", "swiss-roll"]


def rows_for(model, count: int) -> np.ndarray:
    random = np.random.default_rng(0)
    if model.schema.kind == "image":
        return random.integers(0, int(model.schema.high) + 1, (count, model.schema.size)).astype(np.float32)
    return random.normal(3, 2, (count, model.schema.size)).astype(np.float32)


def expected(model, x: np.ndarray) -> dict[str, np.ndarray]:
    found = {"representation": model.embed(x)}
    if model.model.classes:
        found["y"] = model.y(x)
        if model.cluster_labels is not None:
            found["classes"] = model.classify(x)
    return found


def decoder_inputs(model, code: np.ndarray) -> dict[str, np.ndarray]:
    classes = model.model.labels
    if not classes:
        return {"code": code}
    return {"code": code, "label": np.eye(classes, dtype=np.float32)[np.arange(len(code)) % classes]}


def decoded(model, inputs: dict[str, np.ndarray]) -> np.ndarray:
    """Rows in their units before they are rounded."""
    parts = [torch.from_numpy(inputs[name]) for name in ("label", "code") if name in inputs]
    with torch.inference_mode():
        return model.model.scaling.invert(model.model.decode_input(torch.cat(parts, 1)[None])[0]).numpy()


@pytest.mark.parametrize("name", NAMES)
def test_onnx_gives_the_same_within_1e_4(name, tmp_path):
    pytest.importorskip("onnxscript", reason="needs the extra onnx")
    ort = pytest.importorskip("onnxruntime", reason="needs the extra onnx")
    model = load(CHECKPOINTS / name, "cpu")
    encoder_file, decoder_file, *_ = export(model, tmp_path / "model.onnx")
    encoder, decoder = (ort.InferenceSession(str(file)) for file in (encoder_file, decoder_file))
    for count in (1, 7):
        x = rows_for(model, count)
        ours = expected(model, x)
        theirs = dict(zip([each.name for each in encoder.get_outputs()], encoder.run(None, {"x": x}), strict=True))
        assert theirs.keys() == ours.keys()
        for output, value in ours.items():
            assert np.abs(theirs[output] - value).max() < 1e-4
        inputs = decoder_inputs(model, ours["representation"])
        assert np.abs(decoder.run(None, inputs)[0] - decoded(model, inputs)).max() < 1e-4
    told = encoder.get_modelmeta().custom_metadata_map
    assert json.loads(told["classes"]) == list(model.classes) and json.loads(told["shape"]) == list(model.schema.shape)


@pytest.mark.parametrize("name", ["clustering", "supervised"])
def test_pt2_gives_the_same(name, tmp_path):
    model = load(CHECKPOINTS / name, "cpu")
    encoder_file, decoder_file, *_ = export(model, tmp_path / "model.pt2")
    x, told = rows_for(model, 5), {"outputs": "", "preset": ""}
    encoder, decoder = torch.export.load(encoder_file, extra_files=told), torch.export.load(decoder_file)
    found = dict(zip(json.loads(told["outputs"]), encoder.module()(torch.from_numpy(x)), strict=True))
    for output, value in expected(model, x).items():
        assert np.abs(found[output].detach().numpy() - value).max() < 1e-5
    inputs = decoder_inputs(model, model.embed(x))
    rows = decoder.module()(*map(torch.from_numpy, inputs.values())).detach().numpy()
    assert np.abs(rows - decoded(model, inputs)).max() < 1e-4
    assert json.loads(told["preset"]) == name


def test_a_table_tells_how_its_cells_become_numbers(tmp_path):
    model = load(CHECKPOINTS / "clustering", "cpu")
    *_, columns = export(model, tmp_path / "model.pt2")
    assert columns.name == "model.columns.json"
    assert [column["name"] for column in json.loads(columns.read_text())] == list(model.schema.columns)
    mixed = load(CHECKPOINTS / "format-2.safetensors", "cpu")
    told = columns_of(mixed)
    assert {column["kind"] for column in told} >= {"number", "category"}
    assert all(column["levels"] for column in told if column["kind"] == "category")
    encoder = torch.export.load(export(mixed, tmp_path / "mixed.pt2")[0]).module()
    x = np.full((3, mixed.schema.size), np.nan, np.float32)
    x[1:] = 0
    assert np.abs(encoder(torch.from_numpy(x))[0].detach().numpy() - mixed.embed(x)).max() < 1e-5


def test_another_suffix_is_refused_and_nothing_is_written(tmp_path):
    with pytest.raises(UsageError, match=r"\.onnx or \.pt2"):
        export(load(CHECKPOINTS / "clustering", "cpu"), tmp_path / "model.h5")
    assert not list(tmp_path.iterdir())
