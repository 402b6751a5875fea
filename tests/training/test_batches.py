"""Dealing out rows: every row once an epoch, orders that follow from seeds, labels evenly over the classes."""

import numpy as np
import pytest
import torch

from aae_cli.distributed import World
from aae_cli.errors import DataError
from aae_cli.nn.scaling import Scaling
from aae_cli.objective.neighbours import Neighbours
from aae_cli.objective.views import feature_view, image_view
from aae_cli.training.batches import Batches
from aae_cli.training.splits import choose_labelled


def batches(models=2, **options) -> Batches:
    x = torch.arange(20, dtype=torch.uint8).unsqueeze(1).repeat(1, 3)
    labels = torch.arange(20) % 4
    chosen = choose_labelled(labels.numpy(), 8, 4, seed=0)
    options = {"batch_size": 5, "seeds": list(range(models))} | options
    return Batches(x, labels, [chosen] * models, Scaling(3), **options)


def test_every_row_comes_once_an_epoch_in_an_order_of_each_model():
    b = batches()
    seen = torch.cat([b.batch(b.rows(step)).x[:, :, 0] for step in range(b.steps_per_epoch)], 1)
    assert b.steps_per_epoch == 4
    for r in range(2):
        assert sorted(seen[r].tolist()) == list(range(20))
    assert seen[0].tolist() != seen[1].tolist()
    again = torch.cat([b.batch(b.rows(step)).x[:, :, 0] for step in range(4, 8)], 1)
    assert again[0].tolist() != seen[0].tolist()


def test_order_depends_on_seed_and_epoch_alone():
    one, two = batches(), batches()
    two.rows(17)
    assert torch.equal(one.batch(one.rows(6)).x, two.batch(two.rows(6)).x)


def test_a_later_stage_goes_on_with_other_orders():
    first, later = batches(), batches(first_epoch=3)
    assert torch.equal(first.order(4), later.order(1))
    assert not torch.equal(first.order(0), later.order(0))


def test_labels_show_only_where_chosen():
    b = batches()
    visible = torch.cat([b.batch(b.rows(step)).labels[0] for step in range(4)])
    assert (visible >= 0).sum() == 8


def test_labelled_rows_carry_their_targets():
    b = batches(labelled_size=50)
    batch = b.batch(b.rows(0))
    assert batch.labelled.shape == (2, 50, 3)
    assert torch.equal(batch.labelled[..., 0].long() % 4, batch.targets)
    assert set(batch.labelled[..., 0].unique().tolist()) <= set(b.labelled[0].tolist())


def test_rows_are_scaled_to_the_networks_units():
    b = batches()
    b.scaling.shift.fill_(2.0)
    b.scaling.scale.fill_(4.0)
    assert b.batch(b.rows(0)).x.max() == (19 - 2) / 4
    assert b.batch(b.rows(0)).x.dtype == torch.float32


def test_labels_are_even_over_the_classes():
    labels = np.repeat(np.arange(10), 50)
    chosen = choose_labelled(labels, 100, 10, seed=1)
    assert np.bincount(labels[chosen]).tolist() == [10] * 10
    assert not np.array_equal(chosen, choose_labelled(labels, 100, 10, seed=2))
    assert np.array_equal(chosen, choose_labelled(labels, 100, 10, seed=1))
    assert np.bincount(labels[choose_labelled(labels, 105, 10, 0)]).max() == 11


def test_labels_by_share_all_and_none():
    labels = np.array([0, 0, 1, 1, -1, -1])
    assert choose_labelled(labels, "none", 2, 0).tolist() == []
    assert choose_labelled(labels, "all", 2, 0).tolist() == [0, 1, 2, 3]
    assert len(choose_labelled(labels, "50%", 2, 0)) == 2
    assert choose_labelled(labels, 99, 2, 0).tolist() == [0, 1, 2, 3]
    with pytest.raises(DataError, match="--labels 2"):
        choose_labelled(labels, 1, 2, 0)


def test_scarce_classes_give_way():
    labels = np.array([0] * 50 + [1] * 2)
    assert np.bincount(labels[choose_labelled(labels, 20, 2, 0)]).tolist() == [18, 2]


def test_image_views_move_pixels_and_keep_the_background():
    torch.manual_seed(0)
    x = torch.zeros(1, 64, 28 * 28)
    image = x.view(1, 64, 28, 28)
    image[..., 10:18, 10:18] = 1.0
    view = image_view((1, 28, 28), 0.1, 10, 0.1, 0.1, 0.03, torch.zeros(28 * 28))(x)
    assert view.shape == x.shape
    assert (view - x).abs().amax(-1).min() > 0.1
    assert view.sum(-1).mean().item() == pytest.approx(64, rel=0.1)
    still = image_view((1, 28, 28), 0, 0, 0, 0, 0, torch.zeros(28 * 28))(x)
    torch.testing.assert_close(still, x, atol=1e-4, rtol=0)


def test_image_views_fill_with_the_outside_value():
    outside = torch.full((16,), -3.0)
    x = torch.full((1, 8, 16), -3.0)
    torch.testing.assert_close(image_view((1, 4, 4), 0.5, 45, 0.3, 0.3, 0.1, outside)(x), x)


def test_elastic_distortion_is_smooth_and_of_the_size_asked_for():
    ramp = (
        torch.linspace(0, 1, 28).repeat(28).view(1, 1, -1).repeat(1, 2000, 1)
    )  # value = column, so change = displacement
    view = image_view((1, 28, 28), 0, 0, 0, 0, 0.03, torch.zeros(784))(ramp).view(-1, 28, 28)
    moved = (view - ramp.view(-1, 28, 28))[:, 8:20, 8:20] * 27 / 28
    assert 0.02 < moved.std() < 0.035
    assert (moved[:, :, 1:] - moved[:, :, :-1]).std() < moved.std() / 3


def test_shift_is_a_share_of_the_side():
    torch.manual_seed(0)
    x = torch.zeros(1, 500, 28 * 28)
    x.view(1, 500, 28, 28)[..., 14, 14] = 1.0
    view = image_view((1, 28, 28), 2 / 28, 0, 0, 0, 0, torch.zeros(28 * 28))(x).view(500, 28, 28)
    columns = (view.sum(1) * torch.arange(28)).sum(1) / view.sum((1, 2))
    assert 1.5 < (columns - 14).abs().max() <= 2.01


def test_feature_views_swap_in_values_of_other_rows():
    torch.manual_seed(0)
    x = torch.arange(40.0).view(1, 40, 1).repeat(1, 1, 5)
    view = feature_view(0.0, 0.3, None)(x)
    changed = view != x
    assert 0.2 < changed.float().mean() < 0.4
    assert set(view.unique().tolist()) <= set(range(40))
    noisy = feature_view(0.1, 0.0, None)(x)
    assert (noisy - x).std().item() == pytest.approx(0.1, rel=0.2)


def test_swapped_values_come_from_the_whole_batch_of_all_processes(monkeypatch):
    batch, labelled = torch.randn(2, 8, 5), torch.randn(2, 4, 5)
    torch.manual_seed(0)
    one = feature_view(0.1, 0.5, None)(torch.cat([batch, labelled], 1), [8, 4])
    whole = {4: batch, 2: labelled}  # by a process's share of it
    monkeypatch.setattr(World, "gather", lambda self, x, parts: torch.cat([whole[part] for part in parts], 1))
    shares = []
    for rank in range(2):
        torch.manual_seed(0)
        share = torch.cat([part.chunk(2, 1)[rank] for part in (batch, labelled)], 1)
        shares.append(feature_view(0.1, 0.5, None, World(rank, 2))(share, [4, 2]).split([4, 2], 1))
    assert torch.equal(torch.cat([share for part in zip(*shares, strict=True) for share in part], 1), one)


def test_feature_views_move_towards_near_rows():
    torch.manual_seed(0)
    ends = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 9.0], [1.0, 9.0], [0.0, 99.0]])
    x = ends[:4].repeat(2, 50, 1)
    moved = feature_view(0.0, 0.0, Neighbours(1, ends))(x)  # each finds itself and the one beside it
    assert torch.equal(moved[..., 1], x[..., 1])
    steps = (moved - x)[..., 0].abs()
    assert 0.3 < (steps == 0).float().mean() < 0.7
    assert steps[steps > 0].mean().item() == pytest.approx(0.5, abs=0.05)
    assert steps.max() < 1
    assert feature_view(0.0, 0.0, Neighbours(99, ends))(x).shape == x.shape


def test_neighbours_of_training_rows_are_found_once_and_looked_up():
    torch.manual_seed(0)
    training = torch.randn(50, 3)
    neighbours = Neighbours(4, training[:30])
    rows = torch.randint(50, (2, 20))
    far, near = neighbours(training[rows])
    assert (near == rows.unsqueeze(-1)).any(-1).equal(rows < 30)  # itself, where it is in the reference
    neighbours.cache(training.split(7), 50)
    neighbours.reference.fill_(torch.nan)  # so that nothing can be looked for any more
    again, numbers = neighbours(training[rows], rows)
    torch.testing.assert_close(again, far, rtol=1e-4, atol=1e-5)
    assert numbers.sort(-1).values.tolist() == near.sort(-1).values.tolist()


def test_views_look_up_the_neighbours_of_the_rows_that_they_are_of():
    """Whatever streams a batch has, and in whatever order its rows come."""
    x = torch.arange(60.0).view(30, 2)
    labels = torch.arange(30) % 3
    asked = []

    def view(x, parts=None, rows=None):
        asked.append((x, rows))
        return x

    batches = Batches(
        x,
        labels,
        [np.array([4, 9, 23])] * 2,
        Scaling(2),
        batch_size=8,
        seeds=[0, 1],
        labelled_size=5,
        view=view,
        want_view=True,
        augment_labelled=True,
    )
    batches.batch(batches.rows(3))
    ((seen, rows),) = asked
    assert seen.shape == (2, 13, 2)
    assert torch.equal(seen, x[rows])
    assert torch.equal(torch.cat(list(batches.every(7))), x)
