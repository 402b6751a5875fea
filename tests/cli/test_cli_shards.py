"""A folder of files in, a folder of results out, shared among processes."""

import os

import numpy as np
import polars as pl

from aae_cli import read


def write_shards(folder, digits_npz):
    folder.mkdir()
    x = read(str(digits_npz)).x.reshape(-1, 8, 8)
    for i, some in enumerate(np.array_split(x, 5)):
        np.savez(folder / f"part-{i}.npz", x=some)
    (folder / "notes.txt").write_text("not rows")
    return x


def listed(folder):
    return sorted(name for name in os.listdir(folder) if not name.startswith("."))


def test_each_file_gives_a_file_and_done_ones_are_skipped(run, ten_d, digits_npz, tmp_path):
    x = write_shards(tmp_path / "shards", digits_npz)
    words = ["embed", "shards", "-c", ten_d, "-o", "out/", "--format", "parquet"]
    first = run(words, tmp_path).ok()
    names = [f"part-{i}.parquet" for i in range(5)]
    assert listed(tmp_path / "out") == names and "5 files" in first.err
    whole = pl.concat([pl.read_parquet(tmp_path / "out" / name) for name in names])
    run(["embed", digits_npz, "-c", ten_d, "-o", "whole.parquet"], tmp_path).ok()
    expected = pl.read_parquet(tmp_path / "whole.parquet")
    assert len(whole) == len(x) and np.allclose(whole["x"], expected["x"], atol=1e-4)
    (tmp_path / "out" / names[2]).unlink()
    before = {name: os.stat(tmp_path / "out" / name).st_mtime_ns for name in names if name != names[2]}
    again = run(words, tmp_path).ok()
    assert "4 were there before" in again.err
    run([*words, "--dims", "all"], tmp_path).refused(2, "rows or options")
    (tmp_path / "others").mkdir()
    np.savez(tmp_path / "others" / "part-0.npz", x=x[:5])
    run([words[0], "others", *words[2:]], tmp_path).refused(2, "rows or options")
    assert before == {name: os.stat(tmp_path / "out" / name).st_mtime_ns for name in before}


def test_processes_share_whole_files(run, quick, tmp_path):
    (tmp_path / "shards").mkdir()
    for i, some in enumerate(np.array_split(read("mnist-mini:test").x.reshape(-1, 28, 28)[:60], 3)):
        np.savez(tmp_path / "shards" / f"{i}.npz", x=some)
    for rank, files in (("0", ["0.csv", "2.csv"]), ("1", ["0.csv", "1.csv", "2.csv"])):
        environment = {"RANK": rank, "WORLD_SIZE": "2", "LOCAL_RANK": rank}
        run(["cluster", "shards", "-c", quick, "-o", "out/"], tmp_path, **environment).ok()
        assert listed(tmp_path / "out") == files


def test_what_a_folder_of_results_needs(run, quick, tmp_path):
    (tmp_path / "shards").mkdir()
    run(["cluster", "shards", "-c", quick, "-o", "out/"], tmp_path).refused(1, "no files of rows")
    run(["embed", "shards", "-o", "out/"], tmp_path).refused(2, "-c")
    run(["embed", "shards", "-c", quick, "-o", "out/"], tmp_path).refused(2, "--dims all")
    (tmp_path / "rows").mkdir()
    (tmp_path / "rows" / "a.csv").write_text("x,y\n1,2\n")
    run(["cluster", "rows", "-c", quick, "-o", "out"], tmp_path).refused(1, "files of rows", "-o FOLDER/")
    run(["embed", "shards", "-c", quick, "-o", "out/", "--neighbours", "3"], tmp_path).refused(2, "all rows")
    run(["embed", "mnist-mini:test", "-c", quick, "-o", "out/"], tmp_path).refused(2, "folder of files")
    run(["cluster", "shards", "-c", quick, "-o", "out/", "--plot", "a.png"], tmp_path).refused(2, "--plot")
    run(["cluster", "shards", "-c", quick, "-o", "shards/"], tmp_path).refused(2, "another folder")
    for name in ("a.csv", "a.tsv.gz"):
        (tmp_path / "shards" / name).write_bytes(b"x,y\n1,2\n")
    run(["cluster", "shards", "-c", quick, "-o", "out/"], tmp_path).refused(1, "out/a.csv", "rename")
    assert not (tmp_path / "out").exists()


def test_files_that_cannot_be_read_are_left_out_and_said(run, ten_d, digits_npz, tmp_path):
    write_shards(tmp_path / "shards", digits_npz)
    (tmp_path / "shards" / "part-1.npz").write_bytes(b"damaged")
    done = run(["embed", "shards", "-c", ten_d, "-o", "out/"], tmp_path)
    assert done.code == 1 and "part-1.npz is left out" in done.err and "4 files in out" in done.err
    assert listed(tmp_path / "out") == [f"part-{i}.csv" for i in (0, 2, 3, 4)]
    np.savez(tmp_path / "shards" / "part-1.npz", x=read(str(digits_npz)).x[:9].reshape(-1, 8, 8))
    os.utime(tmp_path / "out" / "part-0.csv", (0, 0))
    again = run(["embed", "shards", "-c", ten_d, "-o", "out/", "--format", "csv"], tmp_path).ok()
    assert "3 were there before" in again.err, "a file that is newer than its results is done again"
