"""A training step as one CUDA graph: recorded once, then replayed without Python, kernel by kernel."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

import torch
from torch import Tensor

WARM_UP = 3


class Branch:
    """Work that may run beside what follows it, until it is joined: on CUDA a stream of its own, elsewhere nothing.

    What runs there may read what was made before it began; whoever made that keeps it until the branch is joined.
    """

    def __init__(self, device: torch.device) -> None:
        self.stream = torch.cuda.Stream(device) if device.type == "cuda" else None
        self.event = torch.cuda.Event() if self.stream is not None else None

    def begin(self) -> AbstractContextManager[object]:
        """A context for the work, after all that was begun before it."""
        if self.stream is None:
            return nullcontext()
        self.stream.wait_stream(torch.cuda.current_stream())
        return torch.cuda.stream(self.stream)

    def mark(self) -> None:
        """Inside the context: what is done so far is what :meth:`reach` waits for."""
        if self.event is not None:
            self.event.record()

    def reach(self) -> None:
        """What follows here comes after the mark."""
        if self.event is not None:
            torch.cuda.current_stream().wait_event(self.event)

    def join(self) -> None:
        """What follows here comes after all of the branch."""
        if self.stream is not None:
            torch.cuda.current_stream().wait_stream(self.stream)


class Recorder(Protocol):
    """How a call is run before it is recorded, and recorded."""

    def warm(self, call: Callable[[], None]) -> None: ...

    def record(self, call: Callable[[], None]) -> Callable[[], None]:
        """A function that does again what the call does; recording itself changes nothing."""
        ...


class CudaRecorder:
    """Warms up on a stream of its own, as CUDA graphs ask for, and records the whole call."""

    def warm(self, call: Callable[[], None]) -> None:
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            call()
        torch.cuda.current_stream().wait_stream(stream)

    def record(self, call: Callable[[], None]) -> Callable[[], None]:
        graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.graph(graph):
                call()
        except RuntimeError:
            # A recording that breaks off leaves the random generator waiting for its end: go on with a copy of it.
            generator = torch.cuda.default_generators[torch.cuda.current_device()]
            generator.graphsafe_set_state(generator.clone_state())
            raise
        return graph.replay


class Replayed:
    """A step that is recorded at its fourth call.

    Args:
        step: reads nothing but its rows and what lies at fixed places on the device, and waits for nothing.
        recorder: what records it.
        failed: told why, where it cannot be recorded; the step then goes on as it is.
    """

    def __init__(self, step: Callable[[Tensor], None], recorder: Recorder, failed: Callable[[str], None]) -> None:
        self.step, self.recorder, self.failed = step, recorder, failed
        self.calls = 0
        self.rows = torch.empty(0)
        self.replay: Callable[[], None] | None = None

    def __call__(self, rows: Tensor) -> None:
        if self.calls == 0:
            self.rows = rows.clone()
        else:
            self.rows.copy_(rows)
        self.calls += 1
        if self.replay is None and self.calls > WARM_UP:
            try:
                self.replay = self.recorder.record(self._once)
            except RuntimeError as error:
                self.replay = self._once
                self.failed(str(error).strip().splitlines()[0])
        if self.replay is None:
            self.recorder.warm(self._once)
        else:
            self.replay()

    def _once(self) -> None:
        self.step(self.rows)
