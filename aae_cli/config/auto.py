"""Every ``auto`` of a config decided for one data set, by the rules of ``rules.py`` and ``lengths.py``.

The notes on stderr, the comments of ``--dry-run``, ``aae presets NAME --auto`` and the table in the documents are all made
from the same rules and decisions.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import DataError
from ..text import counted
from .draft import Decision, Draft, Facts, shown
from .lengths import RULES as LENGTHS
from .lengths import ensemble_of
from .resolve import validate
from .rules import RULES as FORM
from .sections import Config

RULES = (*FORM, *LENGTHS)


@dataclass(frozen=True)
class Adapted:
    """A config with every ``auto`` decided for one data set, the decisions that led there, and other remarks on it."""

    config: Config
    decisions: tuple[Decision, ...] = ()
    remarks: tuple[str, ...] = ()

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person is told: ``key=value: why``, one line for keys that a single reason set alike."""
        lines: dict[tuple[str, str], list[str]] = {}
        for each in self.decisions:
            if each.told:
                lines.setdefault((shown(each.value), each.why), []).append(each.key)
        return (*(f"{', '.join(keys)}={value}: {why}" for (value, why), keys in lines.items()), *self.remarks)


def rules_of(config: Config) -> list[tuple[str, str]]:
    """The keys of a preset that a rule may decide or cut, with the rule in words: for ``aae presets NAME --auto``."""
    draft, lines = Draft(config, Facts("", 0, 0, 0, 0)), []
    for rule in RULES:
        keys = [key for key in rule.keys if draft[key] is not None and (rule.limit or draft[key] == "auto")]
        if keys:
            lines.append((", ".join(keys), f"{'limit: ' if rule.limit else ''}{rule.words}"))
    return lines


def rules_table() -> str:
    """All rules as a Markdown table, for the documents."""
    lines = ["| key | kind | rule |", "|---|---|---|"]
    for rule in RULES:
        kind = "auto" if not rule.limit else "firm limit" if rule.firm else "limit"
        lines.append(f"| {', '.join(f'`{key}`' for key in rule.keys)} | {kind} | {rule.words} |")
    return "\n".join(lines) + "\n"


def adapt(config: Config, facts: Facts, given: frozenset[str] = frozenset()) -> Adapted:
    """Decide every ``auto`` of a config for one data set.

    Args:
        given: dotted keys that a person set, which only firm limits may change.

    Raises:
        DataError: too few rows or classes, or labels that are needed and missing.
        UsageError: what was given contradicts what the data asks for.
    """
    _require(config, facts)
    draft = Draft(config, facts, given)
    for rule in RULES:
        rule.apply(draft)
    classes = draft["code.y.classes"]
    if draft["phases.semi_supervised"] is not None and classes is not None and classes < facts.classes:
        raise DataError(f"the data has {facts.classes} classes and code.y.classes is {classes}", "leave it at auto")
    draft.values["train"]["min_steps"] = 0  # the epochs are settled
    adapted = validate(draft.values, "the adapted preset")
    remarks = ("views of a table's row lie between it and near rows, with noise; image augmentation is off",)
    remarked = facts.table and needs_view(adapted)
    return Adapted(adapted, tuple(draft.decisions.values()), remarks if remarked else ())


def _require(config: Config, facts: Facts) -> None:
    if facts.rows < 2:
        raise DataError(f"only {counted(facts.rows, 'row')} to train on", "at least 2 are needed")
    if not config.uses_labels:
        return
    if facts.classes == 1:
        raise DataError("the labels name 1 class", "at least 2 are needed")
    if not facts.classes or not facts.labelled:
        raise DataError(
            "this preset needs labels and the data has none",
            "name the column with --label-column, or try --preset clustering or dim-reduction",
        )


def ensemble_size(config: Config) -> int:
    """How many models share their consistency targets in a stage of an adapted config: a seed's restarts, or 1.

    They do where categories mean the same in all: labels name them, or the clusters of all restarts are merged together.
    """
    return ensemble_of(Draft(config, Facts("", 0, 0, 0, 0)))


def needs_view(config: Config) -> bool:
    """Whether a loss compares rows with second views of them."""
    p = config.phases
    return p.consistency is not None or (p.neighbour_embedding is not None and p.neighbour_embedding.weight != 0)
