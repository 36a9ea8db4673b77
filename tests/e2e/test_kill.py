"""Any process may die at any moment, and two instances may take two halves of an overlap: the same set comes out."""

import asyncio
import json
from collections import Counter
from pathlib import Path

import pytest
from tepat_demo.district import District
from tepat_demo.oracle import fold, irregularities
from tepat_demo.run import run

from .conftest import Running

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

HOUSEHOLDS = 1_500
ROUNDS = 5
SERVICES = ("registry", "eligibility", "distribution", "notifications")


async def test_kill_of_each_service_in_the_midst(system: Running) -> None:
    """20 kills while a district streams through; then what stands is the oracle's, and each offset told once."""
    killed: Counter[str] = Counter()
    streaming = asyncio.Event()

    class Progress:
        def stage(self, name: str, total: int | None) -> None:
            if name == "agencies send":
                streaming.set()

        def advance(self, done: int) -> None: ...

    async def nemesis() -> None:
        await streaming.wait()
        for _ in range(ROUNDS):
            for service in SERVICES:
                for victim in await asyncio.to_thread(system.processes, service):
                    victim.kill()
                    killed[service] += 1
                    break
                await asyncio.sleep(1)  # the pace of the killing, not something waited for

    async def apply_policy(file: Path) -> None:
        await asyncio.to_thread(system.tepat, "policy", "apply", file)

    killing = asyncio.create_task(nemesis())
    report = await run(
        system.endpoints,
        system.data / "tokens",
        (system.data / "secrets" / "main").read_bytes(),
        District(7, HOUSEHOLDS),
        apply_policy=apply_policy,
        progress=Progress(),
    )
    await killing
    assert report.wrong == []
    assert report.announced == report.expected > 100
    assert sum(killed.values()) >= 18, killed
    assert set(killed) == set(SERVICES)
    uncommitted = await system.read(["distribution.overlaps.v1"], committed=False)
    falling = [told for told in irregularities(uncommitted, compacted=True) if "fell" in told or "falls" in told]
    assert falling == []


async def test_two_halves_at_the_same_moment(system: Running) -> None:
    """200 overlaps, the halves of each on partitions of different instances, sent together: none is missed."""
    policy = {
        "version": "halves-1",
        "agencies": [
            {"id": "half-a", "name": "A", "programmes": ["PKH"]},
            {"id": "half-b", "name": "B", "programmes": ["BPNT"]},
        ],
        "programmes": [
            {"code": code, "name": {"id": code, "en": code}, "unit": "household"} for code in ("PKH", "BPNT")
        ],
        "overlap_rules": [{"id": "x", "programmes": ["PKH", "BPNT"], "scope": "household", "verdict": "exclusive"}],
    }  # fmt: skip
    file = system.data / "halves.json"
    file.write_text(json.dumps(policy))
    await asyncio.to_thread(system.tepat, "policy", "apply", file)
    async with system.producer() as producer:
        for number in range(200):
            await asyncio.gather(
                *(
                    producer.send_and_wait(
                        f"agency.half-{side}.payouts.v1", half(side, number), partition=(number + shift) % 6
                    )
                    for side, shift in (("a", 0), ("b", 1))
                )
            )
    wanted = {(f"H-{number}", f"H-{number}") for number in range(200)}
    found: set[tuple[str, str]] = set()
    for _ in range(300):
        announced = [o["payouts"] for o in fold(await system.read(["distribution.overlaps.v1"])).values()]
        found = {
            (one["payout_id"], other["payout_id"])
            for one, other in announced
            if (one["agency"], other["agency"]) == ("half-a", "half-b")
        }
        if found >= wanted:
            break
    assert found == wanted


def half(side: str, number: int) -> bytes:
    """One side's payout to the household of this number."""
    event = {
        "specversion": "1.0", "id": f"half-{side}-{number}", "source": f"urn:tepat:agency:half-{side}",
        "type": "tepat.payout.planned.v1", "time": "2026-01-05T08:00:00+07:00",
        "data": {
            "payout_id": f"H-{number}", "revision": 0, "programme": "PKH" if side == "a" else "BPNT",
            "covers": {"from": "2026-01-01", "to": "2026-03-31"},
            "recipient": {"nik": f"33740{'1' if side == 'a' else '2'}010190{number + 1:04d}",
                          "kk": f"337417010120{number + 1:04d}"},
            "benefit": {"kind": "cash", "amount": 100 + number}, "region": "33.74.01.1001",
        },
    }  # fmt: skip
    return json.dumps(event).encode()
