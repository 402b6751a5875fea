"""Fine clusters into fewer: by what views cross, and by what labels say."""

import numpy as np
import pytest
import torch

from aae_cli.nn.aae import AAE
from aae_cli.nn.encoder import Encoder, gather_logits
from aae_cli.objective.merging import (
    carry_decoder,
    co_occurrence,
    coupling,
    label_clusters,
    merge_clusters,
    merge_restarts,
    merged_proportions,
)


def blocks(sizes: list[int], inside: float, outside: float) -> tuple[np.ndarray, np.ndarray]:
    """Shares of clusters in blocks that views cross often inside and seldom outside."""
    block = np.repeat(np.arange(len(sizes)), sizes)
    joint = np.where(block[:, None] == block, inside, outside).astype(float)
    joint /= joint.sum()
    return joint, joint.sum(1)


def test_clusters_that_views_cross_are_merged():
    joint, share = blocks([3, 2, 4, 1], 1.0, 0.01)
    assert merge_clusters(joint, share, 4).tolist() == [0, 0, 0, 1, 1, 2, 2, 2, 2, 3]


def test_merging_weighs_crossings_by_size():
    # Clusters 0 and 1 are large and cross most in absolute terms, but far less than chance; 2 and 3 are twins.
    joint = np.diag([0.4, 0.4, 0.01, 0.01])
    joint[0, 1] = joint[1, 0] = 0.08
    joint[2, 3] = joint[3, 2] = 0.01
    assert merge_clusters(joint, joint.sum(1), 3).tolist() == [0, 1, 2, 2]


def test_every_group_is_kept_when_nothing_is_crossed():
    groups = merge_clusters(np.diag([0.5, 0.3, 0.2, 0.0]), np.array([0.5, 0.3, 0.2, 0.0]), 2)
    assert set(groups.tolist()) == {0, 1}


def test_labels_name_clusters_and_reach_those_without_labelled_rows():
    joint, share = blocks([2, 2], 1.0, 0.05)
    y = np.eye(4)[[0, 2]]  # one labelled row in clusters 0 and 2; 1 and 3 have none
    assert label_clusters(joint, share, y, np.array([1, 0]), 2).tolist() == [1, 1, 0, 0]


def test_every_class_gets_a_cluster():
    joint, share = blocks([4], 1.0, 0.0)
    groups = label_clusters(joint, share, np.eye(4)[[0, 0, 0]], np.array([0, 0, 1]), 3)
    assert set(groups.tolist()) == {0, 1, 2}


def test_gathered_logits_are_the_sum_of_their_members_probabilities():
    fine, groups = torch.randn(2, 5, 6), torch.tensor([[0, 1, 1, 2, 0, 2], [2, 2, 2, 0, 1, 0]])
    y = gather_logits(fine, groups, 3).softmax(-1)
    members = fine.softmax(-1)
    for model in range(2):
        for group in range(3):
            expected = members[model][:, groups[model] == group].sum(-1)
            torch.testing.assert_close(y[model, :, group], expected)


def test_gathered_logits_stay_finite_where_a_group_is_out_of_reach():
    fine = torch.tensor([[[0.0, -500.0]]], requires_grad=True)
    y = gather_logits(fine, torch.tensor([[0, 1]]), 2)
    y.log_softmax(-1).sum().backward()
    assert y.isfinite().all() and fine.grad is not None and fine.grad.isfinite().all()


def test_coupling_counts_where_views_land():
    torch.manual_seed(0)
    model = AAE(1, 2, Encoder(1, 2, [4], 3, 1), classes=3, dims=1)
    joint, share = coupling(model, torch.rand(50, 2), lambda x: x)
    with torch.no_grad():
        y = model.encode(torch.rand(50, 2)[None]).part("y")
    assert joint.shape == (1, 3, 3) and y.shape[-1] == share.shape[1]
    np.testing.assert_allclose(joint.sum(), 1, rtol=1e-6)
    np.testing.assert_allclose(joint[0].sum(1), share[0], rtol=1e-6)  # an unchanged view crosses nothing on balance
    np.testing.assert_allclose(joint[0], joint[0].T)


def test_shared_rows_are_counted_within_a_seed_and_between_its_restarts():
    torch.manual_seed(0)
    model, x = AAE(4, 2, Encoder(4, 2, [4], 3, 1), classes=3, dims=1), torch.rand(50, 2)
    joint, share = co_occurrence(model, x, restarts=2)
    with torch.no_grad():
        y = model.eval().encode(x.expand(4, -1, -1)).part("y").numpy()
    assert joint.shape == (2, 6, 6)
    np.testing.assert_allclose(joint[1, :3, 3:], y[2].T @ y[3] / 50, rtol=1e-5)
    np.testing.assert_allclose(share, y.mean(1), rtol=1e-5)


def together(memberships: list[list[int]]) -> np.ndarray:
    """Shares of rows in clusters i and j, from the clusters of all restarts that each row is in."""
    y = np.zeros((len(memberships), 1 + max(map(max, memberships))))
    for row, own in zip(y, memberships, strict=True):
        row[own] = 1
    return y.T @ y / len(y)


def test_restarts_are_merged_into_groups_that_mean_the_same():
    # Three restarts of three clusters of one truth, each in an order of its own; the last puts some rows elsewhere.
    rows = [[0, 5, 7]] * 20 + [[1, 3, 6]] * 20 + [[2, 4, 8]] * 20 + [[1, 3, 8]] * 5
    groups = merge_restarts(together(rows), restarts=3, groups=3)
    assert groups.shape == (3, 3) and len(set(groups[0].tolist())) == 3
    for own, order in zip(groups, ([0, 1, 2], [2, 0, 1], [1, 0, 2]), strict=True):
        assert own[order].tolist() == groups[0].tolist()


def test_every_restart_has_every_group():
    # The second restart has put all rows into one of its clusters, and uses the other hardly at all.
    rows = [[0, 2]] * 50 + [[1, 2]] * 49 + [[1, 3]]
    for own in merge_restarts(together(rows), restarts=2, groups=2):
        assert set(own.tolist()) == {0, 1}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("groups", [1, 3, 8])
def test_clusters_that_say_nothing_are_merged_without_a_word(groups):
    random, rows = np.random.default_rng(0), 50
    parted = np.eye(8)[random.integers(0, 8, rows)]
    one, even, none = np.eye(8)[np.zeros(rows, int)], np.full((rows, 8), 1 / 8), np.zeros((rows, 8))
    for restarts in ([one, one], [even, even], [none, parted], [parted, one, even], [none, none]):
        y = np.concatenate(restarts, 1)
        for own in merge_restarts(y.T @ y / rows, len(restarts), groups):
            assert set(own.tolist()) == set(range(groups))


def test_sizes_are_found_unless_they_are_nearly_equal():
    groups = np.array([0, 0, 1, 1])
    assert merged_proportions(groups, np.array([0.3, 0.22, 0.24, 0.24]), 2).tolist() == [0.5, 0.5]
    np.testing.assert_allclose(merged_proportions(groups, np.array([0.5, 0.3, 0.1, 0.1]), 2), [0.8, 0.2])
    assert merged_proportions(groups, np.array([0.5, 0.5, 0, 0]), 2).tolist() == [1, 0]


def information(joint: np.ndarray, groups: np.ndarray) -> float:
    one_hot = np.eye(groups.max() + 1)[groups]
    table = one_hot.T @ joint @ one_hot
    usual = table.sum(1)[:, None] * table.sum(0)
    return float((table[table > 0] * np.log(table[table > 0] / usual[table > 0])).sum())


def test_no_move_of_a_single_cluster_would_tell_more_of_its_view():
    random = np.random.default_rng(0)
    for _ in range(20):
        joint = random.random((9, 9)) ** 4
        joint = (joint + joint.T) / (2 * joint.sum())
        groups = merge_clusters(joint, joint.sum(1), 3)
        assert set(groups) == {0, 1, 2}
        best = information(joint, groups)
        for i in range(9):
            for other in range(3):
                moved = groups.copy()
                moved[i] = other
                if len(set(moved)) == 3:
                    assert information(joint, moved) < best + 1e-9


def test_what_decodes_is_carried_through_the_merging():
    """A merged cluster is decoded as the mean of its members; the style's weights stay."""
    torch.manual_seed(0)

    def model(classes, **options):
        encoder = Encoder(2, 4, [8], classes, 3)
        return AAE(2, 4, encoder, classes=classes, dims=3, decoder_hidden=[8, 6], **options)

    groups = torch.tensor([[0, 1, 0, 1], [1, 1, 1, 0]])
    before, after = model(4), model(2)
    carry_decoder(before, after, groups)
    y, z = torch.eye(2).expand(2, -1, -1), torch.randn(2, 2, 3)
    old, new = before.decoder.layers[0].weight, after.decoder.layers[0].weight
    assert torch.allclose(new[0, 0], (old[0, 0] + old[0, 2]) / 2) and torch.allclose(new[1, 0], old[1, 3])
    assert torch.equal(new[:, 2:], old[:, 4:])
    single = torch.eye(4)[torch.tensor([[0, 3], [3, 3]])]
    assert torch.allclose(after.decode(y, z)[1, 0], before.decode(single, z)[1, 0], atol=1e-6)
    heads = model(2, decoder_input="heads", heads_eta=0.1)
    first = heads.decoder.layers[0].weight.clone()
    carry_decoder(before, heads, groups)
    assert torch.equal(heads.decoder.layers[0].weight, first)
    assert torch.equal(heads.decoder.layers[2].weight, before.decoder.layers[2].weight)
