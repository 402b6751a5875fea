"""Samples of images beside rows: measures that tell good samples from blurred ones, copies of one, and noise."""

import pytest
import torch
from fitting import fit

from aae_cli import evaluate, load, read
from aae_cli.errors import DataError
from aae_cli.model.image_metrics import precision_recall, sharpness, two_sample_auc


def blobs(count: int, seed: int) -> torch.Tensor:
    """Images with a bright square at a random place: (N, 1, 12, 12)."""
    torch.manual_seed(seed)
    images = 0.05 * torch.rand(count, 1, 12, 12)
    for image, (row, column) in zip(images, torch.randint(0, 8, (count, 2)).tolist(), strict=True):
        image[0, row : row + 4, column : column + 4] += 0.9
    return images


def test_a_network_tells_blurred_images_and_not_others():
    real, same = blobs(200, 0), blobs(200, 1)
    blurred = torch.nn.functional.avg_pool2d(same, 3, 1, 1)
    assert two_sample_auc(real, blurred, 0) > 0.98
    assert two_sample_auc(real, same, 0) < 0.65


def test_precision_falls_with_noise_and_recall_with_alike_samples():
    torch.manual_seed(0)
    real = torch.randn(300, 4)
    assert min(precision_recall(real, torch.randn(300, 4))) > 0.8
    precision, recall = precision_recall(real, 0.05 * torch.randn(300, 4))
    assert precision > 0.8 and recall < 0.1
    precision, recall = precision_recall(real, 10 * torch.randn(300, 4))
    assert precision < 0.3 and recall > 0.8


def test_blurred_images_are_less_sharp():
    images = blobs(50, 0)
    assert sharpness(torch.nn.functional.avg_pool2d(images, 3, 1, 1)) < 0.6 * sharpness(images)
    assert sharpness(torch.ones(2, 1, 5, 5)) == 0


def test_samples_of_images_and_of_tables_are_measured(tmp_path):
    digits = read("digits")[:200]
    model = load(fit("quick", digits, tmp_path / "run").folder, "cpu")
    found = evaluate(model, read("digits")[200:260], ["samples"])
    assert set(found) == {"sample-auc", "sample-precision", "sample-recall", "sharpness"}
    assert found["sample-auc"] > 0.8  # of a model that is hardly trained
    table = load(fit("table", read("penguins"), tmp_path / "table").folder, "cpu")
    assert "column-shapes" in evaluate(table, read("penguins")[:80], ["samples"])
    with pytest.raises(DataError, match="not one of images"):
        evaluate(table, read("penguins")[:80], ["image-samples"])
