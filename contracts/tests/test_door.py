"""The door: each reason, the order of judgement, both modes, and that nothing a sender can write gets past or out."""

import copy
import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tepat_contracts import examples
from tepat_contracts.door import Door, Kind, Reason, Refused, Rejection, canonical
from tepat_contracts.envelope import CONTENT_TYPE
from tepat_contracts.events import inbound
from tepat_contracts.policy import PolicyIndex, from_document

Event = dict[str, Any]
Judge = Callable[..., Rejection | None]
AGENCY = examples.AGENCY
MIB = 1024 * 1024
KIND_OF = {type_name: kind for kind in Kind for type_name in inbound(kind)}


def put(event: Event, pointer: str, value: Any) -> Event:
    """The event with the value at the pointer, or without the field where the value is `...`."""
    event = copy.deepcopy(event)
    *above, last = pointer.split("/")[1:]
    part: Any = event
    for name in above:
        part = part[int(name) if isinstance(part, list) else name]
    key = int(last) if isinstance(part, list) else last
    if value is ...:
        del part[key]
    else:
        part[key] = value
    return event


def told(rejection: Rejection | None) -> tuple[str, str | None] | None:
    return None if rejection is None else (rejection.reason.value, rejection.pointer)


def binary(event: Event) -> tuple[bytes, list[tuple[str, bytes]]]:
    headers = [(f"ce_{name}", str(value).encode()) for name, value in event.items() if name != "data"]
    return orjson.dumps(event["data"]), [("content-type", b"application/json"), *headers]


# --- what is taken ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("type_name", examples.INBOUND_DATA)
def test_every_example_is_taken_in_both_modes(type_name: str, policy: PolicyIndex) -> None:
    agency = "himbara-bpnt" if type_name == "tepat.payout.disbursed.v1" else AGENCY
    event = examples.inbound(type_name, source=f"urn:tepat:agency:{agency}", subject="s")
    door: Door[Any] = Door(KIND_OF[type_name])
    structured = door.admit(orjson.dumps(event), [], agency, policy)
    value, headers = binary(event)
    by_headers = door.admit(value, headers, agency, policy)
    assert by_headers.pop("datacontenttype") == "application/json"
    assert structured == by_headers
    assert structured["type"] == type_name
    assert structured["time"] == datetime(2026, 1, 5, 1, tzinfo=UTC)


def test_a_payout_comes_out_as_it_is_used(policy: PolicyIndex, payout: Event) -> None:
    payout["traceparent"] = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    payout["data"] |= {"unknown": 1, "covers": payout["data"]["covers"] | {"note": "x"}}
    event = Door(Kind.PAYOUTS).admit(orjson.dumps(payout), [], AGENCY, policy)
    assert event["type"] == "tepat.payout.planned.v1"
    assert event["data"]["covers"] == {"from": date(2026, 1, 1), "to": date(2026, 3, 31)}
    assert "unknown" not in event["data"]
    assert event["traceparent"] == payout["traceparent"]


def test_unknown_fields_may_hold_anything(judge: Judge, payout: Event) -> None:
    payout |= {"extension": {"a": [1.5, 2**70, "x\u0000"]}}
    payout["data"]["extra"] = {"nik": "not one", "deep": [[[[1e300]]]]}
    assert judge(payout) is None


def test_null_means_absent(judge: Judge, payout: Event) -> None:
    for pointer in ("/data/recipient/kk", "/data/recipient/birth_date", "/data/tranche", "/subject", "/traceparent"):
        assert judge(put(payout, pointer, None)) is None, pointer
    for pointer in ("/data/recipient/nik", "/data/revision", "/id", "/time", "/data", "/type", "/specversion"):
        assert told(judge(put(payout, pointer, None))) == ("schema", pointer), pointer


def test_the_last_of_two_equal_keys_counts(judge: Judge, payout: Event) -> None:
    text = orjson.dumps(payout)
    amount = b'"amount":750000'
    assert judge(text.replace(amount, b'"amount":"x",' + amount)) is None
    assert told(judge(text.replace(amount, amount + b',"amount":"x"'))) == ("schema", "/data/benefit/amount")
    kind = b'"type":"tepat.payout.planned.v1"'
    assert judge(text.replace(kind, b'"type":"nonsense",' + kind)) is None
    assert told(judge(text.replace(kind, kind + b',"type":"nonsense"'))) == ("unknown_type", "/type")
    nik = b'"nik":"%s"' % examples.NIK.encode()
    assert told(judge(text.replace(nik, nik + b',"nik":"1"'))) == ("nik_invalid", "/data/recipient/nik")


def test_a_malformed_traceparent_is_ignored(policy: PolicyIndex, payout: Event) -> None:
    oddities: list[Any] = ["00-x", 7, {"a": ["\u0000"]}, [], "\u0000", True]
    for odd in oddities:
        payout["traceparent"] = odd
        event = Door(Kind.PAYOUTS).admit(orjson.dumps(payout), [], AGENCY, policy)
        assert "traceparent" not in event


def test_cancelled_and_returned_need_three_fields_and_look_at_no_other(judge: Judge) -> None:
    for state in ("cancelled", "returned"):
        event = examples.inbound(f"tepat.payout.{state}.v1")
        assert set(event["data"]) == {"payout_id", "revision", "reason"}
        event["data"] |= {"recipient": {"nik": "wrong"}, "programme": "NONE", "region": 5, "covers": "x"}
        assert judge(event) is None
        for name in ("payout_id", "revision", "reason"):
            assert told(judge(put(event, f"/data/{name}", ...))) == ("schema", f"/data/{name}")


def test_a_card_may_be_renewed_into_nothing(judge: Judge) -> None:
    event = examples.inbound("tepat.household.renewed.v1")
    assert judge(put(event, "/data/into_kk", None), Kind.BENEFICIARIES) is None
    assert judge(put(event, "/data/into_kk", ...), Kind.BENEFICIARIES) is None


def test_a_membership_may_end_before_it_begins(judge: Judge) -> None:
    event = put(examples.inbound("tepat.person.recorded.v1"), "/data/until", "2001-01-01")
    assert judge(event, Kind.BENEFICIARIES) is None


@pytest.mark.parametrize("kind", Kind)
def test_any_kind_takes_a_sign_of_life(kind: Kind, judge: Judge) -> None:
    assert judge(examples.inbound("tepat.source.complete.v1"), kind) is None


# --- malformed --------------------------------------------------------------------------------------------------

GOOD = orjson.dumps(examples.inbound("tepat.payout.planned.v1"))


def with_extra(value: bytes) -> bytes:
    return GOOD[:-1] + b',"extra":' + value + b"}"


@pytest.mark.parametrize(
    "value",
    [
        None,
        b"",
        b" ",
        b"{",
        b"nonsense",
        GOOD + b"x",
        GOOD[:-1],
        b"\xef\xbb\xbf" + GOOD,
        GOOD.decode().encode("utf-16"),
        GOOD.replace(b"Siti", b"S\xefti"),
        with_extra(b'"\xff"'),
        with_extra(b'"\xed\xa0\x80"'),
        with_extra(b"NaN"),
        with_extra(b"[1,NaN]"),
        with_extra(b"Infinity"),
        with_extra(b"-Infinity"),
        GOOD.replace(b"750000", b"NaN"),
        GOOD.replace(b"750000", b"Infinity"),
        with_extra(b'"\\ud800"'),
        with_extra(b'"\\udc00\\ud800"'),
        with_extra(b'"tab\tin text"'),
        with_extra(b"\x00"),
        with_extra(b"01"),
        with_extra(b"'x'"),
        with_extra(b"1,"),
        with_extra(b"[" * 10_000 + b"]" * 10_000),
        with_extra(b'{"a":' * 10_000 + b"1" + b"}" * 10_000),
        with_extra(b"[" * 100_000),
        b"[" * 1_000_000,
        b"9" * 10_000,
    ],
)
def test_malformed(value: bytes | None, judge: Judge) -> None:
    for headers in (
        [],
        [("content-type", CONTENT_TYPE.encode())],
        binary(examples.inbound("tepat.payout.planned.v1"))[1],
    ):
        assert told(judge(value, headers=headers)) == ("malformed", None)


def test_words_that_look_like_numbers_are_fine_in_text(judge: Judge, payout: Event) -> None:
    assert judge(put(payout, "/data/recipient/name", "NaN Infinity -Infinity \\u0000")) is None


def test_a_mebibyte_is_taken_and_one_byte_more_is_not(judge: Judge, payout: Event) -> None:
    def of_size(size: int) -> bytes:
        padded = put(payout, "/data/recipient/name", "")
        return orjson.dumps(put(payout, "/data/recipient/name", "x" * (size - len(orjson.dumps(padded)))))

    assert len(of_size(MIB)) == MIB
    assert judge(of_size(MIB)) is None
    assert told(judge(of_size(MIB + 1))) == ("malformed", None)


@pytest.mark.parametrize("value", [b"[]", b"1", b"null", b'"x"', b"true"])
def test_json_that_is_no_object_misses_everything(value: bytes, judge: Judge) -> None:
    assert told(judge(value)) == ("schema", "")


# --- schema -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pointer", "value"),
    [
        ("/specversion", "0.3"),
        ("/specversion", 1.0),
        ("/id", ""),
        ("/id", "x" * 129),
        ("/id", 5),
        ("/id", "a\u0000b"),
        ("/source", 5),
        ("/type", 5),
        ("/time", "2026-01-05"),
        ("/time", 1767600000),
        ("/time", "1767600000"),
        ("/time", "2026-01-05T08:00:00"),
        ("/time", "2026-01-05T08:00:00.1234567Z"),
        ("/time", "2026-01-05T08:00:60Z"),
        ("/time", "0000-01-05T08:00:00Z"),
        ("/time", "9999-12-31T23:59:59-01:00"),
        ("/time", "0001-01-01T00:00:00+01:00"),
        ("/subject", 5),
        ("/subject", "\u0000"),
        ("/datacontenttype", []),
        ("/dataschema", {}),
        ("/data", []),
        ("/data", "text"),
        ("/data/payout_id", ""),
        ("/data/payout_id", "x" * 65),
        ("/data/payout_id", "a|b"),
        ("/data/payout_id", "é"),
        ("/data/payout_id", "a\n"),
        ("/data/payout_id", "a\u007f"),
        ("/data/payout_id", 5),
        ("/data/revision", "0"),
        ("/data/revision", -1),
        ("/data/revision", 1.0),
        ("/data/revision", True),
        ("/data/programme", 5),
        ("/data/covers", ...),
        ("/data/covers/from", ...),
        ("/data/covers/from", "2026-1-1"),
        ("/data/covers/from", "0000-01-01"),
        ("/data/covers/to", "2026-02-30"),
        ("/data/covers/to", "2026-03-31T00:00:00Z"),
        ("/data/covers/to", 20260331),
        ("/data/recipient", "x"),
        ("/data/recipient/nik", ...),
        ("/data/recipient/nik", 3374015508950001),
        ("/data/recipient/kk", 3374015508950001),
        ("/data/recipient/name", 5),
        ("/data/recipient/name", "Si\u0000ti"),
        ("/data/recipient/birth_date", "15/08/1995"),
        ("/data/benefit/kind", "gold"),
        ("/data/benefit/kind", 1),
        ("/data/benefit/amount", "750000"),
        ("/data/benefit/amount", 750000.0),
        ("/data/benefit/amount", -1),
        ("/data/benefit/amount", False),
        ("/data/benefit/quantity", "10"),
        ("/data/benefit/quantity", True),
        ("/data/benefit/unit", 5),
        ("/data/region", "3374"),
        ("/data/region", "33.74.1"),
        ("/data/region", "33.74.01.1001\n"),
        ("/data/region", "٣٣"),
        ("/data/region", 33.74),
        ("/data/tranche", 5),
    ],
)
def test_a_wrong_value_is_told_with_its_field(pointer: str, value: Any, judge: Judge, payout: Event) -> None:
    found = judge(put(payout, pointer, value))
    assert told(found) == ("schema", pointer)
    assert found is not None
    assert found.event_id == (None if pointer == "/id" else payout["id"])


def test_integers_are_of_64_bits(judge: Judge, payout: Event) -> None:
    for pointer in ("/data/revision", "/data/benefit/amount"):
        assert judge(put(payout, pointer, 2**63 - 1)) is None
        text = orjson.dumps(put(payout, pointer, 424242)).replace(b"424242", str(2**63).encode())
        assert told(judge(text)) == ("schema", pointer)


def test_a_quantity_is_finite(judge: Judge, payout: Event) -> None:
    text = orjson.dumps(put(payout, "/data/benefit/quantity", 424242))
    assert judge(text.replace(b"424242", b"2.5")) is None
    assert told(judge(text.replace(b"424242", b"1e999"))) == ("schema", "/data/benefit/quantity")
    assert told(judge(text.replace(b"424242", b"-1"))) == ("schema", "/data/benefit/quantity")


def test_dates_reach_from_year_1_to_9999(judge: Judge, payout: Event) -> None:
    event = put(put(payout, "/data/covers/from", "0001-01-01"), "/data/covers/to", "9999-12-31")
    assert judge(event) is None
    assert judge(put(payout, "/time", "9999-12-31T23:59:59.999999Z")) is None
    assert judge(put(payout, "/time", "0001-01-01T00:00:00Z")) is None


@pytest.mark.parametrize(
    ("type_name", "pointer", "value"),
    [
        ("tepat.person.recorded.v1", "/data/sex", "M"),
        ("tepat.person.recorded.v1", "/data/attributes", ...),
        ("tepat.person.recorded.v1", "/data/attributes/decile", 11),
        ("tepat.person.recorded.v1", "/data/attributes/decile", 0),
        ("tepat.person.recorded.v1", "/data/attributes/decile", 2.0),
        ("tepat.person.recorded.v1", "/data/attributes/disability", "true"),
        ("tepat.person.recorded.v1", "/data/attributes/ppks/0", "nobody"),
        ("tepat.person.recorded.v1", "/data/attributes/school_level", "S1"),
        ("tepat.person.recorded.v1", "/data/relation", "uncle"),
        ("tepat.person.recorded.v1", "/data/since", ...),
        ("tepat.person.recorded.v1", "/data/kk", ...),
        ("tepat.institution.recorded.v1", "/data/active", "yes"),
        ("tepat.institution.recorded.v1", "/data/regions/0", "x"),
        ("tepat.institution.recorded.v1", "/data/contact", 5),
        ("tepat.institution.recorded.v1", "/data/contact", {"a": "\u0000"}),
        ("tepat.report.filed.v1", "/data/kind", "earthquake"),
        ("tepat.report.filed.v1", "/data/filed_by/role", "minister"),
        ("tepat.report.filed.v1", "/data/people/0/name", ...),
        ("tepat.report.filed.v1", "/data/people/0/note", "a\u0000"),
        ("tepat.report.filed.v1", "/data/households", -1),
        ("tepat.report.filed.v1", "/data/report_id", "x" * 129),
        ("tepat.report.answered.v1", "/data/outcome", "forgotten"),
        ("tepat.verification.recorded.v1", "/data/outcome", "maybe"),
        ("tepat.verification.recorded.v1", "/data/answers", []),
        ("tepat.verification.recorded.v1", "/data/answers", {"a": [{"b": "\u0000"}]}),
        ("tepat.verification.recorded.v1", "/data/answers", {"\u0000": 1}),
        ("tepat.verification.recorded.v1", "/data/answers", {"a": 2**63}),
        ("tepat.verification.recorded.v1", "/data/evidence/0/sha256", "abc"),
        ("tepat.verification.recorded.v1", "/data/evidence/0/kind", "video"),
        ("tepat.verification.listed.v1", "/data/batch", ...),
        ("tepat.verification.listed.v1", "/data/batch", "x" * 129),
        ("tepat.verification.listed.v1", "/data/listed_on", "02/01/2026"),
        ("tepat.objection.filed.v1", "/data/evidence", ...),
        ("tepat.objection.filed.v1", "/data/evidence", []),
        ("tepat.objection.filed.v1", "/data/evidence/0/kind", "letter"),
        ("tepat.objection.filed.v1", "/data/evidence/0/sha256", "abc"),
        ("tepat.objection.filed.v1", "/data/coordinates", ...),
        ("tepat.objection.filed.v1", "/data/coordinates/lat", 110.4),
        ("tepat.objection.filed.v1", "/data/coordinates/lon", "110.4"),
        ("tepat.objection.filed.v1", "/data/region", "33.74.01"),
        ("tepat.objection.filed.v1", "/data/programme", ...),
        ("tepat.objection.filed.v1", "/data/grounds", "unfair"),
        ("tepat.objection.filed.v1", "/data/filed_by/role", "minister"),
        ("tepat.source.complete.v1", "/data/kind", "reports"),
        ("tepat.source.complete.v1", "/data/through", ...),
        ("tepat.persons.merged.v1", "/data/into_nik", ...),
        ("tepat.persons.merged.v1", "/data/decided_by", 5),
        ("tepat.persons.unmerged.v1", "/data/from_nik", ...),
    ],
)
def test_the_other_kinds_too(type_name: str, pointer: str, value: Any, judge: Judge) -> None:
    event = examples.inbound(type_name)
    assert judge(event, KIND_OF[type_name]) is None
    assert told(judge(put(event, pointer, value), KIND_OF[type_name])) == ("schema", pointer)


def test_answers_keep_their_own_shape(policy: PolicyIndex) -> None:
    answers = {"a": [1, 2.5, None, True, {"b": "x"}], "c": -(2**63)}
    event = put(examples.inbound("tepat.verification.recorded.v1"), "/data/answers", answers)
    admitted: Any = Door(Kind.VERIFICATIONS).admit(json.dumps(event).encode(), [], AGENCY, policy)
    assert admitted["data"]["answers"] == answers
    wide = json.dumps(put(event, "/data/answers", {"a": 424242})).replace("424242", "1e999").encode()
    with pytest.raises(Refused):
        Door(Kind.VERIFICATIONS).admit(wide, [], AGENCY, policy)


# --- the other reasons ------------------------------------------------------------------------------------------


def test_a_type_belongs_to_its_kind(judge: Judge, payout: Event) -> None:
    assert told(judge(payout, Kind.BENEFICIARIES)) == ("unknown_type", "/type")
    assert told(judge(put(payout, "/type", "tepat.payout.planned.v2"))) == ("unknown_type", "/type")
    assert told(judge(put(payout, "/type", "tepat.overlap.detected.v1"))) == ("unknown_type", "/type")


def test_an_agency_speaks_for_itself(judge: Judge, payout: Event) -> None:
    for source in (
        "urn:tepat:agency:himbara-bpnt",
        "urn:tepat:service:registry",
        "x",
        AGENCY,
        f"urn:tepat:agency:{AGENCY} ",
    ):
        assert told(judge(put(payout, "/source", source))) == ("source_mismatch", "/source"), source
    assert told(judge(payout, agency="himbara-bpnt")) == ("source_mismatch", "/source")


def test_an_agency_must_be_in_the_policy(judge: Judge, payout: Event) -> None:
    stranger = put(payout, "/source", "urn:tepat:agency:stranger")
    assert told(judge(stranger, agency="stranger")) == ("agency_unknown", "/source")


def test_every_nik_and_kk_is_looked_at(judge: Judge) -> None:
    places = [
        ("tepat.payout.planned.v1", "/data/recipient/nik", Reason.NIK_INVALID),
        ("tepat.payout.planned.v1", "/data/recipient/kk", Reason.KK_INVALID),
        ("tepat.person.recorded.v1", "/data/nik", Reason.NIK_INVALID),
        ("tepat.person.recorded.v1", "/data/kk", Reason.KK_INVALID),
        ("tepat.persons.merged.v1", "/data/from_nik", Reason.NIK_INVALID),
        ("tepat.persons.merged.v1", "/data/into_nik", Reason.NIK_INVALID),
        ("tepat.persons.unmerged.v1", "/data/from_nik", Reason.NIK_INVALID),
        ("tepat.household.renewed.v1", "/data/from_kk", Reason.KK_INVALID),
        ("tepat.household.renewed.v1", "/data/into_kk", Reason.KK_INVALID),
        ("tepat.person.erased.v1", "/data/nik", Reason.NIK_INVALID),
        ("tepat.report.filed.v1", "/data/people/0/nik", Reason.NIK_INVALID),
        ("tepat.verification.listed.v1", "/data/nik", Reason.NIK_INVALID),
        ("tepat.verification.recorded.v1", "/data/nik", Reason.NIK_INVALID),
        ("tepat.objection.filed.v1", "/data/nik", Reason.NIK_INVALID),
    ]
    for type_name, pointer, reason in places:
        for wrong in ("", "123", "3374011203100000", "9974015508950001", "3374015508950001 "):
            event = put(examples.inbound(type_name), pointer, wrong)
            assert told(judge(event, KIND_OF[type_name])) == (reason, pointer), (type_name, pointer, wrong)


def test_a_period_may_be_one_day_but_not_run_backwards(judge: Judge, payout: Event) -> None:
    assert judge(put(payout, "/data/covers/to", "2026-01-01")) is None
    assert told(judge(put(payout, "/data/covers/to", "2025-12-31"))) == ("covers_inverted", "/data/covers")


def test_programmes_are_the_agencys_own(judge: Judge, payout: Event) -> None:
    for type_name in ("tepat.payout.planned.v1", "tepat.source.complete.v1", "tepat.verification.recorded.v1"):
        event, kind = examples.inbound(type_name), KIND_OF[type_name]
        not_own = put(event, "/data/programme", "BPNT")
        assert told(judge(not_own, kind)) == ("not_permitted", "/data/programme")
        assert told(judge(put(event, "/data/programme", "NONE"), kind)) == ("programme_unknown", "/data/programme")
        assert told(judge(put(event, "/data/programme", ""), kind)) == ("programme_unknown", "/data/programme")
    for type_name in ("tepat.source.complete.v1", "tepat.verification.recorded.v1"):
        assert judge(put(examples.inbound(type_name), "/data/programme", ...), KIND_OF[type_name]) is None


def test_a_programme_the_policy_lacks_is_unknown_though_an_agency_lists_it(
    judge: Judge, payout: Event, policy: PolicyIndex
) -> None:
    document = policy.policy.document()
    without = [each for each in document["programmes"] if each["code"] != payout["data"]["programme"]]
    index = PolicyIndex(from_document(document | {"programmes": without}))
    assert told(judge(payout, policy=index)) == ("programme_unknown", "/data/programme")


def test_merging_and_erasing_need_the_right(judge: Judge) -> None:
    for type_name in (
        "tepat.persons.merged.v1",
        "tepat.persons.unmerged.v1",
        "tepat.household.renewed.v1",
        "tepat.person.erased.v1",
    ):
        event = examples.inbound(type_name, source="urn:tepat:agency:himbara-bpnt")
        assert told(judge(event, Kind.BENEFICIARIES, "himbara-bpnt")) == ("not_permitted", "/type")
    person = examples.inbound("tepat.person.recorded.v1", source="urn:tepat:agency:himbara-bpnt")
    assert judge(person, Kind.BENEFICIARIES, "himbara-bpnt") is None


def test_areas_must_be_on_the_list_or_in_the_policy(judge: Judge, policy: PolicyIndex) -> None:
    for type_name, pointer in (
        ("tepat.payout.planned.v1", "/data/region"),
        ("tepat.person.recorded.v1", "/data/region"),
        ("tepat.institution.recorded.v1", "/data/regions/0"),
        ("tepat.report.filed.v1", "/data/region"),
        ("tepat.verification.listed.v1", "/data/region"),
        ("tepat.verification.recorded.v1", "/data/region"),
        ("tepat.objection.filed.v1", "/data/region"),
    ):
        event, kind = put(examples.inbound(type_name), pointer, "33.74.01.1999"), KIND_OF[type_name]
        assert told(judge(event, kind)) == ("region_unknown", pointer)
        added = PolicyIndex(
            from_document(policy.policy.document() | {"regions": [{"code": "33.74.01.1999", "name": "Baru"}]})
        )
        assert judge(event, kind, policy=added) is None
        for code in ("33", "33.74", "33.74.01", "96") if "objection" not in type_name else ():
            assert judge(put(event, pointer, code), kind) is None


ORDER: list[tuple[str, str, Any, str]] = [
    ("/id", "/id", "", "schema"),
    ("/type", "/type", "tepat.nothing.v1", "unknown_type"),
    ("/source", "/source", "urn:tepat:agency:himbara-bpnt", "source_mismatch"),
    ("/data/revision", "/data/revision", -1, "schema"),
    ("/data/recipient/nik", "/data/recipient/nik", "1", "nik_invalid"),
    ("/data/recipient/kk", "/data/recipient/kk", "1", "kk_invalid"),
    ("/data/covers/to", "/data/covers", "2000-01-01", "covers_inverted"),
    ("/data/programme", "/data/programme", "NONE", "programme_unknown"),
    ("/data/region", "/data/region", "99", "region_unknown"),
]


def test_the_first_reason_in_order_is_the_one_told(judge: Judge, payout: Event) -> None:
    spoiled = payout
    for at, pointer, value, reason in reversed(ORDER):
        spoiled = put(spoiled, at, value)
        assert told(judge(spoiled)) == (reason, pointer)
    assert told(judge(orjson.dumps(spoiled) + b"x")) == ("malformed", None)


def test_a_time_out_of_range_is_of_the_envelope(judge: Judge, payout: Event) -> None:
    late = put(put(payout, "/time", "9999-12-31T23:59:59-01:00"), "/data/revision", -1)
    assert told(judge(late)) == ("schema", "/time")


def test_an_unknown_agency_is_told_before_its_data(judge: Judge, payout: Event) -> None:
    stranger = put(put(payout, "/source", "urn:tepat:agency:stranger"), "/data/revision", -1)
    assert told(judge(stranger, agency="stranger")) == ("agency_unknown", "/source")
    assert told(judge(put(stranger, "/type", "x"), agency="stranger")) == ("unknown_type", "/type")


# --- modes ------------------------------------------------------------------------------------------------------


def test_structured_is_known_by_content_or_by_header(judge: Judge, payout: Event) -> None:
    value = orjson.dumps(payout)
    for header in (b"application/json", CONTENT_TYPE.encode(), b"APPLICATION/CloudEvents+JSON; charset=utf-8", b"\xff"):
        assert judge(value, headers=[("content-type", header)]) is None
    _, odd = binary(put(payout, "/type", "tepat.payout.returned.v1"))
    assert judge(value, headers=odd) is None
    data, headers = binary(payout)
    structured = [("content-type", CONTENT_TYPE.encode()), *headers[1:]]
    assert told(judge(data, headers=structured)) == ("schema", "/specversion")
    assert told(judge(data)) == ("schema", "/specversion")


def test_binary_mode_is_judged_alike(judge: Judge, payout: Event) -> None:
    for at, pointer, value, reason in ORDER:
        record, headers = binary(put(payout, at, value))
        assert told(judge(record, headers=headers)) == (reason, pointer)
    record, headers = binary(payout)
    assert told(judge(record, headers=[h for h in headers if h[0] != "ce_time"])) == ("schema", "/time")
    assert told(judge(record, headers=[*headers, ("ce_subject", b"a\x00b")])) == ("schema", "/subject")
    assert told(judge(record, headers=[*headers, ("ce_id", b"\xff")])) == ("malformed", None)
    assert told(judge(b"[]", headers=headers)) == ("schema", "/data")
    assert told(judge(b"null", headers=headers)) == ("schema", "/data")
    assert judge(record, headers=[("ce_id", b""), *headers]) is None
    assert judge(record, headers=[*headers, ("other", b"\xff"), ("ce_x", None)]) is None


# --- what is said -----------------------------------------------------------------------------------------------


def test_a_rejection_says_what_to_do_in_two_languages_and_no_number(judge: Judge, payout: Event) -> None:
    event = put(put(payout, "/data/recipient/nik", "3374015508959999x"), "/data/recipient/name", "Siti Rahasia")
    value = orjson.dumps(event)
    with pytest.raises(Refused) as caught:
        Door(Kind.PAYOUTS).admit(value, [], AGENCY, PolicyIndex(from_document(
            {"version": "1", "agencies": [{"id": AGENCY, "name": "x", "programmes": []}], "programmes": [],
             "overlap_rules": []})))  # fmt: skip
    rejection = caught.value.rejection
    assert str(caught.value) == "nik_invalid /data/recipient/nik"
    assert caught.value.__cause__ is None
    assert " / " in rejection.message
    assert "337401" not in f"{rejection} {caught.value!r}"


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["", "\0", "3374015508950001"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def pointers(part: Any, at: str = "") -> list[str]:
    found = [at] if at else []
    items = part.items() if isinstance(part, dict) else enumerate(part) if isinstance(part, list) else ()
    for name, value in items:
        found += pointers(value, f"{at}/{name}")
    return found


SPOILED = st.sampled_from(sorted(examples.INBOUND_DATA)).flatmap(
    lambda type_name: st.tuples(
        st.just(type_name), st.sampled_from(pointers(examples.inbound(type_name))), JSON | st.just(...)
    )
)


def texts(part: Any) -> list[str]:
    if isinstance(part, str):
        return [part]
    items = [*part, *part.values()] if isinstance(part, dict) else part if isinstance(part, list) else ()
    return [text for item in items for text in texts(item)]


def _harmless(refused: Refused) -> None:
    rejection = refused.rejection
    assert rejection.reason in Reason
    assert examples.NIK not in f"{refused} {rejection.message} {rejection.pointer}"
    assert rejection.pointer is None or rejection.pointer == "" or rejection.pointer.startswith("/")


@settings(max_examples=400, deadline=None)
@given(SPOILED, st.booleans())
def test_no_value_anywhere_does_harm(spoiled: tuple[str, str, Any], in_headers: bool) -> None:
    type_name, pointer, value = spoiled
    event = put(examples.inbound(type_name), pointer, value)
    record, headers = json.dumps(event).encode(), list[tuple[str, bytes]]()
    if in_headers and isinstance(event.get("data"), dict):
        record, headers = json.dumps(event["data"]).encode(), [
            (f"ce_{name}", str(part).encode("utf-8", "surrogatepass")) for name, part in event.items() if name != "data"
        ]  # fmt: skip
    try:
        admitted = FUZZED[KIND_OF[type_name]].admit(record, headers, AGENCY, FUZZ_POLICY)
    except Refused as refused:
        _harmless(refused)
    else:
        assert not any("\0" in text for text in texts(admitted))
        orjson.dumps(admitted["data"])
        assert json.loads(canonical(record, headers)) == event["data"]


@settings(max_examples=300, deadline=None)
@given(
    st.binary(max_size=300)
    | st.builds(lambda a, b: GOOD[:a] + b + GOOD[a:], st.integers(0, len(GOOD)), st.binary(max_size=4)),
    st.lists(
        st.tuples(st.sampled_from(["content-type", "ce_id", "ce_specversion", "ce_type", "x"]), st.binary(max_size=12))
    ),
)
def test_no_bytes_raise_anything_but_refused(value: bytes, headers: list[tuple[str, bytes]]) -> None:
    try:
        FUZZED[Kind.PAYOUTS].admit(value, headers, AGENCY, FUZZ_POLICY)
    except Refused as refused:
        _harmless(refused)


FUZZED: dict[Kind, Door[Any]] = {kind: Door(kind) for kind in Kind}
FUZZ_POLICY = PolicyIndex(
    from_document(
        {
            "version": "1",
            "agencies": [{"id": AGENCY, "name": "x", "programmes": ["PKH", "BPNT"], "rights": ["merge"]}],
            "programmes": [{"code": "PKH", "name": {"id": "a", "en": "b"}, "unit": "household"}],
            "overlap_rules": [],
        }
    )
)


# --- the tie rule -----------------------------------------------------------------------------------------------


def test_canonical_data_is_sorted_bare_and_not_escaped(payout: Event) -> None:
    payout["data"] = {"b": "é\u0000", "a": [1, 2.5, {"z": None, "y": 2**70}], "é": True}
    assert canonical(json.dumps(payout).encode(), []) == (
        '{"a":[1,2.5,{"y":1180591620717411303424,"z":null}],"b":"é\\u0000","é":true}'
    )


@pytest.mark.parametrize("number", ["9" * 4300, "-" + "9" * 4300, "1e999", "-0.0", "1E5", "1" * 308 + ".5"])
def test_canonical_data_can_be_made_of_whatever_was_taken(number: str, judge: Judge, payout: Event) -> None:
    value = json.dumps(put(payout, "/data/extra", 424242)).replace("424242", number).encode()
    assert judge(value) is None
    assert json.loads(canonical(value, []))["extra"] == json.loads(number)


def test_a_number_no_reader_holds_is_malformed(judge: Judge, payout: Event) -> None:
    value = json.dumps(put(payout, "/data/extra", 424242)).replace("424242", "9" * 4301).encode()
    assert told(judge(value)) == ("malformed", None)


def test_canonical_data_is_of_the_raw_record_in_either_mode(payout: Event) -> None:
    payout["data"]["unknown"] = {"x": 1}
    value, headers = binary(payout)
    structured = canonical(orjson.dumps(payout), [])
    assert canonical(value, headers) == structured
    assert '"unknown":{"x":1}' in structured
    assert canonical(json.dumps(payout, indent=2).encode(), []) == structured
    assert canonical(b'{"specversion":"1.0","data":{"a":1,"a":2}}', []) == '{"a":2}'
