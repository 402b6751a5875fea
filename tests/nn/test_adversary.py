"""Section 2: discriminator and generator losses of one code part."""

import math

import pytest
import torch

from aae_cli.nn.adversary import Adversary, generator_gradient
from aae_cli.nn.priors import Categorical, Gaussian, Mixture


def adversary(**options) -> Adversary:
    torch.manual_seed(0)
    return Adversary(2, Gaussian(3), (16, 16), **options)


def test_one_discriminator_pass_gives_the_generator_its_gradient():
    a = adversary()
    code = torch.randn(2, 5, 3)
    labels = torch.full((2, 5), -1)

    fake = code.clone().requires_grad_()
    loss, logits = a.discriminator_loss(fake, labels)
    loss.sum().backward()
    read_off = generator_gradient(fake.grad, logits.detach())

    again = code.clone().requires_grad_()
    a.generator_loss(again, labels).sum().backward()
    torch.testing.assert_close(read_off, again.grad, rtol=1e-4, atol=1e-7)


def test_the_gradient_survives_a_discriminator_that_is_sure():
    """σ(−300) is 0 in float32, and codes far from the prior must still feel which way is back."""
    a = adversary()
    with torch.no_grad():
        a.discriminator.layers[-1].bias -= 300.0
    fake = torch.randn(2, 5, 3, requires_grad=True)
    labels = torch.full((2, 5), -1)
    loss, logits = a.discriminator_loss(fake, labels)
    loss.sum().backward()
    read_off = generator_gradient(fake.grad, logits.detach())
    again = fake.detach().clone().requires_grad_()
    a.generator_loss(again, labels).sum().backward()
    assert again.grad.abs().max() > 0
    torch.testing.assert_close(read_off, again.grad, rtol=1e-3, atol=1e-7)


def test_losses_at_chance():
    a = adversary()
    with torch.no_grad():
        for parameter in a.parameters():
            parameter.zero_()
    loss, _ = a.discriminator_loss(torch.randn(2, 5, 3), torch.full((2, 5), -1))
    assert loss.tolist() == pytest.approx([2 * 0.693147] * 2, abs=1e-4)


def test_losses_of_a_known_discriminator():
    """Section 2: −log D(real) − log(1 − D(fake)), and −log D(fake). D's logit is the first coordinate."""
    a = Adversary(1, Gaussian(2, std=0.0), ())  # prior samples lie at 0, where the logit is the bias
    (layer,) = a.discriminator.layers
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[[1.0], [0.0]]]))
        layer.bias.fill_(0.5)
    fake, labels = torch.tensor([[[2.0, 7.0], [-1.0, 7.0]]]), torch.full((1, 2), -1)
    real, logits = 0.5, (2.5, -0.5)
    loss, found = a.discriminator_loss(fake, labels)
    assert found[0].tolist() == pytest.approx(logits)
    expected = math.log(1 + math.exp(-real)) + sum(math.log(1 + math.exp(logit)) for logit in logits) / 2
    assert loss.item() == pytest.approx(expected, rel=1e-5)
    expected = sum(math.log(1 + math.exp(-logit)) for logit in logits) / 2
    assert a.generator_loss(fake, labels).item() == pytest.approx(expected, rel=1e-5)


def test_the_discriminators_loss_sees_labels_and_content():
    """A discriminator that looks at nothing else must answer to them, for codes and for prior samples."""
    fake, labels = torch.zeros(1, 2, 2), torch.tensor([[1, -1]])
    content = torch.tensor([[[0.0, 1.0], [1.0, 0.0]]])
    for options, logit in (({"labels": 4}, [1.0, 4.0]), ({"content": 2}, [1.0, 0.0])):
        a = Adversary(1, Mixture(4), (), **options)
        (layer,) = a.discriminator.layers
        with torch.no_grad():  # the logit is the number of the label or of the content, and ignores the code
            layer.weight.copy_(
                torch.cat([torch.zeros(2), torch.arange(float(layer.weight.shape[1] - 2))]).view(1, -1, 1)
            )
            layer.bias.zero_()
        loss, found = a.discriminator_loss(fake, labels, content)
        assert found[0].tolist() == logit
        each = [math.log(1 + math.exp(-number)) + math.log(1 + math.exp(number)) for number in logit]
        assert loss.item() == pytest.approx(sum(each) / 2, rel=1e-5)


def test_noise_reaches_codes_and_samples():
    a = Adversary(1, Gaussian(1, std=0.0), (), noise=3.0)
    (layer,) = a.discriminator.layers
    with torch.no_grad():
        layer.weight.fill_(1.0)
        layer.bias.zero_()
    torch.manual_seed(0)
    logits = a.logits(torch.zeros(1, 5000, 1))
    assert logits.std().item() == pytest.approx(3.0, rel=0.05)


def test_labels_reach_the_discriminator_with_an_extra_class():
    torch.manual_seed(0)
    a = Adversary(1, Mixture(4), (8,), labels=4)
    code = torch.zeros(1, 3, 2)
    logits = a.logits(code, torch.tensor([[0, 3, -1]]))
    assert len(set(logits[0].tolist())) == 3
    with torch.no_grad():  # the extra class is the last input
        a.discriminator.layers[0].weight[:, 2 + 4] += 1.0
    changed = a.logits(code, torch.tensor([[0, 3, -1]]))
    assert changed[0, 2] != logits[0, 2]
    assert changed[0, :2].tolist() == logits[0, :2].tolist()


def test_real_samples_come_from_the_labelled_component():
    a = Adversary(1, Mixture(10, tangential_std=0.01, radial_std=0.1), (8,), labels=10)
    labels = torch.arange(10).repeat(1, 30)
    assert torch.equal(a.prior.component_of(a.real(labels)), labels)
    anywhere = a.prior.component_of(a.real(torch.full((1, 500), -1)))
    assert len(anywhere.unique()) == 10


def test_unlabelled_adversaries_ignore_labels():
    a = Adversary(1, Categorical(4), (8,))
    drawn = a.real(torch.zeros(1, 400, dtype=torch.int64)).argmax(-1)
    assert len(drawn.unique()) == 4


def test_models_do_not_mix():
    a = adversary()
    fake = torch.randn(2, 5, 3, requires_grad=True)
    loss, _ = a.discriminator_loss(fake, torch.full((2, 5), -1))
    loss[0].backward()
    assert fake.grad[0].abs().sum() > 0
    assert fake.grad[1].abs().sum() == 0
