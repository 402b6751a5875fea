"""Plots: maps of one to three dimensions, and histograms of real and sampled columns."""

import io
import warnings
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

from aae_cli.output.pictures import histogram_figure, histograms, scatter, scatter_figure

RANDOM = np.random.default_rng(0)


def size(png: bytes) -> tuple[int, int]:
    return Image.open(io.BytesIO(png)).size


def test_three_dimensions_are_drawn_as_their_three_pairs():
    figure = scatter_figure(RANDOM.normal(size=(60, 3)), ["a", "b", "c"] * 20, "map")
    names = [(axes.get_xlabel(), axes.get_ylabel()) for axes in figure.axes]
    assert names == [("z0", "z1"), ("z0", "z2"), ("z1", "z2")]
    width, height = size(scatter(RANDOM.normal(size=(60, 3)), None, "map"))
    assert 1000 <= width <= 2000 and width > 2 * height


def test_two_dimensions_are_one_map_and_one_is_a_strip_for_each_name():
    plane = scatter_figure(RANDOM.normal(size=(60, 2)), ["a", "b", ""] * 20, "map")
    assert len(plane.axes) == 1 and plane.axes[0].get_aspect() == 1
    strip = scatter_figure(RANDOM.normal(size=(60, 1)), ["a", "b", ""] * 20, "map")
    heights = [points.get_offsets()[:, 1] for points in strip.axes[0].collections]
    assert len(heights) == 3 and heights[0].std() > 0
    assert all(low.max() < high.min() for high, low in pairwise(heights)), "strips do not overlap"


def test_images_are_drawn_at_their_points_where_they_do_not_overlap():
    from matplotlib.offsetbox import AnnotationBbox

    points = np.concatenate([np.zeros((30, 2)), [[1.0, 0.0], [0.0, 1.0]]])
    images = {i: np.full((8, 6, 3), i, np.uint8) for i in (3, 4, 30, 31)}
    figure = scatter_figure(points, ["a"] * 31 + ["b"], "map", thumbnails=images)
    drawn = [each for each in figure.axes[0].get_children() if isinstance(each, AnnotationBbox)]
    assert [tuple(each.xy) for each in drawn] == [(0, 0), (1, 0), (0, 1)], "3 and 4 are at one place"
    frames = [tuple(each.patch.get_edgecolor()) for each in drawn]
    assert frames[0] == frames[1] != frames[2], "framed in the colour of the name"
    assert (drawn[1].offsetbox.get_data() == 30).all()


def test_legends_name_every_group_with_its_own_text():
    names = ["_hidden", "$x$", "a\x1b[31m\nb", "日本"] * 5
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure = scatter_figure(RANDOM.normal(size=(20, 2)), names, "t" * 500, legend={"日本": "日本: 5 rows"})
        scatter(RANDOM.normal(size=(20, 2)), names, "a $ b")
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert len(texts) == 4
    assert not any("\x1b" in text or "\n" in text for text in texts)
    assert any("5 rows" in text for text in texts) and any("_hidden" in text for text in texts)


def test_real_and_sampled_columns_are_compared_one_by_one():
    real = np.column_stack([RANDOM.normal(5, 1, 300), RANDOM.integers(0, 3, 300), np.full(300, 7.0)])
    sampled = real[:100] + np.array([1, 0, 0])
    figure = histogram_figure(real, sampled, ["length", "petals", "constant"], (False, True, False), "samples")
    assert [axes.get_title().splitlines()[0] for axes in figure.axes] == ["length", "petals"], "no constant column"
    text = " ".join(part.get_text() for axes in figure.axes for part in axes.texts) + figure.axes[1].get_title()
    assert "0 to 2" in text
    width, height = size(histograms(real, sampled, ["a", "b", "c"], (False, True, False), "samples"))
    assert 500 <= width <= 2000 and height < 1500


def test_of_many_columns_the_most_varying_are_drawn_and_counted():
    scale = np.array([1.0] * 30)
    scale[[3, 17, 29]] = 20
    real = 10 + RANDOM.normal(size=(200, 30)) * scale
    figure = histogram_figure(real, real, [f"c{i}" for i in range(30)], (False,) * 30, "samples")
    names = [axes.get_title().splitlines()[0] for axes in figure.axes]
    assert len(names) == 12 and {"c3", "c17", "c29"} <= set(names)
    assert names == sorted(names, key=lambda name: int(name[1:])), "in the file's order"
    assert "12 of 30 columns" in figure.get_suptitle()


@pytest.mark.parametrize(
    "odd", [np.full(50, 7.0), np.linspace(-1, 1, 50) * 1e37, np.arange(50) + 1e9, np.full(50, np.nan)]
)
def test_odd_columns_do_no_harm(odd):
    real = np.column_stack([odd, odd])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert histograms(real, real[:3], ["$a$", "b\n\x1b" * 50], (False, False), "t").startswith(b"\x89PNG")
    assert histograms(real[:0], real[:0], ["a", "b"], (False, False), "t").startswith(b"\x89PNG")
