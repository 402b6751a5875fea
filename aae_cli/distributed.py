"""Several processes that train one model (``torchrun``): who this one is, sums over all, and its share of random numbers.

Every process holds the same model and takes its share of each batch. Random numbers are those of the whole batch: each
process draws them all and keeps its own rows. So losses do not depend on how many processes there are, beyond rounding,
and a run may be resumed with another number of them.
"""

from __future__ import annotations

import gc
import os
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn

from .errors import UsageError

if TYPE_CHECKING:
    from torch.distributed import ProcessGroup

Draw = Callable[..., Tensor]


@dataclass(frozen=True)
class World:
    """The processes of one training. ``control``: a group on the CPU, for what the hosts agree on."""

    rank: int = 0
    size: int = 1
    control: ProcessGroup | None = None

    @property
    def main(self) -> bool:
        """Whether this process writes and speaks."""
        return self.rank == 0

    def draw(
        self, make: Draw, shape: Sequence[int], device: torch.device, parts: Sequence[int] | None = None
    ) -> Tensor:
        """Random numbers for this process's rows of a batch.

        Args:
            make: such as torch.rand: (shape, device=…) → tensor.
            shape: (R, B, …) with this process's B.
            parts: sizes of the batches that follow each other along B; None for one.
        """
        if self.size == 1:
            return make(tuple(shape), device=device)
        models, rows, *rest = shape
        whole = make((models, rows * self.size, *rest), device=device)
        own = []
        for part in whole.split([size * self.size for size in parts or [rows]], 1):
            size = part.shape[1] // self.size
            own.append(part[:, self.rank * size : (self.rank + 1) * size])
        return torch.cat(own, 1) if len(own) > 1 else own[0]

    def mean(self, value: Tensor) -> Tensor:
        """Mean over the processes, through which gradients flow."""
        return value if self.size == 1 else _Sum.apply(value) / self.size

    def gather(self, value: Tensor) -> Tensor:
        """The rows (R, B, …) of all processes, one after the other: (R, B·size, …), through which gradients flow."""
        if self.size == 1:
            return value
        models, rows, *rest = value.shape
        own = value.new_zeros(models, self.size, rows, *rest)
        own[:, self.rank] = value
        return cast(Tensor, _Sum.apply(own)).flatten(1, 2)

    def sums(self, value: Tensor) -> Tensor:
        """Sum over the processes, without gradients."""
        return value if self.size == 1 else _all_reduced(value)

    def of_main(self, value: Tensor) -> Tensor:
        """The main process's value, on all: for what small differences between machines could decide otherwise."""
        return value if self.size == 1 else _all_reduced(value if self.main else torch.zeros_like(value))

    def agree(self, flags: Sequence[int]) -> list[int]:
        """The largest of each flag over the processes."""
        if self.size == 1:
            return list(flags)
        import torch.distributed as dist

        value = torch.tensor(list(flags))
        dist.all_reduce(value, dist.ReduceOp.MAX, group=self.control)
        return [int(flag) for flag in value.tolist()]

    def wrap(self, parameters: Sequence[nn.Parameter], all_used: bool) -> Unit | None:
        """Parameters whose gradients are averaged over the processes by torch's DistributedDataParallel.

        Args:
            all_used: whether every loss depends on all of them.
        """
        if self.size == 1 or not parameters:
            return None
        from torch.nn.parallel import DistributedDataParallel

        return DistributedDataParallel(_Holder(parameters), find_unused_parameters=not all_used)


Unit = Callable[[Callable[[], Tensor]], Tensor]
ALONE = World()


class _Holder(nn.Module):
    """Parameters, and a forward that is whatever loss is computed with them."""

    def __init__(self, parameters: Sequence[nn.Parameter]) -> None:
        super().__init__()
        self.held = nn.ParameterList(parameters)

    def forward(self, loss: Callable[[], Tensor]) -> Tensor:
        return loss()


class _Sum(torch.autograd.Function):
    """Sum over the processes; its gradient is the sum of theirs."""

    @staticmethod
    def forward(context: Any, value: Tensor) -> Tensor:
        return _all_reduced(value)

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> Tensor:
        return _all_reduced(gradients[0])


def _all_reduced(value: Tensor) -> Tensor:
    import torch.distributed as dist

    value = value.clone(memory_format=torch.contiguous_format)
    dist.all_reduce(value)
    return value


def started_by_torchrun() -> tuple[int, int]:
    """(rank, number of processes) as the environment says; (0, 1) for an ordinary process."""
    try:
        return int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    except ValueError:
        raise UsageError("RANK or WORLD_SIZE is not a number", "start aae with torchrun, or unset them") from None


@contextmanager
def joined(device: torch.device) -> Iterator[World]:
    """Meet the other processes that torchrun started, if it did, and part from them at the end.

    Nothing that the block leaves behind may refer to the process group, as DistributedDataParallel does: the group's
    threads end with its last reference, and one that still runs while the interpreter shuts down aborts the process
    (a thread of gloo drops the last reference to a tensor, and may no longer take the interpreter's lock).
    """
    world = _join(device)
    try:
        yield world
        world.agree([0])  # wait for the others
    except BaseException as error:
        if world.size > 1:
            traceback.clear_frames(error.__traceback__)  # an error keeps the variables of the functions that it left
        raise
    finally:
        if world.size > 1:
            import torch.distributed as dist

            del world
            dist.destroy_process_group()
            gc.collect()


def _join(device: torch.device) -> World:
    rank, size = started_by_torchrun()
    if size == 1:
        return ALONE
    # DistributedDataParallel imports this; while a group exists, that would make the group a default argument for good.
    import torch._dynamo  # noqa: F401
    import torch.distributed as dist

    if not dist.is_initialized():
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    control = dist.new_group(backend="gloo") if device.type == "cuda" else None
    return World(rank, size, control or None)  # type: ignore[arg-type]
