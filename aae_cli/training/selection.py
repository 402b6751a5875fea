"""Selection of the best restart of each seed, naming of its clusters, measurement, and writing of its checkpoint."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..config.draft import shown
from ..config.sections import Config
from ..data.holdout import fingerprint
from ..data.types import Data, Schema
from ..errors import TrainingError
from ..model.abilities import Abilities
from ..model.autoencoder import Autoencoder
from ..model.build import build_model
from ..model.checkpoint import Header, read_header
from ..model.evaluation import MEANINGS, intervals, measure
from ..model.metrics import agreement, name_clusters
from ..model.unusual import Reference, reference_of
from ..nn.aae import pick_model
from ..nn.cells import Cells
from ..objective.build import make_view
from ..objective.neighbours import Neighbours
from ..output.card import card
from ..output.reporter import Reporter
from ..text import counted
from .engine import DIVERGED
from .folder import RunFolder
from .plan import Plan
from .splits import SCORE_ROWS, Splits

NAMING_ROWS = 40_000
"""Maximum number of rows whose labels name clusters."""

MIN_MEASURED_ROWS = 4
"""Minimum number of held-out rows for a measurement."""


@dataclass(frozen=True)
class Run:
    """A finished training.

    Attributes:
        folder: the run folder, which is the checkpoint.
        metrics: values measured on held-out rows; empty if there were too few.
        scores: label-free score of each restart, higher is better; empty for a single model.
        seed: the random seed.
        seconds: training time, of all seeds that were trained together.
    """

    folder: Path
    metrics: dict[str, float]
    scores: tuple[float, ...] = ()
    seed: int = 0
    seconds: float = 0.0


SPREAD_DRAWS = 10_000  # of the prior, to which the marginals of a mixed table are fitted


@dataclass(frozen=True)
class Selection:
    """Conversion of the weights of several models into checkpoints.

    Attributes:
        title: name of the preset.
        notes: remarks for the log and the model card.
        metrics: metrics to measure; None for the defaults of the variant.
    """

    title: str
    plan: Plan
    splits: Splits
    notes: tuple[str, ...]
    metrics: Sequence[str] | None
    reporter: Reporter

    def candidate(self, weights: Mapping[str, Tensor], index: int, config: Config) -> Autoencoder:
        """One of several models as loading its checkpoint would give it, with its categories named.

        Args:
            weights: weights of all models.
            index: number of the model.
            config: config to save in the checkpoint.
        """
        schema = self._schema
        with torch.random.fork_rng(devices=[]):  # saving must not change the random numbers of the training
            model = build_model(config, schema, to_train=False)
        model.load_state_dict({name: value.cpu() for name, value in pick_model(dict(weights), index).items()})
        loaded = Autoencoder(model, Header(self.title, config, schema), self.plan.device)
        return self._named(loaded) if model.classes else loaded

    @cached_property
    def _schema(self) -> Schema:
        """Form of a row, with the ranges of a table's columns."""
        return self.splits.train.schema.with_ranges(self.splits.train.x)

    @cached_property
    def _naming_rows(self) -> tuple[Data, str]:
        """Rows whose labels name clusters, other than those on which the error is measured; and what to call them."""
        if self.splits.test is not None and self.splits.validation is not None:
            return self.splits.validation.evenly_spaced(NAMING_ROWS), "held-out"
        return self.splits.train.evenly_spaced(NAMING_ROWS), "training"

    def _say_naming(self, model: Autoencoder) -> None:
        """Say whose labels named the clusters, as a training without labels uses none."""
        if model.header.cluster_labels is not None and not model.abilities.learned_with_labels:
            rows, kind = self._naming_rows
            count = int((rows.labels >= 0).sum()) if rows.labels is not None else 0
            self.reporter.say(f"clusters are named after classes by the labels of {count} {kind} rows, after training")

    def _named(self, model: Autoencoder) -> Autoencoder:
        """Add the class and the size of each category to the header of a model with y."""
        rows = self._naming_rows[0]
        y, classes = model.y(rows.x), model.schema.classes or ()
        names: tuple[int, ...] | None = None
        if model.config.phases.semi_supervised is not None:
            names = tuple(i if i < len(classes) else -1 for i in range(y.shape[1]))
        elif rows.labels is not None and classes:
            names = tuple(name_clusters(y, rows.labels).tolist())
        sizes = np.bincount(y.argmax(1), minlength=y.shape[1]).tolist()
        header = replace(model.header, cluster_labels=names, training={"cluster_sizes": sizes})
        return Autoencoder(model.model, header, model.device)

    def finish(
        self,
        folder: RunFolder,
        seed: int,
        candidates: Sequence[Autoencoder],
        neighbours: Sequence[Neighbours | None],
        steps: int,
        seconds: float,
        log: Callable[[Mapping[str, float]], None],
    ) -> Run:
        """Select the best of a seed's models, measure it and write its checkpoint.

        Args:
            neighbours: each model's search for neighbours of rows, for the second views of the score.
            steps, seconds: length of the training, for the model card.
            log: called with the measurements before the checkpoint is written, which completes the run.

        Raises:
            TrainingError: all of the seed's models diverged.
        """
        finite = self._finite(candidates, seed)
        candidates, neighbours = [candidates[i] for i in finite], [neighbours[i] for i in finite]
        scores = self._scores(candidates, neighbours) if len(candidates) > 1 else ()
        model = candidates[best_index(scores)] if scores else candidates[0]
        self._say_naming(model)
        fit_spread(model, (self.splits.validation or self.splits.train).evenly_spaced(SCORE_ROWS))
        measured, held_out = self._measured(model, seed), self._held_out(bool(scores))
        facts = {
            "data": self.splits.train.name,
            "rows": len(self.splits.train),
            "fingerprint": fingerprint(self.splits.train),
            "labels": len(self.plan.labelled[seed]),
            "held_out": held_out or "none",
            "steps": steps,
            "seconds": round(seconds, 1),
            "device": self.plan.reason,
            "precision": self.plan.precision,
            "torch": torch.__version__,
            "notes": list(self.notes),
            "decisions": [[each.key, shown(each.value), each.comment] for each in self.plan.adapted.decisions],
            "scores": [round(score, 4) for score in scores],
            "metrics": measured,
            "intervals": {name: list(ends) for name, ends in self._intervals(measured).items()},
            "reference": self._reference(model).to_json(),
        }
        header = replace(model.header, finished=True, training={**(model.header.training or {}), **facts})
        written = self._card(folder.path, header, measured)
        log(measured)
        folder.save_model(Autoencoder(model.model, header, model.device), seed, self.splits.train, card=written)
        if held_out is not None:
            title = f"{self.title}: measured on {held_out}"
            self.reporter.metrics(title, measured, self._intervals(measured), MEANINGS)
        return Run(folder.path, measured, scores, seed, seconds)

    def _reference(self, model: Autoencoder) -> Reference:
        """Losses and scores of held-out rows, with which others are compared; of training rows if none are held out."""
        held_out = self.splits.validation
        rows = (held_out or self.splits.train).evenly_spaced(SCORE_ROWS)
        kind = "held-out row" if held_out is not None else "training row"
        return reference_of(model, rows.x, counted(len(rows), kind))

    def _finite(self, candidates: Sequence[Autoencoder], seed: int) -> list[int]:
        """Indices of the models whose weights are finite. Raises TrainingError if there are none."""
        finite = [
            i
            for i, each in enumerate(candidates)
            if all(value.isfinite().all() for value in each.model.state_dict().values())
        ]
        if not finite:
            raise TrainingError(f"every model of seed {seed} diverged", DIVERGED)
        if len(finite) < len(candidates):
            self.reporter.warn(f"{len(candidates) - len(finite)} of {len(candidates)} restarts diverged: left out")
        return finite

    def _held_out(self, chosen: bool) -> str | None:
        """Description of the rows that the metrics are measured on. ``chosen``: whether a restart was chosen."""
        if self.splits.held_out is None:
            return None
        same = chosen and self.splits.test is None
        return self.splits.held_out[1] + (", which also chose the restart (without their labels)" if same else "")

    def _scores(self, candidates: Sequence[Autoencoder], neighbours: Sequence[Neighbours | None]) -> tuple[float, ...]:
        """A label-free score of each restart on rows held out of training; higher is better.

        With categories: their information in a second view, as a share of log K, plus their mean normalised mutual
        information with the categories of the other restarts. Without: the negative reconstruction error.
        """
        data = (self.splits.validation or self.splits.train).evenly_spaced(SCORE_ROWS)
        classes = candidates[0].model.classes
        if not classes:
            scores = [_reconstruction_score(model, data) for model in candidates]
        else:
            agreed = agreement([model.cluster(data.x)[0] for model in candidates])
            informed = [
                _view_information(model, data, self.plan.config, near)
                for model, near in zip(candidates, neighbours, strict=True)
            ]
            scores = [score / math.log(classes) + also for score, also in zip(informed, agreed, strict=True)]
        listed = ", ".join(f"{score:.3f}" for score in scores)
        self.reporter.say(f"label-free scores of the restarts: {listed}; keeping number {best_index(scores) + 1}")
        return tuple(scores)

    def _measured(self, model: Autoencoder, seed: int) -> dict[str, float]:
        """Metrics on the held-out rows; empty if these are fewer than MIN_MEASURED_ROWS."""
        held_out = self.splits.held_out
        if held_out is None or len(held_out[0]) < MIN_MEASURED_ROWS:
            return {}
        self.reporter.say(f"measuring on {held_out[1]}")
        validation = self.splits.validation if self.splits.test is not None else None
        metrics = None if self.metrics is None else list(self.metrics)
        measured = measure(model, held_out[0], metrics, validation=validation, training=self.splits.train, seed=seed)
        return {name: round(value, 6) for name, value in measured.items()}

    def _intervals(self, measured: dict[str, float]) -> dict[str, tuple[float, float]]:
        held_out = self.splits.held_out
        return {} if held_out is None else intervals(measured, held_out[0])

    def _card(self, folder: Path, header: Header, measured: dict[str, float]) -> str:
        """Text of the model card."""
        about, hidden = (
            self.plan.config.about,
            ("cluster_sizes", "decisions", "intervals", "metrics", "notes", "reference", "scores"),
        )
        rows = {name: value for name, value in (header.training or {}).items() if name not in hidden}
        rows["section of arXiv:1511.05644"] = about.section or "–"
        rows |= {f"note {number}": note for number, note in enumerate(self.notes, 1)}
        examples = Abilities(header).examples(str(folder))
        return card(self.title, about.summary, rows, measured, self._intervals(measured), MEANINGS, examples)


def finished_run(folder: Path, seed: int) -> Run:
    """The run whose finished checkpoint a folder holds."""
    facts = read_header(folder).training or {}
    scores = tuple(float(score) for score in facts.get("scores", ()))
    return Run(folder, dict(facts.get("metrics", {})), scores, seed, float(facts.get("seconds", 0.0)))


def best_index(scores: Sequence[float]) -> int:
    """Index of the highest finite score."""
    return max(range(len(scores)), key=lambda i: scores[i] if math.isfinite(scores[i]) else -math.inf)


def _prepared(model: Autoencoder, data: Data) -> Tensor:
    """Rows in the networks' units, on the device: (1, N, D)."""
    return model.model.scaling(torch.from_numpy(data.x).to(model.device))[None]


def _reconstruction_score(model: Autoencoder, data: Data) -> float:
    """−‖x − x̂‖², summed over features and averaged over rows, in the networks' units."""
    x_hat = torch.from_numpy(model.reconstruct(data.x, data.labels)).to(model.device)
    x = torch.from_numpy(data.x).to(model.device)
    return -2 * float(model.model.scaling.distance(x_hat, x).mean())


def fit_spread(model: Autoencoder, data: Data) -> None:
    """Set how the cells of a mixed table spread around the decoder's output, and their marginals in draws.

    Classes of a decoder that receives the label are drawn evenly, so that codes of rows stand for the prior there.

    Args:
        data: rows that are held out, if any are.
    """
    scaling = model.model.scaling
    if isinstance(scaling, Cells):
        output = model.output(data.x, data.labels)
        scaling.fit_residual(output, scaling(torch.from_numpy(data.x).to(model.device)))
        drawn = [output] if model.model.labels or model.prior_z is None else [*model.prior_outputs(SPREAD_DRAWS, 0)]
        scaling.fit_prior(torch.cat(drawn))


def _view_information(model: Autoencoder, data: Data, config: Config, neighbours: Neighbours | None) -> float:
    """Information of the categories in a second view, H(mean y) − CE(q(y|x), q(y|view)), in nats."""
    x = _prepared(model, data)
    view = make_view(config, model.schema, model.model, neighbours)
    with torch.inference_mode(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.train.seed)
        y, again = (model.model.encode(each).part("y") for each in (x, view(x)))
    mean = y.mean(1).clamp(min=1e-8)
    cross = -(y * again.clamp(min=1e-8).log()).sum(-1).mean()
    return float(-(mean * mean.log()).sum() - cross)
