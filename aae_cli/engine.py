"""The training loop: batches in, steps of an objective, metrics out, saved and resumed. It knows nothing of the paper."""

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

from .errors import AaeError, Interrupted, TrainingError


class Source(Protocol):
    """Where batches come from: ``batch(step)`` depends on the step and the default random generator alone."""

    steps_per_epoch: int
    batch_size: int

    def batch(self, step: int) -> Any: ...


class Steppable(Protocol):
    """What is optimised: named optimisers, and one step that returns detached (R,) losses by name."""

    @property
    def optimizers(self) -> Mapping[str, torch.optim.Optimizer]: ...

    def step(self, batch: Any, progress: float) -> dict[str, Tensor]: ...


@dataclass(frozen=True)
class Schedule:
    """How long, and how learning rates go.

    Attributes:
        drops: epochs after which rates are divided by 10.
        decay: share of training after which rates fall linearly to 0; 1 for never.
    """

    epochs: int
    steps_per_epoch: int
    drops: tuple[int, ...] = ()
    decay: float = 1.0

    @property
    def steps(self) -> int:
        return self.epochs * self.steps_per_epoch

    def factor(self, step: int) -> float:
        """What rates are multiplied by at a step."""
        epoch = step // self.steps_per_epoch
        factor = 0.1 ** sum(epoch >= drop for drop in self.drops)
        progress = step / self.steps
        if progress > self.decay:
            factor *= (1 - progress) / (1 - self.decay)
        return factor


@dataclass
class Callbacks:
    """What happens around the loop. ``log`` takes a metrics record; ``save`` is given the engine's whole state."""

    log: Callable[[dict[str, Any]], None] = lambda record: None
    save: Callable[[Engine], None] = lambda engine: None


class Engine:
    """One training.

    Args:
        model: whose weights are averaged (``ema``) and saved; ``other`` modules (discriminators) are part of the state.
        log_every, save_every: seconds between log lines, and between saves.
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
    ) -> None:
        self.model, self.other, self.objective, self.source = model, other, objective, source
        self.schedule, self.callbacks, self.ema = schedule, callbacks, ema
        self.log_every, self.save_every = log_every, save_every
        self.step, self.seconds = 0, 0.0
        self.averages = {name: value.clone() for name, value in model.state_dict().items()} if ema else {}
        # The state shares its storage with the model, so that one look at it serves every step.
        moving = {name: value for name, value in model.state_dict().items() if ema and value.is_floating_point()}
        self._moving = [self.averages[name] for name in moving], list(moving.values())
        self.base_rates = {
            name: [float(group["lr"]) for group in optimizer.param_groups]
            for name, optimizer in objective.optimizers.items()
        }
        self._names: list[str] = []
        self._reset_losses()

    # --- the loop -----------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Train to the end of the schedule.

        Raises:
            TrainingError: a loss is no longer finite in any model.
            Interrupted: SIGINT or SIGTERM came; the state was saved first.
        """
        self.model.train()
        steps, started = self.schedule.steps, time.perf_counter() - self.seconds
        logged = saved = time.perf_counter()
        with _signals() as stop:
            while self.step < steps:
                self._set_rates()
                losses = self.objective.step(self.source.batch(self.step), self.step / steps)
                self._count(losses)
                if self.ema:
                    self._average()
                self.step += 1

                now = time.perf_counter()
                self.seconds = now - started
                last = self.step == steps
                if last or now - logged > self.log_every or (self._since_log >= 50 and self.step <= 50):
                    self.callbacks.log(self._record(now - logged))
                    logged = now
                if stop or last or now - saved > self.save_every:
                    self._require_finite()
                    self.callbacks.save(self)
                    saved = time.perf_counter()
                if stop and not last:
                    name = signal.Signals(stop[0]).name
                    raise Interrupted(
                        f"stopped by {name} at step {self.step} of {steps}; its state is saved",
                        "go on with --resume",
                        stop[0],
                    )

    def _set_rates(self) -> None:
        factor = self.schedule.factor(self.step)
        for name, optimizer in self.objective.optimizers.items():
            for group, rate in zip(optimizer.param_groups, self.base_rates[name], strict=True):
                group["lr"] = rate * factor

    def _average(self) -> None:
        # Early on, the average forgets faster, so that it does not start from noise.
        keep = min(self.ema, (1 + self.step) / (10 + self.step))
        averages, current = self._moving
        torch._foreach_lerp_(averages, current, 1 - keep)

    def restart_average(self) -> None:
        """Begin the averages anew at the model's weights, where those were changed from outside."""
        for name, value in self.model.state_dict().items():
            if name in self.averages:
                self.averages[name].copy_(value)

    @property
    def weights(self) -> dict[str, Tensor]:
        """The weights to save and use: averaged ones where asked for."""
        return self.averages if self.ema else self.model.state_dict()

    # --- losses: summed on the device, read out at every log line ----------------------------------------------------

    def _reset_losses(self) -> None:
        self._sums: Tensor | None = None
        self._finite: Tensor | None = None
        self._since_log = 0

    def _count(self, losses: dict[str, Tensor]) -> None:
        values = torch.stack(list(losses.values()))  # (names, R)
        finite = values.isfinite()
        if self._sums is None or self._finite is None:
            self._names = list(losses)
            self._sums, self._finite = values.double() if values.device.type == "cpu" else values.clone(), finite.int()
        else:
            self._sums += values
            self._finite += finite
        self._since_log += 1

    def _require_finite(self) -> None:
        """One look at what was counted: stop where every model has gone wrong, naming the loss that did so first."""
        if self._finite is None:
            return
        finite = self._finite.cpu()
        if (finite == self._since_log).all(0).any():
            return
        first = self._names[int(finite.min(1).values.argmin())]
        raise TrainingError(
            f"the loss {first} is no longer finite (before step {self.step})",
            "try a lower learning rate (--set phases.reconstruction.optimizer.lr=…), or another --seed",
        )

    def _record(self, seconds: float) -> dict[str, Any]:
        self._require_finite()
        assert self._sums is not None
        means = (self._sums / self._since_log).cpu().nanmean(1).tolist()
        record: dict[str, Any] = {
            "step": self.step,
            "epoch": round(self.step / self.schedule.steps_per_epoch, 3),
            "seconds": round(self.seconds, 3),
            "samples_per_s": round(self._since_log * self.source.batch_size / max(seconds, 1e-9), 1),
        }
        record |= {f"loss.{name}": _rounded(value) for name, value in zip(self._names, means, strict=True)}
        self._reset_losses()
        return record

    # --- state --------------------------------------------------------------------------------------------------------

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Everything that decides how training goes on: tensors, and a JSON value."""
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
        return tensors, {"step": self.step, "seconds": self.seconds}

    def load_state(self, tensors: Mapping[str, Tensor], values: Mapping[str, Any]) -> None:
        """Take up where :meth:`state` was called. Raises AaeError where the state is of another model."""

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
        except (KeyError, RuntimeError, ValueError) as error:
            raise AaeError(f"the saved state does not fit this training ({str(error).splitlines()[0]})") from None


def _rounded(value: float) -> float | None:
    return float(f"{value:.6g}") if math.isfinite(value) else None


@contextmanager
def _signals() -> Iterator[list[int]]:
    """SIGINT and SIGTERM are noted for the loop to act on; a second one acts at once."""
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
