"""The express way takes nothing that the door does not take, reads it alike, and refuses for the door's reasons."""

import json
from datetime import datetime
from typing import Any

import msgspec
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tepat_contracts import examples, express
from tepat_contracts.door import Door, Kind, Refused
from tepat_contracts.events import inbound
from tepat_contracts.express import PayoutDoor
from tepat_contracts.policy import PolicyIndex, from_document

from .test_door import AGENCY, JSON, Event, binary, pointers, put

Headers = list[tuple[str, bytes]]
DOOR: Door[Any] = Door(Kind.PAYOUTS)
EXPRESS = PayoutDoor()
TYPES = sorted(inbound(Kind.PAYOUTS))
POLICY = PolicyIndex(
    from_document(
        {
            "version": "1",
            "agencies": [{"id": AGENCY, "name": "x", "programmes": ["PKH"]}],
            "programmes": [
                {"code": code, "name": {"id": "a", "en": "b"}, "unit": "household"} for code in ("PKH", "BPNT")
            ],
            "overlap_rules": [],
        }
    )
)


def by_door(value: bytes, headers: Headers) -> Any:
    try:
        event = DOOR.admit(value, headers, AGENCY, POLICY)
    except Refused as refused:
        return refused.rejection
    if event["type"] == "tepat.source.complete.v1":
        return None
    data = event["data"]
    told: dict[str, Any] = {
        "type": event["type"], "id": event["id"], "time": event["time"], "trace": event.get("traceparent"),
        "payout": data["payout_id"], "revision": data["revision"],
    }  # fmt: skip
    if "covers" in data:
        told |= {
            "programme": data["programme"], "region": data["region"], "amount": data["benefit"]["amount"],
            "days": (data["covers"]["from"], data["covers"]["to"]),
            "nik": data["recipient"]["nik"], "kk": data["recipient"].get("kk"),
        }  # fmt: skip
    return told


def by_express(value: bytes, headers: Headers) -> Any:
    try:
        admitted = EXPRESS.admit(value, headers, AGENCY, POLICY)
    except Refused as refused:
        return refused.rejection
    return None if admitted is None else as_told(*admitted)


def as_told(event: express.PayoutEvent, time: datetime) -> dict[str, Any]:
    data = event.data
    told: dict[str, Any] = {
        "type": type(event).__struct_config__.tag, "id": event.id, "time": time, "trace": event.traceparent,
        "payout": data.payout_id, "revision": data.revision,
    }  # fmt: skip
    if isinstance(data, express.Payout):
        told |= {
            "programme": data.programme, "region": data.region, "amount": data.benefit.amount,
            "days": (data.covers.start, data.covers.end), "nik": data.recipient.nik, "kk": data.recipient.kk,
        }  # fmt: skip
    return told


def alike(value: bytes, headers: Headers | None = None) -> Any:
    """What both ways in make of a record, which is the same."""
    told = by_door(value, headers or [])
    assert by_express(value, headers or []) == told
    return told


def good(type_name: str) -> Event:
    event: Event = orjson.loads(orjson.dumps(examples.inbound(type_name)))
    return event


@pytest.mark.parametrize("type_name", [name for name in TYPES if name.startswith("tepat.payout.")])
def test_a_good_payout_goes_the_express_way(type_name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    event = good(type_name) | {"source": f"urn:tepat:agency:{AGENCY}"}
    if "programme" in event["data"]:
        event["data"]["programme"] = "PKH"
    told = alike(json.dumps(event).encode())
    monkeypatch.setattr(EXPRESS, "_door", None)  # the door is not asked
    assert by_express(json.dumps(event).encode(), []) == told


@pytest.mark.parametrize("type_name", TYPES)
def test_in_headers_too(type_name: str) -> None:
    assert alike(*binary(good(type_name))) == alike(orjson.dumps(good(type_name)))


ODD_VALUES = st.sampled_from([
    -1, 0, 2**63 - 1, 2**63, True, 1.0, -0.0, "", " ", "2026-02-29", "2026-1-1", "20260101", "0001-01-01", "9999-12-31",
    "2026-01-05", "2026-01-05T08:00:00", "2026-01-05t08:00:00z", "2026-01-05 08:00:00+07:00",
    "2026-W01-1T08:00:00+07:00",
    "2026-01-05T08:00:00.123456+07:00", "2026-01-05T08:00:00.1234567+07:00", "2026-01-05T08:00:00,5+07:00",
    "2026-01-05T08:00:60+07:00", "2026-01-05T24:00:00+07:00", "2026-01-05T08:00:00+0700", "2026-01-05T08:00:00-23:59",
    "2026-01-05T08:00:00+24:00", "0001-01-01T00:00:00+07:00", "9999-12-31T23:59:59-07:00", "0000-01-01T00:00:00Z",
    "a|b", "x" * 64, "x" * 65, "x" * 128, "x" * 129, "33", "33.74", "33.74.99", "99", "3374015508950001\n", "PKH",
    "BPNT",
    "3374014000950001", "3374013002950001", "3374012902950001", "3374012902960001", "3374010101950000",
    "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "ff-x", "é", "\u2028", "\x7f",
])  # fmt: skip

SPOILED = st.sampled_from(TYPES).flatmap(
    lambda type_name: st.tuples(
        st.just(type_name),
        st.lists(
            st.tuples(
                st.sampled_from([*pointers(examples.inbound(type_name)), "/extra", "/data/extra", "/traceparent"]),
                ODD_VALUES | JSON | st.just(...),
            ),
            max_size=2,
        ),
    )
)


@settings(max_examples=800, deadline=None)
@given(SPOILED, st.booleans())
def test_both_ways_in_say_the_same_of_any_value(spoiled: tuple[str, list[tuple[str, Any]]], escaped: bool) -> None:
    type_name, changes = spoiled
    event = good(type_name)
    for pointer, value in changes:
        try:
            event = put(event, pointer, value)
        except (KeyError, TypeError, IndexError, ValueError):
            continue
    alike(json.dumps(event, ensure_ascii=escaped).encode("utf-8", "surrogatepass"))


NUMBERS = [
    b"01", b"1.", b".5", b"+1", b"-0", b"1e2", b"1E400", b"-1e-400", b"0.1e1", b"9" * 25, b"9" * 4301, b"NaN",
    b"-Infinity", b"1_0", b"0x1", b"1 2", b"tru", b"nul", b"[" * 300 + b"]" * 300, b'{"":' * 190 + b"1" + b"}" * 190,
    b'{"":' * 210 + b"1" + b"}" * 210, b'{"":' * 900 + b"1" + b"}" * 900, b'"\n"', b'"\x00"', b'"\xff"',
    b'"\xed\xa0\x80"',
    b'"\\ud800"', b'"\\u0000"', b'"x" ,', b'"type":1', b"{} {}", b'{"type":"a","type":"b"}',
]  # fmt: skip


@pytest.mark.parametrize("number", NUMBERS, ids=lambda number: str(number[:12]))
@pytest.mark.parametrize("pointer", ["/data/revision", "/data/benefit/amount", "/data/extra", "/extra", "/subject"])
def test_both_ways_in_read_the_same_json(number: bytes, pointer: str) -> None:
    alike(json.dumps(put(good(TYPES[2]), pointer, 424242)).encode().replace(b"424242", number))


@pytest.mark.parametrize("name", ["type", "id", "nik", "revision", "data", "kk", "specversion"])
def test_the_last_of_two_equal_keys_counts_for_both(name: str) -> None:
    text = json.dumps(good(TYPES[2])).encode()
    key = f'"{name}": '.encode()
    for odd in (b'"nonsense"', b"7", b"null", b'"tepat.payout.cancelled.v1"', b"{}"):
        alike(text.replace(key, key + odd + b", " + key))
        alike(text[:-1] + b", " + key + odd + b"}")


GOOD = json.dumps(good(TYPES[2])).encode()


@settings(max_examples=600, deadline=None)
@given(st.integers(0, len(GOOD)), st.integers(0, 3), st.binary(max_size=3) | st.sampled_from([b'"', b"}", b",", b" "]))
def test_both_ways_in_say_the_same_of_any_bytes(at: int, gone: int, instead: bytes) -> None:
    alike(GOOD[:at] + instead + GOOD[at + gone :])


def test_what_the_contract_knows_the_express_way_reads() -> None:
    for type_name, event in inbound(Kind.PAYOUTS).items():
        if type_name == "tepat.source.complete.v1":
            continue
        struct = next(s for s in express.PayoutEvent.__args__ if s.__struct_config__.tag == type_name)
        names = {field.encode_name for field in msgspec.structs.fields(struct)}
        assert names | {"type"} == set(event.__annotations__) | {"type"}
