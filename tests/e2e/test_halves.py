"""Two instances may take two halves of an overlap at one moment: it is found all the same."""

import asyncio
import json

import pytest
from tepat_demo.oracle import fold

from .conftest import Running

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]


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
