"""What a bug report needs: versions of packages, the machine, and devices."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterator
from importlib import metadata

PACKAGES = (
    "torch",
    "torchvision",
    "numpy",
    "scipy",
    "scikit-learn",
    "polars",
    "pydantic",
    "typer",
    "safetensors",
    "plotly",
)


def environment() -> Iterator[tuple[str, str]]:
    """Names and values: Python, the machine, packages and devices."""
    yield "python", f"{platform.python_version()} ({sys.executable})"
    yield "platform", platform.platform()
    yield "cpu", f"{os.cpu_count()} cores, {platform.processor() or platform.machine()}"
    for name in PACKAGES:
        try:
            yield name, metadata.version(name)
        except metadata.PackageNotFoundError:
            yield name, "not installed"
    from ..device import choose_device

    yield "device", choose_device()[1]
