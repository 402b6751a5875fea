"""Find, download and read the data sets known by name."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import sys
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DataError
from ..text import clean, quoted
from .arrays import npz_keys, read_idx_array, read_npz
from .streams import NotHere, guarded
from .types import BY_LOOKS, ReadOptions, Schema
from .values import Raw, refuse_options

NAMES = ("mnist", "mnist-mini", "fashion-mnist", "kmnist", "svhn", "cifar10", "digits", "penguins", "tfd")
TABLES = {"penguins": "species"}
"""Tables with their label column. They have a single part."""

_MINI = Path(__file__).with_name("mnist_mini.npz")
_PENGUINS = Path(__file__).with_name("penguins.csv")
_IDX_FOLDERS = {"mnist": "MNIST", "fashion-mnist": "FashionMNIST", "kmnist": "KMNIST"}
_CIFAR_FOLDER = "cifar-10-batches-py"
_PROBES = {
    "mnist": "https://ossci-datasets.s3.amazonaws.com/mnist/t10k-labels-idx1-ubyte.gz",
    "fashion-mnist": "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/t10k-labels-idx1-ubyte.gz",
    "kmnist": "http://codh.rois.ac.jp/kmnist/dataset/kmnist/t10k-labels-idx1-ubyte.gz",
    "svhn": "http://ufldl.stanford.edu/housenumbers/test_32x32.mat",
    "cifar10": "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
}
_PROBE_SECONDS = 4.0


def split_name(source: str) -> tuple[str, str] | None:
    """Split ``mnist:test`` into a data set's name and part (``train`` by default); None if no data set has the name.

    Raises:
        DataError: the name is known, but it has no such part.
    """
    name, _, part = source.partition(":")
    if name not in NAMES:
        return None
    if name in TABLES and (part not in ("", "train") or source.endswith(":")):
        what = "test part" if part == "test" else f"part {quoted(part)}"
        raise DataError(f"{name} has no {what}", f"{name} stands for all of its rows, of which training holds some out")
    if part not in ("", "train", "test") or source.endswith(":"):
        raise DataError(f"{name} has no part {quoted(part)}", f"choose {name} (training rows) or {name}:test")
    return name, part or "train"


def named_test(source: str) -> str | None:
    """Return the test part of a named data set, such as ``mnist:test``; None for a path, or if there is no test part."""
    found = split_name(source)
    return f"{found[0]}:test" if found and found[0] not in TABLES else None


def table_file(source: str) -> Path | None:
    """Return the file of a named table; None for other sources."""
    found = split_name(source)
    return available(found[0]) if found and found[0] in TABLES else None


def with_label(source: str, options: ReadOptions, like: Schema | None = None) -> ReadOptions:
    """Add the label column of a named table, unless another is given, or that column is a feature or ignored."""
    found = split_name(source)
    label = TABLES.get(found[0]) if found and options.label_column is None else None
    features = options.columns or (like.columns if like is not None else None) or ()
    return options if label is None or label in (*features, *options.ignore) else replace(options, label_column=label)


def available(name: str) -> Path | None:
    """Return the file or folder of a named data set on this machine; None if it must be downloaded first.

    Raises:
        DataError: the name is unknown, or ``AAE_DATA_DIR`` is not a folder.
    """
    found = split_name(name)
    if found is None:
        raise DataError(f"there is no data set called {quoted(name)}", f"known names are {', '.join(NAMES)}")
    name, part = found
    if name == "mnist-mini":
        return _MINI
    if name == "penguins":
        return _PENGUINS
    if name == "digits":
        spec = importlib.util.find_spec("sklearn")
        return Path(spec.origin).parent if spec and spec.origin else None
    if name == "tfd":
        places = (root / "tfd.npz" for root in _roots()[:1] if os.environ.get("AAE_DATA_DIR"))
        return next((path for path in places if path.is_file()), None)
    if name in _IDX_FOLDERS:
        return next((folder for folder in _idx_folders(name) if _idx_files(folder, part)), None)
    for root in _roots():
        for folder in (root / name, root / name.upper(), root):
            marker = _CIFAR_FOLDER if name == "cifar10" else f"{part}_32x32.mat"
            if (folder / marker).exists():
                return folder
    return None


def download(name: str) -> Path:
    """Download a named data set with torchvision into ``$AAE_DATA_DIR``, else into the user's cache.

    The network check takes at most 5 s.

    Returns:
        The folder that holds the data set.

    Raises:
        NotHere: there is no network, or the download failed.
        DataError: the name is unknown, or the folder cannot be written.
    """
    found = split_name(name)
    base = found[0] if found else name
    if base == "tfd":
        raise NotHere("tfd (the Toronto Face Database) is not public", "give its path, such as faces.npz")
    if found is None or base not in _PROBES:
        raise DataError(f"{quoted(name)} cannot be downloaded", f"only {', '.join(_PROBES)} can be")
    hint = "give a path, or set AAE_DATA_DIR to the folder that has it"
    if not _reachable(_PROBES[base]):
        raise NotHere(f"{base} is not on this machine, and there is no network to download it", hint)
    root = _download_root()
    with guarded(str(root)):
        root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=root, prefix=".download-") as folder, _patient_sockets():
            try:
                _fetch(base, folder)
            except Exception as error:  # torchvision raises RuntimeError, URLError, HTTPError, timeouts and more
                raise NotHere(f"{base} is not on this machine, and downloading failed: {clean(error)}", hint) from error
            for path in Path(folder).iterdir():
                if not path.name.endswith(".tar.gz"):
                    shutil.copytree(path, root / path.name, dirs_exist_ok=True)
    where = available(name)
    if where is None:
        raise NotHere(f"{base} was downloaded but is incomplete", hint)
    return where


def read_named(name: str, part: str, options: ReadOptions = BY_LOOKS, like: Schema | None = None) -> Raw:
    """Read the ``train`` or ``test`` part of a named data set; download it first if it is not on this machine.

    Args:
        options, like: as in ``read_source``; only a table has columns to choose from.

    Raises:
        NotHere: the data set is not on this machine and cannot be downloaded.
        DataError: its files are damaged, or column options for images.
    """
    source = name if part == "train" else f"{name}:{part}"
    if (table := table_file(source)) is not None:
        from .tables import read_text_table

        raw = read_text_table(table, source, ",", with_label(source, options, like), like)
        chosen = like is not None or raw.label_column is None or options.label_column is not None
        note = () if chosen else (f"labels: {raw.label_column} (another column with --label-column)",)
        return replace(raw, notes=(*note, *raw.notes))
    refuse_options(source, options)
    if name == "digits":
        return _read_digits(source, part)
    where = available(source)
    if where is None:
        where = download(source)
    with guarded(str(where)):
        if name == "mnist-mini":
            return replace(read_npz(where, str(where), f"x_{part}"), name=source, pixel_range=(0, 255))
        if name == "tfd":
            return _read_tfd(where, source, part)
        if name == "svhn":
            return _read_svhn(where / f"{part}_32x32.mat", source)
        if name == "cifar10":
            return _read_cifar10(where, source, part)
        files = _idx_files(where, part)
        assert files is not None
        images, labels = (read_idx_array(path, str(path)) for path in files)
        return Raw(images, source, labels, pixel_range=(0, 255))


def split_evenly(labels: np.ndarray, train_share: float) -> tuple[np.ndarray, np.ndarray]:
    """Return row numbers of a train and a test part with equal class proportions, in a fixed random order."""
    random = np.random.RandomState(0)  # unlike default_rng's, its stream never changes between NumPy versions
    parts: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
    for label in np.unique(labels):
        rows = random.permutation(np.flatnonzero(labels == label))
        count = round(train_share * len(rows))
        parts[0].append(rows[:count])
        parts[1].append(rows[count:])
    return random.permutation(np.concatenate(parts[0])), random.permutation(np.concatenate(parts[1]))


def _roots() -> list[Path]:
    import platformdirs

    given = os.environ.get("AAE_DATA_DIR")
    if given and not Path(given).is_dir():
        raise DataError(f"AAE_DATA_DIR is {clean(given)}, which is not a folder", "correct or unset it")
    return [*([Path(given)] if given else []), Path("data"), Path(platformdirs.user_cache_dir("aae"))]


def _download_root() -> Path:
    import platformdirs

    return _roots()[0] if os.environ.get("AAE_DATA_DIR") else Path(platformdirs.user_cache_dir("aae"))


def _idx_folders(name: str) -> Iterator[Path]:
    for root in _roots():
        yield root / name
        yield root / _IDX_FOLDERS[name] / "raw"
        if name == "mnist":
            yield root


def _idx_files(folder: Path, part: str) -> tuple[Path, Path] | None:
    """Find the image file and the label file of one part; None unless the folder has both."""
    stem = "train" if part == "train" else "t10k"
    found = [
        next(
            (
                path
                for dot in "-."
                for ending in ("", ".gz")
                if (path := folder / f"{stem}-{what}{dot}idx{dimensions}-ubyte{ending}").is_file()
            ),
            None,
        )
        for what, dimensions in (("images", 3), ("labels", 1))
    ]
    return (found[0], found[1]) if found[0] and found[1] else None


def _read_digits(source: str, part: str) -> Raw:
    from sklearn.datasets import load_digits

    digits: Any = load_digits()
    rows = split_evenly(digits.target, 0.8)[part == "test"]
    return Raw(digits.images[rows].astype(np.uint8), source, digits.target[rows], pixel_range=(0, 16))


def _read_svhn(path: Path, source: str) -> Raw:
    """Read ``X`` of shape (H, W, C, N) and ``y`` of shape (N, 1), where label 10 means the digit 0."""
    from scipy.io import loadmat

    try:
        file = loadmat(path, variable_names=("X", "y"))
        images, labels = file["X"].transpose(3, 2, 0, 1), file["y"].reshape(-1).astype(np.int64) % 10
    except (ValueError, TypeError, KeyError, NotImplementedError, IndexError) as error:
        raise DataError(f"{path} is not a valid SVHN file: {clean(error)}", "download it again") from error
    return Raw(images, source, labels, pixel_range=(0, 255) if images.dtype == np.uint8 else None)


def _read_cifar10(folder: Path, source: str, part: str) -> Raw:
    """Read CIFAR-10's files, which are pickles: torchvision opens them only if their MD5 checksums match."""
    from torchvision.datasets import CIFAR10

    try:
        found = CIFAR10(str(folder), train=part == "train", download=False)
    except RuntimeError as error:
        raise DataError(f"{folder / _CIFAR_FOLDER} is not an intact copy of CIFAR-10", "delete it") from error
    return Raw(found.data, source, np.asarray(found.targets), pixel_range=(0, 255))


def _read_tfd(path: Path, source: str, part: str) -> Raw:
    key = f"x_{part}" if f"x_{part}" in npz_keys(path, str(path)) else None
    if key is None and part == "test":
        raise DataError(f"{path} has no array x_test", "give the path of a file with test rows")
    return replace(read_npz(path, str(path), key), name=source)


def _fetch(name: str, folder: str) -> None:
    from torchvision import datasets

    with contextlib.redirect_stdout(sys.stderr):
        if name == "svhn":
            for part in ("train", "test"):
                datasets.SVHN(os.path.join(folder, "SVHN"), split=part, download=True)
        elif name == "cifar10":
            datasets.CIFAR10(folder, download=True)
        else:
            getattr(datasets, _IDX_FOLDERS[name])(folder, download=True)


def _reachable(url: str) -> bool:
    """Check whether a server answers within 5 s, DNS lookup included; proxies set in the environment are used."""
    answered = threading.Event()

    def ask() -> None:
        from urllib.request import Request, urlopen

        with contextlib.suppress(Exception), urlopen(Request(url, method="HEAD"), timeout=_PROBE_SECONDS):
            answered.set()

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(_PROBE_SECONDS)
    return answered.is_set()


@contextlib.contextmanager
def _patient_sockets() -> Iterator[None]:
    """Set a timeout for torchvision's downloads, which have none."""
    import socket

    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(30)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
