"""What is printed on coupons: read back however it is typed, mistakes told from forgeries."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tepat_distribution import coupon
from tepat_distribution.coupon import Forged, Mistyped

KEY = coupon.key(bytes(32))
LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

places = st.integers(1, coupon.MOST_PLACES)
rounds = st.text(min_size=1, max_size=20)
cells = st.integers(0, 15)


def bare(told: str) -> str:
    return told.replace("-", "")


@given(rounds, places)
def test_a_code_is_read_back_however_it_is_typed(round_: str, place: int) -> None:
    told = coupon.code(KEY, round_, place)
    assert [len(part) for part in told.split("-")] == [4, 4, 4, 4]
    for typed in (told, told.lower(), bare(told), f" {told.replace('-', ' ')} ", told.replace("0", "o"),
                  told.replace("1", "l"), told.replace("1", "I")):  # fmt: skip
        assert coupon.place_of(KEY, round_, typed) == place


@given(rounds, places, cells, st.sampled_from(LETTERS))
def test_a_letter_mistyped_is_told_as_such(round_: str, place: int, at: int, letter: str) -> None:
    told = bare(coupon.code(KEY, round_, place))
    typed = told[:at] + letter + told[at + 1 :]
    if typed != told:
        with pytest.raises(Mistyped):
            coupon.place_of(KEY, round_, typed)


@given(rounds, places, cells, cells)
def test_letters_that_changed_places_are_told_as_mistyped(round_: str, place: int, one: int, other: int) -> None:
    letters = list(bare(coupon.code(KEY, round_, place)))
    letters[one], letters[other] = letters[other], letters[one]
    if (typed := "".join(letters)) != bare(coupon.code(KEY, round_, place)):
        with pytest.raises(Mistyped):
            coupon.place_of(KEY, round_, typed)


@given(rounds, places, st.text(LETTERS, min_size=9, max_size=9))
def test_what_was_not_signed_for_the_round_is_forged(round_: str, place: int, signed: str) -> None:
    right = coupon.code(KEY, round_, place)
    other = coupon.code(coupon.key(bytes(range(32))), round_, place)
    for forged in (other, coupon.code(KEY, f"{round_}!", place)):
        if forged != right:
            with pytest.raises(Forged):
                coupon.place_of(KEY, round_, forged)
    told = bare(right)[:5] + signed
    number = 0
    for letter in told:
        number = number * 32 + LETTERS.index(letter)
    guessed = told + LETTERS[number % 1021 // 32] + LETTERS[number % 1021 % 32]  # whoever knows how it is checked
    if guessed != bare(right):
        with pytest.raises(Forged):
            coupon.place_of(KEY, round_, guessed)


@pytest.mark.parametrize(
    "typed", ["", "0001", "UUUU-UUUU-UUUU-UUUU", "3374010101200001", "0001-K7QZ-0000-00000", "é" * 16]
)
def test_what_no_coupon_looks_like_is_mistyped(typed: str) -> None:
    with pytest.raises(Mistyped):
        coupon.place_of(KEY, "2026-W10", typed)
