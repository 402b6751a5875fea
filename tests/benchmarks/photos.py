"""Photos decoded a second, brought to one size, as `aae` reads a folder of them.

python tests/benchmarks/photos.py [--count 2000] [--size 400 300] [--quick]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from aae_cli import read


def write(folder: Path, count: int, size: tuple[int, int]) -> None:
    """Smooth made-up photos as JPEG files of the quality that cameras use."""
    random = np.random.default_rng(0)
    for number in range(count):
        coarse = Image.fromarray(random.integers(0, 256, (24, 32, 3), dtype=np.uint8))
        coarse.resize(size, Image.Resampling.BICUBIC).save(folder / f"{number}.jpg", quality=88)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--size", type=int, nargs=2, default=(400, 300), help="width and height in pixels")
    parser.add_argument("--quick", action="store_true", help="try out: 20 photos")
    arguments = parser.parse_args()
    count = 20 if arguments.quick else arguments.count
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder), count, tuple(arguments.size))
        for _ in range(3):
            started = time.perf_counter()
            data = read(folder)
            seconds = time.perf_counter() - started
            print(f"{count / seconds:.0f} photos a second, as {data.schema.shape[2]}×{data.schema.shape[1]}")


if __name__ == "__main__":
    main()
