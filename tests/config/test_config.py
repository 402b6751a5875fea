"""Config layers, validation and what is said of mistakes."""

import pytest

from aae_cli.config.presets import preset_names, read_preset
from aae_cli.config.resolve import resolve, to_yaml
from aae_cli.config.sections import Config
from aae_cli.errors import UsageError

OURS = [
    *("gaussian", "mixture", "swiss-roll", "mixture-labels", "swiss-roll-labels", "likelihood", "supervised"),
    *("semi-supervised", "clustering", "dim-reduction", "dim-reduction-labels", "dim-reduction-10d"),
    *("svhn-supervised", "svhn-semi-supervised", "tfd-likelihood"),
]


def said(*args, **kwargs) -> str:
    with pytest.raises(UsageError) as caught:
        resolve(*args, **kwargs)
    return str(caught.value)


def test_every_variant_has_our_preset_and_the_papers():
    assert set(preset_names()) == {*OURS, "quick", "table", "dim-reduction-heads", *(f"paper/{name}" for name in OURS)}


@pytest.mark.parametrize("name", preset_names())
def test_presets_say_what_they_are(name):
    config = resolve(name)
    assert config.about.summary
    assert config.about.section
    if name.startswith("paper/"):
        assert config.phases.schedule == "alternating"
        assert config.train.init_std == 0.01
        assert config.phases.reconstruction.optimizer.name == "sgd"
    elif name not in ("tfd-likelihood", "svhn-supervised", "svhn-semi-supervised"):
        assert config.about.minutes <= 5.5


def test_the_papers_numbers_are_in_its_presets():
    semi, clustering = resolve("paper/semi-supervised"), resolve("paper/clustering")
    assert semi.encoder.noise == 0.3
    assert semi.train.lr_drops == (50, 1000)
    assert (semi.phases.reconstruction.optimizer.lr, semi.phases.reconstruction.optimizer.momentum) == (0.01, 0.9)
    assert (semi.phases.regularisation.optimizer.lr, semi.phases.regularisation.optimizer.momentum) == (0.1, 0.1)
    assert clustering.code.y.batch_norm
    assert clustering.encoder.dropout == 0.2
    assert clustering.code.y.classes == 30
    assert resolve("paper/likelihood").adversaries.z.prior.std == 5.0
    assert resolve("paper/dim-reduction-10d").decoder.heads.learned is False


def test_layers_go_preset_then_set_then_flag(tmp_path):
    preset = tmp_path / "mine.yaml"
    preset.write_text("train: {epochs: 1, batch_size: 10, seed: 1}\n")
    config = resolve(str(preset), ["train.batch_size=20", "train.seed=2"], {"train.seed": 3, "train.epochs": None})
    assert (config.train.epochs, config.train.batch_size, config.train.seed) == (1, 20, 3)


def test_a_resolved_config_reads_back(tmp_path):
    config = resolve("clustering", ["train.init_std=1e-2"])
    assert config.train.init_std == 0.01
    again = tmp_path / "again.yaml"
    again.write_text(to_yaml(config))
    assert resolve(str(again)) == config


@pytest.mark.parametrize(
    ("setting", "parts"),
    [
        ("train.epoch=3", ["train.epoch", "did you mean epochs"]),
        ("adversaries.z.wieght=1", ["adversaries.z.wieght", "did you mean weight"]),
        ("train.epochs=many", ["train.epochs", "integer"]),
        ("train.epochs=-1", ["train.epochs", "greater than or equal to 1"]),
        ("encoder.hidden=[0]", ["encoder.hidden"]),
        ("phases.reconstruction.optimizer.lr=.nan", ["phases.reconstruction.optimizer.lr"]),
        ("code.y=null", ["needs code.y"]),
        ("data.labels=some", ["data.labels", "20%"]),
        ("adversaries.z.prior.name=mixture", ["2-D", "code.z.dims=2"]),
        ("adversaries.z.prior.name=categorical", ["categorical"]),
        ("decoder.input=label", ["section 4"]),
        ("train=3", ["train"]),
        ("train.epochs", ["KEY=VALUE"]),
        ("train.epochs=[1", ["YAML"]),
    ],
)
def test_mistakes_are_named_with_their_key_path(setting, parts):
    text = said("clustering", [setting])
    for part in parts:
        assert part in text
    assert "\n" not in text


def test_unknown_presets_get_a_suggestion():
    assert "did you mean clustering" in said("clusterin")
    assert "no preset file" in said("nowhere.yaml")


@pytest.mark.parametrize(
    "text",
    [
        "a: !!python/object/apply:os.system [id]\n",
        "[1, 2]",
        "",
        "a: &x [1]\nb: *x\n",
        "train: {epochs: 1",
        "a: " + "[" * 5000 + "]" * 5000,
        "x: " + "y" * 100_000,
        "train: {seed: 99999999999999999999}",
        "? [a, b]\n: c\n",
        "\x00",
    ],
)
def test_hostile_yaml_is_refused_in_one_line(tmp_path, text):
    file = tmp_path / "bad.yaml"
    file.write_text(text)
    assert "bad.yaml" in said(str(file))


def test_unreadable_presets(tmp_path):
    file = tmp_path / "latin.yaml"
    file.write_bytes(b"# caf\xe9\n")
    assert "latin.yaml" in said(str(file))


def test_contradictions_name_both_sides():
    assert "data.labels" in said({"code": {"y": {}}, "phases": {"semi_supervised": {}}})
    assert "joint" in said(
        {"data": {"labels": "all"}, "code": {"y": {}}, "phases": {"semi_supervised": {"optimizer": {"lr": 1}}}}
    )
    fixed = {
        "code": {"y": {"classes": 5}, "z": {"dims": 2}},
        "decoder": {"input": "heads", "heads": {"learned": False}},
    }
    assert "code.z.dims" in said(fixed)


def test_config_is_frozen():
    with pytest.raises(ValueError, match="frozen"):
        Config().train = None


def test_presets_are_plain_mappings():
    assert read_preset("quick")["train"]["epochs"] == resolve("quick").train.epochs


def test_a_key_that_is_there_twice_is_named_with_its_line(tmp_path):
    file = tmp_path / "twice.yaml"
    file.write_text("train:\n  epochs: 1\n  seed: 2\n  epochs: 3\n")
    assert "line 2" in said(str(file)) and "the key epochs is there twice" in said(str(file))
