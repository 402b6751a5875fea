"""Cells of a mixed table become features in which every column has the same say, and come back."""

from __future__ import annotations

import math

import pytest
import torch

from aae_cli.nn.cells import CellKinds, Cells

NAN = float("nan")
KINDS = CellKinds(5, numbers=(0, 2, 4), heavy=(2,), spikes={0: 0.0}, dates=(4,), levels={1: 3, 3: 2})


def rows(n: int = 4000, missing: float = 0.0, seed: int = 0) -> torch.Tensor:
    """A number of which a third is 0, a category of three levels, a heavy-tailed number, a rare flag, and a date."""
    g = torch.Generator().manual_seed(seed)
    number = torch.where(torch.rand(n, generator=g) < 0.33, 0.0, 5 + 2 * torch.randn(n, generator=g))
    level = torch.multinomial(torch.tensor([0.6, 0.3, 0.1]), n, True, generator=g).float()
    heavy = torch.randn(n, generator=g).mul(3).exp()
    flag = (torch.rand(n, generator=g) < 0.4).float()
    date = (18_000 + 900 * torch.rand(n, generator=g)).floor()
    raw = torch.stack([number, level, heavy, flag, date], -1)
    return raw.masked_fill(torch.rand(raw.shape, generator=g) < missing, NAN)


def fitted(raw: torch.Tensor, kinds: CellKinds = KINDS) -> Cells:
    cells = Cells(kinds)
    cells.fit(raw)
    return cells


def same(a: torch.Tensor, b: torch.Tensor, rtol: float = 1e-3, atol: float = 1e-4) -> bool:
    return torch.allclose(a, b, rtol, atol, equal_nan=True)


def logits_of(cells: Cells, x: torch.Tensor) -> torch.Tensor:
    """An output that is sure of the cells of rows x."""
    sure = torch.where(cells._targets(x) > 0.5, 30.0, -30.0)
    return torch.cat([x[..., : cells._numbers], sure], -1)


def test_categories_weigh_as_asked_for():
    raw = rows(200)
    whole, quarter = Cells(KINDS), Cells(KINDS, category_weight=0.25)
    for cells in (whole, quarter):
        cells.fit(raw)
    numbers = whole._numbers
    torch.testing.assert_close(quarter(raw)[:, :numbers], whole(raw)[:, :numbers])
    own = slice(numbers, whole.outputs)
    torch.testing.assert_close(quarter(raw)[:, own], 0.5 * whole(raw)[:, own])
    output = torch.randn(200, whole.outputs, generator=torch.Generator().manual_seed(0))
    losses = [cells.cell_losses(output, cells(raw)) for cells in (whole, quarter)]
    of_numbers = [at for at in KINDS.numbers if at not in KINDS.spikes]
    torch.testing.assert_close(losses[1][:, of_numbers], losses[0][:, of_numbers])
    torch.testing.assert_close(losses[1][:, list(KINDS.levels)], 0.25 * losses[0][:, list(KINDS.levels)])
    assert same(quarter.invert(logits_of(quarter, quarter(raw))), whole.invert(logits_of(whole, whole(raw))))


def test_shapes():
    raw = rows(50)
    cells = fitted(raw)
    assert cells.outputs == 3 + (3 + 2 + 2) and cells.features == cells.outputs + 4 + 5
    x = cells(raw)
    assert x.shape == (50, cells.features) and x.dtype == torch.float32
    assert cells(raw.view(5, 10, 5)).shape == (5, 10, cells.features)
    assert cells.column_of.tolist() == [0, 2, 4, 1, 1, 1, 3, 3, 0, 0, 4, 4, 4, 4, 0, 1, 2, 3, 4]


def test_random_rows_differ_by_two_in_each_column():
    raw = rows()
    cells = fitted(raw)
    x, y = cells(raw), cells(raw[torch.randperm(len(raw), generator=torch.Generator().manual_seed(1))])
    square = (x - y).square()[:, : cells.outputs].mean(0)
    column = torch.zeros(5).index_add(0, cells.column_of[: cells.outputs], square)
    assert column[1:].tolist() == pytest.approx([2] * 4, abs=0.15)
    assert 2 < column[0] < 4, "a spike is a part of its own beside the number"
    assert x[:, : cells.outputs].mean(0).abs().max() < 0.05


def test_a_rare_level_does_not_dominate():
    raw = torch.zeros(1000, 1)
    raw[:10] = 1
    cells = fitted(raw, CellKinds(1, (), (), {}, (), {0: 2}))
    assert (cells(raw[:1]) - cells(raw[-1:])).square()[0, :2].sum() == pytest.approx(8), "with its variance it were 101"


def test_missing_cells_are_zero_and_cost_nothing():
    raw = rows(200, missing=0.3)
    cells = fitted(raw)
    x, observed = cells(raw), ~raw.isnan()
    assert not x.isnan().any()
    assert torch.equal(cells.observed(x), observed.float())
    assert (x[~observed[:, cells.column_of]] == 0).all()
    losses = cells.cell_losses(torch.randn(200, cells.outputs), x)
    assert (losses[~observed] == 0).all() and (losses[observed] >= 0).all() and (losses[observed][:50] > 0).any()
    assert (cells(torch.full((1, 5), NAN)) == 0).all()


def test_statistics_are_those_of_observed_cells():
    whole, holes = fitted(rows()), fitted(rows(missing=0.3))
    assert same(whole.shift, holes.shift, 0.1, 0.1) and same(whole.frequency, holes.frequency, 0.1, 0.02)
    assert whole.frequency[:3].tolist() == pytest.approx([0.6, 0.3, 0.1], abs=0.03)


def test_predicting_the_marginal_costs_half_in_each_column():
    raw = rows()
    cells = fitted(raw)
    marginal = torch.cat([torch.zeros(3), cells.frequency.clamp(min=1e-9).log()]).expand(len(raw), -1)
    costs = cells.cell_losses(marginal, cells(raw)).mean(0)
    assert costs[1:].tolist() == pytest.approx([0.5] * 4, abs=0.03)
    assert costs[0].item() == pytest.approx(0.5 + 0.5 * (raw[:, 0] != 0).float().mean().item(), abs=0.05), (
        "the spike's part and its own"
    )
    total = cells.loss(marginal[None], cells(raw)[None])
    assert total.shape == (1,) and total.item() == pytest.approx(costs.sum().item(), rel=1e-4)


def test_the_loss_of_a_row_itself_is_nothing():
    raw = rows(100, missing=0.2)
    cells = fitted(raw)
    assert cells.cell_losses(logits_of(cells, cells(raw)), cells(raw)).max() < 1e-5


def test_features_come_back_as_cells():
    raw = rows(500)
    cells = fitted(raw)
    back = cells.invert(logits_of(cells, cells(raw)))
    assert same(back, raw, rtol=1e-2)
    assert set(back[:, 1].tolist()) <= {0, 1, 2}


def test_heavy_tails_become_normal_and_come_back():
    x = torch.randn(5000, generator=torch.Generator().manual_seed(0)).mul(4).exp()[:, None]
    cells = fitted(x, CellKinds(1, (0,), (0,), {}, (), {}))
    z = cells(x)[:, 0]
    assert z.abs().max() < 4 and (z < 1).float().mean() == pytest.approx(0.841, abs=0.02)
    points = torch.linspace(-2.5, 2.5, 50)[:, None]
    assert same(cells(cells.invert(points))[:, 0], points[:, 0], atol=0.1)
    ends = cells.invert(torch.tensor([[-9.0], [9.0]]))[:, 0]
    assert ends.tolist() == pytest.approx([x.min().item(), x.max().item()], rel=1e-4)
    beyond = cells(torch.tensor([[1e30], [-1e30]]))[:, 0]
    assert beyond.isfinite().all() and beyond[0] > 2 and beyond[1] < -2


def test_a_spike_is_a_level_of_its_own():
    raw = torch.tensor([[0.0], [0.0], [4.0], [6.0]])
    cells = fitted(raw, CellKinds(1, (0,), (), {0: 0.0}, (), {}))
    assert cells.shift.item() == 5 and cells.frequency.tolist() == [0.5, 0.5]
    x = cells(raw)
    assert x[:, 0].tolist() == [0, 0, -1, 1], "the number of a spike is not known"
    assert same(cells._targets(x), torch.tensor([[0.0, 1], [0, 1], [1, 0], [1, 0]]))
    assert cells.invert(torch.tensor([[1.0, 0, 1], [1.0, 1, 0]])).tolist() == [[0], [6]]
    assert cells.cell_losses(torch.tensor([[9.0, -30, 30]]), x[:1]).item() < 1e-5, "nor costs it anything"


def test_draws_have_the_frequencies_and_the_spread():
    cells = fitted(rows())
    cells.draws.residual.copy_(torch.tensor([0.5, 0.0, 1.0]).diag())
    for each in (cells.draws.data_quantiles, cells.draws.drawn_quantiles):
        each.copy_(torch.linspace(-9, 9, each.shape[1]))
    output = torch.cat([torch.zeros(3), cells.frequency.log()]).expand(4000, -1)
    drawn = cells.draw(output, torch.Generator().manual_seed(0))
    assert torch.bincount(drawn[:, 1].long()).div(4000).tolist() == pytest.approx([0.6, 0.3, 0.1], abs=0.03)
    assert (drawn[:, 0] == 0).float().mean() == pytest.approx(0.33, abs=0.03)
    others = drawn[drawn[:, 0] != 0, 0]
    assert others.std().item() == pytest.approx(0.5 * cells.scale[0].item(), rel=0.1)
    assert drawn[:, 2].std() < 1e-5 and drawn[:, 4].std().item() == pytest.approx(cells.scale[2].item(), rel=0.1)
    assert same(cells.probabilities(output[:1])[0], cells.frequency)
    again = cells.draw(output, torch.Generator().manual_seed(0))
    assert torch.equal(drawn, again) and not torch.equal(drawn, cells.draw(output, torch.Generator().manual_seed(1)))
    assert cells.drawn(output[:7]).shape == (7, cells.features)


def test_the_residual_is_the_spread_of_observed_numbers():
    raw = torch.tensor([[0.0], [4.0], [6.0], [NAN]])
    cells = fitted(raw, CellKinds(1, (0,), (), {0: 0.0}, (), {}))
    x = cells(raw)
    output = torch.cat([x[:, :1] + 0.5, torch.zeros(4, 2)], 1)
    output[[0, 3], 0] = 99
    cells.fit_residual(output, x)
    assert cells.draws.residual.item() == pytest.approx(0.5)


def test_distances_are_of_cells_that_both_rows_have():
    cells = fitted(rows())
    a, b = rows(50, 0.3, seed=1), rows(50, 0.3, seed=2)
    gone = a.isnan() | b.isnan()
    both = cells.distance(a.masked_fill(gone, NAN), b.masked_fill(gone, NAN))
    assert same(cells.distance(a, b), both)
    assert cells.distance(a, a).abs().max() < 1e-6
    assert cells.distance(torch.full((1, 5), NAN), b[:1]).item() == 0


def test_seasons_of_dates():
    day = torch.tensor([[0.0], [365.2425], [7.0], [NAN]])
    cells = fitted(day, CellKinds(1, (0,), (), {}, (0,), {}))
    seasons = cells(day)[:, 1:5]
    assert same(seasons[1, :2], seasons[0, :2]) and same(seasons[2, 2:], seasons[0, 2:])
    assert same(seasons[0], torch.tensor([0, 0.5, 0, 0.5])) and (seasons[3] == 0).all()
    assert seasons.square().sum(-1)[:3].tolist() == pytest.approx([0.5] * 3, abs=1e-4)


@pytest.mark.parametrize(
    "kinds",
    [
        CellKinds(2, (0, 1), (), {}, (), {}),
        CellKinds(2, (), (), {}, (), {0: 2, 1: 3}),
        CellKinds(2, (0,), (), {}, (), {1: 1}),
    ],
    ids=["numbers", "categories", "a level"],
)
def test_empty_sets_of_numbers_or_categories(kinds):
    raw = torch.tensor([[0.0, 1.0], [1.0, 0.0], [1.0, NAN]])
    cells = fitted(raw, kinds)
    x = cells(raw)
    assert x.shape == (3, kinds.features) and x.isfinite().all()
    output = torch.zeros(1, 3, kinds.outputs, requires_grad=True)
    cells.loss(output, x[None]).sum().backward()
    assert output.grad is not None and output.grad.isfinite().all()
    assert cells.invert(output[0]).shape == cells.draw(output[0].detach()).shape == (3, 2)
    assert cells.probabilities(output).shape == (1, 3, kinds.outputs - len(kinds.numbers))
    cells.fit_residual(output[0].detach(), x)


def test_huge_numbers_and_constants_do_no_harm():
    raw = torch.tensor([[1e37, 7.0, NAN], [-1e37, 7.0, NAN], [0.0, 7.0, NAN]])
    cells = fitted(raw, CellKinds(3, (0, 1, 2), (), {}, (), {}))
    x = cells(raw)
    assert cells.scale[0].item() == pytest.approx(math.sqrt(2 / 3) * 1e37, rel=1e-4)
    assert x.isfinite().all() and same(x[:, 0], torch.tensor([1.2247, -1.2247, 0]))
    assert (x[:, 1] == 0).all() and (cells.invert(torch.ones(2, 3))[:, 1] == 7).all()


def test_weights_keep_their_meaning_when_they_are_loaded():
    cells = fitted(rows())
    cells.draws.residual.fill_(0.3)
    other = Cells(KINDS)
    other.load_state_dict(cells.state_dict())
    assert torch.equal(other(rows(20, 0.2)), cells(rows(20, 0.2)))
    draws = {"residual", "data_quantiles", "drawn_quantiles", "log_ratio"}
    assert set(cells.state_dict()) == {"shift", "scale", "knots", "frequency", *(f"draws.{name}" for name in draws)}
