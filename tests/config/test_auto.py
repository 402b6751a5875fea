"""What the rules decide, what limits cut, and that a person's own values stay."""

from dataclasses import replace

import pytest
import yaml
from pydantic import BaseModel

from aae_cli.config.auto import RULES, adapt, ensemble_size, rules_of
from aae_cli.config.draft import Facts
from aae_cli.config.presets import preset_path
from aae_cli.config.resolve import resolve, resolve_given, to_commented_yaml, to_yaml
from aae_cli.config.sections import Config
from aae_cli.data.types import Schema
from aae_cli.errors import DataError, UsageError


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


def test_a_table_is_standardised_and_an_image_is_not():
    image, table = Schema("image", (1, 4, 4), 0.0, 1.0), Schema("table", (4,), integer=(False,) * 4)
    for preset in ("gaussian", "clustering"):
        data = [adapt(resolve(preset), Facts.of(s, 100)).config.data.scaling for s in (image, table)]
        assert data == ["unit", "standard"]


def test_data_that_cannot_be_trained_on_is_refused():
    three, one = (Schema("image", (1, 4, 4), 0.0, 1.0, classes=("a", "b", "c")[:count]) for count in (3, 1))
    none = Schema("image", (1, 4, 4), 0.0, 1.0)
    for preset, settings, facts, words in (
        ("gaussian", (), Facts.of(none, 1), "only 1 row to train on; at least 2"),
        ("semi-supervised", (), Facts.of(one, 100, 100), "the labels name 1 class; at least 2"),
        ("semi-supervised", (), Facts.of(none, 100), "needs labels and the data has none"),
        ("semi-supervised", (), Facts.of(three, 100, 0), "needs labels and the data has none"),
        ("semi-supervised", ("code.y.classes=2",), Facts.of(three, 100, 50), "3 classes and code.y.classes is 2"),
    ):
        with pytest.raises(DataError, match=words):
            adapt(resolve(preset, settings), facts)


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
    assert [adapted("semi-supervised", schema).code.y.sizes for schema in (image, table)] == ["found", "found"]
    assert [adapted("semi-supervised", schema).phases.semi_supervised.linear for schema in (image, table)] == [0, 0.75]
    assert adapted("semi-supervised", table).phases.semi_supervised.weight == 0.2
    maps = [adapted("dim-reduction-heads", schema) for schema in (image, table)]
    assert [one.encoder.dropout for one in maps] == [0.2, 0]
    y = adapted("semi-supervised", table).code.y
    assert (y.classes, y.overcluster) == (3, 10)  # at least 30 fine clusters
    assert adapted("clustering", table).code.y.overcluster == 3
    ten = Schema("image", (1, 4, 4), 0.0, 1.0, classes=tuple("0123456789"))
    fine = [
        adapt(
            resolve("semi-supervised", ["phases.pretraining=null"]), Facts.of(ten, rows, 100)
        ).config.code.y.overcluster
        for rows in (200, 3000, 50_000)
    ]
    assert fine == [3, 5, 10]


def test_a_table_with_categories_is_guided_by_what_is_fitted_before_training():
    facts = Facts("table", 8, 3, 400, 0, mixed=True)
    clusters = adapt(resolve("clustering", ["code.y.classes=4"]), facts).config
    assert (clusters.phases.consistency.mixture, clusters.data.category_weight) == (0.75, 0.25)
    assert (clusters.code.y.overcluster, clusters.train.restarts, clusters.finds_sizes) == (1, 1, True)
    assert clusters.train.epochs * (400 // clusters.train.batch_size) == 500
    numbers = adapt(resolve("clustering", ["code.y.classes=4"]), replace(facts, mixed=False)).config
    assert (numbers.phases.consistency.mixture, numbers.data.category_weight) == (0, 1)
    few = adapt(resolve("clustering", ["code.y.classes=4"]), replace(facts, rows=39)).config
    assert few.phases.consistency.mixture == 0 and few.code.y.overcluster > 1
    asked = {"code.y.overcluster"}
    own = adapt(resolve("clustering", ["code.y.classes=4", "code.y.overcluster=3"]), facts, frozenset(asked)).config
    assert (own.phases.consistency.mixture, own.code.y.overcluster) == (0, 3)
    labels = adapt(resolve("semi-supervised", ["data.labels=40"]), replace(facts, labelled=40)).config
    assert (labels.code.y.overcluster, labels.train.restarts, labels.finds_sizes) == (1, 1, True)
    assert (labels.phases.reconstruction.weight, labels.data.category_weight) == (0.1, 1)
    assert labels.train.epochs * (400 // labels.train.batch_size) == 500


def test_maps_of_images_learn_a_code_first():
    table = Schema("table", (4,), integer=(False,) * 4, classes=("a", "b", "c"))
    image = Schema("image", (1, 4, 4), 0.0, 1.0, classes=("a", "b", "c"))
    one, other = (adapt(resolve("dim-reduction"), Facts.of(schema, 5000, 100)).config for schema in (image, table))
    assert one.phases.pretraining.dims == 32 and other.phases.pretraining is None
    assert (one.encoder.hidden, other.encoder.hidden) == ((256, 256, 128, 128), (64, 64))
    assert [c.phases.reconstruction.weight for c in (one, other)] == [0.003, 0.1]
    assert [c.phases.reconstruction.optimizer.lr for c in (one, other)] == [0.005, 0.01]
    assert [c.train.restarts for c in (one, other)] == [1, 1]
    steps = [adapt(resolve("dim-reduction"), Facts.of(s, 1024)).config.train.epochs * 4 for s in (image, table)]
    assert steps == [1752, 1000], "438 epochs of 4 steps are at least 1750"


def test_clusters_of_images_start_from_those_of_a_code():
    image = Facts.of(Schema("image", (1, 4, 4), 0.0, 1.0, classes=("a", "b", "c")), 5000, 100)
    table = Facts.of(Schema("table", (4,), integer=(False,) * 4, classes=("a", "b", "c")), 5000, 100)

    def adapted(preset: str, facts: Facts, *settings: str):
        return adapt(resolve(preset, list(settings)), facts).config

    one, other, plain = (
        adapted("clustering", image),
        adapted("clustering", table),
        adapted("clustering", image, "phases.pretraining=null"),
    )
    assert one.phases.pretraining.part == 0.5 and (other.phases.pretraining, plain.phases.pretraining) == (None, None)
    assert [c.code.y.overcluster for c in (one, other, plain)] == [3, 3, 3]
    assert [c.code.y.sizes for c in (one, other, plain)] == ["found", "found", "equal"]
    assert [c.encoder.dropout for c in (one, other, plain)] == [0, 0.2, 0.2]
    assert [c.phases.regularisation.optimizer.lr for c in (one, other, plain)] == [0.002, 0.0005, 0.0005]
    assert adapted("semi-supervised", image).code.y.overcluster == 3
    assert adapted("clustering", image, "code.y.sizes=equal").code.y.overcluster == 1


@pytest.mark.parametrize(
    ("rows", "asked_for", "epochs", "units"),
    [
        (5000, "auto", 60, 256),
        (20_000, "auto", 60, 512),
        (60_000, "auto", 30, 512),
        (60_000, 60, 60, 1000),
        (4000, 251, 251, 512),
        (4000, 250, 250, 256),
    ],
)
def test_length_and_widths_follow_the_number_of_images(rows, asked_for, epochs, units):
    facts = Facts.of(Schema("image", (1, 4, 4), 0.0, 1.0), rows)
    adapted = adapt(resolve("clustering", ["train.min_steps=0", f"train.epochs={asked_for}"]), facts).config
    assert adapted.train.epochs == epochs
    assert adapted.encoder.hidden == adapted.phases.style.hidden == (units, units)
    assert adapted.decoder.hidden == (max(512, units),) * 2  # it draws, beside a settled y


def test_a_code_is_learned_in_1500_steps():
    facts = [Facts.of(Schema("image", (1, 4, 4), 0.0, 1.0), rows) for rows in (4000, 60_000)]
    part = [adapt(resolve("clustering"), each).config.phases.pretraining.part for each in facts]
    assert part == [0.5, round(1500 / (30 * 240), 3)]


def test_maps_with_heads_have_one_for_thirty_rows():
    table = Schema("table", (4,), integer=(False,) * 4, classes=("a", "b", "c"))
    found = [
        adapt(resolve("dim-reduction-heads"), Facts.of(table, rows)).config.code.y.classes
        for rows in (40, 150, 600, 5000)
    ]
    assert found == [2, 5, 20, 20]
    labelled = adapt(resolve("dim-reduction-labels"), Facts.of(table, 5000, 100)).config
    assert (labelled.decoder.input, labelled.code.y.classes) == ("heads", 3)


# --- what a person asked for ------------------------------------------------------------------------------------------

SMALL_TABLE = Facts.of(Schema("table", (4,), integer=(False,) * 4, classes=("a", "b", "c")), 200, 100)


def asked(preset: str, *settings: str, facts: Facts = SMALL_TABLE):
    config, given = resolve_given(preset, settings)
    return adapt(config, facts, given)


@pytest.mark.parametrize(
    ("preset", "setting", "key", "kept", "cut"),
    [
        ("clustering", "code.y.overcluster=10", "code.y.overcluster", 10, None),
        ("semi-supervised", "encoder.hidden=[512]", "encoder.hidden", (512,), None),
        ("clustering", "train.batch_size=30", "train.batch_size", 30, None),
        ("clustering", "train.batch_size=150", "train.batch_size", 50, "train.batch_size=50: "),
        ("clustering", "decoder.output=sigmoid", "decoder.output", "linear", "decoder.output=linear: "),
        ("clustering", "data.scaling=unit", "data.scaling", "standard", "data.scaling=standard: "),
    ],
)
def test_a_value_that_was_set_is_kept_or_its_cut_is_told(preset, setting, key, kept, cut):
    adapted = asked(preset, setting)
    value = adapted.config
    for name in key.split("."):
        value = getattr(value, name)
    assert value == kept
    told = [note for note in adapted.notes if note.startswith(f"{key}=") or f"{key}," in note.partition("=")[0]]
    assert (len(told) == 0) if cut is None else told[0].startswith(cut)


def test_a_representation_that_is_too_narrow_for_its_fixed_heads_is_refused():
    ten = Facts.of(Schema("image", (1, 4, 4), 0.0, 1.0, classes=tuple("0123456789")), 500, 100)
    assert asked("dim-reduction-10d", facts=ten).config.code.z.dims == 10
    with pytest.raises(UsageError, match=r"code\.y\.classes \(10\) ≤ code\.z\.dims \(3\)"):
        asked("dim-reduction-10d", "code.z.dims=3", facts=ten)
    twelve = Facts.of(Schema("image", (1, 4, 4), 0.0, 1.0, classes=tuple("0123456789ab")), 500, 100)
    assert asked("dim-reduction-10d", facts=twelve).config.code.z.dims == 12


def test_what_is_told_is_what_a_rule_says_and_what_was_asked_for():
    told = {each.key for each in asked("clustering").decisions if each.told}
    assert "train.restarts" in told and "phases.reconstruction.weight" not in told
    asked_for = asked("clustering", "phases.reconstruction.weight=auto").decisions
    assert "phases.reconstruction.weight" in {each.key for each in asked_for if each.told}


def test_all_values_of_a_persons_own_file_are_kept(tmp_path):
    mine = tmp_path / "mine.yaml"
    mine.write_text(
        preset_path("clustering")
        .read_text()
        .replace("overcluster: 3", "overcluster: 7")
        .replace("decoder: {body: auto, hidden: auto}", "decoder: {hidden: [700]}")
    )
    adapted = asked(str(mine)).config
    assert (adapted.code.y.overcluster, adapted.decoder.hidden, adapted.encoder.hidden) == (7, (700,), (64, 64))


def test_adapting_an_adapted_config_changes_nothing(tmp_path):
    """A run is resumed with the config.yaml in its folder."""
    for preset in ("semi-supervised", "clustering", "dim-reduction", "dim-reduction-10d"):
        adapted = asked(preset).config
        (tmp_path / "config.yaml").write_text(to_yaml(adapted))
        again = asked(str(tmp_path / "config.yaml"))
        assert again.config == adapted
        assert again.decisions == ()


def test_decisions_carry_their_reasons():
    adapted = asked("clustering")
    decisions = {decision.key: decision for decision in adapted.decisions}
    weight = decisions["phases.reconstruction.weight"]
    assert (weight.before, weight.value, weight.comment) == ("auto", 1.0, "auto: a sum over 4 columns is small")
    assert decisions["train.batch_size"].comment == "instead of 250: 250 would make fewer than 4 batches of 200 rows"
    text = to_commented_yaml(adapted.config, {key: each.comment for key, each in decisions.items()})
    assert "    weight: 1.0  # auto: a sum over 4 columns is small\n" in text
    assert yaml.safe_load(text) == yaml.safe_load(to_yaml(adapted.config))


def test_every_key_that_may_be_auto_has_a_rule_with_words():
    ruled = {key for rule in RULES for key in rule.keys if not rule.limit}
    sections = [(Config, "")]
    may_be_auto = set()
    for section, path in sections:
        for name, field in section.model_fields.items():
            kinds = [field.annotation, *getattr(field.annotation, "__args__", ())]
            inner = [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)]
            sections += [(kind, f"{path}{name}.") for kind in inner]
            if "auto" in str(field.annotation) and not inner:
                may_be_auto.add(f"{path}{name}")
    assert may_be_auto - ruled == {"train.precision"}  # which the device decides
    assert all(rule.words for rule in RULES)


def test_rules_of_a_preset_are_those_that_it_leaves_open():
    keys = " ".join(keys for keys, _ in rules_of(resolve("dim-reduction")))
    assert "phases.pretraining" in keys and "train.min_steps" in keys and "code.y.classes" not in keys
