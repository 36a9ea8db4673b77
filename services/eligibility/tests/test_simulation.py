"""What a simulation tells is what a plain model decides under either policy; nothing else comes of it."""

from collections import Counter
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tepat_eligibility import simulate
from tepat_eligibility.simulate import simulated

from .conftest import Eligibility, lives, person, policy, programme
from .test_convergence import DAYS, POLICIES, ambiguous, events_of, facts, model

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

Change = tuple[str, str, str]

TABLES = (
    "person", "renewal", "verification", "mark", "residence", "touched", "sweep", "today", "decision", "standing",
    "outbox", "recalled", "act", "stands",
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
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
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


async def test_rupiah_are_summed_by_area_and_period(eligibility: Eligibility) -> None:
    def pays(amount: int, period: str = "month", **more: Any) -> dict[str, Any]:
        return programme("BPNT", "household.decile <= 4", amount=amount, period=period, **more)

    await eligibility.follow(policy(pays(200_000), version="t-0"))
    areas = {"a": "33.74.01.1001", "b": "33.74.02.1001", "c": "33.71.01.1001", "d": "33.71.01.1001"}
    deciles = {"a": 1, "b": 4, "c": 3, "d": 9}
    for name, area in areas.items():
        await eligibility.take(person(f"of {name}", lives(name), attributes={"decile": deciles[name]}, region=area))
    await eligibility.decide()

    async def changes(proposed: dict[str, Any]) -> dict[tuple[str, str, str], tuple[int, int, int]]:
        rows = (await result(eligibility, policy(proposed, version="t-1")))["changes"]
        return {
            (row["area"], row["before"], row["after"]): (row["subjects"], row["gained"], row["lost"]) for row in rows
        }

    assert await changes(pays(250_000)) == {
        ("33.74", "eligible", "eligible"): (2, 100_000, 0), ("33.71", "eligible", "eligible"): (1, 50_000, 0),
        ("33.71", "ineligible", "ineligible"): (1, 0, 0),
    }  # fmt: skip
    assert await changes({**pays(150_000), "criteria": "household.decile <= 3"}) == {
        ("33.74", "eligible", "eligible"): (1, 0, 50_000), ("33.74", "eligible", "ineligible"): (1, 0, 200_000),
        ("33.71", "eligible", "eligible"): (1, 0, 50_000), ("33.71", "ineligible", "ineligible"): (1, 0, 0),
    }  # fmt: skip
    assert (await changes(pays(600_000, "quarter")))["33.71", "eligible", "eligible"] == (1, 600_000, 200_000)
    ended = pays(200_000, effective={"to": "2026-01-31"})
    assert (await changes(ended))["33.74", "eligible", "none"] == (2, 0, 400_000)
    assert await changes(pays(200_000)) == {}


async def test_a_process_of_its_own_tells_the_same_of_the_areas_that_may_be_seen(eligibility: Eligibility) -> None:
    await eligibility.take(person("of a", lives("a"), attributes={"decile": 2}))
    await eligibility.take(person("of b", lives("b"), attributes={"decile": 2}, region="33.71.01.1001"))
    await eligibility.decide()
    proposed = policy(programme("PKH", "household.decile <= 1"), version="t-9")
    whole = await result(eligibility, proposed)
    told = [line async for line in simulate.lines(eligibility.database, proposed, lambda area: area == "33.71")]
    assert told[-1]["result"]["changes"] == [row for row in whole["changes"] if row["area"] == "33.71"] != []


async def test_without_a_policy_there_is_nothing_to_compare_with(eligibility: Eligibility) -> None:
    await eligibility.empty()
    assert "no policy" in [line async for line in simulated(eligibility.database, policy())][-1]["failed"]
