"""Terms and phases: the paper's losses by hand, what each phase moves, and that joint equals alternating's gradients."""

import math
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from aae_cli.config.auto import adapt
from aae_cli.config.draft import Facts
from aae_cli.config.resolve import resolve
from aae_cli.data.types import Data, Schema
from aae_cli.distributed import World
from aae_cli.model.build import build_model, build_priors
from aae_cli.model.metrics import Context, prior_fit
from aae_cli.nn.adversary import Adversary
from aae_cli.nn.encoder import Codes
from aae_cli.nn.priors import Mixture
from aae_cli.objective.build import build_objective
from aae_cli.objective.contrastive import Contrastive, NeighbourEmbedding
from aae_cli.objective.terms import (
    AdversarialConsistency,
    Batch,
    Consistency,
    DiscriminatorLoss,
    Forward,
    GeneratorLoss,
    HeadSeparation,
    Information,
    Reconstruction,
    SemiSupervised,
    consistency_target,
    nearest_distance,
)

SCHEMA = Schema("image", (1, 4, 4), 0.0, 1.0, classes=("a", "b", "c"))
SMALL = {"hidden": [8, 8]}


def config(schedule="joint", y=True, **phases):
    values = {
        "data": {"labels": "all"},
        "code": {"y": {"classes": 3} if y else None, "z": {"dims": 2}},
        "encoder": SMALL,
        "decoder": SMALL,
        "adversaries": {"z": {"prior": {"name": "gaussian"}, **SMALL}},
        "phases": {"schedule": schedule, "semi_supervised": {"batch_size": 6} if y else None, **phases},
        "train": {"batch_size": 5},
    }
    if y:
        values["adversaries"]["y"] = {"prior": {"name": "categorical"}, **SMALL}
    return adapt(resolve(values), Facts.of(SCHEMA, 100, 100)).config


def build(c, models=1):
    torch.manual_seed(0)
    model = build_model(c, SCHEMA, models)
    return model, build_objective(c, model, 3)


def batch(models=1) -> Batch:
    generator = torch.Generator().manual_seed(1)
    x = torch.rand(models, 5, 16, generator=generator)
    labelled = torch.rand(models, 6, 16, generator=generator)
    return Batch(
        x, torch.tensor([[0, 1, 2, -1, -1]] * models), x + 0.01, labelled, torch.tensor([[0, 1, 2] * 2] * models)
    )


def forward(y_logits=None, z=None, stream="x", model=None) -> Forward:
    return Forward(model, batch(), {stream: Codes(y_logits, z)}, 0.5, joint=True)


def test_reconstruction_is_half_the_summed_square():
    model, _ = build(config())
    b = batch()
    f = Forward.run(model, b, ["x"], 0.0, joint=True)
    loss, named = Reconstruction(2.0)(f)
    x_hat = model.decode(f.codes["x"].y, f.codes["x"].z)
    expected = sum(0.5 * ((x_hat[0, i] - b.x[0, i]) ** 2).sum().item() for i in range(5)) / 5
    assert named["reconstruction"].item() == pytest.approx(expected, rel=1e-5)
    assert loss.item() == pytest.approx(2 * expected, rel=1e-5)


def test_neighbour_embedding_is_the_cross_entropy_of_a_t_distribution_over_the_batch():
    f = pair([[0.0, 0.0], [3.0, 4.0]], [[1.0, 0.0], [3.0, 4.0]])
    loss, named = NeighbourEmbedding(2.0, ramp=1.0)(f)
    first = -math.log((1 / 2) / (1 / 2 + 1 / 26))  # squared distances 1 and 25
    second = -math.log(1 / (1 + 1 / 21))  # 0 and 20
    assert named["neighbours"].item() == pytest.approx((first + second) / 2, rel=1e-5)
    assert loss.item() == pytest.approx((first + second) / 2, rel=1e-5)  # weight 2, halfway up the ramp


class Plain:
    """A model whose representation is z."""

    labels = 0

    def represent(self, y, z, label):
        return z


def pair(r, view) -> Forward:
    codes = {"x": Codes(None, torch.tensor([r])), "view": Codes(None, torch.tensor([view]))}
    return Forward(Plain(), batch(), codes, 0.5, joint=True)


def test_neighbours_are_compared_in_units_of_the_kernel():
    r, view = [[0.0, 0.0], [3.0, 4.0]], [[1.0, 0.0], [3.0, 4.0]]
    near, _ = NeighbourEmbedding(1.0, 0.0)(pair(r, view))
    scaled = [[[0.1 * v for v in row] for row in rows] for rows in (r, view)]
    narrow, _ = NeighbourEmbedding(1.0, 0.0, width=0.1)(pair(*scaled))
    assert narrow.item() == pytest.approx(near.item(), rel=1e-5)


def test_a_row_is_compared_with_its_own_view_once():
    """The first view is everyone's negative, but of the first row, which has no other then."""
    r, view = [[0.0, 0.0], [3.0, 4.0]], [[1.0, 0.0], [3.0, 4.0]]
    loss, _ = NeighbourEmbedding(1.0, 0.0, negatives=1)(pair(r, view))
    second = -math.log(1 / (1 + 1 / 21))
    assert loss.item() == pytest.approx((0 + second) / 2, rel=1e-5)


def test_codes_are_contrasted_by_their_cosines():
    loss, named = Contrastive(2.0, 0.0, temperature=0.5)(pair([[2.0, 0.0], [0.0, 3.0]], [[1.0, 1.0], [0.0, 5.0]]))
    half = 0.5**0.5
    first = -math.log(math.exp(2 * half) / (math.exp(2 * half) + math.exp(0)))
    second = -math.log(math.exp(2) / (math.exp(2) + math.exp(2 * half)))
    assert named["neighbours"].item() == pytest.approx((first + second) / 2, rel=1e-5)
    assert loss.item() == pytest.approx(first + second, rel=1e-5)


def test_head_separation_is_linear_within_eta_and_nothing_beyond():
    class Heads:
        W_C = torch.tensor([[[0.0, 0.0], [3.0, 0.0], [0.0, 10.0]]])

    loss, _ = HeadSeparation(1.0, eta=5.0)(forward(model=Heads()))
    assert loss.item() == pytest.approx(5 - 3, abs=1e-4)


def test_cross_entropy_on_labelled_rows():
    f = forward(torch.zeros(1, 6, 3), stream="labelled")
    assert SemiSupervised(1.0)(f)[0].item() == pytest.approx(math.log(3), rel=1e-5)


def test_information_rewards_even_and_sure():
    sure = torch.eye(3)[None, [0, 1, 2]] * 50
    collapsed = torch.eye(3)[None, [0, 0, 0]] * 50
    unsure = torch.zeros(1, 3, 3)
    model, _ = build(config())
    value = {
        name: Information(1.0, 4.0, 0.0)(forward(y, model=model))[0].item()
        for name, y in (("sure", sure), ("collapsed", collapsed), ("unsure", unsure))
    }
    assert value["sure"] == pytest.approx(-4 * math.log(3), rel=1e-4)
    assert value["collapsed"] == pytest.approx(0, abs=1e-4)
    assert value["unsure"] == pytest.approx(-3 * math.log(3), rel=1e-4)


def test_information_of_merged_clusters_rewards_the_shares_that_they_had():
    model, _ = build(config())
    model.encoder.share = torch.tensor([[0.5, 0.25, 0.25]])

    def value(*clusters):
        y = torch.eye(3)[None, list(clusters)] * 50
        return Information(1.0, 4.0, 0.0)(forward(y, model=model))[0].item()

    as_before = value(0, 0, 1, 2)
    assert as_before < value(0, 1, 1, 2)
    assert as_before < value(0, 0, 0, 0)
    assert as_before == pytest.approx(-4 * math.log(3), abs=1e-3)


def test_consistency_stops_the_gradient_of_its_target_and_ramps():
    y, view = torch.randn(1, 4, 3, requires_grad=True), torch.randn(1, 4, 3, requires_grad=True)
    f = Forward(None, batch(), {"x": Codes(y, None), "view": Codes(view, None)}, 0.1, joint=True)
    loss, named = Consistency(3.0, ramp=0.4)(f)
    loss.sum().backward()
    assert y.grad is None
    assert view.grad is not None
    assert loss.item() == pytest.approx(3.0 * 0.25 * named["consistency"].item(), rel=1e-5)


def test_an_ensemble_teaches_the_mean_of_its_finite_models():
    logits = torch.randn(4, 5, 3)
    logits[2] = torch.nan
    y, target = logits.softmax(-1), consistency_target(forward(logits), 0.0, ensemble=2)
    for model, expected in enumerate([(y[0] + y[1]) / 2] * 2 + [y[3]] * 2):
        torch.testing.assert_close(target[model], expected)
    torch.testing.assert_close(consistency_target(forward(logits), 0.0)[:2], y[:2])


@pytest.mark.parametrize("schedule", ["joint", "alternating"])
@pytest.mark.parametrize("progress", [0.1, 0.8])
def test_the_generators_loss_and_gradient(schedule, progress):
    """Weight · ramp · the mean of −log D(code), whichever way its gradient is computed."""
    c = config(schedule)
    model, objective = build(c)
    adversary = objective.adversaries["z"]
    f = Forward.run(model, batch(), ["x"], progress, joint=schedule == "joint")
    code = f.codes["x"].z
    f.codes["x"] = Codes(f.codes["x"].y_logits, code.detach().requires_grad_())
    if schedule == "joint":
        DiscriminatorLoss("z", adversary)(f)[0].sum().backward()
    objective, named = GeneratorLoss("z", adversary, weight=6.0, ramp=0.4)(f)
    objective.sum().backward()
    again = code.detach().requires_grad_()
    expected = F.softplus(-adversary.logits(again)).mean(1)
    expected.sum().backward()
    torch.testing.assert_close(named["regularisation.z.generator"], expected)
    weight = 6.0 * min(1.0, progress / 0.4)
    torch.testing.assert_close(f.codes["x"].z.grad, weight * again.grad, rtol=1e-3, atol=1e-6)
    assert again.grad.abs().max() > 1e-4


@pytest.mark.parametrize("schedule", ["joint", "alternating"])
def test_labels_reach_the_discriminator_in_both_phases(schedule):
    """Section 2.3: changing the label of a row changes both losses."""
    torch.manual_seed(0)
    adversary = Adversary(1, Mixture(3), (8,), labels=3)
    losses = []
    for labels in ([0, 1, 2, -1, -1], [2, 0, 1, -1, -1], [-1] * 5):
        b = replace(batch(), labels=torch.tensor([labels]))
        f = Forward(None, b, {"x": Codes(None, torch.zeros(1, 5, 2))}, 0.5, joint=schedule == "joint")
        adversary.prior.sample = lambda component, world: torch.zeros(*component.shape, 2)  # the same for any label
        discriminator = DiscriminatorLoss("z", adversary)(f)[0]
        if f.joint:
            discriminator.sum().backward()
        losses.append((discriminator.item(), GeneratorLoss("z", adversary, 1.0, 0.0)(f)[1].popitem()[1].item()))
    sums = {(0, 1): "the same labels in another order", (0, 2): "labels or none"}
    assert losses[0] == pytest.approx(losses[1], rel=1e-5), sums[0, 1]
    assert all(abs(one - other) > 1e-3 for one, other in zip(losses[0], losses[2], strict=True)), sums[0, 2]


def test_progress_reaches_the_losses():
    _, objective = build(config("alternating"))
    seen = []
    for phase in objective.phases:
        phase.step = lambda forward, autocast: seen.append(float(forward.progress)) or {}
    objective.step(batch(), 0.25)
    assert seen == [0.25] * len(objective.phases)


@pytest.mark.parametrize("schedule", ["joint", "alternating"])
def test_phases_move_what_they_should(schedule):
    model, objective = build(config(schedule))
    names = [phase.name for phase in objective.phases]
    paper = ["reconstruction", "discriminator", "generator", "semi_supervised"]
    assert names == (["regularisation", "autoencoder"] if schedule == "joint" else paper)
    before = {name: p.clone() for name, p in model.named_parameters()}
    critics = {name: p.clone() for name, p in objective.adversaries.named_parameters()}
    losses = objective.step(batch(), 0.0)
    assert {
        "reconstruction",
        "regularisation.y.discriminator",
        "regularisation.y.generator",
        "regularisation.z.discriminator",
        "regularisation.z.generator",
        "semi_supervised",
    } == set(losses)
    assert all(loss.shape == (1,) and loss.isfinite().all() for loss in losses.values())
    assert all(not torch.equal(p, before[name]) for name, p in model.named_parameters())
    assert all(not torch.equal(p, critics[name]) for name, p in objective.adversaries.named_parameters())


def test_the_generator_phase_leaves_decoder_and_discriminator_alone():
    model, objective = build(config("alternating"))
    generator = next(phase for phase in objective.phases if phase.name == "generator")
    decoder = {name: p.clone() for name, p in model.decoder.named_parameters()}
    critics = {name: p.clone() for name, p in objective.adversaries.named_parameters()}
    generator.step(Forward.run(model, batch(), generator.streams, 0.0, joint=False), objective.autocast)
    assert all(torch.equal(p, decoder[name]) for name, p in model.decoder.named_parameters())
    assert all(torch.equal(p, critics[name]) for name, p in objective.adversaries.named_parameters())
    assert all(p.grad is None for p in objective.adversaries.parameters())


def test_joint_gradients_are_the_sum_of_the_terms():
    """One encoder pass and one discriminator pass give the encoder the gradient that separate passes would."""
    c = config()
    model, objective = build(c)
    b = batch()
    torch.manual_seed(7)
    f = Forward.run(model, b, objective.streams, 0.0, joint=True)
    for phase in objective.phases:
        phase.optimizer.step = lambda: None  # keep the weights, look at the gradients
        torch.manual_seed(8)
        phase.step(f, objective.autocast)
    joint = {name: p.grad.clone() for name, p in model.encoder.named_parameters()}

    model.zero_grad()
    total = torch.zeros(1)
    f = Forward.run(model, b, objective.streams, 0.0, joint=False)
    for term in objective.phases[1].terms:
        total = total + term(f)[0]
    total.sum().backward()
    for name, p in model.encoder.named_parameters():
        torch.testing.assert_close(joint[name], p.grad, rtol=1e-3, atol=1e-5)


def encoder_gradient(model, loss) -> torch.Tensor:
    """Gradient of a loss in all weights of the encoder, as one vector."""
    parameters = list(model.encoder.parameters())
    return torch.cat([slope.flatten() for slope in torch.autograd.grad(loss, parameters, retain_graph=True)])


def generator_steps(schedule, lr):
    """A step of one schedule: the gradient that it gives the encoder as a generator, and those of −log D with the
    discriminators before and after their update."""
    optimizer = {"name": "sgd", "lr": lr, "momentum": 0.0}
    others = {"semi_supervised": {"batch_size": 6, "weight": 0.0}, "reconstruction": {"weight": 0.0}}
    model, objective = build(config(schedule, regularisation={"optimizer": optimizer}, **others))
    model.encoder.dropout = 0.0
    b = batch()
    f = Forward.run(model, b, ["x"], 0.0, joint=False)

    def generators():
        return sum(
            a.generator_loss(f.codes["x"].part(name), b.labels).sum() for name, a in objective.adversaries.items()
        )

    before = encoder_gradient(model, generators())
    given = []
    encoders = next(phase for phase in objective.phases if phase.name in ("autoencoder", "generator"))
    encoders.optimizer.step = lambda: given.extend(p.grad.flatten() for p in model.encoder.parameters())
    objective.step(b, 0.0)
    return torch.cat(given), before, encoder_gradient(model, generators())


def distance(one, other) -> float:
    return float((one - other).norm() / other.norm())


@pytest.mark.parametrize("schedule", ["joint", "alternating"])
def test_joint_takes_the_discriminator_before_its_update_and_alternating_after(schedule):
    given, before, after = generator_steps(schedule, lr=1.0)
    assert distance(before, after) > 0.05  # a large step, so that the two are not mistaken for each other
    expected, other = (before, after) if schedule == "joint" else (after, before)
    assert distance(given, expected) < 1e-3
    assert distance(given, other) > 0.05


def test_joint_gradients_agree_with_the_updated_discriminator_as_its_step_gets_small():
    far, near = (distance(given, after) for given, _, after in (generator_steps("joint", lr) for lr in (0.01, 0.001)))
    assert 0 < near < 0.02
    assert far / near == pytest.approx(10, rel=0.3)  # of first order in the step


def fit_before_and_after(schedule: str, weight: float) -> tuple[float, float]:
    """Two-sample accuracy of 2-D codes against N(0, I), untrained and trained with an adversary of this weight.

    The rows are a mixture of three Gaussians, and the codes start two standard deviations beside the prior.
    """
    schema = Schema("table", (4,), integer=(False,) * 4)
    rate = {"optimizer": {"name": "adam", "lr": 0.003, "betas": [0.5, 0.999]}}
    values = {
        "code": {"y": None, "z": {"dims": 2, "batch_norm": True, "posterior": "gaussian", "std": 0.3}},
        "encoder": {"hidden": [64]},
        "decoder": {"hidden": [64]},
        "adversaries": {"z": {"hidden": [64, 64], "weight": weight, "noise": 0.2}},
        "phases": {"schedule": schedule, "reconstruction": rate, "regularisation": rate},
    }
    c = adapt(resolve(values), Facts.of(schema, 1000)).config
    torch.manual_seed(0)
    model = build_model(c, schema, 1)
    objective = build_objective(c, model, 0)
    with torch.no_grad():
        model.encoder.z[-1].bias.fill_(2.0)
    centres = torch.tensor([[-2.0, -2.0, 0.0, 0.0], [2.0, -2.0, 0.0, 0.0], [0.0, 2.0, 2.0, -2.0]])
    x = centres[torch.randint(3, (1000,))] + torch.randn(1000, 4)
    x = (x - x.mean(0)) / x.std(0)
    with torch.no_grad():
        for _ in range(30):  # the running statistics of batch norm
            model.encode(x[None])

    def fit() -> float:
        model.eval()
        with torch.no_grad():
            z = model.encode(x[None], draw=True).z[0].numpy()
        model.train()
        known = SimpleNamespace(z=lambda rows, draw: z, prior_z=build_priors(c)["z"], classes=())
        return prior_fit(Context(known, Data(x.numpy(), schema), None, 1, 0))["prior-fit"]

    before, steps = fit(), 1000
    average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.99), use_buffers=True)
    for step in range(steps):
        for optimizer in objective.optimizers.values():
            optimizer.param_groups[0]["lr"] = 0.003 * min(1.0, 3 * (1 - step / steps))
        rows = torch.randint(1000, (128,))
        objective.step(Batch(x[rows][None], torch.full((1, 128), -1)), step / steps)
        average.update_parameters(model)
    model.load_state_dict(average.module.state_dict())
    return before, fit()


@pytest.mark.parametrize("schedule", ["joint", "alternating"])
def test_training_brings_the_codes_to_their_prior_and_only_by_the_adversary(schedule):
    before, after = fit_before_and_after(schedule, weight=10.0)
    assert before > 0.9
    assert after < 0.65
    _, without = fit_before_and_after(schedule, weight=0.0)
    assert without > 0.8


def test_several_models_train_as_they_would_alone():
    """R models in one batch of products: the first is not touched by the second."""
    c = config()
    model, objective = build(c, models=2)
    other, alone = build(c, models=1)
    from aae_cli.nn.aae import pick_model

    other.load_state_dict(pick_model(model.state_dict(), 0))
    alone.adversaries.load_state_dict({k: v[:1].clone() for k, v in objective.adversaries.state_dict().items()})
    b2, b1 = batch(2), batch(1)
    b2 = Batch(
        *(torch.cat([one, other_]) for one, other_ in zip(
            (b1.x, b1.labels, b1.view, b1.labelled, b1.targets),
            (b2.x[1:], b2.labels[1:], b2.view[1:], b2.labelled[1:], b2.targets[1:]), strict=True))
    )  # fmt: skip
    for adversaries in (objective.adversaries, alone.adversaries):  # same real samples: take chance out
        for adversary in adversaries.values():
            adversary.real = lambda labels, dims=adversary.prior.dims: torch.ones(*labels.shape, dims) / dims
    for _ in range(3):
        objective.step(b2, 0.0)
        alone.step(b1, 0.0)
    for name, value in other.state_dict().items():
        if not name.startswith("scaling."):
            torch.testing.assert_close(model.state_dict()[name][:1], value, rtol=1e-4, atol=1e-6)


def test_label_given_to_the_decoder():
    values = {
        "data": {"labels": "all"},
        "decoder": {"input": "label", **SMALL},
        "encoder": SMALL,
        "adversaries": {"z": SMALL},
    }
    c = adapt(resolve(values), Facts.of(SCHEMA, 100, 100)).config
    _, objective = build(c)
    assert objective.step(batch(), 0.0)["reconstruction"].isfinite()


def test_nearest_distance_is_to_another_row():
    x = torch.tensor([[[0.0, 0], [3, 4], [3, 5], [0, 0]]])
    torch.testing.assert_close(nearest_distance(x), torch.tensor([[0.0, 1, 1, 0]]))


def test_nearest_distance_looks_in_the_batch_of_all_processes(monkeypatch):
    torch.manual_seed(0)
    whole = torch.randn(2, 6, 3)
    monkeypatch.setattr(World, "gather", lambda self, value, parts=None: whole)
    shares = [nearest_distance(share, World(rank, 2)) for rank, share in enumerate(whole.split(3, 1))]
    assert torch.equal(torch.cat(shares, 1), nearest_distance(whole))


def test_distances_are_exact_whatever_the_precision_of_training():
    torch.manual_seed(0)
    near = 100 + 0.1 * torch.randn(1, 40, 8)  # in bf16, all of these rows would be one
    exact = nearest_distance(near)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(nearest_distance(near), exact)


def test_adversarial_views_are_harder_than_random_moves_of_the_same_length():
    model, _ = build(config())
    model.encoder.y.weight.data *= 20  # an untrained q(y|x) hardly depends on x
    given = Forward.run(model, batch(), ["x"], 0.5, True)
    hard = AdversarialConsistency(1.0, 0.0, 0.5)(given)[0]
    length = 0.5 * nearest_distance(batch().x).unsqueeze(-1)
    from aae_cli.objective.terms import cross_entropy

    for seed in range(5):
        torch.manual_seed(seed)
        moves = torch.nn.functional.normalize(torch.randn_like(batch().view), dim=-1)
        random = cross_entropy(consistency_target(given, 0.0), model.encode(batch().view + length * moves)).mean(1)
        assert hard > random
    hard.sum().backward()
    assert all(p.grad is not None for p in model.encoder.y.parameters())


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("schedule", ["joint", "alternating"])
def test_terms_side_by_side_on_a_gpu_give_the_losses_of_one_after_the_other(schedule):
    c = config(schedule, consistency={"weight": 1.0}, information={"weight": 0.1})
    runs = []
    for concurrent in (False, True):
        torch.manual_seed(0)
        model = build_model(c, SCHEMA, 2).cuda()
        objective = build_objective(c, model, 3)
        for phase in objective.phases:
            for branch in () if concurrent else (phase.branch, *phase.term_branches):
                branch.stream = branch.event = None
        torch.manual_seed(1)
        on_cpu = batch(2)
        on_gpu = Batch(*(value.cuda() for value in vars(on_cpu).values()))
        runs.append([objective.step(on_gpu, 0.5) for _ in range(5)])
    for one, other in zip(*runs, strict=True):
        for name, loss in one.items():
            torch.testing.assert_close(loss, other[name], rtol=2e-3, atol=1e-4)
