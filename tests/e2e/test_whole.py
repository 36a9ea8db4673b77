"""One family, from a neighbour's word to a package at the door, and a notice at each step.

A report from below goes to the neighbours, and unanswered to the government; the family is visited and found eligible;
its payment is planned, held for an overlap, resolved, cleared and paid; a round of goods reaches it; whoever must act
was told each time. Seen by the topics; people's acts go by the command.
"""

import asyncio
import json
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from .conftest import Running, event
from .test_reports import answered, apply, filed, send

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

SECONDS = 120
PLACE = "33.20.01.2001"
NIK, KK = "3320014101900777", "3320010101200777"
DAY = {"from": "2026-01-01", "to": "2026-03-31"}
PKH, BLT = "PKH-W", "BLT-W"


def policy() -> dict[str, Any]:
    mail = {"email": "petugas@example.invalid"}
    agency = [("rt-whole", []), ("wksbm-whole", []), ("dinsos-whole", [PKH]), ("desa-whole", [BLT])]
    programme = {"unit": "household", "criteria": "household.decile <= 2", "amount": 750_000, "period": "quarter"}
    return {
        "version": "whole-1",
        "agencies": [
            {"id": id_, "name": id_, "programmes": codes, "contact": mail, "trust_rank": rank}
            for rank, (id_, codes) in enumerate(agency, start=1)
        ],
        "programmes": [
            {"code": PKH, "name": {"id": PKH, "en": PKH}, "needs_verification": True, **programme},
            {"code": BLT, "name": {"id": BLT, "en": BLT}, **programme},
        ],
        "overlap_rules": [
            {"id": "pkh-blt-w", "programmes": [PKH, BLT], "scope": "household", "verdict": "exclusive"},
        ],
        "cases": {"within": "P14D", "waive_alone_up_to": 1_000_000},
        "routes": {
            "reports": {
                "neighbours": {"within": "PT2S"},
                "steps": [{"step": "kelurahan", "within": "PT1H"}],
                "in_charge": [{"step": "kelurahan", "agency": "dinsos-whole"}],
            },
            "notices": [
                {"kinds": [kind], "to": {"agency": "concerned"}} for kind in ("report", "overlap", "case", "finding")
            ],
        },
    }  # fmt: skip


def payment(agency: str, programme: str, state: str) -> tuple[str, bytes]:
    data = {
        "payout_id": f"{programme}-1", "programme": programme, "covers": DAY, "recipient": {"nik": NIK, "kk": KK},
        "benefit": {"kind": "cash", "amount": 750_000}, "region": PLACE,
    }  # fmt: skip
    return f"agency.{agency}.payouts.v1", event(agency, f"payout.{state}", f"{programme}-{state}", data)


async def test_from_a_neighbours_word_to_a_package_at_the_door(system: Running, tmp_path: Path) -> None:
    steps: list[str] = []

    async def until(topic: str, holds: Callable[[dict[str, Any]], bool], what: str) -> dict[str, Any]:
        """The data of a record on a topic, once there is such a one."""
        ends = time.monotonic() + SECONDS
        seen: list[Any] = []
        while time.monotonic() < ends:
            seen = [json.loads(record.value)["data"] for record in await system.read([topic]) if record.value]
            if found := [data for data in seen if holds(data)]:
                steps.append(what)
                return found[-1]
            await asyncio.sleep(0.2)
        pytest.fail(f"{what}: not on {topic}\n{json.dumps(seen[-3:], indent=1)[:3000]}")

    def told(kind: str, agency: str) -> Callable[[dict[str, Any]], bool]:
        return lambda data: (data["kind"], data["agency"], data["state"]) == (kind, agency, "sent")

    deliveries = "notifications.deliveries.v1"
    await apply(system, policy())
    person = {
        "nik": NIK, "name": "Sumiyati", "sex": "L", "birth_date": "1990-01-01", "region": PLACE, "kk": KK,
        "since": "2020-01-01", "relation": "head", "attributes": {"decile": 1},
    }  # fmt: skip
    institution = {
        "institution_id": "W-1", "kind": "WKSBM", "name": "WKSBM Kedung", "regions": [PLACE], "active": True,
    }  # fmt: skip
    await send(
        system,
        ("agency.dinsos-whole.beneficiaries.v1", event("dinsos-whole", "person.recorded", "p-w", person)),
        ("agency.wksbm-whole.beneficiaries.v1", event("wksbm-whole", "institution.recorded", "i-w", institution)),
    )
    assert "W-1" in await asyncio.to_thread(system.tepat, "institutions", "list", "--region", PLACE)

    await send(system, filed("rt-whole", "W-1", "unserved_poor", PLACE, people=[{"name": "Sumiyati", "nik": NIK}]))
    reports, ours = "registry.reports.v1", lambda data: data["report_id"] == "W-1" and data["agency"] == "rt-whole"
    await until(reports, lambda data: ours(data) and data["step"] == "neighbours", "the neighbours are asked")
    await until(
        reports,
        lambda data: ours(data) and data.get("in_charge") == "dinsos-whole",
        "unanswered, the government has charge",
    )
    await until(deliveries, told("report", "dinsos-whole"), "who has charge is told")

    visit = {
        "verification_id": "V-W", "batch": "whole", "nik": NIK, "programme": PKH, "outcome": "confirmed",
        "verified_on": "2026-01-03", "officer": "TKSK", "region": PLACE, "answers": {},
    }  # fmt: skip
    decisions = "eligibility.decisions.v1"
    await until(
        decisions,
        lambda data: data["programme"] == PKH and data["decision"] == "needs_verification",
        "somebody must go and look",
    )
    await send(
        system, ("agency.dinsos-whole.verifications.v1", event("dinsos-whole", "verification.recorded", "v-w", visit))
    )
    await until(
        decisions, lambda data: data["programme"] == PKH and data["decision"] == "eligible", "visited and eligible"
    )  # fmt: skip

    await send(system, payment("desa-whole", BLT, "planned"), payment("dinsos-whole", PKH, "planned"))
    clearances = "agency.dinsos-whole.clearances.v1"
    overlap = await until(
        "distribution.overlaps.v1", lambda data: data.get("rule") == "pkh-blt-w", "the overlap is found"
    )
    await until(clearances, lambda data: data["decision"] == "hold", "the payment is held")
    await until(deliveries, told("overlap", "desa-whole"), "who pays the other is told")

    why = ("--reason", "the house burnt down", "--basis", "Perda 1/2026", "--as", "supervisor")
    await asyncio.to_thread(system.tepat, "case", "waive", overlap["overlap_id"], *why)
    await until(
        "distribution.cases.v1",
        lambda data: (data["overlap_id"], data["act"]) == (overlap["overlap_id"], "waived"),
        "somebody resolves it",
    )
    await until(deliveries, told("case", "dinsos-whole"), "who may pay is told")
    last = await until(clearances, lambda data: data["decision"] == "clear", "the payment is cleared")
    assert last["reasons"] == ["released: pkh-blt-w with desa-whole/BLT-W-1"]
    await send(system, payment("dinsos-whole", PKH, "disbursed"))
    household = overlap["household"]
    paid = await until(
        "distribution.aid.v1",
        lambda data: data["household"] == household and any(each["state"] == "disbursed" for each in data["payouts"]),
        "it is paid",
    )  # fmt: skip
    assert {each["state"] for each in paid["payouts"]} == {"planned", "disbursed"}

    await asyncio.to_thread(
        system.tepat, "ranking", "make", "whole-r", "--programme", PKH, "--region", PLACE, "--places", "1"
    )
    await until("eligibility.rankings.v1", lambda data: data["round"] == "whole-r", "a round is ranked")
    now = datetime.now(ZoneInfo("Asia/Jakarta"))
    for _ in range(60):  # until distribution has heard of the ranking
        opened = await asyncio.to_thread(
            system.tepat, "round", "open", "whole-r", "--on", f"{now:%Y-%m-%d}", "--door-to-door", status=None
        )
        if opened:
            break
    given = ("--subject", household, "--photo", "ab" * 32, "--officer", "PSM Bu Sri", "--region", PLACE)
    await asyncio.to_thread(system.tepat, "round", "deliver", "whole-r", *given)
    await until(
        "distribution.rounds.v1",
        lambda data: data.get("round") == "whole-r" and data["areas"][0]["delivered"] == 1,
        "the package is delivered",
    )
    await send(system, answered("dinsos-whole", "W-1", "helped"))
    await until(reports, lambda data: ours(data) and data.get("state") == "closed", "the report is closed")
    print("\n".join(f"{n:2} {step}" for n, step in enumerate(steps, start=1)))
