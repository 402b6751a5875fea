"""Cells of a mixed table as features: numbers, one-hot categories, the season of dates, and flags of what is observed.

A number is standardised, a category's one-hot block is centred and scaled to unit total variance, so that two random rows
differ by 2 in squared distance in each column. A missing cell is 0 in all features, its flag included, and costs nothing.
The decoder's output is linear: x̂ for numbers, logits for categories. Ours, not the paper's.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .cell_draws import CellDraws

KNOTS = 101  # quantiles of a number with heavy tails
EDGE = 1e-3  # smallest and largest quantile told apart: beyond, tails are cut at ±3.1 standard deviations
MIN_VARIANCE = 0.25  # of a category's one-hot block, so that a rare level does not dominate a distance
MIN_ENTROPY = 0.2  # nats of a category, so that a rare level does not dominate the loss
CONSTANT = 1e-8


@dataclass(frozen=True)
class CellKinds:
    """What the C columns of a mixed table are, by position.

    Attributes:
        columns: C.
        numbers: positions of the numbers and dates. heavy: of these, those with heavy tails.
        spikes: position → a value that so many rows have that it is modelled apart.
        dates: positions of the dates.
        levels: position of each category → its number of levels.
    """

    columns: int
    numbers: tuple[int, ...]
    heavy: tuple[int, ...]
    spikes: dict[int, float]
    dates: tuple[int, ...]
    levels: dict[int, int]

    @property
    def blocks(self) -> tuple[tuple[int, int], ...]:
        """Position and number of levels of each block of categories; a number's spike is a category of two levels."""
        return (*self.levels.items(), *((at, 2) for at in self.spikes))

    @property
    def outputs(self) -> int:
        """Number of outputs of the decoder."""
        return len(self.numbers) + sum(levels for _, levels in self.blocks)

    @property
    def features(self) -> int:
        """Number of features of a row: those of the outputs, four of each date, and a flag of each column."""
        return self.outputs + 4 * len(self.dates) + self.columns


class Cells(nn.Module):
    """Conversion between the cells of a mixed table, (…, C) with NaN for missing, and features, (…, D).

    Features are [numbers | one-hot blocks | seasons of dates | flags]; the first two are also what the decoder gives.

    Attributes:
        column_of: (D,) position of the column of each feature.
        draws: what turns the decoder's output into draws.
    """

    shift: Tensor
    scale: Tensor
    knots: Tensor
    frequency: Tensor
    spikes: Tensor
    column_of: Tensor
    number_at: Tensor
    heavy_at: Tensor
    date_at: Tensor
    block_at: Tensor
    category_at: Tensor
    spiked_at: Tensor
    block_of: Tensor
    start: Tensor
    sizes: Tensor
    padded: Tensor

    def __init__(self, kinds: CellKinds, category_weight: float = 1.0) -> None:
        super().__init__()
        self.kinds, self.category_weight = kinds, category_weight
        self.outputs, self.features = kinds.outputs, kinds.features
        numbers, blocks = len(kinds.numbers), kinds.blocks
        sizes = [levels for _, levels in blocks]
        self.register_buffer("shift", torch.zeros(numbers))
        self.register_buffer("scale", torch.ones(numbers))
        self.register_buffer("knots", torch.linspace(0, 1, KNOTS).repeat(len(kinds.heavy), 1))
        self.register_buffer("frequency", torch.cat([torch.full((k,), 1 / k) for k in sizes] or [torch.zeros(0)]))
        self.draws = CellDraws(numbers, sum(sizes))

        def index(name: str, values: Sequence[int] | Tensor) -> None:
            self.register_buffer(name, torch.as_tensor(values, dtype=torch.int64), persistent=False)

        number_of = {at: i for i, at in enumerate(kinds.numbers)}
        of_blocks = [at for at, levels in blocks for _ in range(levels)]
        of_dates = [at for at in kinds.dates for _ in range(4)]
        index("column_of", [*kinds.numbers, *of_blocks, *of_dates, *range(kinds.columns)])
        index("number_at", kinds.numbers)
        index("heavy_at", [number_of[at] for at in kinds.heavy])
        index("date_at", kinds.dates)
        index("block_at", [at for at, _ in blocks])
        index("category_at", list(kinds.levels))
        index("spiked_at", [number_of[at] for at in kinds.spikes])
        index("block_of", [i for i, k in enumerate(sizes) for _ in range(k)])
        starts = [sum(sizes[:i]) for i in range(len(sizes))]
        index("start", starts)
        index("sizes", sizes)
        # (blocks, levels of the largest): the feature of each level within the blocks; the last one is padding.
        padded = torch.full((len(sizes), max(sizes, default=1)), sum(sizes))
        for i, (start, size) in enumerate(zip(starts, sizes, strict=True)):
            padded[i, :size] = torch.arange(start, start + size)
        index("padded", padded)
        self.register_buffer("spikes", torch.tensor(list(kinds.spikes.values())), persistent=False)

    # --- sections of the features -------------------------------------------------------------------------------------

    @property
    def _numbers(self) -> int:
        return len(self.kinds.numbers)

    def observed(self, x: Tensor) -> Tensor:
        """Flags of the columns whose cells are observed: (…, D) → (…, C), 0 or 1."""
        return x[..., self.features - self.kinds.columns :]

    def known(self, x: Tensor) -> Tensor:
        """Flags of the numbers that are observed and have no value that is modelled apart: (…, D) → (…, numbers)."""
        known = self.observed(x)[..., self.number_at]
        if not len(self.spikes):
            return known
        spiked = (self._targets(x)[..., self.start[len(self.category_at) :] + 1] > 0.5).to(known.dtype)
        return known.index_copy(-1, self.spiked_at, known[..., self.spiked_at] * (1 - spiked))

    # --- from cells to features ---------------------------------------------------------------------------------------

    def forward(self, raw: Tensor) -> Tensor:
        """Convert cells to features: (…, C) with NaN for missing → (…, D) float32."""
        raw = raw.float()
        observed = ~raw.isnan()
        number = self._mapped(raw[..., self.number_at])
        z = (number - self.shift) / torch.where(self.scale == 0, 1, self.scale)
        z = torch.where(observed[..., self.number_at] & ~self._spiked(raw), z, 0.0)
        flags = observed.to(z.dtype)
        one_hot = self._one_hot(raw, observed)
        centred = (one_hot - self.frequency * flags[..., self.block_at[self.block_of]]) * self._block_scale()
        parts = [z, centred, *([self._seasons(raw)] if len(self.date_at) else []), flags]
        return torch.cat(parts, -1)

    def _spiked(self, raw: Tensor) -> Tensor:
        """Whether each number has the value that is modelled apart: (…, C) → (…, numbers)."""
        number = raw[..., self.number_at]
        spiked = torch.zeros_like(number, dtype=torch.bool)
        if len(self.spikes):
            spiked[..., self.spiked_at] = number[..., self.spiked_at] == self.spikes
        return spiked

    def _one_hot(self, raw: Tensor, observed: Tensor) -> Tensor:
        """One-hot levels of all blocks, 0 for a missing cell: (…, C) → (…, levels of all blocks)."""
        level = torch.cat([raw[..., self.category_at], self._spiked(raw)[..., self.spiked_at].to(raw.dtype)], -1)
        at = level.nan_to_num().long().clamp(min=0).minimum(self.sizes - 1) + self.start
        zeros = raw.new_zeros(*raw.shape[:-1], len(self.frequency))
        return zeros.scatter_(-1, at, observed[..., self.block_at].to(raw.dtype))

    def _block_scale(self) -> Tensor:
        """(levels,) 1 / std of the block that a level belongs to, from its total variance 1 − Σp²."""
        square = torch.zeros(len(self.start), device=self.frequency.device)
        square = square.index_add(0, self.block_of, self.frequency.square())
        return (self.category_weight / (1 - square).clamp(min=MIN_VARIANCE)).sqrt()[self.block_of]

    def _seasons(self, raw: Tensor) -> Tensor:
        """Sine and cosine of the time of year and of the weekday: (…, C) → (…, 4·dates), 0 for a missing date."""
        days = raw[..., self.date_at]
        year, week = (2 * math.pi * (days / period) for period in (365.2425, 7))
        return torch.stack([year.sin(), year.cos(), week.sin(), week.cos()], -1).flatten(-2).nan_to_num() / 2

    def _mapped(self, number: Tensor) -> Tensor:
        """Numbers with heavy tails as normal quantiles, others as they are: (…, numbers)."""
        if not len(self.heavy_at):
            return number
        values = number[..., self.heavy_at].movedim(-1, 0)
        flat = values.reshape(len(self.heavy_at), -1).contiguous()
        above = torch.searchsorted(self.knots, flat).clamp(1, KNOTS - 1)
        low, high = self.knots.gather(1, above - 1), self.knots.gather(1, above)
        part = ((flat - low) / (high - low).clamp(min=1e-30)).clamp(0, 1)
        quantile = EDGE + (1 - 2 * EDGE) * (above - 1 + part) / (KNOTS - 1)
        normal = torch.special.ndtri(quantile).view(values.shape).movedim(0, -1)
        return number.index_copy(-1, self.heavy_at, normal)

    def _unmapped(self, number: Tensor) -> Tensor:
        """The inverse of :meth:`_mapped`."""
        if not len(self.heavy_at):
            return number
        values = number[..., self.heavy_at].movedim(-1, 0)
        quantile = torch.special.ndtr(values.reshape(len(self.heavy_at), -1))
        at = ((quantile - EDGE) / (1 - 2 * EDGE)).clamp(0, 1) * (KNOTS - 1)
        below = at.floor().long().clamp(max=KNOTS - 2)
        low, high = self.knots.gather(1, below), self.knots.gather(1, below + 1)
        found = (low + (at - below) * (high - low)).view(values.shape).movedim(0, -1)
        return number.index_copy(-1, self.heavy_at, found)

    # --- from the decoder's output to cells ---------------------------------------------------------------------------

    def _logits(self, output: Tensor) -> Tensor:
        """Logits of each block: (…, outputs) → (…, blocks, levels of the largest), −inf where a block has fewer."""
        logits = F.pad(output[..., self._numbers : self.outputs].float(), (0, 1), value=-torch.inf)
        return logits[..., self.padded]

    def probabilities(self, output: Tensor) -> Tensor:
        """Probabilities of the levels: (…, outputs) → (…, levels of all blocks)."""
        return self._unpadded(self._logits(output).softmax(-1))

    def _unpadded(self, blocks: Tensor) -> Tensor:
        """(…, blocks, levels of the largest) → (…, levels of all blocks)."""
        return blocks[..., self.padded < len(self.frequency)]

    def invert(self, output: Tensor) -> Tensor:
        """The most probable cells: (…, outputs) → (…, C)."""
        return self._cells(output[..., : self._numbers], self._logits(output).argmax(-1))

    def draw(self, output: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Cells drawn from p(x|y, z): categories from their probabilities, numbers with their residual spread.

        Args:
            output: (…, outputs).
            generator: source of random numbers, on the CPU.
        """
        numbers, levels = output[..., : self._numbers].float(), output[..., self._numbers :].float()
        logits = self._logits(torch.cat([numbers, self.draws.logits(levels)], -1))
        noise = torch.rand(logits.shape, generator=generator).clamp(1e-7, 1 - 1e-7).to(logits.device)
        drawn = (logits - (-noise.log()).log()).argmax(-1)  # Gumbel-max
        return self._cells(self.draws.numbers(numbers, generator), drawn)

    def drawn(self, output: Tensor) -> Tensor:
        """Features of cells drawn from p(x|y, z): (…, outputs) → (…, D)."""
        return self(self.draw(output))

    def _cells(self, z: Tensor, levels: Tensor) -> Tensor:
        """(…, numbers) in the networks' units and (…, blocks) levels → (…, C)."""
        number = self._unmapped(z.float() * self.scale + self.shift)
        raw = number.new_zeros(*number.shape[:-1], self.kinds.columns)
        if len(self.spikes):
            own = len(self.category_at)
            spiked = levels[..., own:] == 1
            there = number[..., self.spiked_at]
            number = number.index_copy(-1, self.spiked_at, torch.where(spiked, self.spikes.to(number), there))
            levels = levels[..., :own]
        raw[..., self.number_at] = number
        raw[..., self.category_at] = levels.to(raw.dtype)
        return raw

    # --- losses -------------------------------------------------------------------------------------------------------

    def cell_losses(self, output: Tensor, x: Tensor) -> Tensor:
        """Loss of each cell: ½(x − x̂)² of a number, weighted cross-entropy of a category, 0 of a missing cell.

        Weights make the marginal distribution cost ½ in every category, as the mean does for a number.

        Args:
            output: (…, outputs) of the decoder.
            x: (…, D) features of the rows.

        Returns:
            (…, C).
        """
        observed = self.observed(x)
        square = 0.5 * (output[..., : self._numbers].float() - x[..., : self._numbers]).square() * self.known(x)
        losses = torch.zeros_like(observed).index_add(-1, self.number_at, square)
        if len(self.start):
            log_p = self._unpadded(self._logits(output).log_softmax(-1))
            cost = -(self._targets(x) * log_p) * self._weights()[self.block_of]
            losses = losses.index_add(-1, self.block_at[self.block_of], cost)
        return losses

    def loss(self, output: Tensor, x: Tensor) -> Tensor:
        """Loss summed over cells, mean over the batch: (R, B, outputs) and (R, B, D) → (R,)."""
        return self.cell_losses(output, x).sum(-1).mean(-1)

    def distance(self, a: Tensor, b: Tensor) -> Tensor:
        """½ squared distance of rows over the cells that both have: (…, C) each → (…,)."""
        a, b = self(a), self(b)
        both = (self.observed(a) * self.observed(b))[..., self.column_of[: self.outputs]]
        return 0.5 * ((a - b)[..., : self.outputs].square() * both).sum(-1)

    def _targets(self, x: Tensor) -> Tensor:
        """One-hot levels back from features: (…, D) → (…, levels of all blocks)."""
        flags = self.observed(x)[..., self.block_at[self.block_of]]
        return x[..., self._numbers : self.outputs] / self._block_scale() + self.frequency * flags

    def _weights(self) -> Tensor:
        """(blocks,) weight of the cross-entropy: ½ / the entropy of the marginal distribution."""
        terms = -self.frequency * self.frequency.clamp(min=1e-12).log()
        entropy = torch.zeros(len(self.start), device=terms.device).index_add(0, self.block_of, terms)
        return 0.5 * self.category_weight / entropy.clamp(min=MIN_ENTROPY)

    # --- statistics of the training rows ------------------------------------------------------------------------------

    @torch.no_grad()
    def fit(self, raw: Tensor) -> None:
        """Set the units from training rows: (N, C) with NaN for missing."""
        raw = raw.to(self.shift).float()
        spiked = self._spiked(raw)
        for i, at in enumerate(self.heavy_at.tolist()):
            own = raw[:, self.number_at[at]]
            own = own[~own.isnan() & ~spiked[:, at]]
            if len(own):
                ends = torch.linspace(0, 1, KNOTS, device=own.device) * (len(own) - 1)
                ordered = own.sort().values
                below = ends.floor().long()
                above = (below + 1).clamp(max=len(own) - 1)
                self.knots[i] = ordered[below] + (ends - below) * (ordered[above] - ordered[below])
        number = self._mapped(raw[:, self.number_at])
        number = number.masked_fill(spiked, torch.nan)
        centre = number.nanmedian(0).values.nan_to_num()
        mean = (number - centre).nanmean(0).nan_to_num()
        apart = (number - centre - mean).nan_to_num()
        most = apart.abs().amax(0).clamp(min=1e-30)  # without which squares of large numbers are infinite
        seen = (~number.isnan()).sum(0).clamp(min=1)
        std = most * ((apart / most).square().sum(0) / seen).sqrt()
        self.shift.copy_(centre + mean)
        self.scale.copy_(torch.where(std > CONSTANT * (centre.abs() + 1e-30), std, 0.0))
        self.draws.fit_rows((number - self.shift) / torch.where(self.scale == 0, 1, self.scale))
        one_hot = self._one_hot(raw, ~raw.isnan())
        counts = one_hot.sum(0)
        rows = torch.zeros(len(self.start), device=raw.device).index_add(0, self.block_of, counts)
        self.frequency.copy_(counts / rows.clamp(min=1)[self.block_of])

    @torch.no_grad()
    def fit_residual(self, output: Tensor, x: Tensor) -> None:
        """Set the spread of numbers around their reconstruction: (N, outputs) of the decoder and (N, D) features."""
        self.draws.fit_residual(output[..., : self._numbers] - x[..., : self._numbers], self.known(x))

    @torch.no_grad()
    def fit_prior(self, output: Tensor) -> None:
        """Give draws the marginals of the training rows, from the decoder's output for draws of the prior: (N, outputs)."""
        numbers, logits = output.float().split([self._numbers, self.outputs - self._numbers], -1)
        self.draws.fit_prior(numbers, logits, self.frequency, self.block_of)
