"""Names and meanings of the losses that a training reports, for people who have not read the paper."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Any

MEANINGS = {
    "reconstruction": "rows differ from their reconstructions",
    "labels": "labelled rows get wrong classes",
    "consistency": "a row and a changed copy of it get different categories",
    "information": "categories are unsure or unevenly used (below 0 where they are not)",
    "neighbours": "rows that are near each other get codes that are not",
    "heads": "heads of clusters lie close together",
    "discriminator": "the adversary takes codes (y or z) for draws of the prior",
    "generator": "the adversary, which the encoder tries to deceive, tells them apart",
}
"""What a high value of each loss means, in the order in which losses are shown."""


def loss_name(key: str) -> tuple[str, str]:
    """The loss of a key of metrics.jsonl, such as ``loss.regularisation.z.generator``, and its part of the code, if any."""
    words = [word for word in key.split(".")[1:] if word != "regularisation"]
    name = "labels" if words[-1] == "semi_supervised" else words[-1]
    return name, words[0] if len(words) > 1 else ""


def losses_line(record: Mapping[str, Any], history: Mapping[str, Sequence[float]] = MappingProxyType({})) -> str:
    """Format the losses of a metrics record.

    Args:
        history: key of a loss → its earlier values, which are drawn as a sparkline.
    """
    order, found = list(MEANINGS), []
    for key, value in record.items():
        if key.startswith("loss.") and value is not None:
            name, part = loss_name(key)
            drawn = f" {sparkline(history[key])}" if key in history else ""
            place = order.index(name) if name in order else len(order)
            found.append((place, f"{name}{f'({part})' if part else ''} {value:.3g}{drawn}"))
    found.sort(key=lambda each: each[0])
    return "  ".join(text for _, text in found)


BARS = "▁▂▃▄▅▆▇█"


def sparkline(values: Sequence[float], width: int = 8) -> str:
    """Values as a line of at most ``width`` bars, each the mean of as many values, from the lowest to the highest."""
    count = min(width, len(values))
    parts = [values[len(values) * i // count : len(values) * (i + 1) // count] for i in range(count)]
    means = [sum(part) / len(part) for part in parts]
    low, span = min(means, default=0.0), max(means, default=0.0) - min(means, default=0.0)
    return "".join(BARS[round((mean - low) / span * (len(BARS) - 1))] if span else BARS[0] for mean in means)


def legend(names: Collection[str]) -> str:
    """One line on what these losses mean; empty for none that are known."""
    known = [f"{name}: {meaning}" for name, meaning in MEANINGS.items() if name in names]
    return f"losses, each high where – {'; '.join(known)}" if known else ""
