"""The lines that must work exactly as typed, streams, pipes and signals: the installed executable in a shell."""

import csv
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from conftest import AAE, SHORT_FITS, environment, small
from PIL import Image
from safetensors.numpy import load_file

TINY = " ".join(small("y", "z"))


@pytest.fixture(scope="module")
def user(tmp_path_factory, shell, iris_csv):
    """A folder in which a person typed the contract's lines; trainings are cut short, nothing else is changed."""
    folder = tmp_path_factory.mktemp("user")
    shell(f"aae train --preset clustering --epochs 1 {TINY} --set code.y.classes=60 > out 2> err", folder).ok()
    return folder


def test_train_prints_one_line_the_path(user):
    assert (user / "out").read_text() == "runs/clustering\n"
    err = (user / "err").read_text()
    assert "measured on 1000 test rows" in err
    assert "device: cpu" in err
    assert "\r" not in err, "no progress bar where stderr is no terminal"
    assert "\x1b" not in err


def test_a_machine_without_mnist_says_so_loudly_everywhere(user):
    assert any(line.startswith("WARNING") and "mnist-mini" in line for line in (user / "err").read_text().splitlines())
    run = user / "runs/clustering"
    assert "mnist-mini" in (run / "README.md").read_text()
    records = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert any("mnist can neither be found nor downloaded" in note for note in records[-1]["notes"])


def test_sample_label_style_grid_as_typed(user, shell):
    done = shell("aae sample --label 7 --style-grid", user).ok()
    path = done.out.removesuffix("\n")
    assert "\n" not in path
    assert path.endswith(".png")
    picture = Image.open(user / path)
    assert picture.width == picture.height >= 200
    assert np.asarray(picture).std() > 5
    assert "runs/clustering" in done.err, "which checkpoint was picked is said on stderr"


def test_embed_file_and_stdin_as_typed(user, shell, tmp_path):
    """With no 2-D run, embed fits dim-reduction on DATA itself, says so and keeps the run, which the next line finds."""
    random = np.random.default_rng(0)
    x = np.concatenate([random.normal(c, 0.3, (15, 3)) for c in (0.0, 3.0)]).astype(np.float32)
    np.savez(user / "data.npz", x=x)
    (tmp_path / "short.py").write_text(SHORT_FITS)
    (tmp_path / "aae").write_text(f'#!/bin/sh\nexec "{sys.executable}" "{tmp_path}/short.py" "$@"\n')
    (tmp_path / "aae").chmod(0o755)
    done = shell("aae embed data.npz -o 2d.csv", user, PATH=f"{tmp_path}{os.pathsep}{os.environ['PATH']}").ok()
    assert done.out == ""
    assert "dim-reduction" in done.err
    assert "runs/dim-reduction" in done.err
    rows = list(csv.DictReader((user / "2d.csv").open()))
    assert list(rows[0]) == ["id", "x", "y"]
    assert [row["id"] for row in rows] == [str(i) for i in range(30)]
    points = np.array([[float(row["x"]), float(row["y"])] for row in rows])
    distance = np.linalg.norm(points[:, None] - points, axis=-1) + np.diag([np.inf] * 30)
    same = (distance.argmin(1) < 15) == (np.arange(30) < 15)
    assert same.mean() > 0.9, "two groups that lie far apart in DATA are neighbours in the map"

    with (user / "data.csv").open("w") as file:
        csv.writer(file).writerows([["a", "b", "c"], *x[:20].tolist()])
    done = shell("set -o pipefail; cat data.csv | aae embed - --format csv | head -3", user).ok()
    assert "using runs/dim-reduction" in done.err
    lines = done.out.splitlines()
    assert len(lines) == 3
    assert lines[0] == "id,x,y"
    expected = [rows[0]["x"], rows[0]["y"]]
    assert np.allclose(np.float64(lines[1].split(",")[1:]), np.float64(expected), rtol=1e-4)


def test_train_sample_classify_pipe_as_typed(user, shell):
    line = (
        f"CKPT=$(aae train --preset semi-supervised -q --data mnist-mini --epochs 1 {TINY})"
        ' && aae sample -c "$CKPT" -n 500 -o - --format csv | aae classify - -c "$CKPT" | sort | uniq -c'
    )
    done = shell(f"set -o pipefail; {line}", user).ok()
    assert done.err == "", "-q is quiet"
    counts = {words[1]: int(words[0]) for line in done.out.splitlines() if (words := line.split())}
    assert counts.pop("label") == 1
    assert sum(counts.values()) == 500
    assert set(counts) <= {str(i) for i in range(10)}


@pytest.mark.parametrize("line", ["embed mnist-mini", "presets"])
def test_a_closed_pipe_ends_with_0(line, shell, quick):
    done = shell(f"aae {line} | head -1; echo ${{PIPESTATUS[0]}}", quick.parent, AAE_CHECKPOINT="quick")
    assert done.out.splitlines()[-1] == "0"
    assert "Traceback" not in done.err
    assert "Broken" not in done.err


def test_a_reader_that_never_reads_ends_with_0(shell, quick):
    done = shell("aae classify mnist-mini -c quick | true; echo ${PIPESTATUS[0]}", quick.parent)
    assert done.out == "0\n"
    assert "Traceback" not in done.err


def test_a_closed_stderr_does_not_stop_a_training(shell, tmp_path):
    """`aae train 2>&1 | head` and the like: nobody reads on, but the run is finished and saved."""
    train = f"aae train -p gaussian --data digits --epochs 1 {' '.join(small('z'))} -v"
    script = f"unset PYTHONUNBUFFERED; {train} 2> >(head -1 >/dev/null) > out; echo $?"
    done = shell(script, tmp_path)
    assert done.out == "0\n"
    assert (tmp_path / "out").read_text() == "runs/gaussian\n"
    assert (tmp_path / "runs/gaussian/model.safetensors").is_file()


def test_results_for_a_closed_stdout_are_refused(shell, quick, tmp_path):
    closed = shell(f"aae cluster mnist-mini:test -c {quick} >&-", tmp_path)
    closed.refused(1, "stdout is closed", "-o FILE")


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_files_are_written_whatever_streams_are_closed(closed, shell, quick, tmp_path):
    done = shell(f"aae cluster mnist-mini:test -c {quick} -o out.csv {closed}", tmp_path)
    assert done.code == 0
    lines = (tmp_path / "out.csv").read_text().splitlines()
    assert lines[0].startswith("id,cluster") and len(lines) == 1001


def test_errors_do_not_turn_to_stdout_where_stderr_is_closed(shell, quick, tmp_path):
    done = shell(f"aae cluster nowhere.csv -c {quick} 2>&-", tmp_path)
    assert (done.code, done.out, done.err) == (1, "", "")


def test_characters_that_a_locale_lacks_are_replaced(shell, quick, tmp_path):
    done = shell(f"aae info -c {quick}", tmp_path, PYTHONUTF8="0", PYTHONIOENCODING="ascii:strict").ok()
    assert "image 1 ? 28 ? 28" in done.out


def test_help_and_version_are_fast_and_import_no_torch(shell, tmp_path):
    done = shell("aae --help && aae train -h >/dev/null && aae --version", tmp_path).ok()
    for command in ("train", "sample", "embed", "cluster", "classify", "evaluate", "presets", "info"):
        assert f"\n  {command} " in done.out
    assert done.out.splitlines()[-1].split() == ["aae", "0.1.0"]
    code = (
        "import sys; sys.argv = ['aae', *sys.argv[1:]]\nfrom aae_cli.cli import main\ntry: main()\nexcept SystemExit: pass\n"
        "print([m for m in ('torch', 'sklearn', 'polars', 'matplotlib', 'scipy') if m in sys.modules])"
    )
    for args in (["--help"], ["presets"], ["train", "--set", "encoder.hiden=[3]"]):
        out = subprocess.run([sys.executable, "-c", code, *args], capture_output=True, text=True).stdout
        assert out.splitlines()[-1] == "[]", f"aae {args} imports {out.splitlines()[-1]}"


def test_no_arguments_and_wrong_words_exit_with_2(shell, tmp_path):
    for line in (
        "aae",
        "aae trian",
        "aae train --bogus",
        "aae sample -n 0",
        "aae sample -n x",
        "aae embed",
        "aae train --device tpu",
    ):
        done = shell(line, tmp_path)
        assert done.code == 2, line
        assert "Traceback" not in done.err


# --- signals ----------------------------------------------------------------------------------------------------------

LONG = [
    "train",
    "-p",
    "quick",
    "--data",
    "digits",
    "--epochs",
    "120",
    "--seed",
    "3",
    *small("y", "z", width=24),
    "-o",
    "long",
]


def start(args, folder, cache):
    return subprocess.Popen(
        [*AAE, *args],
        cwd=folder,
        env=environment(cache),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def stop_when(process, ready, number, wait=60.0):
    """Send a signal once ready() holds; (exit code, stdout, stderr)."""
    end = time.monotonic() + wait
    while not ready():
        assert process.poll() is None, f"ended too early: {process.stderr.read()}"
        assert time.monotonic() < end
        time.sleep(0.02)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def lines_of(file):
    return file.read_text().splitlines() if file.is_file() else []


def test_interrupted_twice_and_resumed_equals_uninterrupted(tmp_path, cache, run, warm):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    whole.mkdir()
    parts.mkdir()
    run(LONG, whole).ok()
    metrics, state = parts / "long/metrics.jsonl", parts / "long/state.safetensors"

    code, out, err = stop_when(start(LONG, parts, cache), lambda: len(lines_of(metrics)) >= 1, signal.SIGINT)
    assert code == 130
    assert out == ""
    assert "Traceback" not in err
    assert "--resume" in err.strip().splitlines()[-1]
    assert state.is_file(), "the state is saved first"

    warm.start([*LONG, "--resume"], parts, environment(cache))
    end = time.monotonic() + 60
    while "resuming long at step" not in warm.paths["stderr"].read_text():
        assert warm.running and time.monotonic() < end
        time.sleep(0.01)
    code = warm.stop(signal.SIGTERM)
    out, err = (warm.paths[stream].read_text() for stream in ("stdout", "stderr"))
    assert code == 143
    assert out == ""
    assert "Traceback" not in err
    assert not any(json.loads(line).get("final") for line in lines_of(metrics))
    info = run(["info", "-c", "long", "--json"], parts).ok()
    assert json.loads(info.out)["finished"] is False

    done = run([*LONG, "--resume"], parts).ok()
    assert done.out == "long\n"
    a, b = load_file(whole / "long/model.safetensors"), load_file(parts / "long/model.safetensors")
    assert a.keys() == b.keys()
    for name in a:
        assert a[name].tobytes() == b[name].tobytes(), f"{name} differs after --resume"
    ours, theirs = ([json.loads(line) for line in lines_of(f / "long/metrics.jsonl")] for f in (whole, parts))
    assert [r["step"] for r in theirs] == sorted(r["step"] for r in theirs)
    measured = {key: value for key, value in ours[-1].items() if key.startswith("eval.")}
    assert measured == {key: theirs[-1][key] for key in measured}
    assert theirs[-1]["final"] is True
    assert sum("final" in r for r in theirs) == 1


def test_stopped_while_measuring_can_be_finished_with_resume(tmp_path, cache, run):
    """Between the last step and the end of the evaluation there is a state, so --resume must get to a finished run."""
    args = ["train", "-p", "quick", "--data", "mnist-mini", "--epochs", "1", *small("y", "z"), "-o", "out"]
    process = start(args, tmp_path, cache)
    for line in process.stderr:
        if line.startswith("measuring on"):
            break
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 143
    assert (tmp_path / "out/state.safetensors").is_file()
    done = run([*args, "--resume"], tmp_path)
    assert done.code == 0, done.err
    assert json.loads(run(["info", "-c", "out", "--json"], tmp_path).ok().out)["finished"] is True


# --- a terminal -------------------------------------------------------------------------------------------------------


def on_terminal(run, args, cwd, **env):
    """Standard output and error of a command on a pseudo-terminal."""
    import pty
    import threading

    master, slave = pty.openpty()
    name, seen = os.ttyname(slave), []

    def read():
        while True:
            try:
                content = os.read(master, 65536)
            except OSError:
                return
            if not content:
                return
            seen.append(content)

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    done = run(args, cwd, stdout=name, stderr=name, TERM="xterm-256color", COLUMNS="100", **env)
    os.close(slave)
    thread.join(5)
    os.close(master)
    return done, b"".join(seen).decode(errors="replace")


def test_terminal_shows_a_bar_and_a_preview(run, tmp_path, quick):
    args = ["train", "-p", "quick", "--data", "digits", "--epochs", "3", *small("y", "z"), "-o", "bar"]
    done, text = on_terminal(run, args, tmp_path)
    assert done.code == 0, text
    assert "\x1b[" in text, "a progress bar"
    assert "Traceback" not in text
    done, text = on_terminal(run, ["sample", "-c", quick, "-n", "20"], tmp_path)
    assert done.code == 0, text
    assert "samples.png" in text
    assert "▀" in text, "a small preview"


def test_no_color_is_obeyed(run, tmp_path, quick):
    done, text = on_terminal(run, ["sample", "-c", quick, "-n", "20"], tmp_path, NO_COLOR="1")
    assert done.code == 0, text
    assert not any(code in text for code in ("\x1b[38", "\x1b[48", "\x1b[3", "\x1b[4"))


def test_binary_output_is_not_thrown_at_a_terminal(run, tmp_path, quick):
    done, text = on_terminal(run, ["sample", "-c", quick, "-o", "-", "--format", "npz"], tmp_path)
    assert done.code == 2
    assert "PK" not in text


def test_version_with_what_bug_reports_need(run, tmp_path):
    brief, long = run(["--version"], tmp_path).ok(), run(["--version", "--verbose"], tmp_path).ok()
    assert brief.out.splitlines() == long.out.splitlines()[:1]
    told = dict(line.split(maxsplit=1) for line in long.out.splitlines())
    assert {"python", "platform", "torch", "polars", "device"} <= told.keys()
    assert run(["--verbose", "--version"], tmp_path).ok().out == long.out
