"""The model card and the table of metrics: numbers with their meaning, and commands to go on with."""

from aae_cli.output.card import card, metrics_table


def test_a_card_explains_its_numbers_and_shows_commands():
    text = card(
        "t",
        "A summary.",
        {"data": "a|b"},
        {"m": 51.7},
        {"m": (40.04, 60.06)},
        {"m": "% of rows"},
        [("aae info -c r", "what it is")],
    )
    assert "| m | 51.7 (40–60.1) | % of rows |" in text
    assert "95 % confidence" in text
    assert "| data | a\\|b |" in text
    assert "```sh\n# what it is\naae info -c r\n```" in text


def test_a_value_without_a_meaning_is_printed_too():
    assert metrics_table({"m": 1.0, "n": 2.0}, {}, {"m": "of rows"}).splitlines()[1].split() == ["n", "2"]
