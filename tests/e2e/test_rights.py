"""What a person may ask for (UU PDP 27/2022): all that is held and who saw it, and to be forgotten."""

import json
import stat
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from aiokafka import ConsumerRecord
from tepat_chassis.kafka import read_to_end

from .conftest import Running, event

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

AGENCY = "dukcapil-rights"
NIK, KK = "3374014107700021", "3374010101200021"
POLICY: dict[str, Any] = {
    "version": "rights-1",
    "agencies": [{"id": AGENCY, "name": "Dukcapil", "trust_rank": 1, "programmes": [], "rights": ["merge"]}],
    "programmes": [
        {"code": "PKH", "name": {"id": "PKH", "en": "PKH"}, "unit": "person", "criteria": "person.decile <= 4"}
    ],
    "overlap_rules": [],
}


async def test_a_person_is_told_all_and_then_forgotten(system: Running, tmp_path: Path) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text(json.dumps(POLICY))
    system.tepat("policy", "apply", policy)
    person = {
        "nik": NIK, "revision": 0, "name": "Mbah Karto", "sex": "P", "birth_date": "1970-07-01", "kk": KK,
        "region": "33.74.01.1001", "since": "2020-01-01", "attributes": {"decile": 2},
    }  # fmt: skip
    report = {
        "report_id": "R-1", "revision": 0, "filed_by": {"role": "rt"}, "kind": "unserved_poor",
        "region": "33.74.01.1001", "people": [{"nik": NIK, "name": "Mbah Karto"}], "text": "belum pernah dibantu",
    }  # fmt: skip
    visit = {
        "verification_id": "V-1", "revision": 0, "batch": "b", "nik": NIK, "outcome": "confirmed", "officer": "Rini",
        "verified_on": "2026-01-04", "region": "33.74.01.1001", "answers": {},
    }  # fmt: skip
    async with system.producer() as producer:
        for kind, type_, data in (
            ("beneficiaries", "person.recorded", person),
            ("reports", "report.filed", report),
            ("verifications", "verification.recorded", visit),
        ):
            await producer.send_and_wait(
                f"agency.{AGENCY}.{kind}.v1", event(AGENCY, type_, kind, data), key=NIK.encode()
            )

    def exported(number: int) -> dict[str, Any]:
        out = tmp_path / f"all-{number}.json"
        system.tepat("person", "export", NIK, "--purpose", "asked for by the person", "--out", out, status=None)
        if not out.exists():
            return {}
        assert stat.S_IMODE(out.stat().st_mode) == 0o600
        return {each["service"]: each for each in json.loads(out.read_text())["services"]}

    def complete(told: dict[str, Any]) -> bool:
        return bool(told and told["registry"]["held"]["reports"] and told["eligibility"]["held"]["verifications"]
                    and told["eligibility"]["held"]["decisions"])  # fmt: skip

    told = until(exported, complete)
    held = told["registry"]["held"]
    assert [each["nik"] for each in held["persons"]] == [NIK]
    assert [fact["data"] for fact in held["facts"]] == [person]
    assert [each["data"]["people"] for each in held["reports"]] == [report["people"]]
    assert told["eligibility"]["held"]["decisions"][0]["decision"] == "eligible"
    assert not any(told["distribution"]["held"].values())
    pseudonym = held["persons"][0]["person"]
    for service in told.values():  # each says who saw it, this very act included
        assert service["seen"][-1]["act"] == "disclose"
        assert service["seen"][-1]["detail"]["purpose"] == "asked for by the person"

    region = ("--region", "33.74.01.1001", "--on", "2026-01-01")
    system.tepat("group", "form", "mawar-jaya", "--title", "KUBE Mawar Jaya", "--agency", AGENCY, *region)
    system.tepat("group", "add", "mawar-jaya", NIK)
    (group,) = exported(-1)["distribution"]["held"]["groups"]
    assert (group["kube"], group["nik"]) == ("mawar-jaya", pseudonym)

    system.tepat("person", "erase", NIK, "--agency", "nobody", "--reason", "asked for", status=2)
    system.tepat("person", "erase", NIK, "--agency", AGENCY, "--reason", "asked for by the person")
    until(lambda _: system.tepat("person", "show", NIK, status=None), lambda shown: not shown)
    system.tepat("person", "show", NIK, status=2)
    listed = system.tepat("disclosures", "list", "--person", NIK, "--by", "officer", "--json")
    assert NIK not in listed
    seen = [json.loads(line) for line in listed.splitlines()]
    assert {(each["service"], each["purpose"]) for each in seen} == {
        (service, "asked for by the person") for service in told
    }  # fmt: skip

    async def last(topic: str, key: str) -> bytes | None:
        values: dict[bytes, bytes | None] = {}

        async def keep(records: Sequence[ConsumerRecord]) -> None:
            values.update((record.key, record.value) for record in records)

        await read_to_end(system.endpoints["kafka"], [topic], keep)
        return values[key.encode()]

    until(
        lambda _: json.loads(system.tepat("group", "show", "mawar-jaya", "--json"))["members"],
        lambda members: not members,
    )
    for topic, key in (("registry.persons.v1", pseudonym), ("eligibility.decisions.v1", f"PKH|{pseudonym}")):
        for _ in range(60):
            if (value := await last(topic, key)) is None:
                break
        assert value is None, topic


def until(ask: Callable[[int], Any], enough: Callable[[Any], bool], tries: int = 60) -> Any:
    """What is answered, once it is enough."""
    for number in range(tries):
        if enough(told := ask(number)):
            return told
    raise AssertionError(told)
