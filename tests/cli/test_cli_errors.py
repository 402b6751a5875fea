"""Bad inputs: one line that says what, where and what to try; no traceback, nothing left half-written."""

import io
import json
import os
import pickle
import shutil
import zipfile

import numpy as np
import pytest
from conftest import left_behind, small
from safetensors import safe_open
from safetensors.numpy import load_file, save_file


class Trap:
    """Makes a file when unpickled."""

    def __reduce__(self):
        return (os.system, ("touch pwned",))


def npz_of(array_bytes):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("x.npy", array_bytes)
    return buffer.getvalue()


def npy_of(array, **options):
    buffer = io.BytesIO()
    np.save(buffer, array, **options)
    return buffer.getvalue()


PIXELS = np.random.default_rng(0).integers(0, 17, (20, 8, 8))
PICKLED = npy_of(np.array([Trap()], dtype=object), allow_pickle=True)
NAN = np.full((5, 8, 8), np.nan, np.float32)

FILES = {
    "pickle.npy": (PICKLED, ["pickle"]),
    "pickle.npz": (npz_of(PICKLED), ["pickle"]),
    "raw.npz": (pickle.dumps(Trap()), ["raw.npz", "pickle"]),
    "data.pkl": (pickle.dumps(Trap()), ["pickle"]),
    "cut.npy": (npy_of(PIXELS)[:-50], ["cut.npy", "cut short"]),
    "cut.npz": (npz_of(npy_of(PIXELS))[:-50], ["cut.npz"]),
    "other.npz": (npz_of(npy_of(PIXELS)).replace(b"x.npy", b"q.npy"), ["other.npz", "q", "file.npz[key]"]),
    "nan.npy": (npy_of(NAN), ["nan.npy", "NaN", "row 0 (counted from 0)"]),
    "shape.npy": (npy_of(np.zeros((5, 9, 9), np.uint8)), ["9, 9", "8, 8"]),
    "flat.npy": (npy_of(np.zeros(64)), ["flat.npy", "shape"]),
    "five.npy": (npy_of(np.zeros((2, 2, 2, 2, 2))), ["five.npy", "shape"]),
    "none.npy": (npy_of(np.zeros((0, 8, 8))), ["none.npy", "no rows"]),
    "text.npy": (npy_of(np.array([["a"] * 64])), ["text.npy", "numbers"]),
    "complex.npy": (npy_of(np.zeros((2, 64), complex)), ["complex.npy", "numbers"]),
    "range.npy": (npy_of(PIXELS * 15), ["range.npy", "0..16"]),
    "unit.npy": (npy_of((PIXELS / 16).astype(np.float32)), ["unit.npy", "[0, 1]", "0..16"]),
    "negative.npy": (npy_of(PIXELS - 3), ["negative.npy", "0..16"]),
    "fraction.npy": (npy_of(PIXELS / 3), ["fraction.npy", "0..16"]),
    "empty.csv": (b"", ["empty.csv", "empty"]),
    "blank.csv": (b"\n\n", ["blank.csv", "empty"]),
    "header.csv": (b"a,b,c\n", ["header.csv", "no rows"]),
    "binary.csv": (bytes(range(256)), ["binary.csv", "binary"]),
    "cut.csv.gz": (b"\x1f\x8b\x08\x00\x00", ["cut.csv.gz"]),
    "bad.parquet": (b"PAR1nonsensePAR1", ["bad.parquet"]),
    "bad.png": (b"\x89PNG\r\n\x1a\nnonsense", ["bad.png"]),
    "no-suffix": (b"1,2\n", ["no-suffix", "--format"]),
    "train-images-idx3-ubyte": (b"\0\0\x08\x03\0\0\0\x09", ["idx"]),
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_data_is_refused(run, gaussian, tmp_path, name):
    content, words = FILES[name]
    (tmp_path / name).write_bytes(content)
    before = left_behind(tmp_path)
    run(["embed", name, "-c", gaussian, "-o", "out.csv"], tmp_path).refused(1, *words)
    assert left_behind(tmp_path) == before, "nothing is left behind, and no pickle ran"


TABLES = {
    "ragged.csv": (b"a,b,c\n1,2,3\n4,5\n7,8,9\n", ["ragged.csv"]),
    "long.csv": (b"a,b,c\n1,2,3\n4,5,6,7\n7,8,9\n", ["long.csv", "line 3"]),
    "unlabelled.csv": (b"a,b,label\n1,2,x\n4,5\n7,8,y\n3,3,y\n", ["unlabelled.csv", "line 3"]),
    "holes.csv": (b"a,b\n,NA\n,nan\n", ["holes.csv", "no columns that can be used", "empty"]),
    "inf.csv": (b"a,b\n1,2\n3,inf\n", ["inf.csv", "row 1", "b"]),
    "latin.csv": ("a,b\n1,2\n3,é\n".encode("latin-1"), ["latin.csv", "line 3", "UTF-8"]),
    "twice.csv": (b"a,a\n1,2\n", ["twice.csv", "a"]),
    "one.csv": (b"a,b\n1,2\n", ["row"]),
    "labels.csv": (b"label\nx\ny\n", ["labels.csv", "feature"]),
}


@pytest.mark.parametrize("name", TABLES)
def test_tables_are_refused(run, tmp_path, name):
    content, words = TABLES[name]
    (tmp_path / name).write_bytes(content)
    run(["train", "-p", "gaussian", "--data", name, "--epochs", "1"], tmp_path).refused(1, *words)
    run(["embed", "-", "--format", "csv"], tmp_path, stdin=content, seconds=5).refused(1, *words[1:])
    assert left_behind(tmp_path) == [name]


@pytest.mark.parametrize("name", ["pickle.npz", "nan.npy", "header.csv", "none.npy", "raw.npz"])
def test_data_is_refused_by_train(run, tmp_path, name):
    content, words = FILES[name]
    (tmp_path / name).write_bytes(content)
    run(["train", "-p", "gaussian", "--data", name, "--epochs", "1"], tmp_path).refused(1, *words)
    assert left_behind(tmp_path) == [name]


def test_missing_data(run, gaussian, tmp_path):
    run(["embed", "no/such.npz", "-c", gaussian], tmp_path).refused(1, "no/such.npz")
    run(["embed", "mnits-mini", "-c", gaussian], tmp_path).refused(1, "mnits-mini", "did you mean mnist-mini")
    run(["embed", "digits:val", "-c", gaussian], tmp_path).refused(1, "digits", "val")
    run(["embed", "digits.npz[q]", "-c", gaussian], tmp_path).refused(1, "digits.npz")
    run(["embed", "", "-c", gaussian], tmp_path).refused(1)
    run(["embed", "-", "-c", gaussian], tmp_path).refused(1, "stdin", "empty")
    run(["train", "-p", "gaussian", "--data", "svhn"], tmp_path).refused(1, "svhn", "AAE_DATA_DIR")
    run(["embed", "mnist", "-c", gaussian], tmp_path, AAE_DATA_DIR="nowhere").refused(1, "AAE_DATA_DIR", "nowhere")


def test_wrong_columns(run, iris, tmp_path):
    (tmp_path / "few.csv").write_text("sepal length (cm),petals\n1,2\n")
    run(["cluster", "few.csv", "-c", iris], tmp_path).refused(1, "few.csv", "sepal width (cm)")
    run(["cluster", "few.csv", "-c", iris, "--label-column", "kind"], tmp_path).refused(1, "few.csv", "kind")


def test_labels_that_do_not_fit(run, semi, quick, tmp_path):
    np.savez(tmp_path / "l.npz", x=np.zeros((6, 28, 28), np.uint8), y=np.array([0, 1, 2, 3, 4, 77]))
    run(["evaluate", "l.npz", "-c", semi], tmp_path).refused(1, "77", "class")
    np.savez(tmp_path / "n.npz", x=np.zeros((6, 28, 28), np.uint8), y=np.zeros(5, int))
    run(["cluster", "n.npz", "-c", quick], tmp_path).refused(1, "n.npz", "6 rows")
    np.savez(tmp_path / "u.npz", x=np.zeros((40, 8, 8), np.uint8))
    run(["train", "-p", "semi-supervised", "--data", "u.npz"], tmp_path).refused(1, "labels")
    run(["train", "-p", "semi-supervised", "--data", "digits", "--labels", "5"], tmp_path).refused(1, "5", "10")
    prices = "".join(f"{i % 7},{i % 5},{1000 + i}\n" for i in range(150))
    (tmp_path / "houses.csv").write_text(f"rooms,floors,price\n{prices}")
    args = ["train", "-p", "semi-supervised", "--data", "houses.csv", "--label-column", "price"]
    for labels in ([], ["--labels", "all"]):
        words = ("houses.csv", "'price'", "150 different numbers", "classes", "--label-column", "--preset clustering")
        run([*args, *labels], tmp_path).refused(1, *words)
    assert not (tmp_path / "runs").exists()


# --- checkpoints ------------------------------------------------------------------------------------------------------


def test_checkpoints_are_refused(run, gaussian, tmp_path):
    model = gaussian / "model.safetensors"
    raw, tensors = model.read_bytes(), load_file(model)
    with safe_open(model, "numpy") as file:
        header = json.loads(file.metadata()["aae"])
    cases = {
        "cut.safetensors": raw[:-100],
        "head.safetensors": raw[:40],
        "zero.safetensors": b"",
        "text.safetensors": b"hello" * 9,
    }
    for name, content in cases.items():
        (tmp_path / name).write_bytes(content)
        run(["sample", "-c", name], tmp_path).refused(1, name)
        run(["info", "-c", name], tmp_path).refused(1, name)
    (tmp_path / "p.safetensors").write_bytes(pickle.dumps(Trap()))
    run(["sample", "-c", "p.safetensors"], tmp_path).refused(1, "p.safetensors")
    save_file(tensors, tmp_path / "foreign.safetensors")
    run(["sample", "-c", "foreign.safetensors"], tmp_path).refused(1, "foreign.safetensors", "aae")
    for name, change, word in (
        ("new", {"format": 99}, "upgrade"),
        ("odd", {"schema": {"kind": "image"}}, "odd"),
        ("config", {"config": {**header["config"], "surprise": 1}}, "surprise"),
        ("list", {"config": []}, "list"),
    ):
        save_file(tensors, tmp_path / f"{name}.safetensors", metadata={"aae": json.dumps({**header, **change})})
        run(["sample", "-c", f"{name}.safetensors"], tmp_path).refused(1, word)
    fewer = {name: value for i, (name, value) in enumerate(tensors.items()) if i}
    save_file(fewer, tmp_path / "fewer.safetensors", metadata={"aae": json.dumps(header)})
    run(["sample", "-c", "fewer.safetensors"], tmp_path).refused(1, "fewer.safetensors")
    run(["sample", "-c", "nowhere"], tmp_path).refused(1, "nowhere")
    run(["sample", "-c", tmp_path], tmp_path).refused(1, "model.safetensors")
    assert not (tmp_path / "pwned").exists()
    assert not list(tmp_path.glob("*.png"))


def test_a_damaged_state_is_refused_and_the_run_stays(run, tmp_path):
    args = ["train", "-p", "gaussian", "--data", "digits", "--epochs", "1", *small("z", width=8), "-o", "out"]
    run(args, tmp_path).ok()
    state, model = tmp_path / "out/state.safetensors", tmp_path / "out/model.safetensors"
    state.write_bytes(state.read_bytes()[:-100])
    before = model.read_bytes()
    more = [word if word != "1" else "3" for word in args]
    run([*more, "--resume"], tmp_path).refused(1, "state.safetensors")
    assert model.read_bytes() == before


def test_damaged_runs_are_passed_over(run, gaussian, tmp_path):
    shutil.copytree(gaussian, tmp_path / "runs/good")
    (tmp_path / "runs/bad").mkdir()
    (tmp_path / "runs/bad/model.safetensors").write_bytes(b"nonsense")
    assert "runs/good" in run(["info"], tmp_path).ok().err


# --- what cannot be done, and outputs ---------------------------------------------------------------------------------


def test_models_that_cannot(run, gaussian, supervised, quick, tmp_path):
    run(["classify", "digits:test", "-c", gaussian], tmp_path).refused(1, "gaussian", "classify", "semi-supervised")
    run(["cluster", "digits:test", "-c", gaussian], tmp_path).refused(1, "gaussian", "clustering")
    run(["cluster", "digits:test", "-c", supervised], tmp_path).refused(1, "supervised", "clustering")
    run(["embed", "digits:test", "-c", quick], tmp_path).refused(1, "8, 8", "28, 28")


def test_outputs_that_cannot_be_written(run, gaussian, tmp_path):
    embed = ["embed", "digits:test", "-c", gaussian]
    (tmp_path / "folder").mkdir()
    run([*embed, "-o", "no/such/e.csv"], tmp_path).refused(1, "no/such")
    run([*embed, "-o", "folder"], tmp_path).refused(1, "folder")
    run([*embed, "-o", "e.xyz"], tmp_path).refused(2, ".xyz", "csv")
    run([*embed, "-o", "e.png"], tmp_path).refused(2, ".png", "csv")
    run([*embed, "--format", "xml"], tmp_path).refused(2, "xml", "csv")
    run([*embed, "--plot", "no/such/p.png"], tmp_path).refused(1, "no/such")
    run([*embed, "--plot", "p.csv"], tmp_path).refused(2, "p.csv", "png")
    run([*embed, "-o", "/dev/full"], tmp_path).refused(1, "/dev/full")
    done = run(embed, tmp_path, stdout="/dev/full")
    assert done.code == 1
    assert "space" in done.err
    assert "unexpected" not in done.err
    assert left_behind(tmp_path) == ["folder"]


def test_an_old_result_survives_a_failure(run, gaussian, tmp_path):
    (tmp_path / "e.csv").write_text("old\n")
    np.save(tmp_path / "bad.npy", NAN)
    run(["embed", "bad.npy", "-c", gaussian, "-o", "e.csv"], tmp_path).refused(1, "NaN")
    assert (tmp_path / "e.csv").read_text() == "old\n"
    run(["embed", "digits:test", "-c", gaussian, "-o", "e.csv"], tmp_path).ok()
    assert (tmp_path / "e.csv").read_text().startswith("id,label,x,y\n")
    assert left_behind(tmp_path) == ["bad.npy", "e.csv"]


def test_debug_shows_a_traceback(run, tmp_path):
    done = run(["train", "-p", "gaussian", "--data", "nowhere.npz", "--debug"], tmp_path)
    assert done.code == 1
    assert "Traceback" in done.err


def test_text_from_files_does_not_steer_the_terminal(run, tmp_path, gaussian):
    (tmp_path / "evil.csv").write_bytes(b"a,\x1b[31mred\n1,x\n2,y\n")
    done = run(["embed", "evil.csv", "-c", gaussian], tmp_path)
    assert done.code == 1
    assert "\x1b" not in done.err


def test_a_loss_that_explodes_is_said_with_its_name(run, tmp_path):
    args = ["train", "-p", "paper/gaussian", "--data", "digits", "--epochs", "3", *small("z", width=8), "-o", "out"]
    done = run([*args, "--set", "phases.reconstruction.optimizer.lr=1e20"], tmp_path)
    done.refused(1, "loss", "finite", "learning rate")
    assert not (tmp_path / "out/model.safetensors").exists()


def test_completion_offers_commands(shell, tmp_path):
    done = shell("COMP_WORDS='aae cl' COMP_CWORD=1 _AAE_COMPLETE=complete_bash aae", tmp_path).ok()
    assert done.out.split() == ["cluster", "classify"]


def test_help_ends_with_examples_and_has_groups(run, tmp_path):
    text = run(["train", "--help"], tmp_path).ok().out
    heads = [line for line in text.splitlines() if line.endswith(":") and not line.startswith(" ")]
    assert heads == ["Data:", "Model:", "Output:", "Run:", "Examples:"]
    assert text.rstrip().splitlines()[-1].startswith("  aae train ")
    assert "\x1b" not in text


def test_presets_print_the_rules_for_their_automatic_keys(run, tmp_path):
    text = run(["presets", "dim-reduction", "--auto"], tmp_path).ok().out
    assert "phases.pretraining\n    for images, but not for labels of images in colour; not for tables." in text
    run(["presets", "--auto"], tmp_path).refused(2, "--auto", "name it")


def test_an_output_that_is_an_input_is_refused_and_unharmed(run, dim_reduction, digits_npz, tmp_path):
    data, link = tmp_path / "x.npz", tmp_path / "link.csv"
    data.write_bytes(digits_npz.read_bytes())
    link.symlink_to(data)
    checkpoint = dim_reduction / "model.safetensors"
    before = checkpoint.read_bytes()
    for output in (data, link):
        run(["embed", "x.npz", "-c", dim_reduction, "-o", output], tmp_path).refused(2, str(output), "being read")
        run(["embed", "x.npz[x]", "-c", dim_reduction, "-o", output], tmp_path).refused(2, "being read")
    run(["embed", "x.npz", "-c", dim_reduction, "-o", "a.csv", "--plot", data], tmp_path).refused(2)
    for command in (["embed", "x.npz"], ["sample"]):
        done = run([*command, "-c", dim_reduction, "-o", checkpoint, "--format", "npz"], tmp_path)
        done.refused(2, "being read")
    assert data.read_bytes() == digits_npz.read_bytes()
    assert checkpoint.read_bytes() == before
