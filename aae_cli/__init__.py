"""Adversarial autoencoders (arXiv:1511.05644): train, cluster, embed, classify and sample.

>>> from aae_cli import train, load, read
>>> run = train("clustering", data="mnist-mini", settings=["train.epochs=1"])
>>> clusters, confidence = load(run.folder).cluster(read("mnist-mini:test").x)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from .data import Data, read
    from .errors import AaeError
    from .evaluation import evaluate
    from .inference import Autoencoder, load
    from .training import Run, train, train_seeds

_HOMES = {
    "AaeError": "errors",
    "Autoencoder": "inference",
    "Data": "data",
    "Run": "training",
    "evaluate": "evaluation",
    "load": "inference",
    "read": "data",
    "train": "training",
    "train_seeds": "training",
}
__all__ = ["AaeError", "Autoencoder", "Data", "Run", "__version__", "evaluate", "load", "read", "train", "train_seeds"]


def __getattr__(name: str) -> Any:
    """Import on first use: ``aae --help`` must not wait for torch."""
    if name in _HOMES:
        from importlib import import_module

        return getattr(import_module(f".{_HOMES[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
