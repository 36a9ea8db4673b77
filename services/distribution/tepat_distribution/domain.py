"""What distribution decides: which rules a policy makes, and what is announced of a pair that changed.

No I/O, and no clock of its own. The definition these functions serve is that of "Which payouts overlap":
the pairs themselves are found by ``sql/detect.sql``; what is said of them is decided here.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Literal, NamedTuple
from uuid import UUID, uuid5
from zlib import crc32

import orjson
from tepat_contracts.express import Payout
from tepat_contracts.policy import BUILT_IN_RULE, Policy

OVERLAP_NAMESPACE = UUID("6f0a1f0e-6a4b-5b0e-9d59-2f6f6c1f7a10")
FINDING_NAMESPACE = UUID("0b6f6f4c-3f0e-5a53-8f8e-5c7d1c6f2a44")

STATES = ("planned", "disbursed", "cancelled", "returned")
"""By rank: of two events of one revision the later in this list holds."""
VERDICTS = ("exclusive", "review", "complementary")
"""By strength, the strongest first."""
DECISIONS = ("clear", "hold", "unknown")
"""Whether a planned payout may go."""
KINDS = ("cash", "food", "goods", "service", "capital")
"""Of benefits, by the number the ledger keeps."""
GROUP_LIMIT = 1_000
"""Live payouts a person or household may have; more is an error of data, not a family."""
MOST_PAYOUTS = 1_000
"""Told of one household: its record must fit the topic."""
LONGEST = 60
"""Characters told of what an agency may write at any length."""
TEXTS = ("unit", "tranche", "component", "channel")
NO_TEXTS = (None,) * len(TEXTS)


class Rule(NamedTuple):
    """A rule over an ordered pair of programmes; ``starts`` and ``ends`` are inclusive.

    Of two that are planned the payout of programme ``prefer`` may go.
    """

    a: str
    b: str
    id: str
    person: bool
    strength: int
    starts: date
    ends: date
    prefer: str | None = None


def rules(policy: Policy, programmes: Iterable[str]) -> list[Rule]:
    """The rules a policy makes, each pair in both directions, and the one built in.

    Args:
        programmes: every programme ever seen: the rule built in holds for one that left the policy too.
    """
    made = set()
    for rule in policy.overlap_rules:
        first, second = rule.programmes
        effective = rule.effective
        for a, b in ((first, second), (second, first)):
            made.add(
                Rule(
                    a, b, rule.id, rule.scope == "person", VERDICTS.index(rule.verdict),
                    effective.from_ or date.min, effective.to or date.max, rule.prefer,
                )
            )  # fmt: skip
    repeatable = {programme.code for programme in policy.programmes if programme.repeatable}
    for code in {*programmes, *(programme.code for programme in policy.programmes)} - repeatable:
        made.add(Rule(code, code, BUILT_IN_RULE, True, 0, date.min, date.max))
    return sorted(made, key=lambda rule: (*rule[:-1], rule.prefer or ""))


def ruling(rules: Iterable[Rule], day: date, *, person: bool, household: bool) -> Rule | None:
    """Which of a pair's rules holds: the strongest, of a person before of a household, by the lesser id.

    Args:
        day: the first of the days that both payouts cover.
        person, household: whether the two share one, and it is not too large.
    """
    applying = [rule for rule in rules if rule.starts <= day <= rule.ends and (person if rule.person else household)]
    return min(applying, key=lambda rule: (rule.strength, not rule.person, rule.id), default=None)


def sources(policy: Policy) -> dict[str, dict[str, timedelta]]:
    """For each programme the agencies whose payouts could overlap with one of it, and how long they may be silent.

    Those are meant that have a programme which a rule joins with it, whatever its days, or have the same one where it
    is not repeatable. An agency of which the policy does not say how long it may be silent is never silent.
    """
    joined = defaultdict[str, set[str]](set)
    for programme in policy.programmes:
        if not programme.repeatable:
            joined[programme.code].add(programme.code)
    for rule in policy.overlap_rules:
        if rule.verdict != "complementary":
            a, b = rule.programmes
            joined[a].add(b)
            joined[b].add(a)
    return {
        programme.code: {
            agency.id: agency.silent_after
            for agency in policy.agencies
            if agency.silent_after is not None and joined[programme.code].intersection(agency.programmes)
        }
        for programme in policy.programmes
    }


def is_silent(heard: int | None, after: timedelta, now: datetime) -> bool:
    """Whether who was last heard of at a time of the broker, in milliseconds, or never, is silent too long by now."""
    return heard is None or now.timestamp() * 1e3 - heard > after.total_seconds() * 1e3


def overlap_id(agency_a: str, payout_a: str, agency_b: str, payout_b: str) -> UUID:
    """The identity of a pair: UUIDv5 over both, sorted as (agency, payout id) by code point."""
    (agency_a, payout_a), (agency_b, payout_b) = sorted([(agency_a, payout_a), (agency_b, payout_b)])
    return uuid5(OVERLAP_NAMESPACE, f"{agency_a}/{payout_a}|{agency_b}/{payout_b}")


def finding_id(rule: str, group: UUID) -> UUID:
    """The identity of a finding about a person or household."""
    return uuid5(FINDING_NAMESPACE, f"{rule}/{group}")


def digest(value: bytes) -> int:
    """Length and CRC-32 of an event's bytes, to tell an exact repeat from another event under the same id."""
    return len(value) << 32 | crc32(value)


@dataclass(frozen=True, slots=True)
class Announcement:
    """What is said of a pair now, and what is kept of it."""

    overlap_id: UUID
    revision: int
    type: str
    data: dict[str, Any]
    row: tuple[Any, ...] | None
    """For table ``announced``; none of a pair that is cleared."""
    trace: str | None


def announcements(
    differences: Iterable[Mapping[str, Any]],
    agencies: Mapping[int, str],
    programmes: Mapping[int, str],
    policy_version: str,
    now: datetime,
) -> Iterator[Announcement]:
    """What to say of each pair that differs from what was last announced.

    Args:
        differences: rows of ``differences`` in ``sql/detect.sql``.
        agencies, programmes: codes by their numbers in the ledger.
    """
    for row in differences:
        if row["wanted"]:
            yield _detected(row, agencies, programmes, policy_version, now)
        else:
            yield _cleared(row, agencies)


def _detected(
    row: Mapping[str, Any],
    agencies: Mapping[int, str],
    programmes: Mapping[int, str],
    policy_version: str,
    now: datetime,
) -> Announcement:
    had = row["had"]
    agency_a, agency_b = agencies[row["agency_a"]], agencies[row["agency_b"]]
    payout_a, payout_b = row["payout_a"], row["payout_b"]
    identity = had["overlap_id"] if had is not None else overlap_id(agency_a, payout_a, agency_b, payout_b)
    revision = had["revision"] + 1 if had is not None else 1
    data = {
        "overlap_id": str(identity),
        "revision": revision,
        "rule": row["rule"],
        "verdict": VERDICTS[row["strength"]],
        "scope": "person" if row["by_person"] else "household",
        **({"person": str(row["person"])} if row["by_person"] else {}),
        "household": str(row["household"]),
        "payouts": [
            _side(agency_a, payout_a, row, "a", programmes),
            _side(agency_b, payout_b, row, "b", programmes),
        ],
        "during": {"from": row["starts"].isoformat(), "to": row["ends"].isoformat()},
        "amount_at_risk": row["amount_at_risk"],
        "region": row["region"],
        "policy_version": policy_version,
    }
    kept = (
        row["agency_a"], payout_a, row["agency_b"], payout_b, identity, revision, True, row["rule"], row["by_person"],
        row["strength"], row["starts"], row["ends"], row["household"], row["region"], row["amount_at_risk"],
        row["amount_a"], row["amount_b"], row["programme_a"], row["programme_b"], row["revision_a"], row["revision_b"],
        row["rank_a"], row["rank_b"], row["person"], policy_version, now, None, None, None,
    )  # fmt: skip
    return Announcement(identity, revision, "tepat.overlap.detected.v1", data, kept, row["trace"])


def _side(agency: str, payout: str, row: Mapping[str, Any], side: str, programmes: Mapping[int, str]) -> dict[str, Any]:
    return {
        "agency": agency,
        "payout_id": payout,
        "revision": row[f"revision_{side}"],
        "state": STATES[row[f"rank_{side}"]],
        "programme": programmes[row[f"programme_{side}"]],
        "amount": row[f"amount_{side}"],
    }


def _cleared(row: Mapping[str, Any], agencies: Mapping[int, str]) -> Announcement:
    had = row["had"]
    revision = had["revision"] + 1
    ended = whose_end(row["now_a"], row["now_b"])
    data = {
        "overlap_id": str(had["overlap_id"]),
        "revision": revision,
        "payouts": [
            {"agency": agencies[row[f"agency_{side}"]], "payout_id": row[f"payout_{side}"]}
            | ({"ended": row[f"now_{side}"]["revision"]} if side == ended else {})
            for side in "ab"
        ],
        "reason": why_cleared(had, row["now_a"], row["now_b"]),
    }
    return Announcement(had["overlap_id"], revision, "tepat.overlap.cleared.v1", data, None, None)


def why_cleared(had: Mapping[str, Any], a: Mapping[str, Any] | None, b: Mapping[str, Any] | None) -> str:
    """Why a pair no longer overlaps, as far as the two payouts as they are now tell.

    Args:
        had: what was announced of the pair; ``a`` and ``b``: its payouts now, none where not in the ledger.
    """
    if a is None or b is None or not (a["live"] and b["live"]):
        return "payout_ended"
    for now, side in ((a, "a"), (b, "b")):
        if (now["revision"], now["programme"]) != (had[f"revision_{side}"], had[f"programme_{side}"]):
            return "payout_changed"
    if a["starts"] > b["ends"] or b["starts"] > a["ends"]:
        return "payout_changed"
    group = "person" if had["by_person"] else "household"
    if a[group] != b[group]:
        return "household_changed"
    return "policy_changed"


def whose_end(a: Mapping[str, Any] | None, b: Mapping[str, Any] | None) -> Literal["a", "b"] | None:
    """Which payout's end cleared a pair: of two that have ended the one whose end the broker was told first.

    Args:
        a, b: the payouts as they are now, none where not in the ledger.
    """
    ended: list[tuple[int, Literal["a", "b"]]] = []
    if a is not None and not a["live"]:
        ended.append((a["appended"], "a"))
    if b is not None and not b["live"]:
        ended.append((b["appended"], "b"))
    return min(ended)[1] if ended else None


def group_finding(
    group: UUID, person: bool, large: bool, revision: int, region: str | None, policy_version: str
) -> tuple[str, dict[str, Any]]:
    """The finding that a group has more live payouts than any family, raised or cleared: (type, data).

    Args:
        region: the area that all its live payouts lie in, or lay in; none where they share none.
    """
    identity = finding_id("group_too_large", group)
    data: dict[str, Any] = {
        "finding_id": str(identity),
        "revision": revision,
        "rule": "group_too_large",
        "person" if person else "household": str(group),
        **({"region": region} if region is not None else {}),
        "policy_version": policy_version,
    }
    if large:
        data["evidence"] = {"live_payouts_over": GROUP_LIMIT}
        return "tepat.finding.raised.v1", data
    return "tepat.finding.cleared.v1", data


def more(payout: Payout) -> str | None:
    """What a payout tells beyond what anything is judged by, as JSON; none where that is nothing."""
    benefit = payout.benefit
    texts = (benefit.unit, payout.tranche, payout.component, payout.channel)
    if texts == NO_TEXTS and benefit.quantity is None:  # most payouts
        return None
    told: dict[str, Any] = {} if benefit.quantity is None else {"quantity": benefit.quantity}
    told |= {name: text[:LONGEST] for name, text in zip(TEXTS, texts, strict=True) if text is not None}
    return orjson.dumps(told).decode()


def aid(
    household: UUID,
    payouts: Iterable[Mapping[str, Any]],
    agencies: Mapping[int, str],
    programmes: Mapping[int, str],
) -> dict[str, Any]:
    """What a household receives and did, as it is told: its payouts in the order of their periods.

    Args:
        payouts: rows of ``payouts_of`` in ``sql/aid.sql``, each with the number of all there are.
        agencies, programmes: codes by their numbers in the ledger.
    """
    told, there = [], 0
    for row in payouts:
        there = row["payouts"]
        told.append({
            "agency": agencies[row["agency"]], "payout_id": row["payout_id"], "person": str(row["person"]),
            "programme": programmes[row["programme"]],
            "covers": {"from": row["starts"].isoformat(), "to": row["ends"].isoformat()},
            **({"kind": KINDS[row["kind"]]} if row["kind"] is not None else {}),
            "amount": row["amount"], "state": STATES[row["rank"]], "region": row["region"],
            **(orjson.loads(row["more"]) if row["more"] is not None else {}),
        })  # fmt: skip
    told.sort(key=lambda each: (each["covers"]["from"], each["covers"]["to"], each["agency"], each["payout_id"]))
    left_out = there - len(told)
    return {"household": str(household), "payouts": told, **({"more": left_out} if left_out else {})}
