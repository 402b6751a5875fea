"""With AAE_MPS_LIKE=1, every training test runs without what Apple GPUs lack."""

import os
from contextlib import nullcontext

import pytest
from mps_like import MpsLike


@pytest.fixture(autouse=True)
def _mps_like():
    with MpsLike() if os.environ.get("AAE_MPS_LIKE") else nullcontext():
        yield
