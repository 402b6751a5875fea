"""From a preset to a run folder and back: the Python API, restarts, resuming, inference, tables."""

import itertools
import json

import numpy as np
import pytest
import torch

from aae_cli import evaluate, load, read, train, train_seeds
from aae_cli.config.presets import preset_names
from aae_cli.data.types import Data, Schema
from aae_cli.errors import CheckpointError, DataError, Interrupted, UsageError
from aae_cli.model.checkpoint import new_run_folder, newest_run, read_header, runs
from aae_cli.model.evaluation import default_metrics
from aae_cli.objective import merging
from aae_cli.objective.neighbours import Neighbours
from aae_cli.training import selection
from aae_cli.training.batches import Batches
from aae_cli.training.splits import split

TINY = ["encoder.hidden=[32]", "decoder.hidden=[32]", "train.batch_size=50"]


def tiny(preset: str) -> list[str]:
    from aae_cli.config.resolve import resolve

    adversaries = resolve(preset).adversaries
    return TINY + [f"adversaries.{part}.hidden=[32]" for part in ("y", "z") if getattr(adversaries, part)]


def fit(preset, data, output, *settings, **options):
    settings = [*tiny(preset), "train.epochs=1", "train.min_steps=0", *settings]
    return train(preset, data, output, settings, device="cpu", **options)


def blobs(rows=300, seed=0) -> Data:
    """Three well separated groups in four columns of very different units."""
    random = np.random.default_rng(seed)
    labels = np.arange(rows) % 3
    centres = np.array([[0, 0, 0, 0], [6, 0, 6, 0], [0, 6, 0, 6]])
    x = (centres[labels] + random.normal(size=(rows, 4))) * [1, 1000, 0.01, 1] + [0, 50_000, 0, -3]
    schema = Schema("table", (4,), integer=(False,) * 4, columns=("a", "b", "c", "d"), classes=("r", "g", "b"))
    return Data(x.astype(np.float32), schema, labels, name="blobs")


@pytest.fixture(scope="module")
def semi(tmp_path_factory):
    folder = tmp_path_factory.mktemp("semi") / "run"
    return fit("semi-supervised", "digits", folder, "train.epochs=20")


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    folder = tmp_path_factory.mktemp("table") / "run"
    return fit("clustering", blobs(), folder, "code.y.classes=3", "train.epochs=300", "data.validation=0")


@pytest.mark.parametrize("name", [n for n in preset_names() if not n.startswith("paper/svhn")])
def test_every_preset_trains_two_steps_on_small_images(name, tmp_path):
    data = read("digits")[:100]
    settings = ["data.scaling=standard"] if "svhn" in name or "tfd" in name else []
    run = fit(name, data, tmp_path / "run", "data.validation=0", *settings)
    model = load(run.folder, "cpu")
    assert model.header.training["steps"] >= 2
    assert np.isfinite(model.embed(data.x[:5])).all()
    assert model.sample(3).x.shape == (3, 64)


def test_the_run_folder_is_as_promised(semi):
    names = {path.name for path in semi.folder.iterdir()}
    assert names == {
        "model.safetensors", "state.safetensors", "config.yaml", "metrics.jsonl", "samples.png", "README.md"
    }  # fmt: skip
    lines = [json.loads(line) for line in (semi.folder / "metrics.jsonl").read_text().splitlines()]
    assert lines[-1]["final"] is True
    assert "eval.classification-error" in lines[-1]
    header = read_header(semi.folder)
    assert header.finished
    assert header.schema.classes == tuple("0123456789")
    assert header.cluster_labels == tuple(range(10))


def test_few_epochs_are_plainly_better_than_chance(semi):
    assert semi.metrics["classification-error"] < 60


def test_a_file_and_its_folder_load_alike(semi):
    x = read("digits:test").x
    one, other = load(semi.folder, "cpu"), load(semi.folder / "model.safetensors", "cpu")
    assert np.array_equal(one.embed(x), other.embed(x))


def test_classify_gives_probabilities_of_classes(semi):
    model = load(semi.folder, "cpu")
    data = read("digits:test")
    p = model.classify(data.x)
    np.testing.assert_allclose(p.sum(1), 1, atol=1e-5)
    error = 100 * (p.argmax(1) != data.labels).mean()
    assert error == pytest.approx(semi.metrics["classification-error"], abs=1e-3)


def test_representation_is_what_the_decoder_sees(semi):
    model = load(semi.folder, "cpu")
    x = read("digits:test").x[:9]
    np.testing.assert_allclose(model.embed(x), np.hstack([model.y(x), model.z(x)]), atol=1e-6)


def test_answers_do_not_depend_on_how_rows_are_chunked(semi, monkeypatch):
    model = load(semi.folder, "cpu")
    x = read("digits").x[:100]
    whole = model.embed(x)
    monkeypatch.setattr("aae_cli.model.autoencoder.ROWS_AT_ONCE", 7)
    np.testing.assert_allclose(model.embed(x), whole, atol=1e-5)


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


def test_labels_of_a_model_without_any(tmp_path):
    run = fit("gaussian", read("digits")[:100], tmp_path / "run")
    model = load(run.folder, "cpu")
    with pytest.raises(CheckpointError, match="knows no labels"):
        model.sample(3, labels=[1])
    with pytest.raises(CheckpointError, match="cannot classify"):
        model.classify(read("digits").x[:3])
    with pytest.raises(CheckpointError, match="no categories"):
        model.cluster(read("digits").x[:3])


def test_rows_of_another_width_are_refused(semi):
    with pytest.raises(DataError, match="64"):
        load(semi.folder, "cpu").embed(np.zeros((3, 65), np.uint8))


# --- tables -----------------------------------------------------------------------------------------------------------


def test_tables_cluster_by_standardised_columns(table):
    model = load(table.folder, "cpu")
    data = blobs()
    from sklearn.metrics import adjusted_rand_score

    assert adjusted_rand_score(data.labels, model.cluster(data.x)[0]) > 0.9
    assert model.config.decoder.output == "linear"
    assert model.config.encoder.hidden == (32,)


def test_table_samples_come_in_the_original_units(table):
    model = load(table.folder, "cpu")
    x = model.sample(500).x
    assert 48_000 < x[:, 1].mean() < 56_000
    assert abs(x[:, 2].mean()) < 0.1


def test_clusters_are_named_by_labels_though_they_never_saw_any(table):
    model = load(table.folder, "cpu")
    data = blobs(seed=1)
    assert 100 * (model.classify(data.x).argmax(1) != data.labels).mean() < 10
    assert table.metrics == {}  # nothing was held out


@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_constant_and_huge_columns_do_no_harm(tmp_path):
    data = blobs(100)
    odd = [np.full(100, 7.0), np.arange(100) + 1e7, np.linspace(-1, 1, 100) * 1e37]
    x = np.column_stack([data.x, *odd]).astype(np.float32)
    schema = Schema("table", (7,), integer=(False,) * 7, columns=tuple("abcdefg"))
    run = fit("gaussian", Data(x, schema, name="odd"), tmp_path / "run")
    samples = load(run.folder, "cpu").sample(10).x
    assert np.isfinite(samples).all()
    assert (samples[:, 4] == 7).all()


# --- restarts, splits, folders ------------------------------------------------------------------------------------------


def test_restarts_train_at_once_and_the_best_score_is_kept(tmp_path):
    data = blobs()
    run = fit("clustering", data, tmp_path / "run", "code.y.classes=3", "train.restarts=3", "train.epochs=15")
    assert len(run.scores) == 3
    state = (run.folder / "state.safetensors").stat().st_size
    model = load(run.folder, "cpu")
    assert model.model.models == 1
    assert state > 3 * (run.folder / "model.safetensors").stat().st_size
    assert len(set(run.scores)) == 3


@pytest.mark.parametrize("ensemble", [True, False])
def test_restarts_that_teach_each_other_see_the_same_rows_and_agree(tmp_path, monkeypatch, ensemble):
    seen, clusterings = [], []
    rows, agreement = Batches.rows, selection.agreement
    monkeypatch.setattr(Batches, "rows", lambda self, step: seen.append(rows(self, step)) or seen[-1])
    monkeypatch.setattr(selection, "agreement", lambda found: clusterings.extend(found) or agreement(found))
    # Six clusters of three groups: any way to part them will do.
    settings = ["code.y.classes=6", "train.restarts=3", "train.epochs=100"]
    fit("clustering", blobs(), tmp_path / "run", *settings, f"phases.consistency.ensemble={ensemble}".lower())
    assert not torch.equal(seen[0][0], seen[0][1])  # fine clusters are found apart
    assert torch.equal(seen[-1][0], seen[-1][1]) is ensemble
    same = np.mean([(a == b).mean() for a, b in itertools.combinations(clusterings, 2)])
    assert bool(same > 0.8) is ensemble  # by the clusters' numbers, which restarts apart give as they like


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


def test_the_same_seed_gives_the_same_bits(tmp_path):
    def weights(seed, name):
        run = fit("quick", "digits", tmp_path / name, f"train.seed={seed}")
        return load(run.folder, "cpu").model.state_dict()

    one, again, other = weights(1, "a"), weights(1, "b"), weights(2, "c")
    assert all(torch.equal(one[name], again[name]) for name in one)
    assert not all(torch.equal(one[name], other[name]) for name in one)


def test_training_leaves_the_callers_random_numbers_alone(tmp_path):
    torch.manual_seed(4)
    expected = torch.rand(3)
    torch.manual_seed(4)
    fit("quick", read("digits")[:60], tmp_path / "run")
    assert torch.equal(torch.rand(3), expected)


def test_splits_are_disjoint_and_whole():
    data = blobs(100)
    parts = split(data, 0.1, 0)
    assert (len(parts.train), len(parts.validation)) == (90, 10)
    both = np.concatenate([parts.train.x, parts.validation.x])
    assert np.array_equal(np.sort(both[:, 0]), np.sort(data.x[:, 0]))
    assert len(split(data, 30, 0).validation) == 30
    assert split(data, 0, 0).validation is None
    with pytest.raises(UsageError, match="validation"):
        split(data, 100, 0)


def test_given_folders_are_not_overwritten(tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "precious").write_text("x")
    with pytest.raises(UsageError, match="--force"):
        fit("quick", read("digits")[:60], tmp_path / "full")
    with pytest.raises(UsageError, match="resume"):
        fit("quick", read("digits")[:60], tmp_path / "empty", resume=True)
    fit("quick", read("digits")[:60], tmp_path / "full", force=True)
    assert (tmp_path / "full" / "precious").read_text() == "x"


def test_more_epochs_go_on_and_other_changes_are_refused(tmp_path):
    data = read("digits")[:100]
    fit("quick", data, tmp_path / "run", "train.epochs=1")
    with pytest.raises(UsageError, match="has run its"):
        fit("quick", data, tmp_path / "run", "train.epochs=1", resume=True)
    with pytest.raises(UsageError, match=r"code\.z\.dims=5, not 6"):
        fit("quick", data, tmp_path / "run", "train.epochs=2", "code.z.dims=6", resume=True)
    run = fit("quick", data, tmp_path / "run", "train.epochs=3", resume=True)
    lines = [json.loads(line) for line in (run.folder / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == sorted(line["step"] for line in lines)
    assert sum(bool(line.get("final")) for line in lines) == 1


def test_runs_are_listed_newest_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    first = fit("quick", read("digits")[:60], None)
    second = fit("gaussian", read("digits")[:60], None)
    again = fit("quick", read("digits")[:60], None)
    assert [str(run.folder) for run in (first, second, again)] == ["runs/quick", "runs/gaussian", "runs/quick-2"]
    assert [folder.name for folder, _ in runs()] == ["quick-2", "gaussian", "quick"]
    assert newest_run(lambda header: header.title == "gaussian").name == "gaussian"
    assert new_run_folder("quick").name == "quick-3"
    (tmp_path / "runs" / "quick-2" / "model.safetensors").write_bytes(b"damaged")
    assert [folder.name for folder, _ in runs()] == ["gaussian", "quick"]


# --- evaluation and damaged checkpoints ---------------------------------------------------------------------------------


def test_metrics_follow_the_variant(semi, table):
    data = read("digits:test")
    assert default_metrics(load(semi.folder, "cpu"), data) == [
        "reconstruction-error", "classification-error", "prior-fit", "style-leakage"
    ]  # fmt: skip
    assert "cluster-error" in default_metrics(load(table.folder, "cpu"), blobs())
    with pytest.raises(UsageError, match="no metric"):
        evaluate(load(semi.folder, "cpu"), data, ["accuracy"])
    with pytest.raises(DataError, match="not tied to labels"):
        evaluate(load(semi.folder, "cpu"), data, ["component-accuracy"])


def test_log_likelihood_chooses_its_width_on_other_rows(semi):
    model = load(semi.folder, "cpu")
    measured = evaluate(model, read("digits:test"), ["log-likelihood"], samples=500)
    assert 0.03 < measured["log-likelihood-sigma"] < 1
    assert np.isfinite(measured["log-likelihood"])
    noise = evaluate(model, read("digits:test"), ["log-likelihood"], samples=1)
    assert noise["log-likelihood"] < measured["log-likelihood"]


@pytest.mark.parametrize("damage", ["truncate", "garbage", "not ours", "newer", "config", "shape", "groups"])
def test_damaged_checkpoints_are_refused_by_name(semi, tmp_path, damage):
    from safetensors.torch import load_file, save_file

    file = tmp_path / "model.safetensors"
    whole = (semi.folder / "model.safetensors").read_bytes()
    tensors = load_file(semi.folder / "model.safetensors")
    header = json.loads(read_header(semi.folder).to_json())
    if damage == "truncate":
        file.write_bytes(whole[: len(whole) // 2])
    elif damage == "garbage":
        file.write_bytes(b"\xff" * 1000)
    elif damage == "not ours":
        save_file(tensors, file)
    else:
        if damage == "newer":
            header["format"] = 99
        elif damage == "config":
            header["config"]["encoder"]["hidden"] = "wide"
        elif damage == "groups":
            tensors["encoder.groups"] = torch.full_like(tensors["encoder.groups"], 10)
        else:
            tensors["encoder.body.layers.0.weight"] = torch.zeros(1, 2, 3)
        save_file(tensors, file, metadata={"aae": json.dumps(header)})
    with pytest.raises((CheckpointError, UsageError)) as caught:
        load(file, "cpu")
    assert "model.safetensors" in str(caught.value)


def test_saving_on_the_way_does_not_change_the_result(tmp_path, monkeypatch):
    """Saves happen by the clock: they must leave the training's random numbers alone."""
    from aae_cli.training.engine import Engine

    def weights(name):
        run = fit("quick", "digits", tmp_path / name, "train.epochs=2")
        return load(run.folder, "cpu").model.state_dict()

    seldom = weights("seldom")
    monkeypatch.setattr(Engine.__init__, "__kwdefaults__", {**Engine.__init__.__kwdefaults__, "save_every": 0.0})
    often = weights("often")
    assert all(torch.equal(seldom[name], often[name]) for name in seldom)


def test_a_row_of_a_style_grid_is_one_style_under_any_prior(tmp_path):
    """Section 4's figure with a mixture prior: the same z in every column of a row."""
    settings = ["code.z.dims=2", "adversaries.z.prior.name=mixture"]
    run = fit("supervised", read("digits")[:100], tmp_path / "run", *settings)
    model = load(run.folder, "cpu")
    seen = []
    decode = model.decode
    model.decode = lambda y, z, label=None: seen.append(z) or decode(y, z, label)
    model.style_grid(7)
    z = torch.cat(seen)[-70:].view(7, 10, 2)
    assert torch.equal(z, z[:, :1].expand_as(z))
    assert len(z[:, 0].unique(dim=0)) == 7


def test_clusters_are_scored_by_their_own_label(table):
    """Section 6: a row counts for the label of its most probable cluster, not for the label with the most mass."""
    model = load(table.folder, "cpu")
    data = blobs(seed=2)
    names = np.array(model.header.cluster_labels)
    expected = 100 * (names[model.cluster(data.x)[0]] != data.labels).mean()
    assert evaluate(model, data, ["cluster-error"])["cluster-error"] == pytest.approx(expected)


# --- fine clusters first, and several seeds at once ---------------------------------------------------------------------


def stopped_after(saves, monkeypatch):
    """Make the training stop, as on a signal, once it has saved so many times; it saves after every step."""
    from aae_cli.training.engine import Engine

    defaults = Engine.__init__.__kwdefaults__
    monkeypatch.setattr(Engine.__init__, "__kwdefaults__", {**defaults, "save_every": 0.0})
    original, count = Engine.state, [0]

    def state(self):
        count[0] += 1
        result = original(self)
        if count[0] > saves:
            raise Interrupted("stopped", "", 2)
        return result

    monkeypatch.setattr(Engine, "state", state)


@pytest.mark.parametrize("saves", [3, 8, 12])
def test_merged_training_resumes_with_the_same_bits_in_either_stage(tmp_path, monkeypatch, saves):
    data = read("digits")[:200]
    settings = ["code.y.classes=4", "code.y.overcluster=2", "train.epochs=4", "train.batch_size=90"]
    whole = fit("clustering", data, tmp_path / "whole", *settings)
    with monkeypatch.context() as patch:
        stopped_after(saves, patch)
        with pytest.raises(Interrupted):
            fit("clustering", data, tmp_path / "parts", *settings)
    parts = fit("clustering", data, tmp_path / "parts", *settings, resume=True)
    one, other = (load(run.folder, "cpu").model.state_dict() for run in (whole, parts))
    assert all(torch.equal(one[name], other[name]) for name in one)
    lines = [json.loads(line) for line in (parts.folder / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == sorted(line["step"] for line in lines)
    assert lines[-1]["step"] == 16 and lines[-1]["epoch"] == 4


@pytest.mark.parametrize("first", [1, 2, 3])
def test_more_epochs_after_merging_leave_the_merge_where_it_was(tmp_path, first):
    data = read("digits")[:200]
    settings = ["code.y.classes=4", "train.batch_size=50"]
    fit("clustering", data, tmp_path / "run", *settings, f"train.epochs={first}")
    groups = load(tmp_path / "run", "cpu").model.encoder.groups
    run = fit("clustering", data, tmp_path / "run", *settings, "train.epochs=5", resume=True)
    assert torch.equal(load(run.folder, "cpu").model.encoder.groups, groups)
    lines = [json.loads(line) for line in (run.folder / "metrics.jsonl").read_text().splitlines()]
    assert lines[-1]["step"] == 20 and lines[-1]["epoch"] == 5


def test_merging_keeps_every_cluster_and_finds_the_groups(tmp_path):
    run = fit("clustering", blobs(), tmp_path / "run", "code.y.classes=3", "train.epochs=200", "data.validation=0")
    model = load(run.folder, "cpu")
    assert model.model.encoder.groups.shape == (1, 30)
    assert model.config.train.epochs == 200 and model.config.code.y.classes == 3
    assert sorted(model.model.encoder.groups.unique().tolist()) == [0, 1, 2]
    assert model.y(blobs().x).shape == (300, 3)
    measured = evaluate(model, blobs(90, seed=5), ["ari"])
    assert measured["ari"] > 0.9


def test_labels_name_merged_clusters(tmp_path):
    settings = ["data.labels=6", "train.epochs=200", "data.validation=0", "code.y.overcluster=3"]
    run = fit("semi-supervised", blobs(), tmp_path / "run", *settings)
    measured = evaluate(load(run.folder, "cpu"), blobs(90, seed=5), ["classification-error"])
    assert measured["classification-error"] < 10


def test_seeds_train_at_once_with_labels_of_their_own(tmp_path):
    settings = [*tiny("semi-supervised"), "train.epochs=2", "train.min_steps=0", "train.restarts=2", "data.labels=20"]
    runs = train_seeds("semi-supervised", [3, 8], "digits", tmp_path / "runs", settings, device="cpu")
    assert [run.seed for run in runs] == [3, 8]
    assert [run.folder.name for run in runs] == ["seed-3", "seed-8"]
    assert all(len(run.scores) == 2 and "classification-error" in run.metrics for run in runs)
    one, other = (load(run.folder, "cpu") for run in runs)
    assert read_header(runs[0].folder).finished and read_header(runs[0].folder).training["labels"] == 20
    weights = one.model.state_dict()
    assert not all(torch.equal(weights[name], value) for name, value in other.model.state_dict().items())
    with pytest.raises(UsageError, match="seeds"):
        train_seeds("semi-supervised", [1, 1], "digits", tmp_path / "again")


def test_only_the_metrics_asked_for_are_measured(tmp_path):
    settings = [*tiny("gaussian"), "train.epochs=1", "train.min_steps=0"]
    (run,) = train_seeds("gaussian", [0], "digits", tmp_path / "run", settings, device="cpu", metrics=["prior-fit"])
    assert list(run.metrics) == ["prior-fit"]


def test_a_map_of_a_table_is_z_alone(tmp_path):
    random = np.random.default_rng(0)
    rows = random.normal(size=(60, 5)).astype(np.float32)
    data = Data(rows, Schema("table", (5,), integer=(False,) * 5))
    folder = fit("dim-reduction", data, tmp_path / "run", "train.epochs=2").folder
    model = load(folder, "cpu")
    assert model.model.classes == 0 and model.embed(rows).shape == (60, 2)
    assert model.sample(3).x.shape == (3, 5)


@pytest.mark.parametrize("sizes", ["equal", "found"])
def test_merged_clusters_are_held_to_the_sizes_asked_for(tmp_path, monkeypatch, sizes):
    monkeypatch.setattr(merging, "EQUAL_TOLERANCE", 0.0)  # what so short a training finds is nearly equal
    settings = ["code.y.classes=3", "code.y.overcluster=3", "train.epochs=2", f"code.y.sizes={sizes}"]
    share = load(fit("clustering", read("digits")[:200], tmp_path / "run", *settings).folder, "cpu").model.encoder.share
    assert share.sum().item() == pytest.approx(1)
    assert (share == share[0, 0]).all().item() is (sizes == "equal")
