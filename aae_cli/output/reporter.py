"""What is said to a person, on stderr: progress, tables, notes; and the pictures and card of a run."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, TextIO

from .card import DIRECTIONS, metrics_table


def to_stderr(text: str) -> None:
    """A line for a person; a closed stderr is no reason to fail."""
    if sys.stderr is None:  # print would turn to stdout
        return
    try:
        print(text, file=sys.stderr, flush=True)
    except (OSError, ValueError):
        silence(sys.stderr)


def silence(stream: TextIO) -> None:
    """Lead a stream that nobody reads nowhere: the interpreter would fail once more when it flushes it at exit."""
    with suppress(OSError, ValueError, AttributeError):
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, stream.fileno())
        os.close(nothing)


class Reporter:
    """Says nothing. The base of those that do, and what the Python API uses."""

    def say(self, text: str) -> None:
        """A line worth knowing."""

    def warn(self, text: str) -> None:
        """A line that must not be missed."""

    def start(self, title: str, steps: int, done: int) -> None:
        """Training begins."""

    def log(self, record: Mapping[str, Any], steps: int) -> None:
        """A metrics record came."""

    def stop(self) -> None:
        """Training has ended, well or not."""

    def metrics(self, title: str, metrics: Mapping[str, float]) -> None:
        """A table of measurements."""


def losses_line(record: Mapping[str, Any]) -> str:
    """Short names and values of a record's losses."""
    short = {"reconstruction": "rec", "semi_supervised": "labels", "discriminator": "D", "generator": "G"}
    parts = []
    for key, value in record.items():
        if key.startswith("loss.") and value is not None:
            words = [short.get(word, word) for word in key.split(".")[1:] if word != "regularisation"]
            parts.append(f"{'.'.join(words)} {value:.3g}")
    return "  ".join(parts)


class PlainReporter(Reporter):
    """Plain lines now and then, for logs and pipes.

    Args:
        every: seconds between progress lines.
    """

    def __init__(self, every: float = 10.0, verbose: bool = False) -> None:
        self.every = 0.0 if verbose else every
        self._last = 0.0

    def say(self, text: str) -> None:
        to_stderr(text)

    def warn(self, text: str) -> None:
        self.say(f"WARNING: {text}")

    def start(self, title: str, steps: int, done: int) -> None:
        self._last = time.monotonic()

    def log(self, record: Mapping[str, Any], steps: int) -> None:
        now = time.monotonic()
        if now - self._last >= self.every or record["step"] == steps:
            self._last = now
            self.say(
                f"step {record['step']}/{steps}  epoch {record['epoch']:g}  "
                f"{record['samples_per_s']:.0f} samples/s  {losses_line(record)}"
            )

    def metrics(self, title: str, metrics: Mapping[str, float]) -> None:
        self.say(title)
        for line in metrics_table(metrics).splitlines():
            self.say(f"  {line}")


class TerminalReporter(PlainReporter):
    """A progress bar with losses, throughput and time left, and rich tables."""

    def __init__(self) -> None:
        from rich.console import Console

        super().__init__()
        self.console = Console(stderr=True, highlight=False)
        self._progress: Any = None

    def say(self, text: str) -> None:
        self.console.print(text, markup=False)

    def warn(self, text: str) -> None:
        self.console.print(f"WARNING: {text}", style="bold yellow", markup=False)

    def start(self, title: str, steps: int, done: int) -> None:
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
        from rich.table import Column

        columns = [TextColumn("{task.description}"), BarColumn(12), TaskProgressColumn(), TimeRemainingColumn()]
        if self.console.width >= 80:
            rest = Column(ratio=1, no_wrap=True, overflow="ellipsis")
            columns.append(TextColumn("{task.fields[losses]}", markup=False, table_column=rest))
        self._progress = Progress(*columns, console=self.console, transient=True, expand=True)
        self._task = self._progress.add_task(title, total=steps, completed=done, losses="")
        self._progress.start()

    def log(self, record: Mapping[str, Any], steps: int) -> None:
        line = f"{record['samples_per_s']:.0f}/s  {losses_line(record)}"
        self._progress.update(self._task, completed=record["step"], losses=line)

    def stop(self) -> None:
        if self._progress is not None:
            self._progress.stop()
            self._progress = None

    def metrics(self, title: str, metrics: Mapping[str, float]) -> None:
        from rich.table import Table

        if self.console.width < 72:
            super().metrics(title, metrics)
            return
        table = Table(title=title, title_justify="left")
        table.add_column("metric")
        table.add_column("value", justify="right")
        table.add_column("")
        for name, value in metrics.items():
            table.add_row(name, f"{value:.5g}", DIRECTIONS.get(name, ""))
        self.console.print(table)


def choose_reporter(quiet: bool = False, verbose: bool = False) -> Reporter:
    """Nothing when quiet, a progress bar on a terminal, plain lines elsewhere; every line when verbose."""
    if quiet:
        return Quiet()
    try:
        terminal = sys.stderr.isatty()
    except (AttributeError, ValueError):
        return Reporter()
    return TerminalReporter() if terminal and not verbose else PlainReporter(verbose=verbose)


class Quiet(Reporter):
    """Only what must not be missed."""

    def warn(self, text: str) -> None:
        to_stderr(f"WARNING: {text}")
