"""``aae export`` from the shell."""

import pytest


def test_export_prints_what_it_writes(run, quick, tmp_path):
    done = run(["export", "-c", quick, "-o", "m.pt2"], tmp_path).ok()
    assert done.out.split() == ["m.pt2", "m.decoder.pt2"]
    assert {path.name for path in tmp_path.iterdir()} == {"m.pt2", "m.decoder.pt2"}
    run(["export", "-c", quick, "-o", "m.h5"], tmp_path).refused(2, ".onnx or .pt2")
    run(["export", "-c", quick, "-o", "no/m.pt2"], tmp_path).refused(1, "no/m.pt2")


def test_exporting_a_table_to_onnx_prints_no_words_of_the_exporter(run, tmp_path):
    pytest.importorskip("onnxscript", reason="needs the extra onnx")
    run(["train", "--preset", "table", "--data", "penguins", "--epochs", "1", "-o", "run"], tmp_path).ok()
    done = run(["export", "-c", "run", "-o", "m.onnx"], tmp_path).ok()
    assert done.err == "" and done.out.split() == ["m.onnx", "m.decoder.onnx", "m.columns.json"]


def test_an_export_is_whole_or_not_there(run, quick, tmp_path):
    (tmp_path / "m.pt2").write_text("old")
    (tmp_path / "m.decoder.pt2").mkdir()
    run(["export", "-c", quick, "-o", "m.pt2"], tmp_path).refused(1, "m.decoder.pt2 is a folder")
    assert (tmp_path / "m.pt2").read_text() == "old" and len(list(tmp_path.iterdir())) == 2
