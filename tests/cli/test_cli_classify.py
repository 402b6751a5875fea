"""The columns of ``aae classify``."""

import pytest

from aae_cli.cli.classify import probability_columns


@pytest.mark.parametrize(
    ("classes", "columns"),
    [
        (["0", "1"], ["0", "1"]),
        (["label", "spam"], ["p(label)", "spam"]),
        (["id", "prediction", "confidence", "ID"], ["p(id)", "p(prediction)", "p(confidence)", "ID"]),
        (["label", "p(label)"], ["p(p(label))", "p(label)"]),
    ],
)
def test_probabilities_have_columns_of_their_own(classes, columns):
    assert probability_columns(classes) == columns
    assert len({*columns, "id", "label", "prediction", "confidence"}) == len(classes) + 4
