"""The short name of a case, and what it may name."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tepat_contracts.cases import case_code, ids_of


def test_a_case_has_a_short_code_that_names_no_one() -> None:
    assert case_code(UUID("6f0a1f0e-6a4b-5b0e-9d59-2f6f6c1f7a10")) == "N4FB6DTK"
    assert case_code(UUID(int=0)) == "AAAAAAAA"


@given(st.uuids(), st.uuids())
def test_a_code_names_the_ids_that_have_it_and_no_other(one: UUID, other: UUID) -> None:
    least, greatest = ids_of(case_code(one).lower()) or (one, one)
    assert least <= one <= greatest
    assert (least <= other <= greatest) == (case_code(one) == case_code(other))
    assert case_code(least) == case_code(greatest) == case_code(one)


@pytest.mark.parametrize("text", ["", "N4FB6DT", "N4FB6DTK2", "N4FB6DT!", "N4FB6D==", "N4FB6DT0", "N4FB6DTé"])
def test_what_is_no_code_names_nothing(text: str) -> None:
    assert ids_of(text) is None
