"""Run folders and their safetensors files: weights with config and data schema in the header, and training state.

No pickle: loading a checkpoint cannot execute code.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..config.resolve import validate
from ..config.sections import Config
from ..data.types import Schema
from ..errors import AaeError, CheckpointError, UsageError
from ..files import whole_file
from ..text import clean
from ..version import __version__

if TYPE_CHECKING:
    import torch
    from torch import Tensor

FORMAT, FORMAT_OF_TABLES = 1, 2
"""Of most checkpoints, and of those of mixed or labelled tables, which older versions of aae cannot read."""
MODEL, STATE, METRICS, CONFIG = "model.safetensors", "state.safetensors", "metrics.jsonl", "config.yaml"


@dataclass(frozen=True)
class Header:
    """Metadata of a model file.

    Attributes:
        title: name of the preset.
        config: config adapted to the data (without ``auto``).
        schema: format of a row; labels are indices into ``schema.classes``.
        cluster_labels: (K,) class of each category of y, −1 for none; None if no labels were available.
        finished: whether training is complete.
        training: facts to display: rows, steps, seconds, device, data, final metrics.
    """

    title: str
    config: Config
    schema: Schema
    cluster_labels: tuple[int, ...] | None = None
    finished: bool = False
    training: dict[str, Any] | None = None

    def to_json(self) -> str:
        """Encode as JSON, with the checkpoint format and the version of aae."""
        return json.dumps(
            {
                "format": FORMAT if self.schema.mixed is None and self.schema.label_at is None else FORMAT_OF_TABLES,
                "aae": __version__,
                "title": self.title,
                "config": self.config.model_dump(mode="json"),
                "schema": self.schema.to_json(),
                "cluster_labels": self.cluster_labels,
                "finished": self.finished,
                "training": self.training or {},
            }
        )

    @classmethod
    def from_json(cls, text: str, where: Path) -> Header:
        """Decode JSON, and validate it.

        Args:
            where: file to name in errors.

        Raises:
            CheckpointError: damaged, or of a newer format.
        """
        try:
            value = json.loads(text, object_pairs_hook=_unique)
            if int(value["format"]) > FORMAT_OF_TABLES:
                raise CheckpointError(
                    f"{where} has checkpoint format {value['format']}, this aae reads up to {FORMAT_OF_TABLES}",
                    "upgrade aae",
                )
            labels, schema = value["cluster_labels"], Schema.from_json(value["schema"])
            if labels is not None and not all(-1 <= int(label) < len(schema.classes or ()) for label in labels):
                raise ValueError("its cluster labels name classes that do not exist")
            return cls(
                title=clean(value["title"]),
                config=validate(value["config"], f"{where}, header"),
                schema=schema,
                cluster_labels=None if labels is None else tuple(int(label) for label in labels),
                finished=bool(value["finished"]),
                training=dict(value["training"]),
            )
        except UsageError as error:
            raise CheckpointError(clean(error.what, 300), "the file is damaged or was edited") from None
        except AaeError:
            raise
        except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
            raise CheckpointError(f"{where}: its header is damaged ({clean(error)})") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object, refused with ValueError where a key is there twice: readers would disagree on its value."""
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"the key {next(key for key in keys if keys.count(key) > 1)} is there twice")
    return found


def model_file(path: Path | str) -> Path:
    """Find the model file of a run folder. A path to a file is returned as it is.

    Raises:
        CheckpointError: there is no such file.
    """
    path = Path(path)
    file = path / MODEL if path.is_dir() else path
    if not file.is_file():
        if path.is_dir():
            raise CheckpointError(f"{path} has no {MODEL}", "give a run folder that `aae train` wrote")
        hint = "give a run folder, or its model.safetensors, with -c"
        if (Path("runs") / path / MODEL).is_file():
            hint = f"did you mean {Path('runs') / path}?"
        raise CheckpointError(f"there is no checkpoint {path}", hint)
    return file


@contextmanager
def _opened(path: Path, framework: str = "pt", wrong: str = "is damaged or missing") -> Iterator[Any]:
    """Open a safetensors file. Raises CheckpointError with the text ``wrong`` if it cannot be read."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework) as opened:
            yield opened
    except (SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(f"{path} {wrong} ({clean(error)})") from None


def read_header(path: Path | str) -> Header:
    """Read a header without reading any weights.

    Raises:
        CheckpointError: the file is missing, damaged, not written by aae, or of a newer format.
    """
    file = model_file(path)
    with _opened(file, "numpy", "is damaged or is not a safetensors file") as opened:
        metadata = opened.metadata() or {}
    if "aae" not in metadata:
        raise CheckpointError(f"{file} was not written by aae", "give a run folder that `aae train` wrote")
    return Header.from_json(metadata["aae"], file)


def save_tensors(path: Path, tensors: dict[str, Tensor], name: str, header: str) -> None:
    """Write a safetensors file atomically, with ``header`` as its metadata entry ``name``.

    Raises:
        AaeError: it cannot be written.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    plain = {key: value.detach().cpu().contiguous() for key, value in tensors.items()}
    with whole_file(path) as temporary:
        try:
            save_file(plain, temporary, metadata={name: header})
        except SafetensorError as error:  # such as a full disk
            reason = str(error).rpartition("I/O error: ")[2]
            raise AaeError(f"cannot write {path}: {reason}", "choose another path with -o") from None


def tensor_specs(path: Path) -> dict[str, tuple[tuple[int, ...], torch.dtype | None]]:
    """Read the shape and type of each tensor of a safetensors file, without its values; other types are None.

    Raises:
        CheckpointError: the file is missing or damaged.
    """
    import torch

    types = {"F32": torch.float32, "I64": torch.int64}
    with _opened(path) as opened:
        slices = {key: opened.get_slice(key) for key in opened.keys()}  # noqa: SIM118
        return {key: (tuple(each.get_shape()), types.get(each.get_dtype())) for key, each in slices.items()}


def checksum(tensors: dict[str, Tensor], text: str) -> str:
    """SHA-256 of a text and of the names, types, shapes and values of tensors, in hexadecimal."""
    import hashlib

    import torch

    total = hashlib.sha256(text.encode())
    for key in sorted(tensors):
        value = tensors[key].detach().cpu().contiguous()
        total.update(f"{key} {value.dtype} {tuple(value.shape)}".encode())
        total.update(value.reshape(-1).view(torch.uint8).numpy().data if value.numel() else b"")
    return total.hexdigest()


def load_tensors(path: Path, name: str) -> tuple[dict[str, Tensor], str]:
    """Read the tensors and one metadata entry of a safetensors file.

    Raises:
        CheckpointError: the file is missing or damaged, or has no such entry.
    """
    with _opened(path) as opened:
        metadata = opened.metadata() or {}
        tensors = {key: opened.get_tensor(key) for key in opened.keys()}  # noqa: SIM118
    if name not in metadata:
        raise CheckpointError(f"{path} was not written by aae")
    return tensors, metadata[name]


def runs(root: Path = Path("runs")) -> Iterator[tuple[Path, Header]]:
    """Find the finished runs under a folder, the newest first. Damaged ones are skipped."""
    files = sorted(root.glob(f"*/{MODEL}"), key=lambda file: file.stat().st_mtime, reverse=True)
    for file in files:
        try:
            header = read_header(file)
        except AaeError:
            continue
        if header.finished:
            yield file.parent, header


def read_log(folder: Path) -> list[dict[str, Any]]:
    """The records of a run's metrics.jsonl; a line that was cut short is left out."""
    file, records = folder / METRICS, []
    for line in file.read_text(encoding="utf-8").splitlines() if file.is_file() else []:
        with suppress(ValueError):
            record = json.loads(line)
            records += [record] if isinstance(record, dict) else []
    return records


def newest_run(can: Callable[[Header], bool], root: Path = Path("runs")) -> Path | None:
    """Find the newest finished run whose header satisfies a condition."""
    return next((folder for folder, header in runs(root) if can(header)), None)


def new_run_folder(title: str, root: Path = Path("runs")) -> Path:
    """Choose a name for a new run folder: the first of ``runs/<title>``, ``runs/<title>-2``, … that does not exist."""
    folder, count = root / title, 1
    while folder.exists() or folder.is_symlink():
        count += 1
        folder = root / f"{title}-{count}"
    return folder
