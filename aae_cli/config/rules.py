"""The rules that decide every ``auto``, and the limits on what was asked for; each with its reason.

A rule belongs to one or more keys and gives a value with its reason; its docstring is the rule in words. Rules run in the
order of this file, and each sees what the earlier ones decided. A limit is a rule for a value that the data cannot bear: a
preset's is cut, a person's own is kept, unless the limit is firm.
"""

from __future__ import annotations

from collections.abc import Callable

from ..text import counted
from .checks import map_without_labels
from .draft import Choice, Choose, Draft, Rule
from .phases import Pretraining

MERGED_TOGETHER = 2048
"""The most fine clusters of all restarts that are merged together: spectral clustering of these takes seconds."""

RULES: list[Rule] = []


def _auto(*keys: str) -> Callable[[Choose], Choose]:
    def add(choose: Choose) -> Choose:
        RULES.append(Rule(keys, choose))
        return choose

    return add


def _limit(*keys: str, firm: bool = False) -> Callable[[Choose], Choose]:
    def add(choose: Choose) -> Choose:
        RULES.append(Rule(keys, choose, limit=True, firm=firm))
        return choose

    return add


def ensemble_of(c: Draft) -> int:
    restarts, overcluster = c["train.restarts"], c["code.y.overcluster"]
    if overcluster is None or not c["phases.consistency.ensemble"]:
        return 1
    merged = overcluster > 1 and restarts * c["code.y.classes"] * overcluster <= MERGED_TOGETHER
    return int(restarts) if c["phases.semi_supervised"] is not None or merged else 1


# --- the form of the model --------------------------------------------------------------------------------------------


@_auto("phases.pretraining")
def _pretraining(c: Draft, key: str) -> Choice:
    """for images; not for tables."""
    if c.facts.table:
        return Choice(None, "rows of a table that are near each other are alike")
    return Choice(Pretraining().model_dump(), "near in pixels is not alike, and views say more")


@_auto("code.y.classes")
def _classes(c: Draft, key: str) -> Choice:
    """the number of label classes; for a map without labels 20, but at most one for 30 rows."""
    if map_without_labels(c.config):
        return Choice(min(20, max(2, c.facts.rows // 30)), "20 cluster heads, each with at least 30 rows")
    return Choice(c.facts.classes, "the labels name so many classes")


@_auto("code.y.sizes")
def _sizes(c: Draft, key: str) -> Choice:
    """found for tables and after `phases.pretraining`, equal for other images."""
    if c.facts.table:
        return Choice("found", "the classes of a table are seldom equally large")
    if c["phases.pretraining"] is not None:
        return Choice("found", "clusters of a code are made equally large where that loses little")
    return Choice("equal", "classes of images are mostly equally large")


@_limit("code.y.overcluster")
def _overcluster(c: Draft, key: str) -> Choice | None:
    """as many fine clusters as give each 60 rows, at least 30, at least 3 times `code.y.classes`; after
    `phases.pretraining` at most 3, and 1 for equal sizes without labels."""
    asked, classes = c[key], c["code.y.classes"]
    if asked == 1:
        return None
    if c["phases.pretraining"] is not None:
        if c["phases.semi_supervised"] is None and c["code.y.sizes"] == "equal":
            return Choice(1, "equally large clusters of a code need no merging")
        return Choice(min(3, asked), "the clusters of a code are seldom mixed")
    fine = max(30, min(asked * classes, c.facts.rows // 60))
    least = min(3, asked)
    return Choice(max(least, -(-fine // classes)), "about 60 rows in each fine cluster, and at least 30 of them")


@_limit("code.z.dims")
def _dims(c: Draft, key: str) -> Choice | None:
    """at least `code.y.classes` where W_C is fixed."""
    if c["decoder.input"] != "heads" or c["decoder.heads.learned"]:
        return None
    return Choice(max(c[key], c["code.y.classes"]), "W_C = scale·I has a dimension for each class")


@_auto("adversaries.y.prior.components")
def _categories(c: Draft, key: str) -> Choice:
    """10, which a categorical prior does not use."""
    return Choice(10, "not used by a categorical prior")


@_auto("adversaries.z.prior.components")
def _components(c: Draft, key: str) -> Choice:
    """one a class where the prior is tied to labels, else 10."""
    if c["adversaries.z.labels"]:
        return Choice(c.facts.classes, "one component a class")
    return Choice(10, "ten components, as in the paper")


@_auto("encoder.missing")
def _sees_missing(c: Draft, key: str) -> Choice:
    """true where labels are learned, else false."""
    if c["phases.semi_supervised"] is not None:
        return Choice(True, "that a cell is missing may tell of the class")
    return Choice(False, "what is missing should not shape clusters and maps")


# --- units and losses -------------------------------------------------------------------------------------------------


@_auto("data.scaling")
def _scaling(c: Draft, key: str) -> Choice:
    """unit for images, standard for tables."""
    if c.facts.table:
        return Choice("standard", "columns have units of their own")
    return Choice("unit", "pixels have a known range")


@_limit("data.scaling", firm=True)
def _table_scaling(c: Draft, key: str) -> Choice | None:
    """standard for tables."""
    return Choice("standard", "a table has no pixel range", told=True) if c.facts.table else None


@_auto("phases.reconstruction.weight")
def _reconstruction_weight(c: Draft, key: str) -> Choice:
    """0.003 for images; for tables 1, or 0.1 in a map of neighbours."""
    if c.facts.table and c["phases.neighbour_embedding"] is not None:
        return Choice(0.1, "neighbours shape the map, and a reconstruction from two dimensions is poor")
    if c.facts.table:
        return Choice(1.0, f"a sum over {c.facts.features} columns is small")
    return Choice(0.003, f"a sum over {c.facts.features} pixels is large")


@_auto("phases.reconstruction.optimizer.lr", "phases.semi_supervised.optimizer.lr")
def _learning_rate(c: Draft, key: str) -> Choice:
    """0.005 for images, 0.01 for tables."""
    if c.facts.table:
        return Choice(0.01, "small layers bear large steps")
    return Choice(0.005, "0.01 spoils the code of the first stage")


@_auto("phases.regularisation.optimizer.lr")
def _discriminator_rate(c: Draft, key: str) -> Choice:
    """0.002 after `phases.pretraining`, else 0.0005."""
    if c["phases.pretraining"] is None:
        return Choice(0.0005, "the discriminators learn beside the clusters")
    return Choice(0.002, "the encoder has a start, which the discriminators make up for")


@_auto("encoder.dropout")
def _dropout(c: Draft, key: str) -> Choice:
    """0.2 for images, 0 for tables."""
    if c.facts.table:
        return Choice(0.0, "a table's few columns cannot stand in for each other")
    return Choice(0.2, "neighbouring pixels tell the same")


@_limit("encoder.dropout")
def _no_dropout(c: Draft, key: str) -> Choice | None:
    """0 with `phases.pretraining`."""
    return (
        Choice(0.0, "a code of views is learned from whole pictures") if c["phases.pretraining"] is not None else None
    )


@_auto("phases.semi_supervised.weight")
def _labels_weight(c: Draft, key: str) -> Choice:
    """0.2 for tables; for images 0.2 + 2 · (share of the rows that is labelled)."""
    if c.facts.table:
        return Choice(0.2, "the linear classifier carries most of what labels say")
    share = c.facts.labelled / c.facts.rows
    return Choice(
        round(0.2 + 2 * share, 6), f"{share:.2%} of the rows are labelled, and a handful must not outweigh the rest"
    )


@_auto("phases.semi_supervised.linear")
def _linear(c: Draft, key: str) -> Choice:
    """0.75 for tables, 0 for images."""
    if c.facts.table and c["phases.consistency"] is not None:
        return Choice(
            0.75, "a linear classifier on the labelled rows supplies 75 % of the consistency target", told=True
        )
    return Choice(0.0, "pixels are not classified well by a plane")


@_auto("phases.semi_supervised.batch_size")
def _labelled_batch(c: Draft, key: str) -> Choice:
    """100 for every 10,000 labels, from 100 to twice `train.batch_size`."""
    hundreds = max(1, min(round(c.facts.labelled / 10_000), 2 * c["train.batch_size"] // 100))
    return Choice(100 * hundreds, "100 for every 10,000 labels")


@_auto("decoder.output")
def _output(c: Draft, key: str) -> Choice:
    """sigmoid where `data.scaling` is unit, else linear."""
    if c["data.scaling"] == "unit":
        return Choice("sigmoid", "pixels lie between 0 and 1")
    return Choice("linear", "standardised values have no bounds")


@_limit("decoder.output", firm=True)
def _unbounded_output(c: Draft, key: str) -> Choice | None:
    """linear where `data.scaling` is standard."""
    if c["data.scaling"] == "unit":
        return None
    return Choice("linear", "standardised values have no bounds", told=True)


# --- sizes and lengths ------------------------------------------------------------------------------------------------


@_auto("train.min_steps")
def _min_steps(c: Draft, key: str) -> Choice:
    """2000 for images, 1000 for tables."""
    if c.facts.table:
        return Choice(1000, "a table's rows are learned soon")
    return Choice(2000, "half of them for the code of the first stage")


@_auto("train.epochs")
def _passes(c: Draft, key: str) -> Choice:
    """as many as show 1,800,000 rows, from 10 to 60."""
    return Choice(max(10, min(60, 1_800_000 // c.facts.rows)), "1,800,000 rows shown are enough for good clusters")


@_auto("train.restarts")
def _restarts(c: Draft, key: str) -> Choice:
    """5 for clusters of a table of at most 10,000 rows, else 1."""
    merged = c["code.y.overcluster"] is not None and c["code.y.overcluster"] > 1
    if c.facts.table and c.facts.rows <= 10_000 and merged:
        why = f"{c.facts.rows} rows are quick: several models are trained at once, share their targets, and one is kept"
        return Choice(5, why, told=True)
    return Choice(1, "one model")


@_auto("train.merge_at")
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


@_limit("train.batch_size", firm=True)
def _batch_size(c: Draft, key: str) -> Choice | None:
    """at most a quarter of the rows."""
    most = max(2, c.facts.rows // 4)
    return Choice(min(c[key], most), f"{c[key]} would make fewer than 4 batches of {c.facts.rows} rows", told=True)


@_limit("train.epochs", firm=True)
def _epochs(c: Draft, key: str) -> Choice | None:
    """as many as give `train.min_steps` steps."""
    steps = _steps_per_epoch(c)
    least = -(-c["train.min_steps"] // steps)
    why = f"{c.facts.rows} rows give {counted(steps, 'step')} an epoch, and at least {c['train.min_steps']} steps are wanted"
    return Choice(max(c[key], least), why, told=True)


@_limit("phases.pretraining.part")
def _pretraining_part(c: Draft, key: str) -> Choice | None:
    """as much as gives 1500 steps."""
    share = 1500 / (c["train.epochs"] * _steps_per_epoch(c))
    return Choice(min(c[key], max(0.001, round(share, 3))), "the code is learned in 1500 steps") if share < 1 else None


def _steps_per_epoch(c: Draft) -> int:
    return max(1, c.facts.rows // c["train.batch_size"])


@_auto("encoder.hidden", "decoder.hidden")
def _hidden(c: Draft, key: str) -> Choice:
    """two layers: 256 units for images, 512 if training shows more than a million, 1000 if it shows more than two
    millions; for tables as many as the limit below allows."""
    if c.facts.table:
        return Choice(_cut(c, (1000, 1000)), f"{c.facts.features} columns need no wider layers")
    shown = c.facts.rows * c["train.epochs"]
    units = 256 if shown <= 1e6 else 512 if shown <= 2e6 else 1000
    return Choice((units, units), f"training shows {shown:,} images, and wider layers need more")


@_limit("encoder.hidden", "decoder.hidden", "adversaries.y.hidden", "adversaries.z.hidden")
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


@_limit("encoder.hidden")
def _layers(c: Draft, key: str) -> Choice | None:
    """two layers for a map of neighbours without `phases.pretraining`."""
    if c["phases.neighbour_embedding"] is None or c["phases.pretraining"] is not None or c["code.y"] is not None:
        return None
    return Choice(tuple(c[key][:2]), "the layers beyond are for codes of a first stage")
