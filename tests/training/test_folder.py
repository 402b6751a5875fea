"""A run's folder on disk."""

import json

import pytest
from fitting import fit

from aae_cli import read
from aae_cli.errors import UsageError
from aae_cli.model.checkpoint import read_header
from aae_cli.training.folder import RunFolder


def test_the_run_folder_is_as_promised(semi):
    names = {path.name for path in semi.folder.iterdir()}
    assert names == {
        "model.safetensors", "state.safetensors", "config.yaml", "metrics.jsonl", "samples.png", "README.md", "curves.png"
    }  # fmt: skip
    lines = [json.loads(line) for line in (semi.folder / "metrics.jsonl").read_text().splitlines()]
    assert lines[-1]["final"] is True
    assert "eval.classification-error" in lines[-1]
    header = read_header(semi.folder)
    assert header.finished
    assert header.schema.classes == tuple("0123456789")
    assert header.cluster_labels == tuple(range(10))


def test_given_folders_are_not_overwritten(tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "precious").write_text("x")
    with pytest.raises(UsageError, match="--force"):
        fit("quick", read("digits")[:60], tmp_path / "full")
    with pytest.raises(UsageError, match="holds no run"):
        fit("quick", read("digits")[:60], tmp_path / "full", resume=True)
    fit("quick", read("digits")[:60], tmp_path / "full", force=True)
    assert (tmp_path / "full" / "precious").read_text() == "x"


def test_the_log_is_rewound_to_the_step_that_is_resumed(tmp_path):
    folder = RunFolder(tmp_path)
    for record in ({"step": 5}, {"step": 10}, {"step": 15}, {"step": 10, "final": True}):
        folder.log(record)
    folder.rewind_log(10, write=True)
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert lines == [{"step": 5}, {"step": 10}]
    assert folder.last == {"step": 10}
