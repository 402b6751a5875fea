"""Metrics of tables, against values known by hand."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from aae_cli import Data
from aae_cli.data.columns import Column
from aae_cli.data.types import Schema
from aae_cli.model import table_metrics
from aae_cli.model.evaluation import EXPLAINED, GROUPS, MEANINGS
from aae_cli.model.metrics import Context
from aae_cli.model.table_metrics import (
    column_shapes,
    copying,
    detection_auc,
    features,
    imputation_gain,
    levels_of,
    pair_trends,
    synthetic_utility,
)
from aae_cli.model.table_scores import (
    accuracy,
    association,
    detection,
    filled_gain,
    hide_alike,
    most_predictable,
    nearer,
    shapes,
    trends,
)
from aae_cli.nn.cells import CellKinds, Cells
from aae_cli.nn.scaling import Scaling

NAN = np.nan
NUMBER = Column("a", "number", "decimal", low=-9.0, high=9.0)
LETTER = Column("b", "category", "text", ("x", "y", "z"))


def column(*values: float) -> np.ndarray:
    return np.array(values, dtype=float)


def rows(*columns: np.ndarray) -> np.ndarray:
    return np.stack(columns, 1).astype(np.float32)


def linked(n: int, seed: int = 0) -> np.ndarray:
    """A number, its sign as a category, and a number of its own."""
    random = np.random.default_rng(seed)
    x = random.normal(size=n)
    return rows(x, x > 0, random.normal(size=n))


def context(x, drawn, levels=(0, 2, 0), training=None, **answers) -> Context:
    """Held-out rows, and a model whose samples are the first of ``drawn``."""
    names = [f"c{i}" for i in range(x.shape[1])]
    mixed = tuple(
        Column(name, "category", "text", tuple("xyz"[:count])) if count else Column(name, "number", "decimal")
        for name, count in zip(names, levels, strict=True)
    )
    schema = Schema("table", (len(names),), columns=tuple(names), mixed=mixed)
    sample = SimpleNamespace(sample=lambda n, generator: SimpleNamespace(x=drawn[:n], labels=None))
    model = SimpleNamespace(**vars(sample), schema=schema, classes=(), **answers)
    known = None if training is None else Data(training, schema)
    return Context(model, Data(x, schema), None, samples=1, seed=0, training=known)


def test_shapes_of_known_columns():
    """Of the numbers, 3 of 4 real ones lie at most at 2 and 1 of 4 samples: 1 − 0.5. Of the letters, 1 in 4 differs."""
    real = rows(column(1, 2, 2, 9, NAN), column(0, 0, 1, 1, NAN), column(*[NAN] * 5))
    fake = rows(column(2, 3, 4, 9), column(0, 1, 1, 1), column(1, 1, 1, 1))
    found = shapes(real, fake, np.array([0, 2, 0]))
    assert found[:2] == pytest.approx([0.5, 0.75])
    assert np.isnan(found[2])
    assert shapes(real, real, np.array([0, 2, 0]))[:2] == pytest.approx([1, 1])


def test_association_of_numbers_is_that_of_their_ranks():
    a = column(1, 2, 3, 4, NAN, 7)
    assert association(a, np.exp(a), (0, 0)) == pytest.approx(1)
    assert association(a, -(a**3), (0, 0)) == pytest.approx(-1)
    # Ranks 1 2 3 and 1 3 2: 1 − 6·(0 + 1 + 1) / (3·8).
    assert association(column(1, 2, 3, NAN), column(5, 9, 8, 0), (0, 0)) == pytest.approx(0.5)
    assert association(a, np.full(6, 3.0), (0, 0)) == 0
    assert association(column(1, 2), column(1, 2), (0, 0)) == 0


def test_association_of_categories_is_corrected_for_chance():
    """χ²/n of the table [[30, 10], [10, 30]] is 0.25, of which chance gives 1/79; the two levels count 2 − 1/79."""
    a = np.repeat([0.0, 0.0, 1.0, 1.0], [30, 10, 10, 30])
    b = np.repeat([0.0, 1.0, 0.0, 1.0], [30, 10, 10, 30])
    assert association(a, b, (2, 2)) == pytest.approx(((0.25 - 1 / 79) / (1 - 1 / 79)) ** 0.5)
    assert association(a, a, (5, 5)) == pytest.approx(1)
    random = np.random.default_rng(0)
    assert association(random.integers(9, size=90), random.integers(9, size=90), (9, 9)) < 0.2  # 0.3 uncorrected


def test_association_of_a_number_with_a_category():
    """Ranks 1 2 | 3 4: 1 of 5 of the variance is within the groups, on 2 of 3 degrees of freedom."""
    a, b = column(0, 0, 1, 1), column(1, 2, 8, 9)
    assert association(a, b, (2, 0)) == association(b, a, (0, 2)) == pytest.approx((1 - (1 / 2) / (5 / 3)) ** 0.5)
    assert association(column(0, 0, 0, 0), b, (2, 0)) == 0


def test_trends_count_only_associated_pairs():
    real, levels = linked(2000), np.array([0, 2, 0])
    assert trends(real, real, levels) == pytest.approx(1)
    shuffled = np.stack([np.random.default_rng(i).permutation(own) for i, own in enumerate(real.T)], 1)
    assert trends(real, shuffled, levels) == pytest.approx(0, abs=0.06)
    assert trends(shuffled, real, levels) is None
    mirrored = real * [-1, 1, 1]
    assert trends(real[:, [0, 0]], np.stack([real[:, 0], mirrored[:, 0]], 1), levels[[0, 0]]) == 0
    half = real.copy()  # one half of the rows keeps the link between the first two columns
    half[::2, 1] = np.random.default_rng(1).permutation(half[::2, 1])
    assert trends(real, half, levels) == pytest.approx(0.5, abs=0.06)


def test_a_classifier_tells_what_differs_and_nothing_else():
    levels = np.array([0, 2, 0])
    real, fake = linked(600), linked(600, seed=1)
    assert detection(real, fake, levels, 0) == pytest.approx(0.5, abs=0.07)
    assert detection(real, fake + np.array([0, 0, 9]), levels, 0) > 0.99
    assert detection(real[:15], fake[:15] + np.array([0, 0, 9]), levels, 0) > 0.9  # few rows are enough
    unlinked = fake.copy()
    unlinked[:, 1] = np.random.default_rng(2).permutation(fake[:, 1])
    assert detection(real, unlinked, levels, 0) > 0.65  # half of the signs are wrong


def test_missing_cells_do_not_give_samples_away():
    real, fake = linked(500), linked(500, seed=1)
    real[::3, 0] = NAN
    hidden = hide_alike(real, fake)
    assert (np.isnan(hidden) == np.isnan(real)).all()
    assert (hidden[1] == fake[1]).all()
    assert detection(real, fake, np.array([0, 2, 0]), 0) == pytest.approx(0.5, abs=0.08)
    assert hide_alike(real[:7], fake).shape == hide_alike(real, fake[:7]).shape == (7, 3)


def test_the_most_predictable_category_is_the_one_that_others_tell():
    random = np.random.default_rng(0)
    x = np.concatenate([linked(300), random.integers(3, size=(300, 1))], 1)
    assert most_predictable(x, np.array([0, 2, 0, 3])) == 1
    assert most_predictable(x[:, [0, 2]], np.array([0, 0])) is None
    assert most_predictable(x[:, [1]], np.array([2])) is None


def test_accuracy_of_another_set_of_rows():
    x = linked(400)
    train, test = (x[:200], (x[:200, 0] > 0).astype(int)), (x[200:], (x[200:, 0] > 0).astype(int))
    levels = np.array([0, 2, 0])
    assert accuracy(train, test, levels, 0) > 97
    assert accuracy((train[0], 1 - train[1]), test, levels, 0) < 3
    share = 100 * test[1].mean()
    assert accuracy((train[0], np.ones(200, int)), test, levels, 0) == pytest.approx(share)
    unlabelled = np.where(np.arange(200) < 100, -1, test[1])
    assert accuracy(train, (test[0], unlabelled), levels, 0) > 97


def test_copies_lie_nearer_to_training_rows():
    random = np.random.default_rng(0)
    samples, train, other = (random.normal(size=(n, 3)) for n in (800, 900, 300))
    ones = np.ones_like(train)
    assert nearer(samples, (train, ones), (other, ones[:300])) == pytest.approx(0.5, abs=0.07)
    assert nearer(train[:800], (train, ones), (other, ones[:300])) == 1
    assert nearer(samples, (other, ones[:300]), (other, ones[:300])) == 0.5  # as near to one as to the other
    # At 0 and 1, with three times as many training rows: samples at 0.9 or 0.2, of which every other one is nearer.
    at = (np.zeros((30, 1)), np.ones((30, 1))), (np.ones((10, 1)), np.ones((10, 1)))
    assert nearer(column(0.9, 0.2)[:, None], *at) == pytest.approx(0.5 / (0.5 + 0.5 * 3))


def test_distances_use_observed_features():
    sample = np.array([[0.0, 0.0]])
    hole = np.array([[1.0, 50.0]]), np.array([[1.0, 0.0]])  # 1 in one of two features: as 2 in both
    for other, expected in (([[1.0, 1.1]], 1.0), ([[1.0, 0.9]], 0.0)):
        assert nearer(sample, hole, (np.array(other), np.ones((1, 2)))) == expected


def test_the_gain_of_filled_cells_by_hand():
    """Medians are 2 off, the filled cell 1; of two hidden letters, the mode is wrong once and the model never."""
    real = rows(column(1, 2, 3, 5), column(0, 0, 1, 0), column(4, 4, 4, 4))
    hidden = np.array([[0, 0, 0], [0, 0, 1], [0, 1, 0], [1, 1, 0]], dtype=bool)
    filled = real.copy()
    filled[3, 0] = 4
    known = np.where(hidden, NAN, rows(column(1, 3, 5, 7), *real.T[1:]))
    gain = filled_gain(real, filled, hidden, known, np.array([0, 2, 0]))
    assert gain == pytest.approx((0.5 + 1) / 2)  # the third column is always right
    assert np.isnan(filled_gain(real, filled, hidden & False, known, np.array([0, 2, 0])))


def test_metrics_of_a_model_that_draws_real_rows():
    real, drawn = linked(500), linked(4000, seed=1)
    c = context(real, drawn)
    assert column_shapes(c)["column-shapes"] > 0.95
    assert pair_trends(c)["pair-trends"] > 0.95
    assert detection_auc(c)["detection-auc"] == pytest.approx(0.5, abs=0.08)
    assert synthetic_utility(c)["synthetic-utility"] == pytest.approx(0, abs=2)
    noise = context(real, drawn * [1, 0, 1])  # its category is always the same
    assert synthetic_utility(noise)["synthetic-utility"] == pytest.approx(50, abs=7)
    assert column_shapes(noise)["column-shapes"] == pytest.approx(2.5 / 3, abs=0.05)
    assert copying(c) == {}  # its training rows are not known


def test_copying_is_measured_in_the_networks_units():
    scaling = Scaling(3)
    scaling.scale.copy_(torch.tensor([1.0, 1.0, 1e6]))
    held, training = linked(300), linked(300, seed=2)
    networks = SimpleNamespace(scaling=scaling)
    copies = training + np.array([0, 0, 1e3], np.float32)  # far away in the file's units only
    assert copying(context(held, copies, training=training, model=networks))["copying"] > 0.95
    assert copying(context(held, linked(2000, 3), training=training, model=networks))["copying"] == pytest.approx(
        0.5, abs=0.07
    )


def test_features_leave_flags_out_and_tell_what_is_observed():
    cells = Cells(CellKinds(2, (0,), (), {}, (), {1: 3}))
    x, observed = features(cells, rows(column(1, NAN), column(NAN, 2)))
    assert x.shape == observed.shape == (2, 4)
    assert observed.tolist() == [[1, 0, 0, 0], [0, 1, 1, 1]]


def test_filling_is_measured_on_hidden_cells(monkeypatch):
    monkeypatch.setattr(table_metrics, "HIDDEN", 0.5)
    real, seen = linked(400), []

    def reconstruct(x):
        seen.append(x)
        return real[np.random.default_rng(0).permutation(400)]  # the order of the rows given

    c = context(real, real, reconstruct=reconstruct)
    assert imputation_gain(c)["imputation-gain"] == pytest.approx(1)
    assert np.isnan(seen[0]).mean() == pytest.approx(0.5, abs=0.05)
    plain = context(real, real)
    object.__setattr__(plain.model, "schema", Schema("table", (3,)))
    assert imputation_gain(plain) == {}
    assert levels_of(plain.model.schema).tolist() == [0, 0, 0]


def test_every_metric_of_tables_is_explained():
    assert set(GROUPS["table"]) <= set(MEANINGS)
    assert all(name in EXPLAINED["table"] for name in GROUPS["table"])
