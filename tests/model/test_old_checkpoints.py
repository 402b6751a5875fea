"""Checkpoints that version 0.1.0 wrote load, and answer as they did.

Each folder holds a model of one hidden layer of 12 units, trained for 8 epochs on 300 of scikit-learn's digits or on iris,
and in expected.npz what it answered when it was written, on one thread of a CPU. Samples of the model whose class
proportions were found in the data (dim-reduction) are later: they were drawn evenly at first.
"""

from pathlib import Path

import numpy as np
import pytest
import torch

from aae_cli import load

FOLDERS = sorted(each for each in (Path(__file__).parent.parent / "checkpoints").iterdir() if each.is_dir())


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(1)


ANSWERS = {
    "embed": lambda model, rows: model.embed(rows),
    "cluster": lambda model, rows: model.cluster(rows)[0],
    "confidence": lambda model, rows: model.cluster(rows)[1],
    "classify": lambda model, rows: model.classify(rows),
    "sample": lambda model, rows: model.sample(6, generator=seeded()).x,
    "label": lambda model, rows: model.sample(4, labels=[1, 3], generator=seeded()).x,
    "grid": lambda model, rows: model.style_grid(2, generator=seeded()).x,
    "draws": lambda model, rows: torch.cat(list(model.draws(5, 3))).numpy(),
}


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_a_checkpoint_of_0_1_0_answers_as_it_did(folder: Path) -> None:
    model = load(folder, "cpu")
    expected = dict(np.load(folder / "expected.npz"))
    rows = expected.pop("rows")
    assert {"embed", "sample", "grid", "draws"} <= expected.keys()
    for name, then in expected.items():
        now = ANSWERS[name](model, rows)
        assert now.dtype == then.dtype, name
        # Another processor rounds otherwise, and a pixel that lies between two whole numbers may fall to either.
        whole = name in ("sample", "label", "grid") and model.schema.kind == "image"
        np.testing.assert_allclose(now, then, rtol=1e-4, atol=1.0 if whole else 1e-4, err_msg=name)
        assert (np.abs(now - then) > 1e-3).mean() < 0.01, name
