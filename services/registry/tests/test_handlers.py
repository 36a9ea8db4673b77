"""What the door lets in, as rows."""

import json
from datetime import date
from typing import Any

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tepat_chassis.pseudonyms import Pseudonyms, as_uuid
from tepat_chassis.quarantine import Record
from tepat_contracts.door import Refused, canonical
from tepat_contracts.envelope import trace_id
from tepat_contracts.policy import PolicyIndex, from_document
from tepat_contracts.topics import Kind as TopicKind
from tepat_registry.domain import Fact, Kind, Link, Statement
from tepat_registry.handlers import Intake, InUse, data_of

from .conftest import NOW, SECRET, answered, event, institution, merged, number, policy, recorded, renewed

IN_USE = InUse(PolicyIndex(from_document(policy())), Pseudonyms(SECRET), frozenset())
TOPIC = "agency.dinsos.beneficiaries.v1"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text() | st.just("e-1"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip


def record(told: dict[str, Any] | bytes, headers: tuple[tuple[str, bytes], ...] = ()) -> Record:
    return Record(TOPIC, 3, 7, 0, told if isinstance(told, bytes) else orjson.dumps(told), headers)


def admit(told: dict[str, Any], kind: TopicKind = TopicKind.BENEFICIARIES) -> Fact | Link | Statement:
    return Intake(kind, None, lambda: NOW).admit(record(told), "dinsos", IN_USE)  # type: ignore[arg-type]


@given(st.dictionaries(st.text(), JSON, max_size=4), st.booleans())
@example({"x": 1e-5}, True)
@example({"x": 2**64}, True)
@example({"x": 1e16, "\U0001f600": '\0\x1f\x7f\u2028/\\"', "\uffff": -0.0}, True)
def test_data_is_canonical_as_the_door_has_it(data: dict[str, Any], ascii: bool) -> None:  # noqa: A002
    value = json.dumps({"specversion": "1.0", "data": data}, ensure_ascii=ascii).encode("utf-8", "replace")
    assert data_of(record(value)) == canonical(value, ())


def test_data_of_binary_mode_is_the_whole_value() -> None:
    headers = (("ce_specversion", b"1.0"),)
    assert data_of(record(b'{"b":1,"a":{"data":2}, "data": 3}', headers)) == '{"a":{"data":2},"b":1,"data":3}'
    assert data_of(record(b'{"specversion":null,"a":1e999}', headers)) == '{"a":Infinity,"specversion":null}'


def test_a_person_becomes_a_fact() -> None:
    told = recorded(number(1), number(2), until="2021-01-01", birth_date="1990-03-01", _id="e", colour="red")
    row = admit(told)
    assert isinstance(row, Fact)
    assert row[:6] == (
        int(number(1)), as_uuid(Pseudonyms(SECRET).nik(number(1))), "dinsos", date(2020, 1, 1), date(2021, 1, 1),
        as_uuid(Pseudonyms(SECRET).kk(number(2))),
    )  # fmt: skip
    assert (row.event_id, row.partition, row.offset, row.warnings) == ("e", 3, 7, "birth_date")
    assert '"colour":"red"' in row.data
    assert trace_id(row.trace) is not None


@pytest.mark.parametrize(
    ("told", "warnings"),
    [
        ({"birth_date": "1990-02-01"}, None),
        ({"birth_date": "1990-02-01", "name": "   "}, "name"),
        ({"birth_date": "1990-02-01", "name": "Tanpa nama"}, "name"),
        ({"birth_date": "2090-02-01"}, "unborn"),
        ({"birth_date": "2090-02-01", "_time": "2090-01-31T16:59:59Z"}, "unborn"),
        ({"birth_date": "2090-02-01", "_time": "2090-01-31T17:00:00Z"}, None),  # its first hour in Jakarta
    ],
)
def test_what_cannot_be_so_is_taken_with_a_warning(told: dict[str, Any], warnings: str | None) -> None:
    row = admit(recorded(number(1), number(2), **told))
    assert isinstance(row, Fact)
    assert row.warnings == warnings


def test_links_lead_somewhere_or_are_taken_back() -> None:
    one, other = int(number(1)), int(number(2))
    for told, wanted in (
        (merged(number(1), number(2)), (Kind.NIK, one, other)),
        (merged(number(1), None), (Kind.NIK, one, None)),
        (merged(number(1), None, into_nik=number(2)), (Kind.NIK, one, None)),  # an unmerge has no such field
        (renewed(number(1), number(2)), (Kind.KK, one, other)),
        (renewed(number(1), None), (Kind.KK, one, None)),
    ):
        row = admit(told)
        assert isinstance(row, Link)
        assert row[:3] == wanted


def test_statements_are_about_something() -> None:
    complete = event("source.complete", "dinsos", {"kind": "payouts", "programme": None, "through": "2026-01-31"})
    reports = TopicKind.REPORTS
    for row, about, revision in (
        (admit(institution("W-1", revision=4)), "W-1", 4),
        (admit(answered("R-1"), reports), "R-1", 0),
        (admit(complete), "payouts", date(2026, 1, 31).toordinal()),
    ):
        assert isinstance(row, Statement)
        assert (row.about, row.revision, row.agency) == (about, revision, "dinsos")


def test_who_may_not_merge_is_refused() -> None:
    intake = Intake(TopicKind.BENEFICIARIES, None, lambda: NOW)  # type: ignore[arg-type]
    with pytest.raises(Refused, match="not_permitted /type"):
        intake.admit(record(merged(number(1), number(2), "lsm")), "lsm", IN_USE)
