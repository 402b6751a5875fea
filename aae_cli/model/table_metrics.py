"""Quality of a generative model of a table: its samples beside held-out rows, and how well it fills cells in.

One function each; ``table_scores`` compares the rows. Ours, not the paper's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from ..data.types import Data, Schema
from ..nn.cells import Cells
from ..nn.scaling import Scaling
from .metrics import Context, Metrics
from .table_scores import accuracy, detection, filled_gain, hide_alike, most_predictable, nearer, shapes, trends

ROWS = 4000  # the most rows and samples that are compared
TRAINING_ROWS = 50_000  # the most training rows that a sample is compared with
HIDDEN = 0.1  # share of the cells that are hidden to measure how well they are filled in


def levels_of(schema: Schema) -> np.ndarray:
    """(C,) number of levels of each category, 0 for numbers and dates."""
    if schema.mixed is None:
        return np.zeros(schema.size, dtype=int)
    return np.array([len(column.levels) for column in schema.mixed])


def _rows(data: Data, most: int, seed: int) -> np.ndarray:
    """At most so many rows, in random order."""
    order = np.random.default_rng(seed).permutation(len(data))[:most]
    return np.asarray(data.x[order], np.float32)


def _samples(c: Context, count: int) -> np.ndarray:
    """Cells of this many samples of the model."""
    return c.model.sample(count, generator=torch.Generator().manual_seed(c.seed)).x


def column_shapes(c: Context) -> Metrics:
    """Similarity of the distributions of samples and held-out rows, mean over columns."""
    found = shapes(_rows(c.rows, ROWS, c.seed), _samples(c, ROWS), levels_of(c.model.schema))
    return {"column-shapes": float(np.nanmean(found))} if not np.isnan(found).all() else {}


def pair_trends(c: Context) -> Metrics:
    """Share of the associations of held-out rows that samples have too."""
    found = trends(_rows(c.rows, ROWS, c.seed), _samples(c, ROWS), levels_of(c.model.schema))
    return {} if found is None else {"pair-trends": found}


def detection_auc(c: Context) -> Metrics:
    """How well a boosted classifier tells samples from held-out rows."""
    real = _rows(c.rows, ROWS, c.seed)
    return {"detection-auc": detection(real, _samples(c, len(real)), levels_of(c.model.schema), c.seed)}


def synthetic_utility(c: Context) -> Metrics:
    """Accuracy lost by training on samples instead of real rows: on the label where samples have one, else a category.

    Real rows are the training rows, or half of the held-out ones where those are not known.
    """
    rows, levels = c.rows, levels_of(c.model.schema)
    half = 0 if c.training is not None else len(rows) // 2
    train = (c.training if c.training is not None else rows[:half]).evenly_spaced(ROWS)
    drawn = c.model.sample(len(train), generator=torch.Generator().manual_seed(c.seed))
    held = np.asarray(rows.x[half:], np.float32), c.labels[half:]
    if drawn.labels is not None and (held[1] >= 0).any():
        real, fake = (train.x, train.labels_as(c.model.classes)), (drawn.x, drawn.labels)
    else:
        target = most_predictable(train.x, levels)
        if target is None:
            return {}
        real, fake, held = (_apart(x, target) for x in (train.x, drawn.x, held[0]))
        levels = np.delete(levels, target)
    if not (held[1] >= 0).any():
        return {}
    fake = hide_alike(real[0], fake[0]), fake[1]
    return {"synthetic-utility": accuracy(real, held, levels, c.seed) - accuracy(fake, held, levels, c.seed)}


def _apart(x: np.ndarray, target: int) -> tuple[np.ndarray, np.ndarray]:
    """The other columns, and a category's levels as int64, −1 for missing."""
    return np.delete(x, target, 1), np.nan_to_num(x[:, target], nan=-1).astype(int)


def copying(c: Context) -> Metrics:
    """Share of samples that lie nearer to a training row than to a held-out row, were there as many of both."""
    if c.training is None:
        return {}
    scaling = c.model.model.scaling
    training, held = (features(scaling, _rows(rows, TRAINING_ROWS, c.seed)) for rows in (c.training, c.rows))
    return {"copying": nearer(features(scaling, _samples(c, ROWS // 2))[0], training, held)}


def features(scaling: Scaling | Cells, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows in the networks' units, without flags of what is observed, and whether each feature is: (N, D) twice."""
    found = scaling(torch.from_numpy(np.ascontiguousarray(x, np.float32)).to(scaling.shift.device))
    observed = torch.ones_like(found)
    if isinstance(scaling, Cells):
        observed = scaling.observed(found)[:, scaling.column_of[: scaling.outputs]]
        found = found[:, : scaling.outputs]
    return found.cpu().numpy(), observed.cpu().numpy()


def imputation_gain(c: Context) -> Metrics:
    """Error avoided by filling hidden cells with the model's reconstruction instead of medians and modes."""
    if c.model.schema.mixed is None:  # a table of complete numbers cannot have a missing cell
        return {}
    real = _rows(c.rows, ROWS, c.seed)
    known = real if c.training is None else _rows(c.training, TRAINING_ROWS, c.seed)
    hidden = ~np.isnan(real) & (np.random.default_rng(c.seed).random(real.shape) < HIDDEN)
    filled = c.model.reconstruct(np.where(hidden, np.nan, real).astype(np.float32))
    gain = filled_gain(real, filled, hidden, known, levels_of(c.model.schema))
    return {} if np.isnan(gain) else {"imputation-gain": gain}


@dataclass(frozen=True)
class TableMetric:
    """A metric of tables, under the name of its value, and one sentence for a reader who does not know it."""

    measure: Callable[[Context], Metrics]
    meaning: str


TABLE_METRICS = {
    "column-shapes": TableMetric(
        column_shapes, "how alike the columns of samples and real rows are distributed, 0 to 1; higher is better"
    ),
    "pair-trends": TableMetric(
        pair_trends, "how much of the links between columns samples keep, 0 (none) to 1; higher is better"
    ),
    "detection-auc": TableMetric(
        detection_auc, "how well a classifier tells samples from real rows, as AUC; 0.5 is perfect, 1 is worst"
    ),
    "synthetic-utility": TableMetric(
        synthetic_utility, "% points of accuracy lost by a classifier trained on samples; 0 is perfect"
    ),
    "copying": TableMetric(
        copying, "share of samples nearer to a training row than to as many others; 0.5 is no copying"
    ),
    "imputation-gain": TableMetric(
        imputation_gain, "share of the error of medians and modes avoided in filling cells; higher is better"
    ),
}
