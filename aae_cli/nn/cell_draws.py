"""Draws of the cells of a mixed table: the spread around the decoder's output, and marginals as in the training rows.

A decoder is trained on codes of rows, and codes of the prior differ a little from these; so do the marginals of what they
decode to, and a column whose values repeat (multiples of six months) shows it first. Numbers are therefore moved by the
monotone map from the quantiles of draws to those of the training rows, and the logits of levels by the log of the ratio of
their frequencies. Both leave the dependence between columns to the decoder. Ours, not the paper's.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

QUANTILES = 257
ROUNDS = 3  # updates of the levels' ratio, which is not exact in one
RARE = 1e-6


class CellDraws(nn.Module):
    """What turns the decoder's output into draws.

    Args:
        numbers: number of columns that are numbers.
        levels: number of levels of all categories.

    Attributes:
        residual: (numbers, numbers) square root of the covariance of numbers around their reconstruction.
        data_quantiles, drawn_quantiles: (numbers, QUANTILES) of the training rows and of draws of the prior.
        log_ratio: (levels,) log(frequency in the training rows / in draws of the prior).
    """

    residual: Tensor
    data_quantiles: Tensor
    drawn_quantiles: Tensor
    log_ratio: Tensor

    def __init__(self, numbers: int, levels: int) -> None:
        super().__init__()
        even = torch.linspace(-1, 1, QUANTILES).repeat(numbers, 1)
        self.register_buffer("residual", torch.zeros(numbers, numbers))
        self.register_buffer("data_quantiles", even)
        self.register_buffer("drawn_quantiles", even.clone())
        self.register_buffer("log_ratio", torch.zeros(levels))

    def logits(self, logits: Tensor) -> Tensor:
        """Logits of levels with the frequencies of the training rows: (…, levels)."""
        return logits + self.log_ratio

    def numbers(self, z: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Numbers with their residual spread and the quantiles of the training rows: (…, numbers), standardised."""
        if not z.shape[-1]:
            return z
        z = self._spread(z, generator)
        flat = z.reshape(-1, z.shape[-1]).T.contiguous()
        above = torch.searchsorted(self.drawn_quantiles, flat).clamp(1, QUANTILES - 1)
        low, high = self.drawn_quantiles.gather(1, above - 1), self.drawn_quantiles.gather(1, above)
        part = ((flat - low) / (high - low).clamp(min=1e-12)).clamp(0, 1)
        low, high = self.data_quantiles.gather(1, above - 1), self.data_quantiles.gather(1, above)
        return (low + part * (high - low)).T.reshape(z.shape)

    def _spread(self, z: Tensor, generator: torch.Generator | None) -> Tensor:
        return z + torch.randn(z.shape, generator=generator).to(z.device) @ self.residual.T

    @torch.no_grad()
    def fit_rows(self, z: Tensor) -> None:
        """Set the quantiles of the training rows: (N, numbers) standardised, NaN for missing."""
        if z.shape[1]:
            some = z[:: max(1, len(z) // 100_000)]
            found = torch.nanquantile(some, torch.linspace(0, 1, QUANTILES, device=z.device), 0).T.nan_to_num()
            self.data_quantiles.copy_(found)
            self.drawn_quantiles.copy_(found)

    @torch.no_grad()
    def fit_residual(self, error: Tensor, known: Tensor) -> None:
        """Set the spread of numbers around their reconstruction: errors and flags of what is observed, (N, numbers)."""
        error = error * known
        covariance = (error.T @ error) / (known.T @ known).clamp(min=1)
        values, vectors = torch.linalg.eigh(covariance.cpu())
        self.residual.copy_(vectors * values.clamp(min=0).sqrt())

    @torch.no_grad()
    def fit_prior(self, z: Tensor, logits: Tensor, frequency: Tensor, block_of: Tensor) -> None:
        """Set the frequencies and quantiles of draws, from the decoder's output for draws of the prior.

        Args:
            z: (N, numbers). logits: (N, levels).
            frequency: (levels,) in the training rows. block_of: (levels,) the category that a level belongs to.
        """
        if z.shape[1]:
            at = torch.linspace(0, 1, QUANTILES, device=z.device)
            self.drawn_quantiles.copy_(torch.quantile(self._spread(z, None), at, 0).T)
        self.log_ratio.zero_()
        for _ in range(ROUNDS if len(frequency) else 0):
            p = torch.empty_like(logits)
            for block in block_of.unique():
                own = block_of == block
                p[:, own] = self.logits(logits)[:, own].softmax(-1)
            self.log_ratio += (frequency.clamp(min=RARE) / p.mean(0).clamp(min=RARE)).log()
