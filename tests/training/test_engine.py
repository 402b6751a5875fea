"""The loop: schedules, logging, resuming bit for bit, stopping at what is not finite. A one-weight model is enough."""

import os
import signal

import pytest
import torch
from torch import nn

from aae_cli.errors import AaeError, Interrupted, TrainingError
from aae_cli.training.engine import Callbacks, Engine, Schedule


class Source:
    steps_per_epoch, batch_size = 5, 4

    def rows(self, step):
        return torch.full((2, 4), step)

    def batch(self, rows):
        return torch.randn(2, 4, 3) + rows.unsqueeze(-1) * 0.01


class Objective:
    """Moves a mean towards noisy data, for two models at once."""

    def __init__(self, optimizer="adam"):
        torch.manual_seed(0)
        self.model = nn.ParameterDict({"mean": nn.Parameter(torch.zeros(2, 1, 3))})
        kinds = {"adam": torch.optim.Adam, "sgd": torch.optim.SGD}
        options = {"momentum": 0.9} if optimizer == "sgd" else {}
        self.optimizers = {"all": kinds[optimizer](self.model.parameters(), lr=0.1, **options)}
        self.rates, self.progress, self.spoil = [], [], {}

    def step(self, batch, progress):
        self.rates.append(self.optimizers["all"].param_groups[0]["lr"])
        self.progress.append(progress)
        loss = (batch - self.model["mean"]).square().mean((1, 2))
        self.optimizers["all"].zero_grad()
        loss.sum().backward()
        self.optimizers["all"].step()
        bad = torch.tensor(self.spoil.get(len(self.rates) - 1, [1.0, 1.0]))
        return {"early": loss.detach(), "late": loss.detach() * bad}


def engine(epochs=4, objective=None, save=lambda engine: None, log=lambda record: None, **options) -> Engine:
    objective = objective or Objective()
    schedule = options.pop("schedule", Schedule(epochs, 5))
    return Engine(objective.model, nn.Module(), objective, Source(), schedule, Callbacks(log, save), **options)


def test_learning_rates_drop_and_decay():
    drops = Schedule(10, 5, drops=(2, 6))
    assert [round(drops.factor(step), 6) for step in (0, 9, 10, 29, 30)] == [1, 1, 0.1, 0.1, 0.01]
    decay = Schedule(10, 5, decay=0.5)
    assert decay.factor(25) == 1
    assert decay.factor(37) == pytest.approx(0.52)
    assert 0 < decay.factor(49) < 0.05


def test_rates_and_progress_reach_the_steps():
    objective = Objective()
    engine(objective=objective, schedule=Schedule(4, 5, drops=(2,))).run()
    assert objective.rates == pytest.approx([0.1] * 10 + [0.01] * 10)
    assert objective.progress[10] == 0.5
    assert len(objective.progress) == 20


def test_records_have_the_contracts_keys():
    records = []
    engine(log=records.append).run()
    last = records[-1]
    assert last["step"] == 20
    assert last["epoch"] == 4.0
    assert {"seconds", "samples_per_s", "loss.early", "loss.late"} <= set(last)


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
@pytest.mark.parametrize("at", [1, 7, 19, 20])
def test_a_resumed_training_ends_with_the_same_bits(optimizer, at):
    whole = engine(objective=Objective(optimizer), ema=0.9)
    torch.manual_seed(3)
    whole.run()

    first = engine(objective=Objective(optimizer), ema=0.9)
    torch.manual_seed(3)
    step = first.objective.step

    def stop_at(batch, progress):
        losses = step(batch, progress)
        if first.step + 1 == at:
            os.kill(os.getpid(), signal.SIGTERM)
        return losses

    first.objective.step = stop_at
    saved = []
    first.callbacks = Callbacks(
        save=lambda e: saved.append([{k: v.clone() for k, v in e.state()[0].items()}, e.state()[1]])
    )
    with pytest.raises(Interrupted) as caught:
        first.run()
    assert caught.value.exit_code == 143
    assert first.step == at

    torch.manual_seed(99)  # the state brings its own
    second = engine(objective=Objective(optimizer), ema=0.9)
    second.load_state(*saved[-1])
    second.run()
    for name in ("mean",):
        assert torch.equal(whole.model.state_dict()[name], second.model.state_dict()[name])
        assert torch.equal(whole.weights[name], second.weights[name])


def test_a_signal_while_the_last_step_is_saved_is_not_lost():
    last = engine()
    last.callbacks = Callbacks(save=lambda _: os.kill(os.getpid(), signal.SIGTERM))
    with pytest.raises(Interrupted):
        last.run()
    assert last.step == 20


def test_a_resumed_training_restores_the_discriminators_and_counts_on():
    first, second = engine(), engine()
    first.other = nn.Linear(3, 1)
    second.other = nn.Linear(3, 1)
    first.step, first.seconds = 7, 12.5
    second.load_state(*first.state())
    assert torch.equal(first.other.weight, second.other.weight)
    assert (second.step, second.seconds) == (7, 12.5)


def test_not_finite_stops_and_names_the_loss_that_went_first():
    objective = Objective()
    objective.spoil = {3: [float("nan"), float("inf")]}
    saves = []
    with pytest.raises(TrainingError, match="the loss late is no longer finite"):
        engine(objective=objective, save=lambda e: saves.append(e.step)).run()
    assert saves == []


def test_one_bad_model_among_several_does_not_stop_the_others():
    objective = Objective()
    objective.spoil = {step: [float("nan"), 1.0] for step in range(3, 20)}
    engine(objective=objective).run()


def test_average_weights_lag_behind():
    e = engine(ema=0.99)
    torch.manual_seed(0)
    e.run()
    assert not torch.equal(e.weights["mean"], e.model.state_dict()["mean"])
    assert torch.equal(engine().weights["mean"], torch.zeros(2, 1, 3))


def test_a_state_of_another_model_is_refused():
    e = engine()
    with pytest.raises(AaeError, match="does not fit"):
        e.load_state({"model.other": torch.zeros(1)}, {"step": 1, "seconds": 0.0})
