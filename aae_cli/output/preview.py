"""Preview of a few images in a terminal."""

from __future__ import annotations

from typing import Any


def preview(x: Any, schema: Any, columns: int) -> None:
    """Show images on stderr, as many as fit the terminal's width: as half blocks, or without colour as ASCII shades."""
    import numpy as np
    from rich.console import Console

    console = Console(stderr=True, highlight=False)
    channels, height, width = schema.shape
    shown = max(1, min(columns, console.width // (width // 2 + 1)))
    low, high = schema.low or 0.0, schema.high or 1.0
    rows, columns = max(1, len(x) // columns), min(columns, len(x))
    images = ((x - low) / (high - low)).reshape(-1, channels, height, width).mean(1)[:, ::2, ::2]
    grid = images[: rows * columns].reshape(rows, columns, *images.shape[1:])[:2, :shown]
    grid = np.pad(grid, ((0, 0), (0, 0), (0, 0), (0, 1))).transpose(0, 2, 1, 3)
    flat = grid.reshape(grid.shape[0] * grid.shape[1], -1)
    if console.no_color or not console.is_terminal:
        shades = " .:-=+*#%@"
        lines = ["".join(shades[min(9, int(v * 10))] for v in line) for line in flat[::2]]
    else:
        flat = np.pad(flat, ((0, len(flat) % 2), (0, 0)))
        pairs = zip(flat[0::2], flat[1::2], strict=True)
        lines = ["".join(_half_block(a, b) for a, b in zip(top, bottom, strict=True)) for top, bottom in pairs]
    for line in lines:
        console.print(line, soft_wrap=True)


def _half_block(upper: float, lower: float) -> str:
    """Format two grey pixels, one above the other, as one character."""
    above, below = (f"#{int(value * 255):02x}" + f"{int(value * 255):02x}" * 2 for value in (upper, lower))
    return f"[{above} on {below}]▀[/]"
