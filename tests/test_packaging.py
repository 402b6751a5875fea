"""The wheel holds what a user needs; importing and asking for help stay light; one copy of the package is tested."""

import os
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

import aae_cli

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return next(folder.glob("*.whl"))


def test_the_wheel_holds_presets_and_bundled_data(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    ours = {path.relative_to(ROOT / "presets").as_posix() for path in (ROOT / "presets").rglob("*.yaml")}
    assert len(ours) == 33
    assert {f"aae_cli/presets/{name}" for name in ours} <= names
    assert {"aae_cli/data/mnist_mini.npz", "aae_cli/data/MNIST_MINI.md"} <= names
    assert {"aae_cli/data/penguins.csv", "aae_cli/data/PENGUINS.md"} <= names
    assert wheel.stat().st_size < 1_500_000


def test_the_installed_wheel_finds_its_presets(wheel, tmp_path):
    """Installed alone in a new environment that borrows only the dependencies of this one."""
    venv.create(tmp_path / "venv", with_pip=False)
    home = next((tmp_path / "venv").glob("lib/python*/site-packages"))
    zipfile.ZipFile(wheel).extractall(home)
    borrowed = Path(__import__("yaml").__file__).parent.parent
    (home / "borrowed.pth").write_text(f"{borrowed}\n")
    code = "import aae_cli, aae_cli.config.presets as c; print(aae_cli.__file__); print(len(c.preset_names()))"
    python = tmp_path / "venv" / "bin" / "python"
    done = subprocess.run([python, "-E", "-c", code], capture_output=True, text=True, cwd=tmp_path)
    where, count = done.stdout.split()
    assert Path(where).is_relative_to(tmp_path / "venv")
    assert count == "33"


@pytest.mark.parametrize("arguments", [["--help"], ["train", "--help"], ["presets"], ["train", "--preset", "nothing"]])
def test_light_commands_do_not_import_torch(arguments):
    code = (
        "import sys; sys.argv = ['aae', *sys.argv[1:]]\n"
        "from aae_cli.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "heavy = {'torch', 'polars', 'sklearn', 'matplotlib', 'rich'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


AAE = shutil.which("aae", path=Path(sys.executable).parent) or "aae"


@pytest.mark.parametrize("words", [[AAE], [sys.executable, "-m", "aae_cli"], [sys.executable, "-c", "import aae_cli"]])
def test_commands_import_the_package_that_the_tests_import(words):
    """However the tests were started, and though the commands are started in the checkout."""
    environment = {**os.environ, "PYTHONVERBOSE": "1"}
    done = subprocess.run([*words, "--version"], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert f" {aae_cli.__file__}\n" in done.stderr, "another copy is imported"


def test_the_top_level_holds_nothing_else():
    tracked = subprocess.run(["git", "ls-tree", "--name-only", "HEAD"], cwd=ROOT, capture_output=True, text=True)
    if tracked.returncode != 0:
        pytest.skip("not a git checkout")
    visible = {name for name in tracked.stdout.split() if not name.startswith(".")}
    assert visible == {"pyproject.toml", "README.md", "aae_cli", "presets", "tests", "examples", "CHANGELOG.md"}


def test_the_public_names_are_listed_without_being_imported():
    code = "import sys, aae_cli; assert set(aae_cli.__all__) <= set(dir(aae_cli)); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
