"""Each kind of bad record between good ones, on the real broker: told, quarantined, and in nobody's way."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from .conftest import Running

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

AGENCY, OTHER = "bad-a", "bad-b"
TOPIC = f"agency.{AGENCY}.payouts.v1"
MIB = 1_048_576

POLICY: dict[str, Any] = {
    "version": "bad-1",
    "agencies": [
        {"id": AGENCY, "name": "A", "programmes": ["PKH"], "trust_rank": 1},
        {"id": OTHER, "name": "B", "programmes": ["BPNT"], "trust_rank": 2},
    ],
    "programmes": [{"code": code, "name": {"id": code, "en": code}, "unit": "household"} for code in ("PKH", "BPNT")],
    "overlap_rules": [
        {"id": "x", "programmes": ["PKH", "BPNT"], "scope": "household", "verdict": "exclusive"},
    ],
}

Event = dict[str, Any]


def good(number: int, **data: Any) -> Event:
    """A payout that can be taken."""
    told = {
        "payout_id": f"B-{number}", "revision": 0, "programme": "PKH",
        "covers": {"from": "2026-01-01", "to": "2026-03-31"},
        "recipient": {"nik": f"337401010190{number + 1:04d}", "kk": f"337402010120{number + 1:04d}"},
        "benefit": {"kind": "cash", "amount": 100}, "region": "33.74.01.1001",
    }  # fmt: skip
    return {
        "specversion": "1.0", "id": f"good-{number}", "source": f"urn:tepat:agency:{AGENCY}",
        "type": "tepat.payout.disbursed.v1", "time": "2026-01-05T08:00:00+07:00", "data": told | data,
    }  # fmt: skip


def changed(**data: Any) -> bytes:
    return json.dumps(good(5_000, **data)).encode()


def signed(**envelope: Any) -> bytes:
    return json.dumps(good(1) | envelope).encode()


def sized(size: int) -> bytes:
    event = good(5_001) | {"padding": ""}
    return json.dumps(event | {"padding": "x" * (size - len(json.dumps(event)))}).encode()


BAD: dict[str, tuple[str, Callable[[], bytes | None]]] = {
    "empty value": ("malformed", lambda: None),
    "no bytes": ("malformed", lambda: b""),
    "not JSON": ("malformed", lambda: b"{"),
    "invalid UTF-8": ("malformed", lambda: b'{"a": "\xff\xfe"}'),
    "1 MiB and a byte": ("malformed", lambda: sized(MIB + 1)),
    "depth 10,000": ("malformed", lambda: b"[" * 10_000 + b"]" * 10_000),
    "a NUL": ("schema", lambda: changed(payout_id="a\0b")),
    "a number as a string": ("schema", lambda: changed(revision="0")),
    "year 0000": ("schema", lambda: changed(covers={"from": "0000-01-01", "to": "2026-01-01"})),
    "no programme": ("schema", lambda: changed(programme=None)),
    "another's name": ("source_mismatch", lambda: signed(source=f"urn:tepat:agency:{OTHER}")),
    "unknown type": ("unknown_type", lambda: signed(type="tepat.payout.dreamt.v1")),
    "invalid NIK": ("nik_invalid", lambda: changed(recipient={"nik": "3374013201900001"})),
    "invalid KK": ("kk_invalid", lambda: changed(recipient={"nik": "3374010101900001", "kk": "3374010101200000"})),
    "unknown programme": ("programme_unknown", lambda: changed(programme="XYZ")),
    "another's programme": ("not_permitted", lambda: changed(programme="BPNT")),
    "unknown region": ("region_unknown", lambda: changed(region="33.74.99.9999")),
    "inverted covers": ("covers_inverted", lambda: changed(covers={"from": "2026-02-01", "to": "2026-01-01"})),
}  # fmt: skip

TAKEN: dict[str, Callable[[], bytes]] = {
    "exactly 1 MiB": lambda: sized(MIB),
    "a key twice, the last counts": lambda: json.dumps(good(5_002)).replace(
        '"programme": "PKH"', '"programme": "XYZ", "programme": "PKH"').encode(),
    "the last day there is": lambda: changed(payout_id="B-9999", covers={"from": "2026-01-01", "to": "9999-12-31"}),
}  # fmt: skip


async def test_bad_records_between_good_ones(system: Running) -> None:
    file = system.data / "bad.json"
    file.write_text(json.dumps(POLICY))
    system.tepat("policy", "apply", file)
    expected: dict[int, str] = {}
    async with system.producer() as producer:

        async def send(value: bytes | None, topic: str = TOPIC) -> int:
            return int((await producer.send_and_wait(topic, value, key=b"any", partition=0)).offset)

        for number, (_, (reason, value)) in enumerate(BAD.items()):
            await send(json.dumps(good(number)).encode())
            expected[await send(value())] = reason
        for value in TAKEN.values():
            await send(value())
        last = await send(json.dumps(good(900)).encode())

    rejected, covered = await receipts_until(system, last)
    assert {offset: data["reason"] for offset, data in rejected.items()} == expected
    assert covered == list(range(last + 1))
    assert all(data["message"] for data in rejected.values())
    schema = [data for data in rejected.values() if data["reason"] == "schema"]
    assert all(data["pointer"].startswith("/data") for data in schema)

    held = {row["offset"]: row["reason"] for row in system.listed("quarantine", "list") if row["topic"] == TOPIC}
    assert held == expected
    every = json.dumps([data["message"] for data in rejected.values()])
    assert "3374013201900001" not in every


async def test_a_replay_takes_a_record_once(system: Running) -> None:
    """What was refused for want of a programme is taken once the policy has it, however often it is asked."""
    wider = POLICY | {
        "version": "bad-2",
        "agencies": [{**POLICY["agencies"][0], "programmes": ["PKH", "XYZ"]}, POLICY["agencies"][1]],
        "programmes": [*POLICY["programmes"], {"code": "XYZ", "name": {"id": "X", "en": "X"}, "unit": "person"}],
    }
    file = system.data / "wider.json"
    file.write_text(json.dumps(wider))
    system.tepat("policy", "apply", file)
    for _ in range(2):
        system.tepat("quarantine", "replay", "--reason", "programme_unknown", status=None)
    for _ in range(60):
        told = [json.loads(record.value or b"{}") for record in await system.read([f"agency.{AGENCY}.receipts.v1"])]
        replayed = [event["data"] for event in told if event["type"] == "tepat.event.replayed.v1"]
        if replayed:
            break
    assert [(data["topic"], data["outcome"]) for data in replayed] == [(TOPIC, "accepted")]


async def receipts_until(system: Running, last: int) -> tuple[dict[int, dict[str, Any]], list[int]]:
    """Rejections by offset, and every offset as often as it is covered, once the last offset is."""
    for _ in range(300):
        rejected: dict[int, dict[str, Any]] = {}
        covered: list[int] = []
        for record in await system.read([f"agency.{AGENCY}.receipts.v1"]):
            event = json.loads(record.value or b"{}")
            data = event["data"]
            if data.get("topic") != TOPIC or data.get("partition") != 0:
                continue
            if event["type"] == "tepat.event.rejected.v1":
                rejected[data["offset"]] = data
                covered.append(data["offset"])
            elif event["type"] == "tepat.events.accepted.v1":
                covered += range(data["from_offset"], data["to_offset"] + 1)
        if last in covered:
            return rejected, sorted(covered)
    pytest.fail(f"offset {last} was never answered; answered were {sorted(covered)[-5:]}")
