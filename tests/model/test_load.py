"""A checkpoint becomes a model, or is refused by name."""

import json

import numpy as np
import pytest
import torch

from aae_cli import load, read
from aae_cli.errors import CheckpointError, UsageError
from aae_cli.model.checkpoint import read_header


def test_a_file_and_its_folder_load_alike(semi):
    x = read("digits:test").x
    one, other = load(semi.folder, "cpu"), load(semi.folder / "model.safetensors", "cpu")
    assert np.array_equal(one.embed(x), other.embed(x))


@pytest.mark.parametrize("damage", ["truncate", "garbage", "not ours", "newer", "config", "shape", "groups"])
def test_damaged_checkpoints_are_refused_by_name(semi, tmp_path, damage):
    from safetensors.torch import load_file, save_file

    file = tmp_path / "model.safetensors"
    whole = (semi.folder / "model.safetensors").read_bytes()
    tensors = load_file(semi.folder / "model.safetensors")
    header = json.loads(read_header(semi.folder).to_json())
    if damage == "truncate":
        file.write_bytes(whole[: len(whole) // 2])
    elif damage == "garbage":
        file.write_bytes(b"\xff" * 1000)
    elif damage == "not ours":
        save_file(tensors, file)
    else:
        if damage == "newer":
            header["format"] = 99
        elif damage == "config":
            header["config"]["encoder"]["hidden"] = "wide"
        elif damage == "groups":
            tensors["encoder.groups"] = torch.full_like(tensors["encoder.groups"], 10)
        else:
            tensors["encoder.body.layers.0.weight"] = torch.zeros(1, 2, 3)
        save_file(tensors, file, metadata={"aae": json.dumps(header)})
    with pytest.raises((CheckpointError, UsageError)) as caught:
        load(file, "cpu")
    assert "model.safetensors" in str(caught.value)
