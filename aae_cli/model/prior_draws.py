"""The decoder's output for samples of the prior, on which likelihoods and the marginals of draws are measured."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from .sampling import DECODED_AT_ONCE, draw_categories

if TYPE_CHECKING:
    from .autoencoder import Autoencoder


def prior_outputs(model: Autoencoder, n: int, seed: int) -> Iterator[Tensor]:
    """Decode n samples of the prior. Yields chunks (m, outputs) on the device, in the networks' units."""
    prior, content, device = model.prior_z, model.content, model.device
    with torch.inference_mode(), torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        for start in range(0, n, DECODED_AT_ONCE):
            anywhere = torch.full((1, min(DECODED_AT_ONCE, n - start)), -1, device=device)
            category = anywhere
            if content.count:
                category = draw_categories(content.count, model.p_y, anywhere.shape[1])[None].to(device)
            z = None if prior is None else prior.sample(content.component(category, anywhere))
            y, label = content.inputs(category)
            yield model.model.decode(y, z, label)[0]
