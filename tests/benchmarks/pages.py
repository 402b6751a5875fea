"""Pages of maps in a browser: their size, the time until they show, and the time of a frame while the map is moved.

python tests/benchmarks/pages.py    # needs Chromium and playwright

Chromium draws without a GPU here, which is the slowest case.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from pathlib import Path

import numpy as np
from playwright.sync_api import Page, sync_playwright

from aae_cli import read
from aae_cli.data.types import Data
from aae_cli.output.browser import Field, Thumbnails, map_page
from aae_cli.output.sheets import pixels

RECORD = """
() => {
  window.frames_ = [];
  const frame = (now) => { window.frames_.push(now); requestAnimationFrame(frame); };
  requestAnimationFrame(frame);
}
"""


def frame(tab: Page, pressed: bool) -> float:
    """Mean milliseconds of a frame while the pointer crosses the map, with its button pressed or not."""
    tab.mouse.move(200, 400)
    if pressed:
        tab.mouse.down()
    tab.evaluate("window.frames_.length = 0")
    for i in range(60):
        tab.mouse.move(200 + 5 * i, 400 + i)
    times = tab.evaluate("window.frames_")
    tab.mouse.up()
    return float(np.diff(times).mean())


def page(points: int, digits: Data | None) -> bytes:
    """A map of random points in ten groups, with digits as their images if there are any."""
    random = np.random.default_rng(0)
    group = random.integers(0, 10, points)
    at = random.normal(size=(points, 2)) * 0.4 + np.stack([np.cos(group), np.sin(group)], 1) * 3
    images = None
    if digits is not None:
        images = Thumbnails()
        for row in random.integers(len(digits), size=points):
            images.add(pixels(digits.x[row], digits.schema))
    fields = [Field("group", [str(name) for name in group]), Field("confidence", random.uniform(size=points))]
    return map_page("map", at, [str(i) for i in range(points)], fields, images)


def main() -> None:
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    digits = read("mnist-mini")
    with tempfile.TemporaryDirectory() as name, sync_playwright() as running:
        browser = running.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--use-gl=swiftshader"])
        for points, images in ((10_000, digits), (50_000, None)):
            file, content = Path(name) / f"{points}.html", page(points, images)
            file.write_bytes(content)
            tab, started = browser.new_page(viewport={"width": 1300, "height": 850}), time.perf_counter()
            tab.goto(file.as_uri())
            tab.wait_for_selector("body[data-ready=yes]", timeout=60_000)
            shown = time.perf_counter() - started
            what = "with images" if images is not None else "without images"
            tab.evaluate(RECORD)
            print(
                f"{points:,} points {what}: {len(content) / 1e6:.1f} MB, shown in {shown:.1f} s, "
                f"{frame(tab, pressed=False):.0f} ms a frame while pointed at, {frame(tab, pressed=True):.0f} ms while moved"
            )
        browser.close()


if __name__ == "__main__":
    main()
