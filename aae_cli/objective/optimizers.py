"""Optimisers of torch, without torch's compiler, which they import (in more than a second) but training does not use."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import TypeVar

import torch
from torch import nn

from ..config.phases import Optimizer

Kind = TypeVar("Kind", bound=torch.optim.Optimizer)


def _without_compiler(kind: type[Kind]) -> type[Kind]:
    """A class of optimiser whose methods are not prepared for compilation.

    Its step runs without gradients, as that of the original does unless it is to be differentiable.
    """
    for name in ("add_param_group", "load_state_dict", "state_dict", "zero_grad"):
        method = inspect.unwrap(getattr(torch.optim.Optimizer, name))
        if not hasattr(method, "__dynamo_disable"):  # torch would import the compiler to set this
            method.__dynamo_disable = method  # type: ignore[attr-defined]
    return type(kind.__name__, (kind,), {"step": torch.no_grad()(inspect.unwrap(kind.step))})


SGD, Adam = _without_compiler(torch.optim.SGD), _without_compiler(torch.optim.Adam)


def build_optimizer(config: Optimizer, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    """Build SGD or Adam. On CUDA the learning rate is a tensor, whose current value a recorded CUDA graph reads."""
    parameters = list(parameters)
    fused = all(p.device.type in ("cpu", "cuda") for p in parameters)
    on_cuda = all(p.device.type == "cuda" for p in parameters)
    rate = float(config.lr)
    lr = torch.tensor(rate, device=parameters[0].device) if on_cuda else rate
    if config.name == "sgd":
        return SGD(parameters, lr=lr, momentum=config.momentum, fused=fused)
    return Adam(parameters, lr=lr, betas=config.betas, fused=fused, capturable=on_cuda)
