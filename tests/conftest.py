"""What holds for every test: the installed package is tested, on one thread. And what takes long is made once."""

import os
import sys
from pathlib import Path

import pytest

# Tiny models gain nothing from threads, and on a busy machine threads that wait for each other cost much.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# ``python -m`` and ``python -c`` put the working directory first in sys.path, so that a test run from the checkout would
# test the checkout, while ``pytest`` and ``aae`` use the installed package. Remove that entry here and in subprocesses.
# Entries of PYTHONPATH stay, and so does that of an editable install, which comes after the standard library.
CHECKOUT = Path(__file__).resolve().parent.parent
os.environ.setdefault("PYTHONSAFEPATH", "1")
for entry in sys.path[: sys.path.index(str(Path(os.__file__).parent))]:
    if Path(entry).resolve() == CHECKOUT and entry not in os.environ.get("PYTHONPATH", "").split(os.pathsep):
        sys.path.remove(entry)


@pytest.fixture(scope="session")
def warm(tmp_path_factory):
    """A process that has imported torch already, for commands in forks of it."""
    from warm import Warm

    server = Warm(tmp_path_factory.mktemp("streams"))
    yield server
    server.close()


@pytest.fixture(scope="session")
def semi(tmp_path_factory):
    from fitting import fit

    folder = tmp_path_factory.mktemp("semi") / "run"
    return fit("semi-supervised", "digits", folder, "train.epochs=20")


@pytest.fixture(scope="session")
def table(tmp_path_factory):
    from fitting import blobs, fit

    folder = tmp_path_factory.mktemp("table") / "run"
    return fit("clustering", blobs(), folder, "code.y.classes=3", "train.epochs=100", "data.validation=0")


@pytest.fixture(autouse=bool(os.environ.get("AAE_MPS_LIKE")))
def mps_like():
    """With AAE_MPS_LIKE=1, tests run without what Apple GPUs lack; meant for tests/training."""
    from mps_like import MpsLike

    with MpsLike():
        yield
