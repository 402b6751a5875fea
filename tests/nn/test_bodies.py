"""Convolutional bodies: shapes, several models at once, and the same results as one model after another."""

import pytest
import torch
from torch.nn import functional as F

from aae_cli.nn.aae import pick_model
from aae_cli.nn.bodies import Convolution, ConvolutionalDecoder, ConvolutionalEncoder, halved


def test_sides_are_halved_down_to_four():
    assert halved(32, 32) == [(32, 32), (16, 16), (8, 8), (4, 4)]
    assert halved(48, 65) == [(48, 65), (24, 33), (12, 17), (6, 9), (3, 5)]
    assert halved(4, 90) == [(4, 90)]


def test_each_model_has_its_own_convolution():
    torch.manual_seed(0)
    layer, x = Convolution(2, 3, 4, stride=2), torch.randn(5, 6, 9, 7)
    both = layer(x)
    assert both.shape == (5, 8, 5, 4)
    for r in range(2):
        alone = F.conv2d(x[:, 3 * r : 3 * r + 3], layer.weight[r], layer.bias[r], 2, padding=1)
        torch.testing.assert_close(both[:, 4 * r : 4 * r + 4], alone)


@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 30, 41), (3, 5, 7), (3, 4, 2)])
def test_images_become_features_and_codes_images(shape):
    torch.manual_seed(0)
    size = shape[0] * shape[1] * shape[2]
    encoder, decoder = ConvolutionalEncoder(2, shape, 4, [16, 12], True), ConvolutionalDecoder(2, 6, shape, 4, [16])
    assert encoder(torch.randn(2, 5, size)).shape == (2, 5, 12)
    assert decoder(torch.randn(2, 5, 6)).shape == (2, 5, size)


def test_one_of_several_models_is_that_model_alone():
    torch.manual_seed(0)
    shape = (3, 16, 16)
    several, x = ConvolutionalEncoder(3, shape, 4, [8], True), torch.randn(3, 6, 768)
    several(x)  # moves the statistics of the batch norms
    several.eval()
    alone = ConvolutionalEncoder(1, shape, 4, [8], True).eval()
    alone.load_state_dict(pick_model(several.state_dict(), 1))
    torch.testing.assert_close(alone(x[1:2]), several(x)[1:2])


def test_pixels_near_a_pixel_decide_its_features():
    """A convolution moves with the image; a dense layer does not."""
    torch.manual_seed(0)
    encoder = ConvolutionalEncoder(1, (1, 32, 32), 4, [8], False).layers
    image = torch.zeros(1, 1, 32, 32)
    image[..., 8:12, 8:12] = 1
    one, other = encoder[:2](image), encoder[:2](image.roll(4, -1))
    torch.testing.assert_close(one.roll(2, -1)[..., 3:12], other[..., 3:12])
    assert one.std() > 0
