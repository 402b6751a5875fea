"""Export the encoder and the decoder of a model for other programs, as ONNX or as a PyTorch program (.pt2).

The encoder takes rows in the units of their file and gives their representation, q(y|x) and class probabilities, as far as
the model has them; the decoder takes representations and gives rows in these units, before they are rounded.
"""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..data.columns import Column
from ..errors import AaeError, UsageError
from ..files import whole_file
from ..nn.aae import AAE
from ..text import clean
from ..version import __version__
from .abilities import class_table
from .autoencoder import Autoencoder


class ExportedEncoder(nn.Module):
    """(N, D) float32 → representation (N, m), then q(y|x) (N, K) and class probabilities (N, C) where there are any.

    Args:
        table: (K, C) float32, 1 where a category stands for a class; None without class names.
    """

    table: Tensor | None

    def __init__(self, model: AAE, table: Tensor | None) -> None:
        super().__init__()
        self.model = model
        self.register_buffer("table", table)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        codes = self.model.encode(self.model.scaling(x).unsqueeze(0))
        found = [self.model.represent(codes.y, codes.z)[0]]
        if codes.y is not None:
            found.append(codes.y[0])
            if self.table is not None:
                found.append(codes.y[0] @ self.table)
        return tuple(found)


class ExportedDecoder(nn.Module):
    """Representation (N, m), and the one-hot label (N, C) of a decoder that receives one → rows (N, D) in their units."""

    def __init__(self, model: AAE) -> None:
        super().__init__()
        self.model = model

    def forward(self, code: Tensor, label: Tensor | None = None) -> Tensor:
        whole = code if label is None else torch.cat([label, code], 1)
        return self.model.scaling.invert(self.model.decode_input(whole.unsqueeze(0))[0])


@dataclass(frozen=True)
class Part:
    """A network to export: its example inputs, by name, and the names of its outputs."""

    network: nn.Module
    inputs: dict[str, Tensor]
    outputs: list[str]


def parts_of(model: Autoencoder) -> tuple[Part, Part]:
    """Copies of the encoder and the decoder of a model, on the CPU."""
    networks, schema = deepcopy(model.model).cpu().eval(), model.schema
    named, table = model.cluster_labels, None
    if named is not None and networks.classes:
        table = torch.from_numpy(class_table(named, len(model.classes)))
    outputs = ["representation", *(["y"] if networks.classes else []), *(["classes"] if table is not None else [])]
    encoder = Part(ExportedEncoder(networks, table), {"x": torch.zeros(2, schema.size)}, outputs)
    label = {"label": torch.zeros(2, networks.labels)} if networks.labels else {}
    decoder = Part(ExportedDecoder(networks), {"code": torch.zeros(2, model.dims), **label}, ["x"])
    return encoder, decoder


def export(model: Autoencoder, path: Path) -> list[Path]:
    """Write the encoder to ``path``, the decoder beside it and, for a table, a file that says how cells become numbers.

    Args:
        path: a file called .onnx or .pt2.

    Returns:
        the files that were written.

    Raises:
        UsageError: another suffix. AaeError: a package is missing, or a file cannot be written.
    """
    write = FORMATS.get(path.suffix.lower())
    if write is None:
        raise UsageError(f"-o {clean(path)}: not a format of exported models", f"name it {' or '.join(FORMATS)}")
    files = [path, path.with_name(f"{path.stem}.decoder{path.suffix}")]
    if model.schema.kind == "table":
        files.append(path.with_name(f"{path.stem}.columns.json"))
    with ExitStack() as all_or_none:
        temporary = [all_or_none.enter_context(whole_file(file)) for file in files]
        with _quiet():
            for part, target in zip(parts_of(model), temporary, strict=False):
                write(part, target, metadata(model))
        for target in temporary[2:]:
            target.write_text(json.dumps(columns_of(model), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return files


def metadata(model: Autoencoder) -> dict[str, str]:
    """What a program must know beside the networks: JSON values by name."""
    schema = model.schema
    facts: dict[str, Any] = {
        "aae": __version__,
        "preset": model.header.title,
        "kind": schema.kind,
        "shape": schema.shape,
        "range": None if schema.low is None else (schema.low, schema.high),
        "columns": schema.columns,
        "classes": model.classes,
        "cluster_labels": model.header.cluster_labels,
    }
    return {name: json.dumps(value, ensure_ascii=False) for name, value in facts.items()}


UNITS = {"date": "days since 1970-01-01", "datetime": "days since 1970-01-01", "time": "days since midnight"}
"""Units of the numbers that dates and times become, by the type of their column."""


def columns_of(model: Autoencoder) -> list[dict[str, Any]]:
    """How each cell of a table becomes a number of the encoder's input, column by column."""
    schema = model.schema
    if schema.mixed is None:
        names = schema.columns or tuple(f"x{i}" for i in range(schema.size))
        return [{"name": name, "kind": "number"} for name in names]
    return [_column(column) for column in schema.mixed]


def _column(column: Column) -> dict[str, Any]:
    missing = {"missing": "NaN"}
    if column.kind == "category":
        other = {"others": len(column.levels) - 1} if column.other else {}
        return {"name": column.name, "kind": "category", "levels": list(column.levels), **other, **missing}
    unit = {"unit": UNITS[column.type]} if column.kind == "date" else {}
    return {"name": column.name, "kind": column.kind, **unit, **missing}


def _exported(part: Part) -> torch.export.ExportedProgram:
    """A network as a graph for any number of rows."""
    rows = {0: torch.export.Dim("rows")}
    shapes = tuple(rows for _ in part.inputs)
    return torch.export.export(part.network, tuple(part.inputs.values()), dynamic_shapes=shapes)


def _pt2(part: Part, path: Path, about: dict[str, str]) -> None:
    names = {"inputs": json.dumps(list(part.inputs)), "outputs": json.dumps(part.outputs)}
    torch.export.save(_exported(part), path, extra_files={**about, **names})


def _onnx(part: Part, path: Path, about: dict[str, str]) -> None:
    try:
        import onnx
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise AaeError(f"ONNX needs the package {error.name}", "pip install 'aae-cli[onnx]', or write a .pt2") from None
    program = torch.onnx.export(
        _exported(part), input_names=list(part.inputs), output_names=part.outputs, dynamo=True, verbose=False
    )
    assert program is not None
    program.save(str(path), external_data=False)
    model = onnx.load(str(path))
    onnx.helper.set_model_props(model, about)
    onnx.checker.check_model(model)
    onnx.save(model, str(path))


FORMATS: dict[str, Callable[[Part, Path, dict[str, str]], None]] = {".onnx": _onnx, ".pt2": _pt2}


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the warnings of the exporters, which nobody can act on."""
    logged = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), torch.inference_mode(False), torch.no_grad():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(logged)
