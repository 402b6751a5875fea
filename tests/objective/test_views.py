"""Views of the rows of a mixed table: whole cells move, and only numbers that are known are noisy."""

from __future__ import annotations

import torch

from aae_cli.nn.cells import CellKinds, Cells
from aae_cli.objective.neighbours import CellDistances, Neighbours
from aae_cli.objective.views import cell_view, coloured_view, image_view

NAN = float("nan")
KINDS = CellKinds(4, numbers=(0, 3), heavy=(), spikes={0: 0.0}, dates=(3,), levels={1: 3, 2: 2})


def rows(n: int, missing: float = 0.3, seed: int = 0) -> torch.Tensor:
    g = torch.Generator().manual_seed(seed)
    number = torch.where(torch.rand(n, generator=g) < 0.3, 0.0, torch.randn(n, generator=g) + 9)
    columns = [
        number,
        torch.randint(3, (n,), generator=g),
        torch.randint(2, (n,), generator=g),
        900 * torch.rand(n, generator=g),
    ]
    raw = torch.stack([each.float() for each in columns], -1)
    return raw.masked_fill(torch.rand(raw.shape, generator=g) < missing, NAN)


def made(n: int = 60, missing: float = 0.3) -> tuple[Cells, torch.Tensor]:
    cells = Cells(KINDS)
    cells.fit(rows(n, missing))
    return cells, cells(rows(n, missing))


def neighbours(cells: Cells, x: torch.Tensor, count: int = 3) -> Neighbours:
    return Neighbours(count, x, between=CellDistances(cells, x))


def cells_of(cells: Cells, row: torch.Tensor, column: int) -> torch.Tensor:
    return row[cells.column_of == column]


def test_swapped_cells_are_whole_and_come_with_their_flags():
    cells, x = made()
    seen = cell_view(0.0, 0.5, cells, None)(x[None])[0]
    moved = 0
    for row, own in zip(seen, x, strict=True):
        for column in range(KINDS.columns):
            cell, before = cells_of(cells, row, column), cells_of(cells, own, column)
            moved += not torch.equal(cell, before)
            assert any(torch.equal(cell, cells_of(cells, other, column)) for other in x)
    assert moved > 40
    assert cells.observed(seen).mean() < 0.9, "holes move too"


def test_without_noise_swaps_or_neighbours_a_row_is_its_view():
    cells, x = made()
    assert torch.equal(cell_view(0.0, 0.0, cells, None)(x[None])[0], x)


def test_noise_is_on_observed_numbers_alone():
    cells, x = made()
    change = cell_view(0.2, 0.0, cells, None)(x[None])[0] - x
    known = cells.known(x) > 0
    assert 0.4 < known[:, 0].float().mean() < 0.6 < known[:, 1].float().mean(), "a spike is no number"
    assert (change[:, len(cells.number_at) :] == 0).all()
    assert (change[:, : len(cells.number_at)][~known] == 0).all()
    assert 0.1 < change[:, : len(cells.number_at)][known].std() < 0.3


def test_a_view_lies_between_a_row_and_its_neighbour():
    """Numbers that both have are interpolated; any other cell is one of the two rows', flag included."""
    cells, x = made()
    near = neighbours(cells, x, 1)
    found = near(x[None], None)[1][0]
    seen = cell_view(0.0, 0.0, cells, near)(x[None])[0]
    numbers = len(cells.number_at)
    inside = taken = 0
    for row, own, others in zip(seen, x, x[found], strict=True):
        fits = []
        for other in [*others, own]:
            both = cells.observed(own) * cells.observed(other) > 0
            both[cells.number_at] = cells.known(own) * cells.known(other) > 0
            ok = True
            for column in range(KINDS.columns):
                part = (cells.column_of == column) & (torch.arange(cells.features) >= (numbers if both[column] else 0))
                ok &= torch.equal(row[part], own[part]) or torch.equal(row[part], other[part])
            low, high = torch.minimum(own, other)[:numbers] - 1e-5, torch.maximum(own, other)[:numbers] + 1e-5
            between = (row[:numbers] >= low) & (row[:numbers] <= high)
            fits.append(ok and bool(between[both[cells.number_at]].all()))
        assert any(fits)
        inside += not torch.equal(row[:numbers], own[:numbers])
        taken += not torch.equal(row[numbers:], own[numbers:])
    assert inside > 10 and taken > 5


def test_rows_that_share_no_cell_with_any_other_are_not_drowned_in_noise():
    cells, x = made()
    empty = cells(torch.full((1, 4), NAN))
    view = cell_view(0.5, 0.0, cells, neighbours(cells, x))
    for _ in range(20):
        assert view(empty[None]).abs().max() < 10


def test_windows_and_mirrors_of_photos():
    torch.manual_seed(0)
    image = torch.zeros(1, 1, 3, 8, 8)
    image[..., :4] = 1.0  # the left half is light
    x = image.flatten(2).expand(1, 200, -1)
    still = (0.0, 0.0, 0.0, 0.0, 0.0, torch.zeros(192))
    mirrored = image_view((3, 8, 8), *still, flip=True)(x).view(200, 3, 8, 8)
    left = mirrored[..., :4].mean((1, 2, 3))
    assert ((left > 0.99) | (left < 0.01)).all() and 0.35 < (left < 0.5).float().mean() < 0.65
    cut = image_view((3, 8, 8), *still, crop=0.5)(x).view(200, 3, 8, 8)
    assert cut.mean((1, 2, 3)).std() > 0.05 and cut.amax() <= 1.0  # windows lie elsewhere
    assert (cut[..., :2, :] - cut[..., -2:, :]).abs().max() < 1e-5  # and never reach beyond the border


def test_colours_change_and_some_photos_are_grey():
    torch.manual_seed(0)
    x = torch.rand(1, 100, 48)
    view = coloured_view(lambda x, parts=None, rows=None: x, (3, 4, 4), 0.4, (0.0, 1.0))
    images = view(x).view(100, 3, 16)
    grey = (images - images.mean(1, keepdim=True)).abs().amax((1, 2)) < 1e-5
    assert 0.08 < grey.float().mean() < 0.35
    assert images.amin() >= 0 and images.amax() <= 1
    assert (images.mean((1, 2)) - x.view(100, 48).mean(1)).std() > 0.05
