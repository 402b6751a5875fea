"""Work that may run side by side: CUDA streams where there are any."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch


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
        """Inside the context: what is done so far is what :meth:`wait_for_mark` waits for."""
        if self.event is not None:
            self.event.record()

    def wait_for_mark(self) -> None:
        """What follows here comes after the mark."""
        if self.event is not None:
            torch.cuda.current_stream().wait_event(self.event)

    def join(self) -> None:
        """What follows here comes after all of the branch."""
        if self.stream is not None:
            torch.cuda.current_stream().wait_stream(self.stream)
