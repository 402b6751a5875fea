"""The adversarial autoencoder: q(y, z|x), p(x|y, z) and the cluster heads W_C.

Every tensor has a leading model axis R (see layers.py): x is (R, B, D), y (R, B, K), z (R, B, n).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .cells import Cells
from .encoder import Codes, Encoder
from .heads import spread_heads
from .layers import MLP
from .scaling import Scaling


class AAE(nn.Module):
    """R adversarial autoencoders with the same architecture.

    Args:
        models: R.
        features: number of outputs of the decoder: the size of a row x, except for mixed tables.
        classes: K, the size of y; 0 for a model without y.
        dims: n, the size of z; 0 for a model without z.
        labels: C, the number of label classes; used only by decoder_input=label.
        decoder_input: concat = [y, z]; label = [one-hot label, z] (section 4); heads = y·W_C + z (section 7).
        decoder_body: builds a decoder for inputs of a given size, in place of dense layers.
        output: activation of the decoder's output.
        heads_learned: whether W_C is trained; otherwise it is fixed at heads_scale·I.
        heads_eta: minimum distance between learned heads at initialisation.
        heads_spread: whether to enforce that distance, which takes time and is not needed before weights are loaded.
        scaling: conversion between the file's units and the networks'; None for one number each.
        init_std: weights ~ N(0, init_std²); None for He initialisation.

    Attributes:
        labels: C if the decoder receives the label, else 0.
        heads: W_C (R, K, n), or None without decoder_input=heads.
    """

    def __init__(
        self,
        models: int,
        features: int,
        encoder: Encoder,
        *,
        classes: int,
        dims: int,
        labels: int = 0,
        decoder_hidden: Sequence[int] = (1000, 1000),
        decoder_batch_norm: bool = False,
        decoder_batch_norm_last: bool = False,
        decoder_body: Callable[[int], nn.Module] | None = None,
        decoder_input: Literal["concat", "label", "heads"] = "concat",
        output: Literal["sigmoid", "linear"] = "sigmoid",
        heads_learned: bool = True,
        heads_scale: float = 10.0,
        heads_eta: float = 6.0,
        heads_spread: bool = True,
        scaling: Scaling | Cells | None = None,
        init_std: float | None = None,
    ) -> None:
        super().__init__()
        self.models, self.features, self.classes, self.dims = models, features, classes, dims
        self.labels, self.output = labels if decoder_input == "label" else 0, output
        self.scaling = scaling or Scaling(features)
        self.encoder = encoder
        inputs = {"concat": classes + dims, "label": labels + dims, "heads": dims}[decoder_input]
        self.decoder = (
            decoder_body(inputs)
            if decoder_body is not None
            else MLP(
                models,
                [inputs, *decoder_hidden],
                features,
                batch_norm=decoder_batch_norm,
                batch_norm_last=decoder_batch_norm_last,
                init_std=init_std,
            )
        )
        self.heads: nn.Parameter | None = None
        if decoder_input == "heads":
            if heads_learned:
                W_C = torch.randn(models, classes, dims) * heads_eta
                W_C = spread_heads(W_C, heads_eta) if heads_spread else W_C
            else:
                W_C = heads_scale * torch.eye(classes, dims).expand(models, -1, -1).clone()
            self.heads = nn.Parameter(W_C, requires_grad=heads_learned)

    @property
    def W_C(self) -> Tensor:
        """The cluster heads of section 7: (R, K, n). Only with decoder_input=heads."""
        assert self.heads is not None, "only decoder_input=heads has cluster heads"
        return self.heads

    def encode(self, x: Tensor, draw: bool = False, parts: Sequence[int] | None = None) -> Codes:
        """Encode rows: q(y, z|x).

        Args:
            x: (R, B, D) in the networks' units.
            draw: sample q(z|x) in evaluation mode too.
            parts: sizes of the batches concatenated along B, for training over several processes; None for one batch.
        """
        return self.encoder(x, draw, parts)

    def represent(self, y: Tensor | None, z: Tensor | None, label: Tensor | None = None) -> Tensor:
        """Input of the decoder: [y, z], [label, z] or y·W_C + z.

        Args:
            y: (R, B, K). z: (R, B, n).
            label: (R, B, C) one-hot; zeros for an unknown label.

        Returns:
            (R, B, m), where m is K + n, C + n or n respectively.
        """
        if self.heads is not None:
            assert y is not None and z is not None
            return torch.bmm(y, self.heads) + z
        first = label if self.labels else y
        return torch.cat([part for part in (first, z) if part is not None], -1)

    def decode_logits(self, y: Tensor | None, z: Tensor | None, label: Tensor | None = None) -> Tensor:
        """Output of the decoder before the sigmoid, if any: (R, B, D) float32."""
        return self.decoder(self.represent(y, z, label)).float()

    def decode(self, y: Tensor | None, z: Tensor | None, label: Tensor | None = None) -> Tensor:
        """Mean of p(x|·) in the networks' units: (R, B, D), in (0, 1) for a sigmoid output."""
        return self.decode_input(self.represent(y, z, label))

    def decode_input(self, code: Tensor) -> Tensor:
        """The same for an input of the decoder, as from :meth:`represent`: (R, B, m) → (R, B, D)."""
        x_hat = self.decoder(code).float()
        return x_hat.sigmoid() if self.output == "sigmoid" else x_hat

    def one_hot(self, labels: Tensor) -> Tensor:
        """Encode labels for the decoder: (…) int64, −1 for unknown → (…, C), zeros for unknown."""
        return one_hot(labels, self.labels)


def one_hot(categories: Tensor, count: int) -> Tensor:
    """Encode categories as one-hot vectors: (…) int64, −1 for unknown → (…, count) float32, zeros for unknown."""
    hot = F.one_hot(categories.clamp(min=0), max(count, 1)).float()
    return hot * (categories >= 0).unsqueeze(-1)


def pick_model(state: dict[str, Tensor], index: int) -> dict[str, Tensor]:
    """Extract one of R models from a state dict, as the state dict of a model with R = 1."""
    return {
        name: value if name.startswith("scaling.") else value[index : index + 1].clone()
        for name, value in state.items()
    }
