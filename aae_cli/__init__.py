"""Adversarial autoencoders (arXiv:1511.05644): train, cluster, embed, classify and sample.

>>> from aae_cli import train, load, read
>>> run = train("clustering", data="mnist-mini", settings=["train.epochs=1"])
>>> clusters, confidence = load(run.folder).cluster(read("mnist-mini:test").x)
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

from .version import __version__

if TYPE_CHECKING:
    from .data.read import read
    from .data.types import Data
    from .errors import AaeError
    from .estimator import AdversarialAutoencoder
    from .model.autoencoder import Autoencoder
    from .model.evaluation import evaluate
    from .model.imputation import impute
    from .model.load import load
    from .model.unusual import score
    from .training.api import train, train_seeds
    from .training.selection import Run

STARTED = time.monotonic()
"""When the package was imported: ``--time`` counts from there."""

# Both are read when torch is imported. CPU threads that wait for each other sleep instead of spinning: where other processes
# use the cores, spinning makes two threads several times slower than one (tests/benchmarks/threads.py).
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# Operations that an Apple GPU lacks are then computed on the CPU.
os.environ.setdefault("PYTORCH_ENABLE_MPS_FALLBACK", "1")

_HOMES = {
    "AaeError": "errors",
    "AdversarialAutoencoder": "estimator",
    "Autoencoder": "model.autoencoder",
    "Data": "data.types",
    "Run": "training.selection",
    "evaluate": "model.evaluation",
    "impute": "model.imputation",
    "load": "model.load",
    "read": "data.read",
    "score": "model.unusual",
    "train": "training.api",
    "train_seeds": "training.api",
}
__all__ = [
    "AaeError",
    "AdversarialAutoencoder",
    "Autoencoder",
    "Data",
    "Run",
    "__version__",
    "evaluate",
    "impute",
    "load",
    "read",
    "score",
    "train",
    "train_seeds",
]


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def __getattr__(name: str) -> Any:
    """Import on first use: ``aae --help`` must not wait for torch."""
    if name in _HOMES:
        from importlib import import_module

        return getattr(import_module(f".{_HOMES[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
