"""Load a checkpoint as a model that is ready for use."""

from __future__ import annotations

from math import prod
from pathlib import Path

from ..device import choose_device
from ..errors import CheckpointError
from .autoencoder import Autoencoder
from .build import build_model, min_parameters
from .checkpoint import load_tensors, model_file, read_header, tensor_specs

OPTIONAL_TENSORS = ("encoder.share",)
"""Tensors that may be missing, as in checkpoints of older versions."""


def load(path: str | Path, device: str = "auto") -> Autoencoder:
    """Load a run folder or a model.safetensors file.

    Args:
        device: auto, cpu, cuda or mps.

    Raises:
        CheckpointError: the file is missing, damaged or of a newer format, or its weights do not match its config.
        UsageError: the device is not available.
    """
    header = read_header(path)
    file = model_file(path)
    found = tensor_specs(file)
    if min_parameters(header.config, header.schema) > sum(prod(shape) for shape, _ in found.values()):
        # Checked before the model is built, so that a damaged header cannot allocate large amounts of memory.
        raise CheckpointError(f"{file} has fewer weights than its config needs", "the file is damaged or was edited")
    model = build_model(header.config, header.schema, to_train=False)
    state = model.state_dict()
    missing = {name: state.pop(name) for name in OPTIONAL_TENSORS if name in state and name not in found}
    expected = {name: (tuple(value.shape), value.dtype) for name, value in state.items()}
    for name in sorted(expected.keys() | found.keys()):
        if expected.get(name) != found.get(name):
            ours, theirs = (
                "nothing" if form is None else f"{form[1]} of shape {form[0]}".removeprefix("torch.")
                for form in (expected.get(name), found.get(name))
            )
            raise CheckpointError(
                f"{file}: {name}: found {theirs}, but its config needs {ours}", "the file is damaged or was edited"
            )
    tensors, _ = load_tensors(file, "aae")
    for name, value in tensors.items():
        if value.is_floating_point() and not bool(value.isfinite().all()):
            raise CheckpointError(f"{file}: {name} holds values that are not finite", "train again")
    model.load_state_dict({**tensors, **missing}, assign=True)
    model.requires_grad_(False)
    groups = model.encoder.groups
    if groups is not None and not bool(((groups >= 0) & (groups < model.classes)).all()):
        raise CheckpointError(
            f"{file}: encoder.groups has categories outside 0…{model.classes - 1}", "the file is damaged or was edited"
        )
    return Autoencoder(model, header, choose_device(device)[0])
