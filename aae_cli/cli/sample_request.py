"""What ``aae sample`` is asked for: which checkpoint can do it, and the samples."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import CheckpointError, DataError, UsageError
from ..text import clean
from .rows import choose_checkpoint, find_checkpoint

if TYPE_CHECKING:
    import numpy as np
    import torch

    from ..data.types import Schema
    from ..model.abilities import Abilities
    from ..model.autoencoder import Autoencoder
    from ..model.sampling import Samples
    from ..output.reporter import Reporter

PRESETS = "aae train --preset supervised, semi-supervised, mixture-labels or clustering"
STEPS = 10
"""Decoded rows of a walk, and quantiles of a traversal, where no number is given."""


@dataclass(frozen=True)
class SampleRequest:
    """The options that say what to sample; each is empty or None where it is not given.

    Attributes:
        n: number of samples, rows of a grid, or steps of a walk.
        decode: file of codes. between: two rows. traverse: name of a dimension.
    """

    n: int | None
    labels: list[str]
    clusters: list[int]
    where: list[str]
    style_grid: bool
    style_from: str | None
    decode: str | None
    between: tuple[str, str] | None
    traverse: str | None

    def __post_init__(self) -> None:
        """Raise UsageError for options that exclude each other."""
        if self.labels and self.clusters:
            raise UsageError("--label and --cluster exclude each other", "give one of them")
        if self.where and (self.style_grid or self.style_from is not None):
            raise UsageError("--where and the style options exclude each other", "give one of them")
        ways: dict[str, object] = {"--decode": self.decode, "--between": self.between, "--traverse": self.traverse}
        ways |= {"--where": self.where, "--style-grid": self.style_grid, "--style-from": self.style_from}
        given = [name for name, value in ways.items() if value]
        if len(given) > 1 and given != ["--style-grid", "--style-from"]:
            raise UsageError(f"{given[0]} and {given[1]} exclude each other", "give one of them")
        if (self.decode or self.between) and (self.clusters or len(self.labels) > 1):
            raise UsageError(
                f"{given[0]} and --cluster or several --label exclude each other", "give at most one --label"
            )
        if self.decode and self.n is not None:
            raise UsageError("--decode and -n exclude each other", "every code is decoded")
        if self.traverse is not None and not re.fullmatch(r"z[0-9]{1,6}", self.traverse):
            raise UsageError(f"--traverse {self.traverse}: not a dimension of z", "name it z0, z1, …")

    @property
    def read(self) -> Iterator[str]:
        """The sources that are read, which must not be written over."""
        yield from filter(None, (self.decode, *self._rows))

    @property
    def labelled(self) -> bool:
        """Whether the samples' labels tell something that was asked for."""
        return bool(self.labels or self.clusters or self.style_grid or self.style_from or self.traverse)

    def choose(self, checkpoint: str | None, report: Reporter) -> Path:
        """The checkpoint that is named, else the newest run that can sample what is asked for."""
        from ..data.read import read_row
        from ..model.conditions import knows_columns

        can, path, what = self._can(with_rows=checkpoint is None), None, self.task
        if self.where:
            what += f" rows where {' and '.join(clean(each) for each in self.where)}"
            path = find_checkpoint(
                checkpoint,
                lambda able: can(able) and knows_columns(self.where, able.header.schema, able.label_column),
                what,
                report,
            )  # a table without these columns is refused later, with the ones that it has
        if path is not None:
            return path
        try:
            return choose_checkpoint(
                checkpoint,
                lambda able: can(able) and (not self.where or able.header.schema.kind == "table"),
                what,
                report,
                PRESETS + (" --data TABLE" if self.where else ""),
            )
        except CheckpointError:
            for row in self._rows:
                read_row(row)  # a row that cannot be read at all is the reason
            raise

    @cached_property
    def _codes(self) -> tuple[np.ndarray, list[str]]:
        """The codes to decode, read once."""
        from ..data.codes import read_codes

        assert self.decode is not None
        return read_codes(self.decode)

    @property
    def _rows(self) -> list[str]:
        """The rows that are given, whose form a run must know."""
        return [self.style_from] if self.style_from else list(self.between or ())

    def _can(self, with_rows: bool) -> Callable[[Abilities], bool]:
        """Whether a checkpoint can sample what is asked for, and ``with_rows``, reads the rows that are given."""
        dims = None if self.decode is None else self._codes[0].shape[1]
        varied = -1 if self.traverse is None else int(self.traverse[1:])

        def can(abilities: Abilities) -> bool:
            style = self.style_grid or self.traverse is not None
            right = dims in (None, abilities.dims) and varied < abilities.style_dims
            right = right and abilities.samples(self.labels, self.clusters, style, self.style_from is not None)
            return right and (not with_rows or all(_reads(row, abilities.header.schema) for row in self._rows))

        return can

    @property
    def task(self) -> str:
        """What is asked of a checkpoint, as a verb with its object."""
        if self.decode or self.between:
            return f"decode {self.decode or 'codes of these rows'}"
        named = f" the label {self.labels[0]}" if self.labels else ""
        named = named or (f" the cluster {self.clusters[0]}" if self.clusters else "")
        apart = " with its style apart" if self.style_grid or self.style_from else ""
        return f"sample{named}{apart}" + (f" along {self.traverse} of its style" if self.traverse else "")

    @property
    def _label(self) -> str | None:
        """The class that codes are decoded with, by a decoder that receives one."""
        return self.labels[0] if self.labels else None

    def samples(self, model: Autoencoder, generator: torch.Generator, report: Reporter) -> Samples:
        """Draw or decode what is asked for."""
        from ..data.read import read_row
        from ..model import walks

        if self.decode is not None:
            return walks.decoded(model, *self._codes, label=self._label)
        if self.between is not None:
            first, last = (read_row(row, like=model.schema).x for row in self.between)
            return walks.between(model, first, last, self.n or STEPS, self._label)
        if self.traverse is not None:
            return walks.traversed(model, int(self.traverse[1:]), self.n or STEPS, self.labels, self.clusters)
        if self.style_from is not None:
            return model.style_grid(10, self.labels, self.clusters, read_row(self.style_from, like=model.schema).x)
        if self.style_grid:
            return model.style_grid(self.n or 10, self.labels, self.clusters, generator=generator)
        if self.where:
            found = model.sample_where(self.n or 100, self.where, self.labels, self.clusters, generator)
            report.say(found.summary)
            return found.samples
        return model.sample(self.n or 100, self.labels, self.clusters, generator)


def _reads(row: str, schema: Schema) -> bool:
    """Whether a row has the form that a checkpoint knows."""
    from ..data.read import read_row

    with suppress(DataError):
        read_row(row, like=schema)
        return True
    return False
