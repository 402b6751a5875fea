"""The list of mutants fits the code; ``python tests/mutants.py`` runs them."""

from functools import cache

import pytest
from mutants import MUTANTS, ROOT, Mutant


@cache
def text_of(file: str) -> str:
    return (ROOT / file).read_text(encoding="utf-8")


@pytest.mark.parametrize("mutant", MUTANTS, ids=str)
def test_a_mutant_changes_one_place_and_names_tests_that_exist(mutant: Mutant) -> None:
    assert text_of(mutant.file).count(mutant.old) == 1
    assert mutant.new != mutant.old
    compile(text_of(mutant.file).replace(mutant.old, mutant.new), mutant.file, "exec")
    assert mutant.tests
    for test in mutant.tests.split():
        file, _, name = test.partition("::")
        assert not name or f"def {name}(" in text_of(file)


def test_mutants_are_many_and_distinct() -> None:
    assert len(MUTANTS) >= 40
    assert len({(mutant.file, mutant.old, mutant.new) for mutant in MUTANTS}) == len(MUTANTS)
