"""How large a batch may be, and when the next one must wait."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tepat_chassis import pace
from tepat_chassis.database import Connection, Database
from tepat_chassis.pace import BATCH_SECONDS, LEAST_RECORDS, Gate, Pace


def test_a_slow_batch_makes_the_next_one_smaller_and_a_quick_one_larger() -> None:
    found = Pace(8_000)
    assert found.records == 8_000
    found.took(8_000, 4 * BATCH_SECONDS)
    assert found.records == 4_000  # by half at most: one slow moment is no slow machine
    found.took(4_000, 2 * BATCH_SECONDS)
    assert found.records == 2_000
    found.took(2_000, BATCH_SECONDS / 1.5)
    assert found.records == 3_000
    found.took(3_000, BATCH_SECONDS / 9)
    assert found.records == 6_000


def test_a_small_batch_says_little() -> None:
    found = Pace(8_000)
    found.took(3, 1.0)
    assert found.records == 8_000
    found.took(3_000, 10 * BATCH_SECONDS)  # but that even these take long
    found.took(3_000, 10 * BATCH_SECONDS)
    assert found.records == 2_000
    found.took(300, BATCH_SECONDS / 10)
    assert found.records == 2_000


@given(st.integers(1, 20_000), st.lists(st.tuples(st.integers(1, 20_000), st.floats(0, 100))))
def test_a_batch_stays_between_the_least_and_the_most(most: int, taken: list[tuple[int, float]]) -> None:
    found = Pace(most)
    for records, seconds in taken:
        found.took(records, seconds)
        assert min(LEAST_RECORDS, most) <= found.records <= most


@pytest.mark.integration
async def test_the_gate_opens_when_few_enough_are_left(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "WAIT_SECONDS", 60.0)
    service = Database(database, service="distribution")
    await service.open()
    try:
        await service.pool.execute("create table work as select generate_series(1, 5) n")

        async def waiting(connection: Connection) -> int:
            return int(await connection.fetchval("select count(*) from work"))

        gate = Gate(service, waiting, at_most=3, channel="judged")
        passing = asyncio.create_task(gate())
        await service.pool.execute("delete from work where n = 1; notify judged")
        assert not (await asyncio.wait({passing}, timeout=0.2))[0]
        await service.pool.execute("delete from work where n = 2; notify judged")
        await asyncio.wait_for(passing, 10)
        await asyncio.wait_for(gate(), 10)
    finally:
        await service.close()


@pytest.mark.integration
async def test_the_gate_opens_after_a_while_where_nobody_judges(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "WAIT_SECONDS", 0.1)
    service = Database(database, service="distribution")
    await service.open()
    try:

        async def waiting(_: Connection) -> int:
            return 9

        await asyncio.wait_for(Gate(service, waiting, at_most=3, channel="judged")(), 10)
    finally:
        await service.close()
