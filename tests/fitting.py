"""Tiny trainings for tests of what comes out of them."""

import numpy as np

from aae_cli import train
from aae_cli.config.resolve import resolve
from aae_cli.data.types import Data, Schema

TINY = ["encoder.hidden=[32]", "decoder.hidden=[32]", "train.batch_size=50"]


def tiny(preset: str) -> list[str]:
    adversaries = resolve(preset).adversaries
    return TINY + [f"adversaries.{part}.hidden=[32]" for part in ("y", "z") if getattr(adversaries, part)]


def fit(preset, data, output, *settings, **options):
    settings = [*tiny(preset), "train.epochs=1", "train.min_steps=0", *settings]
    return train(preset, data, output, settings, device="cpu", **options)


def blobs(rows=300, seed=0) -> Data:
    """Three well separated groups in four columns of very different units."""
    random = np.random.default_rng(seed)
    labels = np.arange(rows) % 3
    centres = np.array([[0, 0, 0, 0], [6, 0, 6, 0], [0, 6, 0, 6]])
    x = (centres[labels] + random.normal(size=(rows, 4))) * [1, 1000, 0.01, 1] + [0, 50_000, 0, -3]
    schema = Schema("table", (4,), integer=(False,) * 4, columns=("a", "b", "c", "d"), classes=("r", "g", "b"))
    return Data(x.astype(np.float32), schema, labels, name="blobs")
