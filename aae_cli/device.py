"""Where to compute, and why."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

from .errors import UsageError

if TYPE_CHECKING:
    import torch


def choose_device(wanted: str = "auto") -> tuple[torch.device, str]:
    """The device and the reason for it.

    Args:
        wanted: auto, cpu, cuda or mps.

    Raises:
        UsageError: the device asked for is not there.
    """
    import torch

    if wanted == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda"), f"cuda ({torch.cuda.get_device_name()})"
        if torch.backends.mps.is_available():
            return torch.device("mps"), "mps (Apple GPU)"
        return torch.device("cpu"), f"cpu (no CUDA or MPS device; {torch.get_num_threads()} threads)"
    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if wanted not in available:
        raise UsageError(f"--device {wanted}: choose auto, cpu, cuda or mps")
    if not available[wanted]:
        raise UsageError(f"--device {wanted}: this machine has none", "try --device auto")
    return torch.device(wanted), f"{wanted} (asked for)"


def autocast(device: torch.device, precision: str) -> tuple[AbstractContextManager[object], str]:
    """The context that forward passes run in, and what it is.

    Args:
        precision: auto (tf32 on CUDA, else fp32), fp32, tf32 (products in TensorFloat-32), bf16 (weights stay fp32).
    """
    import torch

    if precision == "auto":
        precision = "tf32" if device.type == "cuda" else "fp32"
    torch.set_float32_matmul_precision("high" if precision == "tf32" else "highest")
    if precision == "bf16":
        return torch.autocast(device.type, torch.bfloat16), "bf16 products, fp32 weights"
    if precision == "tf32" and device.type != "cuda":
        return nullcontext(), "fp32 (tf32 exists on CUDA only)"
    return nullcontext(), precision
