"""Choose rows to draw from clusters, as rows come piece by piece, in bounded memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np

from ..data.types import Data

SHOWN = 8
"""Number of typical members, and of members drawn at random, that are shown of each cluster."""


class Highest:
    """The rows with the highest keys of all that were added.

    Args:
        limit: number of rows that are kept.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.x: np.ndarray | None = None
        self.facts = np.zeros((0, 4))  # key, second key, number of the row, cluster

    def add(self, x: np.ndarray, facts: np.ndarray, own: np.ndarray | slice = slice(None)) -> None:
        """Add rows.

        Args:
            x: (N, D).
            facts: (N, 4) key, second key, which decides between equal keys, number and cluster of each row.
            own: rows to add, by default all.
        """
        index, facts = np.arange(len(x))[own], facts[own]
        best = _highest(facts, self.limit)
        if len(self.facts) == self.limit:
            best = best[facts[best, 0] >= self.facts[-1, 0]]
        if not len(best):
            return
        new = np.asarray(x[index[best]])
        joined = np.concatenate([self.facts, facts[best]])
        rows = new if self.x is None else np.concatenate([self.x, new])
        order = _highest(joined, self.limit)
        self.facts, self.x = joined[order], rows[order]


def _highest(facts: np.ndarray, limit: int) -> np.ndarray:
    return np.lexsort((-facts[:, 1], -facts[:, 0]))[:limit]


class Counts:
    """Sizes of clusters, and their labels where some are known.

    Attributes:
        sizes: (K,) number of rows in each cluster.
        labels: number of rows of each class in each cluster.
    """

    def __init__(self, clusters: int) -> None:
        self.sizes = np.zeros(clusters, np.int64)
        self.labels: list[Counter[str]] = [Counter() for _ in range(clusters)]

    def add(self, rows: Data, cluster: np.ndarray) -> None:
        """Count rows and their labels in their clusters (N,)."""
        self.sizes += np.bincount(cluster, minlength=len(self.sizes))
        if rows.labels is not None and rows.schema.classes:
            known = rows.labels >= 0
            pairs, counts = np.unique(np.stack([cluster[known], rows.labels[known]]), axis=1, return_counts=True)
            for (k, label), count in zip(pairs.T.tolist(), counts.tolist(), strict=True):
                self.labels[k][rows.schema.classes[label]] += count

    def summary(self, cluster: int) -> tuple[str, ...]:
        """Lines about a cluster: its size, then the share and name of its most frequent class where labels are known."""
        size, labels = int(self.sizes[cluster]), self.labels[cluster]
        lines = [f"{size:,} row" + "s" * (size != 1)]
        if labels:
            (name, count), known = labels.most_common(1)[0], labels.total()
            lines.append(f"{100 if count == known else min(99, round(100 * count / known))} % are {name}")
            if known < size:
                lines.append(f"of {known:,} labelled")
        return tuple(lines)


class Members(Counts):
    """Typical members of each cluster, and members drawn at random.

    The most typical members of a cluster are those with the highest confidence, the probability q(y|x) of the cluster
    for the row. Among equal confidences, as where they round to 1, chance decides.

    Args:
        clusters: number of clusters, K.
        seed: random seed; the choice does not depend on how the rows are divided into pieces.
    """

    def __init__(self, clusters: int, seed: int) -> None:
        super().__init__(clusters)
        self.random = np.random.default_rng(seed)
        self.width = 0
        self._typical: dict[int, Highest] = {}
        self._drawn: dict[int, Highest] = {}

    @property
    def kept(self) -> int:
        """Number of rows in memory."""
        return sum(len(rows.facts) for each in (self._typical, self._drawn) for rows in each.values())

    def add(self, rows: Data, cluster: np.ndarray, confidence: np.ndarray | None = None) -> None:
        """Add rows with their clusters (N,) and confidences (N,)."""
        assert confidence is not None
        first = int(self.sizes.sum())
        super().add(rows, cluster)
        self.width = rows.x.shape[1]
        random, numbers = self.random.random(len(rows)), first + np.arange(len(rows))
        typical = np.stack([confidence, random, numbers, cluster], 1)
        drawn = np.stack([random, random, numbers, cluster], 1)
        for k in np.unique(cluster).tolist():
            own = np.flatnonzero(cluster == k)
            self._typical.setdefault(k, Highest(SHOWN)).add(rows.x, typical, own)
            # As many more as may be among the typical ones already.
            self._drawn.setdefault(k, Highest(2 * SHOWN)).add(rows.x, drawn, own)

    def of(self, cluster: int) -> tuple[np.ndarray, np.ndarray]:
        """Typical members of a cluster, most typical first, and other members drawn at random: (up to 8, D) each."""
        typical, drawn = self._typical.get(cluster), self._drawn.get(cluster)
        if typical is None or drawn is None or typical.x is None or drawn.x is None:
            nothing = np.zeros((0, self.width), np.float32)
            return nothing, nothing
        others = ~np.isin(drawn.facts[:, 2], typical.facts[:, 2])
        return typical.x, drawn.x[others][:SHOWN]


class RandomRows:
    """Rows drawn at random, with their numbers.

    Args:
        limit: number of rows that are kept.
        seed: random seed; the choice does not depend on how the rows are divided into pieces.
    """

    def __init__(self, limit: int, seed: int) -> None:
        self.random, self.seen = np.random.default_rng(seed), 0
        self._drawn = Highest(limit)

    def add(self, x: np.ndarray) -> None:
        """Add rows (N, D)."""
        random = self.random.random(len(x))
        self._drawn.add(x, np.stack([random, random, self.seen + np.arange(len(x)), np.zeros(len(x))], 1))
        self.seen += len(x)

    def __iter__(self) -> Iterator[tuple[int, np.ndarray]]:
        """Yield the number of each row, counted from 0, and the row, (D,)."""
        if self._drawn.x is not None:
            yield from zip(self._drawn.facts[:, 2].astype(int).tolist(), self._drawn.x, strict=True)


class RowSample(Counts):
    """Rows of all clusters together, drawn at random.

    Args:
        clusters: number of clusters, K.
        seed: random seed.
        rows: number of rows that are kept.
    """

    def __init__(self, clusters: int, seed: int, rows: int = 5000) -> None:
        super().__init__(clusters)
        self.random = np.random.default_rng(seed)
        self._drawn = Highest(rows)

    def add(self, rows: Data, cluster: np.ndarray, confidence: np.ndarray | None = None) -> None:
        """Add rows with their clusters (N,)."""
        first = int(self.sizes.sum())
        super().add(rows, cluster)
        random = self.random.random(len(rows))
        self._drawn.add(rows.x, np.stack([random, random, first + np.arange(len(rows)), cluster], 1))

    @property
    def x(self) -> np.ndarray:
        """(M, D) rows that were drawn, at least one if any was added."""
        return self._drawn.x if self._drawn.x is not None else np.zeros((0, 0), np.float32)

    @property
    def cluster(self) -> np.ndarray:
        """(M,) int64 cluster of each."""
        return self._drawn.facts[:, 3].astype(np.int64)
