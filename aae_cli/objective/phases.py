"""Phases (terms that share an optimiser and a step), and the objective, which runs all phases in order."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial

import torch
from torch import Tensor, nn

from ..distributed import Unit
from ..nn.aae import AAE
from .branches import Branch
from .terms import CPU, Batch, Forward, Named, Stream, Term


class Phase:
    """Terms that share a forward pass, an optimiser and a step.

    Args:
        terms: losses, whose sum is minimised.
        parameters: the parameters that the optimiser updates; no others receive a gradient.
        units: wrappers that average these parameters' gradients over the processes of a distributed training.

    Attributes:
        streams: the parts of a batch that the terms need encoded.
        branch: the CUDA stream of the whole phase. term_branches: those of its terms.
    """

    def __init__(
        self,
        name: str,
        terms: Sequence[Term],
        parameters: Iterable[nn.Parameter],
        optimizer: torch.optim.Optimizer,
        units: Sequence[Unit] = (),
    ) -> None:
        self.name, self.terms, self.optimizer, self.units = name, list(terms), optimizer, list(units)
        self.parameters = list(parameters)
        order: list[Stream] = ["x", "view", "labelled"]
        self.streams = [stream for stream in order if any(stream in term.streams for term in self.terms)]
        # On CUDA, terms run concurrently, and so do their backward passes; with several processes they do not.
        device = self.parameters[0].device if not self.units else CPU
        self.branch = Branch(device)
        concurrent = [False, *(term.concurrent for term in self.terms[1:])]
        self.term_branches = [Branch(device if each else CPU) for each in concurrent]

    def step(self, forward: Forward, autocast: AbstractContextManager[object]) -> Named:
        """Update the parameters once. Returns (R,) losses by name, not detached."""
        losses: Named = {}

        def total() -> Tensor:
            objectives = []
            for term, branch in zip(self.terms, self.term_branches, strict=True):
                with branch.begin():
                    objective, named = term(forward)
                objectives.append(objective)
                losses.update(named)
            for branch in self.term_branches:
                branch.join()
            return torch.stack(objectives).sum()

        for unit in self.units:
            total = partial(unit, total)
        with autocast:
            objective = total()
        # The generator's gradient is computed from the discriminator's gradient in the codes (joint schedule).
        fakes = [fake for fake, _ in forward.fake_codes.values() if fake.grad is None]
        self.optimizer.zero_grad(set_to_none=True)
        objective.backward(inputs=[*self.parameters, *fakes])
        self.branch.mark()
        self.optimizer.step()
        return losses


class Objective:
    """All phases of one training, in order.

    Args:
        joint: one encoder pass for all phases (the joint schedule), instead of one for each.
        autocast: context of the forward passes; None for full precision.

    Attributes:
        streams: the parts of a batch that any phase needs encoded.
        needs_view: whether batches must carry a second view.
    """

    def __init__(
        self,
        model: AAE,
        adversaries: nn.ModuleDict,
        phases: Sequence[Phase],
        *,
        joint: bool,
        autocast: AbstractContextManager[object] | None = None,
    ) -> None:
        self.model, self.adversaries, self.phases, self.joint = model, adversaries, list(phases), joint
        self.autocast: AbstractContextManager[object] = autocast or nullcontext()
        streams = [stream for phase in self.phases for stream in phase.streams]
        self.streams: list[Stream] = list(dict.fromkeys(streams))
        terms = [term for phase in self.phases for term in phase.terms]
        self.needs_view = "view" in self.streams or any(term.needs_view for term in terms)

    @property
    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """Optimisers by name of their phase."""
        return {phase.name: phase.optimizer for phase in self.phases}

    def step(self, batch: Batch, progress: float | Tensor) -> Named:
        """Run one step of every phase.

        Args:
            progress: share of training done, in [0, 1].

        Returns:
            detached (R,) losses by name.
        """
        losses: Named = {}
        if self.joint:
            forward = self._forward(batch, self.streams, progress)
            *earlier, last = self.phases
            for phase in earlier:
                forward.discriminator_branch = phase.branch
                with phase.branch.begin():
                    losses |= phase.step(forward, self.autocast)
            losses |= last.step(forward, self.autocast)
            for phase in earlier:
                phase.branch.join()
        else:
            for phase in self.phases:
                losses |= phase.step(self._forward(batch, phase.streams, progress), self.autocast)
        return {name: loss.detach() for name, loss in losses.items()}

    def held_out(self, batch: Batch) -> Tensor:
        """The sum of the judged terms on other rows, in evaluation mode, averaged over the models: a scalar."""
        terms = [term for phase in self.phases for term in phase.terms if term.judged]
        streams: list[Stream] = ["x", "view"] if batch.view is not None else ["x"]
        self.model.eval()
        forward = self._forward(batch, streams, 1.0)
        with self.autocast:
            losses = [term(forward)[0].detach() for term in terms]
        self.model.train()
        return torch.stack(losses).sum(0).nanmean() if losses else torch.zeros(())

    def _forward(self, batch: Batch, streams: Sequence[Stream], progress: float | Tensor) -> Forward:
        with self.autocast:
            return Forward.run(self.model, batch, streams, progress, self.joint)
