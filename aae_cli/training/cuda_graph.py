"""A training step as one CUDA graph: recorded once, then replayed without Python, kernel by kernel."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor

WARM_UP = 3


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
