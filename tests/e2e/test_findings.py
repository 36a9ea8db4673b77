"""Nobody is accused of what the registry has yet to read: a whole system whose registry is frozen meanwhile."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest

from .conftest import Running, event

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

AGENCY, FINDINGS = "late-word", "distribution.findings.v1"
PEOPLE = 40
STILL_SECONDS = 4.0
"""Longer than findings ever took when they waited for no word of the registry."""
SECONDS = 120.0


def policy() -> dict[str, Any]:
    return {
        "version": "late-word-1",
        "agencies": [{"id": AGENCY, "name": "A", "programmes": ["LW"], "trust_rank": 1}],
        "programmes": [{"code": "LW", "name": {"id": "LW", "en": "LW"}, "unit": "household"}],
        "overlap_rules": [],
    }


def person(number: int) -> bytes:
    data = {
        "nik": f"337401030390{number + 1:04d}", "kk": f"337404010120{number + 1:04d}", "revision": 0, "sex": "L",
        "since": "2020-01-01", "region": "33.74.01.1001", "name": f"Warga {number}", "birth_date": "1990-03-03",
        "attributes": {},
    }  # fmt: skip
    return event(AGENCY, "person.recorded", f"person-{number}", data)


def payout(number: int) -> bytes:
    data = {
        "payout_id": f"L-{number}", "revision": 0, "programme": "LW", "region": "33.74.01.1001",
        "covers": {"from": "2026-01-01", "to": "2026-03-31"},
        "recipient": {"nik": f"337401030390{number + 1:04d}", "kk": f"337404010120{number + 1:04d}"},
        "benefit": {"kind": "cash", "amount": 100_000},
    }  # fmt: skip
    return event(AGENCY, "payout.disbursed", f"payout-{number}", data)


@asynccontextmanager
async def frozen(system: Running, service: str) -> AsyncIterator[None]:
    """A service that stands still meanwhile, as a stopped machine does."""
    processes = system.processes(service)
    for process in processes:
        process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        for process in processes:
            process.send_signal(signal.SIGCONT)


async def until(connection: "asyncpg.Connection[asyncpg.Record]", query: str) -> None:
    async with asyncio.timeout(SECONDS):
        while not await connection.fetchval(query):  # noqa: ASYNC110 – another process, which signals nothing
            await asyncio.sleep(0.1)


async def test_of_whom_the_registry_has_yet_to_read_nothing_is_found(system: Running) -> None:
    """The registry stands still; a list of people comes with what was paid to them, and to one whom nobody lists."""
    file = system.data / "late-word.json"
    file.write_text(json.dumps(policy()))
    await asyncio.to_thread(system.tepat, "policy", "apply", file)

    async def found() -> list[tuple[str, str]]:
        told = [json.loads(record.value or b"{}") for record in await system.read([FINDINGS])]
        return [
            (each["type"], payout["payout_id"])
            for each in told if each.get("data", {}).get("rule") == "not_registered"
            for payout in each["data"]["payouts"] if payout["agency"] == AGENCY
        ]  # fmt: skip

    connection = await asyncpg.connect(system.endpoints["databases"]["distribution"])
    waiting = f"""
        select (select count(*) from payout p join agency a on a.id = p.agency where a.code = '{AGENCY}') = {PEOPLE + 1}
           and not exists (select from mark) and exists (select from finding_touch)"""
    async with system.producer() as producer:
        await producer.send_and_wait(f"agency.{AGENCY}.beneficiaries.v1", person(PEOPLE + 1))
        await until(connection, "select exists (select from person)")  # the registry has told of somebody
        async with frozen(system, "registry"):
            for number in range(PEOPLE):
                await producer.send(f"agency.{AGENCY}.beneficiaries.v1", person(number))
            for number in range(PEOPLE + 1):
                await producer.send(f"agency.{AGENCY}.payouts.v1", payout(number))
            await producer.flush()
            await until(connection, waiting)
            await asyncio.sleep(STILL_SECONDS)  # that nothing comes can only be waited for
            assert await connection.fetchval(waiting), "they were looked at"
            assert await found() == []
    await until(connection, "select not exists (select from finding_touch) and not exists (select from outbox)")
    await connection.close()
    assert await found() == [("tepat.finding.raised.v1", f"L-{PEOPLE}")]
