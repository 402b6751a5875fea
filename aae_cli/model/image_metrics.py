"""Quality of the samples of a model of images, beside held-out rows: how well a network tells the two apart, whether samples
look like rows and rows like samples, and how sharp they are. Ours, not the paper's.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .metrics import Context, Metrics

ROWS = 2000  # the most rows and samples that are compared
NEIGHBOURS = 3  # as Kynkäänniemi et al. (arXiv:1904.06991) have it
COMPONENTS = 50  # principal components of held-out rows, in which neighbours are searched
STEPS, BATCH, WIDTH = 300, 64, 16  # of the network that tells samples from rows


def sample_metrics(c: Context) -> Metrics:
    """Samples beside as many held-out rows.

    ``sample-auc`` is that of a small convolutional network in 2-fold cross-validation; 0.5 is perfect. ``sample-precision``
    and ``sample-recall`` are improved precision and recall (arXiv:1904.06991): the share of samples within reach of rows,
    and of rows within reach of samples, in the first principal components of the rows. ``sharpness`` is the mean standard
    deviation of the Laplacian of samples over that of rows.
    """
    order = np.random.default_rng(c.seed).permutation(len(c.rows))[:ROWS]
    real = _images(c, c.rows.x[order])
    drawn = c.model.sample(len(real), generator=torch.Generator().manual_seed(c.seed)).x
    fake = _images(c, drawn)
    found = {
        "sample-auc": two_sample_auc(real, fake, c.seed),
        "sharpness": sharpness(fake) / max(sharpness(real), 1e-9),
    }
    precision, recall = precision_recall(*_components(real, fake))
    return found | {"sample-precision": precision, "sample-recall": recall}


def _images(c: Context, x: np.ndarray) -> Tensor:
    """Rows as images of values in 0…1: (N, C, H, W)."""
    schema = c.model.schema
    low, high = schema.low or 0.0, schema.high or 1.0
    pixels = (torch.from_numpy(np.asarray(x, np.float32)) - low) / (high - low)
    return pixels.clamp(0, 1).view(-1, *schema.shape)


def sharpness(images: Tensor) -> float:
    """Standard deviation of the Laplacian of each image, averaged: images (N, C, H, W) of at least 3×3 pixels, else 0."""
    grey = images.mean(1, keepdim=True)
    if min(grey.shape[2:]) < 3:
        return 0.0
    laplace = torch.tensor([[0.0, 1.0, 0.0], [1.0, -4.0, 1.0], [0.0, 1.0, 0.0]]).view(1, 1, 3, 3)
    return float(F.conv2d(grey, laplace).flatten(1).std(1, correction=0).mean())


def precision_recall(real: Tensor, fake: Tensor) -> tuple[float, float]:
    """Share of samples nearer to some row than its third nearest row is, and the same with samples and rows exchanged.

    Args:
        real: (N, D). fake: (M, D).
    """

    def reach(points: Tensor) -> Tensor:
        k = min(NEIGHBOURS + 1, len(points))
        return torch.cdist(points, points).kthvalue(k, dim=1).values

    distance = torch.cdist(real, fake)
    precision = (distance <= reach(real)[:, None]).any(0).float().mean()
    recall = (distance <= reach(fake)[None, :]).any(1).float().mean()
    return float(precision), float(recall)


def _components(real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
    """Rows and samples in the first principal components of the rows."""
    rows = real.flatten(1).double()
    mean = rows.mean(0)
    _, _, axes = torch.linalg.svd(rows - mean, full_matrices=False)
    kept = axes[:COMPONENTS].T
    return (rows - mean) @ kept, (fake.flatten(1).double() - mean) @ kept


def two_sample_auc(real: Tensor, fake: Tensor, seed: int) -> float:
    """AUC of a small network that tells samples from rows, in 2-fold cross-validation; 0.5 is perfect.

    Args:
        real, fake: (N, C, H, W), as many of each.
    """
    from sklearn.metrics import roc_auc_score

    images, which = torch.cat([real, fake]), torch.arange(2).repeat_interleave(len(real)).float()
    aucs = []
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        torch.manual_seed(seed)
        halves = torch.randperm(len(images)).chunk(2)
        for train, test in (halves, halves[::-1]):
            network = _trained(images[train], which[train])
            with torch.no_grad():
                scores = torch.cat([network(some).squeeze(1) for some in images[test].split(500)])
            aucs.append(float(roc_auc_score(which[test].numpy(), scores.numpy())))
    return float(np.mean(aucs))


def _trained(images: Tensor, which: Tensor) -> nn.Module:
    layers: list[nn.Module] = []
    channels, side = images.shape[1], min(images.shape[2:])
    for width in (WIDTH, 2 * WIDTH):
        layers += [nn.Conv2d(channels, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU()]
        if side >= 4:
            layers.append(nn.MaxPool2d(2))
            side //= 2
        channels = width
    network = nn.Sequential(*layers, nn.Flatten(), nn.Dropout(0.3), nn.LazyLinear(1))
    network(images[:2])  # sets the size of the last layer
    optimizer = torch.optim.Adam(network.parameters(), 2e-3)
    for _ in range(STEPS):
        some = torch.randint(len(images), (min(BATCH, len(images)),))
        loss = F.binary_cross_entropy_with_logits(network(images[some]).squeeze(1), which[some])
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return network.eval()
