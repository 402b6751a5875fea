"""Samples and style grids."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from fitting import blobs, fit

from aae_cli import load, read
from aae_cli.data.types import Data, Schema
from aae_cli.errors import UsageError
from aae_cli.model.autoencoder import Autoencoder


def test_samples_are_in_the_files_units_and_repeat_with_the_seed(semi):
    model = load(semi.folder, "cpu")
    one, other = (model.sample(20, generator=torch.Generator().manual_seed(5)) for _ in range(2))
    assert np.array_equal(one.x, other.x)
    assert one.x.min() >= 0
    assert one.x.max() <= 16
    assert np.array_equal(one.x, np.rint(one.x))
    sevens = model.sample(6, labels=[7, 3])
    assert sevens.labels.tolist() == [7, 3] * 3


def test_style_grid_has_a_row_a_style_and_a_column_a_label(semi):
    model = load(semi.folder, "cpu")
    grid = model.style_grid(4)
    assert grid.x.shape == (40, 64)
    assert grid.columns == 10
    assert grid.labels.tolist() == list(range(10)) * 4
    lattice = model.style_grid(5, labels=[7])
    assert lattice.x.shape == (25, 64)
    assert set(lattice.labels.tolist()) == {7}


def test_style_from_a_row_keeps_its_z(semi):
    model = load(semi.folder, "cpu")
    x = read("digits:test").x[:2]
    grid = model.style_grid(style=x)
    z = torch.from_numpy(model.z(x[1:2]))
    expected = model.decode(torch.eye(10)[3:4], z)
    assert np.array_equal(grid.x[13], expected[0])


def test_a_row_of_a_style_grid_is_one_style_under_any_prior(tmp_path):
    """Section 4's figure with a mixture prior: the same z in every column of a row."""
    settings = ["code.z.dims=2", "adversaries.z.prior.name=mixture"]
    run = fit("supervised", read("digits")[:100], tmp_path / "run", *settings)
    model = load(run.folder, "cpu")
    seen = []
    decode = model.model.decode
    model.model.decode = lambda y, z, label=None: seen.append(z[0]) or decode(y, z, label)
    model.style_grid(7)
    z = torch.cat(seen)[-70:].view(7, 10, 2)
    assert torch.equal(z, z[:, :1].expand_as(z))
    assert len(z[:, 0].unique(dim=0)) == 7


def test_table_samples_come_in_the_original_units(table):
    model = load(table.folder, "cpu")
    x = model.sample(500).x
    assert 48_000 < x[:, 1].mean() < 56_000
    assert abs(x[:, 2].mean()) < 0.1


@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_table_samples_stay_within_the_ranges_of_the_training_rows(tmp_path):
    """No negative prices, and no −0.0 where whole numbers are rounded."""
    random = np.random.default_rng(0)
    rows = np.stack([random.exponential(size=300), random.integers(0, 2, 300), random.normal(size=300)], 1)
    schema = Schema("table", (3,), integer=(False, True, False), columns=("price", "sold", "c"))
    run = fit("gaussian", Data(rows.astype(np.float32), schema), tmp_path / "run", "train.epochs=4")
    model = load(run.folder, "cpu")
    x = model.sample(2000).x
    trained = model.schema
    assert trained.smallest[0] == pytest.approx(rows[:, 0].min(), abs=0.1) and trained.largest[1] == 1
    assert (x >= trained.smallest).all() and (x <= trained.largest).all()
    assert set(x[:, 1]) <= {0, 1}
    assert not np.signbit(x[:, :2]).any()
    free = model.decode(None, 50 * torch.randn(500, 2))
    assert (free < trained.smallest).any(), "a reconstruction may leave them"


def test_constant_and_huge_columns_do_no_harm(tmp_path):
    data = blobs(100)
    odd = [np.full(100, 7.0), np.arange(100) + 1e7, np.linspace(-1, 1, 100) * 1e37]
    x = np.column_stack([data.x, *odd]).astype(np.float32)
    schema = Schema("table", (7,), integer=(False,) * 7, columns=tuple("abcdefg"))
    run = fit("gaussian", Data(x, schema, name="odd"), tmp_path / "run")
    samples = load(run.folder, "cpu").sample(10).x
    assert np.isfinite(samples).all()
    assert (samples[:, 4] == 7).all()


def test_categories_are_drawn_as_often_as_training_found_them(semi):
    """A class of 7 % of the rows must not be half of the samples."""
    model = load(semi.folder, "cpu")
    share = torch.tensor([0.5, 0.2, 0.07, 0.03, 0.05, 0.05, 0.02, 0.03, 0.03, 0.02])
    model.model.encoder.share = share[None]
    drawn = model.sample(4000, generator=torch.Generator().manual_seed(0)).labels
    found = np.bincount(drawn, minlength=10) / 4000
    assert found == pytest.approx(share.numpy(), abs=0.03)
    inputs = []
    decode = model.model.decode
    model.model.decode = lambda y, z, label=None: inputs.append(y) or decode(y, z, label)
    list(model.draws(4000, 0))
    assert torch.cat(inputs, 1)[0].mean(0).numpy() == pytest.approx(share.numpy(), abs=0.03)


def test_the_clusters_of_a_label_have_their_shares_of_its_samples(semi):
    model = load(semi.folder, "cpu")
    model.model.encoder.share = torch.tensor([[0.01, 0.09] + [0.1125] * 8])
    names = replace(model.header, cluster_labels=(0, 0, *range(1, 9)))
    several = Autoencoder(model.model, names, torch.device("cpu"))
    seen = []
    decode = several.model.decode
    several.model.decode = lambda y, z, label=None: seen.append(y[0]) or decode(y, z, label)
    several.sample(1000, labels=[0], generator=torch.Generator().manual_seed(0))
    assert torch.cat(seen)[:, :2].mean(0).tolist() == pytest.approx([0.1, 0.9], abs=0.04)


def test_classes_are_named_or_counted(semi):
    model = load(semi.folder, "cpu")

    def drawn(**options):
        return model.sample(4, generator=torch.Generator().manual_seed(1), **options).x

    assert np.array_equal(drawn(label="7"), drawn(labels=[7]))
    assert np.array_equal(drawn(labels=["3", 7]), drawn(labels=[3, 7]))
    assert not np.array_equal(drawn(label="7"), drawn(label="3"))
    for wrong in ("seven", 10, -1):
        with pytest.raises(UsageError, match="there is no class"):
            model.sample(4, label=wrong)


def test_headings_name_the_rows_and_columns_of_a_picture(semi, table):
    model = load(semi.folder, "cpu")
    grid = model.style_grid(4)
    assert grid.headings.across == tuple("0123456789")
    assert grid.headings.down == tuple((f"style {i}",) for i in range(1, 5))
    lattice = model.style_grid(5, labels=[7]).headings
    assert lattice.across == ("10 %", "30 %", "50 %", "70 %", "90 %") and len(lattice.down) == 5
    assert "styles of 7" in lattice.title and lattice.title.count("z") >= 2
    assert model.sample(6, labels=[7, 3]).headings.across == ("7", "3")
    assert model.sample(6).headings.across == () and model.sample(6).headings.title == "random samples"
    assert "7" in model.sample(6, labels=[7]).headings.title
    assert model.sample(6, clusters=[4]).headings.title == "samples of 4"
    given = model.style_grid(style=read("digits:test").x[:2])
    assert given.headings.down == (("row 1",), ("row 2",))
    found = load(table.folder, "cpu")
    assert found.style_grid(2).headings.across[0].startswith("0: ")
    assert found.sample(6, clusters=[1]).headings.title.startswith("samples of cluster 1 (")
