"""Report to the user on stderr: notes, warnings, progress and tables of metrics."""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, TextIO

from .card import INTERVAL, Intervals, metrics_table, value_text
from .losses import legend, loss_name, losses_line


def to_stderr(text: str) -> None:
    """Print a line on stderr; a closed stderr is ignored."""
    if sys.stderr is None:  # print would fall back to stdout
        return
    try:
        print(text, file=sys.stderr, flush=True)
    except (OSError, ValueError):
        silence(sys.stderr)


def silence(stream: TextIO) -> None:
    """Point a closed stream at os.devnull, so that the flush at exit cannot fail."""
    with suppress(OSError, ValueError, AttributeError):
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, stream.fileno())
        os.close(nothing)


class Reporter:
    """Report nothing. Base class of the other reporters, and the default of the Python API."""

    def say(self, text: str) -> None:
        """Print a note."""

    def warn(self, text: str) -> None:
        """Print a warning."""

    def start(self, title: str, steps: int, done: int, cost: Callable[[int], float] = float) -> None:
        """Start reporting progress.

        Args:
            done: number of the training steps, of ``steps``, that have been run.
            cost: cost of the first N steps, in any unit.
        """

    def log(self, record: Mapping[str, Any], steps: int) -> None:
        """Report progress from a metrics record, of ``steps`` training steps in all."""

    def stop(self) -> None:
        """Stop reporting progress, whether training succeeded or failed."""

    def metrics(
        self, title: str, metrics: Mapping[str, float], intervals: Intervals, meanings: Mapping[str, str]
    ) -> None:
        """Print a table of measurements, each with one sentence on what it means."""

    def table(self, title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Print a table that the user has asked for, even if quiet."""


def plain_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Format a table as lines with aligned columns."""
    lines = [header, *rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(header))]
    return ["  ".join(f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]


def duration(seconds: float) -> str:
    """A span of time as one would say it: 40 s, 12 min, 3 h 5 min."""
    minutes = round(seconds / 60)
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


class PlainReporter(Reporter):
    """Report in plain lines, for logs and pipes.

    Args:
        every: least number of seconds between progress lines.
        verbose: print a progress line for every metrics record.
    """

    def __init__(self, every: float = 10.0, verbose: bool = False) -> None:
        self.every = 0.0 if verbose else every
        self._last = self._started = 0.0
        self._cost: Callable[[int], float] = float
        self._done = 0.0
        self._explained: set[str] = set()

    def say(self, text: str) -> None:
        to_stderr(text)

    def warn(self, text: str) -> None:
        self.say(f"WARNING: {text}")

    def start(self, title: str, steps: int, done: int, cost: Callable[[int], float] = float) -> None:
        self._last, self._started, self._explained = -math.inf, time.monotonic(), set()
        self._cost, self._done = cost, cost(done)

    def log(self, record: Mapping[str, Any], steps: int) -> None:
        now = time.monotonic()
        if now - self._last >= self.every or record["step"] == steps:
            self._last = now
            self._explain(record)
            self._progressed(
                f"step {record['step']} of {steps}  {self._left(record, steps)}  epoch {record['epoch']:g}  "
                f"{record['samples_per_s']:.0f} rows/s  {losses_line(record)}"
            )

    def _progressed(self, line: str) -> None:
        self.say(line)

    def _left(self, record: Mapping[str, Any], steps: int) -> str:
        """Time left, at the mean speed since the start."""
        now = self._cost(record["step"])
        passed, left = now - self._done, self._cost(steps) - now
        if left <= 0:
            return "trained"
        return f"{duration((time.monotonic() - self._started) * left / passed)} left" if passed > 0 else ""

    def _explain(self, record: Mapping[str, Any]) -> None:
        """Print one line on the losses that were not seen before."""
        names = {loss_name(key)[0] for key in record if key.startswith("loss.")}
        line = legend(names - self._explained)
        self._explained |= names
        if line:
            self.say(line)

    def metrics(
        self, title: str, metrics: Mapping[str, float], intervals: Intervals, meanings: Mapping[str, str]
    ) -> None:
        self.say(title)
        for line in metrics_table(metrics, intervals, meanings).splitlines():
            self.say(f"  {line}")

    def table(self, title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        for line in (title, *(f"  {line}" for line in (plain_table(header, rows) if rows else ()))):
            to_stderr(line)


class NotebookReporter(PlainReporter):
    """Report in plain lines below a cell of a notebook, where a progress line replaces the one before it."""

    def __init__(self) -> None:
        super().__init__(every=0.5)
        self._display: Any = None

    def start(self, title: str, steps: int, done: int, cost: Callable[[int], float] = float) -> None:
        from IPython.display import display

        super().start(title, steps, done, cost)
        self._display = display({"text/plain": title}, raw=True, display_id=True)

    def _progressed(self, line: str) -> None:
        self._display.update({"text/plain": line}, raw=True)


class TerminalReporter(PlainReporter):
    """Show a progress bar with steps, time left, losses and throughput, and formatted tables."""

    def __init__(self) -> None:
        from rich.console import Console

        super().__init__()
        self.console = Console(stderr=True, highlight=False)
        self._progress: Any = None
        self._history: dict[str, list[float]] = {}

    def say(self, text: str) -> None:
        self.console.print(text, markup=False)

    def warn(self, text: str) -> None:
        self.console.print(f"WARNING: {text}", style="bold yellow", markup=False)

    def start(self, title: str, steps: int, done: int, cost: Callable[[int], float] = float) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
        from rich.table import Column

        super().start(title, steps, done, cost)
        left = TextColumn("{task.fields[left]}")
        columns = [TextColumn("{task.description}", markup=False), BarColumn(12), MofNCompleteColumn(" of "), left]
        if self.console.width >= 80:
            rest = Column(ratio=1, no_wrap=True, overflow="ellipsis")
            columns.append(TextColumn("{task.fields[losses]}", markup=False, table_column=rest))
        self._progress = Progress(*columns, console=self.console, transient=True, expand=True)
        self._task = self._progress.add_task(title, total=steps, completed=done, losses="", left="")
        self._progress.start()

    def log(self, record: Mapping[str, Any], steps: int) -> None:
        if self.console.width >= 80:
            self._explain(record)
        for key, value in record.items():
            if key.startswith("loss.") and value is not None:
                self._history.setdefault(key, []).append(float(value))
        line = f"{losses_line(record, self._history)}  {record['samples_per_s']:.0f} rows/s"
        left = self._left(record, steps)
        self._progress.update(self._task, completed=record["step"], losses=line, left=left)

    def stop(self) -> None:
        if self._progress is not None:
            self._progress.stop()
            self._progress = None

    def metrics(
        self, title: str, metrics: Mapping[str, float], intervals: Intervals, meanings: Mapping[str, str]
    ) -> None:
        from rich.table import Table
        from rich.text import Text

        if self.console.width < 72:
            super().metrics(title, metrics, intervals, meanings)
            return
        table = Table(
            title=Text(title), title_justify="left", caption=INTERVAL if intervals else None, caption_justify="left"
        )
        table.add_column("metric")
        table.add_column("value", justify="right")
        table.add_column("what it means")
        for name, value in metrics.items():
            table.add_row(name, value_text(value, intervals.get(name)), meanings.get(name, ""))
        self.console.print(table)

    def table(self, title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        from rich.table import Table
        from rich.text import Text

        if self.console.width < 72 or not rows:
            super().table(title, header, rows)
            return
        table = Table()
        for name in header:
            table.add_column(Text(name), overflow="ellipsis")
        for row in rows:
            table.add_row(*map(Text, row))
        self.console.print(Text(title, "bold"), table, sep="\n")


def choose_reporter(quiet: bool = False, verbose: bool = False) -> Reporter:
    """Choose a reporter: warnings only if quiet, progress in place on a terminal and in a notebook, else plain lines."""
    if quiet:
        return Quiet()
    if _in_notebook() and not verbose:
        return NotebookReporter()
    try:
        terminal = sys.stderr.isatty()
    except (AttributeError, ValueError):
        return Reporter()
    return TerminalReporter() if terminal and not verbose else PlainReporter(verbose=verbose)


def _in_notebook() -> bool:
    """Whether this is the kernel of a notebook. If so, IPython is loaded already."""
    ipython = sys.modules.get("IPython")
    return ipython is not None and hasattr(ipython.get_ipython(), "kernel")


class Quiet(PlainReporter):
    """Report warnings, and tables that were asked for."""

    def say(self, text: str) -> None:
        """Print nothing."""

    def start(self, title: str, steps: int, done: int, cost: Callable[[int], float] = float) -> None:
        """Print nothing."""

    def log(self, record: Mapping[str, Any], steps: int) -> None:
        """Print nothing."""

    def metrics(
        self, title: str, metrics: Mapping[str, float], intervals: Intervals, meanings: Mapping[str, str]
    ) -> None:
        """Print nothing."""

    def warn(self, text: str) -> None:
        to_stderr(f"WARNING: {text}")
