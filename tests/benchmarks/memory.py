"""Peak memory of `embed`, `cluster` and `classify` on long inputs: a big .npy file, and a CSV through a pipe.

python tests/benchmarks/memory.py [--gigabytes 6] [--folder DIR]

Prints, for each command, the peak of the process above that of the same command on 100 rows (VmHWM, Linux), the time to the
first line of output and to the end, and the number of rows.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from aae_cli import read, train

AAE = str(Path(sys.executable).with_name("aae"))


def measured(arguments: list[str], feed: Path | None = None) -> tuple[float, float, float, int]:
    """Peak MB, seconds to the first output and to the end, and lines written."""
    started = time.perf_counter()
    feeder = subprocess.Popen(["cat", str(feed)], stdout=subprocess.PIPE) if feed else None
    stdin = feeder.stdout if feeder else None
    process = subprocess.Popen([AAE, *arguments, "-q"], stdin=stdin, stdout=subprocess.PIPE, bufsize=0)
    assert process.stdout is not None
    process.stdout.readline()
    first, lines, peak = time.perf_counter() - started, 1, 0.0
    while chunk := os.read(process.stdout.fileno(), 1 << 16):
        lines += chunk.count(b"\n")
        peak = (
            high_water(process.pid) or peak
        )  # ru_maxrss would count this process too, from which the other was forked
    if process.wait():
        sys.exit(f"aae {' '.join(arguments)} failed")
    return peak, first, time.perf_counter() - started, lines


def high_water(process: int) -> float:
    """VmHWM of a process in MB; 0 where it has ended."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")), 0.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gigabytes", type=float, default=6.0)
    parser.add_argument("--folder", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        folder = Path(name)
        small = ["train.epochs=1", "train.min_steps=0", "code.y.overcluster=1"]
        small += [f"{body}.hidden=[32]" for body in ("encoder", "decoder", "adversaries.z", "adversaries.y")]
        digits = read("mnist-mini")
        model = str(train("semi-supervised", digits, folder / "run", small, device="cpu").folder)
        count = int(arguments.gigabytes * 1e9 / 784)
        big = np.lib.format.open_memmap(folder / "big.npy", "w+", np.uint8, (count, 784))
        for start in range(0, count, len(digits)):
            big[start : start + len(digits)] = digits.x[: count - start]
        del big
        np.save(folder / "few.npy", digits.x[:100])
        table = folder / "big.csv"
        with table.open("w") as file:
            file.write(",".join(f"x{i}" for i in range(784)) + "\n")
            block = "".join(",".join(map(str, row)) + "\n" for row in digits.x[:1000].tolist())
            for _ in range(max(1, int(arguments.gigabytes * 1e9 / 8 / len(block)))):
                file.write(block)
        for command in ("embed", "cluster", "classify"):
            whole_code = ["--dims", "all"] if command == "embed" else []  # a projection would keep all codes
            least = measured([command, str(folder / "few.npy"), "-c", model, *whole_code])[0]
            for what, given, feed in (
                (f"{arguments.gigabytes:g} GB .npy", str(folder / "big.npy"), None),
                (f"{table.stat().st_size / 1e9:.2g} GB CSV through a pipe", "-", table),
            ):
                peak, first, whole, lines = measured([command, given, "-c", model, *whole_code], feed)
                print(
                    f"{command}, {what}: peak {peak - least:+.0f} MB above {least:.0f} MB; first line after {first:.1f} s, "
                    f"{lines - 1:,} rows after {whole:.0f} s",
                    flush=True,
                )


if __name__ == "__main__":
    main()
