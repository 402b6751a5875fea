"""What the rules decide, what limits cut, and that a person's own values stay."""

import pytest

from aae_cli.config.auto import Facts, adapt, ensemble_size
from aae_cli.config.resolve import resolve
from aae_cli.data.types import Schema


def test_epochs_that_a_person_sets_are_not_raised():
    assert resolve("clustering").train.min_steps > 0
    assert resolve("clustering", ["train.epochs=3"]).train.min_steps == 0
    assert resolve("clustering", flags={"train.epochs": 3}).train.min_steps == 0
    assert resolve("clustering", ["train.epochs=3", "train.min_steps=50"]).train.min_steps == 50


def test_a_few_labels_weigh_less_than_many():
    schema = Schema("image", (1, 4, 4), 0.0, 1.0, classes=("a", "b"))
    weights = [
        adapt(resolve("semi-supervised"), Facts.of(schema, 1000, used)).config.phases.semi_supervised.weight
        for used in (10, 100, 1000)
    ]
    assert weights == [0.22, 0.4, 2.2]


def test_reconstruction_weighs_more_on_tables():
    image, table = Schema("image", (1, 4, 4), 0.0, 1.0), Schema("table", (4,), integer=(False,) * 4)
    weights = [
        adapt(resolve("clustering"), Facts.of(s, 100)).config.phases.reconstruction.weight for s in (image, table)
    ]
    assert weights == [0.003, 1.0]


@pytest.mark.parametrize(
    ("used", "batch_size", "merge_at"), [(100, 100, 0.5), (1000, 100, 0.5), (20_000, 200, 0.5), (54_000, 500, 0.2)]
)
def test_many_labels_have_large_batches_and_come_in_early(used, batch_size, merge_at):
    schema = Schema("image", (1, 4, 4), 0.0, 1.0, classes=("a", "b"))
    config = adapt(resolve("semi-supervised"), Facts.of(schema, 54_000, used)).config
    assert config.phases.semi_supervised is not None
    assert (config.phases.semi_supervised.batch_size, config.train.merge_at) == (batch_size, merge_at)
    assert config.train.batch_size == 250


def test_small_tables_are_clustered_several_times_over():
    image = Schema("image", (1, 4, 4), 0.0, 1.0, classes=("a", "b", "c"))
    table = Schema("table", (4,), integer=(False,) * 4, classes=("a", "b", "c"))

    def adapted(preset: str, schema: Schema, rows: int = 200):
        return adapt(resolve(preset), Facts.of(schema, rows, 100)).config

    assert adapted("semi-supervised", table).train.restarts == 5
    assert adapted("semi-supervised", image).train.restarts == 1
    assert adapted("gaussian", table).train.restarts == 1
    assert adapted("semi-supervised", table, 20_000).train.restarts == 1
    assert adapt(resolve("clustering", ["train.restarts=1"]), Facts.of(table, 200)).config.train.restarts == 1
    assert [adapted(name, table).train.merge_at for name in ("clustering", "semi-supervised")] == [0.8, 0.5]
    assert [adapted("clustering", each, 20_000).train.merge_at for each in (image, table)] == [0.5, 0.5]
    many = adapt(resolve("clustering", ["code.y.classes=200"]), Facts.of(table, 5000)).config
    assert [ensemble_size(one) for one in (adapted("clustering", table), many)] == [5, 1]
    apart = adapt(resolve("clustering", ["phases.consistency.ensemble=false"]), Facts.of(table, 200)).config
    assert ensemble_size(apart) == 1
    assert [one.train.merge_at for one in (many, apart)] == [0.5, 0.5]  # each is merged by itself
    assert [adapted("semi-supervised", schema).code.y.sizes for schema in (image, table)] == ["equal", "found"]
    assert [adapted("semi-supervised", schema).phases.semi_supervised.linear for schema in (image, table)] == [0, 0.75]
    assert adapted("semi-supervised", table).phases.semi_supervised.weight == 0.2
    maps = [adapted("dim-reduction", schema) for schema in (image, table)]
    assert [one.phases.neighbour_embedding.weight for one in maps] == [0, 3]
    assert [one.encoder.dropout for one in maps] == [0.2, 0]
    wide = Schema("table", (100,), integer=(False,) * 100)
    assert [adapted("dim-reduction", schema).augment.noise for schema in (table, wide)] == [0.5, 1]
    y = adapted("semi-supervised", table).code.y
    assert (y.classes, y.overcluster) == (3, 10)  # at least 30 fine clusters
    assert adapted("clustering", table).code.y.overcluster == 3
    ten = Schema("image", (1, 4, 4), 0.0, 1.0, classes=tuple("0123456789"))
    assert [adapted("semi-supervised", ten, rows).code.y.overcluster for rows in (200, 3000, 50_000)] == [3, 5, 10]


def test_maps_of_tables_have_heads_only_where_asked_for():
    table = Schema("table", (4,), integer=(False,) * 4, classes=("a", "b", "c"))
    image = Schema("image", (1, 4, 4), 0.0, 1.0, classes=("a", "b", "c"))

    def adapted(schema: Schema, rows: int, *settings: str, preset: str = "dim-reduction"):
        return adapt(resolve(preset, settings), Facts.of(schema, rows, 100)).config

    alone = adapted(table, 5000)
    assert (alone.decoder.input, alone.code.y, alone.adversaries.y) == ("concat", None, None)
    z = alone.adversaries.z
    assert (z.prior.std, z.weight, z.apart) == (3, 0.1, False)
    assert [adapted(table, rows).train.restarts for rows in (5000, 20_000)] == [5, 1]
    heads = [
        adapted(image, 5000),
        adapted(table, 5000, "code.y.classes=12"),
        adapted(table, 150, "decoder.input=heads"),
    ]
    assert [(one.decoder.input, one.code.y.classes) for one in heads] == [("heads", 20), ("heads", 12), ("heads", 5)]
    assert {(z.prior.std, z.weight, z.apart) for z in (one.adversaries.z for one in heads)} == {(1, 1, True)}
    assert heads[1].train.merge_at == 0.5  # heads are learned after the merging
    classes = [adapted(table, rows, "decoder.input=heads").code.y.classes for rows in (40, 150, 600, 5000)]
    assert classes == [2, 5, 20, 20]
    labelled = adapted(table, 5000, preset="dim-reduction-labels")
    assert (labelled.decoder.input, labelled.code.y.classes) == ("heads", 3)
