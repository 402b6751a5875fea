"""Sheets of images: enlarged without blur, with headings that text from files cannot spoil."""

import io

import numpy as np
import pytest
from PIL import Image

from aae_cli.data.types import Schema
from aae_cli.output.sheets import Headings, image_sheet

GREY = Schema("image", (1, 8, 8), low=0.0, high=16.0)


def drawn(*args, **options) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(image_sheet(*args, **options))).convert("RGB")).astype(int)


def noise(count: int, schema: Schema = GREY) -> np.ndarray:
    return np.random.default_rng(0).integers(1, 17, (count, schema.size)).astype(np.float32)


@pytest.mark.parametrize(
    ("side", "count", "columns", "low", "high"),
    [(28, 100, 10, 800, 1700), (8, 100, 10, 800, 1700), (28, 17 * 30, 17, 900, 1400), (28, 400, 20, 600, 1700),
     (28, 1, 1, 190, 900), (300, 100, 10, 1500, 2000), (28, 200, 100, 1500, 2000)],
)  # fmt: skip
def test_a_sheet_is_large_enough_to_read_and_not_larger(side, count, columns, low, high):
    schema = Schema("image", (1, side, side), low=0.0, high=255.0)
    picture = drawn(noise(count, schema), schema, columns, Headings("t", ("7",) * columns, (("style 1",),)))
    assert low <= picture.shape[1] <= high
    assert picture.std() > 1


def test_pixels_are_enlarged_by_a_whole_number_and_not_blurred():
    x = noise(4)
    picture = drawn(x, GREY, 2)[:, :, 0]
    expected = np.rint(x[0] / 16 * 255).astype(int).reshape(8, 8)
    side = next(f for f in range(40, 0, -1) if _holds(picture, expected.repeat(f, 0).repeat(f, 1)))
    assert side >= 10


def _holds(picture: np.ndarray, tile: np.ndarray) -> bool:
    h, w = tile.shape
    corners = zip(*np.nonzero(picture[: 40 - 1, : 40 - 1] == tile[0, 0]), strict=True)
    return any(np.array_equal(picture[i : i + h, j : j + w], tile) for i, j in corners)


def test_headings_take_their_own_room_and_change_no_pixel_of_an_image():
    x = noise(6)
    plain, named = (
        drawn(x, GREY, 3, headings) for headings in (Headings(), Headings("title", ("a", "b", "c"), (("s",), ("t",))))
    )
    assert named.shape[0] > plain.shape[0] + 30 and named.shape[1] > plain.shape[1] + 5
    assert (named < 128).sum() > (plain < 128).sum(), "text is drawn"


def test_groups_of_columns_are_apart_and_a_missing_image_leaves_the_page():
    x = noise(4)
    together = drawn(x, GREY, 4)
    apart = drawn(x, GREY, 4, Headings(groups=(("typical", 2), ("at random", 2))))
    assert apart.shape[1] > together.shape[1] + 5
    holes = drawn([x[0], None, None, None], GREY, 4)
    assert (holes[:, holes.shape[1] // 2 :] == 255).all()


def test_long_headings_stand_upright_and_hostile_ones_do_no_harm():
    x = noise(40)
    names = ("aeroplane of the longest kind " * 20, "a\x1b[31m\nb", "\u202e\u0000", "", "$x$", "é 日本", "w" * 500, "_")
    short = drawn(x, GREY, 8, Headings(across=("a",) * 8))
    long = drawn(x, GREY, 8, Headings("t" * 5000, names, tuple((name, name) for name in names[:5])))
    assert long.shape[0] > short.shape[0]
    assert long.shape[0] < 2 * short.shape[0] and long.shape[1] < 2000


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_every_number_of_channels_is_drawn(channels):
    schema = Schema("image", (channels, 4, 4), low=0.0, high=255.0)
    x = np.zeros((1, 16 * channels), np.float32)
    x[0, :16] = 255
    colours = {tuple(pixel) for row in drawn(x, schema, 1) for pixel in row}
    assert ((255, 0, 0) in colours) == (channels >= 3)
