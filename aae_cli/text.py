"""Format text for the user: make text from files safe to print, shorten lists, and suggest names."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def clean(text: object, most: int = 80) -> str:
    """Make text from a file safe for a terminal: escape control characters, and cut it to ``most`` characters."""
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(text)[: most + 1])
    return shown if len(shown) <= most else shown[: most - 1] + "…"


def visible(text: str) -> str:
    """Make text of any length one printable line: line ends and tabs become spaces, control characters are escaped."""
    return "".join(c if c.isprintable() else " " if c in "\n\t" else c.encode("unicode_escape").decode() for c in text)


def encodable(text: str) -> str:
    """Escape what UTF-8 cannot encode, such as some bytes of a file's name."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def quoted(text: object) -> str:
    """Return text in quotes, made safe by ``clean``."""
    return f"'{clean(text)}'"


def listed(names: Iterable[object], most: int = 5) -> str:
    """List names as ``a, b, c and 4 more``, made safe by ``clean``."""
    items = [clean(name, 40) for name in names]
    return ", ".join(items[:most]) + (f" and {len(items) - most} more" if len(items) > most else "")


def counted(number: int, noun: str) -> str:
    """Return a number with its noun: ``1 row``, ``2 rows``, ``3 classes``, ``4 categories``."""
    if number == 1:
        return f"1 {noun}"
    return f"{number} {noun[:-1]}ies" if noun.endswith("y") else f"{number} {noun}{'es' if noun.endswith('s') else 's'}"


def row_name(row: int) -> str:
    """Name a row in a message. Rows count from 0 as their ids do, lines of a file from 1 as editors do."""
    return f"row {row} (counted from 0)"


def did_you_mean(word: str, known: Iterable[str], likeness: float = 0.6) -> str | None:
    """Return ``did you mean x?`` for the most similar known name; None if none is similar.

    Args:
        likeness: least similarity of a suggestion, 0 to 1 (difflib's ratio).
    """
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=likeness)
    return f"did you mean {clean(close[0])}?" if close else None
