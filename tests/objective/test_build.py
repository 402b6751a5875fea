"""What the config says reaches the losses and the adversaries."""

import torch

from aae_cli.config.auto import adapt
from aae_cli.config.draft import Facts
from aae_cli.config.resolve import resolve
from aae_cli.data.types import Schema
from aae_cli.model.build import build_model
from aae_cli.objective.build import build_objective

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
