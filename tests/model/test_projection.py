"""Places of rows about their cluster heads."""

import numpy as np
import pytest

from aae_cli.model.projection import about_heads


@pytest.mark.parametrize("style", [0, 1, 5])
def test_rows_lie_about_their_heads_and_doubtful_ones_between(style):
    random = np.random.default_rng(0)
    decoded = random.normal(size=(6, 40))
    decoded[1] = decoded[0] + 0.1 * random.normal(size=40)
    y = np.repeat(np.eye(6), 50, 0)
    y[0] = (0, 0, 0.5, 0.5, 0, 0)
    z = random.normal(size=(300, style))
    z[0] = 0
    places, heads = about_heads(y, z, decoded)
    assert places.shape == (300, 2) and heads.shape == (6, 2)
    ends = np.linalg.norm(places[0] - heads[[2, 3]], axis=1)
    assert np.linalg.norm(places[0] - heads[[2, 3]].mean(0)) < ends.min()
    own = y[1:].argmax(1)
    far = np.linalg.norm(places[1:] - heads[own], axis=1)
    assert np.sqrt((far**2).mean()) < 0.4
    between = np.linalg.norm(heads[:, None] - heads, axis=-1) + 99 * np.eye(6)
    assert np.unravel_index(between.argmin(), (6, 6)) == (0, 1)
    assert np.median(between.min(1)) == pytest.approx(1, abs=1e-4)


def test_equal_heads_have_finite_places():
    places, heads = about_heads(np.eye(2), np.zeros((2, 3)), np.zeros((2, 4)))
    assert np.isfinite(places).all() and np.isfinite(heads).all()
