"""Train one preset on one data set: from names to a finished run folder."""

from __future__ import annotations

import json
import math
import time
import zlib
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..config.auto import ensemble_size
from ..config.resolve import to_yaml
from ..config.sections import Config
from ..data.types import Data
from ..distributed import ALONE, World
from ..errors import AaeError, TrainingError, UsageError
from ..files import locked, make_folder, remove_leftovers, write_whole
from ..model.autoencoder import Autoencoder
from ..model.build import build_model, set_scaling
from ..model.checkpoint import CONFIG, METRICS, MODEL, STATE, Header, checksum, save_tensors
from ..model.evaluation import agreement, evaluate, name_clusters
from ..model.figures import sample_sheet
from ..nn.aae import AAE, pick_model
from ..objective.build import NEIGHBOUR_ROWS, REMEMBERED_ROWS, build_neighbours, build_objective, build_view, make_view
from ..objective.linear_classifiers import LinearClassifiers
from ..objective.merging import ROWS as COUPLING_ROWS
from ..objective.merging import coupling, label_clusters, merge_clusters, merge_together, merged_shares, shared_rows
from ..objective.neighbours import Neighbours
from ..output.card import card
from ..output.reporter import Reporter
from .batches import Batches
from .cuda_graph import CudaRecorder
from .engine import Callbacks, Engine, Schedule
from .folder import finished, load_state
from .plan import HASHED, Plan, first_difference, stages
from .selection import Run
from .splits import SCORE_ROWS, Splits, spaced
from .stages import RESTART_STRIDE, _tensor, sizes_by_linear


class _Job:
    """One training under way: builds the engine, and writes the run folder around it."""

    def __init__(
        self,
        title: str,
        folder: Path,
        plan: Plan,
        splits: Splits,
        notes: tuple[str, ...],
        reporter: Reporter,
        metrics: Sequence[str] | None = None,
        world: World = ALONE,
    ) -> None:
        self.metrics, self.world = None if metrics is None else list(metrics), world
        self.title, self.folder, self.plan, self.splits, self.notes = title, folder, plan, splits, notes
        self.reporter, self.config, self.schema = reporter, plan.config, splits.train.schema
        self.last_record: dict[str, Any] = {}
        self.neighbours: Neighbours | None = None  # the same in all stages
        self.steps_per_epoch = max(1, len(splits.train) // plan.config.train.batch_size)
        self._set_stages()

    def _set_stages(self, first: int | None = None) -> None:
        self.stages = stages(self.config, first)
        self.steps = sum(stage.train.epochs for stage in self.stages) * self.steps_per_epoch

    def run(self, resume: bool, started: float) -> list[Run]:
        engine = None if resume else self._build(0)
        if self.world.main and not resume:
            make_folder(self.folder)
        with locked(self.folder) if self.world.main else nullcontext():
            if self.world.main:
                remove_leftovers(self.folder, (STATE, MODEL, METRICS, CONFIG, "samples.png", "README.md"))
            return self._run(engine or self._resume(), resume, started)

    def _run(self, engine: Engine, resume: bool, started: float) -> list[Run]:
        if resume:
            if self._done(engine) >= self.steps and finished(self.folder):
                raise UsageError(f"{self.folder} has run its {self.steps} steps", "give more with --epochs N")
            self.reporter.say(f"resuming {self.folder} at step {self._done(engine)} of {self.steps}")
        elif self.world.main:
            for name in (STATE, MODEL, METRICS):
                (self.folder / name).unlink(missing_ok=True)
        if self.world.main:
            write_whole(self.folder / CONFIG, to_yaml(self.config))
        self.reporter.start(self.title, self.steps, self._done(engine))
        try:
            engine.run()  # at once, where it was stopped after the last step, while measuring
            while self.stage + 1 < len(self.stages):
                engine = self._merge(engine)
                engine.run()
        except TrainingError as error:
            kept = (self.folder / MODEL).is_file()
            where = f"the last good checkpoint is {self.folder}" if kept else "no checkpoint was saved yet"
            raise TrainingError(f"{error.what}; {where}", error.hint) from None
        finally:
            self.reporter.stop()
        runs = self._finish(engine, time.perf_counter() - started) if self.world.main else []
        return runs or [Run(self.folder, {}, seed=seed) for seed in self.plan.labelled]

    @property
    def _stage_config(self) -> Config:
        """What a checkpoint says of itself: the whole training's config at the end, the stage's own before."""
        return self.config if self.stage + 1 == len(self.stages) else self.stages[self.stage]

    @property
    def _epochs_before(self) -> int:
        """Epochs of the stages before this one."""
        return sum(stage.train.epochs for stage in self.stages[: self.stage])

    def _done(self, engine: Engine) -> int:
        """Steps done, those of earlier stages included."""
        return engine.step + self._epochs_before * self.steps_per_epoch

    def _build(self, stage: int) -> Engine:
        self.stage = stage
        config, plan, rows = self.stages[stage], self.plan, self.splits.train
        restarts, ensemble = int(config.train.restarts), ensemble_size(config)
        model_seeds = [seed + index * RESTART_STRIDE for seed in plan.labelled for index in range(restarts)]
        models = len(model_seeds)
        torch.manual_seed(config.train.seed + stage)
        x, index = _tensor(rows)
        labels = torch.from_numpy(rows.labels if rows.labels is not None else np.full(len(rows), -1)).long()
        model = build_model(config, self.schema, models)
        set_scaling(model, config, self.schema, x, index)
        model.to(plan.device)
        objective = build_objective(config, model, len(self.schema.classes or ()), plan.context, self.world)
        semi = config.phases.semi_supervised
        if self.neighbours is None:
            self.neighbours = build_neighbours(config, self.schema, model, self._some(NEIGHBOUR_ROWS))
        view = build_view(config, self.schema, model, self.neighbours, self.world)
        self.batches = Batches(
            x.to(plan.device),
            labels.to(plan.device),
            [own for own in plan.labelled.values() for _ in range(restarts)],
            model.scaling,
            batch_size=config.train.batch_size,
            # Models that teach each other see the same rows.
            seeds=[model_seeds[i - i % ensemble] for i in range(models)],
            labelled_size=int(semi.batch_size) if semi else 0,
            view=view,
            want_view=objective.needs_view,
            augment_labelled=bool(semi and semi.augment),
            augment_rows=config.augment.rows,
            world=self.world,
            index=None if index is None else index.to(plan.device),
        )
        if view is not None and self.neighbours is not None and not self.neighbours.remembered:
            self._remember(self.neighbours)
        if semi is not None and semi.linear:
            linear = LinearClassifiers(*self.batches.some_labelled(SCORE_ROWS), model.classes)
            if sizes_by_linear(config):
                linear.go_by(model.scaling(self._some(SCORE_ROWS)))
                self.batches.odds = linear.odds
                if model.encoder.share is not None:
                    model.encoder.share.copy_(linear.share)
            self.batches.linear = linear
        self.model = model
        schedule = Schedule(
            config.train.epochs, self.batches.steps_per_epoch, config.train.lr_drops, config.train.lr_decay
        )
        callbacks = Callbacks(self._log, self._save, self.reporter.say) if self.world.main else Callbacks()
        recorded = plan.device.type == "cuda" and self.world.size == 1
        return Engine(
            model,
            objective.adversaries,
            objective,
            self.batches,
            schedule,
            callbacks,
            ema=config.train.ema,
            world=self.world,
            recorder=CudaRecorder() if recorded else None,
        )

    def _remember(self, neighbours: Neighbours) -> None:
        """Find the neighbours of all training rows, unless these are too many."""
        if (count := self.batches.count) > REMEMBERED_ROWS:
            return
        if count > 10 * NEIGHBOUR_ROWS:
            self.reporter.say(f"looking for the neighbours of {count} rows, once")
        neighbours.remember(self.batches.every(), count)

    def _some(self, count: int) -> Tensor:
        """At most so many training rows, at even distances (files are often sorted), in the file's units, on the device."""
        return torch.from_numpy(spaced(self.splits.train, count).x).to(self.plan.device)

    def _merge(self, engine: Engine) -> Engine:
        """The next stage, with the encoder that this one ends with, its clusters merged."""
        trained, fine = self.model, self.model.classes
        trained.load_state_dict(engine.weights)
        following = self._build(self.stage + 1)
        assert self.model.encoder.groups is not None
        classes, ensemble = self.model.classes, ensemble_size(self.config)
        labels_name_them = self.config.phases.semi_supervised is not None
        if ensemble > 1 and not labels_name_them:
            joint, share = shared_rows(trained, self._some(COUPLING_ROWS), ensemble)
            groups = [own for each in joint for own in merge_together(each, ensemble, classes)]
        else:
            joint, share = self._coupling(trained)
            if labels_name_them:
                y, labels = self._labelled_codes(trained)
                groups = [label_clusters(*each, classes) for each in zip(joint, share, y, labels, strict=True)]
            else:
                groups = [merge_clusters(*each, classes) for each in zip(joint, share, strict=True)]
        assert self.model.encoder.share is not None
        merged = {"groups": torch.from_numpy(np.stack(groups)), "share": self.model.encoder.share}
        if self.config.code.y is not None and self.config.code.y.sizes == "found" and not sizes_by_linear(self.config):
            sizes = [merged_shares(own, each, classes) for own, each in zip(groups, share, strict=True)]
            merged["share"] = torch.from_numpy(np.stack(sizes)).float()
        shared = {name: self.world.of_main(value.to(self.plan.device)) for name, value in merged.items()}
        state = {**trained.encoder.state_dict(), **shared}
        self.model.encoder.load_state_dict(state)
        following.restart_average()
        following.seconds = engine.seconds
        self.reporter.say(f"{fine} clusters merged into {classes}")
        return following

    def _coupling(self, model: AAE) -> tuple[np.ndarray, np.ndarray]:
        """:func:`coupling` through the views of the first stage; the training's random numbers stay as they were."""
        before = self.stages[0]
        with torch.random.fork_rng(devices=[self.plan.device] if self.plan.device.type == "cuda" else []):
            torch.manual_seed(before.train.seed)
            view = make_view(before, self.schema, model, self.neighbours)
            return coupling(model, self._some(COUPLING_ROWS), view)

    @torch.no_grad()
    def _labelled_codes(self, model: AAE) -> tuple[np.ndarray, np.ndarray]:
        """q(y|x) of some labelled rows of each model, (R, L, K), and their labels, (R, L)."""
        x, labels = self.batches.some_labelled(SCORE_ROWS)
        model.eval()
        y = model.encode(x).part("y")
        model.train()
        return y.cpu().numpy(), labels.cpu().numpy()

    # --- on the way ---------------------------------------------------------------------------------------------------

    def _log(self, record: dict[str, Any]) -> None:
        record["step"] += self._epochs_before * self.steps_per_epoch
        record["epoch"] = round(record["epoch"] + self._epochs_before, 3)
        if self.notes and not self.last_record:
            record["notes"] = list(self.notes)
        self.last_record = record
        self._write(record)
        self.reporter.log(record, self.steps)

    def _write(self, record: Mapping[str, Any]) -> None:
        try:
            with (self.folder / METRICS).open("a", encoding="utf-8") as file:
                file.write(json.dumps(record) + "\n")
                file.flush()
        except OSError as error:
            raise AaeError(f"cannot write {self.folder / METRICS}: {error.strerror}") from None

    def _identity(self) -> dict[str, Any]:
        """What a resumed run must have in common with the one that it goes on with."""
        config = self.config.model_dump(mode="json", exclude={"about"})
        rows = self.splits.train
        identity = {"config": config, "rows": len(rows), "features": rows.schema.size, "data": self._fingerprint}
        if len(self.plan.labelled) > 1:
            identity["seeds"] = list(self.plan.labelled)
        return identity

    @cached_property
    def _fingerprint(self) -> str:
        """Of the training rows and their labels; of very large data, of rows at even distances."""
        rows = self.splits.train
        every = max(1, rows.x.shape[1] * rows.x.dtype.itemsize * len(rows) // HASHED)
        number = zlib.crc32(np.ascontiguousarray(rows.x[::every]).data)
        return f"{number if rows.labels is None else zlib.crc32(np.ascontiguousarray(rows.labels).data, number):08x}"

    def _save(self, engine: Engine) -> None:
        tensors, values = engine.state()
        first = self.stages[0].train.epochs if len(self.stages) > 1 else 0
        where = {"stage": self.stage, "first_epochs": first}
        facts = {**values, **where, "title": self.title, "identity": self._identity()}
        header = json.dumps({**facts, "sha256": checksum(tensors, json.dumps(facts))})
        save_tensors(self.folder / STATE, tensors, "aae_state", header)
        if self._done(engine) < self.steps:
            model = self._single(engine.weights, 0)
            save_tensors(self.folder / MODEL, dict(model.model.state_dict()), "aae", model.header.to_json())
            write_whole(self.folder / "samples.png", sample_sheet(model, self.config.train.seed))

    def _resume(self) -> Engine:
        tensors, values = load_state(self.folder / STATE)
        difference = first_difference(values["identity"], self._identity())
        if difference is not None:
            key, old, new = difference
            raise UsageError(
                f"{self.folder} was started with {key}={old}, not {new}", "only --epochs may change on --resume"
            )
        first = int(values.get("first_epochs", 0))
        if values.get("stage") or not first:  # clusters are merged, or are not going to be: more epochs come after that
            self._set_stages(first)
        engine = self._build(min(int(values.get("stage", 0)), len(self.stages) - 1))
        engine.load_state(tensors, values)
        self.title = str(values.get("title", self.title))
        file = self.folder / METRICS
        kept = []
        for line in file.read_text(encoding="utf-8").splitlines() if file.is_file() else []:
            try:
                record = json.loads(line)
            except ValueError:
                continue
            if record.get("step", math.inf) <= self._done(engine) and not record.get("final"):
                kept.append(line)
        if self.world.main:
            write_whole(file, "".join(line + "\n" for line in kept))
        self.last_record = json.loads(kept[-1]) if kept else {}
        return engine

    # --- at the end ---------------------------------------------------------------------------------------------------

    def _single(self, weights: Mapping[str, Tensor], index: int) -> Autoencoder:
        """One of the models as it would be loaded, with its categories named."""
        with torch.random.fork_rng(devices=[]):  # saving must leave the training's random numbers alone
            model: AAE = build_model(self._stage_config, self.schema)
        model.load_state_dict({name: value.cpu() for name, value in pick_model(dict(weights), index).items()})
        header = Header(self.title, self._stage_config, self.schema)
        return self._named(Autoencoder(model, header, self.plan.device))

    def _named(self, model: Autoencoder) -> Autoencoder:
        """With the class that each y stands for, and the size of each cluster."""
        config, classes = self._stage_config, self.schema.classes
        names, sizes = None, None
        if config.code.y is not None:
            # Rows that name clusters are not those that the error is measured on.
            apart = self.splits.test is not None and self.splits.validation is not None
            rows = (self.splits.validation if apart else None) or self.splits.train
            rows = spaced(rows, 10 * SCORE_ROWS)
            y = model.y(rows.x)
            sizes = np.bincount(y.argmax(1), minlength=y.shape[1]).tolist()
            if config.phases.semi_supervised is not None:
                names = tuple(i if i < len(classes or ()) else -1 for i in range(y.shape[1]))
            elif rows.labels is not None and classes:
                names = tuple(name_clusters(y, rows.labels).tolist())
        header = replace(model.header, cluster_labels=names, training={"cluster_sizes": sizes} if sizes else {})
        return Autoencoder(model.model, header, model.device)

    def _scores(self, candidates: Sequence[Autoencoder]) -> tuple[float, ...]:
        """A label-free score of each restart on rows held out of training; higher is better.

        With categories: the information that they carry through a second view, as a share of log K, and how far they agree
        with those of the other restarts (mean normalised mutual information). Without: −reconstruction error.
        """
        data = spaced(self.splits.validation or self.splits.train, SCORE_ROWS)
        scores = [self._score(candidate, data) for candidate in candidates]
        if candidates[0].model.classes:
            most = math.log(candidates[0].model.classes)
            agreed = agreement([candidate.cluster(data.x)[0] for candidate in candidates])
            scores = [score / most + also for score, also in zip(scores, agreed, strict=True)]
        return tuple(scores)

    def _score(self, model: Autoencoder, data: Data) -> float:
        """What categories say through a second view, H(mean y) − CE(q(y|x), q(y|view)); else −reconstruction error."""
        rows = data.x
        x = model.model.scaling(torch.from_numpy(rows).to(model.device))[None]
        if not model.model.classes:
            x_hat = torch.from_numpy(model.reconstruct(rows, data.labels)).to(model.device)
            return -float((model.model.scaling(x_hat)[None] - x).square().sum(-1).mean())
        view = make_view(self.config, self.schema, model.model, self.neighbours)
        with torch.inference_mode(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.config.train.seed)
            y, again = (model.model.encode(each).y for each in (x, view(x)))
        assert y is not None and again is not None
        mean = y.mean(1).clamp(min=1e-8)
        cross = -(y * again.clamp(min=1e-8).log()).sum(-1).mean()
        return float(-(mean * mean.log()).sum() - cross)

    def _finish(self, engine: Engine, seconds: float) -> list[Run]:
        seeds, restarts = list(self.plan.labelled), int(self.config.train.restarts)
        runs = []
        for number, seed in enumerate(seeds):
            folder = self.folder / f"seed-{seed}" if len(seeds) > 1 else self.folder
            if len(seeds) > 1:
                self.reporter.say(f"seed {seed}")
                make_folder(folder)
                write_whole(folder / CONFIG, to_yaml(self.config))
            models = range(number * restarts, (number + 1) * restarts)
            candidates = [self._single(engine.weights, index) for index in models]
            runs.append(self._finish_one(engine, folder, seed, candidates))
        self.reporter.say(f"trained in {seconds:.0f} s; saved in {self.folder}")
        return runs

    def _finish_one(self, engine: Engine, folder: Path, seed: int, candidates: list[Autoencoder]) -> Run:
        """Choose among a seed's restarts, measure, and write its checkpoint."""
        scores: tuple[float, ...] = ()
        chosen = 0
        if len(candidates) > 1:
            scores = self._scores(candidates)
            chosen = max(range(len(scores)), key=lambda i: scores[i] if math.isfinite(scores[i]) else -math.inf)
            said = ", ".join(f"{score:.3f}" for score in scores)
            self.reporter.say(f"label-free scores of the restarts: {said}; keeping number {chosen + 1}")
        model = candidates[chosen]
        held_out, measured = self.splits.held_out, {}
        if held_out is not None and len(held_out[0]) >= 4:
            self.reporter.say(f"measuring on {held_out[1]}")
            validation = self.splits.validation if self.splits.test is not None else None
            measured = evaluate(model, held_out[0], self.metrics, validation=validation, seed=seed)
            measured = {name: round(value, 6) for name, value in measured.items()}
        facts = {
            "data": self.splits.train.name,
            "rows": len(self.splits.train),
            "labels": len(self.plan.labelled[seed]),
            "held_out": held_out[1] if held_out else "none",
            "steps": self._done(engine),
            "seconds": round(engine.seconds, 1),
            "device": self.plan.reason,
            "precision": self.plan.precision,
            "torch": torch.__version__,
            "notes": list(self.notes),
            "scores": [round(score, 4) for score in scores],
            "metrics": measured,
        }
        header = replace(model.header, finished=True, training={**(model.header.training or {}), **facts})
        model = Autoencoder(model.model, header, model.device)
        write_whole(folder / "samples.png", sample_sheet(model, seed))
        write_whole(folder / "README.md", self._card(facts, measured))
        save_tensors(folder / MODEL, dict(model.model.state_dict()), "aae", model.header.to_json())
        final = {**self.last_record, **{f"eval.{name}": value for name, value in measured.items()}, "final": True}
        if len(self.plan.labelled) > 1:
            final["seed"] = seed
        if self.notes:
            final["notes"] = list(self.notes)
        self._write(final)
        if held_out is not None:
            self.reporter.metrics(f"{self.title}: measured on {held_out[1]}", measured)
        return Run(folder, measured, scores, seed, engine.seconds)

    def _card(self, facts: Mapping[str, Any], measured: Mapping[str, float]) -> str:
        about = self.config.about
        shown = {name: value for name, value in facts.items() if name not in ("metrics", "notes", "scores")}
        shown["section of arXiv:1511.05644"] = about.section or "–"
        for number, note in enumerate(self.notes, 1):
            shown[f"note {number}"] = note
        return card(self.title, about.summary, shown, measured, f"aae info -c {self.folder}")
