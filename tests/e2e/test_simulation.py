"""What a proposed policy would change, by the command alone, on a whole system; and that nothing comes of asking."""

import copy
import json
import time
from pathlib import Path
from typing import Any

import pytest
from tepat_demo import stream

from .conftest import Running, event

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

AGENCY = "what-if"
BENEFICIARIES, PAYOUTS = f"agency.{AGENCY}.beneficiaries.v1", f"agency.{AGENCY}.payouts.v1"
HOUSEHOLDS = 20
AREAS = ("33.72", "33.73")
"""Where no other test has households."""
SECONDS = 120


def policy() -> dict[str, Any]:
    def programme(code: str, decile: int, amount: int) -> dict[str, Any]:
        return {
            "code": code, "name": {"id": code, "en": code}, "unit": "household", "amount": amount, "period": "quarter",
            "criteria": f"household.decile <= {decile}",
        }  # fmt: skip

    return {
        "version": "what-if-1",
        "agencies": [{"id": AGENCY, "name": "A", "programmes": ["WI-A", "WI-B"], "trust_rank": 1}],
        "programmes": [programme("WI-A", 4, 750_000), programme("WI-B", 5, 600_000)],
        "overlap_rules": [
            {"id": "wi", "programmes": ["WI-A", "WI-B"], "scope": "household", "verdict": "review"},
        ],
    }


def person(number: int) -> dict[str, str]:
    return {"nik": f"337401020290{number + 1:04d}", "kk": f"337403010120{number + 1:04d}"}


def region(number: int) -> str:
    return "33.73.01.1001" if number % 2 else "33.72.01.1001"


def household(number: int) -> bytes:
    """A household of one person: its decile is 1 to 10 and again."""
    data = {
        **person(number), "revision": 0, "since": "2020-01-01", "region": region(number), "name": f"Warga {number}",
        "sex": "L", "birth_date": "1990-02-02", "attributes": {"decile": number % 10 + 1},
    }  # fmt: skip
    return event(AGENCY, "person.recorded", f"wi-p-{number}", data)


def payout(number: int, programme: str) -> bytes:
    data = {
        "payout_id": f"{programme}-{number}", "revision": 0, "programme": programme, "recipient": person(number),
        "covers": {"from": "2025-01-01", "to": "2025-03-31"}, "benefit": {"kind": "cash", "amount": 100_000 + number},
        "region": region(number),
    }  # fmt: skip
    return event(AGENCY, "payout.disbursed", f"wi-{programme}-{number}", data)


async def test_who_gains_and_loses_and_which_overlaps_come_and_go(system: Running, tmp_path: Path) -> None:
    present, proposed = policy(), copy.deepcopy(policy())
    proposed["version"] = "what-if-2"
    proposed["programmes"][0]["criteria"] = "household.decile <= 6"
    proposed["programmes"][1] |= {"amount": 500_000}
    proposed["overlap_rules"][0]["verdict"] = "complementary"
    files = {}
    for document in (present, proposed):
        files[document["version"]] = tmp_path / f"{document['version']}.json"
        files[document["version"]].write_text(json.dumps(document))
    system.tepat("policy", "apply", files["what-if-1"])
    async with system.producer() as producer:
        for number in range(HOUSEHOLDS):
            await producer.send_and_wait(BENEFICIARIES, household(number))
            for programme in ("WI-A", "WI-B"):
                if number < 5 or programme == "WI-A":
                    await producer.send_and_wait(PAYOUTS, payout(number, programme))

    def asked(*more: str) -> list[dict[str, Any]]:
        given = ("--from", "2025-01-01", "--to", "2025-12-31", *more)
        return [
            row for row in system.listed("policy", "simulate", files["what-if-2"], *given) if row["area"] in AREAS
        ]  # fmt: skip

    until = time.monotonic() + SECONDS
    expected = [
        # deciles 5 and 6 of ten, twice: one in either kota each time
        ("WI-A", "33.72", "ineligible", "eligible", 2, 1_500_000, 0),
        ("WI-A", "33.73", "ineligible", "eligible", 2, 1_500_000, 0),
        # deciles 1 to 5 are due less
        ("WI-B", "33.72", "eligible", "eligible", 6, 0, 600_000),
        ("WI-B", "33.73", "eligible", "eligible", 4, 0, 400_000),
    ]
    names = ("programme", "area", "before", "after", "subjects", "gained", "lost")
    while True:
        told = asked()
        decided = [tuple(row[name] for name in names) for row in told if row["kind"] == "decisions"]
        overlaps = [row for row in told if row["kind"] == "overlaps"]
        if (decided == expected and sum(row["overlaps"] for row in overlaps) == 5) or time.monotonic() > until:
            break
    assert decided == expected
    assert {(row["area"], row["overlaps"], row["amount_at_risk"]) for row in overlaps} == {
        ("33.72", 3, 300_000 + 0 + 2 + 4), ("33.73", 2, 200_000 + 1 + 3)
    }  # fmt: skip
    assert all(row["before"] == {"rule": "wi", "verdict": "review"} and row["after"] is None for row in overlaps)

    picture = tmp_path / "what-if.svg"
    assert asked("--picture", str(picture)) == told
    assert "WI-A" in picture.read_text()
    assert asked("--from", "2024-01-01", "--to", "2024-12-31") == [row for row in told if row["kind"] == "decisions"]
    # What stands goes on being told meanwhile; nothing is told of what was only asked.
    topics = [stream.OVERLAPS, "eligibility.decisions.v1", "policy.v1", "distribution.findings.v1"]
    told_of = [record.value for record in await system.read(topics) if record.value is not None]
    assert any(b'"what-if-1"' in value for value in told_of)
    assert not any(b'"what-if-2"' in value for value in told_of)

    files["what-if-2"].write_text(json.dumps({**proposed, "overlap_rules": "none"}))
    system.tepat("policy", "simulate", files["what-if-2"], status=1)
    system.tepat("policy", "simulate", files["what-if-1"], "--as", "reader", status=2)
