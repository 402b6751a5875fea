"""Preset, settings and flags put together into one config, and validated."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from ..errors import UsageError
from ..text import did_you_mean
from .checks import contradictions
from .presets import is_shipped, load_yaml, read_preset
from .sections import Config


def parse_setting(setting: str) -> tuple[list[str], Any]:
    """``a.b=value`` (the value read as YAML) as (["a", "b"], value)."""
    key, equals, text = setting.partition("=")
    if not equals or not key.strip():
        raise UsageError(f"--set {setting}: write KEY=VALUE, such as --set train.epochs=10")
    return key.strip().split("."), load_yaml(text, f"--set {key}")


def put(values: dict[str, Any], path: Iterable[str], value: Any, origin: str) -> None:
    """Set one key of a nested mapping, making sections on the way."""
    *sections, last = path
    for name in sections:
        if values.get(name) in (None, "auto"):
            values[name] = {}
        values = values[name]
        if not isinstance(values, dict):
            raise UsageError(f"{origin}: {name} is a value, not a section")
    values[last] = value


def resolve(
    preset: str | Mapping[str, Any],
    settings: Iterable[str] = (),
    flags: Mapping[str, Any] | None = None,
) -> Config:
    """The config of :func:`resolve_given`, alone."""
    return resolve_given(preset, settings, flags)[0]


def resolve_given(
    preset: str | Mapping[str, Any],
    settings: Iterable[str] = (),
    flags: Mapping[str, Any] | None = None,
) -> tuple[Config, frozenset[str]]:
    """Preset < settings < flags, validated; and the dotted keys that a person set, rather than a shipped preset.

    Args:
        preset: a shipped preset's name, a YAML file, or a mapping.
        settings: ``a.b=value`` texts, as after ``--set``.
        flags: dotted key → value; None values are passed over.

    Raises:
        UsageError: an unknown key, a wrong type or an impossible combination, with its key path.
    """
    origin = preset if isinstance(preset, str) else "config"
    values = read_preset(preset) if isinstance(preset, str) else _copy(dict(preset))
    shipped = isinstance(preset, str) and is_shipped(preset)
    given: set[str] = set()
    for setting in settings:
        path, value = parse_setting(setting)
        put(values, path, value, f"--set {setting}")
        origin = f"{origin} with --set" if "--set" not in origin else origin
        given.add(".".join(path))
    for key, value in (flags or {}).items():
        if value is not None:
            put(values, key.split("."), value, key)
            given.add(key)
    if "train.epochs" in given and "train.min_steps" not in given:
        put(values, ["train", "min_steps"], 0, "train.epochs")  # epochs that a person asked for are not raised
    return validate(values, origin), frozenset(given if shipped else {*given, *dict(leaves(values))})


def leaves(values: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted keys of a nested mapping, with their values."""
    for key, value in values.items():
        if isinstance(value, dict):
            yield from leaves(value, f"{path}{key}.")
        else:
            yield f"{path}{key}", value


def validate(values: Mapping[str, Any], origin: str) -> Config:
    """A config of these values.

    Raises:
        UsageError: an unknown key, a wrong type or an impossible combination, with its key path and ``origin``.
    """
    try:
        config = Config.model_validate(values)
    except ValidationError as error:
        raise UsageError(*_explain(error, origin)) from None
    except RecursionError:
        raise UsageError(f"{origin}: nested too deeply") from None
    for problem in contradictions(config):
        raise UsageError(f"{origin}: {problem}")
    return config


def _copy(value: Any) -> Any:
    return {key: _copy(item) for key, item in value.items()} if isinstance(value, dict) else value


def _explain(error: ValidationError, origin: str) -> tuple[str, str | None]:
    first = error.errors(include_url=False, include_context=False)[0]
    location = [str(part) for part in first["loc"]]
    path = ".".join(part for part in location if not part.startswith(("constrained-", "literal", "function-")))
    if first["type"] == "extra_forbidden":
        section: Any = Config
        for part in location[:-1]:
            section = _section_of(section, part)
        known = list(section.model_fields)
        hint = did_you_mean(location[-1], known, 0.5) or f"the keys here are {', '.join(known)}"
        return f"{origin}: unknown key {path}", hint
    message = first["msg"].removeprefix("Value error, ")
    message = message[0].lower() + message[1:] if message[:1].isupper() and not message.startswith("W_") else message
    return (f"{origin}: {path}: {message}" if path else f"{origin}: {message}"), None


def _section_of(section: Any, name: str) -> Any:
    annotation = section.model_fields[name].annotation
    for candidate in (annotation, *getattr(annotation, "__args__", ())):
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            return candidate
    return section


def to_yaml(config: Config) -> str:
    """The whole resolved config as YAML, which ``aae train --preset FILE`` reads back."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True, default_flow_style=None)


def to_commented_yaml(config: Config, comments: Mapping[str, str]) -> str:
    """The same with one key a line, some with a comment behind it.

    Args:
        comments: dotted key → comment.
    """
    lines: list[str] = []
    path: list[str] = []
    for line in yaml.dump(
        config.model_dump(mode="json"), Dumper=_BlockDumper, sort_keys=False, allow_unicode=True, width=10**6
    ).splitlines():
        depth = (len(line) - len(line.lstrip())) // 2
        path[depth:] = [line.strip().partition(":")[0]]
        comment = comments.get(".".join(path))
        lines.append(line if comment is None else f"{line}  # {comment}")
    return "\n".join(lines) + "\n"


class _BlockDumper(yaml.SafeDumper):
    """Mappings in block style, lists in one line."""


_BlockDumper.add_representer(
    list, lambda dumper, items: dumper.represent_sequence("tag:yaml.org,2002:seq", items, flow_style=True)
)
