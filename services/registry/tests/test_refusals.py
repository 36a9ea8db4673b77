"""Everything that the service refuses is said in English and Indonesian, with what to do."""

from typing import get_args

import pytest
import tepat_registry
from tepat_chassis.refusals import COMMON
from tepat_contracts.bilingual import Said
from tepat_registry import refusals
from tepat_registry.api.suspects import State

from chassis.tests.refusing import refuses_in_words, says_the_same


@pytest.mark.parametrize("said", refusals.SAID.items(), ids=lambda said: said[0])
def test_both_languages_say_the_same(said: tuple[str, Said]) -> None:
    says_the_same(said[1])


def test_nothing_is_refused_in_words_of_its_own() -> None:
    assert list(refusals.SAID) == list(get_args(refusals.Why))
    refuses_in_words(tepat_registry, {**COMMON, **refusals.SAID}, refusals.SAID)


def test_every_state_of_what_is_suspected_has_a_name_in_both() -> None:
    assert set(refusals.CALLED) == set(get_args(State))
