"""The paper's figures, remade from the checkpoints of reproduce.py.

python examples/figures.py runs/reproduce -o examples/pictures
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from PIL import Image

# Picture, row of reproduce.py, and the command that draws it; CKPT, DATA and OUT stand for paths.
FIGURES = [
    ("style-grid", "supervised", "sample -c CKPT --style-grid -o OUT"),
    ("cluster-members", "clusters-16", "cluster DATA -c CKPT --plot OUT -o TABLE"),
    ("map-100-labels", "map-100", "embed DATA -c CKPT --plot OUT -o TABLE"),
    ("map-no-labels", "map-none", "embed DATA -c CKPT --plot OUT -o TABLE"),
    ("10d-on-a-circle", "10d-100", "embed DATA -c CKPT --dims 2 --plot OUT -o TABLE"),
    ("prior-gaussian", "prior-gaussian", "embed DATA -c CKPT --plot OUT -o TABLE"),
    ("prior-mixture", "prior-mixture", "embed DATA -c CKPT --plot OUT -o TABLE"),
    ("prior-swiss-roll", "prior-swiss-roll", "embed DATA -c CKPT --plot OUT -o TABLE"),
    ("petals", "petals", "embed DATA -c CKPT --plot OUT -o TABLE"),
    ("samples", "likelihood", "sample -c CKPT -n 100 -o OUT"),
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", type=Path, help="the --output folder of reproduce.py")
    parser.add_argument("-o", "--output", type=Path, default=Path("pictures"))
    parser.add_argument("--data", default="mnist:test")
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    for name, row, command in FIGURES:
        run = arguments.runs / row
        checkpoint = min(run.glob("seed-*/model.safetensors"), default=run / "model.safetensors")
        if not checkpoint.is_file():
            print(f"{name}: no checkpoint of {row} in {arguments.runs}", file=sys.stderr)
            continue
        picture = arguments.output / f"{name}.png"
        meanings = {
            "CKPT": str(checkpoint),
            "DATA": arguments.data,
            "OUT": str(picture),
            "TABLE": str(arguments.runs / f"{name}.csv"),
        }
        words = [meanings.get(word, word) for word in command.split()]
        subprocess.run([sys.executable, "-m", "aae_cli", *words, "-q"], check=True)
        with Image.open(picture) as image:  # 128 colours are enough, and small enough to be committed
            small = image.convert("RGB").quantize(128)
        small.save(picture, optimize=True)
        print(picture)


if __name__ == "__main__":
    main()
