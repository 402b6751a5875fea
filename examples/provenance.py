"""Where a result comes from: the commit and the machine, and whether the code has changed since."""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path
from typing import Any

import torch

import aae_cli

ROOT = Path(__file__).resolve().parent.parent
CODE = ["aae_cli", "presets", "examples/digit_reader.py"]
CODE += [f":(exclude){path}" for path in ("aae_cli/cli", "aae_cli/output", "aae_cli/version.py", "*.md")]
"""What decides a result, for git: not the commands, what is printed and drawn, or documents."""


def commit(folder: Path = ROOT) -> str:
    """The checkout's commit, with -dirty where its code has uncommitted changes; "unknown" if other code is run."""
    head = _git(folder, "rev-parse", "--short=12", "HEAD")
    if head.returncode or not _runs(folder / "aae_cli"):
        return "unknown"
    changed = _git(folder, "diff", "--quiet", "HEAD", "--", *CODE).returncode
    return head.stdout.strip() + "-dirty" * bool(changed)


def changed_since(commit: str, folder: Path = ROOT) -> bool:
    """Whether the code that decides results differs between a commit and HEAD; also True where git cannot tell."""
    return bool(_git(folder, "diff", "--quiet", commit, "HEAD", "--", *CODE).returncode)


def _git(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = ["git", "-C", str(folder), *words]
    try:
        return subprocess.run(command, capture_output=True, text=True)
    except OSError:  # git is not installed
        return subprocess.CompletedProcess(command, 127, "", "")


def _runs(package: Path) -> bool:
    """Whether the imported package is this one, or a copy of it."""
    imported = Path(aae_cli.__file__).resolve().parent
    pairs = [(file, imported / file.relative_to(package)) for file in package.rglob("*.py")]
    return imported == package or all(copy.is_file() and copy.read_bytes() == file.read_bytes() for file, copy in pairs)


def machine(device: str) -> dict[str, Any]:
    """GPU (None if it is not used), CPU, its cores, torch's threads, and torch's version."""
    cpu = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        cpu = next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    return {
        "gpu": torch.cuda.get_device_name() if device != "cpu" and torch.cuda.is_available() else None,
        "cpu": cpu,
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }


def spoken(machine: dict[str, Any]) -> str:
    """One line for a machine: the GPU, or the CPU and torch's threads; and torch's version."""
    threads = machine["threads"]
    cpu = f"{machine['cpu']}, {threads} thread{'s' * (threads != 1)}"
    return f"{machine['gpu'] or cpu}, torch {machine['torch']}"
