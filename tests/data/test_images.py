"""Image files and folders of them."""

from __future__ import annotations

import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from aae_cli.data import images
from aae_cli.data.read import pieces, read, read_row
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
    clear = read(str(save(tmp_path / "b.png", "RGBA", value=(1, 2, 3, 0))))
    assert "transparency is put over white" in clear.notes and set(clear.x.ravel()) == {255}


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
    assert "floating-point pixels" in refused(save(tmp_path / "deep.tif", "F"))
    assert "--size is for image files" in refused("digits", size=8)
    assert "the model reads images of 4×3" in refused(
        save(tmp_path / "a.png"), size=8, like=Schema("image", (1, 3, 4), 0, 255, (True,))
    )
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


def stripes(path: Path, size: tuple[int, int], **options: object) -> Path:
    """An image whose left half is dark and whose right half is light."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.new("L", size, 40)
    image.paste(200, (size[0] // 2, 0, *size))
    image.save(path, **options)
    return path


def test_sizes_are_brought_to_the_most_frequent_one(tmp_path):
    stripes(tmp_path / "a.png", (8, 6))
    stripes(tmp_path / "b.png", (8, 6))
    stripes(tmp_path / "c.png", (40, 24))
    data = read(str(tmp_path))
    assert data.schema.shape == (1, 6, 8)
    assert data.notes == ("images of 2 sizes, most often 8×6, are scaled and cropped to 8×6 (--size N for N×N)",)
    scaled = data.x[2].reshape(6, 8).astype(int)
    assert abs(scaled[:, :3] - 40).max() < 12 and abs(scaled[:, 5:] - 200).max() < 12


def test_large_images_are_scaled_down_unless_a_size_is_given(tmp_path):
    stripes(tmp_path / "a.jpg", (400, 300))
    data = read(str(tmp_path))
    assert data.schema.shape == (1, 48, 64)
    assert data.notes == ("images of 400×300 are scaled to 64×48 (--size N for N×N)",)
    assert read(str(tmp_path), size=96).schema.shape == (1, 96, 96)
    small = Schema("image", (1, 10, 12), 0, 255, (True,))
    assert read(str(tmp_path), like=small).schema.shape == (1, 10, 12)


def test_images_stand_upright(tmp_path):
    turned = Image.Exif()
    turned[0x0112] = 6  # the camera was turned to the right
    stripes(tmp_path / "a.jpg", (16, 8), exif=turned, quality=95)
    data = read(str(tmp_path))
    assert data.schema.shape == (1, 16, 8)
    upright = data.x[0].reshape(16, 8).astype(int)
    assert abs(upright[:7] - 40).max() < 12 and abs(upright[9:] - 200).max() < 12


def test_sixteen_bits_are_scaled_to_eight(tmp_path):
    deep = np.array([[0, 257, 65535, 32768]], np.uint16)
    Image.fromarray(deep).save(tmp_path / "a.png")
    assert read(str(tmp_path)).x.tolist() == [[0, 1, 255, 128]]


def test_damaged_images_are_named_or_left_out(tmp_path):
    save(tmp_path / "cat" / "a.png", value=10)
    save(tmp_path / "dog" / "b.png", value=20)
    save(tmp_path / "dog" / "c.png").write_bytes(b"no image")
    message = refused(tmp_path)
    assert "c.png is not an image" in message and "--skip-bad" in message
    data = read(str(tmp_path), skip_bad=True)
    assert data.ids == ("cat/a.png", "dog/b.png") and data.label_names == ["cat", "dog"]
    assert data.notes == ("1 damaged image left out: dog/c.png",)
    (tmp_path / "cat" / "a.png").write_bytes(b"")
    (tmp_path / "dog" / "b.png").write_bytes(b"")
    assert "every image" in refused(tmp_path, skip_bad=True)


def packed(folder: Path, target: Path, mode: str) -> Path:
    """The folder as a zip or tar archive in which all is below ``photos``."""
    if target.suffix == ".zip":
        with zipfile.ZipFile(target, mode) as file:
            for path in sorted(folder.rglob("*.png")):
                file.write(path, f"photos/{path.relative_to(folder)}")
            file.writestr("__MACOSX/photos/._a.png", b"no image")
    else:
        with tarfile.open(target, mode) as archive:
            archive.add(folder, "photos")
    return target


@pytest.mark.parametrize(("name", "mode"), [("a.zip", "w"), ("a.tar", "w"), ("a.tar.gz", "w:gz"), ("a.tgz", "w:gz")])
def test_archives_are_read_as_their_folders_are(tmp_path, name, mode):
    save(tmp_path / "in" / "cat" / "1.png", value=10)
    save(tmp_path / "in" / "dog" / "2.png", value=20)
    data, folder = read(str(packed(tmp_path / "in", tmp_path / name, mode))), read(str(tmp_path / "in"))
    assert data.ids == folder.ids == ("cat/1.png", "dog/2.png")
    assert data.label_names == ["cat", "dog"] and data.x.tolist() == folder.x.tolist()


@pytest.mark.parametrize("name", ["a.zip", "a.tar"])
def test_damaged_archives_are_refused(tmp_path, name):
    (tmp_path / name).write_bytes(b"nothing of the kind")
    assert "is not a" in refused(tmp_path / name) and "archive" in refused(tmp_path / name)
    save(tmp_path / "in" / "1.png")
    whole = packed(tmp_path / "in", tmp_path / name, "w").read_bytes()
    (tmp_path / name).write_bytes(whole[:40])
    assert "damaged" in refused(tmp_path / name) or "has no images" in refused(tmp_path / name)


def test_a_zip_that_unpacks_to_too_much_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("a.png", bytes(2**24))
    data = (tmp_path / "a.zip").read_bytes()
    (tmp_path / "a.zip").write_bytes(data.replace((2**24).to_bytes(4, "little"), (2**31).to_bytes(4, "little")))
    assert "claims to hold" in refused(tmp_path / "a.zip")


def test_a_long_folder_comes_in_pieces(tmp_path, monkeypatch):
    for i in range(5):
        save(tmp_path / "cat" / f"{i}.png", value=i)
    monkeypatch.setattr(images, "BLOCK", 2)
    like = read(str(tmp_path)).schema
    found = list(pieces(str(tmp_path), like=like))
    assert [len(piece) for piece in found] == [2, 2, 1] and [piece.first for piece in found] == [0, 2, 4]
    assert [piece.x[0, 0] for piece in found] == [0, 2, 4]
