"""Linear classifiers of the labelled rows: they agree with scikit-learn's, one a model, and reach the consistency term."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from aae_cli import Data, load, train
from aae_cli.data.types import Schema
from aae_cli.linear import LinearClassifiers
from aae_cli.model import Codes
from aae_cli.phases import Batch, Consistency, Forward


@pytest.mark.parametrize("classes", [2, 3])
def test_it_says_what_logistic_regression_says(classes):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 40, 5, generator=generator)
    labels = torch.randint(classes, (2, 40), generator=generator)
    said = LinearClassifiers(x, labels, classes)(x)
    for r in range(2):
        wanted = LogisticRegression(max_iter=1000).fit(x[r].numpy(), labels[r].numpy()).predict_proba(x[r].numpy())
        torch.testing.assert_close(said[r], torch.from_numpy(wanted).float(), atol=1e-4, rtol=1e-3)


def test_restarts_that_share_their_rows_share_the_classifier():
    x, labels = torch.randn(3, 20, 4), torch.randint(2, (3, 20))
    x[1], labels[1] = x[0], labels[0]
    both = LinearClassifiers(x, labels, 2)
    assert torch.equal(both.weight[1], both.weight[0])
    assert not torch.equal(both.weight[2], both.weight[0])


@pytest.mark.parametrize("present", [[1], [0, 3], [0, 2, 3]])
def test_classes_without_a_label_get_nothing(present):
    x = torch.randn(1, 30, 4)
    labels = torch.tensor(present).repeat(30 // len(present)).unsqueeze(0)
    said = LinearClassifiers(x[:, : labels.shape[1]], labels, 5)(x)
    assert said.shape == (1, 30, 5)
    torch.testing.assert_close(said.sum(-1), torch.ones(1, 30))
    torch.testing.assert_close(said[..., present].sum(-1), torch.ones(1, 30))


def test_consistency_teaches_a_share_of_it():
    y, view = torch.randn(1, 6, 3), torch.randn(1, 6, 3, requires_grad=True)
    linear = torch.rand(1, 6, 3).softmax(-1)
    batch = Batch(torch.zeros(1, 6, 2), torch.zeros(1, 6), linear=linear)
    forward = Forward(None, batch, {"x": Codes(y, None), "view": Codes(view, None)}, 0.0, joint=True)
    objective, named = Consistency(2.0, 0.0, linear=0.25)(forward)
    target = 0.75 * y.softmax(-1) + 0.25 * linear
    expected = -(target * view.log_softmax(-1)).sum(-1).mean()
    torch.testing.assert_close(named["consistency"], expected[None])
    torch.testing.assert_close(objective, 2 * expected[None])


def test_few_labels_of_a_table_without_clusters_tell_more_with_it(tmp_path):
    """One Gaussian cloud cut by a plane: no cluster says where, and 24 labels do."""
    generator = np.random.default_rng(0)
    x = generator.standard_normal((400, 10)).astype(np.float32)
    y = (x @ generator.standard_normal(10) > 0).astype(np.int64)
    schema = Schema("table", (10,), classes=("below", "above"), columns=tuple("abcdefghij"))
    right = {}
    for share in ("0.9", "0"):
        settings = [f"phases.semi_supervised.linear={share}", "train.restarts=1", "train.min_steps=200"]
        flags = {"data.labels": 24, "data.validation": 0}
        run = train("semi-supervised", Data(x, schema, y), tmp_path / share, settings, flags=flags)
        right[share] = float((load(run.folder).classify(x).argmax(1) == y).mean())
    assert right["0.9"] > right["0"] + 0.02, right
