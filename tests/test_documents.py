"""Commands, presets, links and scripts that the documents name exist, and their lines have a readable length."""

import functools
import itertools
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from aae_cli.config.presets import preset_names

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
RESULTS = ROOT / "examples" / "RESULTS.md"
DOCUMENTS = [
    README,
    ROOT / "CHANGELOG.md",
    ROOT / "aae_cli" / "README.md",
    ROOT / "tests" / "benchmarks" / "README.md",
    *sorted((ROOT / "examples").glob("*.md")),
    *sorted((ROOT / ".github").glob("*.md")),
]
NAMES = [str(path.relative_to(ROOT)) for path in DOCUMENTS]
each_document = pytest.mark.parametrize("document", DOCUMENTS, ids=NAMES)


def code(document: Path) -> list[str]:
    """Lines of shell in fenced blocks, and code within the text."""
    text = document.read_text(encoding="utf-8")
    blocks = re.findall(r"^```(?:sh|console)\n(.*?)^```", text, re.S | re.M)
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    return lines + re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", text, flags=re.S | re.M))


def commands(document: Path, program: str) -> list[list[str]]:
    """The words of every ``program …``, also after assignments, in a pipe, within $(…), or behind torchrun."""
    found = []
    for line in code(document):
        for part in re.split(r"&&|\||;|\$\(|\)", re.sub(r"(^|\s)#.*", "", line.removeprefix("$ "))):
            match = re.match(rf"\s*(?:[A-Z_]+=\S*\s+)*(?:torchrun .*)?({program} .*)", part)
            if match and "…" not in part:
                found.append(shlex.split(match[1]))
    return found


@functools.cache
def help_of(command: str) -> str:
    done = subprocess.run([sys.executable, "-m", "aae_cli", command, "--help"], capture_output=True, text=True)
    assert done.returncode == 0, f"aae {command}: {done.stderr}"
    return done.stdout


def has_option(text: str, option: str) -> bool:
    return re.search(rf"(?<![\w-]){re.escape(option)}(?![\w-])", text) is not None


def options(words: list[str]) -> list[str]:
    return [word.partition("=")[0] for word in words if re.match(r"--?[a-zA-Z]", word)]


def named_presets(document: Path) -> set[str]:
    """What follows --preset or -p of ``aae train``, and is not a YAML file."""
    named = set()
    for words in commands(document, "aae"):
        named |= {name for flag, name in itertools.pairwise(words) if flag in ("--preset", "-p")}
    return {name for name in named if not name.endswith(".yaml")} - {"NAME"}


@each_document
def test_commands_use_options_that_exist(document):
    """Every option of every ``aae …`` is in that command's --help."""
    for words in commands(document, "aae"):
        if words[1].startswith("-") or words[1] == "COMMAND":
            continue
        text = help_of(words[1])
        for option in options(words[2:]):
            assert has_option(text, option), f"{option} in {' '.join(words)}"


@each_document
def test_presets_exist(document):
    assert named_presets(document) <= set(preset_names())


def test_documents_show_many_commands_and_presets():
    assert len(commands(README, "aae")) >= 12
    assert len(set().union(*map(named_presets, DOCUMENTS))) >= 12


def test_every_preset_is_described():
    text = (ROOT / "examples" / "presets.md").read_text(encoding="utf-8")
    missing = [name for name in preset_names() if f"`{name}`" not in text]
    assert not missing


@each_document
def test_scripts_and_their_options_exist(document):
    for words in commands(document, "python"):
        scripts = [word for word in words if word.endswith(".py")]
        for script in scripts:
            assert (ROOT / script).is_file(), f"{script} in {' '.join(words)}"
        if scripts and words[1] == scripts[0]:
            source = (ROOT / scripts[0]).read_text(encoding="utf-8")
            for option in options(words[2:]):
                assert f'"{option}"' in source, f"{option} in {' '.join(words)}"


@each_document
def test_links_lead_somewhere(document):
    """Relative links and pictures are files, and what follows # is one of the headings there."""
    text = re.sub(r"^```.*?^```", "", document.read_text(encoding="utf-8"), flags=re.S | re.M)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, heading = target.partition("#")
        there = (document.parent / path).resolve() if path else document
        assert there.exists(), f"{target} in {document.name}"
        if heading:
            titles = re.findall(r"^#+ (.*)$", there.read_text(encoding="utf-8"), re.M)
            slugs = [re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles]
            assert heading in slugs, f"{target} in {document.name}"


@each_document
def test_lines_are_short(document):
    for number, line in enumerate(document.read_text(encoding="utf-8").splitlines(), 1):
        assert len(line) <= 220 or line.startswith("|"), f"{document.name}:{number} has {len(line)} characters"


def test_the_readme_is_short():
    lines = README.read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 120
    assert max(map(len, lines)) <= 120


def test_the_readmes_results_are_those_of_the_results_page():
    """Task, the paper's figure and ours; there the goals that are met are bold."""

    def rows(document: Path) -> set[tuple[str, ...]]:
        lines = document.read_text(encoding="utf-8").replace("**", "").splitlines()
        return {tuple(cell.strip() for cell in line.split("|")[1:4]) for line in lines if "`aae train" in line}

    ours = {row for row in rows(README) if len(row) == 3}
    assert len(ours) >= 5
    assert ours <= rows(RESULTS)
