"""The memory of a training: what is said before the first step, and what is refused."""

import pytest
import torch
from fitting import fit

from aae_cli import read
from aae_cli.config.auto import adapt
from aae_cli.config.draft import Facts
from aae_cli.config.resolve import resolve
from aae_cli.data.types import Schema
from aae_cli.errors import DataError
from aae_cli.training import footprint as module
from aae_cli.training.footprint import footprint
from aae_cli.training.timeline import Timeline


def need(side: int, channels: int = 3, models: int = 1, *settings: str) -> int:
    schema = Schema("image", (channels, side, side), 0.0, 255.0)
    config = adapt(resolve("gaussian", list(settings)), Facts.of(schema, 5000)).config
    return footprint(Timeline.of(config, 5000), schema, models)


def test_memory_grows_with_images_models_and_batches():
    assert need(64) > 3 * need(32)
    assert need(32, models=3) == 3 * need(32)
    # a row more in the batch: three numbers for 3,072 inputs, as many outputs, and 4,000 units
    larger = need(32, 3, 1, "train.batch_size=1100") - need(32, 3, 1, "train.batch_size=100")
    assert larger == pytest.approx(4 * 3 * 1000 * (2 * 3072 + 4000))
    # 784 inputs and as many outputs, 1,000 and 1,000 units on each side: 3.57 million weights, five numbers each
    assert need(28, 1) == pytest.approx(4 * 5 * 3.57e6, rel=0.1)


def test_a_training_that_does_not_fit_is_refused_before_it_starts(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "free_memory", lambda: 1000)
    with pytest.raises(
        DataError, match=r"training needs about .* of memory, of which 1000 bytes are free; pass --size 32"
    ):
        fit("gaussian", read("digits")[:50], tmp_path / "run")
    assert not (tmp_path / "run").exists()
    module.require_memory(999, torch.device("cpu"), Schema("image", (1, 8, 8), 0.0, 16.0))
