"""One training: the same bits with the same seed, however often it is saved, stopped and resumed."""

import json

import pytest
import torch
from fitting import fit

from aae_cli import load, read
from aae_cli.errors import Interrupted, UsageError


def test_the_same_seed_gives_the_same_bits(tmp_path):
    def weights(seed, name):
        run = fit("quick", "digits", tmp_path / name, f"train.seed={seed}")
        return load(run.folder, "cpu").model.state_dict()

    one, again, other = weights(1, "a"), weights(1, "b"), weights(2, "c")
    assert all(torch.equal(one[name], again[name]) for name in one)
    assert not all(torch.equal(one[name], other[name]) for name in one)


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


def test_more_epochs_go_on_and_other_changes_are_refused(tmp_path):
    data = read("digits")[:100]
    first = fit("quick", data, tmp_path / "run", "train.epochs=1")
    before = {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir()}
    again = fit("quick", data, tmp_path / "run", "train.epochs=1", resume=True)
    assert again.folder == tmp_path / "run" and again.metrics == first.metrics
    assert {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir()} == before
    with pytest.raises(UsageError, match=r"code\.z\.dims=10, not 6"):
        fit("quick", data, tmp_path / "run", "train.epochs=2", "code.z.dims=6", resume=True)
    run = fit("quick", data, tmp_path / "run", "train.epochs=3", resume=True)
    lines = [json.loads(line) for line in (run.folder / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == sorted(line["step"] for line in lines)
    assert sum(bool(line.get("final")) for line in lines) == 1


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


def stopped_and_resumed(tmp_path, monkeypatch, saves, preset, *settings):
    """The folder of a run that was stopped and resumed; its weights are those of a run that was not."""
    data = read("digits")[:200]
    whole = fit(preset, data, tmp_path / "whole", *settings)
    with monkeypatch.context() as patch:
        stopped_after(saves, patch)
        with pytest.raises(Interrupted):
            fit(preset, data, tmp_path / "parts", *settings)
    parts = fit(preset, data, tmp_path / "parts", *settings, resume=True)
    one, other = (load(run.folder, "cpu").model.state_dict() for run in (whole, parts))
    assert all(torch.equal(one[name], other[name]) for name in one)
    return parts.folder


@pytest.mark.parametrize("saves", [3, 8, 12, 18, 25])
def test_merged_training_resumes_with_the_same_bits_in_every_stage(tmp_path, monkeypatch, saves):
    settings = ["code.y.classes=4", "code.y.overcluster=2", "train.epochs=4", "train.batch_size=90"]
    folder = stopped_and_resumed(tmp_path, monkeypatch, saves, "clustering", *settings)
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == sorted(line["step"] for line in lines)
    # 2 epochs of 2 steps for the code, 2 for the categories, and 3 of 4 (batches have at most 50 rows) for the style
    assert lines[-1]["step"] == 28 and lines[-1]["epoch"] == 7


@pytest.mark.parametrize("saves", [2, 6])
def test_a_map_resumes_with_the_same_bits_in_either_stage(tmp_path, monkeypatch, saves):
    stopped_and_resumed(tmp_path, monkeypatch, saves, "dim-reduction", "encoder.hidden=[24,16,8]", "train.epochs=4")


def test_an_interruption_counts_the_steps_of_the_whole_training(tmp_path, monkeypatch):
    import os
    import signal

    from aae_cli.output.reporter import Reporter

    class Stopping(Reporter):
        def log(self, record, steps):
            if record["step"] == 13:  # in the second stage
                os.kill(os.getpid(), signal.SIGTERM)

    from aae_cli.training.engine import Engine

    monkeypatch.setattr(Engine.__init__, "__kwdefaults__", {**Engine.__init__.__kwdefaults__, "log_every": 0.0})
    settings = ["code.y.classes=4", "code.y.overcluster=2", "train.epochs=6", "train.batch_size=50"]
    with pytest.raises(Interrupted, match="at step 14 of 44; its state is saved"):
        fit("clustering", read("digits")[:200], tmp_path / "run", *settings, reporter=Stopping())


@pytest.mark.parametrize("first", [1, 2, 3])
def test_more_epochs_after_merging_leave_the_merge_where_it_was(tmp_path, first):
    data = read("digits")[:200]
    settings = ["code.y.classes=4", "train.batch_size=50", "phases.pretraining=null", "phases.style=null"]
    fit("clustering", data, tmp_path / "run", *settings, f"train.epochs={first}")
    groups = load(tmp_path / "run", "cpu").model.encoder.groups
    run = fit("clustering", data, tmp_path / "run", *settings, "train.epochs=5", resume=True)
    assert torch.equal(load(run.folder, "cpu").model.encoder.groups, groups)
    lines = [json.loads(line) for line in (run.folder / "metrics.jsonl").read_text().splitlines()]
    assert lines[-1]["step"] == 20 and lines[-1]["epoch"] == 5
