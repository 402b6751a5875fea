"""The rules that decide every ``auto`` of form, units and losses, and the limits on what was asked for, with reasons.

A rule belongs to one or more keys and gives a value with its reason; its docstring is the rule in words. Rules run in the
order of this file, then of ``lengths.py``, and each sees what the earlier ones decided. A limit is a rule for a value that
the data cannot bear: a preset's is cut, a person's own is kept, unless the limit is firm.
"""

from __future__ import annotations

from .checks import map_without_labels
from .draft import Choice, Draft, Rules
from .phases import Pretraining, Style

RULES = Rules()


# --- the form of the model --------------------------------------------------------------------------------------------


@RULES.auto("phases.pretraining")
def _pretraining(c: Draft, key: str) -> Choice:
    """for images, but not for labels of images in colour; not for tables."""
    if c.facts.table:
        return Choice(None, "rows of a table that are near each other are alike")
    if c.facts.photos and c["phases.semi_supervised"] is not None:
        # Error on 1,000 held-out images of CIFAR-10 without and with a first stage: 49 and 58 % (1,000 labels, 50 epochs),
        # 77 and 79 % (100 labels, 30 epochs), one seed each and the weight of labels at 2.
        return Choice(None, "clusters of photos are seldom classes, and labels say more")
    return Choice(Pretraining().model_dump(), "near in pixels is not alike, and views say more")


@RULES.auto("phases.style")
def _style(c: Draft, key: str) -> Choice:
    """for images with y and z; not for tables."""
    if c.facts.table:
        return Choice(None, "a table's rows are drawn by the preset table")
    if c["code.y"] is None or c["code.z"] is None:
        return Choice(None, "there is no y, or no z, to tell apart")
    return Choice(
        Style().model_dump(), "a style learned beside settled categories gives clearer and more varied samples"
    )


@RULES.auto("encoder.body", "decoder.body")
def _body(c: Draft, key: str) -> Choice:
    """conv for images in colour or of more than 32×32 pixels, else mlp."""
    if c.facts.table:
        return Choice("mlp", "columns have no neighbours")
    if c.facts.photos or c.facts.features > 32 * 32:
        return Choice("conv", "what is near in a picture belongs together", told=True)
    return Choice("mlp", "small grey images need no convolutions, which take more time")


@RULES.limit("encoder.body", "decoder.body", firm=True)
def _dense_table(c: Draft, key: str) -> Choice | None:
    """mlp for tables."""
    return Choice("mlp", "columns have no neighbours", told=True) if c.facts.table else None


@RULES.auto("code.y.classes")
def _classes(c: Draft, key: str) -> Choice:
    """the number of label classes; for a map without labels 20, but at most one for 30 rows."""
    if map_without_labels(c.config):
        return Choice(min(20, max(2, c.facts.rows // 30)), "20 cluster heads, each with at least 30 rows")
    return Choice(c.facts.classes, "the labels name so many classes")


@RULES.auto("code.y.sizes")
def _sizes(c: Draft, key: str) -> Choice:
    """found for tables and after `phases.pretraining`, equal for other images."""
    if c.facts.table:
        return Choice("found", "the classes of a table are seldom equally large")
    if c["phases.pretraining"] is not None:
        return Choice("found", "clusters of a code are made equally large where that loses little")
    return Choice("equal", "classes of images are mostly equally large")


@RULES.auto("phases.consistency.mixture")
def _mixture(c: Draft, key: str) -> Choice:
    """0.75 for clusters of a table with categories or missing cells, of at least ten rows each; 0 where
    `code.y.overcluster` is set."""
    fine = "code.y.overcluster" in c.given and c["code.y.overcluster"] > 1
    if not c.facts.mixed or c["phases.semi_supervised"] is not None or fine:
        return Choice(0.0, "clusters are found by training")
    if c.facts.rows < 10 * c["code.y.classes"]:
        return Choice(0.0, "there are too few rows for a mixture of so many clusters")
    return Choice(
        0.75, "near rows have the same categories, so that clusters of near rows would be categories", told=True
    )


@RULES.limit("code.y.overcluster", firm=True)
def _no_fine_clusters(c: Draft, key: str) -> Choice | None:
    """1 with `phases.consistency.mixture`."""
    return Choice(1, "a Gaussian mixture finds the clusters") if c["phases.consistency.mixture"] else None


@RULES.limit("code.y.overcluster")
def _overcluster(c: Draft, key: str) -> Choice | None:
    """1 for labels of a table with categories or missing cells, or of images in colour; else as many fine clusters as give
    each 60 rows, at least 30, at least 3 times `code.y.classes`; after `phases.pretraining` at most 3, and 1 for equal sizes
    without labels."""
    asked, classes = c[key], c["code.y.classes"]
    if asked == 1:
        return None
    if c.facts.mixed and c["phases.semi_supervised"] is not None:
        return Choice(1, "a linear classifier knows more of the classes than clusters do")
    if c.facts.photos and c["phases.semi_supervised"] is not None:
        return Choice(1, "clusters of photos are seldom classes")
    if c["phases.pretraining"] is not None:
        if c["phases.semi_supervised"] is None and c["code.y.sizes"] == "equal":
            return Choice(1, "equally large clusters of a code need no merging")
        return Choice(min(3, asked), "the clusters of a code are seldom mixed")
    fine = max(30, min(asked * classes, c.facts.rows // 60))
    least = min(3, asked)
    return Choice(max(least, -(-fine // classes)), "about 60 rows in each fine cluster, and at least 30 of them")


@RULES.auto("code.z.dims")
def _style_dims(c: Draft, key: str) -> Choice:
    """5 for tables, 10 for grey images, 32 for images in colour."""
    if c.facts.table:
        return Choice(5, "few columns")
    if c.facts.photos:
        return Choice(32, "photos differ in many ways")
    return Choice(10, "15 dimensions give more varied, but less clear digits")


@RULES.limit("code.z.dims")
def _dims(c: Draft, key: str) -> Choice | None:
    """at least `code.y.classes` where W_C is fixed."""
    if c["decoder.input"] != "heads" or c["decoder.heads.learned"]:
        return None
    return Choice(max(c[key], c["code.y.classes"]), "W_C = scale·I has a dimension for each class")


@RULES.auto("adversaries.y.prior.components")
def _categories(c: Draft, key: str) -> Choice:
    """10, which a categorical prior does not use."""
    return Choice(10, "not used by a categorical prior")


@RULES.auto("adversaries.z.prior.components")
def _components(c: Draft, key: str) -> Choice:
    """one a class where the prior is tied to labels, else 10."""
    if c["adversaries.z.labels"]:
        return Choice(c.facts.classes, "one component a class")
    return Choice(10, "ten components, as in the paper")


@RULES.auto("augment.rows")
def _rows(c: Draft, key: str) -> Choice:
    """true for images in colour, else false."""
    # Reconstruction error of 1,000 held-out images of CIFAR-10 by `supervised` after 30 epochs, without and with mirrored
    # rows: 20.1 and 18.6.
    if c.facts.photos:
        return Choice(True, "mirrored photos keep the decoder from learning single ones by heart")
    return Choice(False, "rows are learned as they are")


@RULES.auto("augment.flip")
def _flip(c: Draft, key: str) -> Choice:
    """true for images in colour, else false."""
    if c.facts.photos:
        return Choice(True, "what a photo shows may face either way")
    return Choice(False, "mirrored digits and letters are others")


@RULES.auto("augment.crop")
def _crop(c: Draft, key: str) -> Choice:
    """0.5 for images in colour, else 0."""
    return (
        Choice(0.5, "a part of a photo shows the same")
        if c.facts.photos
        else Choice(0.0, "a part of a sign is another")
    )


@RULES.auto("augment.colour")
def _colour(c: Draft, key: str) -> Choice:
    """0.4 for images in colour, else 0."""
    return Choice(0.4, "the light changes, what it falls on does not") if c.facts.photos else Choice(0.0, "no colours")


@RULES.limit("augment.rotation", "augment.shear", "augment.elastic")
def _upright(c: Draft, key: str) -> Choice | None:
    """for images in colour at most 5 degrees, 0.1 and 0."""
    most = {"augment.rotation": 5.0, "augment.shear": 0.1, "augment.elastic": 0.0}[key]
    return Choice(min(c[key], most), "photos stand upright and are not bent") if c.facts.photos else None


@RULES.auto("encoder.missing")
def _sees_missing(c: Draft, key: str) -> Choice:
    """true where labels are learned, else false."""
    if c["phases.semi_supervised"] is not None:
        return Choice(True, "that a cell is missing may tell of the class")
    return Choice(False, "what is missing should not shape clusters and maps")


@RULES.auto("data.category_weight")
def _category_weight(c: Draft, key: str) -> Choice:
    """0.25 with `phases.consistency.mixture`, else 1."""
    if c["phases.consistency.mixture"]:
        return Choice(0.25, "categories are clusters of their own, which hide those of all columns together")
    return Choice(1.0, "every column has the same say")


# --- units and losses -------------------------------------------------------------------------------------------------


@RULES.auto("data.scaling")
def _scaling(c: Draft, key: str) -> Choice:
    """unit for images, standard for tables."""
    if c.facts.table:
        return Choice("standard", "columns have units of their own")
    return Choice("unit", "pixels have a known range")


@RULES.limit("data.scaling", firm=True)
def _table_scaling(c: Draft, key: str) -> Choice | None:
    """standard for tables."""
    return Choice("standard", "a table has no pixel range", told=True) if c.facts.table else None


@RULES.auto("phases.reconstruction.weight")
def _reconstruction_weight(c: Draft, key: str) -> Choice:
    """0.003 for images; for tables 1, or 0.1 in a map of neighbours and for labels of a table with categories or missing
    cells."""
    if c.facts.table and c["phases.neighbour_embedding"] is not None:
        return Choice(0.1, "neighbours shape the map, and a reconstruction from two dimensions is poor")
    if c.facts.mixed and c["phases.semi_supervised"] is not None:
        return Choice(0.1, "classes of a table are seldom what distinguishes most of its columns")
    if c.facts.table:
        return Choice(1.0, f"a sum over {c.facts.features} columns is small")
    return Choice(0.003, f"a sum over {c.facts.features} pixels is large")


@RULES.auto("phases.reconstruction.optimizer.lr", "phases.semi_supervised.optimizer.lr")
def _learning_rate(c: Draft, key: str) -> Choice:
    """for labels 0.001, of images in colour 0.002; else 0.005 for images, 0.01 for tables."""
    if c["phases.semi_supervised"] is not None:
        if c.facts.photos:
            return Choice(0.002, "photos are recognised sooner with larger steps")
        return Choice(0.001, "small steps, as a handful of labels is learned soon")
    if c.facts.table:
        return Choice(0.01, "small layers bear large steps")
    return Choice(0.005, "0.01 spoils the code of the first stage")


@RULES.auto("phases.style.optimizer.lr")
def _style_rate(c: Draft, key: str) -> Choice:
    """0.004."""
    # Fréchet distance of samples of mnist-mini in a classifier's features, by rate: 0.002 127, 0.003 107, 0.004 98.
    return Choice(0.004, "with smaller rates samples are less clear after as many steps")


@RULES.limit("phases.consistency.weight")
def _consistency_weight(c: Draft, key: str) -> Choice | None:
    """at most 0.5 for labels of images in colour."""
    # Accuracy on the 8,000 images of CIFAR-10 whose labels are hidden, 1,000 labels and 4 minutes on one thread each, by the
    # weight: 1 54.3 %, 0.5 55.8 %, 0.25 55.5 %. Labels alone, without the other images: 53.0 %.
    if not c.facts.photos or c["phases.semi_supervised"] is None:
        return None
    return Choice(min(c[key], 0.5), "views of photos say little of their classes")


@RULES.auto("phases.regularisation.optimizer.lr")
def _discriminator_rate(c: Draft, key: str) -> Choice:
    """0.002 after `phases.pretraining`, else 0.0005."""
    if c["phases.pretraining"] is None:
        return Choice(0.0005, "the discriminators learn beside the clusters")
    return Choice(0.002, "the encoder has a start, which the discriminators make up for")


@RULES.auto("encoder.dropout")
def _dropout(c: Draft, key: str) -> Choice:
    """0.2 for images, 0 for tables."""
    if c.facts.table:
        return Choice(0.0, "a table's few columns cannot stand in for each other")
    return Choice(0.2, "neighbouring pixels tell the same")


@RULES.limit("encoder.dropout")
def _no_dropout(c: Draft, key: str) -> Choice | None:
    """0 with `phases.pretraining`."""
    return (
        Choice(0.0, "a code of views is learned from whole pictures") if c["phases.pretraining"] is not None else None
    )


@RULES.auto("phases.semi_supervised.weight")
def _labels_weight(c: Draft, key: str) -> Choice:
    """0.2 for tables, 2 for images in colour; for other images 0.2 + 2 · (share of the rows that is labelled)."""
    if c.facts.table:
        return Choice(0.2, "the linear classifier carries most of what labels say")
    if c.facts.photos:
        return Choice(2.0, "views of photos say little of their classes")
    share = c.facts.labelled / c.facts.rows
    return Choice(
        round(0.2 + 2 * share, 6), f"{share:.2%} of the rows are labelled, and a handful must not outweigh the rest"
    )


@RULES.auto("phases.semi_supervised.linear")
def _linear(c: Draft, key: str) -> Choice:
    """0.75 for tables, 0 for images."""
    if c.facts.table and c["phases.consistency"] is not None:
        return Choice(
            0.75, "a linear classifier on the labelled rows supplies 75 % of the consistency target", told=True
        )
    return Choice(0.0, "pixels are not classified well by a plane")


@RULES.auto("phases.semi_supervised.batch_size")
def _labelled_batch(c: Draft, key: str) -> Choice:
    """100 for every 10,000 labels, from 100 to twice `train.batch_size`."""
    hundreds = max(1, min(round(c.facts.labelled / 10_000), 2 * c["train.batch_size"] // 100))
    return Choice(100 * hundreds, "100 for every 10,000 labels")


@RULES.auto("decoder.output")
def _output(c: Draft, key: str) -> Choice:
    """sigmoid where `data.scaling` is unit, else linear."""
    if c["data.scaling"] == "unit":
        return Choice("sigmoid", "pixels lie between 0 and 1")
    return Choice("linear", "standardised values have no bounds")


@RULES.limit("decoder.output", firm=True)
def _unbounded_output(c: Draft, key: str) -> Choice | None:
    """linear where `data.scaling` is standard."""
    if c["data.scaling"] == "unit":
        return None
    return Choice("linear", "standardised values have no bounds", told=True)
