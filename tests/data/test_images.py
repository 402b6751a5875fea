"""Image files and folders of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from aae_cli.data.read import read, read_row
from aae_cli.data.types import Schema
from aae_cli.errors import DataError


def save(path: Path, mode: str = "L", size: tuple[int, int] = (4, 3), value: int | tuple = 7) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, value).save(path)
    return path


def refused(source: object, **options) -> str:
    with pytest.raises(DataError) as caught:
        read(str(source), **options)
    assert str(caught.value).isprintable()
    return str(caught.value)


def test_class_folders(tmp_path):
    save(tmp_path / "dog" / "2.png", value=20)
    save(tmp_path / "cat" / "1.PNG", value=10)
    save(tmp_path / "0.png", value=5)
    save(tmp_path / "cat" / ".hidden.png", value=99)
    (tmp_path / "cat" / "notes.txt").write_text("x")
    data = read(str(tmp_path))
    assert data.schema == Schema("image", (1, 3, 4), 0, 255, (True,), None, ("cat", "dog"))
    assert data.ids == ("0.png", "cat/1.PNG", "dog/2.png")
    assert data.label_names == ["", "cat", "dog"]
    assert data.x[:, 0].tolist() == [5, 10, 20] and data.x.shape == (3, 12)
    assert read_row(f"{tmp_path}[2]").ids == ("dog/2.png",)


def test_colour_and_channels_first(tmp_path):
    save(tmp_path / "a.png", "RGB", value=(1, 2, 3))
    save(tmp_path / "b.png", "L", value=9)
    data = read(str(tmp_path))
    assert data.labels is None and data.schema.shape == (3, 3, 4)
    assert data.x.reshape(2, 3, 12)[:, :, 0].tolist() == [[1, 2, 3], [9, 9, 9]]


def test_one_image(tmp_path):
    path = save(tmp_path / "a.bmp")
    assert read(str(path)).x.shape == (1, 12)
    assert read_row(str(path)).ids == ("a.bmp",)
    assert "transparency is dropped" in read(str(save(tmp_path / "b.png", "RGBA", value=(1, 2, 3, 4)))).notes


def test_like_chooses_the_channels(tmp_path):
    grey, colour = Schema("image", (1, 3, 4), 0, 255, (True,)), Schema("image", (3, 3, 4), 0, 255, (True,))
    assert read(str(save(tmp_path / "a.png", "RGB", value=(5, 5, 5))), like=grey).x.shape == (1, 12)
    assert read(str(save(tmp_path / "b.png")), like=colour).x.shape == (1, 36)
    message = refused(save(tmp_path / "c.png", "RGB", value=(1, 2, 3)), like=grey)
    assert "(3, 3, 4)" in message and "(1, 3, 4)" in message


def test_pixels_of_another_range_are_refused(tmp_path):
    sixteen = Schema("image", (1, 3, 4), 0, 16, (True,))
    message = refused(save(tmp_path / "dark.png", value=7), like=sixteen)  # in 0..16 by chance
    assert "pixel values are in 0..255, but the model was trained on integers in 0..16" in message


def test_refusals(tmp_path, monkeypatch):
    assert "has no images" in refused(tmp_path)
    save(tmp_path / "s" / "a.png")
    save(tmp_path / "s" / "b.png", size=(5, 3))
    message = refused(tmp_path / "s")
    assert "a.png is 4×3" in message and "b.png is 5×3" in message
    assert "8 bits" in refused(save(tmp_path / "deep.png", "I;16"))
    (tmp_path / "x.png").write_bytes(b"no image")
    assert "x.png is not an image" in refused(tmp_path / "x.png")
    big = save(tmp_path / "big.png", size=(64, 64))
    Image.effect_noise((64, 64), 50).save(big)
    whole = big.read_bytes()
    big.write_bytes(whole[: len(whole) // 2])
    assert "damaged" in refused(big)
    big.write_bytes(whole)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    assert "too large an image" in refused(big)


def test_link_that_leads_in_a_circle(tmp_path):
    save(tmp_path / "cat" / "a.png")
    (tmp_path / "cat" / "again").symlink_to(tmp_path)
    assert len(read(str(tmp_path))) == 1
