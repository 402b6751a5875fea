"""Training, validation and test rows."""

import numpy as np
import pytest
from fitting import blobs

from aae_cli.errors import UsageError
from aae_cli.training.splits import split


def test_splits_are_disjoint_and_whole():
    data = blobs(100)
    parts = split(data, 0.1, 0)
    assert (len(parts.train), len(parts.validation)) == (90, 10)
    both = np.concatenate([parts.train.x, parts.validation.x])
    assert np.array_equal(np.sort(both[:, 0]), np.sort(data.x[:, 0]))
    assert len(split(data, 30, 0).validation) == 30
    assert split(data, 0, 0).validation is None
    with pytest.raises(UsageError, match="validation"):
        split(data, 100, 0)
