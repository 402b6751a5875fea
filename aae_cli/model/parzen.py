"""The log-likelihood of a Parzen window (section 3): a Gaussian on each sample, its width chosen on held-out rows."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

PARZEN_HELD_OUT_ROWS, PARZEN_COARSE_SAMPLES = 1000, 100_000
"""Rows on which σ is chosen, and samples for its coarse search."""


def parzen_log_likelihood(samples: Iterator[Tensor], x: Tensor, sigmas: Tensor) -> Tensor:
    """log of a Parzen window: one Gaussian of width σ on each sample.

    Args:
        samples: chunks (m, D); streamed, so that any number fits in memory.
        x: (N, D) rows to score. sigmas: (S,) widths.

    Returns:
        (S, N) log densities in nats, float64.
    """
    total, count = torch.full((len(sigmas), len(x)), -math.inf, dtype=torch.float64, device=x.device), 0
    half = x.square().sum(1, keepdim=True) / 2
    for chunk in samples:
        # −d²/2 = x·s − s²/2 − x²/2 by one matrix product, in place: these are the largest arrays by far.
        closeness = torch.addmm(chunk.square().sum(1) * -0.5, x, chunk.T).sub_(half).clamp_(max=0)
        for index, sigma in enumerate(sigmas.tolist()):
            total[index] = torch.logaddexp(total[index], _log_sum_exp(closeness / sigma**2).double())
        count += len(chunk)
    log_normaliser = 0.5 * x.shape[1] * torch.log(2 * math.pi * sigmas.double().square())
    return total - math.log(max(count, 1)) - log_normaliser.to(x.device)[:, None]


def _log_sum_exp(scores: Tensor) -> Tensor:
    """(N, m) → (N,). torch.logsumexp takes six times as long on a CPU, whose exp is slow where it underflows."""
    most = scores.amax(1, keepdim=True)
    return most.squeeze(1) + (scores - most).clamp_(min=-80).exp_().sum(1).log()


def parzen_width(score: Callable[[int, Tensor], Tensor], samples: int) -> float:
    """The width σ of most likely held-out rows, to a percent or so.

    A coarse search with a part of the samples, as the best width shrinks but slowly as they grow; then a parabola through
    the best three of a finer search with all of them, for the likelihood is nearly one in log σ.

    Args:
        score: mean log-likelihood (S,) of the held-out rows with so many samples and widths (S,).
    """
    coarse = torch.logspace(math.log10(0.03), 0, 12)
    some = min(samples, PARZEN_COARSE_SAMPLES)
    best = int(score(some, coarse).argmax())
    step = math.log(float(coarse[1] / coarse[0])) / 2
    logs = math.log(float(coarse[best])) + step * torch.arange(-4 if some < samples else -2, 3)
    values = score(samples, logs.exp()).double()
    best = min(max(int(values.argmax()), 1), len(logs) - 2)
    left, middle, right = values[best - 1 : best + 2].tolist()
    bend = left - 2 * middle + right
    offset = 0.5 * (left - right) / bend if bend < 0 else 0.0
    return math.exp(float(logs[best]) + step * min(max(offset, -1), 1))
