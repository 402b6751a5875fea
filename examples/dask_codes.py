"""Codes of an array of any length, block by block in several processes, by the estimator in Dask (pip install dask).

python examples/dask_codes.py
"""

from __future__ import annotations

import dask.array as da
from sklearn.datasets import load_digits

from aae_cli import AdversarialAutoencoder


def main() -> None:
    digits = load_digits().data
    model = AdversarialAutoencoder(random_state=0, epochs=3).fit(digits[:1000])
    blocks = da.from_array(digits, chunks=(500, digits.shape[1]))  # or da.from_zarr, dask.dataframe.read_parquet, …
    codes = blocks.map_blocks(model.transform, dtype="float32", chunks=(blocks.chunks[0], (2,)))
    print(codes.compute(scheduler="processes", num_workers=2).shape)


if __name__ == "__main__":
    main()
