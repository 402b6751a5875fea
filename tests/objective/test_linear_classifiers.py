"""Linear classifiers of the labelled rows: they agree with scikit-learn's, one a model, and reach the consistency term."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from aae_cli import Data, load, train
from aae_cli.data.types import Schema
from aae_cli.nn.encoder import Codes
from aae_cli.objective.linear_classifiers import LinearClassifiers, class_proportions
from aae_cli.objective.terms import Batch, Consistency, Forward, SemiSupervised

NARROW = [f"{body}.hidden=[64]" for body in ("encoder", "decoder", "adversaries.y", "adversaries.z")]


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


def two_clouds(rows, rare, seed, apart=1.0):
    """Standard normal rows and their classes, of which class 1, a share ``rare`` of them, lies elsewhere."""
    generator = torch.Generator().manual_seed(seed)
    labels = (torch.rand(rows, generator=generator) < rare).long()
    return torch.randn(rows, 3, generator=generator) + apart * labels.unsqueeze(1), labels


def test_it_goes_by_how_classes_share_all_rows_not_by_how_they_are_labelled():
    x, labels = two_clouds(4000, 0.1, seed=0, apart=1.5)
    known = torch.cat([(labels == c).nonzero()[:100, 0] for c in (0, 1)])  # a hundred of each
    both = LinearClassifiers(x[known].expand(2, -1, -1), labels[known].expand(2, -1), 2)
    every = x.expand(2, -1, -1)
    evenly = (both(every).argmax(-1) == labels).float().mean(1)
    torch.testing.assert_close(both.share, torch.full((2, 2), 0.5))
    assert both.logit_adjustment.abs().max() == 0
    for _ in range(2):  # going by rows again changes nothing
        both.adjust(x)
        assert both.share[:, 1].tolist() == pytest.approx([0.1, 0.1], abs=0.08)
        assert both.logit_adjustment[0, 0].exp().tolist() == pytest.approx((0.5 / both.share[0]).tolist())
        right = (both(every).argmax(-1) == labels).float().mean(1)
        assert (right > evenly + 0.03).all(), (right, evenly)
    few = LinearClassifiers(x[known[::25]].expand(1, -1, -1), labels[known[::25]].expand(1, -1), 2)
    few.adjust(x)  # eight labels cannot say much
    assert 0.1 < few.share[0, 1] < 0.5


def test_labels_that_are_not_spread_evenly_keep_their_proportions():
    x, labels = two_clouds(4000, 0.1, seed=0, apart=1.5)
    known = torch.cat([(labels == c).nonzero()[:count, 0] for c, count in ((0, 100), (1, 70))])
    uneven = LinearClassifiers(x[known][None], labels[known][None], 2)
    before = uneven(x[None])
    uneven.adjust(x)
    torch.testing.assert_close(uneven.share, torch.tensor([[100 / 170, 70 / 170]]))
    assert torch.equal(uneven(x[None]), before) and uneven.logit_adjustment.abs().max() == 0


def test_shares_of_classes_come_from_the_rows_and_a_prior():
    y = torch.tensor([[[0.99, 0.01, 0.0]] * 9 + [[0.01, 0.99, 0.0]]])
    known = torch.tensor([[0.5, 0.5, 0.0]])
    torch.testing.assert_close(class_proportions(y, known, 0.0), torch.tensor([[0.9, 0.1, 0.0]]), atol=0.02, rtol=0)
    torch.testing.assert_close(class_proportions(y, known, 1.0), torch.tensor([[0.7, 0.3, 0.0]]), atol=0.02, rtol=0)
    torch.testing.assert_close(class_proportions(y, known, 1e6), known, atol=1e-4, rtol=0)


def test_labelled_rows_are_weighed_by_how_often_their_class_is_met():
    logits, odds = torch.randn(1, 6, 3), torch.randn(1, 1, 3)
    targets = torch.tensor([[0, 1, 2, 0, 1, 2]])
    codes = {"labelled": Codes(logits, None)}
    losses = []
    for each in (None, odds):
        batch = Batch(torch.zeros(1, 6, 2), torch.zeros(1, 6), targets=targets, logit_adjustment=each)
        losses.append(SemiSupervised(0.5)(Forward(None, batch, codes, 0.0, joint=True))[0])
    for loss, wanted in zip(losses, (logits, logits + odds), strict=True):
        torch.testing.assert_close(loss[0], 0.5 * torch.nn.functional.cross_entropy(wanted[0], targets[0]))


def test_rare_classes_of_a_table_stay_rare(tmp_path):
    """Labels are dealt evenly; nine rows of ten are of one class, and no gap says where it ends."""
    x, labels = two_clouds(600, 0.1, seed=1)
    schema = Schema("table", (3,), classes=("usual", "rare"), columns=("a", "b", "c"))
    right, share = {}, {}
    for sizes in ("found", "equal"):
        settings = ["train.restarts=1", "train.min_steps=200", f"code.y.sizes={sizes}", *NARROW]
        flags = {"data.labels": 120, "data.validation": 0}
        run = train("semi-supervised", Data(x.numpy(), schema, labels.numpy()), tmp_path / sizes, settings, flags=flags)
        said = load(run.folder).classify(x.numpy()).argmax(1)
        right[sizes], share[sizes] = float((said == labels.numpy()).mean()), float(said.mean())
    assert right["found"] > right["equal"] + 0.03, (right, share)
    assert share["found"] < share["equal"]


def test_consistency_teaches_a_share_of_it():
    y, view = torch.randn(1, 6, 3), torch.randn(1, 6, 3, requires_grad=True)
    linear = torch.rand(1, 6, 3).softmax(-1)
    batch = Batch(torch.zeros(1, 6, 2), torch.zeros(1, 6), guide=linear)
    forward = Forward(None, batch, {"x": Codes(y, None), "view": Codes(view, None)}, 0.0, joint=True)
    objective, named = Consistency(2.0, 0.0, guide=0.25)(forward)
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
        settings = [f"phases.semi_supervised.linear={share}", "train.restarts=1", "train.min_steps=200", *NARROW]
        flags = {"data.labels": 24, "data.validation": 0}
        run = train("semi-supervised", Data(x, schema, y), tmp_path / share, settings, flags=flags)
        right[share] = float((load(run.folder).classify(x).argmax(1) == y).mean())
    assert right["0.9"] > right["0"] + 0.02, right
