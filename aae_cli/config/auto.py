"""How every `auto` of a config is decided for one data set, and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..data.types import Schema
from ..errors import DataError
from .checks import map_without_labels
from .resolve import validate
from .sections import Config

TABLE_WIDTH_PER_FEATURE, TABLE_WIDTH_LEAST = 4, 256
TABLE_RESTARTS, TABLE_RESTART_ROWS = 5, 10_000
HEADS, ROWS_A_HEAD = 20, 30
BATCHES_PER_EPOCH_LEAST = 4
FINE_LEAST = 30  # clusters before they are merged: a few would each join rows of several classes
ROWS_A_FINE = 60  # on average, in each of them
LINEAR_SHARE = 0.75  # of a linear classifier in what a table's consistency term teaches
MERGED_TOGETHER = 2048  # fine clusters of all restarts, at most: that takes seconds
NEIGHBOUR_WEIGHT = 3.0  # of the embedding of a table's neighbours in a map
# Of a map without heads: the prior's std (neighbours are told apart at distances around 1), and the adversary's weight.
MAP_STD, MAP_WEIGHT = 3.0, 0.1


@dataclass(frozen=True)
class Adapted:
    """A config with every ``auto`` decided for one data set, and what a person should know about it."""

    config: Config
    notes: tuple[str, ...]


def adapt(config: Config, schema: Schema, rows: int, labelled: bool, used: int | None = None) -> Adapted:
    """Make a preset fit the data: widths, classes, output, scaling, batch size and number of epochs.

    Args:
        rows: number of training rows.
        labelled: whether the data has labels.
        used: how many rows' labels the training may use; None = all.

    Raises:
        DataError: the config needs labels and there are none, or too few rows.
    """
    notes: list[str] = []
    config, alone = _decide_heads(config, schema)
    if alone:
        notes.append("a table's map has no cluster heads: near rows lie near each other (train with -k N for heads)")
    values: dict[str, Any] = config.model_dump()
    if rows < 2:
        raise DataError(f"there are {rows} rows to train on", "at least 2 are needed")
    if config.uses_labels and not labelled:
        raise DataError(
            "this preset needs labels and the data has none",
            "name the column with --label-column, or try --preset clustering or dim-reduction",
        )
    classes = len(schema.classes or ())
    if config.uses_labels and classes < 2:
        raise DataError(f"the labels name {classes} class", "at least 2 are needed")
    y = values["code"]["y"]
    if y is not None and y["classes"] == "auto":
        y["classes"] = min(HEADS, max(2, rows // ROWS_A_HEAD)) if map_without_labels(config) else classes
    if y is not None and y["sizes"] == "auto":
        y["sizes"] = "found" if schema.kind == "table" else "equal"
    if y is not None and y["overcluster"] > 1:
        fine = max(FINE_LEAST, min(y["overcluster"] * y["classes"], rows // ROWS_A_FINE))
        y["overcluster"] = max(min(3, y["overcluster"]), -(-fine // y["classes"]))
    if y is not None and config.phases.semi_supervised is not None and y["classes"] < classes:
        raise DataError(f"the data has {classes} classes and code.y.classes is {y['classes']}", "leave it at auto")
    if config.decoder.input == "heads" and not config.decoder.heads.learned:
        values["code"]["z"]["dims"] = max(values["code"]["z"]["dims"], y["classes"])
    for adversary in values["adversaries"].values():
        if adversary and adversary["prior"]["components"] == "auto":
            adversary["prior"]["components"] = classes if adversary["labels"] else 10
    if values["data"]["scaling"] == "auto":
        values["data"]["scaling"] = "unit" if schema.kind == "image" else "standard"
    if schema.kind == "table" and values["data"]["scaling"] == "unit":
        values["data"]["scaling"] = "standard"
        notes.append("columns are standardised: a table has no pixel range")
    if values["phases"]["reconstruction"]["weight"] == "auto":
        values["phases"]["reconstruction"]["weight"] = 1.0 if schema.kind == "table" else 0.003
    if values["encoder"]["dropout"] == "auto":
        values["encoder"]["dropout"] = 0.0 if schema.kind == "table" else 0.2
    if values["augment"]["noise"] == "auto":
        values["augment"]["noise"] = min(1.0, schema.size**0.5 / 4)
    semi = values["phases"]["semi_supervised"]
    used = rows if used is None else used
    if semi is not None and semi["weight"] == "auto":
        semi["weight"] = 0.2 if schema.kind == "table" else round(0.2 + 2 * used / rows, 6)
    if semi is not None and semi["linear"] == "auto":
        semi["linear"] = LINEAR_SHARE if schema.kind == "table" and config.phases.consistency else 0.0
    if semi is not None and semi["batch_size"] == "auto":
        semi["batch_size"] = 100 * max(1, min(round(used / 10_000), 2 * config.train.batch_size // 100))
    near = values["phases"]["neighbour_embedding"]
    if near is not None and near["weight"] == "auto":
        near["weight"] = NEIGHBOUR_WEIGHT if schema.kind == "table" else 0.0
    bounded = values["data"]["scaling"] == "unit"
    if values["decoder"]["output"] == "auto" or (values["decoder"]["output"] == "sigmoid" and not bounded):
        values["decoder"]["output"] = "sigmoid" if bounded else "linear"
    if schema.kind == "table":
        most = max(TABLE_WIDTH_LEAST, TABLE_WIDTH_PER_FEATURE * schema.size)
        bodies = [values["encoder"], values["decoder"], *filter(None, values["adversaries"].values())]
        if any(width > most for body in bodies for width in body["hidden"]):
            notes.append(f"hidden layers narrowed to {most} units for {schema.size} columns")
            for body in bodies:
                body["hidden"] = [min(width, most) for width in body["hidden"]]
        if needs_view(config):
            notes.append(
                "views of a row lie between it and near rows, with noise: image augmentation is off for tables"
            )
        if semi is not None and semi["linear"]:
            notes.append(f"a linear classifier of the labelled rows has a {semi['linear']:.0%} say in what views teach")
    if values["train"]["restarts"] == "auto":
        several = alone or (y is not None and y["overcluster"] > 1)
        again = schema.kind == "table" and rows <= TABLE_RESTART_ROWS and several
        values["train"]["restarts"] = TABLE_RESTARTS if again else 1
        if again:
            how = "one is kept" if alone else "they teach each other, and one is kept"
            notes.append(f"{TABLE_RESTARTS} models at once, as {rows} rows are quick: {how}")
    if values["train"]["merge_at"] == "auto":
        early = semi is not None and used > rows / 2
        # What restarts found together is good as it is; heads, though, are learned after the merging.
        together = semi is None and ensemble_size(validate(values, "the adapted preset")) > 1
        late = schema.kind == "table" and together and config.decoder.input != "heads"
        values["train"]["merge_at"] = 0.2 if early else 0.8 if late else 0.5
    batch_size = min(config.train.batch_size, max(2, rows // BATCHES_PER_EPOCH_LEAST))
    if batch_size < config.train.batch_size:
        notes.append(f"batch size {batch_size} instead of {config.train.batch_size} for {rows} rows")
    steps = max(1, rows // batch_size)
    epochs = max(config.train.epochs, -(-config.train.min_steps // steps))
    if epochs > config.train.epochs:
        notes.append(f"{epochs} epochs instead of {config.train.epochs}, so that {rows} rows give enough steps")
    values["train"] |= {"batch_size": batch_size, "epochs": epochs, "min_steps": 0}
    return Adapted(validate(values, "the adapted preset"), tuple(notes))


def _decide_heads(config: Config, schema: Schema) -> tuple[Config, bool]:
    """A config without ``auto`` in ``decoder.input`` and adversaries, and whether that left z alone, without y."""
    auto = config.decoder.input == "auto"
    values, y = config.model_dump(), config.code.y
    alone = auto and schema.kind == "table" and map_without_labels(config) and y is not None and y.classes == "auto"
    if auto:
        values["decoder"]["input"] = "concat" if alone else "heads"
    if alone:
        values["code"]["y"] = values["adversaries"]["y"] = None
        values["phases"] |= {"consistency": None, "information": None}
    for adversary in filter(None, values["adversaries"].values()):
        adversary["apart"] = adversary["apart"] and not alone
        if adversary["prior"]["std"] == "auto":
            adversary["prior"]["std"] = MAP_STD if alone else 1.0
        if adversary["weight"] == "auto":
            adversary["weight"] = MAP_WEIGHT if alone else 1.0
    return validate(values, "the adapted preset"), alone


def needs_view(config: Config) -> bool:
    p = config.phases
    return p.consistency is not None or (p.neighbour_embedding is not None and p.neighbour_embedding.weight != 0)


def ensemble_size(config: Config) -> int:
    """How many models teach each other in a stage of an adapted config: a seed's restarts, where categories agree.

    They do where labels name them, or where the clusters of all restarts were merged together.
    """
    y, consistency, restarts = config.code.y, config.phases.consistency, int(config.train.restarts)
    if y is None or consistency is None or not consistency.ensemble:
        return 1
    fine = restarts * int(y.classes) * y.overcluster
    together = y.overcluster > 1 and fine <= MERGED_TOGETHER
    return restarts if config.phases.semi_supervised is not None or together else 1
