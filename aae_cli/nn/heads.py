"""The cluster heads W_C of section 7: the penalty that pushes them apart, and their initialisation."""

from __future__ import annotations

import torch
from torch import Tensor


def separation(W_C: Tensor, eta: float) -> Tensor:
    """Penalty of section 7: η − ‖W_C[i] − W_C[j]‖, summed over the pairs of heads closer than η. (R, K, n) → (R,)."""
    i, j = torch.triu_indices(W_C.shape[1], W_C.shape[1], offset=1, device=W_C.device)
    # The small constant keeps the gradient finite when two heads coincide.
    distance = ((W_C[:, i] - W_C[:, j]).square().sum(-1) + 1e-12).sqrt()
    return (eta - distance).clamp(min=0).sum(-1)


def spread_heads(W_C: Tensor, eta: float, steps: int = 300) -> Tensor:
    """Move heads apart until no two are closer than η: (R, K, n) → (R, K, n).

    The penalty alone separates crowded heads too slowly during training. Heads that are still closer than η after
    ``steps`` gradient steps are scaled up together.
    """
    W_C = W_C.detach().clone().requires_grad_()
    for _ in range(steps):
        loss = separation(W_C, 1.05 * eta).sum()
        if not loss:
            break
        (slope,) = torch.autograd.grad(loss, W_C)
        with torch.no_grad():
            W_C -= 0.1 * slope
    W_C = W_C.detach()
    diagonal = torch.eye(W_C.shape[1], dtype=torch.bool, device=W_C.device)
    closest = torch.cdist(W_C, W_C).masked_fill(diagonal, torch.inf).amin((1, 2), keepdim=True)
    return W_C * (eta / closest.clamp(min=1e-3 * eta)).clamp(min=1.0)
