"""The networks and the autoencoder: shapes, the model axis, posteriors, decoder inputs."""

import pytest
import torch
from torch.nn import functional as F

from aae_cli.nn.aae import AAE, pick_model
from aae_cli.nn.encoder import Encoder
from aae_cli.nn.heads import spread_heads
from aae_cli.nn.layers import MLP, BatchNorm, Linear


def model(models=2, classes=4, dims=3, decoder_input="concat", labels=0, posterior="deterministic", **options) -> AAE:
    torch.manual_seed(0)
    y = classes if decoder_input != "label" else 0
    encoder = Encoder(models, 6, (8,), y, dims, posterior=posterior, batch_norm=True, batch_norm_y=True, **options)
    return AAE(
        models, 6, encoder, classes=y, dims=dims, labels=labels, decoder_hidden=(8,), decoder_input=decoder_input
    )


def test_linear_is_an_affine_map_for_each_model():
    layer = Linear(2, 3, 5)
    x = torch.randn(2, 7, 3)
    for r in range(2):
        expected = F.linear(x[r], layer.weight[r].T, layer.bias[r, 0])
        torch.testing.assert_close(layer(x)[r], expected)


def test_initial_weights_follow_the_paper_or_he():
    assert Linear(1, 1000, 100, 0.01).weight.std().item() == pytest.approx(0.01, rel=0.05)
    assert Linear(1, 1000, 100).weight.std().item() == pytest.approx((2 / 1000) ** 0.5, rel=0.05)


def test_batch_norm_matches_torch_for_each_model():
    norm, x = BatchNorm(2, 4), torch.randn(2, 9, 4) * torch.tensor([1.0, 5.0]).view(2, 1, 1)
    reference = [torch.nn.BatchNorm1d(4) for _ in range(2)]
    for _ in range(3):
        out = norm(x)
        for r in range(2):
            torch.testing.assert_close(out[r], reference[r](x[r]))
    norm.eval()
    for r in range(2):
        torch.testing.assert_close(norm(x)[r], reference[r].eval()(x[r]))


def test_one_row_in_training_uses_running_statistics():
    assert BatchNorm(1, 4)(torch.randn(1, 1, 4)).isfinite().all()


def test_codes_and_reconstructions_have_the_documented_shapes():
    m = model()
    x = torch.rand(2, 5, 6)
    codes = m.encode(x)
    assert codes.y.shape == (2, 5, 4)
    torch.testing.assert_close(codes.y.sum(-1), torch.ones(2, 5))
    assert codes.z.shape == (2, 5, 3)
    x_hat = m.decode(codes.y, codes.z)
    assert x_hat.shape == (2, 5, 6)
    assert x_hat.min() > 0
    assert x_hat.max() < 1


def test_models_are_independent():
    m = model()
    x = torch.rand(2, 5, 6, requires_grad=True)
    codes = m.encode(x)
    m.decode(codes.y, codes.z)[0].sum().backward()
    assert x.grad[0].abs().sum() > 0
    assert x.grad[1].abs().sum() == 0


def test_picking_one_model_keeps_its_outputs():
    m = model().eval()
    one = model(models=1).eval()
    x = torch.rand(5, 6)
    for r in range(2):
        one.load_state_dict(pick_model(m.state_dict(), r))
        torch.testing.assert_close(one.encode(x[None]).y[0], m.encode(x.expand(2, -1, -1)).y[r])


def test_decoder_inputs():
    y, z = torch.eye(4)[None, :3].expand(2, -1, -1), torch.randn(2, 3, 3)
    assert torch.equal(model().represent(y, z), torch.cat([y, z], -1))
    given = model(decoder_input="label", labels=4)
    assert torch.equal(given.represent(None, z, y), torch.cat([y, z], -1))
    heads = model(decoder_input="heads")
    torch.testing.assert_close(heads.represent(y, z), heads.W_C[:, :3] + z)


def test_fixed_heads_are_a_scaled_identity():
    encoder = Encoder(1, 6, (8,), 4, 4)
    m = AAE(
        1,
        6,
        encoder,
        classes=4,
        dims=4,
        decoder_hidden=(8,),
        decoder_input="heads",
        heads_learned=False,
        heads_scale=10,
    )
    assert torch.equal(m.W_C[0], 10 * torch.eye(4))
    assert not m.W_C.requires_grad


def test_unknown_labels_are_zeros():
    m = model(decoder_input="label", labels=3)
    assert m.one_hot(torch.tensor([[2, -1]])).tolist() == [[[0, 0, 1], [0, 0, 0]]]


@pytest.mark.parametrize("posterior", ["gaussian", "universal"])
def test_stochastic_posteriors_draw_in_training_only(posterior):
    m = model(posterior=posterior)
    x = torch.rand(2, 5, 6)
    assert not torch.equal(m.encode(x).z, m.encode(x).z)
    m.eval()
    assert torch.equal(m.encode(x).z, m.encode(x).z)


def test_gaussian_posterior_has_the_variance_that_it_says():
    m = model(models=1, posterior="gaussian")
    with torch.no_grad():
        for head, bias in ((m.encoder.z, 0.0), (m.encoder.z_log_var, 2.0)):  # log-variance 2: σ = e
            head.weight.zero_()
            head.bias.fill_(bias)
    z = m.encode(torch.zeros(1, 20_000, 6)).z
    assert z.std().item() == pytest.approx(2.71828, rel=0.03)


def test_corruption_is_for_training_only():
    m = model(noise=1.0, dropout=0.5)
    x = torch.ones(2, 50, 6)
    assert (m.encoder.corrupt(x) == 0).any()
    m.eval()
    assert torch.equal(m.encode(x).z, m.encode(x).z)


def test_mlp_ends_with_batch_norm_where_asked():
    plain, normed = MLP(1, [3, 4], 2), MLP(1, [3, 4], 2, batch_norm_last=True)
    assert isinstance(plain.layers[-1], Linear)
    assert isinstance(normed.layers[-1], BatchNorm)


@pytest.mark.parametrize(("heads", "dims"), [(20, 2), (10, 2), (30, 5)])
def test_learned_heads_start_apart(heads, dims):
    torch.manual_seed(0)
    W_C = spread_heads(torch.randn(2, heads, dims), 6.0)
    distances = torch.cdist(W_C, W_C) + 100 * torch.eye(heads)
    assert distances.min() > 5.9
    assert W_C.norm(dim=-1).max() < 6.0 * heads  # near each other all the same


def test_a_fixed_posterior_std_is_what_it_says():
    encoder = Encoder(1, 4, [8], 0, 3, posterior="gaussian", posterior_std=0.7)
    x = torch.rand(1, 1, 4).expand(1, 5000, 4)
    assert encoder(x, draw=True).z.std(1).mean().item() == pytest.approx(0.7, rel=0.05)
    assert encoder.eval()(x).z.std(1).max() < 1e-5


def test_codes_start_on_the_scale_of_their_prior():
    encoder = Encoder(2, 4, [8], 0, 3, batch_norm_z=True, z_scale=5.0)
    z = encoder(torch.rand(2, 500, 4)).z
    assert z.std(1).mean().item() == pytest.approx(5.0, rel=0.01)
