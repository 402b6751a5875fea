"""The adversary of y or of z: a prior, and a discriminator between samples of it (real) and codes (fake).

Section 2: the discriminator minimises −log D(real) − log(1 − D(fake)); the encoder, as a GAN's generator, minimises
−log D(fake).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..distributed import ALONE
from .layers import MLP
from .priors import Prior

# Lower bound on the slope of the discriminator's loss in its logit l. Dividing by this slope converts the
# discriminator's gradient to the generator's, and without the bound it underflows below l = −88.
SLOPE_FLOOR = 1e-5


class Adversary(nn.Module):
    """A prior and a discriminator for each of R models.

    Args:
        models: R.
        prior: the distribution that the codes are matched to.
        hidden: widths of the discriminator's hidden layers.
        labels: number of classes C for label-informed regularisation (section 2.3), 0 to turn it off. The discriminator
            then also receives a one-hot vector of size C + 1, whose last entry marks unlabelled points.
        content: size K of a content vector (q(y|x) or a label) that the discriminator also receives, the same for codes
            and prior samples; 0 for none. The code must then match its prior for every content. Ours, not the paper's.
        noise: std of Gaussian noise on codes and prior samples.
        init_std: weights ~ N(0, init_std²); None for He initialisation.
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
        """Logits of the discriminator, positive for real.

        Args:
            code: (R, B, n).
            labels: (R, B) int64, −1 for unlabelled. Required for label-informed regularisation, else unused.
            content: (R, B, K). Required by a discriminator with content, else unused.
            parts: sizes of the batches concatenated along B, for training over several processes; None for one batch.

        Returns:
            (R, B) float32.
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
        """Draw one prior sample for each point of a batch: (R, B) labels → (R, B, n).

        Under label-informed regularisation a labelled point gets a sample of its class's component; any other point
        gets a sample of the whole prior.
        """
        return self.prior.sample(labels if self.labels else torch.full_like(labels, -1), self.world)

    def discriminator_loss(self, fake: Tensor, labels: Tensor, content: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The discriminator's loss on codes and as many prior samples, in one pass.

        Args:
            fake: (R, B, n) codes, detached from the encoder. If they require a gradient, the loss gets the additional
                slope SLOPE_FLOOR, so that :func:`generator_gradient` can use that gradient.
            labels: (R, B) int64, −1 for unlabelled.
            content: (R, B, K), detached, for a discriminator with content.

        Returns:
            (R,) loss in nats, and (R, B) logits of the codes.
        """
        both = torch.cat([self.real(labels), fake], 1)
        twice = None if content is None else content.repeat(1, 2, 1)
        rows = fake.shape[1]
        logits = self.logits(both, labels.repeat(1, 2) if self.labels else None, twice, [rows, rows])
        signed = logits.unflatten(1, (2, rows)) * self.sign  # −logits of the real samples, +logits of the codes
        losses = F.softplus(signed)
        if fake.requires_grad:
            losses = losses + SLOPE_FLOOR * signed
        return losses.sum((1, 2)) / rows, logits[:, rows:]

    def generator_loss(self, fake: Tensor, labels: Tensor, content: Tensor | None = None) -> Tensor:
        """−log D(fake), mean over the batch, in nats: (R, B, n) → (R,). Arguments are those of :meth:`logits`."""
        return F.softplus(-self.logits(fake, labels, content)).mean(1)


def generator_gradient(fake_gradient: Tensor, fake_logits: Tensor) -> Tensor:
    """Convert ∂(discriminator loss)/∂fake to ∂(−log D(fake))/∂fake, which saves a second discriminator pass.

    In the logit l, the discriminator's loss has the slope σ(l) + SLOPE_FLOOR and the generator's loss −σ(−l).

    Args:
        fake_gradient: (R, B, n) gradient of the discriminator's loss.
        fake_logits: (R, B) logits of the codes.

    Returns:
        (R, B, n).
    """
    real = torch.sigmoid(fake_logits)
    ratio = (real - 1) / (real + SLOPE_FLOOR)
    return fake_gradient * ratio.unsqueeze(-1)
