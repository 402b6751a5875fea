"""Nothing is lost: kills at any moment, two trainings in one folder, damaged state, full disks."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file

from aae_cli import train
from aae_cli.errors import AaeError, CheckpointError, UsageError
from aae_cli.files import locked
from aae_cli.model.checkpoint import MODEL, STATE, read_header

SMALL = [
    *(f"{body}.hidden=[16]" for body in ("encoder", "decoder", "adversaries.z", "adversaries.y")),
    "train.min_steps=0",
    "train.batch_size=20",
    "code.y.overcluster=2",
]
KILLS = int(os.environ.get("AAE_KILLS", "4"))
# Saves at every step, so that kills fall into all stages of writing.
PROGRAM = """
import sys
from aae_cli import train
from aae_cli.training.engine import Engine
Engine.__init__.__kwdefaults__.update(save_every=EVERY, log_every=0.0)
train("clustering", sys.argv[1], sys.argv[2], sys.argv[4:], device="cpu", resume=sys.argv[3] == "resume")
"""


@pytest.fixture
def data(tmp_path) -> Path:
    x = np.random.default_rng(0).normal(size=(100, 4)).astype(np.float32)
    np.save(tmp_path / "x.npy", x)
    return tmp_path / "x.npy"


def start(warm, data: Path, run: Path, how: str, epochs: int, save_every: float = 0.0) -> None:
    arguments = [data, run, how, *SMALL, f"train.epochs={epochs}"]
    code = PROGRAM.replace("EVERY", str(save_every))
    warm.start(arguments, data.parent, {**os.environ, "OMP_NUM_THREADS": "1"}, code, seconds=120)


def saved(run: Path) -> int | None:
    """When the state was saved; None before that."""
    try:
        return (run / STATE).stat().st_mtime_ns
    except FileNotFoundError:
        return None


@pytest.mark.timeout(60 * KILLS)
def test_kills_at_any_moment_leave_a_whole_checkpoint_and_the_same_end(warm, data, tmp_path):
    whole = train("clustering", str(data), tmp_path / "whole", [*SMALL, f"train.epochs={15 * KILLS}"], device="cpu")
    run, how, moment = tmp_path / "killed", "start", random.Random(0)
    for _ in range(KILLS):
        before = saved(run)
        start(warm, data, run, how, 15 * KILLS)
        deadline = time.monotonic() + 60
        while saved(run) == before and time.monotonic() < deadline and warm.running:
            time.sleep(0.01)
        if warm.running:
            time.sleep(moment.random())
        warm.stop(signal.SIGKILL)
        assert (run / STATE).is_file()
        read_header(run)  # whole, whenever it is looked at
        how = "resume"
    start(warm, data, run, how, 15 * KILLS, save_every=60.0)
    code = warm.wait()
    error = warm.paths["stderr"].read_text()
    assert code == 0, error
    ours, theirs = load_file(run / MODEL), load_file(whole.folder / MODEL)
    assert all(np.array_equal(ours[name], theirs[name]) for name in theirs)
    records = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    steps = [record["step"] for record in records if "final" not in record]
    assert steps == sorted(set(steps))


@pytest.mark.timeout(60 * KILLS)
def test_the_same_command_after_kills_from_the_first_moment_on_ends_alike(warm, data, tmp_path):
    epochs, run, moment = 10, tmp_path / "run", random.Random(1)
    whole = train("clustering", str(data), tmp_path / "whole", [*SMALL, f"train.epochs={epochs}"], device="cpu")
    for _ in range(2 * KILLS):  # a start alone takes some tenths of a second
        start(warm, data, run, "resume", epochs)
        time.sleep(0.5 * moment.random())
        warm.stop(signal.SIGKILL)
    start(warm, data, run, "resume", epochs, save_every=60.0)
    assert warm.wait() == 0, warm.paths["stderr"].read_text()
    ours, theirs = load_file(run / MODEL), load_file(whole.folder / MODEL)
    assert all(np.array_equal(ours[name], theirs[name]) for name in theirs)
    records = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert sum("final" in record for record in records) == 1


def test_a_second_training_into_a_folder_is_refused(data, tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    with locked(run), pytest.raises(AaeError, match="another training is writing to"):
        train("clustering", str(data), run, [*SMALL, "train.epochs=2"], device="cpu", force=True)
    train("clustering", str(data), run, [*SMALL, "train.epochs=2"], device="cpu", force=True)
    assert not (run / ".lock").exists()


def test_a_lock_dies_with_its_process(tmp_path):
    lines = ["import time", "from pathlib import Path", "from aae_cli.files import locked"]
    lines.append(f"with locked(Path({str(tmp_path)!r})): print(1, flush=True); time.sleep(60)")
    program = "\n".join(lines)
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
    assert process.stdout.readline()
    with pytest.raises(AaeError), locked(tmp_path):
        pass
    process.kill()
    process.wait()
    with locked(tmp_path):
        pass


def test_what_a_killed_save_left_behind_is_removed(data, tmp_path):
    from aae_cli.files import whole_file

    run = tmp_path / "run"
    interrupted(data, run)
    (run / ".mine-12345678.safetensors").touch()
    with whole_file(run / STATE) as temporary:
        left = run / f"{temporary.name[:-20]}abcdefgh.safetensors"
        assert len(left.name) == len(temporary.name)
        left.touch()
        temporary.write_bytes((run / STATE).read_bytes())
    train("clustering", str(data), run, [*SMALL, "train.epochs=3"], device="cpu", resume=True)
    assert not left.exists() and (run / ".mine-12345678.safetensors").exists()


def interrupted(data: Path, run: Path) -> None:
    """A run that could be resumed: finished, and then asked for more epochs."""
    train("clustering", str(data), run, [*SMALL, "train.epochs=2"], device="cpu")


@pytest.mark.parametrize("where", [0.02, 0.5, 0.999])
def test_a_state_with_one_flipped_bit_is_refused_by_name(data, tmp_path, where):
    run = tmp_path / "run"
    interrupted(data, run)
    content = bytearray((run / STATE).read_bytes())
    content[int(where * len(content))] ^= 1
    (run / STATE).write_bytes(content)
    with pytest.raises((CheckpointError, UsageError), match=STATE):
        train("clustering", str(data), run, [*SMALL, "train.epochs=3"], device="cpu", resume=True)


def test_other_data_seed_or_settings_are_refused_by_key(data, tmp_path):
    run = tmp_path / "run"
    interrupted(data, run)
    x = np.load(data)
    x[50, 2] += 1
    np.save(tmp_path / "other.npy", x)
    shutil.copy(data, tmp_path / "same.npy")
    more = [*SMALL, "train.epochs=3"]
    os.replace(tmp_path / "other.npy", data)
    with pytest.raises(UsageError, match="data"):
        train("clustering", str(data), run, more, device="cpu", resume=True)
    os.replace(tmp_path / "same.npy", data)
    for setting in ("train.seed=1", "code.z.dims=3", "phases.consistency.weight=2"):
        with pytest.raises(UsageError, match=setting.partition("=")[0]):
            train("clustering", str(data), run, [*more, setting], device="cpu", resume=True)
    assert train("clustering", str(data), run, more, device="cpu", resume=True).folder == run


LIMITED = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))
try:
    exec(PROGRAM)
except Exception as error:
    print(str(error)[:2000], file=sys.stderr)
    sys.exit(1)
"""


@pytest.mark.skipif(os.name != "posix", reason="needs a file-size limit")
def test_a_file_size_limit_leaves_what_was_there(warm, data, tmp_path):
    run = tmp_path / "run"
    interrupted(data, run)
    before = {path.name: path.read_bytes() for path in run.iterdir()}
    code = LIMITED.replace("PROGRAM", repr(PROGRAM.replace("EVERY", "0.0")))
    warm.start([data, run, "resume", *SMALL, "train.epochs=3"], tmp_path, os.environ, code)
    status = warm.wait()
    error = warm.paths["stderr"].read_text()
    assert status
    assert "cannot write" in error and "File too large" in error
    after = {path.name: path.read_bytes() for path in run.iterdir()}
    assert after.keys() == before.keys()
    assert all(after[name] == before[name] for name in (STATE, MODEL))
