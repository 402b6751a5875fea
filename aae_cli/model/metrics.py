"""Metrics of the paper, and diagnostics of an adversarial autoencoder: one function each.

Errors and accuracies are in %, log-likelihoods in nats. The rows are meant to be held out of training.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..data.types import Data
from ..device import exact_products
from .autoencoder import Autoencoder
from .parzen import PARZEN_HELD_OUT_ROWS, parzen_log_likelihood, parzen_width

PROBE_ROWS = 4000
CODE_DRAWS = 10  # codes drawn from q(z|x) of each row


@dataclass(frozen=True)
class Context:
    """Inputs of the metrics.

    Attributes:
        rows: rows to measure on, with labels where known.
        validation: other rows, on which σ is chosen; None to use a tenth of ``rows`` for that only.
        samples: number of samples of the Parzen window.
        training: the rows that the model was trained on; None if they are not known.
    """

    model: Autoencoder
    rows: Data
    validation: Data | None
    samples: int
    seed: int
    training: Data | None = None

    @property
    def labels(self) -> np.ndarray:
        """(N,) int64 indices into the model's classes, or into those of the data if the model has none; −1 for none."""
        if self.model.classes:
            return self.rows.labels_as(self.model.classes)
        return self.rows.labels if self.rows.labels is not None else np.full(len(self.rows), -1)

    def probe_rows(self) -> tuple[np.ndarray, np.ndarray]:
        """At most PROBE_ROWS rows, in random order, and their labels."""
        order = np.random.default_rng(self.seed).permutation(len(self.rows))[:PROBE_ROWS]
        return self.rows.x[order], self.labels[order]


Metrics = dict[str, float]


# --- error rates ------------------------------------------------------------------------------------------------------


def reconstruction_error(c: Context) -> Metrics:
    """½‖x − x̂‖², summed over features and averaged over rows, in the networks' units."""
    scaling = c.model.model.scaling
    total = 0.0
    labels = c.labels
    for start in range(0, len(c.rows), 2048):
        x = c.rows.x[start : start + 2048]
        x_hat = c.model.reconstruct(x, labels[start : start + 2048])
        both = (torch.from_numpy(np.ascontiguousarray(each)).to(c.model.device) for each in (x, x_hat))
        total += float(scaling.distance(*both).sum())
    return {"reconstruction-error": total / max(len(c.rows), 1)}


def classification_error(c: Context) -> Metrics:
    """Section 5: share of labelled rows whose most probable class is wrong, in %."""
    known = c.labels >= 0
    predicted = c.model.classify(c.rows.x[known]).argmax(1)
    return {"classification-error": 100 * float((predicted != c.labels[known]).mean())}


def name_clusters(y: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Section 6: name each cluster i after the label of the labelled row with the largest q(y_i|x).

    Args:
        y: (N, K) q(y|x).
        labels: (N,) int64, −1 for unlabelled.

    Returns:
        (K,) int64 labels, all −1 without labelled rows.
    """
    known = labels >= 0
    if not known.any():
        return np.full(y.shape[1], -1, dtype=np.int64)
    return labels[known][y[known].argmax(0)]


def cluster_error(c: Context) -> Metrics:
    """Section 6: classification error if each cluster predicts the label that it was named after, in %."""
    known, names = c.labels >= 0, c.model.cluster_labels
    assert names is not None
    predicted = names[c.model.cluster(c.rows.x[known])[0]]
    return {"cluster-error": 100 * float((predicted != c.labels[known]).mean())}


def cluster_agreement(c: Context) -> Metrics:
    """Agreement of clusters with labels: NMI (0…1), ARI (at most 1), accuracy of the best one-to-one assignment (%)."""
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
    """Mean normalised mutual information of each clustering with the other clusterings of the same rows, in 0…1.

    A clustering with a single cluster scores 0.

    Args:
        clusterings: at least two; (N,) cluster numbers each.
    """
    from sklearn.metrics import normalized_mutual_info_score

    total = np.zeros(len(clusterings))
    informative = [i for i, own in enumerate(clusterings) if len(np.unique(own)) > 1]
    for i, j in itertools.combinations(informative, 2):
        total[[i, j]] += normalized_mutual_info_score(clusterings[i], clusterings[j])
    return (total / (len(clusterings) - 1)).tolist()


def neighbour_accuracy(c: Context) -> Metrics:
    """Accuracy of a 5-nearest-neighbour classifier on the representation, 5-fold cross-validated, in %.

    Without at least two classes of 5 labelled rows there is no value.
    """
    from sklearn.model_selection import cross_val_score
    from sklearn.neighbors import KNeighborsClassifier

    x, labels = c.probe_rows()
    x, labels = _drop_small_classes(x[labels >= 0], labels[labels >= 0], 5)
    if len(np.unique(labels)) < 2:
        return {}
    scores = cross_val_score(KNeighborsClassifier(5), c.model.embed(x), labels, cv=5)
    return {"neighbour-accuracy": 100 * float(scores.mean())}


def _drop_small_classes(x: np.ndarray, labels: np.ndarray, least: int) -> tuple[np.ndarray, np.ndarray]:
    """Remove the rows of classes that have fewer than ``least`` rows, too few for the folds."""
    values, counts = np.unique(labels, return_counts=True)
    keep = np.isin(labels, values[counts >= least])
    return x[keep], labels[keep]


# --- the fit of q(z) to p(z), and the label information in z ----------------------------------------------------------


def _probe(inputs: np.ndarray, targets: np.ndarray, seed: int, neighbours: int = 0) -> float:
    """Mean accuracy in % of a probe in two-fold cross-validation.

    Args:
        neighbours: number of neighbours of a nearest-neighbour probe; 0 for a small neural network.
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
    """Two-sample test of the aggregated posterior q(z) against p(z): accuracy of the better of two probes, in 0…1.

    0.5 is a perfect fit. A small neural network detects where the mass differs; five nearest neighbours detect codes
    that lie on curves within the prior instead of filling it.
    """
    prior = c.model.prior_z
    assert prior is not None
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(c.seed)
        z = c.model.z(c.probe_rows()[0], draw=True)
        real = prior.sample(torch.full((len(z),), -1)).numpy()
    both = np.concatenate([z, real])
    which = np.repeat([0, 1], len(z))
    accuracies = [_probe(both, which, c.seed, neighbours) for neighbours in (0, min(5, len(z) // 2))]
    return {"prior-fit": max(accuracies) / 100}


def style_leakage(c: Context) -> Metrics:
    """Accuracy in % of a probe that predicts the label from z, and chance level (share of the most frequent label)."""
    x, labels = c.probe_rows()
    x, labels = _drop_small_classes(x[labels >= 0], labels[labels >= 0], 4)
    if len(np.unique(labels)) < 2:
        return {}
    chance = 100 * float(np.bincount(labels).max() / len(labels))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(c.seed)
        z = c.model.z(x, draw=True)
    return {"style-leakage": _probe(z, labels, c.seed), "style-leakage-chance": chance}


def component_accuracy(c: Context) -> Metrics:
    """Section 2.3: share of codes that lie in the prior component of their row's label, in %.

    The codes are CODE_DRAWS draws from q(z|x) of each labelled row. Their means would show less than the adversary sees.
    """
    prior = c.model.prior_z
    assert prior is not None
    known = c.labels >= 0
    x, labels = c.rows.x[known], c.labels[known]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(c.seed)
        draws = [torch.from_numpy(c.model.z(x, draw=True)) for _ in range(CODE_DRAWS)]
    right = [(prior.component_of(z).numpy() == labels).mean() for z in draws]
    return {"component-accuracy": 100 * float(np.mean(right))}


def log_likelihood(c: Context) -> Metrics:
    """Section 3: mean Parzen-window log p(x) in nats, its standard error, σ and the number of samples.

    Pixels are in [0, 1]; columns of a table are standardised. σ is chosen on the validation rows.
    """
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
        # Pixels are clipped to their range; columns of a table stay standardised.
        for x in c.model.draws(count, c.seed):
            yield unit(c.model.model.scaling.invert(x)).clamp(0, 1) if schema.kind == "image" else x

    def score(x: np.ndarray, count: int, sigmas: Tensor) -> np.ndarray:
        with exact_products(device):  # TensorFloat-32 would change the result by more than a nat
            return parzen_log_likelihood(draws(count), unit(x), sigmas)

    held = validation.evenly_spaced(PARZEN_HELD_OUT_ROWS).x
    sigma = parzen_width(lambda count, sigmas: score(held, count, sigmas).mean(1), c.samples)
    scores = score(rows.x, c.samples, torch.tensor([sigma]))[0]
    return {
        "log-likelihood": float(scores.mean()),
        "log-likelihood-error": float(scores.std(ddof=1) / len(scores) ** 0.5) if len(scores) > 1 else 0.0,
        "log-likelihood-sigma": sigma,
        "log-likelihood-samples": float(c.samples),
    }
