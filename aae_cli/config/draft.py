"""A config on its way from ``auto`` to values: the facts that rules look at, and the decisions that they take."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ..data.types import Schema
from .sections import Config


@dataclass(frozen=True)
class Facts:
    """All that a rule may look at, beside the config.

    Attributes:
        kind: ``image`` or ``table``. features: columns or pixels of a row. classes: that the labels name, 0 without labels.
        rows: to train on. labelled: of these, the rows whose labels may be used.
        shape: (C, H, W) of an image.
        mixed: whether columns of the table are categories or dates, or have missing cells.
    """

    kind: str
    features: int
    classes: int
    rows: int
    labelled: int
    mixed: bool = False
    shape: tuple[int, ...] = ()

    @classmethod
    def of(cls, schema: Schema, rows: int, labelled: int = 0) -> Facts:
        return cls(
            schema.kind, schema.size, len(schema.classes or ()), rows, labelled, schema.mixed is not None, schema.shape
        )

    @property
    def photos(self) -> bool:
        """Whether these are images in colour."""
        return self.kind == "image" and len(self.shape) == 3 and self.shape[0] == 3

    @property
    def table(self) -> bool:
        return self.kind == "table"


class Choice(NamedTuple):
    """A value, its reason as a clause, and whether a person is told of it without asking."""

    value: Any
    why: str
    told: bool = False


@dataclass(frozen=True)
class Decision:
    """What a rule made of one key: the value that stood there, the one that stands there now, and why."""

    key: str
    before: Any
    value: Any
    why: str
    told: bool

    @property
    def comment(self) -> str:
        """``auto: why``, or what was asked for and why that was changed."""
        asked = self.before != "auto" and not isinstance(self.before, dict)
        return f"instead of {shown(self.before)}: {self.why}" if asked else f"auto: {self.why}"


@dataclass
class Draft:
    """A config on its way from ``auto`` to values, read by dotted keys.

    Attributes:
        given: keys that a person set. decisions: by key, in the order in which they were taken.
    """

    config: Config
    facts: Facts
    given: frozenset[str] = frozenset()
    values: dict[str, Any] = field(init=False)
    decisions: dict[str, Decision] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self.values = self.config.model_dump()

    def __getitem__(self, key: str) -> Any:
        """The value of a key; None where one of its sections is left out, or is yet to be decided."""
        value: Any = self.values
        for name in key.split("."):
            if value is None or value == "auto":
                return None
            value = value[name]
        return value

    def decide(self, key: str, choice: Choice) -> None:
        before, (section, _, last) = self[key], key.rpartition(".")
        self[section][last] = choice.value
        told = choice.told or any(each == key or each.startswith(f"{key}.") for each in self.given)
        self.decisions[key] = Decision(key, before, choice.value, choice.why, told)


Choose = Callable[[Draft, str], Choice | None]


@dataclass(frozen=True)
class Rule:
    """What decides some keys where they are ``auto``; of a limit, wherever they have a value (None: it may stay)."""

    keys: tuple[str, ...]
    choose: Choose
    limit: bool = False
    firm: bool = False

    @property
    def words(self) -> str:
        return " ".join((self.choose.__doc__ or "").split())

    def apply(self, draft: Draft) -> None:
        for key in self.keys:
            value = draft[key]
            if (
                value is None
                or (value == "auto") is self.limit
                or (self.limit and not self.firm and key in draft.given)
            ):
                continue
            choice = self.choose(draft, key)
            if choice is not None and choice.value != value:
                draft.decide(key, choice)


class Rules(list[Rule]):
    """Rules in the order in which they run, to which decorators add."""

    def auto(self, *keys: str) -> Callable[[Choose], Choose]:
        """Add a rule for keys that are ``auto``."""
        return self._add(keys)

    def limit(self, *keys: str, firm: bool = False) -> Callable[[Choose], Choose]:
        """Add a limit on the value of keys. firm: also on a value that a person set."""
        return self._add(keys, True, firm)

    def _add(self, keys: tuple[str, ...], limit: bool = False, firm: bool = False) -> Callable[[Choose], Choose]:
        def add(choose: Choose) -> Choose:
            self.append(Rule(keys, choose, limit, firm))
            return choose

        return add


def shown(value: Any) -> str:
    """A value as one would type it after ``--set KEY=``."""
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(shown, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}: {shown(each)}' for key, each in value.items())}}}"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return f"{value:g}" if isinstance(value, float) else str(value)
