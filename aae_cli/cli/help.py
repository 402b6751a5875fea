"""The text of ``--help``: options in groups, then examples; drawn by rich on a terminal, plain in a pipe."""

from __future__ import annotations

import sys
from typing import Any

from typer.core import TyperCommand, TyperGroup

ARGUMENTS = "Arguments"
GROUPS = ("Data", "Model", "Output", "Run")


def _on_terminal() -> bool:
    return sys.stdout is not None and sys.stdout.isatty()


def _draw(command: Any, context: Any) -> None:
    from typer.rich_utils import rich_format_help

    rich_format_help(obj=command, ctx=context, markup_mode="markdown")


def _group(parameter: Any) -> str:
    return ARGUMENTS if parameter.param_type_name == "argument" else parameter.rich_help_panel


class Command(TyperCommand):
    """A command whose epilog holds one example a line."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        if not _on_terminal():
            super().format_help(ctx, formatter)
            return
        examples, self.epilog = self.epilog, None  # drawn as they are, without markup
        try:
            _draw(self, ctx)
        finally:
            self.epilog = examples
        from rich.console import Console
        from rich.panel import Panel
        from rich.text import Text

        if examples:
            Console().print(Panel(Text(examples), title="Examples", title_align="left", border_style="dim"))

    def get_params(self, ctx: Any) -> Any:
        """Arguments first, then options group by group; ``--help`` is of the last group."""
        parameters = super().get_params(ctx)
        for parameter in parameters:
            if parameter.param_type_name == "option" and not parameter.rich_help_panel:  # type: ignore[attr-defined]
                parameter.rich_help_panel = GROUPS[-1]  # type: ignore[attr-defined]
        return sorted(parameters, key=lambda each: (ARGUMENTS, *GROUPS).index(_group(each)))

    def format_options(self, ctx: Any, formatter: Any) -> None:
        groups: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None:
                groups.setdefault(_group(parameter), []).append(record)
        for group, records in groups.items():
            with formatter.section(group):
                formatter.write_dl(records)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        if self.epilog:
            with formatter.section("Examples"):
                for line in self.epilog.splitlines():
                    formatter.write(f"{'':>{formatter.current_indent}}{line}\n")


class Group(TyperGroup):
    """The list of commands."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        if _on_terminal():
            _draw(self, ctx)
        else:
            super().format_help(ctx, formatter)
