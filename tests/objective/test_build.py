"""What the config says reaches the losses and the adversaries."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from aae_cli.config.auto import adapt
from aae_cli.config.draft import Facts
from aae_cli.config.phases import Optimizer
from aae_cli.config.resolve import resolve
from aae_cli.data.types import Schema
from aae_cli.model.build import build_model
from aae_cli.objective.build import build_objective
from aae_cli.objective.optimizers import build_optimizer

SCHEMA = Schema("image", (1, 4, 4), 0.0, 1.0, classes=("a", "b", "c"))
SMALL = {"hidden": [8]}


def objective(values):
    c = adapt(resolve(values), Facts.of(SCHEMA, 100, 100)).config
    torch.manual_seed(0)
    return build_objective(c, build_model(c, SCHEMA, 1), len(SCHEMA.classes))


def test_weights_of_the_config_reach_their_losses():
    for schedule in ("joint", "alternating"):
        built = objective(
            {
                "data": {"labels": "all"},
                "code": {"y": {"classes": 3}, "z": {"dims": 2}},
                "encoder": SMALL,
                "decoder": {**SMALL, "input": "heads", "heads": {"weight": 9.0, "eta": 2.5}},
                "adversaries": {
                    "y": {"prior": {"name": "categorical"}, "weight": 2.0, **SMALL},
                    "z": {"prior": {"name": "gaussian"}, "weight": 3.0, "ramp": 0.25, **SMALL},
                },
                "phases": {
                    "schedule": schedule,
                    "reconstruction": {"weight": 4.0},
                    "semi_supervised": {"weight": 5.0, "batch_size": 6},
                    "consistency": {"weight": 6.0},
                    "information": {"weight": 7.0, "balance": 1.5},
                    "neighbour_embedding": {"weight": 8.0},
                },
            }
        )
        weights = {
            (phase.name, type(term).__name__, getattr(term, "part", "")): getattr(term, "weight", None)
            for phase in built.phases
            for term in phase.terms
        }
        names = ["discriminator", "reconstruction", "generator", "semi_supervised", "consistency"]
        if schedule == "joint":
            names = ["regularisation", *["autoencoder"] * 4]
        discriminators, reconstruction, generators, labels, views = names
        assert weights == {
            (discriminators, "DiscriminatorLoss", "y"): None,
            (discriminators, "DiscriminatorLoss", "z"): None,
            (reconstruction, "Reconstruction", ""): 4.0,
            (reconstruction, "HeadSeparation", ""): 9.0,
            (reconstruction, "NeighbourEmbedding", ""): 8.0,
            (generators, "GeneratorLoss", "y"): 2.0,
            (generators, "GeneratorLoss", "z"): 3.0,
            (labels, "SemiSupervised", ""): 5.0,
            (views, "Consistency", ""): 6.0,
            (views, "Information", ""): 7.0,
        }
        terms = {(type(t).__name__, getattr(t, "part", "")): t for phase in built.phases for t in phase.terms}
        assert terms["GeneratorLoss", "z"].ramp == 0.25
        assert terms["HeadSeparation", ""].eta == 2.5
        assert terms["Information", ""].balance == 1.5


def test_adversaries_see_what_the_config_says():
    values = {
        "data": {"labels": "all"},
        "code": {"y": {"classes": 3}, "z": {"dims": 2}},
        "encoder": SMALL,
        "decoder": SMALL,
        "adversaries": {
            "y": {"prior": {"name": "categorical"}, **SMALL},
            "z": {"prior": {"name": "mixture"}, "labels": True, "apart": True, "noise": 0.3, **SMALL},
        },
        "phases": {"semi_supervised": {"batch_size": 6}},
    }
    y, z = (objective(values).adversaries[part] for part in ("y", "z"))
    assert (y.labels, y.content, y.noise) == (0, 0, 0.0)
    assert (z.labels, z.content, z.noise) == (3, 3, 0.3)
    assert z.discriminator.layers[0].weight.shape[1] == 2 + (3 + 1) + 3
    assert (y.prior.components, z.prior.components) == (3, 3)


def test_training_does_without_torchs_compiler(tmp_path):
    """Its import takes more than a second. Two steps in a process of their own, with each optimiser."""
    code = f"""
import sys
from fitting import blobs, fit
fit("gaussian", blobs(60), {str(tmp_path / "a")!r}, "data.validation=0")
fit("paper/gaussian", blobs(60), {str(tmp_path / "b")!r}, "data.validation=0")
assert "torch._dynamo" not in sys.modules
"""
    path = os.pathsep.join([str(Path(__file__).parent.parent), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": path}, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()


@pytest.mark.parametrize("config", [{"name": "sgd"}, {"name": "adam", "betas": [0.5, 0.99]}])
def test_optimisers_step_as_torchs_do(config):
    config = Optimizer.model_validate({"lr": 0.1, **config})
    own, theirs = (torch.nn.Parameter(torch.tensor([1.0, -2.0])) for _ in range(2))
    options = {"momentum": 0.9} if config.name == "sgd" else {"betas": config.betas}
    kind = torch.optim.SGD if config.name == "sgd" else torch.optim.Adam
    for parameter, optimizer in ((own, build_optimizer(config, [own])), (theirs, kind([theirs], lr=0.1, **options))):
        for _ in range(5):
            optimizer.zero_grad()
            parameter.pow(3).sum().backward()
            optimizer.step()
    assert torch.allclose(own, theirs, atol=1e-6)
