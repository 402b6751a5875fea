"""Progress for people: where a training is, how long it takes, and what its losses mean."""

import pytest

from aae_cli.output import reporter
from aae_cli.output.losses import MEANINGS, legend, losses_line, sparkline
from aae_cli.output.reporter import PlainReporter, duration


@pytest.fixture
def clock(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(reporter.time, "monotonic", lambda: now[0])
    return now


def record(step, **losses):
    return {"step": step, "epoch": step / 10, "samples_per_s": 5000.4, "loss.reconstruction": 12.34, **losses}


def test_a_plain_line_has_the_step_the_time_left_and_the_losses(clock, capsys):
    plain = PlainReporter()
    plain.start("t", 540, 0)
    clock[0] += 20
    plain.log(record(40), 540)
    clock[0] += 1
    plain.log(record(41), 540)  # too soon for another line
    clock[0] += 60
    plain.log(record(270, **{"loss.regularisation.z.generator": 0.7}), 540)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("losses") and MEANINGS["reconstruction"] in lines[0]
    assert lines[1] == "step 40 of 540  4 min left  epoch 4  5000 rows/s  reconstruction 12.3"
    assert MEANINGS["generator"] in lines[2] and "reconstruction" not in lines[2]  # explained once
    assert lines[3].startswith("step 270 of 540  81 s left") and lines[3].endswith("generator(z) 0.7")
    assert len(lines) == 4
    plain.log(record(540), 540)
    assert " left" not in capsys.readouterr().err


def test_time_left_counts_from_where_a_run_was_resumed(clock, capsys):
    plain = PlainReporter()
    plain.start("t", 200, 100)
    clock[0] += 50
    plain.log(record(150), 200)
    assert "  50 s left  " in capsys.readouterr().err


def test_losses_have_plain_names():
    keys = ["regularisation.y.discriminator", "semi_supervised", "consistency"]
    line = losses_line({"step": 1, **{f"loss.{key}": 1.0 for key in keys}, "loss.heads": None})
    assert line == "labels 1  consistency 1  discriminator(y) 1"  # what matters most is first
    assert legend(set()) == legend({"another"}) == ""


def test_losses_are_drawn_as_sparklines():
    assert sparkline([3, 2, 1, 0]) == "█▆▃▁" and sparkline([5.0] * 3) == "▁▁▁" and sparkline([]) == ""
    assert sparkline([*range(80)]) == "▁▂▃▄▅▆▇█", "each bar is a mean"
    line = losses_line({"loss.reconstruction": 2.0, "loss.consistency": 1.0}, {"loss.reconstruction": [8.0, 2.0]})
    assert line == "reconstruction 2 █▁  consistency 1"


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.2, "1 s"), (89, "89 s"), (100, "2 min"), (3599, "1 h 0 min"), (7500, "2 h 5 min")]
)
def test_durations(seconds, words):
    assert duration(seconds) == words
