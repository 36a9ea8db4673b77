"""A short run of the suite: each process killed once, and one of each other fault."""

import logging

import pytest

from .run import run

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(600)]

SEED = 7
KILLS = 11


def test_each_is_killed_and_nothing_lost_doubled_or_wrong() -> None:
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    found = run(SEED, KILLS, brief=True)
    assert found["told"] == [], f"replay: python -m tests.chaos --brief --seed {SEED} --kills {KILLS}"
    assert found["kills"] >= KILLS
    assert found["overlaps"] > 3  # on a machine that does much else
