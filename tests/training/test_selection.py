"""Restarts are scored and one is kept; clusters get the names of classes."""

from fitting import blobs, fit

from aae_cli import load


def test_restarts_train_at_once_and_the_best_score_is_kept(tmp_path):
    data = blobs()
    run = fit("clustering", data, tmp_path / "run", "code.y.classes=3", "train.restarts=3", "train.epochs=15")
    assert len(run.scores) == 3
    state = (run.folder / "state.safetensors").stat().st_size
    model = load(run.folder, "cpu")
    assert model.model.models == 1
    assert state > 3 * (run.folder / "model.safetensors").stat().st_size
    assert len(set(run.scores)) == 3


def test_clusters_are_named_by_labels_though_they_never_saw_any(table):
    model = load(table.folder, "cpu")
    data = blobs(seed=1)
    assert 100 * (model.classify(data.x).argmax(1) != data.labels).mean() < 10
    assert table.metrics == {}  # nothing was held out
