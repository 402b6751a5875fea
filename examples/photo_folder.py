"""Write a data set of images as a folder of PNG files, with a subfolder for each class, to try `aae` on a folder.

python examples/photo_folder.py photos [--data cifar10] [--rows 10000]
"""

from __future__ import annotations

import argparse
from pathlib import Path

from PIL import Image

from aae_cli import read

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("folder", type=Path)
parser.add_argument("--data", default="cifar10")
parser.add_argument("--rows", type=int, default=10_000)
arguments = parser.parse_args()

data = read(arguments.data)
channels, height, width = data.schema.shape
count = min(arguments.rows, len(data))
for number, row in enumerate(data.x[:count]):
    label = -1 if data.labels is None else int(data.labels[number])
    folder = arguments.folder / (data.schema.classes[label] if data.schema.classes and label >= 0 else ".")
    folder.mkdir(parents=True, exist_ok=True)
    pixels = row.reshape(channels, height, width).transpose(1, 2, 0).astype("uint8").squeeze()
    Image.fromarray(pixels).save(folder / f"{number:05}.png")
print(f"{count} images in {arguments.folder}")
