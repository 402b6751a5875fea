"""What the paper measures, and what shows whether an adversarial autoencoder works.

All errors are in %, accuracies in %, log-likelihoods in nats. Everything runs on rows given by the caller: held-out ones.
"""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..data.types import Data
from ..errors import DataError, UsageError
from .autoencoder import Autoencoder
from .checkpoint import Header
from .parzen import PARZEN_HELD, parzen_log_likelihood, parzen_width

PROBE_ROWS = 4000


@dataclass(frozen=True)
class Context:
    """What metrics may use.

    Attributes:
        rows: held-out rows, with labels where known.
        validation: other rows, never tested on, for choosing σ; None = a tenth of ``rows`` is set aside.
        samples: number of samples of the Parzen window.
    """

    model: Autoencoder
    rows: Data
    validation: Data | None
    samples: int
    seed: int

    @property
    def labels(self) -> np.ndarray:
        """(N,) indices into the model's classes, or into the data's own where the model has none."""
        if self.model.classes:
            return self.rows.labels_as(self.model.classes)
        return self.rows.labels if self.rows.labels is not None else np.full(len(self.rows), -1)

    def probe_rows(self) -> tuple[np.ndarray, np.ndarray]:
        """At most PROBE_ROWS rows and their labels, in random order."""
        order = np.random.default_rng(self.seed).permutation(len(self.rows))[:PROBE_ROWS]
        return self.rows.x[order], self.labels[order]


Metrics = dict[str, float]


# --- error rates ------------------------------------------------------------------------------------------------------


def reconstruction_error(c: Context) -> Metrics:
    """Mean of ½‖x − x̂‖², summed over features, in the networks' units."""
    scaling = c.model.model.scaling
    total = 0.0
    labels = c.labels
    for start in range(0, len(c.rows), 2048):
        x = c.rows.x[start : start + 2048]
        x_hat = c.model.reconstruct(x, labels[start : start + 2048])
        difference = scaling(torch.from_numpy(np.ascontiguousarray(x)).to(c.model.device)) - scaling(
            torch.from_numpy(x_hat).to(c.model.device)
        )
        total += 0.5 * float(difference.square().sum())
    return {"reconstruction-error": total / max(len(c.rows), 1)}


def classification_error(c: Context) -> Metrics:
    """Share of labelled rows whose most probable class is wrong, in %."""
    known = c.labels >= 0
    predicted = c.model.classify(c.rows.x[known]).argmax(1)
    return {"classification-error": 100 * float((predicted != c.labels[known]).mean())}


def name_clusters(y: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Section 6: the labelled row with the largest q(y_i|x) names cluster i.

    Args:
        y: (N, K) q(y|x). labels: (N,) int64, −1 for unlabelled.

    Returns:
        (K,) int64 labels, −1 where no labelled row was given.
    """
    known = labels >= 0
    if not known.any():
        return np.full(y.shape[1], -1, dtype=np.int64)
    return labels[known][y[known].argmax(0)]


def cluster_error(c: Context) -> Metrics:
    """Section 6: error when each cluster stands for the label that a validation row gave it, in %."""
    known, names = c.labels >= 0, c.model.cluster_labels
    assert names is not None
    predicted = names[c.model.cluster(c.rows.x[known])[0]]
    return {"cluster-error": 100 * float((predicted != c.labels[known]).mean())}


def cluster_agreement(c: Context) -> Metrics:
    """NMI and ARI (in 0 … 1), and accuracy under the best one-to-one assignment (in %), of clusters against labels."""
    from scipy.optimize import linear_sum_assignment
    from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score
    from sklearn.metrics.cluster import contingency_matrix

    known = c.labels >= 0
    labels, clusters = c.labels[known], c.model.cluster(c.rows.x[known])[0]
    table = contingency_matrix(labels, clusters)
    rows, columns = linear_sum_assignment(-table)
    return {
        "nmi": float(normalized_mutual_info_score(labels, clusters)),
        "ari": float(adjusted_rand_score(labels, clusters)),
        "hungarian-accuracy": 100 * float(table[rows, columns].sum() / max(len(labels), 1)),
        "clusters-used": float(len(np.unique(clusters))),
    }


def agreement(clusterings: Sequence[np.ndarray]) -> list[float]:
    """How far each clustering of the same rows agrees with the others: mean normalised mutual information, in 0 … 1.

    One that puts all rows together says nothing, and agrees with none.

    Args:
        clusterings: (N,) cluster numbers each, at least two of them.
    """
    from sklearn.metrics import normalized_mutual_info_score

    total = np.zeros(len(clusterings))
    telling = [i for i, own in enumerate(clusterings) if len(np.unique(own)) > 1]
    for i, j in itertools.combinations(telling, 2):
        total[[i, j]] += normalized_mutual_info_score(clusterings[i], clusterings[j])
    return (total / (len(clusterings) - 1)).tolist()


def neighbour_accuracy(c: Context) -> Metrics:
    """Accuracy of 5 nearest neighbours in the representation, 5-fold cross-validated, in %."""
    from sklearn.model_selection import cross_val_score
    from sklearn.neighbors import KNeighborsClassifier

    x, labels = c.probe_rows()
    x, labels = _enough_of_each(x[labels >= 0], labels[labels >= 0], 5)
    if len(np.unique(labels)) < 2:
        return {}
    scores = cross_val_score(KNeighborsClassifier(5), c.model.embed(x), labels, cv=5)
    return {"neighbour-accuracy": 100 * float(scores.mean())}


def _enough_of_each(x: np.ndarray, labels: np.ndarray, least: int) -> tuple[np.ndarray, np.ndarray]:
    """Without the classes that have too few rows for folds."""
    values, counts = np.unique(labels, return_counts=True)
    keep = np.isin(labels, values[counts >= least])
    return x[keep], labels[keep]


# --- how well q(z) fits p(z), and what z still knows -------------------------------------------------------------------


def _probe(inputs: np.ndarray, targets: np.ndarray, seed: int, neighbours: int = 0) -> float:
    """Accuracy in %, on one half of the rows, of a probe trained on the other half; both ways, averaged.

    Args:
        neighbours: the probe is a vote of so many nearest rows; 0 = a small network.
    """
    import warnings

    from sklearn.exceptions import ConvergenceWarning
    from sklearn.model_selection import StratifiedKFold, cross_val_score
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    if neighbours:
        probe = KNeighborsClassifier(neighbours)
    else:
        probe = MLPClassifier((64, 64), max_iter=200, early_stopping=len(inputs) >= 500, random_state=seed)
    folds = StratifiedKFold(2, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        scores = cross_val_score(make_pipeline(StandardScaler(), probe), inputs, targets, cv=folds)
    return 100 * float(scores.mean())


def prior_fit(c: Context) -> Metrics:
    """Two-sample tests: accuracy in telling codes of held-out rows from prior samples, by the better of two probes.

    A small network sees where the mass lies, the nearest five rows whether codes fill the prior or lie on threads in it.
    0.5 is perfect (in 0 … 1, as the convention of two-sample tests goes).
    """
    prior = c.model.prior_z
    assert prior is not None
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(c.seed)
        z = c.model.z(c.probe_rows()[0], draw=True)
        real = prior.sample(torch.full((len(z),), -1)).numpy()
    both = np.concatenate([z, real])
    which = np.repeat([0, 1], len(z))
    told = [_probe(both, which, c.seed, neighbours) for neighbours in (0, min(5, len(z) // 2))]
    return {"prior-fit": max(told) / 100}


def style_leakage(c: Context) -> Metrics:
    """How well a probe reads the label from z, in %, and the share of the commonest label (chance)."""
    x, labels = c.probe_rows()
    x, labels = _enough_of_each(x[labels >= 0], labels[labels >= 0], 4)
    if len(np.unique(labels)) < 2:
        return {}
    chance = 100 * float(np.bincount(labels).max() / len(labels))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(c.seed)
        z = c.model.z(x, draw=True)
    return {"style-leakage": _probe(z, labels, c.seed), "style-leakage-chance": chance}


def component_accuracy(c: Context) -> Metrics:
    """Section 2.3: share of held-out codes that lie in the prior component of their own label, in %."""
    prior = c.model.prior_z
    assert prior is not None
    known = c.labels >= 0
    component = prior.component_of(torch.from_numpy(c.model.z(c.rows.x[known]))).numpy()
    return {"component-accuracy": 100 * float((component == c.labels[known]).mean())}


def log_likelihood(c: Context) -> Metrics:
    """Mean log p(x) of held-out images with pixels in [0, 1], its standard error, and the σ chosen on validation rows."""
    schema, device = c.model.schema, c.model.device
    rows, validation = c.rows, c.validation
    if validation is None:
        order = np.random.default_rng(c.seed).permutation(len(rows))
        some = max(1, len(rows) // 10)
        rows, validation = rows[np.sort(order[some:])], rows[np.sort(order[:some])]
    low, span = (schema.low or 0.0), (schema.high or 1.0) - (schema.low or 0.0)

    def unit(x: np.ndarray | Tensor) -> Tensor:
        x = torch.as_tensor(x).to(device)
        return (x.float() - low) / span if schema.kind == "image" else c.model.model.scaling(x)

    def draws(count: int) -> Iterator[Tensor]:
        # Pixels within their range; columns of a table stay standardised.
        for x in c.model.draws(count, c.seed):
            yield unit(c.model.model.scaling.invert(x)).clamp(0, 1) if schema.kind == "image" else x

    def score(x: np.ndarray, count: int, sigmas: Tensor) -> Tensor:
        precision = torch.get_float32_matmul_precision()
        torch.set_float32_matmul_precision("highest")  # TensorFloat-32 would blur distances by more than a nat
        try:
            return parzen_log_likelihood(draws(count), unit(x), sigmas)
        finally:
            torch.set_float32_matmul_precision(precision)

    held = validation.x[:PARZEN_HELD]
    sigma = parzen_width(lambda count, sigmas: score(held, count, sigmas).mean(1), c.samples)
    scores = score(rows.x, c.samples, torch.tensor([sigma]))[0]
    return {
        "log-likelihood": float(scores.mean()),
        "log-likelihood-error": float(scores.std() / len(scores) ** 0.5) if len(scores) > 1 else 0.0,
        "log-likelihood-sigma": sigma,
        "log-likelihood-samples": float(c.samples),
    }


# --- which metrics go with which model ---------------------------------------------------------------------------------

METRICS: dict[str, Callable[[Context], Metrics]] = {
    "reconstruction-error": reconstruction_error,
    "classification-error": classification_error,
    "cluster-error": cluster_error,
    "agreement": cluster_agreement,
    "neighbour-accuracy": neighbour_accuracy,
    "prior-fit": prior_fit,
    "style-leakage": style_leakage,
    "component-accuracy": component_accuracy,
    "log-likelihood": log_likelihood,
}
ALIASES = {"nmi": "agreement", "ari": "agreement", "hungarian-accuracy": "agreement", "parzen": "log-likelihood"}


def why_not(header: Header, name: str, labelled: bool) -> str | None:
    """Why a metric cannot be had for this model and data, from its header alone; None where it can.

    Args:
        labelled: whether the rows to measure on have labels.
    """
    config = header.config
    if name in ("classification-error", "cluster-error"):
        if config.code.y is None:
            return "the model has no categories y"
        if header.cluster_labels is None:
            return "the model never saw a label, so its categories have no names"
        if (name == "cluster-error") != (config.phases.semi_supervised is None):
            return "the model learned its categories " + ("with" if name == "cluster-error" else "without") + " labels"
    if name == "agreement" and config.code.y is None:
        return "the model has no categories y"
    needs_labels = ("classification-error", "cluster-error", "agreement", "neighbour-accuracy", "style-leakage")
    if name in (*needs_labels, "component-accuracy") and not labelled:
        return "the rows have no labels"
    if name in ("prior-fit", "style-leakage") and config.code.z is None:
        return "the model has no z"
    if name == "component-accuracy" and not (config.adversaries.z is not None and config.adversaries.z.labels):
        return "the model's prior is not tied to labels"
    return None


def _labelled(rows: Data) -> bool:
    return rows.labels is not None and bool((rows.labels >= 0).any())


def default_metrics(model: Autoencoder, rows: Data) -> list[str]:
    """The metrics that fit a variant: the paper's own for it, and those that show whether it works."""
    config = model.config
    names = ["reconstruction-error", "classification-error", "cluster-error"]
    if model.model.classes and config.phases.semi_supervised is None:
        names.append("agreement")
    if config.decoder.input == "heads" or (not model.model.classes and model.model.dims == 2):
        names.append("neighbour-accuracy")
    names += ["prior-fit", "component-accuracy"]
    if model.columns and not (config.adversaries.z is not None and config.adversaries.z.labels):
        names.append("style-leakage")
    if config.about.section.startswith("3"):
        names.append("log-likelihood")
    return [name for name in names if why_not(model.header, name, _labelled(rows)) is None]


def evaluate(
    model: Autoencoder,
    rows: Data,
    metrics: list[str] | None = None,
    *,
    validation: Data | None = None,
    samples: int = 10_000,
    seed: int = 0,
) -> Metrics:
    """Measure a model on held-out rows.

    Args:
        metrics: names from METRICS (or nmi, ari, hungarian-accuracy, parzen); None for those that fit the variant.
        validation: rows to choose the Parzen σ on; without them a tenth of ``rows`` is set aside for that.
        samples: of the Parzen window.

    Raises:
        UsageError: an unknown metric. DataError: one that this model or data cannot have.
    """
    if len(rows) < 4:
        raise DataError(f"{rows.name} has {len(rows)} rows", "at least 4 are needed to evaluate")
    wanted: list[str] = []
    alone: set[str] = set()  # of a group, the one that was asked for
    for asked in metrics or default_metrics(model, rows):
        name = ALIASES.get(asked, asked)
        if name not in METRICS:
            known = [*METRICS, *ALIASES]
            close = difflib.get_close_matches(asked, known, 1)
            hint = f"did you mean {close[0]}?" if close else f"choose from {', '.join(known)}"
            raise UsageError(f"there is no metric {asked!r}", hint)
        if name == "agreement" and asked != name:
            alone.add(asked)
        reason = why_not(model.header, name, _labelled(rows))
        if reason is not None:
            raise DataError(f"{name} cannot be measured on {rows.name}: {reason}")
        if name not in wanted:
            wanted.append(name)
    context = Context(model, rows, validation, samples, seed)
    results: Metrics = {}
    for name in wanted:
        measured = METRICS[name](context)
        if name == "agreement" and alone:
            measured = {key: value for key, value in measured.items() if key in alone}
        results |= measured
    return results
