"""How numbers, rows and names are written for people."""

from aae_cli.text import counted, row_name


def test_a_number_agrees_with_its_noun():
    assert [counted(n, "row") for n in (0, 1, 2)] == ["0 rows", "1 row", "2 rows"]
    assert counted(3, "class") == "3 classes"
    assert [counted(n, "category") for n in (1, 2)] == ["1 category", "2 categories"]


def test_rows_count_from_0_as_ids_do():
    assert row_name(0) == "row 0 (counted from 0)"
