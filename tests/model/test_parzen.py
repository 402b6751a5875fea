"""The Parzen window, against values known by hand or by theory."""

import math

import numpy as np
import pytest
import torch

from aae_cli.model.parzen import parzen_log_likelihood, parzen_width


def test_parzen_is_the_log_of_a_mean_of_gaussians():
    samples, x = torch.tensor([[0.0], [1.0]]), torch.tensor([[0.25]])
    sigma = 0.5

    def normal(d):
        return math.exp(-(d**2) / (2 * sigma**2)) / (sigma * math.sqrt(2 * math.pi))

    expected = math.log((normal(0.25) + normal(0.75)) / 2)
    got = parzen_log_likelihood(iter([samples]), x, torch.tensor([sigma]))
    assert got.item() == pytest.approx(expected, rel=1e-5)


def test_parzen_does_not_depend_on_how_samples_are_streamed():
    torch.manual_seed(0)
    samples, x, sigmas = torch.rand(1000, 20), torch.rand(7, 20), torch.tensor([0.1, 0.3])
    whole = parzen_log_likelihood(iter([samples]), x, sigmas)
    chunks = parzen_log_likelihood(iter(samples.split(137)), x, sigmas)
    np.testing.assert_allclose(whole, chunks, rtol=1e-6, atol=1e-4)
    assert whole.shape == (2, 7)


def test_parzen_comes_near_the_true_density():
    """Many samples of N(0, I) and a narrow window: the mean log density of N(0, I) itself, −½·log(2πe) a dimension."""
    torch.manual_seed(0)
    samples, x = torch.randn(50_000, 2), torch.randn(500, 2)
    got = parzen_log_likelihood(iter(samples.split(10_000)), x, torch.tensor([0.15])).mean().item()
    truth = torch.distributions.Normal(0, 1).log_prob(x).sum(1).mean().item()
    assert got == pytest.approx(truth, abs=0.04)


@pytest.mark.parametrize("some", [400, 4000])
def test_parzen_width_is_the_best_of_a_dense_grid(some, monkeypatch):
    # The coarse search has a tenth of the samples, or all.
    monkeypatch.setattr("aae_cli.model.parzen.PARZEN_COARSE_SAMPLES", some)
    torch.manual_seed(0)
    samples, x = torch.randn(4000, 5) * 0.3, torch.randn(500, 5) * 0.3

    def score(count, sigmas):
        return parzen_log_likelihood(iter(samples[:count].split(1000)), x, sigmas).mean(1)

    grid = torch.logspace(math.log10(0.03), 0, 300)
    width = parzen_width(score, len(samples))
    assert width == pytest.approx(float(grid[score(4000, grid).argmax()]), rel=0.03)
    assert score(4000, torch.tensor([width])) > score(4000, grid).max() - 0.002


def test_far_rows_underflow_to_small_not_to_nan():
    far = parzen_log_likelihood(iter([torch.zeros(5, 100)]), torch.full((1, 100), 50.0), torch.tensor([0.1]))
    assert np.isfinite(far).all()
    assert far.item() < -1e6


def test_parzen_is_no_denser_than_one_gaussian_at_its_centre_whatever_the_rounding():
    torch.manual_seed(0)
    samples = torch.randn(200, 30) * 1000  # squares of 3e7, rounded to a few units
    got = parzen_log_likelihood(iter([samples]), samples, torch.tensor([0.1]))
    assert got.max() <= -15 * math.log(2 * math.pi * 0.01)
