"""``aae export`` from the shell."""


def test_export_prints_what_it_writes(run, quick, tmp_path):
    done = run(["export", "-c", quick, "-o", "m.pt2"], tmp_path).ok()
    assert done.out.split() == ["m.pt2", "m.decoder.pt2"]
    assert {path.name for path in tmp_path.iterdir()} == {"m.pt2", "m.decoder.pt2"}
    run(["export", "-c", quick, "-o", "m.h5"], tmp_path).refused(2, ".onnx or .pt2")
    run(["export", "-c", quick, "-o", "no/m.pt2"], tmp_path).refused(1, "no/m.pt2")
