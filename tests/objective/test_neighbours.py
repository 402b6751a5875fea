"""Neighbours of a table's rows."""

import pytest
import torch
from fitting import blobs, fit

from aae_cli.objective.neighbours import Neighbours


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
