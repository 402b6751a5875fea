"""Contrastive losses, which keep a row near its views and apart from those of other rows. Ours, not the paper's."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from ..distributed import ALONE, World
from .terms import Forward, Named, Stream, Term


class NeighbourEmbedding(Term):
    """Contrastive loss in nats: the representation r′ of a row's view is nearer to r than those of other rows' views.

    The loss is −log softmax_j(−log(1 + ‖r_i − r′_j‖² / width²)) at j = i: t-SNE as contrastive learning (InfoNC-t-SNE,
    Damrich et al., arXiv:2206.01816). A table's view is a step towards a neighbour of the row. Ours, not the paper's.
    """

    streams: tuple[Stream, ...] = ("x", "view")
    concurrent = False

    def __init__(
        self, weight: float, ramp: float, width: float = 1.0, negatives: int = 0, world: World = ALONE
    ) -> None:
        self.weight, self.ramp, self.width, self.negatives, self.world = weight, ramp, width, negatives, world

    def __call__(self, forward: Forward) -> tuple[Tensor, Named]:
        r, view = (forward.represented(stream).float() / self.width for stream in self.streams)
        others = self.world.gather(view)
        others = others[:, : self.negatives] if self.negatives else others
        # Differences, not a matrix product, as TensorFloat-32 would lose the distances between near codes.
        others_near = -(r.unsqueeze(2) - others.unsqueeze(1)).square().sum(-1).log1p()
        own_near = -(r - view).square().sum(-1).log1p()
        loss = contrast(own_near, others_near, self.world)
        return self.weight * forward.ramp(self.ramp) * loss, {"neighbours": loss}


class Contrastive(Term):
    """Contrastive loss in nats on cosines of z: InfoNCE (van den Oord et al., arXiv:1807.03748). Ours, not the paper's.

    Args:
        temperature: divides the cosines.
        negatives: number of rows that each is compared with; 0 for all of the batch.
    """

    streams: tuple[Stream, ...] = ("x", "view")

    def __init__(
        self, weight: float, ramp: float, temperature: float, negatives: int = 0, world: World = ALONE
    ) -> None:
        self.weight, self.ramp, self.temperature, self.negatives, self.world = (
            weight,
            ramp,
            temperature,
            negatives,
            world,
        )

    def __call__(self, forward: Forward) -> tuple[Tensor, Named]:
        z, view = (F.normalize(forward.codes[stream].part("z"), dim=-1) for stream in self.streams)
        others = self.world.gather(view)
        others = others[:, : self.negatives] if self.negatives else others
        loss = contrast(
            (z * view).sum(-1) / self.temperature, z @ others.transpose(1, 2) / self.temperature, self.world
        )
        return self.weight * forward.ramp(self.ramp) * loss, {"neighbours": loss}


def contrast(own: Tensor, others: Tensor, world: World) -> Tensor:
    """−log softmax of each row's similarity to its own view among those to other views, mean over the batch: (R,).

    Args:
        own: (R, B) similarity of each row to its own view.
        others: (R, B, M) similarities to the first M views of the whole batch, the own one among them.
    """
    itself = world.itself(own.shape[1], others.shape[2], own.device)
    every = torch.cat([own.unsqueeze(-1), others.masked_fill(itself, -torch.inf)], -1)
    return (every.logsumexp(-1) - own).mean(1)
