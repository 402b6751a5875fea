"""Adversarial autoencoders as a scikit-learn estimator: transformer, clusterer, classifier and generator in one."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import wraps
from numbers import Integral
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import RLock
from typing import Any, Self

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.metrics import accuracy_score
from sklearn.utils import ClassifierTags, Tags, check_random_state
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_array, check_is_fitted, validate_data

from .config.resolve import resolve
from .config.sections import Config
from .data.columns import LEFT_OUT, unknown_in_words
from .data.memory import Form, array_of, labels_of, library_of, rows_of
from .data.types import Data
from .errors import AaeError, Interrupted
from .model.autoencoder import Autoencoder
from .model.checkpoint import MODEL
from .model.load import load
from .model.unusual import score
from .output.reporter import Reporter, choose_reporter
from .training.api import train
from .training.folder import is_run
from .training.splits import options_of

Method = Callable[..., Any]

_ALONE = RLock()
"""Held while an estimator trains or builds its networks, as torch's random numbers and threads are those of the process."""


def _plain_errors(method: Method) -> Method:
    """Raise what scikit-learn expects: ValueError for what the caller gave, KeyboardInterrupt for an interruption."""

    @wraps(method)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        try:
            return method(*args, **kwargs)
        except Interrupted:
            raise KeyboardInterrupt("training was interrupted") from None
        except AaeError as error:
            raise ValueError(str(error)) from error

    return guarded


def _of_config(question: Callable[[Config], bool]) -> Callable[[AdversarialAutoencoder], bool]:
    """A question to the config of an estimator, fitted or not; answered no where the config cannot be resolved."""

    def answer(estimator: AdversarialAutoencoder) -> bool:
        try:
            return question(estimator._config())
        except AaeError:
            return False

    return answer


_has_categories = _of_config(lambda config: config.code.y is not None)
_uses_labels = _of_config(lambda config: config.uses_labels)


class AdversarialAutoencoder(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """An adversarial autoencoder of any preset.

    Rows X are an array (N, D) of numbers, images (N, H, W), (N, C, H, W) or (N, H, W, C), or a frame of pandas or polars,
    whose columns may be numbers, categories, dates and have missing cells. A 2-D array with missing values is a table.

    Args:
        preset: name of a preset, path of a YAML file, or a mapping (``aae presets`` lists the names).
        n_components: dimensions of z; None for the preset's. Presets without z ignore it.
        n_clusters: number K ≥ 2 of categories y; None for the preset's. Presets without y, and those that learn from
            labels, whose categories are the classes, ignore it.
        random_state: seed, or a source of one; None draws a seed.
        settings: keys of the preset as ``a.b=value``, as after ``--set``.
        epochs: passes over the rows; None for the preset's.
        seconds: time to train for; None for as long as the preset trains.
        device: auto, cpu, cuda or mps.
        folder: run folder to keep, which the commands of ``aae`` read; None keeps none.
        verbose: 1 reports progress on stderr, also in a notebook.

    Attributes:
        classes_: labels of ``fit``, sorted; only for presets that learn from labels.
        labels_: (N,) cluster of each row of ``fit``; only for presets with clusters.
        n_features_in_: number of columns, D. feature_names_in_: their names, where they are text.
        model_: the checkpoint, as bytes of a safetensors file.
    """

    def __init__(
        self,
        preset: str | Path | dict[str, Any] = "dim-reduction",
        *,
        n_components: int | None = None,
        n_clusters: int | None = None,
        random_state: int | np.random.RandomState | None = None,
        settings: Sequence[str] = (),
        epochs: int | None = None,
        seconds: float | None = None,
        device: str = "auto",
        folder: str | Path | None = None,
        verbose: int = 0,
    ) -> None:
        self.preset = preset
        self.n_components = n_components
        self.n_clusters = n_clusters
        self.random_state = random_state
        self.settings = settings
        self.epochs = epochs
        self.seconds = seconds
        self.device = device
        self.folder = folder
        self.verbose = verbose

    # --- fitting ------------------------------------------------------------------------------------------------------

    @_plain_errors
    def fit(self, X: Any, y: Any = None) -> Self:
        """Train a model on all rows.

        Args:
            X: rows, at least two.
            y: (N,) labels; −1, None and NaN mean unlabelled. Presets that do not learn from labels ignore them.

        Raises:
            ValueError: data, labels or settings that cannot be used.
            KeyboardInterrupt: training was interrupted; no model is kept.
        """
        config = self._config()
        for learned in ("classes_", "labels_", "model_", "_loaded", "_n_features_out"):
            self.__dict__.pop(learned, None)
        rows = self._rows(X, reset=True)
        flags = {**self._flags(), "train.seed": self._seed()}
        if flags.get("code.y.classes", 0) > len(rows):
            raise ValueError(f"n_clusters={self.n_clusters} of {len(rows)} rows: give at most as many as rows")
        if config.uses_labels:
            rows = self._labelled(rows, y)
            flags["data.labels"] = "all"
        for note in rows.notes:
            if note.startswith(LEFT_OUT):
                warnings.warn(f"columns that cannot be used are {note}", stacklevel=3)
        with _ALONE, _folder(self.folder) as folder:
            run = train(
                self._preset(),
                rows,
                folder,
                self._settings(),
                flags=flags,
                device=str(self.device),
                force=True,
                all_rows=True,
                reporter=choose_reporter(verbose=self.verbose > 1) if self.verbose else Reporter(),
                seconds=self.seconds,
                pictures=self.folder is not None,
            )
            self.model_ = (run.folder / MODEL).read_bytes()
        model = self._model()
        self._n_features_out = model.dims
        if model.abilities.clusters and not model.abilities.learned_with_labels:
            self.labels_ = model.cluster(rows.x)[0]
        return self

    def _preset(self) -> str | dict[str, Any]:
        return self.preset if isinstance(self.preset, dict) else str(self.preset)

    def _settings(self) -> Sequence[str]:
        return (self.settings,) if isinstance(self.settings, str) else self.settings or ()

    def _flags(self) -> dict[str, Any]:
        config = resolve(self._preset(), self._settings())
        flags = {"train.epochs": self.epochs}
        flags["code.z.dims"] = None if config.code.z is None else self.n_components
        flags["code.y.classes"] = None if config.code.y is None or config.uses_labels else self.n_clusters
        return {key: value for key, value in flags.items() if value is not None}

    def _config(self) -> Config:
        return resolve(self._preset(), self._settings(), self._flags())

    def _seed(self) -> int:
        if isinstance(self.random_state, int | np.integer):
            return int(self.random_state)
        return int(check_random_state(self.random_state).randint(2**31 - 1))

    def _labelled(self, rows: Data, y: Any) -> Data:
        """Rows with their labels; sets ``classes_``. Raises ValueError for labels that cannot be used."""
        if y is None:
            raise ValueError(f"requires y to be passed, but the target y is None: {self.preset} learns from labels")
        labels, known = labels_of(y, len(rows))
        self.classes_, codes = np.unique(labels, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(f"y names {len(self.classes_)} class beside −1, None and NaN (unlabelled); 2 are needed")
        encoded = np.full(len(known), -1, dtype=np.int64)
        encoded[known] = codes
        return replace(rows, labels=encoded, schema=rows.schema.with_classes(tuple(map(str, self.classes_.tolist()))))

    # --- rows ---------------------------------------------------------------------------------------------------------

    def _rows(self, X: Any, reset: bool = False) -> Data:
        """Rows as they are read from files, checked as scikit-learn checks them. ``reset``: learn their form."""
        like = None if reset else self._model().schema
        options = options_of((self._config() if reset else self._model().config).data)
        if library_of(X) is not None:
            X = X.collect() if hasattr(X, "collect") else X
            validate_data(self, X, reset=reset, skip_check_array=True)
        else:
            checks = {"dtype": None, "ensure_all_finite": "allow-nan", "allow_nd": True}
            X = validate_data(self, array_of(X), reset=reset, ensure_min_samples=2 if reset else 1, **checks)
        rows = rows_of(X, self.__dict__.get("feature_names_in_"), options, like)
        if reset:
            self._form = Form.of(X)
        elif like is not None and any(rows.unknown):
            for note in unknown_in_words(like.mixed or (), rows.unknown):
                warnings.warn(note, stacklevel=4)
        return rows

    def _model(self) -> Autoencoder:
        """The trained model, loaded once from its bytes."""
        check_is_fitted(self, "model_")
        if "_loaded" not in self.__dict__:
            with _ALONE, TemporaryDirectory() as folder, torch.random.fork_rng(devices=[]):
                file = Path(folder) / MODEL
                file.write_bytes(self.model_)
                self._loaded = load(file, str(self.device))
        return self._loaded

    def __getstate__(self) -> dict[str, Any]:
        """Parameters and attributes, without the loaded networks, which the bytes of the checkpoint stand for."""
        return {name: value for name, value in super().__getstate__().items() if name != "_loaded"}

    def _given(self, x: np.ndarray, index: Any = None) -> Any:
        """Rows (N, D) of the model in the form of those of ``fit``."""
        return self._form.like(x, self._model().schema, index)

    # --- use ----------------------------------------------------------------------------------------------------------

    @_plain_errors
    def transform(self, X: Any) -> np.ndarray:
        """The representation of each row, the decoder's input: (N, m) float32, where m is that of z, [y, z] or y·W_C + z."""
        model = self._model()
        return model.embed(self._rows(X).x)

    @_plain_errors
    def inverse_transform(self, X: Any) -> Any:
        """Decode representations (N, m) to rows, in the form of those of ``fit``."""
        index = X.index if library_of(X) == "pandas" else None
        return self._given(self._model().decode_representation(check_array(X, dtype=np.float32)), index)

    @available_if(_has_categories)
    def fit_predict(self, X: Any, y: Any = None) -> np.ndarray:
        """``fit``, and the cluster of each row, or its class where the preset learns from labels: (N,)."""
        self.fit(X, y)
        return self.labels_ if hasattr(self, "labels_") else self.predict(X)

    @available_if(_has_categories)
    @_plain_errors
    def predict(self, X: Any) -> np.ndarray:
        """The most probable class of each row, one of ``classes_``; without labels, its cluster: (N,)."""
        found = self.predict_proba(X).argmax(1)
        return self.classes_[found] if hasattr(self, "classes_") else found

    @available_if(_has_categories)
    @_plain_errors
    def predict_proba(self, X: Any) -> np.ndarray:
        """q(y|x): (N, C) in the order of ``classes_``, or (N, K) of the clusters; rows sum to 1."""
        model = self._model()
        x = self._rows(X).x
        if not hasattr(self, "classes_"):
            return model.y(x)
        known = model.classify(x)
        return known / known.sum(1, keepdims=True)

    @_plain_errors
    def score_samples(self, X: Any) -> np.ndarray:
        """How usual each row is, the negative score of ``aae score``: (N,), higher is more usual."""
        return -score(self._model(), self._rows(X).x).score

    @_plain_errors
    def score(self, X: Any, y: Any = None) -> float:
        """Accuracy on the labelled rows where y is given and classes were learned, else the mean of ``score_samples``."""
        if y is None or not (hasattr(self, "classes_") and _has_categories(self)):
            return float(self.score_samples(X).mean())
        found = self.predict(X)
        labels, known = labels_of(y, len(found))
        if not known.any():
            raise ValueError("y has no labels: −1, None and NaN mean unlabelled")
        return float(accuracy_score(labels, found[known]))

    @_plain_errors
    def sample(self, n_samples: int = 1, *, y: Any = None, where: Sequence[str] = ()) -> Any:
        """Draw rows, in the form of those of ``fit``.

        Args:
            n_samples: number of rows, at least 1.
            y: class, one of ``classes_``, or without labels the cluster, to draw from; None for all.
            where: conditions on the columns of a table, such as ``age>60``.

        Returns:
            the rows; with an int as ``random_state``, the same ones at every call.

        Raises:
            ValueError: an unknown class, or conditions that no row meets.
        """
        if not isinstance(n_samples, Integral) or n_samples < 1:
            raise ValueError(f"n_samples={n_samples}: give a whole number from 1")
        if np.ndim(y) > 0:
            raise ValueError("y is one class, not several: call sample for each")
        model, named = self._model(), hasattr(self, "classes_")
        of_y = [i for i, label in enumerate(self.classes_ if named else range(model.columns)) if label == y]
        if y is not None and not of_y:
            raise ValueError(f"y={y!r} is no {'class' if named else 'cluster'} of this model")
        labels, clusters = (of_y, []) if named else ([], of_y)
        generator = torch.Generator().manual_seed(self._seed())
        where = (where,) if isinstance(where, str) else where
        return self._given(model.sample(int(n_samples), labels, clusters, generator, where=where).x)

    def __sklearn_tags__(self) -> Tags:
        """Tags: cells may be missing, text or categories; labels are needed by presets that learn from them."""
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = tags.input_tags.string = tags.input_tags.categorical = True
        tags.target_tags.required = _uses_labels(self)
        if _has_categories(self):
            tags.estimator_type = "classifier" if _uses_labels(self) else "clusterer"
            tags.classifier_tags = ClassifierTags() if _uses_labels(self) else None
        tags.transformer_tags.preserves_dtype = []
        return tags


@contextmanager
def _folder(kept: str | Path | None) -> Iterator[Path]:
    """A folder for a run: the one to keep, or a temporary one. Raises ValueError for one that holds something else."""
    if kept is None:
        with TemporaryDirectory() as folder:
            yield Path(folder) / "run"
        return
    path = Path(kept).expanduser()
    if path.exists() and not is_run(path) and not (path.is_dir() and not any(path.iterdir())):
        raise ValueError(f"folder={str(kept)!r} is there and holds no run: give another one")
    yield path
