"""Neighbours of a table's rows."""

import pytest
import torch
from fitting import blobs, fit

from aae_cli.objective.neighbours import Neighbours


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
