"""What every service refuses is said in English and Indonesian, with what to do, and repeats no number."""

from typing import get_args

import pytest
import tepat_chassis
from tepat_chassis.refusals import COMMON, Common, Refusals, refusal, words
from tepat_contracts.bilingual import Said

from chassis.tests.refusing import refuses_in_words, says_the_same

OF_SERVICES = {"outside", "no_agency", "nothing_to_compare"}


@pytest.mark.parametrize("said", COMMON.items(), ids=lambda said: said[0])
def test_both_languages_say_the_same(said: tuple[str, Said]) -> None:
    says_the_same(said[1])


def test_nothing_is_refused_in_words_of_its_own() -> None:
    assert list(COMMON) == list(get_args(Common))
    refuses_in_words(tepat_chassis, COMMON, COMMON.keys() - OF_SERVICES)


def test_a_service_has_words_of_its_own_beside_those_of_all() -> None:
    ours = Refusals({"late": ("it is {hours} h late", "terlambat {hours} jam")})
    assert ours.words("late", hours=2) == "it is 2 h late / terlambat 2 jam"
    assert ours.words("outside") == words("outside")
    refused = ours.refusal(409, "late", {"Retry-After": "5"}, hours=2)
    assert (refused.status_code, refused.detail) == (409, "it is 2 h late / terlambat 2 jam")
    assert refused.headers == {"Retry-After": "5"}


def test_no_number_of_a_person_is_repeated() -> None:
    assert "3374010101010001" not in refusal(422, "no_area", region="3374010101010001").detail
