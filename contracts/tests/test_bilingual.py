from hypothesis import given
from hypothesis import strategies as st
from tepat_contracts.bilingual import BETWEEN, both, halves

TEXT = st.text(st.characters(exclude_characters="{}/"), min_size=1)


@given(TEXT, TEXT)
def test_the_halves_of_both_are_the_two(english: str, indonesian: str) -> None:
    assert halves(both((english, indonesian))) == (english, indonesian)


def test_what_is_said_differently_comes_as_a_pair() -> None:
    said = ("it is {state} since {day}", "sudah {state} sejak {day}")
    assert both(said, state=("held", "ditahan"), day=3) == "it is held since 3 / sudah ditahan sejak 3"


def test_of_what_is_not_in_two_languages_both_are_the_whole() -> None:
    for line in ("Not Found", "", "a / b / c", "one" + BETWEEN):
        assert halves(line) == (line, line)
