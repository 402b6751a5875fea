"""The Parzen-window log-likelihood (section 3): a Gaussian on each sample, its width σ chosen on validation rows."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

PARZEN_HELD_OUT_ROWS, PARZEN_COARSE_SAMPLES = 1000, 100_000
"""Maximum number of rows on which σ is chosen, and of samples in the coarse search for it."""


def parzen_log_likelihood(samples: Iterator[Tensor], x: Tensor, sigmas: Tensor) -> np.ndarray:
    """Log density of a Parzen window with one Gaussian of width σ on each sample.

    Args:
        samples: chunks (m, D), so that any number fits in memory.
        x: (N, D) rows to score.
        sigmas: (S,) widths.

    Returns:
        (S, N) log densities in nats, float64.
    """
    total, count = np.full((len(sigmas), len(x)), -math.inf), 0  # float64 does not exist on Apple GPUs
    half = x.square().sum(1, keepdim=True) / 2
    for chunk in samples:
        # −d²/2 = x·s − s²/2 − x²/2, by one matrix product and in place, as these arrays are by far the largest.
        closeness = torch.addmm(chunk.square().sum(1) * -0.5, x, chunk.T).sub_(half).clamp_(max=0)
        for index, sigma in enumerate(sigmas.tolist()):
            total[index] = np.logaddexp(total[index], _log_sum_exp(closeness / sigma**2).cpu().numpy())
        count += len(chunk)
    log_normaliser = 0.5 * x.shape[1] * np.log(2 * math.pi * np.square(sigmas.cpu().numpy().astype(np.float64)))
    return total - math.log(max(count, 1)) - log_normaliser[:, None]


def _log_sum_exp(scores: Tensor) -> Tensor:
    """log Σ exp: (N, m) → (N,). torch.logsumexp takes six times as long on a CPU, as exp is slow if it underflows."""
    most = scores.amax(1, keepdim=True)
    return most.squeeze(1) + (scores - most).clamp_(min=-80).exp_().sum(1).log()


def parzen_width(score: Callable[[int, Tensor], np.ndarray], samples: int) -> float:
    """Choose the width σ that maximises the likelihood of validation rows, to about 1 %.

    A coarse search uses only a part of the samples, since the best width decreases slowly with their number. A fine
    search with all samples follows, and a parabola in log σ through its best three points gives the maximum.

    Args:
        score: function of a number of samples and of widths (S,) → mean log-likelihood (S,) of the validation rows.
        samples: number of samples.
    """
    coarse = torch.logspace(math.log10(0.03), 0, 12)
    some = min(samples, PARZEN_COARSE_SAMPLES)
    best = int(score(some, coarse).argmax())
    step = math.log(float(coarse[1] / coarse[0])) / 2
    logs = math.log(float(coarse[best])) + step * torch.arange(-4 if some < samples else -2, 3)
    values = score(samples, logs.exp())
    best = min(max(int(values.argmax()), 1), len(logs) - 2)
    left, middle, right = values[best - 1 : best + 2].tolist()
    bend = left - 2 * middle + right
    offset = 0.5 * (left - right) / bend if bend < 0 else 0.0
    return math.exp(float(logs[best]) + step * min(max(offset, -1), 1))
