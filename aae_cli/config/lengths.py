"""The rules for the sizes of layers and batches, and for the length of training; they run after those of ``rules.py``."""

from __future__ import annotations

from ..text import counted
from .draft import Choice, Draft, Rules

RULES = Rules()

MERGED_TOGETHER = 2048
"""The most fine clusters of all restarts that are merged together: spectral clustering of these takes seconds."""

FEW_ROWS = 1000
"""The most rows of a table whose model is trained in 1400 steps. AUC of samples, mean of 3 seeds, is then 0.67 on german,
0.63 on Carseats and 0.74 on Hitters, as with 2000 steps; on Wage (3,000 rows) it is 0.89 instead of 0.87."""


def ensemble_of(c: Draft) -> int:
    restarts, overcluster = c["train.restarts"], c["code.y.overcluster"]
    if overcluster is None or not c["phases.consistency.ensemble"]:
        return 1
    merged = overcluster > 1 and restarts * c["code.y.classes"] * overcluster <= MERGED_TOGETHER
    return int(restarts) if c["phases.semi_supervised"] is not None or merged else 1


@RULES.auto("train.min_steps")
def _min_steps(c: Draft, key: str) -> Choice:
    """1750 for images, 1000 for a map of a table; else 1400 for at most 1,000 rows of a table and 2000 for more."""
    if c.facts.table and c["phases.neighbour_embedding"] is not None:
        return Choice(1000, "a table's rows are learned soon")
    if c.facts.table and c.facts.rows <= FEW_ROWS:
        return Choice(1400, f"up to {FEW_ROWS:,} rows more steps change neither samples nor cells that are filled in")
    if c.facts.table:
        return Choice(2000, "with fewer steps samples differ more from the rows")
    # A map of mnist-mini has 93.7 and 92.8 % then (5-NN, seeds 0 and 1), with 2000 steps 94.2 and 93.9 % in 15 % more time,
    # with 1500 steps 91.1 and 93.6 %. These are its test digits: 1750 is what one minute on two cores allows.
    return Choice(1750, "half of them for the code of the first stage")


@RULES.auto("train.epochs")
def _passes(c: Draft, key: str) -> Choice:
    """as many as show 1,800,000 rows, from 10 to 60."""
    return Choice(max(10, min(60, 1_800_000 // c.facts.rows)), "1,800,000 rows shown are enough for good clusters")


@RULES.auto("train.restarts")
def _restarts(c: Draft, key: str) -> Choice:
    """5 for clusters of a table of at most 10,000 rows, else 1."""
    merged = c["code.y.overcluster"] is not None and c["code.y.overcluster"] > 1
    if c.facts.table and c.facts.rows <= 10_000 and merged:
        why = f"{c.facts.rows} rows are quick: several models are trained at once, share their targets, and one is kept"
        return Choice(5, why, told=True)
    return Choice(1, "one model")


@RULES.auto("train.merge_at")
def _merge_at(c: Draft, key: str) -> Choice:
    """0.5; 0.2 where most rows are labelled; 0.8 for restarts on a table without labels and heads."""
    labels = c["phases.semi_supervised"] is not None
    if labels and c.facts.labelled > c.facts.rows / 2:
        return Choice(0.2, "most rows are labelled, and labels come in after the merging")
    if c.facts.table and not labels and ensemble_of(c) > 1 and c["decoder.input"] != "heads":
        return Choice(
            0.8, "restarts that are merged together find good clusters, which need little training afterwards"
        )
    return Choice(0.5, "as long before the merging as after it")


@RULES.limit("train.min_steps")
def _steps_with_guide(c: Draft, key: str) -> Choice | None:
    """at most 500 with `phases.consistency.mixture`, and for labels of a table with categories or missing cells."""
    if not (c["phases.consistency.mixture"] or (c.facts.mixed and c["phases.semi_supervised.linear"])):
        return None
    return Choice(min(c[key], 500), "what guides the training is fitted before it, and 1500 steps change nothing")


@RULES.limit("train.batch_size", "phases.style.batch_size", firm=True)
def _batch_size(c: Draft, key: str) -> Choice | None:
    """at most a quarter of the rows."""
    most = max(2, c.facts.rows // 4)
    return Choice(min(c[key], most), f"{c[key]} would make fewer than 4 batches of {c.facts.rows} rows", told=True)


@RULES.limit("train.batch_size")
def _small_batches(c: Draft, key: str) -> Choice | None:
    """at most 100 for labels of images in colour."""
    # Accuracy as in rules.py, by rows in a batch beside 100 labelled ones: at a learning rate of 0.001, 250 50.6 % and 100
    # 51.9 %; at one of 0.002, 100 54.3 % and 50 53.8 %.
    if not c.facts.photos or c["phases.semi_supervised"] is None:
        return None
    return Choice(min(c[key], 100), "labelled rows are seen more often beside fewer others")


@RULES.limit("train.epochs", firm=True)
def _epochs(c: Draft, key: str) -> Choice | None:
    """as many as give `train.min_steps` steps."""
    steps = _steps_per_epoch(c)
    least = -(-c["train.min_steps"] // steps)
    why = f"{c.facts.rows} rows give {counted(steps, 'step')} an epoch, and at least {c['train.min_steps']} steps are wanted"
    return Choice(max(c[key], least), why, told=True)


@RULES.limit("phases.pretraining.part")
def _pretraining_part(c: Draft, key: str) -> Choice | None:
    """as much as gives 1500 steps."""
    share = 1500 / (c["train.epochs"] * _steps_per_epoch(c))
    return Choice(min(c[key], max(0.001, round(share, 3))), "the code is learned in 1500 steps") if share < 1 else None


def _steps_per_epoch(c: Draft) -> int:
    return max(1, c.facts.rows // c["train.batch_size"])


@RULES.auto("phases.style.length")
def _style_length(c: Draft, key: str) -> Choice:
    """0.8 for at most 10,000 rows, 1 for at most 100,000, else 0.35."""
    # Fréchet distance of samples of 60,000 digits in a classifier's features: 122 after 10 epochs, 80 after 25.
    if c.facts.rows <= 10_000:
        return Choice(0.8, "few rows need about 3000 steps until samples are clear")
    if c.facts.rows <= 100_000:
        return Choice(1.0, "as many epochs as for y")
    return Choice(0.35, "many rows are seen often enough")


@RULES.auto("encoder.hidden", "decoder.hidden")
def _hidden(c: Draft, key: str) -> Choice:
    """two layers: 256 units for images, 512 if training shows more than a million and for a decoder of content and style
    (`phases.style`, or `decoder.input=label`), 1000 if it shows more than two millions; for tables as many as the limit
    below allows."""
    if c.facts.table:
        return Choice(_cut(c, (1000, 1000)), f"{c.facts.features} columns need no wider layers")
    shown = c.facts.rows * c["train.epochs"]
    draws = c["phases.style"] is not None or c["decoder.input"] == "label"
    if shown <= 2e6 and key == "decoder.hidden" and draws:
        return Choice((512, 512), "what is drawn needs more units than what is recognised")
    units = 256 if shown <= 1e6 else 512 if shown <= 2e6 else 1000
    return Choice((units, units), f"training shows {shown:,} images, and wider layers need more")


@RULES.auto("phases.style.hidden")
def _style_hidden(c: Draft, key: str) -> Choice:
    """those of `encoder.hidden`."""
    return Choice(c["encoder.hidden"], "as wide as the layers of y")


@RULES.limit("encoder.hidden", "decoder.hidden", "adversaries.y.hidden", "adversaries.z.hidden")
def _widths(c: Draft, key: str) -> Choice | None:
    """for tables at most 2 units a column, or 64 where that is more; where labels are learned 4 a column, or 256."""
    return (
        Choice(_cut(c, c[key]), f"{c.facts.features} columns need no wider layers", told=True)
        if c.facts.table
        else None
    )


def _cut(c: Draft, hidden: tuple[int, ...]) -> tuple[int, ...]:
    """Widths of the layers for a table, none of them wider than its columns need."""
    labels = c["phases.semi_supervised"] is not None
    most = max(256, 4 * c.facts.features) if labels else max(64, 2 * c.facts.features)
    return tuple(min(width, most) for width in hidden)


@RULES.limit("encoder.hidden")
def _layers(c: Draft, key: str) -> Choice | None:
    """two layers for a map of neighbours without `phases.pretraining`."""
    if c["phases.neighbour_embedding"] is None or c["phases.pretraining"] is not None or c["code.y"] is not None:
        return None
    return Choice(tuple(c[key][:2]), "the layers beyond are for codes of a first stage")
