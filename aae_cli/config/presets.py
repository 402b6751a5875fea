"""Presets: the YAML files that are shipped, and those of a person, read safely."""

from __future__ import annotations

import re
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from ..errors import UsageError
from ..text import clean, did_you_mean

MAX_PRESET_BYTES = 64 * 1024


def presets_folder() -> Path:
    """Where the presets lie: inside the installed package, or beside it in a checkout."""
    packaged = Path(str(resources.files("aae_cli") / "presets"))
    return packaged if packaged.is_dir() else Path(__file__).resolve().parent.parent.parent / "presets"


def preset_names() -> list[str]:
    folder = presets_folder()
    names = [path.relative_to(folder).with_suffix("").as_posix() for path in folder.rglob("*.yaml")]
    return sorted(names, key=lambda name: (name.startswith("paper/"), name))


def is_shipped(name_or_file: str) -> bool:
    return name_or_file in preset_names()


def preset_path(name_or_file: str) -> Path:
    """The YAML file of a preset's name, or of a path.

    Raises:
        UsageError: no such preset, with the closest name.
    """
    if is_shipped(name_or_file):
        return presets_folder() / f"{name_or_file}.yaml"
    path = Path(name_or_file)
    if path.suffix in (".yaml", ".yml") or path.is_file():
        if path.is_file():
            return path
        raise UsageError(f"there is no preset file {name_or_file}", "`aae presets` lists the shipped ones")
    raise UsageError(
        f"there is no preset {name_or_file!r}",
        did_you_mean(name_or_file, preset_names(), 0.5) or "`aae presets` lists them",
    )


def preset_title(name_or_file: str) -> str:
    """The name that run folders take: a preset's own, without folder and suffix."""
    return Path(name_or_file).with_suffix("").name or "run"


class _PlainLoader(yaml.SafeLoader):
    """safe_load that refuses aliases, which can expand without bound, and keys that are there twice."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        mapping = super().construct_mapping(node, deep)
        if len(mapping) < len(node.value):
            names = [key.value for key, _ in node.value]
            twice = next((key for key, _ in node.value if names.count(key.value) > 1), node)
            raise yaml.MarkedYAMLError(None, None, f"the key {clean(twice.value)} is there twice", twice.start_mark)
        return mapping

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark
            raise yaml.YAMLError(f"line {mark.line + 1}: aliases (*name) are not allowed")
        return super().compose_node(parent, index)


# YAML 1.1 reads 5e-4 as text; people mean a number.
_PlainLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(\d+\.\d*|\.\d+|\d+)([eE][-+]?\d+)$"),
    list("-+0123456789."),
)


def load_yaml(text: str, where: str) -> Any:
    try:
        return yaml.load(text, Loader=_PlainLoader)  # noqa: S506 (a SafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{where}, line {mark.line + 1}" if mark is not None else where
        problem = getattr(error, "problem", None) or str(error)
        raise UsageError(f"{place}: not valid YAML ({' '.join(problem.split())})") from None
    except RecursionError:
        raise UsageError(f"{where}: nested too deeply") from None
    except ValueError as error:
        raise UsageError(f"{where}: {error}") from None


def read_preset(name_or_file: str) -> dict[str, Any]:
    """A preset's YAML as a plain mapping, not yet validated.

    Raises:
        UsageError: missing, unreadable, too large, or not a YAML mapping.
    """
    path = preset_path(name_or_file)
    try:
        if path.stat().st_size > MAX_PRESET_BYTES:
            raise UsageError(f"{path}: larger than {MAX_PRESET_BYTES // 1024} KiB, which no preset is")
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: cannot be read ({error})") from None
    values = load_yaml(text, str(path))
    if not isinstance(values, dict):
        raise UsageError(f"{path}: a preset is a mapping of sections, such as `code:` and `train:`")
    return values
