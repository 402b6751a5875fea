"""Neighbours of rows, among their features or in codes."""

import pytest
import torch
from fitting import blobs, fit

from aae_cli.objective.neighbours import Neighbours
from aae_cli.objective.views import neighbour_view


def test_the_search_computes_exact_products_and_restores_the_precision(monkeypatch):
    torch.manual_seed(0)
    rows = 100 + 0.1 * torch.randn(50, 4)  # in bf16, all of these rows would be one
    search, seen = Neighbours(3, rows), []
    exact = search(rows)
    product = torch.Tensor.__matmul__

    def spy(a, b):
        seen.append(torch.get_float32_matmul_precision())
        return product(a, b)

    monkeypatch.setattr(torch.Tensor, "__matmul__", spy)
    try:
        torch.set_float32_matmul_precision("high")
        with torch.autocast("cpu", torch.bfloat16):
            far, near = search(rows)
        assert torch.equal(far, exact[0]) and torch.equal(near, exact[1])
        assert seen == ["highest"]
        assert torch.get_float32_matmul_precision() == "high"
        with pytest.raises(RuntimeError):
            search(torch.zeros(2, 3))  # rows of another width
        assert torch.get_float32_matmul_precision() == "high"
    finally:
        torch.set_float32_matmul_precision("highest")


def test_neighbours_of_a_tables_rows_are_found_once(tmp_path, monkeypatch):
    every, cached = [], []
    find = Neighbours.__call__

    def look(self, x, rows=None):
        if x.ndim == 2:
            every.append(x)
        elif rows is not None:
            cached.append(self.cached)
        return find(self, x, rows)

    monkeypatch.setattr(Neighbours, "__call__", look)
    fit("clustering", blobs(), tmp_path / "run", "train.epochs=4", "train.restarts=1", "data.validation=0")
    assert len(cached) > 10  # steps, of two stages
    assert all(cached)
    rows = torch.cat(every)
    assert rows.shape == (300, 4)
    assert rows.mean(0).abs().max() < 1e-5
    assert rows.square().mean(0).tolist() == pytest.approx([1] * 4, abs=0.01)


def test_views_of_images_are_views_of_neighbours():
    """Of a row's nearest rows, itself among them, with the probability asked for."""
    reference = torch.eye(6)
    neighbours = Neighbours(2, torch.tensor([[0.0, 0], [0.1, 0], [0.2, 0], [9, 0], [9.1, 0], [9.2, 0]]))
    neighbours.reference = reference  # rows that tell which they are
    torch.manual_seed(0)
    rows = torch.full((1, 2000), 1)
    far = torch.zeros(1, 2000, 6)
    near = neighbour_view(lambda x, parts, rows: x, neighbours, 0.5)
    neighbours.cache([torch.tensor([[0.0, 0], [0.1, 0]])], 2)
    moved = near(far, None, rows)
    share = moved[0].mean(0)
    assert share.sum().item() == pytest.approx(0.5, abs=0.04)
    assert share[:3].tolist() == pytest.approx([1 / 6] * 3, abs=0.03) and not share[3:].any()


def test_neighbours_are_searched_in_the_codes_of_each_model():
    """Two models, of which one codes the first feature and the other the second."""
    rows = torch.tensor([[0.0, 5.0], [0.1, 9.0], [7.0, 5.1], [7.1, 9.1]])

    def encode(x):
        x = x.expand(2, -1, -1)
        return torch.stack([x[0, :, :1], x[1, :, 1:]])

    search = Neighbours(1, rows, encode)
    _, near = search(rows.expand(2, -1, -1))
    assert [[sorted(own) for own in each] for each in near.tolist()] == [
        [[0, 1], [0, 1], [2, 3], [2, 3]],
        [[0, 2], [1, 3], [0, 2], [1, 3]],
    ]
    search.cache(iter([rows[:3], rows[3:]]), 4)
    _, cached = search(None, torch.tensor([[3, 0], [3, 0]]))
    assert [[sorted(own) for own in each] for each in cached.tolist()] == [[[2, 3], [0, 1]], [[1, 3], [0, 2]]]


def test_one_of_several_models_searches_in_its_own_codes():
    torch.manual_seed(0)
    rows, weights = torch.randn(40, 3), torch.randn(2, 3, 2)
    both = Neighbours(4, rows, lambda x: x.expand(2, -1, -1) @ weights)
    both.cache([rows], 40)
    for index in (0, 1):
        one = both.of_model(index)(rows[None])[1]
        assert one.shape == (1, 40, 5)
        assert torch.equal(one[0].sort().values, both(rows[None])[1][index].sort().values)
    alone = Neighbours(4, rows)
    assert alone.of_model(1) is alone


def test_distances_of_cells_are_those_over_shared_cells():
    """As if the rows had all cells; rows that share none are far away."""
    from test_views import KINDS, rows

    from aae_cli.nn.cells import Cells
    from aae_cli.objective.neighbours import FAR, CellDistances

    cells = Cells(KINDS)
    cells.fit(rows(40))
    x, y = cells(rows(12, 0.5, seed=1)), cells(rows(40))
    square = CellDistances(cells, y)(x[None])[0]
    assert square.shape == (12, 40)
    near = Neighbours(3, y, between=CellDistances(cells, y))(x[None], None)[1][0]
    for i, a in enumerate(x):
        for j, b in enumerate(y):
            shared = (cells.observed(a) * cells.observed(b)).bool()
            own = shared[cells.column_of[: cells.outputs]]
            exact = (a - b)[: cells.outputs][own].square().sum() * KINDS.columns / max(int(shared.sum()), 1)
            assert square[i, j].item() == pytest.approx(exact.item() if shared.any() else FAR, rel=1e-4, abs=1e-3)
        assert square[i, near[i]].max() <= square[i].sort().values[3] + 1e-4
