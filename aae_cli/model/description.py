"""Describe clusters: how large and how sure each is, where it differs from the rest, and its typical rows.

Rows come piece by piece; sums and a few rows are kept, so that memory is bounded.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..data.columns import Column
from ..data.types import Data, Schema
from ..text import clean
from .members import Counts, Highest

DIFFERENCES = 5
"""Number of columns in which a cluster is compared with the rest."""

TYPICAL = 3
"""Number of typical rows of each cluster: those with the highest confidence, by chance among equals."""

CLASSES = 3
"""Number of classes that are named in a title."""

HEADER = ("column", "here", "the rest", "difference")
LEGEND = (
    "here: mean of a number, or share of a level, in the cluster; the rest: in all other rows; difference: of these, in "
    "standard deviations of all rows; row …: the rows with the highest confidence"
)


@dataclass(frozen=True)
class Difference:
    """How one column differs between a cluster and the rest.

    Attributes:
        at: position of the column.
        here, rest: mean of a number or date, or share of a level or of missing cells, in the cluster and elsewhere.
        size: their difference in standard deviations of all rows.
        level: the level of a category, by its position; None for a mean and for missing cells.
        missing: whether shares of missing cells are compared.
    """

    at: int
    here: float
    rest: float
    size: float
    level: int | None = None
    missing: bool = False

    @property
    def is_share(self) -> bool:
        return self.missing or self.level is not None


@dataclass(frozen=True)
class TypicalRow:
    """A row with a high confidence. ``x``: (D,) in the file's units."""

    id: str
    confidence: float
    x: np.ndarray


class Description(Counts):
    """Description of the K clusters of the rows that are added.

    Args:
        clusters: K.
        schema: form of a row; of images, columns and typical rows are left out.
        seed: random seed of the choice among rows of equal confidence.
    """

    def __init__(self, clusters: int, schema: Schema, seed: int = 0) -> None:
        super().__init__(clusters)
        self.schema = schema
        width = schema.size if schema.kind == "table" else 0
        kinds = schema.mixed if schema.mixed is not None else (None,) * width
        self.columns: tuple[Column | None, ...] = kinds
        self._levels = {i: len(kind.levels) for i, kind in enumerate(kinds) if kind and kind.kind == "category"}
        self._numbers = np.array([i for i in range(width) if i not in self._levels], np.int64)
        self._sure = np.zeros(clusters)
        self._centre: np.ndarray | None = None  # of the first rows, against cancellation in columns such as years
        self._count, self._sum, self._square = np.zeros((3, clusters, len(self._numbers)))
        # Rows of each level, and in the last place those without one.
        self._shares = {i: np.zeros((clusters, levels + 1), np.int64) for i, levels in self._levels.items()}
        self._typical: dict[int, Highest] = {}
        self._ids: dict[int, str] = {}
        self._random = np.random.default_rng(seed)

    # --- adding rows --------------------------------------------------------------------------------------------------

    def add(self, rows: Data, cluster: np.ndarray, confidence: np.ndarray | None = None) -> None:
        """Add rows with their clusters (N,) and confidences (N,)."""
        assert confidence is not None
        super().add(rows, cluster)
        self._sure += np.bincount(cluster, confidence, minlength=len(self._sure))
        if self.schema.kind == "table":
            self._add_columns(rows.x, cluster)
            self._add_typical(rows, cluster, confidence)

    def _add_columns(self, x: np.ndarray, cluster: np.ndarray) -> None:
        numbers = np.asarray(x[:, self._numbers], np.float64)
        observed = ~np.isnan(numbers)
        if self._centre is None:
            self._centre = np.where(observed, numbers, 0).sum(0) / observed.sum(0).clip(min=1)
        centred = np.where(observed, numbers - self._centre, 0)
        for k in np.unique(cluster).tolist():
            own = cluster == k
            self._count[k] += observed[own].sum(0)
            self._sum[k] += centred[own].sum(0)
            self._square[k] += np.square(centred[own]).sum(0)
        for i, shares in self._shares.items():
            places = shares.shape[1]
            level = np.where(np.isnan(x[:, i]), places - 1, x[:, i]).astype(np.int64)
            shares += np.bincount(cluster * places + level, minlength=shares.size).reshape(shares.shape)

    def _add_typical(self, rows: Data, cluster: np.ndarray, confidence: np.ndarray) -> None:
        numbers = rows.first + np.arange(len(rows))
        facts = np.stack([confidence, self._random.random(len(rows)), numbers, cluster], 1)
        for k in np.unique(cluster).tolist():
            self._typical.setdefault(k, Highest(TYPICAL)).add(rows.x, facts, np.flatnonzero(cluster == k))
        kept = [int(number) for each in self._typical.values() for number in each.facts[:, 2]]
        ids = {n: rows.ids[n - rows.first] for n in kept if n >= rows.first} if rows.ids is not None else {}
        self._ids = {n: self._ids.get(n, ids.get(n, str(n))) for n in kept}

    # --- what was found -----------------------------------------------------------------------------------------------

    @property
    def found(self) -> list[int]:
        """The clusters that have rows."""
        return np.flatnonzero(self.sizes).tolist()

    def confidence(self, cluster: int) -> float:
        """Mean confidence of the rows of a cluster."""
        return float(self._sure[cluster] / max(1, self.sizes[cluster]))

    def typical(self, cluster: int) -> list[TypicalRow]:
        """Rows with the highest confidence."""
        rows = self._typical.get(cluster)
        if rows is None or rows.x is None:
            return []
        return [
            TypicalRow(self._ids[int(fact[2])], float(fact[0]), x) for fact, x in zip(rows.facts, rows.x, strict=True)
        ]

    def differences(self, cluster: int) -> list[Difference]:
        """The columns in which a cluster differs most from all other rows, the largest difference first."""
        if self._centre is None or self.sizes[cluster] in (0, self.sizes.sum()):
            return []
        best: dict[int, Difference] = {}
        for each in [*self._means(cluster, self._centre), *self._level_shares(cluster)]:
            if each.at not in best or abs(each.size) > abs(best[each.at].size):
                best[each.at] = each
        ranked = sorted(best.values(), key=lambda each: -abs(each.size))
        return [each for each in ranked if each.size][:DIFFERENCES]

    def _means(self, cluster: int, centre: np.ndarray) -> list[Difference]:
        """Differences of numbers, and of their missing cells."""
        found = []
        count, total = self._count.sum(0), self._sum.sum(0)
        mean = total / count.clip(min=1)
        std = np.sqrt((self._square.sum(0) / count.clip(min=1) - mean**2).clip(min=0))
        for j, at in enumerate(self._numbers.tolist()):
            here, rest = self._count[cluster, j], count[j] - self._count[cluster, j]
            if here and rest and std[j] > 1e-9 * (abs(centre[j]) + 1e-30):
                own = self._sum[cluster, j] / here
                other = (total[j] - self._sum[cluster, j]) / rest
                means = float(centre[j] + own), float(centre[j] + other)
                found.append(Difference(at, *means, size=float((own - other) / std[j])))
            sizes = self.sizes.sum() - self.sizes[cluster]
            found += self._share(at, self.sizes[cluster] - here, self.sizes[cluster], sizes - rest, sizes)
        return found

    def _level_shares(self, cluster: int) -> list[Difference]:
        """Differences of categories, each in its level whose share differs most, and of their missing cells."""
        found = []
        for at, shares in self._shares.items():
            here, rest = shares[cluster], shares.sum(0) - shares[cluster]
            own, other = here[:-1].sum(), rest[:-1].sum()
            if own and other:
                change = here[:-1] / own - rest[:-1] / other
                level = max(range(len(change)), key=lambda i: (round(abs(change[i]), 9), change[i]))
                found += self._share(at, here[level], own, rest[level], other, level)
            found += self._share(at, here[-1], here.sum(), rest[-1], rest.sum())
        return found

    def _share(
        self, at: int, here: float, own: float, rest: float, other: float, level: int | None = None
    ) -> list[Difference]:
        """The difference between shares: ``here`` of ``own`` rows and ``rest`` of ``other`` ones. None of a constant."""
        p = float((here + rest) / (own + other))
        if not 0 < p < 1:
            return []
        a, b = float(here / own), float(rest / other)
        return [Difference(at, a, b, (a - b) / math.sqrt(p * (1 - p)), level, missing=level is None)]

    # --- as text and as JSON ------------------------------------------------------------------------------------------

    def name(self, at: int) -> str:
        """Name of a column."""
        return self.schema.columns[at] if self.schema.columns is not None else f"x{at}"

    def title(self, cluster: int) -> str:
        """One line about a cluster: its size, its confidence, and its classes where labels are known."""
        size, total = int(self.sizes[cluster]), int(self.sizes.sum())
        line = f"cluster {cluster}: {size:,} of {total:,} rows ({percent(size, total)})"
        line += f", mean confidence {self.confidence(cluster):.2f}"
        labels = self.labels[cluster]
        if labels:
            known, most = labels.total(), labels.most_common(CLASSES)
            line += "; " + ", ".join(f"{percent(count, known)} {clean(name, 40)}" for name, count in most)
            line += f" and {len(labels) - CLASSES} more classes" if len(labels) > CLASSES else ""
        return line

    def table(self, cluster: int) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
        """Header and rows of a table: the columns in which a cluster differs most, with the cells of typical rows."""
        typical = self.typical(cluster)
        header = (*HEADER, *(f"row {clean(row.id, 16)}" for row in typical))
        lines = []
        for each in self.differences(cluster):
            cells = tuple(clean(self._text(each.at, row.x[each.at]), 16) for row in typical)
            lines.append((*self._texts(each), f"{each.size:+.1f}", *cells))
        return header, lines

    def _texts(self, each: Difference) -> tuple[str, str, str]:
        """What is compared, here and in the rest."""
        name, column = clean(self.name(each.at), 30), self.columns[each.at]
        if each.is_share:
            level = "missing" if each.missing or column is None else f"= {clean(column.levels[each.level or 0], 20)}"
            return f"{name} {level}", percent(each.here), percent(each.rest)
        if column is not None and column.kind == "date":
            return name, column.text(each.here), column.text(each.rest)
        # Two digits of the difference are shown.
        places = min(6, max(0, 1 - math.floor(math.log10(abs(each.here - each.rest) or 1))))
        here, rest = (round(value, places) + 0.0 for value in (each.here, each.rest))  # + 0.0 makes −0 to 0
        return name, f"{here:.{places}f}", f"{rest:.{places}f}"

    def _text(self, at: int, value: float) -> str:
        column = self.columns[at]
        if column is not None:
            return column.text(float(value))
        return f"{value:.7g}"

    def _cell(self, at: int, value: float) -> Any:
        """A cell as JSON holds it: a number, a text, true or false, or null."""
        column = self.columns[at]
        if column is None:
            whole = self.schema.integer[at if len(self.schema.integer) > 1 else 0]
            return int(value) if whole else float(f"{value:.7g}")
        cell = None if math.isnan(value) else column.cell(float(value))
        if isinstance(cell, float):
            return float(f"{cell:.7g}")
        return cell if isinstance(cell, int | str) else None if cell is None else str(cell)

    def to_json(self) -> dict[str, Any]:
        """All of it: ``rows``, and ``clusters`` without those that have no rows."""
        return {"rows": int(self.sizes.sum()), "clusters": [self._cluster_json(k) for k in self.found]}

    def _cluster_json(self, cluster: int) -> dict[str, Any]:
        size = int(self.sizes[cluster])
        facts: dict[str, Any] = {"cluster": cluster, "size": size, "share": _short(size / int(self.sizes.sum()))}
        facts["confidence"] = _short(self.confidence(cluster))
        if self.labels[cluster]:
            facts["classes"] = dict(self.labels[cluster].most_common())
        if self.schema.kind == "table":
            facts["differences"] = [self._difference_json(each) for each in self.differences(cluster)]
            facts["typical"] = [
                {
                    "id": row.id,
                    "confidence": _short(row.confidence),
                    "row": {self.name(at): self._cell(at, value) for at, value in enumerate(row.x.tolist())},
                }
                for row in self.typical(cluster)
            ]
        return facts

    def _difference_json(self, each: Difference) -> dict[str, Any]:
        column = self.columns[each.at]
        what: dict[str, Any] = {"column": self.name(each.at)}
        here: Any = _short(each.here)
        rest: Any = _short(each.rest)
        if each.missing:
            what["missing"] = True
        elif each.level is not None:
            what["level"] = self._cell(each.at, each.level)
        elif column is not None and column.kind == "date":
            here, rest = str(column.cell(each.here)), str(column.cell(each.rest))
        kind = "share" if each.is_share else "mean"
        return {**what, kind: here, "rest": rest, "difference": _short(each.size)}


def percent(part: float, whole: float = 1) -> str:
    """A share in %, where 0 % and 100 % mean none and all."""
    if part in (0, whole):
        return "0 %" if part == 0 else "100 %"
    share = 100 * part / whole
    return "< 1 %" if share < 0.5 else f"{min(99, round(share))} %"


def _short(value: float) -> float:
    return float(f"{value:.7g}")
