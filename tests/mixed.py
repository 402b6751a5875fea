"""A small table of numbers and categories that tell of each other, with missing cells."""

import numpy as np
import polars as pl


def mixed_frame(rows: int = 240) -> pl.DataFrame:
    """Three groups, which colour, length and count all show; and a name for each row."""
    random = np.random.default_rng(0)
    group = np.arange(rows) % 3
    return pl.DataFrame(
        {
            "name": [f"row {i}" for i in range(rows)],
            "length": np.round(10 * group + random.normal(size=rows), 2),
            "count": (100 * (group == 1) + random.integers(0, 9, rows)).astype(np.int64),
            "colour": np.array(["red", "green", "blue"])[group],
        }
    )


def holes_in(frame: pl.DataFrame, share: float = 0.1) -> pl.DataFrame:
    """The frame without some of its cells, also of its names."""
    random = np.random.default_rng(1)
    hide = {name: np.flatnonzero(random.random(frame.height) < share) for name in frame.columns}
    return frame.with_columns(frame[name].scatter(at, None) for name, at in hide.items())
