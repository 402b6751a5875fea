"""A CPU that lacks what Apple GPUs lack, as none is at hand: float64 tensors and ``torch.special.ndtri`` raise."""

from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class MpsLike(TorchDispatchMode):
    """Raises TypeError where an operation makes a float64 tensor, and NotImplementedError where it is ndtri."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if "ndtri" in func.__name__:
            raise NotImplementedError("ndtri is not implemented for Apple GPUs")
        result = func(*args, **(kwargs or {}))
        if any(isinstance(each, torch.Tensor) and each.dtype == torch.float64 for each in tree_leaves(result)):
            raise TypeError(f"{func.__name__}: Apple GPUs do not support float64")
        return result
