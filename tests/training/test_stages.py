"""Fine clusters first, then merged ones; restarts that share their targets."""

import itertools

import numpy as np
import pytest
import torch
from fitting import blobs, fit
from sklearn.metrics import adjusted_rand_score

from aae_cli import evaluate, load, read
from aae_cli.errors import UsageError
from aae_cli.objective import merging
from aae_cli.objective.code_clusters import cluster_codes
from aae_cli.training import selection
from aae_cli.training.batches import Batches
from aae_cli.training.stages import Stages


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


def test_merging_keeps_every_cluster_and_finds_the_groups(table):
    model = load(table.folder, "cpu")
    assert model.model.encoder.groups.shape == (1, 30)
    assert model.config.train.epochs == 100 and model.config.code.y.classes == 3
    assert sorted(model.model.encoder.groups.unique().tolist()) == [0, 1, 2]
    assert model.y(blobs().x).shape == (300, 3)
    measured = evaluate(model, blobs(90, seed=5), ["ari"])
    assert measured["ari"] > 0.9


def test_labels_name_merged_clusters(tmp_path):
    settings = ["data.labels=6", "train.epochs=100", "data.validation=0", "code.y.overcluster=3"]
    run = fit("semi-supervised", blobs(), tmp_path / "run", *settings)
    measured = evaluate(load(run.folder, "cpu"), blobs(90, seed=5), ["classification-error"])
    assert measured["classification-error"] < 10


@pytest.mark.parametrize("sizes", ["equal", "found"])
def test_merged_clusters_are_held_to_the_sizes_asked_for(tmp_path, monkeypatch, sizes):
    monkeypatch.setattr(merging, "EQUAL_TOLERANCE", 0.0)  # what so short a training finds is nearly equal
    settings = ["code.y.classes=3", "code.y.overcluster=3", "train.epochs=2", f"code.y.sizes={sizes}"]
    share = load(fit("clustering", read("digits")[:200], tmp_path / "run", *settings).folder, "cpu").model.encoder.share
    merged = fit("clustering", read("digits")[:200], tmp_path / "merged", *settings, "phases.pretraining=null")
    assert (load(merged.folder, "cpu").model.encoder.share == share[0, 0]).all().item() is (sizes == "equal")
    assert share.sum().item() == pytest.approx(1)
    assert (share == share[0, 0]).all().item() is (sizes == "equal")


def test_a_flag_of_no_meaning_does_not_make_the_clusters_of_a_table(tmp_path):
    """Three groups of rows by their numbers, each of which is half of the flag: near rows have the same flag."""
    random, group = np.random.default_rng(0), np.arange(240) % 3
    numbers = np.eye(3)[group] * 4 + random.normal(size=(240, 3))
    flags = np.where(random.random(240) < 0.5, "yes", "no")
    lines = ["a,b,c,flag", *(f"{a:.3f},{b:.3f},{c:.3f},{flag}" for (a, b, c), flag in zip(numbers, flags, strict=True))]
    (tmp_path / "rows.csv").write_text("\n".join(lines))
    data = read(str(tmp_path / "rows.csv"))
    run = fit("clustering", data, tmp_path / "run", "code.y.classes=3", "train.min_steps=100", "train.restarts=1")
    model = load(run.folder, "cpu")
    assert model.config.phases.consistency.mixture == 0.75 and model.model.encoder.share is not None
    assert adjusted_rand_score(group, model.cluster(data.x)[0]) > 0.9


def test_labels_may_choose_the_components_of_z_beside_a_semi_supervised_y(tmp_path):
    prior = ["code.z.dims=2", "adversaries.z.prior.name=mixture", "adversaries.z.labels=true"]
    settings = [*prior, "code.y.overcluster=3", "train.epochs=4", "data.labels=60"]
    model = load(fit("semi-supervised", read("digits")[:300], tmp_path / "run", *settings).folder, "cpu")
    assert model.abilities.tied_to_labels and model.abilities.learned_with_labels
    assert model.sample(3).x.shape == (3, 64)


def test_a_map_searches_neighbours_in_the_code_before_it(tmp_path, monkeypatch):
    """The second stage goes on with the layers of the first, and its neighbours are those of the first stage's code."""
    stages = []
    advance = Stages.advance

    def seen(self, before, callbacks):
        stages.append((before, advance(self, before, callbacks)))
        return stages[0][1]

    monkeypatch.setattr(Stages, "advance", seen)
    settings = ["encoder.hidden=[24,16,8]", "train.epochs=6"]
    run = fit("dim-reduction", read("digits")[:200], tmp_path / "run", *settings)
    ((before, after),) = stages
    assert (before.model.dims, after.model.dims) == (32, 2)
    assert len(before.model.encoder.body.layers) == 4  # of two layers
    kept = before.engine.weights
    assert all(torch.equal(value, kept[name]) for name, value in after.pretrained.state_dict().items())
    assert load(run.folder, "cpu").config.encoder.hidden == (24, 16, 8)
    x = after.batches.scaling(after.batches.raw(torch.arange(3)))
    code = torch.nn.functional.normalize(after.pretrained.encode(x[None]).part("z"), dim=-1)
    reference = after.batches.scaling(after.batches.raw(torch.arange(after.batches.count)))
    every = torch.nn.functional.normalize(after.pretrained.encode(reference[None]).part("z"), dim=-1)
    expected = torch.cdist(code, every)[0].topk(11, largest=False).indices.sort().values
    found = after.batches.view
    near = found.__closure__[list(found.__code__.co_freevars).index("neighbours")].cell_contents
    assert torch.equal(near(None, torch.arange(3)[None])[1][0].sort().values.long(), expected)


@pytest.mark.parametrize(("preset", "restarts"), [("clustering", 1), ("clustering", 2), ("semi-supervised", 2)])
def test_clusters_start_from_those_of_the_code(tmp_path, monkeypatch, preset, restarts):
    """q(y|x) of the second stage assigns rows as the clusters of the first stage's codes do, before its first step."""
    seen = []
    advance = Stages.advance

    def kept(self, before, callbacks):
        after = advance(self, before, callbacks)
        x = before.batches.scaling(before.batches.raw(torch.arange(before.batches.count)))[None]
        x = x.expand(restarts, -1, -1)
        after.model.eval()
        with torch.no_grad():
            code = torch.nn.functional.normalize(before.model.encode(x).part("z"), dim=-1)
            seen.append((code, after.model.encode(x).part("y"), after.model.encoder.groups))
        after.model.train()
        return after

    monkeypatch.setattr(Stages, "advance", kept)
    settings = ["train.epochs=6", f"train.restarts={restarts}", "encoder.hidden=[32,16]", "phases.style=null"]
    settings += ["code.y.classes=10", "data.labels=40"] if preset == "semi-supervised" else ["code.y.classes=4"]
    run = fit(preset, read("digits")[:300], tmp_path / "run", *settings)
    ((codes, y, groups),) = seen
    classes = y.shape[-1]
    for r in range(restarts):
        own = codes[r].double().numpy()
        found = cluster_codes(own, classes, 3, equal=False, labelled=preset == "semi-supervised")
        clusters = found(own) @ np.eye(classes)[groups[r].numpy()]
        assert (clusters.argmax(1) == y[r].argmax(1).numpy()).mean() > 0.9  # codes differ a little in length
    assert load(run.folder, "cpu").cluster(read("digits")[:20].x)[0].shape == (20,)


def test_style_is_learned_beside_settled_categories(tmp_path, monkeypatch):
    """The last stage leaves q(y|x) as the main one made it, and gives z layers of its own."""
    seen = []
    advance = Stages.advance
    monkeypatch.setattr(
        Stages, "advance", lambda self, before, callbacks: seen.append(advance(self, before, callbacks)) or seen[-1]
    )
    settings = ["code.y.classes=4", "train.epochs=6", "phases.style.length=0.5"]
    run = fit("clustering", read("digits")[:300], tmp_path / "run", *settings)
    content, style = seen
    assert content.model.dims == 0 and content.plan.kind == "main" and style.plan.kind == "style"
    model = load(run.folder, "cpu").model
    learned = {f"encoder.{name}": value for name, value in content.model.encoder.state_dict().items()}
    assert len(learned) > 6
    assert all(torch.equal(model.state_dict()[name], value) for name, value in learned.items())
    assert model.encoder.z_body is not None and model.dims == 10
    assert sorted(style.engine.objective.optimizers) == ["autoencoder", "regularisation"]


def test_style_needs_y_and_z(tmp_path):
    with pytest.raises(UsageError, match=r"phases\.style needs code\.y and code\.z"):
        fit("gaussian", read("digits")[:50], tmp_path / "run", "phases.style.length=0.5")


def test_a_folder_of_fewer_images_than_clusters_is_still_trained_on(tmp_path):
    run = fit("clustering", read("digits")[:20], tmp_path / "run", "code.y.classes=25", "train.epochs=4")
    assert load(run.folder, "cpu").model.classes == 25
