"""A small convolutional network that reads digits: the independent judge of generated ones."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from aae_cli.data.types import Data
from aae_cli.objective.views import image_view


class DigitReader:
    """(N, 784) pixels in 0 … 255 → (N,) int64 labels."""

    def __init__(self, network: nn.Module, device: str) -> None:
        self.network, self.device = network.eval(), device

    def __call__(self, x: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            rows = torch.from_numpy(np.ascontiguousarray(x)).float().div(255).to(self.device)
            return torch.cat([self.network(some).argmax(1) for some in rows.split(2000)]).cpu().numpy()

    @classmethod
    def train(cls, data: Data, device: str, epochs: int = 10, batch_size: int = 100) -> DigitReader:
        """On all labelled rows of ``data``, under small affine changes; one-cycle learning rate."""
        assert data.labels is not None
        torch.manual_seed(12345)
        network = nn.Sequential(
            nn.Unflatten(1, (1, 28, 28)),
            *(nn.Conv2d(1, 24, 5, padding=2), nn.BatchNorm2d(24), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Conv2d(24, 48, 5, padding=2), nn.BatchNorm2d(48), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Flatten(), nn.Linear(48 * 49, 128), nn.ReLU(), nn.Dropout(0.3), nn.Linear(128, 10)),
        ).to(device)
        x = torch.from_numpy(np.ascontiguousarray(data.x)).to(device)
        labels = torch.from_numpy(data.labels).to(device)
        view = image_view((1, 28, 28), 0.06, 8.0, 0.08, 0.1, 0.01, torch.zeros(784, device=device))
        steps = len(x) // batch_size
        optimizer = torch.optim.Adam(network.parameters())
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=epochs * steps)
        network.train()
        for _ in range(epochs):
            for rows in torch.randperm(len(x), device=device)[: steps * batch_size].view(steps, batch_size):
                loss = F.cross_entropy(network(view(x[rows].float()[None] / 255)[0]), labels[rows])
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                optimizer.step()
                schedule.step()
        return cls(network, device)
