"""What a simulation tells is what a plain model decides under either policy; nothing else comes of it."""

from collections import Counter
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tepat_eligibility import simulate
from tepat_eligibility.simulate import simulated

from .conftest import Eligibility
from .test_convergence import DAYS, POLICIES, ambiguous, events_of, facts, model

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

Change = tuple[str, str, str]

TABLES = (
    "person", "renewal", "verification", "mark", "residence", "touched", "sweep", "today", "decision", "standing",
    "outbox", "recalled", "act",
)  # fmt: skip


async def held(eligibility: Eligibility) -> dict[str, str]:
    """A digest of every table."""
    return {
        table: await eligibility.database.pool.fetchval(
            f"select coalesce(md5(string_agg(t::text, '|' order by t::text)), '') from {table} t"
        )
        for table in TABLES
    }


async def result(eligibility: Eligibility, proposed: dict[str, Any]) -> dict[str, Any]:
    *progress, last = [line async for line in simulated(eligibility.database, proposed)]
    done = [line["done"] for line in progress]
    assert done == sorted(done)
    told: dict[str, Any] = last["result"]
    return told


def words(told: dict[str, Any]) -> Counter[Change]:
    counted: Counter[Change] = Counter()
    for row in told["changes"]:
        if row["before"] != row["after"]:
            counted[row["programme"], row["before"], row["after"]] += row["subjects"]
    return counted


@pytest.mark.parametrize("households_at_once", [1, 1_500])
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(
    told=facts.filter(lambda told: not ambiguous(told)), day=st.sampled_from(DAYS),
    policies=st.tuples(st.sampled_from(POLICIES), st.sampled_from(POLICIES)),
)  # fmt: skip
async def test_it_tells_what_the_model_decides_otherwise(
    eligibility: Eligibility, households_at_once: int, told: Any, day: str, policies: Any
) -> None:
    await eligibility.empty()
    present, proposed = policies
    await eligibility.follow({**present, "version": "t-0"})
    events = events_of(told)
    await eligibility.take(*events)
    await eligibility.on(day)
    before, after = model(events, present, day), model(events, proposed, day)
    kept = await held(eligibility)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(simulate, "HOUSEHOLDS_AT_ONCE", households_at_once)
        said = await result(eligibility, {**proposed, "version": "t-1"})
    assert words(said) == Counter(
        (key[0], had, will)
        for key in before.keys() | after.keys()
        if (had := before.get(key, "none")) != (will := after.get(key, "none"))
    )
    assert await held(eligibility) == kept
