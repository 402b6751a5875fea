"""Steps that are recorded and replayed, with a recorder that needs no GPU: the same loop, clock, sums and averages."""

import pytest
import torch
from test_engine import Objective, Source

from aae_cli.training.cuda_graph import WARM_UP, CudaRecorder
from aae_cli.training.engine import Callbacks, Engine, Schedule


class Recorder:
    """Keeps to a CUDA graph's rule: what is recorded is the call's work on tensors, not the Python around it."""

    def __init__(self, error: str = "") -> None:
        self.warmed = self.recorded = self.replayed = 0
        self.error = error

    def warm(self, call):
        self.warmed += 1
        call()

    def record(self, call):
        self.recorded += 1
        if self.error:
            raise RuntimeError(self.error)

        def replay():
            self.replayed += 1
            call()

        return replay


class OnDevice(Objective):
    """As it would be on a GPU: the rate lies in a tensor, and progress comes in one."""

    def __init__(self):
        super().__init__()
        self.optimizers = {"all": torch.optim.SGD(self.model.parameters(), lr=torch.tensor(0.1))}
        self.seen = []

    def step(self, batch, progress):
        self.seen.append((progress, self.optimizers["all"].param_groups[0]["lr"], batch))
        return super().step(batch, progress)


def engine(objective, recorder=None, notes=None, **options) -> Engine:
    callbacks = Callbacks(options.pop("log", lambda record: None), note=(notes if notes is not None else []).append)
    schedule = Schedule(4, 5, drops=(2,))
    return Engine(
        objective.model, torch.nn.Module(), objective, Source(), schedule, callbacks, recorder=recorder, **options
    )


def test_a_step_warms_up_is_recorded_once_and_then_replayed():
    recorder = Recorder()
    engine(OnDevice(), recorder).run()
    assert (recorder.warmed, recorder.recorded, recorder.replayed) == (WARM_UP, 1, 20 - WARM_UP)


def test_recorded_steps_read_their_clock_and_rows_from_fixed_places():
    objective = OnDevice()
    places = engine(objective, Recorder(), ema=0.9)
    places.run()
    progress, rate, _ = zip(*objective.seen, strict=True)
    assert len({id(place) for place in progress}) == len({id(place) for place in rate}) == 1
    assert progress[0].item() == pytest.approx(19 / 20)
    assert rate[0].item() == pytest.approx(0.01)
    assert objective.rates == [pytest.approx(0.01)] * 20  # one place, seen twenty times


def test_recorded_and_plain_training_agree():
    logged: dict[bool, list] = {False: [], True: []}
    weights = []
    for recorded in (False, True):
        objective = OnDevice()
        e = engine(objective, Recorder() if recorded else None, log=logged[recorded].append, log_every=0.0)
        torch.manual_seed(3)
        e.run()
        weights.append(e.model.state_dict()["mean"])
    assert torch.equal(*weights)
    losses = [[record["loss.early"] for record in logged[recorded]] for recorded in (False, True)]
    assert losses[0] == losses[1]
    assert len(losses[0]) == 20


def test_averages_of_recorded_steps_are_those_of_plain_ones():
    weights = []
    for recorder in (None, Recorder()):
        torch.manual_seed(3)
        e = engine(OnDevice(), recorder, ema=0.5)
        e.run()
        assert not torch.equal(e.weights["mean"], e.model.state_dict()["mean"])
        weights.append(e.weights["mean"])
    assert torch.equal(*weights)


def test_what_cannot_be_recorded_runs_step_by_step_and_says_why():
    notes: list[str] = []
    recorder = Recorder("operation not permitted when stream is capturing\nmore")
    objective = OnDevice()
    engine(objective, recorder, notes).run()
    assert len(objective.seen) == 20
    assert recorder.recorded == 1
    assert len(notes) == 1
    assert "operation not permitted when stream is capturing" in notes[0]
    assert "more" not in notes[0]


def test_a_loaded_state_is_recorded_anew():
    recorder = Recorder()
    e = engine(OnDevice(), recorder)
    e.run()
    tensors, values = e.state()
    e.load_state(tensors, {**values, "step": 10})
    e.run()
    assert recorder.recorded == 2


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_cuda_graph_does_what_the_call_does():
    total = torch.zeros((), device="cuda")
    recorder = CudaRecorder()
    recorder.warm(lambda: total.add_(1))
    replay = recorder.record(lambda: total.add_(1))
    for _ in range(5):
        replay()
    assert total.item() == 6


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_random_numbers_can_be_drawn_after_a_recording_that_breaks_off():
    total = torch.zeros(3, device="cuda")

    def call():
        total.add_(torch.rand(3, device="cuda"))
        total.cpu()  # waits for the device, which no recording can

    recorder = CudaRecorder()
    recorder.warm(call)
    with pytest.raises(RuntimeError):
        recorder.record(call)
    call()
    assert total.isfinite().all()
