"""Gaussian mixtures of a table's rows: the covariance that suits them is chosen, and scikit-learn agrees."""

import numpy as np
import pytest
import torch
from sklearn.metrics import adjusted_rand_score
from sklearn.mixture import GaussianMixture

from aae_cli.objective import mixtures
from aae_cli.objective.mixtures import MixtureClusters, shared_information


def stretched(rows=240, dims=3, seed=0):
    """Two groups of rows that are longer than they are apart, and which group each row is of."""
    generator = np.random.default_rng(seed)
    group = np.arange(rows) % 2
    x = generator.standard_normal((rows, dims)) * 0.5
    x[:, 1] += 3 * group
    x[:, 2] += 2 * group
    x += generator.standard_normal((rows, 1))
    return torch.from_numpy((x - x.mean(0)) / x.std(0)).float(), group


@pytest.mark.parametrize("covariance", ["spherical", "tied", "full", "diag"])
def test_probabilities_are_those_of_scikit_learn(monkeypatch, covariance):
    monkeypatch.setattr(mixtures, "COVARIANCES", {covariance: 0.05})
    x, _ = stretched()
    found = MixtureClusters(x, 3, [5, 6, 5])
    features = torch.cat([x, torch.ones(len(x), 2)], 1)  # flags, say, which are not looked at
    y = found(features.expand(3, -1, -1))
    for r, seed in enumerate([5, 6, 5]):
        fitted = GaussianMixture(3, covariance_type=covariance, reg_covar=0.05, n_init=15, random_state=seed)
        rows = x.double().numpy() - x.double().numpy().mean(0)
        wanted = fitted.fit(rows).predict_proba(rows)
        torch.testing.assert_close(y[r], torch.from_numpy(wanted).float(), atol=1e-3, rtol=1e-3)
        torch.testing.assert_close(found.share[r], torch.from_numpy(fitted.weights_).float())


def test_the_covariance_that_suits_the_rows_is_chosen():
    x, group = stretched()
    spherical = GaussianMixture(2, covariance_type="spherical", reg_covar=0.05, n_init=5, random_state=0)
    before = adjusted_rand_score(group, spherical.fit_predict(x.numpy()))
    after = adjusted_rand_score(group, MixtureClusters(x, 2, [0])(x[None])[0].argmax(1).numpy())
    assert before < 0.8 and after > 0.9, (before, after)


def test_more_columns_than_directions_are_projected():
    generator = np.random.default_rng(0)
    group = np.arange(200) % 2
    x = torch.from_numpy(generator.standard_normal((200, 80)) + 1.5 * group[:, None]).float()
    y = MixtureClusters(x, 2, [0])(x[None])[0]
    assert adjusted_rand_score(group, y.argmax(1).numpy()) == 1


def test_shared_information_is_one_for_groups_of_near_rows_and_none_for_others():
    y = np.eye(2)[np.arange(8) // 4]
    own = np.array([[i // 4 * 4 + (i + 1) % 4] for i in range(8)])
    across = np.array([[(i + 1) % 8, (i + 5) % 8] for i in range(8)])
    assert shared_information(y, own) == pytest.approx(1)
    assert shared_information(y, across) == pytest.approx(0, abs=1e-9)
    assert shared_information(np.eye(2)[np.zeros(8, dtype=int)], own) == 0
