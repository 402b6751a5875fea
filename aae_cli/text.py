"""Text for a person: what comes from files is cleaned, long lists are cut, and a wrong name gets a suggestion."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def clean(text: object, most: int = 80) -> str:
    """Text from a file, made safe for a terminal: control characters are escaped, long text is cut to ``most``."""
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(text)[: most + 1])
    return shown if len(shown) <= most else shown[: most - 1] + "…"


def visible(text: str) -> str:
    """One line without control characters, of any length; line ends and tabs become spaces."""
    return "".join(c if c.isprintable() else " " if c in "\n\t" else c.encode("unicode_escape").decode() for c in text)


def quoted(text: object) -> str:
    """``clean`` text in quotes."""
    return f"'{clean(text)}'"


def listed(names: Iterable[object], most: int = 5) -> str:
    """``a, b, c and 4 more``."""
    items = [clean(name, 40) for name in names]
    return ", ".join(items[:most]) + (f" and {len(items) - most} more" if len(items) > most else "")


def did_you_mean(word: str, known: Iterable[str], likeness: float = 0.6) -> str | None:
    """``did you mean x?``, or None where nothing is close.

    Args:
        likeness: least similarity of the suggestion, 0 to 1 (difflib's ratio).
    """
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=likeness)
    return f"did you mean {clean(close[0])}?" if close else None
