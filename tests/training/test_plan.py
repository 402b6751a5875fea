"""What a resumed run must have in common with the original one."""

from dataclasses import replace

import numpy as np
import pytest
from fitting import blobs

from aae_cli.config.resolve import resolve, resolve_given
from aae_cli.errors import UsageError
from aae_cli.training.plan import fingerprint, first_difference, identity, plan_training, require_same, step_work
from aae_cli.training.splits import Splits, split


def identified(rows=None, settings=(), seeds=None):
    rows = blobs() if rows is None else rows
    config = resolve("gaussian", ["train.epochs=3", "train.batch_size=20", *settings])
    return identity(plan_training(config, Splits(rows, None, None), "cpu", seeds), rows)


def differs(old, new) -> str:
    """The key that is named for the difference."""
    with pytest.raises(UsageError, match="only --epochs may change") as caught:
        require_same(old, new, "run")
    return str(caught.value).removeprefix("run was started with ").partition("=")[0]


def test_a_resumed_run_has_the_same_config_rows_and_seeds():
    rows, old = blobs(), identified()
    require_same(old, identified(), "run")
    require_same(old, identified(settings=["train.epochs=9"]), "run")
    assert differs(old, identified(settings=["code.z.dims=3"])) == "code.z.dims"
    assert differs(old, identified(settings=["train.seed=1"])) == "train.seed"
    assert differs(old, identified(rows[np.arange(300) != 7])) == "rows"
    narrow = replace(rows, x=rows.x[:, :3].copy(), schema=replace(rows.schema, shape=(3,)))
    assert differs(old, identified(narrow)) == "features"
    assert differs(old, identified(replace(rows, x=rows.x + 1))) == "data"
    several = identified(seeds=[0, 1])
    assert differs(several, identified(seeds=[0, 2])) == "seeds"
    assert differs(several, old) == "seeds"


def test_the_fingerprint_sees_values_and_labels():
    rows = blobs()
    other, labels = rows.x.copy(), rows.labels.copy()
    other[150, 2] += 1
    labels[150] += 1
    assert fingerprint(rows) == fingerprint(blobs())
    prints = {fingerprint(each) for each in (rows, replace(rows, x=other), replace(rows, labels=labels))}
    assert len(prints | {fingerprint(replace(rows, labels=None))}) == 4


def test_only_the_epochs_may_differ():
    old = {"config": {"train": {"epochs": 3, "seed": 0}}, "rows": 5}
    assert first_difference(old, {"config": {"train": {"epochs": 9, "seed": 0}}, "rows": 5}) is None
    new = {"config": {"train": {"epochs": 9, "seed": 0, "ema": 0.5}}, "rows": 6}
    assert first_difference(old, new) == ("train.ema", None, 0.5)
    assert first_difference(new, old) == ("train.ema", 0.5, None)
    assert first_difference({"epochs": 3}, {"epochs": 4}) == ("epochs", 3, 4)


def test_small_layers_are_trained_on_one_thread(monkeypatch):
    """Deterministically, from sizes alone: the number of threads changes the rounding of sums."""
    monkeypatch.setattr("torch.get_num_threads", lambda: 2)
    splits = split(blobs(), 0.1, 0)
    small = plan_training(resolve("gaussian", ["encoder.hidden=[64]"]), splits, "cpu")
    assert small.threads == 1
    layers = [f"{part}.hidden=[2000,2000]" for part in ("encoder", "decoder")]
    config, given = resolve_given("gaussian", [*layers, "train.batch_size=60"])
    assert plan_training(config, splits, "cpu", given=given).threads is None
    assert plan_training(config, splits, "auto", given=given).reason.endswith("2 threads)")
    assert "1 thread, as the layers are small" in plan_training(resolve("gaussian"), splits, "auto").reason
    c = small.config
    assert step_work(c, splits.train.schema, 3) == 3 * step_work(c, splits.train.schema, 1)
