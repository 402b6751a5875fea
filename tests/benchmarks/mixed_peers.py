"""The usual tools for tables with categories and missing cells, which mixed.py compares with."""

from __future__ import annotations

import warnings

import numpy as np
import torch

from aae_cli import Data
from aae_cli.model.table_metrics import levels_of


class Preparation:
    """Standardised numbers and one-hot categories.

    Args:
        data: rows that medians, units and modes are of.
    """

    def __init__(self, data: Data) -> None:
        self.schema, self.levels = data.schema, levels_of(data.schema)
        x = data.x.astype(float)
        self.numbers, self.categories = np.flatnonzero(self.levels == 0), np.flatnonzero(self.levels)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # columns without a cell
            self.usual = np.nan_to_num(np.nanmedian(x, 0)) if len(self.numbers) else np.zeros(x.shape[1])
        for i in self.categories:
            self.usual[i] = np.bincount(x[~np.isnan(x[:, i]), i].astype(int), minlength=1).argmax()
        filled = self.fill(x)[:, self.numbers]
        self.mean, self.std = filled.mean(0), filled.std(0)
        self.std[self.std == 0] = 1

    def fill(self, x: np.ndarray) -> np.ndarray:
        """Missing cells as medians and modes."""
        return np.where(np.isnan(x), self.usual, x)

    def encode(self, x: np.ndarray, missing: float = 0.0, medians: bool = True) -> np.ndarray:
        """(N, C) cells → (N, D).

        Args:
            missing: features of a missing category.
            medians: whether missing numbers are medians.
        """
        numbers = (self.fill(x) if medians else x)[:, self.numbers].astype(float)
        parts = [(numbers - self.mean) / self.std]
        for i in self.categories:
            block = (x[:, i, None] == np.arange(self.levels[i])).astype(float)
            block[np.isnan(x[:, i])] = missing
            parts.append(block)
        return np.concatenate(parts, 1)

    def decode(self, z: np.ndarray) -> np.ndarray:
        """(N, D) → (N, C): the most probable levels, and numbers of the file's precision within their range."""
        x = np.zeros((len(z), len(self.levels)))
        x[:, self.numbers] = z[:, : len(self.numbers)] * self.std + self.mean
        start = len(self.numbers)
        for i in self.categories:
            x[:, i] = z[:, start : start + self.levels[i]].argmax(1)
            start += self.levels[i]
        for i, column in enumerate(self.schema.mixed or ()):
            x[:, i] = column.nearest(x[:, i])
        return x.astype(np.float32)


def maps(x: np.ndarray, seeds: list[int]) -> dict[str, list[np.ndarray]]:
    from sklearn.decomposition import PCA

    found = {"PCA": [PCA(2, random_state=0).fit_transform(x)]}
    try:
        import umap  # type: ignore[import-not-found,import-untyped,unused-ignore]
    except ImportError:
        return found
    threads = torch.get_num_threads()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found["UMAP"] = [np.asarray(umap.UMAP(random_state=seed).fit_transform(x)) for seed in seeds]
    torch.set_num_threads(threads)  # UMAP's numba raises it, against OMP_NUM_THREADS
    return found


def clusterings(data: Data, k: int, seeds: list[int]) -> dict[str, list[np.ndarray]]:
    from sklearn.cluster import KMeans
    from sklearn.mixture import GaussianMixture

    prepared = Preparation(data)
    x = prepared.encode(data.x)
    found = {
        "k-means": [KMeans(k, n_init=10, random_state=seed).fit_predict(x) for seed in seeds],
        "Gaussian mixture": [
            GaussianMixture(k, n_init=3, reg_covar=1e-3, random_state=seed).fit_predict(x) for seed in seeds
        ],
    }
    try:
        from kmodes.kprototypes import KPrototypes  # type: ignore[import-not-found,import-untyped,unused-ignore]
    except ImportError:
        return found
    if not len(prepared.categories) or not len(prepared.numbers):
        return found
    numbers = len(prepared.numbers)
    cells = np.concatenate([x[:, :numbers], prepared.fill(data.x)[:, prepared.categories]], 1)
    categorical = list(range(numbers, cells.shape[1]))
    starts = 10 if len(x) <= 500 else 2  # slow: ten of 1,000 rows take minutes
    found["k-prototypes"] = [
        KPrototypes(k, n_init=starts, random_state=seed).fit_predict(cells, categorical=categorical) for seed in seeds
    ]
    return found


def samples(training: Data, n: int, seed: int, components: int) -> dict[str, np.ndarray]:
    """Rows whose columns are drawn independently, and those of a Gaussian mixture of the features, chosen by BIC."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import GaussianMixture

    random, x = np.random.default_rng(seed), training.x
    independent = np.stack([random.choice(own[~np.isnan(own)], n) for own in x.T], 1)
    prepared = Preparation(training)
    z = prepared.encode(prepared.fill(x))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        most = max(1, min(components, len(z) // 10))
        fits = [GaussianMixture(k, reg_covar=1e-3, random_state=seed).fit(z) for k in range(1, most + 1)]
    best = min(fits, key=lambda fit: fit.bic(z))
    return {"independent columns": independent, "Gaussian mixture": prepared.decode(best.sample(n)[0])}


def imputations(data: Data) -> dict[str, np.ndarray]:
    from sklearn.impute import KNNImputer

    prepared = Preparation(data)
    z = prepared.encode(data.x, missing=np.nan, medians=False)
    filled = KNNImputer(n_neighbors=10, keep_empty_features=True).fit_transform(z)
    return {"10 neighbours": np.where(np.isnan(data.x), prepared.decode(filled), data.x)}


def scores(data: Data, seed: int) -> dict[str, np.ndarray]:
    from sklearn.ensemble import IsolationForest

    x = Preparation(data).encode(data.x)
    return {"isolation forest": -IsolationForest(random_state=seed).fit(x).score_samples(x)}
