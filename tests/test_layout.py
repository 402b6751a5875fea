"""Imports point down only, and no module or function grows beyond what one can read in one go."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import aae_cli

ROOT = Path(aae_cli.__file__).parent
FLOORS = [{"cli"}, {"estimator"}, {"training"}, {"objective"}, {"model"}, {"config", "output", "nn"}, {"data"}]
GROUND = len(FLOORS)  # text, files, device, distributed, errors, version
MODULES = {".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in sorted(ROOT.rglob("*.py"))}


def room(module: str) -> str:
    return module.partition(".")[0]


def floor(module: str) -> int:
    return next((i for i, rooms in enumerate(FLOORS) if room(module) in rooms), GROUND)


def imports(module: str) -> set[str]:
    """The package's modules that one imports, at its top, in a function or for its types."""
    found = set()
    for node in ast.walk(ast.parse(MODULES[module].read_text())):
        if not isinstance(node, ast.ImportFrom) or not node.level:
            continue
        here = module.split(".")[: -node.level]
        base = [*here, *(node.module or "").split(".")] if node.module else here
        for name in (alias.name for alias in node.names):
            whole = ".".join([*base, name])
            found.add(whole if whole in MODULES else ".".join(base))
    return found & MODULES.keys()


@pytest.mark.parametrize("module", [name for name in MODULES if "." in name or floor(name) == GROUND])
def test_imports_point_down(module: str) -> None:
    if module in ("__init__", "__main__"):  # the public names, and the way in
        return
    for other in imports(module):
        assert floor(other) > floor(module) or room(other) == room(module) or floor(module) == GROUND == floor(other), (
            other
        )
    if room(module) == "nn":
        assert {room(other) for other in imports(module)} <= {"nn", "distributed"}


def test_no_imports_in_a_circle() -> None:
    left = {name: imports(name) - {name} for name in MODULES if name != "__init__"}
    while free := [name for name, needs in left.items() if not needs & left.keys()]:
        for name in free:
            del left[name]
    assert not left


def test_modules_and_functions_are_short() -> None:
    for name, path in MODULES.items():
        text = path.read_text()
        assert len(text.splitlines()) <= 350, name
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                statements = node.body[1:] if ast.get_docstring(node) and node.body[1:] else node.body
                assert (node.end_lineno or 0) - statements[0].lineno < 65, f"{name}.{node.name}"
