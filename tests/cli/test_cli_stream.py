"""Long inputs: output that starts before the input ends, in bounded memory, the same rows as in memory."""

import os
import subprocess
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from conftest import AAE, environment

CHECKPOINT = Path(__file__).parents[1] / "checkpoints" / "format-1.safetensors"


def lines(count: int, seed: int = 0) -> list[str]:
    rows = np.random.default_rng(seed).normal(size=(1000, 3)).round(4).tolist()
    return [",".join(map(str, row)) for row in rows] * (count // 1000)


def start(cache: Path, *words: str, **options) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [*AAE, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(cache), **options
    )


@pytest.mark.parametrize("command", ["embed", "cluster", "classify"])
def test_output_starts_before_the_input_ends(command, cache):
    process = start(cache, command, "-", "-c", str(CHECKPOINT), "-q", stdin=subprocess.PIPE)
    text = ("\n".join(lines(100_000)) + "\n").encode()
    go_on = threading.Event()

    def feed():
        process.stdin.write(b"a,b,c\n" + text)
        process.stdin.flush()
        assert go_on.wait(60)
        process.stdin.write(text)
        process.stdin.close()

    feeder = threading.Thread(target=feed, daemon=True)
    feeder.start()
    assert process.stdout.readline()
    assert process.stdout.readline()
    assert feeder.is_alive()  # the input has not ended
    go_on.set()
    rest = process.stdout.read()
    assert process.wait(60) == 0, process.stderr.read()
    assert rest.count(b"\n") == 200_000 - 1


@pytest.mark.parametrize("command", ["embed", "cluster", "classify"])
def test_pieces_make_up_what_comes_in_memory(command, run, tmp_path):
    rows = lines(60_000)
    long = tmp_path / "long.csv"
    long.write_text("\n".join(["a,b,c", *rows]))
    got = run([command, long, "-c", CHECKPOINT], tmp_path).ok().out.splitlines()
    short = tmp_path / "short.csv"
    short.write_text("\n".join(["a,b,c", *rows[-1000:]]))
    expected = run([command, short, "-c", CHECKPOINT], tmp_path).ok().out.splitlines()
    assert len(got) == 60_001
    assert got[0] == expected[0]
    tail, last = got[-1000:], expected[1:]
    if command != "classify":
        assert [line.partition(",")[0] for line in tail] == [str(i) for i in range(59_000, 60_000)]
        tail, last = ([line.partition(",")[2] for line in part] for part in (tail, last))
    close = [np.array([cell for cell in line.split(",") if cell not in "xyz"], float) for line in (*tail, *last)]
    np.testing.assert_allclose(close[:1000], close[1000:], rtol=2e-4, atol=1e-5)


@pytest.mark.parametrize("suffix", ["csv", "parquet", "npy", "npz", "ndjson"])
def test_files_of_results_hold_all_pieces(suffix, run, tmp_path):
    from aae_cli import read

    long = tmp_path / "long.csv"
    long.write_text("\n".join(["a,b,c", *lines(60_000)]))
    out = tmp_path / f"out.{suffix}"
    run(["embed", long, "-c", CHECKPOINT, "-o", out], tmp_path).ok()
    if suffix == "npz":
        assert len(np.load(out)["z0"]) == 60_000
    elif suffix == "ndjson":
        assert len(out.read_text().splitlines()) == 60_000
    else:
        assert len(read(str(out))) == 60_000


def test_an_error_late_in_the_input_leaves_no_file(run, tmp_path):
    long = tmp_path / "long.csv"
    rows = lines(60_000)
    long.write_text("\n".join(["a,b,c", *rows[:50_000], "1,2", *rows[50_000:]]))
    out = tmp_path / "out.csv"
    run(["embed", long, "-c", CHECKPOINT, "-o", out], tmp_path).refused(1, "long.csv", "line 50002")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["long.csv"]


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads memory from /proc")
def test_memory_is_bounded(cache, tmp_path):
    path = tmp_path / "long.npy"
    array = np.lib.format.open_memmap(path, "w+", np.float32, (40_000_000, 3))  # 480 MB, a hole on most disks
    del array
    process = start(cache, "classify", str(path), "-c", str(CHECKPOINT), "-q")
    early = settled = late = 0.0
    rows, end = 0, time.monotonic() + 120
    assert process.stdout.readline()
    while (chunk := os.read(process.stdout.fileno(), 1 << 20)) and rows < 12_000_000 and time.monotonic() < end:
        rows += chunk.count(b"\n")
        late = high_water(process.pid)
        early = early or late
        if rows < 2_000_000:
            settled = late
    process.kill()
    process.wait()
    assert chunk  # it was still at work
    assert late - early < 300, f"grew from {early} to {late} MB"
    assert late - settled < 100, f"grew from {settled} MB at 2 million rows to {late} MB at {rows} rows"


def high_water(process: int) -> float:
    status = Path(f"/proc/{process}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024
