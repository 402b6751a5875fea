"""Concurrent work on CUDA streams; on other devices everything runs in order."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch


class Branch:
    """Work that may run concurrently with the code after it, until joined: a CUDA stream, or no effect elsewhere.

    The work may read tensors made before it began; the caller keeps references to them until the branch is joined.
    """

    def __init__(self, device: torch.device) -> None:
        self.stream = torch.cuda.Stream(device) if device.type == "cuda" else None
        self.event = torch.cuda.Event() if self.stream is not None else None

    def begin(self) -> AbstractContextManager[object]:
        """Context for the work, which starts after everything queued on the current stream."""
        if self.stream is None:
            return nullcontext()
        self.stream.wait_stream(torch.cuda.current_stream())
        return torch.cuda.stream(self.stream)

    def mark(self) -> None:
        """Mark a point of the work, from inside its context."""
        if self.event is not None:
            self.event.record()

    def wait_for_mark(self) -> None:
        """Make the current stream wait for the marked point."""
        if self.event is not None:
            torch.cuda.current_stream().wait_event(self.event)

    def join(self) -> None:
        """Make the current stream wait for all of the work."""
        if self.stream is not None:
            torch.cuda.current_stream().wait_stream(self.stream)
