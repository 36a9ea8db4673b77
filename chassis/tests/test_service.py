"""The pattern by which agencies' topics are subscribed to."""

import re

from hypothesis import given
from hypothesis import strategies as st
from tepat_chassis.service import AGENCY
from tepat_contracts.envelope import AGENCY_ID_PATTERN


@given(st.text("ab0-", max_size=43))
def test_the_subscriptions_pattern_is_the_contracts(agency: str) -> None:
    assert bool(re.fullmatch(AGENCY, agency)) == bool(re.fullmatch(AGENCY_ID_PATTERN, agency))


def test_the_longest_agency_is_read() -> None:
    assert re.fullmatch(AGENCY, "a" * 40)
    assert not re.fullmatch(AGENCY, "a" * 41)
    assert not re.fullmatch(AGENCY, "ab")
