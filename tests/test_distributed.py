"""Several processes, one model: shares of random numbers, and the same training as one process."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from aae_cli.distributed import ALONE, World, started_by_torchrun
from aae_cli.errors import UsageError

CONFIG = """
data: {source: digits, labels: 200}
code:
  y: {classes: auto, overcluster: 2, batch_norm: true}
  z: {dims: 3, batch_norm: true}
encoder: {hidden: [32], batch_norm: true, dropout: 0.2, noise: 0.1}
decoder: {hidden: [32]}
adversaries:
  y: {prior: {name: categorical}, hidden: [32], weight: 0.1, noise: 0.3}
  z: {prior: {name: gaussian}, hidden: [32], apart: true, noise: 0.3}
phases:
  SCHEDULE
  semi_supervised: {weight: auto, batch_size: 100, augment: true}
  consistency: {weight: 1.0}
  neighbour_embedding: {weight: 0.5}
  information: {weight: 0.3, balance: 4.0}
train: {epochs: 2, min_steps: 0, batch_size: 128, ema: 0.9, restarts: 2}
"""


# A table, with what compares the rows of a batch: swapped features, and perturbations as long as rows lie apart.
TABLE = (
    CONFIG.replace("source: digits", "source: digits, kind: table").replace("weight: 1.0", "weight: 1.0, radius: 0.5")
    + "augment: {swap: 0.2}\n"
)

# Two stages: a map whose neighbours are those in a code, and clusters that start from those of a code.
MAP = """
data: {source: digits}
code: {z: {dims: 2}}
encoder: {hidden: [32, 32, 16]}
decoder: {hidden: [32]}
adversaries: {z: {prior: {name: gaussian, std: 3.0}, hidden: [32], weight: 0.1, noise: 0.3}}
phases:
  pretraining: {}
  neighbour_embedding: {weight: 1.0, width: 0.5, negatives: 64}
augment: {share: 1.0}
train: {epochs: 2, min_steps: 0, batch_size: 128}
"""
CONFIGS = {
    "joint": CONFIG.replace("SCHEDULE", "schedule: joint"),
    "alternating": CONFIG.replace("SCHEDULE", "schedule: alternating"),
    "table": TABLE.replace("SCHEDULE", "schedule: joint"),
    "map": MAP,
    "code": CONFIG.replace("SCHEDULE", "pretraining: {}"),
}


def test_shares_of_random_numbers_make_up_those_of_one_process():
    cpu = torch.device("cpu")
    torch.manual_seed(0)
    whole = ALONE.draw(torch.randn, (2, 12, 3), cpu)
    shares = []
    for rank in range(2):
        torch.manual_seed(0)
        shares.append(World(rank, 2).draw(torch.randn, (2, 6, 3), cpu, parts=[4, 2]))
    first, second = zip(*(share.split([4, 2], 1) for share in shares), strict=True)
    assert torch.equal(torch.cat([*first, *second], 1), whole)


def test_what_the_main_process_found_holds_for_all(monkeypatch):
    monkeypatch.setattr("aae_cli.distributed._all_reduced", lambda value: value)
    found = [torch.tensor([2, 0, 1]), torch.tensor([1, 0, 2])]
    assert sum(World(rank, 2).of_main(value) for rank, value in enumerate(found)).tolist() == [2, 0, 1]
    assert ALONE.of_main(found[1]) is found[1]


def test_gathered_rows_lie_in_the_order_of_the_processes_and_pass_gradients_back(monkeypatch):
    # Two processes in one: what each contributes is summed by hand.
    contributions = []
    monkeypatch.setattr("aae_cli.distributed._all_reduced", lambda value: contributions.append(value) or value)
    rows = torch.arange(12.0).reshape(1, 4, 3).requires_grad_()
    gathered = sum(World(rank, 2).gather(share) for rank, share in enumerate(rows.split(2, 1)))
    assert torch.equal(gathered, rows)
    assert len(contributions) == 2
    (gathered * rows.detach()).sum().backward()
    assert torch.equal(rows.grad, rows.detach())


def test_gathered_parts_stay_apart_and_positions_find_the_own_rows(monkeypatch):
    monkeypatch.setattr("aae_cli.distributed._all_reduced", lambda value: value)
    whole = torch.arange(24.0).reshape(2, 12, 1)
    parts, worlds = [4, 2], [World(rank, 2) for rank in range(2)]
    shares = [torch.cat([part.chunk(2, 1)[rank] for part in whole.split([8, 4], 1)], 1) for rank in range(2)]
    assert torch.equal(sum(world.gather(x, parts) for world, x in zip(worlds, shares, strict=True)), whole)
    for world, share in zip([*worlds, ALONE], [*shares, whole], strict=True):
        own = world.positions(parts if world.size > 1 else [8, 4], whole.device)
        assert torch.equal(whole[:, own], share)


def test_a_torchrun_that_makes_no_sense_is_said(monkeypatch):
    monkeypatch.setenv("RANK", "first")
    with pytest.raises(UsageError, match="RANK"):
        started_by_torchrun()


def torchrun(processes: int, folder: Path, *arguments: str, program: str = "aae") -> subprocess.CompletedProcess[str]:
    """``aae train`` with these arguments, or another program beside this Python."""
    programs = Path(sys.executable).parent
    if not (programs / "torchrun").exists() or shutil.which("aae", path=str(programs)) is None:
        pytest.skip("torchrun or aae is not installed beside this Python")
    command = [str(programs / "torchrun"), "--standalone", "--nproc-per-node", str(processes), "--no-python"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command += [str(programs / "aae"), "train"] if program == "aae" else [program]
    return subprocess.run(
        [*command, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
    )


def losses(folder: Path) -> list[dict[str, float]]:
    records = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [
        {name: v for name, v in record.items() if name.startswith("loss.")} for record in records if "final" in record
    ]


def of_two(config: str, folder: Path) -> tuple[subprocess.CompletedProcess[str], Path]:
    """A training of two processes, and its run."""
    (folder / "c.yaml").write_text(CONFIGS[config])
    return torchrun(2, folder, "-p", "c.yaml", "-o", "run2", "--seed", "1", "-q"), folder / "run2"


@pytest.fixture(scope="module")
def joint(tmp_path_factory):
    return of_two("joint", tmp_path_factory.mktemp("joint"))


@pytest.mark.timeout(400)
@pytest.mark.parametrize("config", list(CONFIGS))
def test_two_processes_train_what_one_does(config, warm, tmp_path, request):
    # Losses in the log are means over stretches of time, so weights are compared; early on, before rounding has grown.
    both, second = request.getfixturevalue("joint") if config == "joint" else of_two(config, tmp_path)
    assert both.returncode == 0, both.stderr
    assert both.stdout == "run2\n"
    words = ["train", "-p", second.parent / "c.yaml", "-o", "run1", "--seed", "1", "-q"]
    warm.start(words, tmp_path, {**os.environ, "OMP_NUM_THREADS": "1"})
    assert warm.wait() == 0, warm.paths["stderr"].read_text()
    assert warm.paths["stdout"].read_text() == "run1\n"
    first = tmp_path / "run1"
    one, two = (load_file(run / "state.safetensors") for run in (first, second))
    assert one.keys() == two.keys()
    for name in one:
        if name.startswith(("model.", "other.")) and name.endswith("weight"):
            assert (one[name] - two[name]).norm() < 1e-4 * one[name].norm(), name
    assert losses(first)[-1].keys() == losses(second)[-1].keys()


@pytest.mark.timeout(400)
def test_a_run_of_two_processes_goes_on_with_one(joint, tmp_path):
    first, run = joint
    assert first.returncode == 0, first.stderr
    shutil.copytree(run, tmp_path / "run")
    more = torchrun(1, tmp_path, "--resume", "-o", "run", "--epochs", "3", "-q")
    assert more.returncode == 0, more.stderr
    assert losses(tmp_path / "run")
    steps = [json.loads(line)["step"] for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert steps[-1] == 30


@pytest.mark.timeout(400)
def test_batches_that_cannot_be_shared_are_refused(tmp_path):
    (tmp_path / "c.yaml").write_text(CONFIG.replace("SCHEDULE", ""))
    done = torchrun(2, tmp_path, "-p", "c.yaml", "-o", "run", "--batch-size", "101", "-q")
    assert done.returncode != 0
    assert "train.batch_size=101 cannot be shared by 2 processes; --set train.batch_size=102" in done.stderr.replace(
        " (", "; "
    )
    assert not (tmp_path / "run").exists()


THREADS = """
import sys
from contextlib import suppress
from pathlib import Path
from aae_cli import train
from aae_cli.training.engine import Engine
from aae_cli.errors import Interrupted

def stop(engine, seconds):
    raise Interrupted("stopped", "go on", 15)

if sys.argv[1] == "interrupted":
    Engine._record = stop
try:
    train("c.yaml", "rows.npz", "run", ["train.epochs=1", "data.validation=0"], device="cpu")
except Interrupted:
    pass
names = []
for file in Path("/proc/self/task").glob("*/comm"):
    with suppress(OSError):  # a thread that ended meanwhile
        names.append(file.read_text().strip())
print("left:", [name for name in names if "gloo" in name])
"""


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="threads are counted in /proc")
@pytest.mark.parametrize("end", ["done", "interrupted"])
def test_no_thread_outlives_the_process_group(end, tmp_path):
    """One that did aborted a finished run at exit, now and then: it waited for an interpreter that was shutting down."""
    (tmp_path / "c.yaml").write_text(CONFIG.replace("SCHEDULE", ""))
    rows = np.random.default_rng(0).integers(0, 256, (600, 8, 8), dtype=np.uint8)
    np.savez(tmp_path / "rows.npz", x=rows, y=np.arange(600) % 10)  # nothing is held out, so nothing is measured
    done = torchrun(2, tmp_path, "-c", THREADS, end, program=sys.executable)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["left: []", "left: []"]
