"""Examples run as they are; the README's commands parse and its claims have commands."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.parametrize("script", sorted((ROOT / "examples").glob("*.py")), ids=lambda path: path.name)
def test_examples_run(script, tmp_path):
    command = [sys.executable, str(script), "--epochs", "2", "-o", str(tmp_path / "run")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
    assert (tmp_path / "run" / "model.safetensors").is_file()


def readme_commands() -> list[list[str]]:
    blocks = re.findall(r"```(?:sh|console)\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    parts = [part for line in lines for part in re.split(r"&&|\||\$\(|\)", line.partition(" #")[0])]
    return [shlex.split(part) for part in parts if part.strip().startswith("aae ")]


@pytest.mark.parametrize("words", readme_commands(), ids=" ".join)
def test_the_readmes_commands_use_options_that_exist(words):
    """Every option of every `aae …` line is in that command's --help."""
    done = subprocess.run([sys.executable, "-m", "aae_cli", words[1], "--help"], capture_output=True, text=True)
    if words[1].startswith("-"):
        return
    assert done.returncode == 0, done.stderr
    for word in words[2:]:
        if word.startswith("-") and word != "-":
            assert re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", done.stdout), f"{word} in {' '.join(words)}"


def test_the_readme_names_presets_that_exist():
    from aae_cli.config import preset_names

    text = (ROOT / "README.md").read_text()
    named = set(re.findall(r"--preset ([\w/-]+)", text))
    assert len(named) >= 12
    assert named <= set(preset_names())
