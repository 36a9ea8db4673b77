"""What a policy's rules come to, and what is said of a pair."""

import uuid
from datetime import UTC, date, datetime
from typing import Any

import pytest
from tepat_contracts.policy import from_document
from tepat_distribution import domain
from tepat_distribution.domain import Rule

from .conftest import PKH_BPNT, policy, rule

NOW = datetime(2026, 3, 1, tzinfo=UTC)
OPEN = (date.min, date.max)
AGENCIES = {1: "dinsos", 2: "himbara"}
PROGRAMMES = {7: "PKH", 8: "BPNT"}
PERSON, HOUSEHOLD, OTHER = (uuid.UUID(int=number) for number in (1, 2, 3))

Row = dict[str, Any]


# --- rules


def rules_of(*told: Row, seen: tuple[str, ...] = (), **more: Any) -> list[Rule]:
    return domain.rules(from_document(policy(*told, **more)), seen)


def test_a_rule_holds_in_both_directions() -> None:
    made = rules_of(PKH_BPNT, programmes=(), repeatable=())
    assert made == [
        Rule("BPNT", "PKH", "pkh-bpnt", False, 1, *OPEN),
        Rule("PKH", "BPNT", "pkh-bpnt", False, 1, *OPEN),
    ]


def test_a_pair_of_one_programme_is_one_rule() -> None:
    made = rules_of(rule("r", "PKH", "PKH", "person", "complementary"), programmes=())
    assert made == [Rule("PKH", "PKH", "r", True, 2, *OPEN)]


@pytest.mark.parametrize(
    ("effective", "days"),
    [
        ({}, OPEN),
        ({"from_": "2026-01-02"}, (date(2026, 1, 2), date.max)),
        ({"to": "2026-01-02"}, (date.min, date(2026, 1, 2))),
        ({"from_": "2026-01-02", "to": "2026-01-03"}, (date(2026, 1, 2), date(2026, 1, 3))),
    ],
)
def test_a_missing_end_is_open(effective: dict[str, str], days: tuple[date, date]) -> None:
    (made,) = rules_of(rule("r", "PKH", "PKH", "person", "review", **effective), programmes=())
    assert (made.starts, made.ends) == days


def test_the_rule_built_in_holds_for_every_programme_ever_seen_but_the_repeatable() -> None:
    made = rules_of(programmes=("PKH", "SB"), repeatable=("SB",), seen=("SB", "GONE"))
    assert [(r.a, r.b) for r in made] == [("GONE", "GONE"), ("PKH", "PKH")]
    assert {r[2:] for r in made} == {("same-programme-same-person", True, 0, *OPEN, None)}
    assert rules_of(programmes=("SB",), repeatable=("SB",)) == []


# --- identity


def test_the_overlap_id_is_of_both_payouts_sorted_as_tuples() -> None:
    namespace = uuid.UUID("6f0a1f0e-6a4b-5b0e-9d59-2f6f6c1f7a10")
    made = uuid.uuid5(namespace, "dinsos/b|himbara/a")
    assert domain.overlap_id("dinsos", "b", "himbara", "a") == made
    assert domain.overlap_id("himbara", "a", "dinsos", "b") == made
    # as text "a-/y" < "a/x", as tuples ("a", "x") < ("a-", "y")
    assert domain.overlap_id("a-", "y", "a", "x") == uuid.uuid5(namespace, "a/x|a-/y")
    assert domain.overlap_id("a", "y", "a", "Z") == uuid.uuid5(namespace, "a/Z|a/y")


def test_a_digest_tells_lengths_and_bytes_apart_and_fits_a_bigint() -> None:
    assert len({domain.digest(value) for value in (b"", b"\0", b"\0\0", b"a", b"b", b"ab")}) == 6
    assert domain.digest(b"\xff" * 2**21) < 2**63


# --- what is said


def difference(had: Row | None = None, **changes: Any) -> Row:
    return {
        "agency_a": 1, "payout_a": "p1", "agency_b": 2, "payout_b": "p2", "wanted": True,
        "revision_a": 0, "revision_b": 3, "rank_a": 0, "rank_b": 1, "programme_a": 7, "programme_b": 8,
        "amount_a": 5, "amount_b": 4, "amount_at_risk": 4, "household": HOUSEHOLD, "region": "33.74",
        "trace": None, "person": None,
        "starts": date(2026, 1, 1), "ends": date(2026, 1, 31), "rule": "r", "by_person": False, "strength": 1,
        "had": had, "now_a": None, "now_b": None,
    } | changes  # fmt: skip


def held(revision: int = 1, live: bool = True, **changes: Any) -> Row:
    identity = domain.overlap_id("dinsos", "p1", "himbara", "p2")
    return difference(**changes) | {"overlap_id": identity, "revision": revision, "live": live}


def said(row: Row) -> domain.Announcement:
    (announcement,) = domain.announcements([row], AGENCIES, PROGRAMMES, "t-2", NOW)
    return announcement


def test_what_is_announced_of_a_new_pair() -> None:
    announced = said(difference(trace="00-a"))
    identity = domain.overlap_id("dinsos", "p1", "himbara", "p2")
    assert (announced.type, announced.overlap_id, announced.revision, announced.trace) == (
        "tepat.overlap.detected.v1", identity, 1, "00-a",
    )  # fmt: skip
    assert announced.data == {
        "overlap_id": str(identity), "revision": 1, "rule": "r", "verdict": "review", "scope": "household",
        "household": str(HOUSEHOLD),
        "payouts": [
            {"agency": "dinsos", "payout_id": "p1", "revision": 0, "state": "planned", "programme": "PKH", "amount": 5},
            {
                "agency": "himbara", "payout_id": "p2", "revision": 3, "state": "disbursed", "programme": "BPNT",
                "amount": 4,
            },
        ],
        "during": {"from": "2026-01-01", "to": "2026-01-31"}, "amount_at_risk": 4, "region": "33.74",
        "policy_version": "t-2",
    }  # fmt: skip
    assert announced.row is not None
    by_person = said(difference(by_person=True, person=PERSON, strength=0)).data
    assert (by_person["scope"], by_person["person"], by_person["verdict"]) == ("person", str(PERSON), "exclusive")


def test_a_pair_that_changed_goes_on_counting() -> None:
    announced = said(difference(held(5), amount_b=7))
    assert (announced.type, announced.revision) == ("tepat.overlap.detected.v1", 6)


def test_a_pair_that_comes_back_goes_on_counting() -> None:
    announced = said(difference(held(5, live=False)))
    assert (announced.type, announced.revision) == ("tepat.overlap.detected.v1", 6)


def test_a_pair_that_ended_is_cleared() -> None:
    announced = said(difference(held(5), wanted=False, trace="x"))
    assert announced == domain.Announcement(
        domain.overlap_id("dinsos", "p1", "himbara", "p2"), 6, "tepat.overlap.cleared.v1",
        {
            "overlap_id": str(announced.overlap_id), "revision": 6, "reason": "payout_ended",
            "payouts": [
                {"agency": "dinsos", "payout_id": "p1"}, {"agency": "himbara", "payout_id": "p2"},
            ],
        },
        None, None,
    )  # fmt: skip


def payout_now(**changes: Any) -> Row:
    return {
        "live": True, "revision": 0, "programme": 7, "person": PERSON, "household": HOUSEHOLD,
        "starts": date(2026, 1, 1), "ends": date(2026, 1, 31),
    } | changes  # fmt: skip


@pytest.mark.parametrize(
    ("a", "b", "by_person", "reason"),
    [
        (None, {}, False, "payout_ended"),
        ({}, None, False, "payout_ended"),
        ({"live": False, "programme": 8}, {}, False, "payout_ended"),
        ({}, {"live": False}, True, "payout_ended"),
        ({"programme": 8}, {}, False, "payout_changed"),
        ({}, {"programme": 7}, False, "payout_changed"),
        ({"revision": 1}, {"household": OTHER}, False, "payout_changed"),
        ({}, {"revision": 1, "person": OTHER}, True, "payout_changed"),
        ({}, {"starts": date(2026, 2, 1), "ends": date(2026, 2, 1)}, False, "payout_changed"),
        ({"starts": date(2026, 2, 1), "ends": date(2026, 2, 1)}, {}, False, "payout_changed"),
        ({"household": OTHER}, {}, False, "household_changed"),
        ({"household": OTHER}, {}, True, "policy_changed"),
        ({"person": OTHER}, {}, True, "household_changed"),
        ({"person": OTHER}, {}, False, "policy_changed"),
        ({}, {}, True, "policy_changed"),
    ],
)
def test_why_a_pair_is_cleared(a: Row | None, b: Row | None, by_person: bool, reason: str) -> None:
    had = {"programme_a": 7, "programme_b": 8, "revision_a": 0, "revision_b": 0, "by_person": by_person}
    now_a = None if a is None else payout_now(**a)
    now_b = None if b is None else payout_now(**{"programme": 8} | b)
    assert domain.why_cleared(had, now_a, now_b) == reason


def test_a_group_too_large_is_a_finding_and_then_none() -> None:
    kind, data = domain.group_finding(HOUSEHOLD, False, True, 1, "33.74", "t-2")
    identity = str(domain.finding_id("group_too_large", HOUSEHOLD))
    assert (kind, data) == (
        "tepat.finding.raised.v1",
        {
            "finding_id": identity, "revision": 1, "rule": "group_too_large", "household": str(HOUSEHOLD),
            "region": "33.74", "policy_version": "t-2", "evidence": {"live_payouts_over": 1_000},
        },
    )  # fmt: skip
    kind, data = domain.group_finding(PERSON, True, False, 2, None, "t-2")
    assert (kind, data["person"], data["revision"]) == ("tepat.finding.cleared.v1", str(PERSON), 2)
    assert "evidence" not in data
    assert "region" not in data
