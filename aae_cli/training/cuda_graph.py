"""A training step as one CUDA graph: recorded once, then replayed without the cost of Python and kernel launches."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor

WARM_UP = 3  # steps run before recording


class Recorder(Protocol):
    """Way to warm up and record a call."""

    def warm(self, call: Callable[[], None]) -> None:
        """Run the call as it must be run before recording."""
        ...

    def record(self, call: Callable[[], None]) -> Callable[[], None]:
        """Record the call without executing it, and return a function that executes the recording.

        Raises:
            RuntimeError: the call cannot be recorded.
        """
        ...


class CudaRecorder:
    """Recorder of CUDA graphs, which warms up on a side stream as they require."""

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
            # After a failed recording the random generator still expects its end, so continue with a copy.
            generator = torch.cuda.default_generators[torch.cuda.current_device()]
            generator.graphsafe_set_state(generator.clone_state())
            raise
        return graph.replay


class Replayed:
    """A step that runs normally ``WARM_UP`` times, is then recorded, and from then on replayed.

    Args:
        step: function of the row numbers. It must read only these and tensors at fixed device addresses, and must not
            synchronise with the host.
        recorder: records the step.
        failed: callback with the reason if the step cannot be recorded; it is then run normally.
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
