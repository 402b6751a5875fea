"""Prediction of a table's cells from its other cells: the encoder sees a row without some of its columns."""

from __future__ import annotations

import torch
from torch import Tensor

from ..nn.cells import Cells
from .autoencoder import Autoencoder
from .units import within_ranges

BOUND = 4.0
"""Largest size of a feature that the encoder sees, in standard deviations.

A cell that is farther out then cannot spoil what is predicted of the others. It changes the scores of rows by little: their
mean AUROC on 7 tables (see unusual.py) is 0.778, and 0.779 without it.
"""


def masks(columns: int, share: float, count: int) -> Tensor:
    """Columns to hide in each of several views, the same for all rows: (count, C) bool.

    Each column is hidden equally often, and no answer depends on how rows are divided into chunks.

    Args:
        share: share of the views that hide a column; each column is hidden at least once, and seen at least once.
    """
    generator = torch.Generator().manual_seed(0)
    hidden = min(max(round(share * count), 1), count - 1)
    return torch.rand(count, columns, generator=generator).argsort(0) < hidden


class CellModel:
    """The cells of a table as a model sees and predicts them; for tables of complete numbers, and for mixed ones.

    Attributes:
        mixed: the conversion of a mixed table's cells; None for complete numbers.
        column_of: (D,) column of each feature.
    """

    def __init__(self, model: Autoencoder) -> None:
        self.model, scaling = model, model.model.scaling
        self.scaling = scaling
        self.mixed = scaling if isinstance(scaling, Cells) else None
        self.columns = model.schema.size
        self.column_of = torch.arange(self.columns, device=model.device) if self.mixed is None else self.mixed.column_of
        self._unnamed = self._levels_without_name()

    def _levels_without_name(self) -> list[int]:
        """Outputs of the levels that stand for all others, which are no value of a cell."""
        found: list[int] = []
        if self.mixed is not None:
            at = len(self.mixed.kinds.numbers)
            for column, levels in self.mixed.kinds.levels.items():
                at += levels
                if self.model.schema.mixed is not None and self.model.schema.mixed[column].other:
                    found.append(at - 1)
        return found

    def _named(self, output: Tensor) -> Tensor:
        """The output with no probability left for levels without a name."""
        if not self._unnamed:
            return output
        output = output.clone()
        output[:, self._unnamed] = -1e9
        return output

    @property
    def output_column_of(self) -> Tensor:
        """(outputs,) column of each output of the decoder."""
        return self.column_of[: self.scaling.outputs]

    def features(self, x: Tensor) -> Tensor:
        """Features of rows, 0 for missing cells: (B, C) with NaN for missing → (B, D) on the device."""
        return self.scaling(x.to(self.model.device)).nan_to_num()

    def observed(self, x: Tensor) -> Tensor:
        """Whether cells are observed: (B, C) → (B, C) float32, 0 or 1, on the device."""
        return (~x.to(self.model.device).float().isnan()).float()

    def output(self, features: Tensor, hidden: Tensor | None = None) -> Tensor:
        """Output of the decoder: (B, D) → (B, outputs).

        Args:
            hidden: (C,) bool, columns that the encoder does not see; None for none.
        """
        if hidden is not None:
            features = features * ~hidden.to(features.device)[self.column_of]
        features = features.clamp(-BOUND, BOUND)
        networks = self.model.model
        codes = networks.encode(features[None])
        label = None
        if networks.labels:
            label = networks.one_hot(torch.full((1, len(features)), -1, device=features.device))
        return networks.decode(codes.y, codes.z, label)[0]

    def losses(self, output: Tensor, features: Tensor, observed: Tensor) -> Tensor:
        """Loss of each cell, 0 for missing ones: (B, outputs), (B, D) and (B, C) → (B, C)."""
        if self.mixed is not None:
            return self.mixed.cell_losses(output, features)
        return 0.5 * (output - features).square() * observed

    def statistics(self, output: Tensor) -> Tensor:
        """What is averaged over outputs, numbers and probabilities of levels: (B, outputs) → (B, outputs)."""
        if self.mixed is None:
            return output
        numbers = len(self.mixed.kinds.numbers)
        return torch.cat([output[:, :numbers].float(), self.mixed.probabilities(output)], -1)

    def output_of(self, statistics: Tensor) -> Tensor:
        """The output with these numbers and probabilities, the inverse of :meth:`statistics`."""
        if self.mixed is None:
            return statistics
        numbers = len(self.mixed.kinds.numbers)
        return torch.cat([statistics[:, :numbers], statistics[:, numbers:].clamp(min=1e-12).log()], -1)

    def most_probable(self, output: Tensor) -> Tensor:
        """Cells of the highest probability, as a file would hold them: (B, outputs) → (B, C) float32 on the CPU."""
        return self._in_range(self.scaling.invert(self._named(output)))

    def drawn(self, output: Tensor, generator: torch.Generator | None) -> Tensor:
        """Cells drawn from p(x|y, z), as a file would hold them: (B, outputs) → (B, C) float32 on the CPU."""
        return self._in_range(self.scaling.draw(self._named(output), generator))

    def _in_range(self, cells: Tensor) -> Tensor:
        """Cells in the ranges of the training rows and with their precision: (B, C) → (B, C) float32 on the CPU."""
        return torch.from_numpy(within_ranges(cells.cpu().numpy(), self.model.schema))
