"""One code part's adversary: a prior to imitate, and a discriminator that tells prior samples (real) from codes (fake).

Section 2: the discriminator minimises −log D(real) − log(1 − D(fake)); the encoder, as a GAN's generator, −log D(fake).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..distributed import ALONE
from .layers import MLP
from .priors import Prior

# A slope of the discriminator's loss that never quite vanishes, however sure it is: the generator's gradient is read
# off it, and σ(l) underflows below l = −88.
SLOPE_FLOOR = 1e-5


class Adversary(nn.Module):
    """A discriminator for R models.

    Args:
        labels: number of classes C for label-informed regularisation (section 2.3): the discriminator then also sees a
            one-hot vector of C + 1, the last for unlabelled points. 0 for none.
        content: size K of a content vector that the discriminator also sees, beside codes and prior samples alike: the
            code must then fit its prior whatever the content is. 0 for none. Ours, not the paper's.
        noise: std of Gaussian noise on the discriminator's inputs.
    """

    def __init__(
        self,
        models: int,
        prior: Prior,
        hidden: Sequence[int],
        *,
        labels: int = 0,
        content: int = 0,
        noise: float = 0.0,
        init_std: float | None = None,
    ) -> None:
        super().__init__()
        self.prior, self.labels, self.content, self.noise = prior, labels, content, noise
        self.world = ALONE
        extra = (labels + 1 if labels else 0) + content
        self.discriminator = MLP(models, [prior.dims + extra, *hidden], 1, init_std=init_std)
        self.sign: Tensor
        self.register_buffer("sign", torch.tensor([[-1.0], [1.0]]), persistent=False)

    def logits(
        self,
        code: Tensor,
        labels: Tensor | None = None,
        content: Tensor | None = None,
        parts: Sequence[int] | None = None,
    ) -> Tensor:
        """How real a code looks: (R, B, n), labels (R, B) int64 with −1 for unlabelled, content (R, B, K) → (R, B).

        Args:
            parts: sizes of the batches that follow each other along B, where processes share them.
        """
        if self.noise:
            code = code + self.noise * self.world.draw(torch.randn, code.shape, code.device, parts)
        if self.labels:
            assert labels is not None
            extra_class = torch.where(labels < 0, self.labels, labels)
            code = torch.cat([code, F.one_hot(extra_class, self.labels + 1).to(code.dtype)], -1)
        if self.content:
            assert content is not None
            code = torch.cat([code, content.to(code.dtype)], -1)
        return self.discriminator(code).squeeze(-1).float()

    def real(self, labels: Tensor) -> Tensor:
        """Prior samples to set against a batch: of each labelled point's own component, else of the whole prior."""
        return self.prior.sample(labels if self.labels else torch.full_like(labels, -1), self.world)

    def discriminator_loss(self, fake: Tensor, labels: Tensor, content: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """One pass over as many real samples as codes.

        Args:
            fake: (R, B, n) codes, detached from the encoder; where they require a gradient, it is fit for
                :func:`generator_gradient`.
            labels: (R, B) int64, −1 for unlabelled.
            content: (R, B, K), detached, where the discriminator sees it.

        Returns:
            (R,) loss, and (R, B) logits of the codes.
        """
        both = torch.cat([self.real(labels), fake], 1)
        twice = None if content is None else content.repeat(1, 2, 1)
        rows = fake.shape[1]
        logits = self.logits(both, labels.repeat(1, 2) if self.labels else None, twice, [rows, rows])
        wrong = logits.unflatten(1, (2, rows)) * self.sign  # how real codes look, and how fake prior samples do
        losses = F.softplus(wrong)
        if fake.requires_grad:
            losses = losses + SLOPE_FLOOR * wrong
        return losses.sum((1, 2)) / rows, logits[:, rows:]

    def generator_loss(self, fake: Tensor, labels: Tensor, content: Tensor | None = None) -> Tensor:
        """−log D(fake): (R, B, n) → (R,)."""
        return F.softplus(-self.logits(fake, labels, content)).mean(1)


def generator_gradient(fake_gradient: Tensor, fake_logits: Tensor) -> Tensor:
    """∂(−log D(fake))/∂fake from ∂(discriminator loss)/∂fake, so that one discriminator pass serves both.

    With l the logit, the discriminator's loss has slope σ(l) + SLOPE_FLOOR in l and the generator's −σ(−l).

    Args:
        fake_gradient: (R, B, n). fake_logits: (R, B).
    """
    real = torch.sigmoid(fake_logits)
    ratio = (real - 1) / (real + SLOPE_FLOOR)
    return fake_gradient * ratio.unsqueeze(-1)
