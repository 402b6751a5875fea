"""How alike two sets of rows of a table are, how well they can be told apart, and what one says of the other.

Cells are floats as in ``Data.x``, (N, C): numbers and dates as they are, categories as the index of their level, NaN for
missing. ``levels`` (C,) holds the number of levels of each category, 0 for numbers and dates.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from sklearn.ensemble import HistGradientBoostingClassifier

ASSOCIATED = 0.1  # association of two columns from which it counts
FOLDS = 5


def shapes(real: np.ndarray, fake: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """Similarity of each column's distribution in two sets of rows, (C,) in 0…1; NaN for a column without cells.

    1 − the Kolmogorov-Smirnov statistic of numbers and dates, 1 − the total variation distance of categories.
    """
    found = np.full(len(levels), np.nan)
    for i, count in enumerate(levels):
        a, b = (rows[~np.isnan(rows[:, i]), i] for rows in (real, fake))
        if not len(a) or not len(b):
            continue
        if count:
            shares = [np.bincount(cells.astype(int), minlength=count) / len(cells) for cells in (a, b)]
            found[i] = 1 - np.abs(shares[0] - shares[1]).sum() / 2
        else:
            at = np.concatenate([a, b])
            below = [np.searchsorted(np.sort(cells), at, side="right") / len(cells) for cells in (a, b)]
            found[i] = 1 - np.abs(below[0] - below[1]).max()
    return found


def association(a: np.ndarray, b: np.ndarray, levels: tuple[int, int]) -> float:
    """Association of two columns over the rows in which both are observed; 0 with fewer than 3 rows.

    Spearman's ρ (−1…1) of two numbers, Cramér's V of two categories, and the correlation ratio of a number's ranks by
    category (0…1). The latter two are corrected for what chance gives.
    """
    from scipy.stats import rankdata

    both = ~(np.isnan(a) | np.isnan(b))
    a, b = a[both], b[both]
    if len(a) < 3:
        return 0.0
    if levels[0] and levels[1]:
        return _cramers_v(a.astype(int), b.astype(int), levels)
    if levels[0] or levels[1]:
        group, number = (a, b) if levels[0] else (b, a)
        return _correlation_ratio(group.astype(int), rankdata(number))
    a, b = rankdata(a) - (len(a) + 1) / 2, rankdata(b) - (len(b) + 1) / 2
    scale = np.sqrt(np.square(a).sum() * np.square(b).sum())
    return float((a * b).sum() / scale) if scale else 0.0


def _cramers_v(a: np.ndarray, b: np.ndarray, levels: tuple[int, int]) -> float:
    """Cramér's V of two columns of levels, with the correction of Bergsma (2013)."""
    table = np.bincount(a * levels[1] + b, minlength=levels[0] * levels[1]).reshape(levels).astype(float)
    table = table[table.sum(1) > 0][:, table.sum(0) > 0]
    n, (r, k) = table.sum(), table.shape
    expected = np.outer(table.sum(1), table.sum(0)) / n
    phi = (np.square(table - expected) / expected).sum() / n - (r - 1) * (k - 1) / (n - 1)
    smaller = min(r - (r - 1) ** 2 / (n - 1), k - (k - 1) ** 2 / (n - 1)) - 1
    return float(min(1.0, np.sqrt(max(0.0, phi) / smaller))) if smaller > 0 else 0.0


def _correlation_ratio(group: np.ndarray, number: np.ndarray) -> float:
    """Root of the share of a number's variance between groups, with the correction of Kelley (1935)."""
    counts = np.bincount(group)
    means = np.bincount(group, number) / np.maximum(counts, 1)
    total, within = np.square(number - number.mean()).sum(), np.square(number - means[group]).sum()
    groups, n = int((counts > 0).sum()), len(number)
    if not total or n <= groups:
        return 0.0
    return float(np.sqrt(max(0.0, 1 - within / (n - groups) / (total / (n - 1)))))


def trends(real: np.ndarray, fake: np.ndarray, levels: np.ndarray) -> float | None:
    """Share of the associations between columns that is kept: 1 − Σ|difference| / Σ|real| over associated pairs.

    A pair counts if its real association is above 0.1, and above twice what chance gives. Independent columns get 0.
    None without such pairs.
    """
    least = max(ASSOCIATED, 2 / np.sqrt(len(real)))
    difference = total = 0.0
    for i, j in itertools.combinations(range(len(levels)), 2):
        own = (int(levels[i]), int(levels[j]))
        there = association(real[:, i], real[:, j], own)
        if abs(there) > least:
            total += abs(there)
            difference += abs(there - association(fake[:, i], fake[:, j], own))
    return max(0.0, 1 - difference / total) if total else None


def hide_alike(real: np.ndarray, fake: np.ndarray) -> np.ndarray:
    """Samples with the missing cells of as many real rows, as samples have none of their own."""
    return np.where(np.isnan(real[: len(fake)]), np.nan, fake[: len(real)])


def _boosted(rows: int, levels: np.ndarray, seed: int) -> HistGradientBoostingClassifier:
    """A boosted classifier of rows with these levels; more than 255 are taken for numbers.

    With few rows its leaves are smaller than usual, as it would learn nothing otherwise.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier

    categories = (levels > 0) & (levels <= 255)
    least = max(2, min(20, rows // 10))
    return HistGradientBoostingClassifier(categorical_features=categories, min_samples_leaf=least, random_state=seed)


def detection(real: np.ndarray, fake: np.ndarray, levels: np.ndarray, seed: int) -> float:
    """AUC of a boosted classifier that tells samples from as many real rows, 5-fold cross-validated; 0.5 is perfect."""
    from sklearn.model_selection import StratifiedKFold, cross_val_score

    fake = hide_alike(real, fake)
    x = np.concatenate([real[: len(fake)], fake])
    which = np.repeat([0, 1], len(fake))
    folds = StratifiedKFold(min(FOLDS, len(fake)), shuffle=True, random_state=seed)
    return float(cross_val_score(_boosted(len(x), levels, seed), x, which, cv=folds, scoring="roc_auc").mean())


def most_predictable(real: np.ndarray, levels: np.ndarray) -> int | None:
    """The category that is most associated with the other columns, on average; None without categories."""
    if len(levels) < 2:
        return None
    means = {
        i: np.mean(
            [
                abs(association(real[:, i], real[:, j], (int(levels[i]), int(levels[j]))))
                for j in range(len(levels))
                if j != i
            ]
        )
        for i in np.flatnonzero(levels)
    }
    return int(max(means, key=lambda i: means[i])) if means else None


def accuracy(
    train: tuple[np.ndarray, np.ndarray], test: tuple[np.ndarray, np.ndarray], levels: np.ndarray, seed: int
) -> float:
    """Accuracy in % of a boosted classifier, trained on one pair of rows and classes and tested on another."""
    known, tested = train[1] >= 0, test[1] >= 0
    classes = np.unique(train[1][known])
    if len(classes) < 2:
        predicted = np.full(int(tested.sum()), classes[0] if len(classes) else -1)
    else:
        model = _boosted(int(known.sum()), levels, seed).fit(train[0][known], train[1][known])
        predicted = model.predict(test[0][tested])
    return 100 * float((predicted == test[1][tested]).mean())


def nearer(samples: np.ndarray, train: tuple[np.ndarray, np.ndarray], other: tuple[np.ndarray, np.ndarray]) -> float:
    """Share of samples that lie nearer to a training row than to another row, 0.5 by chance, 1 if all are copies.

    Equal numbers of both are assumed; other numbers n and m shift the odds by n / m, which is undone.

    Args:
        samples: (S, D) in the networks' units.
        train, other: (N, D) rows and which of their features are observed, 0 or 1.
    """
    near, far = (_nearest(samples, *rows) for rows in (train, other))
    share = float(np.mean(near < far) + np.mean(near == far) / 2)
    odds_by_number = len(train[0]) / len(other[0])
    return share / (share + (1 - share) * odds_by_number)


def _nearest(samples: np.ndarray, rows: np.ndarray, observed: np.ndarray) -> np.ndarray:
    """Squared distance of each sample to the nearest row, over observed features, as if all were: (S,)."""
    best = np.full(len(samples), np.inf)
    for start in range(0, len(rows), 2048):
        mask = observed[start : start + 2048]
        some = rows[start : start + 2048] * mask
        square = np.square(samples) @ mask.T - 2 * samples @ some.T + np.square(some).sum(1)
        square *= rows.shape[1] / np.maximum(mask.sum(1), 1)
        best = np.minimum(best, square.min(1))
    return best


def filled_gain(
    real: np.ndarray, filled: np.ndarray, hidden: np.ndarray, known: np.ndarray, levels: np.ndarray
) -> float:
    """1 − the error of filled cells over that of the median or the mode, averaged over columns; NaN without any.

    Args:
        real, filled: (N, C) true cells and those that a model gives.
        hidden: (N, C) which cells were hidden from it.
        known: (M, C) rows from which medians and modes are taken.
    """
    gains = []
    for i, count in enumerate(levels):
        own, seen = hidden[:, i], known[~np.isnan(known[:, i]), i]
        if not own.any() or not len(seen):
            continue
        usual = np.bincount(seen.astype(int)).argmax() if count else np.median(seen)
        truth, given = real[own, i], filled[own, i]
        error, base = (
            float(np.mean(truth != guess) if count else np.abs(truth - guess).mean()) for guess in (given, usual)
        )
        if base > 0:
            gains.append(1 - error / base)
    return float(np.mean(gains)) if gains else float("nan")
