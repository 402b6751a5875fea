"""Evaluation of a model on held-out rows, and the metrics that each model and data set allow."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..data.holdout import fingerprint, held_out_count, hold_out
from ..data.types import Data
from ..errors import DataError, UsageError
from ..text import counted, did_you_mean
from .abilities import Abilities
from .autoencoder import Autoencoder
from .checkpoint import Header
from .image_metrics import sample_metrics
from .metrics import (
    PROBE_ROWS,
    Context,
    Metrics,
    classification_error,
    cluster_agreement,
    cluster_error,
    component_accuracy,
    log_likelihood,
    neighbour_accuracy,
    prior_fit,
    reconstruction_error,
    style_leakage,
)
from .table_metrics import TABLE_METRICS

# Requirements of metrics: a test, given a checkpoint's abilities and whether the rows have labels, and the reason to
# report if it fails.
_NEEDS: dict[str, tuple[Callable[[Abilities, bool], bool], str]] = {
    "y": (lambda can, labels: can.clusters, "the model has no categories y"),
    "names": (
        lambda can, labels: can.header.cluster_labels is not None,
        "no labels were available to name the model's categories",
    ),
    "y from labels": (
        lambda can, labels: can.learned_with_labels,
        "the model's categories were trained without labels",
    ),
    "y without labels": (
        lambda can, labels: not can.learned_with_labels,
        "the model's categories were trained with labels",
    ),
    "labels": (lambda can, labels: labels, "the rows have no labels"),
    "z": (lambda can, labels: can.style, "the model has no z"),
    "table": (lambda can, labels: can.header.schema.kind == "table", "the model is not one of a table"),
    "image": (lambda can, labels: can.header.schema.kind == "image", "the model is not one of images"),
    "tied prior": (lambda can, labels: can.tied_to_labels, "the model's prior is not tied to labels"),
}


@dataclass(frozen=True)
class Metric:
    """A metric.

    Attributes:
        measure: the function that measures it.
        meaning: for each value that it gives, one sentence for a reader who does not know it.
        needs: requirements (keys of _NEEDS) in the order of their checks.
    """

    measure: Callable[[Context], Metrics]
    meaning: dict[str, str]
    needs: tuple[str, ...] = ()


METRICS: dict[str, Metric] = {
    "reconstruction-error": Metric(
        reconstruction_error,
        {"reconstruction-error": "½ squared distance of a row to its reconstruction, on average; lower is better"},
    ),
    "classification-error": Metric(
        classification_error,
        {"classification-error": "% of rows that get a wrong class; lower is better"},
        ("y", "names", "y from labels", "labels"),
    ),
    "cluster-error": Metric(
        cluster_error,
        {"cluster-error": "% of rows of another class than the surest row of their cluster; lower is better"},
        ("y", "names", "y without labels", "labels"),
    ),
    "agreement": Metric(
        cluster_agreement,
        {
            "hungarian-accuracy": "% of rows in the right cluster if each class has one cluster; higher is better",
            "nmi": "how much a row's cluster tells of its class, 0 (nothing) to 1 (all); higher is better",
            "ari": "agreement of clusters with classes, 0 (by chance) to 1 (the same); higher is better",
            "clusters-used": "number of clusters that have at least one of these rows",
        },
        ("y", "labels"),
    ),
    "neighbour-accuracy": Metric(
        neighbour_accuracy,
        {"neighbour-accuracy": "% of rows of the class that most of their 5 nearest codes have; higher is better"},
        ("labels",),
    ),
    "prior-fit": Metric(
        prior_fit,
        {"prior-fit": "how often a classifier tells codes from draws of the prior; 0.5 is perfect, 1 is worst"},
        ("z",),
    ),
    "style-leakage": Metric(
        style_leakage,
        {
            "style-leakage": "% of rows whose class can be told from the style z; best at style-leakage-chance",
            "style-leakage-chance": "% of rows in the largest class, which is what guessing gets right",
        },
        ("labels", "z"),
    ),
    "component-accuracy": Metric(
        component_accuracy,
        {"component-accuracy": "% of rows whose code is in the prior's part for their class; higher is better"},
        ("labels", "tied prior"),
    ),
    "image-samples": Metric(
        sample_metrics,
        {
            "sample-auc": "how well a network tells samples from real images, as AUC; 0.5 is perfect, 1 is worst",
            "sample-precision": "share of samples that look like real images, 0 to 1; higher is better",
            "sample-recall": "share of real images that samples look like, 0 to 1; higher is better",
            "sharpness": "sharpness of samples over that of real images; 1 is perfect",
        },
        ("image",),
    ),
    "log-likelihood": Metric(
        log_likelihood,
        {
            "log-likelihood": "log-probability of a row, by a Parzen window of samples, in nats; higher is better",
            "log-likelihood-error": "standard error of log-likelihood, in nats",
            "log-likelihood-sigma": "width of the Parzen window, chosen on validation rows",
            "log-likelihood-samples": "number of samples in the Parzen window",
        },
    ),
} | {name: Metric(each.measure, {name: each.meaning}, ("table",)) for name, each in TABLE_METRICS.items()}
GROUPS = {"table": tuple(TABLE_METRICS), "samples": ("image-samples",)}
"""Names under which several metrics are asked for at once."""
MEANINGS = {value: sentence for metric in METRICS.values() for value, sentence in metric.meaning.items()}
"""Every value that a metric gives, with one sentence on it."""
EXPLAINED = MEANINGS | {group: f"all of {', '.join(names)}" for group, names in GROUPS.items()}
"""The same, and what groups of metrics are."""
RATES = (
    "classification-error",
    "cluster-error",
    "hungarian-accuracy",
    "neighbour-accuracy",
    "style-leakage",
    "component-accuracy",
)
"""Values in % of the labelled rows, which have an interval."""
ALIASES = {"nmi": "agreement", "ari": "agreement", "hungarian-accuracy": "agreement", "parzen": "log-likelihood"}


def why_not(can: Abilities, name: str, labelled: bool) -> str | None:
    """The reason why a metric cannot be measured with this model and these rows; None if it can.

    Args:
        name: a key of METRICS, ALIASES or GROUPS.
        labelled: whether the rows have labels.
    """
    for need in METRICS[checked_metrics(name, can)[0]].needs:
        there, lacking = _NEEDS[need]
        if not there(can, labelled):
            return lacking
    return None


def require_possible(can: Abilities, names: Sequence[str], place: str, labelled: bool = True) -> None:
    """Raise DataError for the first of these metrics that cannot be measured.

    Args:
        place: the model or the rows, for the message.
        labelled: whether the rows have labels.
    """
    for name in names:
        reason = why_not(can, name, labelled)
        if reason is not None:
            raise DataError(f"{name} cannot be measured on {place}: {reason}")


def _labelled(rows: Data) -> bool:
    return rows.labels is not None and bool((rows.labels >= 0).any())


def default_metrics(model: Autoencoder, rows: Data) -> list[str]:
    """Names of the metrics for a variant: those that the paper reports for it, and diagnostics of its training."""
    config, can = model.config, model.abilities
    names = ["reconstruction-error", "classification-error", "cluster-error"]
    if can.clusters and not can.learned_with_labels:
        names.append("agreement")
    if config.decoder.input == "heads" or (not can.clusters and model.model.dims == 2):
        names.append("neighbour-accuracy")
    names += ["prior-fit", "component-accuracy"]
    if can.content.count and not can.tied_to_labels:
        names.append("style-leakage")
    if config.about.section.startswith("3"):
        names.append("log-likelihood")
    return [name for name in names if why_not(can, name, _labelled(rows)) is None]


def leading_value(model: Autoencoder, rows: Data) -> str:
    """Name of the value that tells most of a variant: the one to show first."""
    config, can = model.config, model.abilities
    if can.learned_with_labels:
        return "classification-error"
    if config.about.section.startswith("3"):
        return "log-likelihood"
    if config.decoder.input == "heads" or config.about.section.startswith("7"):
        return "neighbour-accuracy"
    if can.clusters:  # with more clusters than classes, several clusters may be right
        return "cluster-error" if can.content.count > len(rows.schema.classes or ()) else "hungarian-accuracy"
    if can.tied_to_labels:
        return "component-accuracy"
    return "style-leakage" if can.content.count else "prior-fit"


def checked_metrics(name: str, can: Abilities | None = None) -> tuple[str, ...]:
    """Resolve a name, an alias or a group to keys of METRICS, which have the same needs.

    Args:
        can: abilities of the model, as samples of a table are measured otherwise than images; None for images.

    Raises:
        UsageError: it is unknown; with the closest name.
    """
    known = [*METRICS, *ALIASES, *GROUPS]
    if name not in known:
        raise UsageError(f"there is no metric {name!r}", did_you_mean(name, known) or f"choose from {', '.join(known)}")
    if name == "samples" and can is not None and can.header.schema.kind == "table":
        name = "table"
    return GROUPS.get(name, (ALIASES.get(name, name),))


def trained_on(header: Header, rows: Data) -> bool:
    """Whether a checkpoint was trained on exactly these rows."""
    return (header.training or {}).get("fingerprint") == fingerprint(rows)


def unseen(header: Header, rows: Data) -> tuple[Data, str | None]:
    """Leave out the rows on which a checkpoint was trained, if ``rows`` are all that its training was given.

    Returns:
        the rows to measure on, and a remark; the rows as they are, and None, if they are others.
    """
    share = header.config.data.validation
    if held_out_count(share, len(rows)) >= len(rows):
        return rows, None
    train, held_out = hold_out(rows, share, header.config.train.seed)
    if not trained_on(header, train):
        return rows, None
    if held_out is None:
        return rows, f"the model was trained on these very rows of {rows.name}: none were held out"
    return held_out, f"the model was trained on {rows.name}: measuring on the {len(held_out)} rows that it did not see"


def intervals(measured: Metrics, rows: Data) -> dict[str, tuple[float, float]]:
    """95 % interval (Wilson 1927) of each rate among measured values, in %: what another draw of such rows could give.

    Args:
        rows: the rows measured on.
    """
    labelled = int((rows.labels >= 0).sum()) if rows.labels is not None else 0
    some = min(labelled, PROBE_ROWS)
    counts = {name: some if name in ("neighbour-accuracy", "style-leakage") else labelled for name in RATES}
    return {name: wilson(measured[name] / 100, count) for name, count in counts.items() if name in measured and count}


def wilson(share: float, count: int) -> tuple[float, float]:
    """95 % interval of a share of ``count`` independent rows, in %."""
    z = 1.96
    middle = (share + z**2 / (2 * count)) / (1 + z**2 / count)
    half = z / (1 + z**2 / count) * math.sqrt(share * (1 - share) / count + z**2 / (4 * count**2))
    return 100 * max(0.0, middle - half), 100 * min(1.0, middle + half)


def evaluate(
    model: Autoencoder,
    rows: Data,
    metrics: list[str] | None = None,
    *,
    validation: Data | None = None,
    training: Data | None = None,
    samples: int = 10_000,
    seed: int = 0,
) -> Metrics:
    """Measure a model on held-out rows.

    Args:
        rows: at least 4 rows, with labels where known. Of the rows that its training was given, those that it held out
            are used, with a warning.
        metrics: names from METRICS (or nmi, ari, hungarian-accuracy, parzen, table); None for the defaults of the variant.
        validation: rows on which the Parzen σ is chosen; None to use a tenth of ``rows`` for that only.
        training: the rows that the model was trained on, for copying; None if they are not known.
        samples: number of samples of the Parzen window.
        seed: seed of probes, samples and splits.

    Returns:
        values by name: errors and accuracies in %, log-likelihoods in nats, nmi and prior-fit in 0…1, ari at most
        1. A metric may give several values, or none if classes have too few rows.

    Raises:
        UsageError: an unknown metric.
        DataError: too few rows, or a metric that this model or these rows do not allow.
    """
    rows, remark = unseen(model.header, rows)
    if remark is not None:
        warnings.warn(remark, stacklevel=2)
    return measure(model, rows, metrics, validation=validation, training=training, samples=samples, seed=seed)


def measure(
    model: Autoencoder,
    rows: Data,
    metrics: list[str] | None = None,
    *,
    validation: Data | None = None,
    training: Data | None = None,
    samples: int = 10_000,
    seed: int = 0,
) -> Metrics:
    """As :func:`evaluate`, on all of the rows."""
    if len(rows) < 4:
        raise DataError(f"{rows.name} has {counted(len(rows), 'row')}", "at least 4 are needed to evaluate")
    wanted: dict[str, set[str]] = {}  # metric → the values of it that were requested by name; empty for all
    for asked in metrics or default_metrics(model, rows):
        require_possible(model.abilities, [asked], rows.name, _labelled(rows))
        for name in checked_metrics(asked, model.abilities):
            only = wanted.setdefault(name, set())
            if name == "agreement" and asked != name:
                only.add(asked)
    context = Context(model, rows, validation, samples, seed, training)
    results: Metrics = {}
    for name, only in wanted.items():
        measured = METRICS[name].measure(context)
        results |= {key: value for key, value in measured.items() if not only or key in only}
    first = leading_value(model, rows)
    return {first: results[first], **results} if not metrics and first in results else results
