"""Where the results of a command go, checked before any work is done."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import UsageError
from ..text import counted

if TYPE_CHECKING:
    from ..output.reporter import Reporter


def refuse_overwriting(output: str | None, source: str) -> None:
    """UsageError where an output is one of the files that a command reads, under whatever name.

    Args:
        source: a data source, ``file[key]`` included, or a checkpoint; a folder stands for the files in it.
    """
    if output in (None, "-") or not os.path.exists(str(output)):
        return
    read = Path(source if os.path.exists(source) else source.partition("[")[0])
    target = Path(str(output)).resolve()
    if read.is_file() and os.path.samefile(read, target):
        raise UsageError(f"-o {output} is {source} itself, which is being read", "choose another name")
    if read.is_dir() and read.resolve() in target.parents:
        raise UsageError(f"-o {output} lies in {source}, which is being read", "choose another place")


@dataclass(frozen=True)
class Target:
    """Where a command's table goes, checked before any work is done. ``plot``: a picture beside it."""

    output: str | None
    format: str
    plot: str | None

    @classmethod
    def of(
        cls, data: str, output: str | None, format: str | None, input_format: str | None, plot: str | None = None
    ) -> Target:
        """The target that the options name. Without ``--input-format``, ``--format`` is also that of stdin.

        Raises:
            UsageError: a format that cannot be written. AaeError: a place that cannot be written to.
        """
        from ..output.writers import check_output, output_format

        kind = output_format(output, format, pipe_input=data == "-" and input_format is None, default="csv")
        for written in (output, plot):
            refuse_overwriting(written, data)
        check_output(output)
        if plot is not None and Path(plot).suffix.lower() not in (".png", ".html", ""):
            raise UsageError(f"--plot {plot}: a plot is a picture or a page", "name it .png or .html")
        if plot == "-" or (plot and output not in (None, "-") and Path(plot).resolve() == Path(str(output)).resolve()):
            raise UsageError(f"--plot {plot}: a plot is a file of its own", "give it another name")
        check_output(plot, "--plot")
        return cls(output, kind, plot)

    def spare(self, checkpoint: Path) -> None:
        """Refuse to write over the checkpoint that is read. Raises UsageError."""
        for written in (self.output, self.plot):
            refuse_overwriting(written, str(checkpoint))

    def write(self, tables: Iterable[Mapping[str, Any]], reporter: Reporter) -> None:
        """Write a table that comes piece by piece, each a mapping from column names to values."""
        from ..output.writers import TableWriter

        with TableWriter(self.output, self.format) as writer:
            for table in tables:
                writer.write(table)
        if self.output not in (None, "-"):
            reporter.say(f"wrote {counted(writer.rows, 'row')} to {self.output}")

    def draw(self, picture: Callable[[], bytes], reporter: Reporter) -> None:
        """Write the picture, where one is asked for."""
        if self.plot is None:
            return
        from ..files import write_whole

        write_whole(Path(self.plot), picture())
        reporter.say(f"drew {self.plot}")
