"""Priors of sections 2 to 6: moments, components, lattices."""

import math

import pytest
import torch

from aae_cli.nn.priors import Categorical, Gaussian, Mixture, SwissRoll


def anywhere(n: int) -> torch.Tensor:
    return torch.full((n,), -1)


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def test_gaussian_moments():
    z = Gaussian(3, std=5.0).sample(anywhere(20_000))
    assert z.shape == (20_000, 3)
    assert z.mean(0).abs().max() < 0.15
    assert (z.std(0) - 5).abs().max() < 0.15


def test_mixture_lies_like_petals():
    prior = Mixture(10, radius=3.0, radial_std=1.0, tangential_std=0.2)
    z = prior.sample(torch.zeros(5000, dtype=torch.int64))  # component 0 lies along the first axis
    assert z[:, 0].mean() == pytest.approx(3.0, abs=0.06)
    assert z[:, 0].std() == pytest.approx(1.0, abs=0.05)
    assert z[:, 1].std() == pytest.approx(0.2, abs=0.02)
    quarter = Mixture(4).sample(torch.ones(500, dtype=torch.int64)).mean(0)
    assert quarter[1] == pytest.approx(3.0, abs=0.2)
    assert quarter[0] == pytest.approx(0.0, abs=0.1)


@pytest.mark.parametrize("prior", [Mixture(10), SwissRoll(10, width=0.02), Categorical(10)])
def test_component_of_inverts_sampling(prior):
    component = torch.arange(10).repeat_interleave(200)
    found = prior.component_of(prior.sample(component))
    assert (found == component).float().mean() > 0.93


def test_swiss_roll_is_even_along_its_arc():
    """Equal mass in equal stretches, each further out than the last."""
    prior = SwissRoll(5, radius=3.0, turns=2.0, width=0.0)
    z = prior.sample(anywhere(20_000))
    radius = z.norm(dim=1)
    assert radius.max() <= 3.0 + 1e-4
    assert ((radius / 3.0).square().mean()).item() == pytest.approx(0.5, abs=0.02)
    angle = torch.atan2(z[:, 1], z[:, 0]) % (2 * math.pi)
    expected = (2 * math.pi * 2.0 * radius / 3.0) % (2 * math.pi)
    difference = (angle - expected + math.pi) % (2 * math.pi) - math.pi
    assert difference.abs().max() < 1e-3


def test_the_roll_has_its_width():
    prior = SwissRoll(5, radius=3.0, turns=2.0, width=0.3)
    u = torch.tensor([[0.4, 0.5], [0.4, 0.8413447]])  # the median of the width, and one standard deviation out
    inner, outer = prior.at(u, torch.full((2,), 3))
    assert (outer.norm() - inner.norm()).item() == pytest.approx(0.3, abs=1e-4)
    assert inner.norm().item() == pytest.approx(3.0 * (3.4 / 5) ** 0.5, abs=1e-4)


def test_categorical_is_one_hot_and_even():
    y = Categorical(4).sample(anywhere(8000))
    assert y.sum(1).eq(1).all()
    assert (y.mean(0) - 0.25).abs().max() < 0.03
    assert Categorical(4).sample(torch.tensor([2]))[0].tolist() == [0, 0, 1, 0]


def test_quantiles_give_lattices():
    u = torch.tensor([[0.5, 0.5], [0.8413, 0.5]])
    assert Gaussian(2, std=2.0).at(u, torch.zeros(2, dtype=torch.int64)).tolist()[1][0] == pytest.approx(2.0, abs=1e-3)
    centre = Mixture(10).at(u[:1], torch.zeros(1, dtype=torch.int64))
    assert centre[0].tolist() == pytest.approx([3.0, 0.0], abs=1e-5)


def test_samples_keep_their_shape_and_stay_finite():
    for prior in (Gaussian(4), Mixture(), SwissRoll(), Categorical(7)):
        z = prior.sample(torch.full((3, 5), -1))
        assert z.shape == (3, 5, prior.dims)
        assert z.isfinite().all()
        edge = prior.at(torch.ones(1, prior.dims), torch.zeros(1, dtype=torch.int64))
        assert edge.isfinite().all()


@pytest.mark.parametrize(
    "prior",
    [Gaussian(3, 5.0), Mixture(10, 3.0, 1.0, 0.2), SwissRoll(10, 3.0, 2.0, 0.1), SwissRoll(5, 1.0, 3.0, 0.4)],
    ids=["gaussian", "mixture", "swiss-roll", "wide swiss-roll"],
)
def test_scale_is_the_root_mean_square_of_a_coordinate(prior):
    assert prior.sample(anywhere(50_000)).square().mean().sqrt().item() == pytest.approx(prior.scale, rel=0.02)


def test_categories_may_have_shares_of_their_own():
    prior = Categorical(3)
    prior.share = torch.tensor([[0.5, 0.5, 0.0], [0.0, 0.1, 0.9]])
    torch.manual_seed(0)
    drawn = prior.sample(torch.full((2, 4000), -1)).mean(1)
    torch.testing.assert_close(drawn, prior.share, atol=0.03, rtol=0)
    assert prior.sample(torch.full((2, 5), 2)).argmax(-1).unique().tolist() == [2]
