"""Names in their one form, the levels at which two persons agree, and what the model makes of them."""

import re
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from tepat_registry.linkage import compare, names
from tepat_registry.linkage.compare import FIELDS, Traits, blocks, levels
from tepat_registry.linkage.model import Model, model, probability
from tepat_registry.linkage.names import form

CARD, OTHER_CARD = "card-1", "card-2"


def person(name: str = "Bambang Sutrisno", born: str = "1980-05-17", **told: Any) -> Traits:
    """Who is listed by the city in Kota Semarang, in a register of their day of birth."""
    sex, words = told.get("sex", "L"), form(name)
    day = f"{int(born[8:]) + 40 * (sex == 'P'):02d}{born[5:7]}{born[2:4]}"
    listed = frozenset({(told.get("agency", "dinsos-kota"), told.get("card", CARD))})
    return Traits(
        told.get("nik", f"{told.get('area', '337401')}{day}{told.get('serial', 1):04d}"), words,
        model().rarity(words), born, sex, told.get("region", "33.74.01.1001"), listed,
    )  # fmt: skip


def band(one: Traits, other: Traits) -> str:
    assert levels(one, other) == levels(other, one)
    return model().band(model().weight(levels(one, other)))


# --- names


@pytest.mark.parametrize("written", [
    "Muh. Djoko Soesilo", "MOHAMMAD JOKO SUSILO, S.Pd.", "H. Joko Susilo", "Drs. M. Djoko Susilo", "joko  susilo S.E.",
    "Muhamad Djoko Soesilo",
])  # fmt: skip
def test_one_name_is_one_however_it_is_written(written: str) -> None:
    assert form(written) == ("joko", "susilo")


@pytest.mark.parametrize(("one", "other"), [
    ("Tjahjono", "Cahyono"), ("Achmad", "Akhmad"), ("Moh. Yusuf", "Yusup"), ("Nj. Hartini", "Hartini"),
    ("Abd. Rachman", "Abdul Rahman"), ("Sjarifah", "Syarifah"), ("Dhani", "Dani"),
])  # fmt: skip
def test_names_that_sound_alike_are_one(one: str, other: str) -> None:
    assert form(one) == form(other)


@pytest.mark.parametrize(("one", "other"), [("Sutrisno", "Sutrisna"), ("Budi", "Adi"), ("Siti Aminah", "Aminah")])
def test_names_that_do_not_are_not(one: str, other: str) -> None:
    assert form(one) != form(other)


def test_nobody_is_left_without_a_name() -> None:
    assert form("Muhammad") == form("M.") == ("muhamad",)
    assert form("Ibu Haji") == ("ibu", "haji")
    assert form("阿明") == ("阿明",)


def test_a_name_without_a_name_tells_nobody_apart() -> None:
    for name in ("-", " ", "TANPA NAMA", "Tidak ada.", "xxx", "Orang12 Keluarga3", "Orang 12", "N.N.", "?"):
        assert not names.tells(name), name
    for name in ("Siti", "Ny. Siti", "Muh. Yusuf", "Ani", "李小龙"):
        assert names.tells(name), name
    assert names.form("Orang12 Keluarga3") == ("orang", "12", "keluarga", "3") != names.form("Orang1 Keluarga3")
    assert names.form("Orang 11") != names.form("Orang 1")


@given(st.text(st.sampled_from("abdehijkoHMSTst .,'é阿"), min_size=1))
def test_the_form_of_a_form_is_itself(name: str) -> None:
    assume(not re.search("[bdhjkmst]{3}", name.casefold()))  # no name has such a word
    once = form(name)
    assert once
    if all(word.isascii() for word in once):
        assert form(" ".join(once)) == once or len(once) == 1


# --- levels


@pytest.mark.parametrize(("born", "nik", "level"), [
    ("1980-05-17", "3374017105800001", "the same, NIKs a digit apart of which one is odd"),
    ("1980-05-18", "3374017105800001", "another day, NIKs a digit apart of which one is odd"),
    ("1980-05-17", "3374011705800501", "the same, NIKs a digit apart in serials far apart"),
    ("1980-05-17", "3374021705800001", "the same, NIKs a digit apart in their areas"),
    ("1980-05-17", "3374011705800002", "the same, NIKs of neighbours in a register"),
    ("1980-05-17", "3371031705800007", "the same"),
    ("1980-12-31", "3371033112800007", "the same year, a day unknown"),
    ("1980-05-27", "3371032705800007", "a digit off"),
    ("1981-05-17", "3371031705810007", "a digit off"),
    ("1980-05-02", "3371031705800007", "another day, the same in the NIKs"),
    ("1980-11-02", "3371030211800007", "the same year"),
    ("1975-05-17", "3371031705750007", "the same day of another year"),
    ("1975-11-02", "3371030211750007", "different"),
])  # fmt: skip
def test_days_of_birth_and_niks(born: str, nik: str, level: str) -> None:
    function, words = FIELDS["birth"]
    assert words[function(person(), person(born=born, nik=nik))] == level
    assert words[function(person(born=born, nik=nik), person())] == level


def test_a_day_and_a_month_that_were_swapped() -> None:
    function, words = FIELDS["birth"]
    assert words[function(person(born="1980-05-07"), person(born="1980-07-05"))] == "day and month swapped"
    assert words[function(person(born="1980-01-01"), person(born="1980-01-01", area="337103"))].endswith("for unknown")


@pytest.mark.parametrize(("other", "level"), [
    ("Sutrisno Bambang", "the same"), ("Bambang", "one within the other"), ("Bambang Sutrisna", "alike, with a word"),
    ("Bambank Sutrisna", "alike"), ("Wahyu Hidayat", "different"),
])  # fmt: skip
def test_names(other: str, level: str) -> None:
    function, words = FIELDS["name"]
    assert words[function(person(), person(other))].startswith(level)


places = st.sampled_from(["33.74.01.1001", "33.74.01.1002", "33.74.02.1001", "33.71.01.1001", "64.72.01.1001"])
people = st.builds(
    person, st.sampled_from(["Joko", "Djoko Susilo", "Siti Aminah", "Sti Aminah", "Muhammad"]),
    st.sampled_from(["1980-05-17", "1980-01-01", "1981-05-17", "1980-05-18"]), sex=st.sampled_from("LP"),
    region=places, card=st.sampled_from([CARD, OTHER_CARD]), agency=st.sampled_from(["a", "b"]),
    serial=st.sampled_from([1, 2, 100]), area=st.sampled_from(["337401", "337402", "339999"]),
)  # fmt: skip


@given(people, people)
def test_who_is_compared_with_whom_makes_no_difference(one: Traits, other: Traits) -> None:
    assert levels(one, other) == levels(other, one)
    for level, (_, words) in zip(levels(one, other), FIELDS.values(), strict=True):
        assert 0 <= level < len(words)


def test_who_is_written_twice_meets() -> None:
    ours = blocks(person("Muh. Djoko Susilo"))
    for again in (
        person("Joko Susilo", card=OTHER_CARD), person("Djoko", card=OTHER_CARD),
        person("Joko Susilo", "1980-01-01", card=OTHER_CARD), person("Joko Susilo", "1990-05-17", card=OTHER_CARD),
        person("Jokko", "1999-09-09"),
    ):  # fmt: skip
        assert ours & blocks(again)
    assert not ours & blocks(person("Wahyu Hidayat", "1971-01-02", card=OTHER_CARD))


# --- the model


def test_a_slip_of_the_pen_and_old_spelling_are_the_same() -> None:
    slip = person("Bambang Soetrisno", nik="3374017105800001", agency="dinsos-provinsi")
    assert band(person(), slip) == "same"
    elsewhere = slip._replace(listed=frozenset({("baznas", OTHER_CARD)}), region="33.71.01.1001")
    assert band(person(), elsewhere) == "same"


def test_what_is_less_certain_is_to_be_judged() -> None:
    again = person("Bambang Sutrisno", "1980-01-01", agency="baznas", card=OTHER_CARD, area="337103", serial=7)
    assert band(person(), again) == "to_judge"


def test_twins_are_two() -> None:
    for name, sex in (("Bagus Sutrisno", "L"), ("Wahyu Sutrisno", "L"), ("Dewi Sutrisno", "P")):
        assert band(person(), person(name, sex=sex, serial=2)) == "different"
    assert band(person(), person("Bagus Sutrisno", serial=2, agency="dinsos-provinsi")) != "same"


def test_a_father_and_a_son_of_one_name_are_two() -> None:
    for agency in ("dinsos-kota", "dinsos-provinsi"):
        assert band(person(born="1955-08-09"), person(born="1980-05-17", agency=agency)) == "different"


def test_namesakes_in_one_kelurahan_are_two() -> None:
    for born in ("1971-02-03", "1980-11-02"):
        assert band(person(), person(born=born, card=OTHER_CARD, agency="dinsos-provinsi")) == "different"
    of_the_day = person(born="1990-05-17", card=OTHER_CARD, agency="dinsos-provinsi")
    assert band(person(), of_the_day) != "same"  # a digit of the year may be wrong: somebody asks


def test_the_model_is_sound() -> None:
    known = model()
    assert known.same > known.to_judge
    assert probability(known.same) > 0.5 > probability(-20)
    for weights in (known.kin, known.others):
        for name, of in zip(FIELDS, weights.of, strict=True):
            if name != "place":
                assert of[-1] > 0 > of[0], name
    assert 0 < min(known.bits.values()) < known.unseen < max(known.bits.values())
    assert known.rarity(["x", "y", "x"]) == 2 * known.rarity(["never-heard-of"]) == 2 * known.unseen


def test_a_model_for_other_levels_is_refused() -> None:
    fields = {name: {"m": [1.0], "u": [1.0]} for name in FIELDS}
    told = {"kin": {"prior": 0.1, "fields": fields}, "bands": {"same": 1.0, "to_judge": 0.0},
            "words": {"bits": {}, "unseen": 1.0}}  # fmt: skip
    with pytest.raises(ValueError, match="other levels of name"):
        Model.of(told)


def test_levels_and_their_words_are_as_many() -> None:
    assert len(FIELDS["name"][1]) == 4 + 2 * (compare.RAREST + 1)
