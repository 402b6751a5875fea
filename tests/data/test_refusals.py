"""Labels that are a quantity are refused; classes that are numbers are not."""

import numpy as np
import pytest

from aae_cli.data.refusals import refuse_numbers
from aae_cli.data.types import Data, Schema
from aae_cli.errors import DataError


def rows(classes: int, each: int, prefix: str = "") -> Data:
    labels = np.repeat(np.arange(classes), each)
    schema = Schema("table", (1,), columns=("a",), classes=tuple(f"{prefix}{i}" for i in range(classes)))
    return Data(np.zeros((len(labels), 1), np.float32), schema, labels, name="rows")


def test_numbers_of_few_rows_each_are_no_classes():
    with pytest.raises(DataError, match="'price' holds 3181 different numbers"):
        refuse_numbers(rows(3181, 1), 100, "price")
    with pytest.raises(DataError, match=r"'label' holds 200 different numbers.*--labels 200 uses"):
        refuse_numbers(rows(200, 5), 100, None)
    with pytest.raises(DataError, match="not numbers"):
        refuse_numbers(rows(200, 1, "-"), "all", None)


@pytest.mark.parametrize(
    ("data", "wanted"),
    [
        (rows(10, 1), 5),
        (rows(200, 5), "all"),
        (rows(200, 5), 200),
        (rows(200, 1, "person "), 100),
        (rows(200, 1), "none"),
    ],
)
def test_classes_may_be_numbers(data, wanted):
    refuse_numbers(data, wanted, None)
