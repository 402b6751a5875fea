"""Which stages a training has, and what each of them sees of the rows."""

import pytest

from aae_cli.config.auto import adapt
from aae_cli.config.draft import Facts
from aae_cli.config.resolve import resolve
from aae_cli.data.types import Schema
from aae_cli.training.timeline import Timeline

DIGIT = Schema("image", (1, 28, 28), 0.0, 255.0, classes=tuple("0123456789"))
PHOTO = Schema("image", (3, 32, 32), 0.0, 255.0, classes=tuple("0123456789"))


@pytest.mark.parametrize("schema, mirrored", [(DIGIT, False), (PHOTO, True)])
def test_what_is_drawn_is_at_most_mirrored(schema, mirrored):
    config = adapt(resolve("clustering"), Facts.of(schema, 5000)).config
    *before, style = Timeline.of(config, 5000).stages
    assert style.kind == "style" and not any(plan.config.augment.rows for plan in before)
    augment = style.config.augment
    assert augment.rows == augment.flip == mirrored
    distorted = (augment.shift, augment.rotation, augment.scale, augment.shear, augment.elastic, augment.crop)
    assert distorted == (0,) * 6 and not augment.colour
    supervised = adapt(resolve("supervised", flags={"data.labels": "all"}), Facts.of(schema, 5000, 5000)).config.augment
    assert supervised.rows == supervised.flip == mirrored and not supervised.shift
