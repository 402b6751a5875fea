"""examples/cli.md lists every command and option, and the rules table of examples/presets.md is current.

python tests/cli/test_cli_reference.py   # write both anew
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import typer

from aae_cli.cli import app
from aae_cli.config.auto import rules_table

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
RULES = re.compile(r"(?<=<!-- rules -->\n\n).*?(?=\n<!-- end of rules -->)", re.DOTALL)
HEAD = """\
# Commands

Every command and option, as `aae COMMAND --help` shows them. Exit codes and pipes are described in the
[README](../README.md#pipes-and-exit-codes). `aae --install-completion` adds completion to your shell.
"""


def names(parameter: Any) -> str:
    """An option as it is typed, or an argument's placeholder."""
    typed = ", ".join(f"`{each}`" for each in parameter.opts) if parameter.param_type_name == "option" else ""
    return f"{typed} {parameter.metavar or ''}".strip().replace("|", "\\|")


def section(name: str, command: Any) -> str:
    lines = [f"## aae {name}", "", " ".join(command.help.split()), "", "```sh", *command.epilog.splitlines(), "```", ""]
    groups: dict[str, list[str]] = {}
    context = typer.Context(command)
    for each in command.get_params(context):
        group = "Arguments" if each.param_type_name == "argument" else each.rich_help_panel
        words = (each.help or "").replace("|", "\\|").replace("<", "\\<")
        groups.setdefault(group, []).append(f"| {names(each)} | {words} |")
    for group, rows in groups.items():
        lines += [f"| {group} | |", "|---|---|", *rows, ""]
    return "\n".join(lines)


def reference() -> str:
    commands: Any = typer.main.get_command(app)
    return "\n".join([HEAD, *(section(name, each) for name, each in commands.commands.items())])


def presets_document() -> str:
    return RULES.sub(lambda _: rules_table(), (EXAMPLES / "presets.md").read_text())


def test_the_reference_is_current() -> None:
    assert (EXAMPLES / "cli.md").read_text() == reference()


def test_the_rules_table_is_current() -> None:
    assert (EXAMPLES / "presets.md").read_text() == presets_document()
    assert rules_table() in presets_document()


if __name__ == "__main__":
    (EXAMPLES / "cli.md").write_text(reference())
    (EXAMPLES / "presets.md").write_text(presets_document())
