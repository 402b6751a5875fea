"""Train one model with several processes (``torchrun``): ranks, sums over processes, and shared random numbers.

Every process holds the same model and handles its share of each batch. Every process draws the random numbers of the
whole batch and keeps those of its own rows. Losses therefore do not depend on the number of processes, except for
rounding, and a run can be resumed with a different number.
"""

from __future__ import annotations

import gc
import os
import tempfile
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn

from .errors import UsageError

if TYPE_CHECKING:
    from torch.distributed import ProcessGroup

Draw = Callable[..., Tensor]


@dataclass(frozen=True)
class World:
    """The processes of one training run, and this one's rank.

    ``control``: process group on the CPU for ``agree``, needed on CUDA; None uses the default group.
    """

    rank: int = 0
    size: int = 1
    control: ProcessGroup | None = None

    @property
    def main(self) -> bool:
        """Whether this is the process that writes files and messages."""
        return self.rank == 0

    def draw(
        self, make: Draw, shape: Sequence[int], device: torch.device, parts: Sequence[int] | None = None
    ) -> Tensor:
        """Draw random numbers for this process's rows of a batch.

        Args:
            make: function such as torch.rand: (shape, device=…) → tensor.
            shape: (R, B, …), B being the number of this process's rows.
            parts: if B concatenates several batches, this process's number of rows in each; None for one batch.
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
        """Return the mean over the processes; gradients flow through it."""
        return value if self.size == 1 else _Sum.apply(value) / self.size

    def gather(self, value: Tensor, parts: Sequence[int] | None = None) -> Tensor:
        """Concatenate the rows (R, B, …) of all processes to (R, B·size, …); gradients flow through it.

        Args:
            parts: if B concatenates several batches, this process's number of rows in each; None for one batch.
        """
        if self.size == 1:
            return value
        whole = []
        for part in value.split(list(parts or [value.shape[1]]), 1):
            models, rows, *rest = part.shape
            own = part.new_zeros(models, self.size, rows, *rest)
            own[:, self.rank] = part
            whole.append(cast(Tensor, _Sum.apply(own)).flatten(1, 2))
        return torch.cat(whole, 1) if len(whole) > 1 else whole[0]

    def positions(self, parts: Sequence[int], device: torch.device) -> Tensor:
        """Positions of this process's rows among the gathered ones, for ``parts`` as in :meth:`gather`: (B,) int64."""
        begins = [self.size * sum(parts[:i]) + self.rank * size for i, size in enumerate(parts)]
        return torch.cat(
            [torch.arange(begin, begin + size, device=device) for begin, size in zip(begins, parts, strict=True)]
        )

    def itself(self, rows: int, others: int, device: torch.device) -> Tensor:
        """Which of the first ``others`` gathered rows each of this process's ``rows`` is: (B, others) bool."""
        return self.positions([rows], device).unsqueeze(1) == torch.arange(others, device=device)

    def sums(self, value: Tensor) -> Tensor:
        """Return the sum over the processes, without gradients."""
        return value if self.size == 1 else _all_reduced(value)

    def of_main(self, value: Tensor) -> Tensor:
        """Return the main process's value, so that rounding differences between machines cannot change decisions."""
        return value if self.size == 1 else _all_reduced(value if self.main else torch.zeros_like(value))

    def agree(self, flags: Sequence[int]) -> list[int]:
        """Return the maximum of each flag over the processes."""
        if self.size == 1:
            return list(flags)
        import torch.distributed as dist

        value = torch.tensor(list(flags))
        dist.all_reduce(value, dist.ReduceOp.MAX, group=self.control)
        return [int(flag) for flag in value.tolist()]

    def wrap(self, parameters: Sequence[nn.Parameter], all_used: bool) -> Unit | None:
        """Let torch's DistributedDataParallel average the gradients of parameters over the processes.

        Args:
            all_used: whether every loss depends on all parameters.

        Returns:
            Function that evaluates a loss under DistributedDataParallel; None if there is nothing to average.
        """
        if self.size == 1 or not parameters:
            return None
        from torch.nn.parallel import DistributedDataParallel

        return DistributedDataParallel(_Holder(parameters), find_unused_parameters=not all_used)


Unit = Callable[[Callable[[], Tensor]], Tensor]
ALONE = World()


class _Holder(nn.Module):
    """A module that holds parameters; its forward evaluates any loss function of them."""

    def __init__(self, parameters: Sequence[nn.Parameter]) -> None:
        super().__init__()
        self.held = nn.ParameterList(parameters)

    def forward(self, loss: Callable[[], Tensor]) -> Tensor:
        return loss()


class _Sum(torch.autograd.Function):
    """Sum over the processes; its gradient is the sum of the processes' gradients."""

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
    """Return (rank, number of processes) from torchrun's environment variables; (0, 1) without torchrun."""
    try:
        return int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    except ValueError:
        raise UsageError("RANK or WORLD_SIZE is not a number", "start aae with torchrun, or unset them") from None


@contextmanager
def joined(device: torch.device) -> Iterator[World]:
    """Join the process group if torchrun started this process, and leave it at the end of the block.

    After the block, no object may refer to the process group, as DistributedDataParallel does. The group's threads end
    with its last reference, and a thread that still runs at interpreter shutdown aborts the process: a gloo thread
    then releases the last reference to a tensor but can no longer acquire the GIL.
    """
    world = _join(device)
    try:
        yield world
        world.agree([0])  # wait for the other processes
    except BaseException as error:
        if world.size > 1:
            traceback.clear_frames(error.__traceback__)  # a traceback keeps local variables alive
        raise
    finally:
        if world.size > 1:
            import torch.distributed as dist

            del world
            dist.destroy_process_group()
            gc.collect()


def _import_compiler() -> None:
    """Import torch's compiler without the cache folder that some versions then make.

    The folder torchinductor_USER in the system's folder of temporary files stays if anything has been compiled into it.
    """
    import torch._dynamo  # noqa: F401

    folder = Path(os.environ.get("TORCHINDUCTOR_CACHE_DIR", ""))  # set by the import, unless the user had
    if folder.name.startswith("torchinductor_") and folder.parent == Path(tempfile.gettempdir()):
        with suppress(OSError):
            folder.rmdir()  # empty folders only


def _join(device: torch.device) -> World:
    rank, size = started_by_torchrun()
    if size == 1:
        return ALONE
    # DistributedDataParallel imports this module. If a group existed by then, the module would keep it for good, as a
    # default argument; so import it first.
    _import_compiler()
    import torch.distributed as dist

    if not dist.is_initialized():
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    control = dist.new_group(backend="gloo") if device.type == "cuda" else None
    return World(rank, size, control or None)  # type: ignore[arg-type]
