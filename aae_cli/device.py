"""Choose the device and the precision to compute with."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING

from .errors import UsageError
from .text import counted

if TYPE_CHECKING:
    import torch


def choose_device(wanted: str = "auto") -> tuple[torch.device, str]:
    """Choose the device to compute on; returns it with the reason as text.

    Args:
        wanted: auto, cpu, cuda or mps.

    Raises:
        UsageError: the device is unknown, or this machine does not have it.
    """
    import torch

    if wanted in ("auto", "cuda") and torch.cuda.is_available() and "LOCAL_RANK" in os.environ:
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]) % torch.cuda.device_count())
        torch.cuda.set_device(device)
        return device, f"{device} ({torch.cuda.get_device_name()})"
    if wanted == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda"), f"cuda ({torch.cuda.get_device_name()})"
        if torch.backends.mps.is_available():
            return torch.device("mps"), "mps (Apple GPU)"
        return torch.device("cpu"), f"cpu (no CUDA or MPS device; {counted(torch.get_num_threads(), 'thread')})"
    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if wanted not in available:
        raise UsageError(f"--device {wanted}: choose auto, cpu, cuda or mps")
    if not available[wanted]:
        raise UsageError(f"--device {wanted}: this machine has no such device", "try --device auto")
    return torch.device(wanted), f"{wanted} (asked for)"


def autocast(device: torch.device, precision: str) -> tuple[AbstractContextManager[object], str]:
    """Set the precision of matrix products; returns the context for forward passes, and its description.

    Args:
        precision: fp32, tf32 (TensorFloat-32), bf16 (weights stay fp32), or auto (tf32 on CUDA, else fp32).
    """
    import torch

    if precision == "auto":
        precision = "tf32" if device.type == "cuda" else "fp32"
    torch.set_float32_matmul_precision("high" if precision == "tf32" else "highest")
    if precision == "bf16":
        said = "bf16 products, fp32 weights"
        if device.type == "cpu" and (gain := bf16_gain()) < 1.2:
            said += f" (this CPU multiplies bf16 at {gain:.1f} times the rate of fp32: --precision fp32 may be faster)"
        return torch.autocast(device.type, torch.bfloat16), said
    if precision == "tf32" and device.type != "cuda":
        return nullcontext(), "fp32 (tf32 exists on CUDA only)"
    return nullcontext(), precision


@contextmanager
def threads(count: int | None) -> Iterator[None]:
    """Compute with this many CPU threads in the block; None for as many as before."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(before if count is None else count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def kept_precision() -> Iterator[None]:
    """Restore the precision of matrix products at the end of the block, in which it may be changed."""
    import torch

    before = torch.get_float32_matmul_precision()
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


@contextmanager
def exact_products(device: torch.device) -> Iterator[None]:
    """Compute matrix products in fp32 within the block, whatever the precision of the training is.

    Distances computed by a product are differences of large numbers: TensorFloat-32 and bf16 would lose small ones.
    """
    import torch

    with kept_precision(), torch.autocast(device.type, enabled=False):
        torch.set_float32_matmul_precision("highest")
        yield


def bf16_gain() -> float:
    """Measure, within milliseconds, how many times faster this CPU multiplies matrices in bf16 than in fp32."""
    import torch

    def best(dtype: torch.dtype) -> float:
        a, b = torch.ones(256, 1024, dtype=dtype), torch.ones(1024, 1024, dtype=dtype)
        times = []
        for _ in range(5):
            started = time.perf_counter()
            a @ b
            times.append(time.perf_counter() - started)
        return min(times)

    return best(torch.float32) / best(torch.bfloat16)
