"""The training loop: steps, learning rates, weight averages, logging, saving and resuming, for any objective."""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from ..distributed import ALONE, World
from ..errors import AaeError, Interrupted, TrainingError
from .cuda_graph import Recorder, Replayed
from .patience import Patience
from .schedule import Schedule

AVERAGE_EVERY = 4  # steps between updates of the weight average: a quarter of the cost, nearly the same average
DIVERGED = "try a lower learning rate (--set phases.reconstruction.optimizer.lr=…), or another --seed"
SYNC_EVERY = 10  # steps between agreements of the processes on logging, saving and stopping


class Source(Protocol):
    """Source of batches. ``rows`` depends only on the step, ``batch`` on the rows and torch's default generator."""

    steps_per_epoch: int
    batch_size: int

    def rows(self, step: int) -> Tensor: ...

    def batch(self, rows: Tensor) -> Any: ...


class Steppable(Protocol):
    """An objective: optimisers by name, and a training step that returns detached (R,) losses by name."""

    @property
    def optimizers(self) -> Mapping[str, torch.optim.Optimizer]: ...

    def step(self, batch: Any, progress: float | Tensor) -> dict[str, Tensor]: ...


@dataclass
class Callbacks:
    """Callbacks of the loop: ``log`` receives a record, ``save`` the engine, ``note`` a message; ``at`` names a step."""

    log: Callable[[dict[str, Any]], None] = lambda record: None
    save: Callable[[Engine], None] = lambda engine: None
    note: Callable[[str], None] = lambda text: None
    at: Callable[[int], str] = lambda step: f"step {step}"


class Engine:
    """The loop of one training.

    Args:
        model: model whose weights are averaged and saved.
        other: modules (discriminators) that only the saved state includes.
        ema: decay of the exponential moving average of the weights; 0 for no average.
        log_every, save_every: seconds between log records, and between saves.
        world: the processes that train this model together.
        recorder: records a step as a CUDA graph; None to run every step normally.
        patience: checks whether to skip ahead; None not to.
    """

    def __init__(
        self,
        model: nn.Module,
        other: nn.Module,
        objective: Steppable,
        source: Source,
        schedule: Schedule,
        callbacks: Callbacks,
        *,
        ema: float = 0.0,
        log_every: float = 2.0,
        save_every: float = 60.0,
        world: World = ALONE,
        recorder: Recorder | None = None,
        patience: Patience | None = None,
    ) -> None:
        self.model, self.other, self.objective, self.source = model, other, objective, source
        self.schedule, self.callbacks, self.ema = schedule, callbacks, ema
        self.log_every, self.save_every, self.world, self.recorder = log_every, save_every, world, recorder
        self.patience = patience
        self.step, self.seconds = 0, 0.0  # done so far, including runs before a resume
        self.averages = {name: value.clone() for name, value in model.state_dict().items()} if ema else {}
        # The tensors of state_dict share their storage with the model, so they are collected only once.
        moving = {name: value for name, value in model.state_dict().items() if ema and value.is_floating_point()}
        self._moving = [self.averages[name] for name in moving], list(moving.values())
        self.base_rates = {
            name: [float(group["lr"]) for group in optimizer.param_groups]
            for name, optimizer in objective.optimizers.items()
        }
        self._names: list[str] = []
        self._sums: Tensor | None = None
        self._finite: Tensor | None = None
        self._since_log = 0
        # Progress and learning rates: numbers, or views of one device tensor, which a recorded step reads.
        self._progress: float | Tensor = 0.0
        self._scheduled: Tensor | None = None
        self._epoch_schedule, self._epoch_key = torch.empty(0), (-1, schedule)
        self._advance: Callable[[Tensor], None] = self._whole_step
        self._record_steps()

    def _record_steps(self) -> None:
        if self.recorder is not None:
            self._scheduled = torch.zeros(1 + len(self._groups), device=next(self.model.parameters()).device)
            self._progress, *rates = self._scheduled.unbind()
            for group, rate in zip(self._groups, rates, strict=True):
                group["lr"] = rate
            self._advance = Replayed(self._whole_step, self.recorder, self._not_recorded)

    @property
    def _groups(self) -> list[dict[str, Any]]:
        """Parameter groups of all optimisers, in the order of :attr:`base_rates`."""
        return [group for optimizer in self.objective.optimizers.values() for group in optimizer.param_groups]

    def _not_recorded(self, reason: str) -> None:
        self.callbacks.note(f"training without a CUDA graph, which is slower: the step cannot be recorded ({reason})")

    # --- the loop -----------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Train to the end of the schedule.

        Raises:
            TrainingError: in every model, some loss is not finite.
            Interrupted: SIGINT or SIGTERM was received; the state was saved.
        """
        self.model.train()
        steps, started = self.schedule.steps, time.perf_counter() - self.seconds
        logged = saved = time.perf_counter()
        with _signals() as stop:
            while self.step < steps:
                self.advance()
                if self.ema and (self.step + 1) % AVERAGE_EVERY == 0:
                    self._average()
                self.step += 1
                self._since_log += 1
                if self.patience is not None:
                    self._skip_ahead(self.patience)

                last = self.step == steps
                if self.world.size > 1 and self.step % SYNC_EVERY and not last:
                    continue
                now = time.perf_counter()
                self.seconds = now - started
                log_due = last or now - logged > self.log_every or (self._since_log >= 50 and self.step <= 50)
                save_due = last or now - saved > self.save_every
                number, log, save = self.world.agree([stop[0] if stop else 0, log_due, save_due])
                if log:
                    self.callbacks.log(self._record(now - logged))
                    logged = now
                if number or save:
                    self._require_finite()
                    self.callbacks.save(self)
                    saved = time.perf_counter()
                if number and not last:
                    raise self._interrupted(number)
            # A signal during the last step, or while that was logged and saved: later stages and measurements remain.
            (number,) = self.world.agree([stop[0] if stop else 0])
            if number:
                raise self._interrupted(number)

    def _interrupted(self, number: int) -> Interrupted:
        return Interrupted(
            f"stopped by {signal.Signals(number).name} at {self.callbacks.at(self.step)}; its state is saved",
            "continue with --resume",
            number,
        )

    def advance(self) -> None:
        """Do the device work of the next step, without counting it."""
        self._set_schedule()
        self._advance(self.source.rows(self.step))

    def _skip_ahead(self, patience: Patience) -> None:
        """Go on from a later step if patience has run out; it is not asked again in the phase that this leads to."""
        later = self.schedule.shortened(self.step)
        if later > self.step and patience.runs_out(self.step):
            self.callbacks.note(
                f"the held-out objective no longer improves: {later - self.step} steps are skipped at "
                f"{self.callbacks.at(self.step)}"
            )
            self.step = later

    def _whole_step(self, rows: Tensor) -> None:
        """All device work of a step. It must not synchronise with the host."""
        losses = self.objective.step(self.source.batch(rows), self._progress)
        self._accumulate(losses)

    def _set_schedule(self) -> None:
        if self._scheduled is None:
            self._progress, *rates = self._schedule_values(self.step)
            for group, rate in zip(self._groups, rates, strict=True):
                group["lr"] = _assign(group["lr"], rate)
            return
        epoch, position = divmod(self.step, self.schedule.steps_per_epoch)
        if self._epoch_key != (epoch, self.schedule):  # uploaded once per epoch; a step then copies on the device
            first = self.step - position
            times = [self._schedule_values(step) for step in range(first, first + self.schedule.steps_per_epoch)]
            self._epoch_schedule, self._epoch_key = torch.tensor(times).to(self._scheduled), (epoch, self.schedule)
        self._scheduled.copy_(self._epoch_schedule[position])

    def _schedule_values(self, step: int) -> list[float]:
        """Share of training done at a step, and the learning rate of each parameter group."""
        factor = self.schedule.factor(step)
        return [step / self.schedule.steps, *(rate * factor for rates in self.base_rates.values() for rate in rates)]

    def _average(self) -> None:
        """Update the weight average. Its decay is smaller at first, to forget the initial weights soon."""
        keep = min(self.ema, (1 + self.step) / (10 + self.step))
        torch._foreach_lerp_(*self._moving, 1 - keep**AVERAGE_EVERY)

    def restart_average(self) -> None:
        """Restart the weight average from the model's weights, after these were replaced."""
        for name, value in self.model.state_dict().items():
            if name in self.averages:
                self.averages[name].copy_(value)

    @property
    def weights(self) -> dict[str, Tensor]:
        """The state dict to save and use: the weight average if there is one (``ema``)."""
        return self.averages if self.ema else self.model.state_dict()

    # --- losses: summed on the device, read at every log record -------------------------------------------------------

    def _accumulate(self, losses: dict[str, Tensor]) -> None:
        values = torch.stack(list(losses.values()))  # (names, R)
        if self._sums is None or self._finite is None:
            self._names = list(losses)
            self._sums, self._finite = torch.zeros_like(values), torch.zeros_like(values, dtype=torch.int32)
        self._sums += values
        self._finite += values.isfinite()

    def _require_finite(self) -> None:
        """Raise TrainingError if every model had a loss that was not finite; it names the loss that failed first."""
        if self._finite is None:
            return
        finite = self.world.sums(self._finite).cpu() // self.world.size
        if (finite == self._since_log).all(0).any():
            return
        first = self._names[int(finite.min(1).values.argmin())]
        raise TrainingError(f"the loss {first} is no longer finite (before {self.callbacks.at(self.step)})", DIVERGED)

    def _record(self, seconds: float) -> dict[str, Any]:
        """Metrics record of the ``seconds`` since the last one; each loss is a mean over steps and finite models."""
        self._require_finite()
        assert self._sums is not None and self._finite is not None
        means = (self.world.sums(self._sums) / (self.world.size * self._since_log)).cpu().nanmean(1).tolist()
        record: dict[str, Any] = {
            "step": self.step,
            "epoch": round(self.step / self.schedule.steps_per_epoch, 3),
            "seconds": round(self.seconds, 3),
            "samples_per_s": round(self._since_log * self.source.batch_size / max(seconds, 1e-9), 1),
            "lr_factor": round(self.schedule.factor(max(self.step - 1, 0)), 6),
        }
        if self.patience is not None and self.patience.last is not None:
            record["held_out"] = _rounded(self.patience.last)
        record |= {f"loss.{name}": _rounded(value) for name, value in zip(self._names, means, strict=True)}
        self._sums.zero_()
        self._finite.zero_()
        self._since_log = 0
        return record

    # --- state --------------------------------------------------------------------------------------------------------

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """State from which training can be resumed exactly: tensors, and JSON values."""
        tensors: dict[str, Tensor] = {}
        tensors |= {f"model.{name}": value for name, value in self.model.state_dict().items()}
        tensors |= {f"other.{name}": value for name, value in self.other.state_dict().items()}
        tensors |= {f"average.{name}": value for name, value in self.averages.items()}
        for name, optimizer in self.objective.optimizers.items():
            for index, values in optimizer.state_dict()["state"].items():
                for key, value in values.items():
                    if value is not None:
                        tensors[f"optimizer.{name}.{index}.{key}"] = torch.as_tensor(value)
        tensors["random.cpu"] = torch.get_rng_state()
        if torch.cuda.is_available():
            tensors["random.cuda"] = torch.cuda.get_rng_state()
        checked = {} if self.patience is None else {"best": self.patience.best, "waited": self.patience.waited}
        return tensors, {"step": self.step, "seconds": self.seconds, "patience": checked}

    def load_state(self, tensors: Mapping[str, Tensor], values: Mapping[str, Any]) -> None:
        """Restore a result of :meth:`state`. Raises AaeError if it belongs to a different model."""

        def under(prefix: str) -> dict[str, Tensor]:
            return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}

        try:
            self.model.load_state_dict(under("model."))
            self.other.load_state_dict(under("other."))
            for name, value in under("average.").items():
                self.averages[name].copy_(value)
            for name, optimizer in self.objective.optimizers.items():
                state: dict[int, dict[str, Any]] = {}
                for key, value in under(f"optimizer.{name}.").items():
                    index, _, field = key.partition(".")
                    state.setdefault(int(index), {})[field] = value.clone()
                groups = optimizer.state_dict()["param_groups"]
                optimizer.load_state_dict({"state": state, "param_groups": groups})
            torch.set_rng_state(tensors["random.cpu"].cpu())
            if "random.cuda" in tensors and torch.cuda.is_available():
                torch.cuda.set_rng_state(tensors["random.cuda"].cpu())
            self.step, self.seconds = int(values["step"]), float(values["seconds"])
            if self.patience is not None and (checked := values.get("patience")):
                self.patience.best, self.patience.waited = float(checked["best"]), int(checked["waited"])
            self._record_steps()  # an earlier recording refers to replaced tensors
        except (KeyError, RuntimeError, ValueError) as error:
            raise AaeError(f"the saved state does not fit this training ({str(error).splitlines()[0]})") from None


def _assign(place: float | Tensor, value: float) -> float | Tensor:
    """Return the value, or a tensor ``place`` filled with it."""
    return place.fill_(value) if isinstance(place, Tensor) else value


def _rounded(value: float) -> float | None:
    return float(f"{value:.6g}") if math.isfinite(value) else None


@contextmanager
def _signals() -> Iterator[list[int]]:
    """Collect SIGINT and SIGTERM in a list, for the loop to act on. A second signal takes effect at once."""
    caught: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield caught
        return

    def note(number: int, frame: FrameType | None) -> None:
        caught.append(number)
        for each, old in previous.items():
            signal.signal(each, old if number == signal.SIGINT else signal.SIG_DFL)

    previous = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        for each in previous:
            signal.signal(each, note)
        yield caught
    finally:
        for each, old in previous.items():
            signal.signal(each, old)
