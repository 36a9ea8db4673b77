"""The oracle: which payouts overlap, worked out plainly, to check what the services announce.

It follows `overlap.md` paragraph by paragraph and keeps four promises:

- It shares no code with any service, needs no database and nothing beyond the standard library. It is slow on
  purpose: within a group it looks at every pair.
- It sees the accepted records only (`accepted_by_receipts`) and judges nothing about the door.
- Its result depends on the set of events, never on their order or number.
- No NIK and no KK leaves it: what it returns holds pseudonyms.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import uuid
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import date, datetime
from itertools import combinations
from typing import Any, NamedTuple

NAMESPACE = uuid.UUID("6f0a1f0e-6a4b-5b0e-9d59-2f6f6c1f7a10")
GROUP_LIMIT = 1_000
STATE = {
    "tepat.payout.planned.v1": "planned",
    "tepat.payout.disbursed.v1": "disbursed",
    "tepat.payout.cancelled.v1": "cancelled",
    "tepat.payout.returned.v1": "returned",
}
RANK = {type_: rank for rank, type_ in enumerate(STATE)}
LIVE = ("planned", "disbursed")
STRENGTH = {"exclusive": 0, "review": 1, "complementary": 2}
SCOPES = ("person", "household")
FIRST_DAY, LAST_DAY = "0001-01-01", "9999-12-31"
NOT_COMPARED = ("revision", "policy_version")
FIELDS = (
    "rule",
    "verdict",
    "scope",
    "person",
    "household",
    "payouts",
    "during",
    "amount_at_risk",
    "region",
)
SIDE_FIELDS = ("agency", "payout_id", "revision", "state", "programme", "amount")

Announcement = dict[str, Any]
"""What is announced of an overlap, as in `contracts.md`, less `revision` and `policy_version`."""


class Record(NamedTuple):
    """One record of a topic, as the broker holds it; `at` is the broker's time in milliseconds.

    Who does not ask for these leaves `at` and `key` out.
    """

    topic: str
    partition: int
    offset: int
    headers: Sequence[tuple[str, bytes]]
    value: bytes | None
    at: int = 0
    key: bytes | None = None


# --- events


class Event(NamedTuple):
    """A CloudEvent; `agency` is that of its topic. In `data`, `null` means absent."""

    agency: str
    type: str
    id: str
    time: datetime
    data: dict[str, Any]


def canonical(data: Any) -> str:
    """Canonical JSON: sorted keys, no spaces."""
    return json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def instant(text: str) -> datetime:
    """An RFC 3339 time, to the microsecond; such times compare as instants whatever their offset."""
    return datetime.fromisoformat(text.upper())


def agency_of(topic: str) -> str:
    """The agency that owns a topic `agency.<id>.<kind>.v1`."""
    return topic.split(".")[1]


def read_event(record: Record) -> Event:
    """Reads an accepted record: structured (the value is the event) or binary (`ce_` headers and data).

    Of a key that stands twice the last counts, as `json` has it.
    """
    assert record.value is not None
    value = json.loads(record.value)
    if value.get("specversion") is not None:
        kind, id_, time, data = value["type"], value["id"], value["time"], value["data"]
    else:
        headers = {name.lower(): text for name, text in record.headers}
        kind, id_, time = (headers[f"ce_{name}"].decode() for name in ("type", "id", "time"))
        data = value
    return Event(agency_of(record.topic), kind, id_, instant(time), data)


def _latest(events: Iterable[Event], key: Callable[[Event], Hashable], order: Callable[[Event], Any]) -> list[Event]:
    """Of events with the same key the one with the greatest order; between equals canonical data decides."""
    holding: dict[Hashable, tuple[Any, Event]] = {}
    for event in events:
        k, o = key(event), order(event)
        held = holding.get(k)
        if (
            held is None
            or o > held[0]
            or (o == held[0] and event.data != held[1].data and canonical(event.data) > canonical(held[1].data))
        ):
            holding[k] = o, event
    return [event for _, event in holding.values()]


# --- the door's word


def accepted_by_receipts(records: Iterable[Record], receipts: Iterable[Record]) -> list[Record]:
    """The records that were taken: in an accepted range (both ends inclusive), or replayed and accepted."""
    ranges: dict[tuple[str, int], set[tuple[int, int]]] = defaultdict(set)
    for receipt in receipts:
        if receipt.value is None:
            continue
        event = json.loads(receipt.value)
        data = event["data"]
        where = data["topic"], data["partition"]
        if event["type"] == "tepat.events.accepted.v1":
            ranges[where].add((data["from_offset"], data["to_offset"]))
        elif event["type"] == "tepat.event.replayed.v1" and data["outcome"] == "accepted":
            ranges[where].add((data["offset"], data["offset"]))
    taken = {where: {o for first, last in spans for o in range(first, last + 1)} for where, spans in ranges.items()}
    nothing: set[int] = set()
    return [r for r in records if r.offset in taken.get((r.topic, r.partition), nothing)]


# --- ledger


@dataclass(frozen=True, slots=True)
class Payout:
    """A live payout: what the event that holds says of it."""

    agency: str
    payout_id: str
    revision: int
    state: str
    programme: str
    first: str
    last: str
    nik: str
    kk: str | None
    amount: int
    region: str

    @property
    def key(self) -> tuple[str, str]:
        return self.agency, self.payout_id


def holding_payouts(events: Iterable[Event]) -> list[Event]:
    """Of all a payout's events the one with the greatest (revision, rank, time, id, data) holds."""
    return _latest(
        (e for e in events if e.type in STATE),
        key=lambda e: (e.agency, e.data["payout_id"]),
        order=lambda e: (e.data["revision"], RANK[e.type], e.time, e.id),
    )


def live_payouts(events: Iterable[Event]) -> list[Payout]:
    """The payouts that are planned or disbursed by the event that holds."""
    return [
        Payout(
            agency=event.agency,
            payout_id=event.data["payout_id"],
            revision=event.data["revision"],
            state=STATE[event.type],
            programme=event.data["programme"],
            first=event.data["covers"]["from"],
            last=event.data["covers"]["to"],
            nik=event.data["recipient"]["nik"],
            kk=event.data["recipient"].get("kk"),
            amount=event.data["benefit"]["amount"],
            region=event.data["region"],
        )
        for event in holding_payouts(events)
        if STATE[event.type] in LIVE
    ]


# --- person and household


def _end_of_chain(start: str, steps: Mapping[str, str]) -> str:
    """Follows the steps to where they end; a circle stands for its own least member."""
    path = [start]
    while (following := steps.get(path[-1])) is not None:
        if following in path:
            return min(path[path.index(following) :])
        path.append(following)
    return path[-1]


def _steps(events: Iterable[Event], types: Sequence[str], from_: str, into: str) -> dict[str, str]:
    """Merges or renewals: of facts about one number the greatest (revision, time, id, agency, data) holds."""
    holding = _latest(
        (e for e in events if e.type in types),
        key=lambda e: e.data[from_],
        order=lambda e: (e.data["revision"], e.time, e.id, e.agency),
    )
    return {e.data[from_]: e.data[into] for e in holding if e.type == types[0] and e.data.get(into) is not None}


class People:
    """Who stands for whom, and in which household a person lives on a day."""

    def __init__(self, events: Sequence[Event], policy: Mapping[str, Any]) -> None:
        ranks = {a["id"]: a.get("trust_rank") for a in policy.get("agencies") or ()}

        def trust(agency: str) -> float:
            rank = ranks.get(agency)
            return float("inf") if rank is None else rank

        self._merges = _steps(events, ("tepat.persons.merged.v1", "tepat.persons.unmerged.v1"), "from_nik", "into_nik")
        self._renewals = _steps(events, ("tepat.household.renewed.v1",), "from_kk", "into_kk")
        facts = _latest(
            (e for e in events if e.type == "tepat.person.recorded.v1"),
            key=lambda e: (e.agency, e.data["nik"], e.data["since"]),
            order=lambda e: (e.data["revision"], e.time, e.id),
        )
        # Best first: the lowest trust rank, then the lesser agency id, then the latest `since`.
        facts.sort(key=lambda e: e.data["since"], reverse=True)
        facts.sort(key=lambda e: (trust(e.agency), e.agency))
        self._facts: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for fact in facts:
            self._facts[fact.data["nik"]].append(fact.data)

    def person(self, nik: str) -> str:
        """The NIK at the end of the chain of merges."""
        return _end_of_chain(nik, self._merges)

    def household(self, payout: Payout) -> str:
        """The household of the payout's person on its `covers.from`, as `kk:<kk>` or `alone:<nik>`."""
        person = self.person(payout.nik)
        for fact in self._facts.get(person, ()):
            if fact["since"] <= payout.first <= (fact.get("until") or LAST_DAY):
                return f"kk:{_end_of_chain(fact['kk'], self._renewals)}"
        if payout.kk is not None:
            return f"kk:{_end_of_chain(payout.kk, self._renewals)}"
        return f"alone:{person}"


# --- rules


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule of the policy; `first` and `last` are the days of its `effective` range, both inclusive."""

    id: str
    scope: str
    verdict: str
    first: str
    last: str

    @property
    def weight(self) -> tuple[int, int, str]:
        """Least first: the strongest verdict, then person before household, then the lesser id."""
        return STRENGTH[self.verdict], SCOPES.index(self.scope), self.id


def _day(told: str | date | None, otherwise: str) -> str:
    if told is None:
        return otherwise
    return told if isinstance(told, str) else told.isoformat()


BUILT_IN = Rule("same-programme-same-person", "person", "exclusive", FIRST_DAY, LAST_DAY)


class Rules:
    """The policy's rules by their unordered pair of programmes, and the one built in."""

    def __init__(self, policy: Mapping[str, Any]) -> None:
        self._of: dict[frozenset[str], list[Rule]] = defaultdict(list)
        for told in policy.get("overlap_rules") or ():
            effective = told.get("effective") or {}
            first, last = _day(effective.get("from"), FIRST_DAY), _day(effective.get("to"), LAST_DAY)
            rule = Rule(told["id"], told["scope"], told["verdict"], first, last)
            self._of[frozenset(told["programmes"])].append(rule)
        self._repeatable = {p["code"] for p in policy.get("programmes") or () if p.get("repeatable")}

    def of(self, one: str, other: str) -> Sequence[Rule]:
        """All rules for a pair of programmes, whatever their scope and days."""
        of_policy = self._of.get(frozenset((one, other)), [])
        return [*of_policy, BUILT_IN] if one == other and one not in self._repeatable else of_policy


# --- overlap


@dataclass(frozen=True, slots=True)
class Outcome:
    """What should stand announced.

    `overlaps`: by overlap id, those that are not complementary. `too_large`: (scope, pseudonym) of each
    person and household with more than 1,000 live payouts, whose finding stands in place of its overlaps.
    """

    overlaps: dict[str, Announcement]
    too_large: set[tuple[str, str]]


def pseudonym(secret: bytes, name: str) -> str:
    """The first 128 bits of HMAC-SHA-256 over `nik:<nik>`, `kk:<kk>` or `alone:<nik>`, as a UUID."""
    return str(uuid.UUID(bytes=hmac.digest(secret, name.encode(), hashlib.sha256)[:16]))


def overlap_id(one: tuple[str, str], other: tuple[str, str]) -> str:
    """UUIDv5 of the two (agency, payout id), sorted."""
    return str(uuid.uuid5(NAMESPACE, "|".join("/".join(key) for key in sorted((one, other)))))


Group = tuple[str, str]
"""A scope, and the person (`nik:<nik>`) or the household (`kk:<kk>` or `alone:<nik>`) of that scope."""


class Placed(NamedTuple):
    """A live payout with the group it belongs to in each scope."""

    payout: Payout
    group: Mapping[str, Group]


def ruling(a: Placed, b: Placed, rules: Rules, too_large: Set[Group]) -> Rule | None:
    """The rule that wins between two payouts, or None where no rule applies."""
    first_shared, last_shared = max(a.payout.first, b.payout.first), min(a.payout.last, b.payout.last)
    if first_shared > last_shared:
        return None
    applying = [
        rule
        for rule in rules.of(a.payout.programme, b.payout.programme)
        if a.group[rule.scope] == b.group[rule.scope]
        and a.group[rule.scope] not in too_large
        and rule.first <= first_shared <= rule.last
    ]
    return min(applying, key=lambda rule: rule.weight, default=None)


def announcement(a: Placed, b: Placed, rule: Rule, secret: bytes) -> Announcement:
    """What is announced of the overlap of `a` and `b` (which sorts second) under `rule`."""
    told: Announcement = {
        "overlap_id": overlap_id(a.payout.key, b.payout.key),
        "rule": rule.id,
        "verdict": rule.verdict,
        "scope": rule.scope,
        "household": pseudonym(secret, b.group["household"][1]),
        "payouts": [{field: getattr(side.payout, field) for field in SIDE_FIELDS} for side in (a, b)],
        "during": {"from": max(a.payout.first, b.payout.first), "to": min(a.payout.last, b.payout.last)},
        "amount_at_risk": min(a.payout.amount, b.payout.amount),
        "region": b.payout.region,
    }
    if rule.scope == "person":
        told["person"] = pseudonym(secret, b.group["person"][1])
    return told


def expected(accepted: Iterable[Record], policy: Mapping[str, Any], secret: bytes) -> Outcome:
    """The overlaps that `overlap.md` defines over the accepted records under the policy in force.

    `policy` is the policy document as on `policy.v1`; `secret` that of its `secret_id`. Records that tell
    nothing of payouts, persons or households are passed over.
    """
    events = [read_event(record) for record in accepted]
    people, rules = People(events, policy), Rules(policy)
    groups: dict[Group, list[Placed]] = defaultdict(list)
    for payout in sorted(live_payouts(events), key=lambda p: p.key):
        person, household = f"nik:{people.person(payout.nik)}", people.household(payout)
        placed = Placed(payout, {"person": ("person", person), "household": ("household", household)})
        for group in placed.group.values():
            groups[group].append(placed)
    too_large = {group for group, members in groups.items() if len(members) > GROUP_LIMIT}

    found: dict[str, Announcement] = {}
    for group, members in groups.items():
        if group in too_large:
            continue
        for a, b in combinations(members, 2):  # sorted above, so that b sorts second
            rule = ruling(a, b, rules, too_large)
            if rule is not None and rule.verdict != "complementary":
                told = announcement(a, b, rule, secret)
                found[told["overlap_id"]] = told
    return Outcome(found, {(scope, pseudonym(secret, name)) for scope, name in too_large})


# --- clearances


class Clearance(NamedTuple):
    """The answer to a planned payout: `clear`, `hold` or `unknown`, its revision, and the overlaps that stand."""

    decision: str
    revision: int
    overlaps: list[str]


def clearances(
    accepted: Iterable[Record],
    policy: Mapping[str, Any],
    overlaps: Mapping[str, Announcement],
    *,
    silent: Set[str] = frozenset(),
    released: Set[str] = frozenset(),
) -> dict[tuple[str, str], Clearance]:
    """The answers to all planned payouts, by (agency, payout id), once everything that agencies sent is read.

    Args:
        overlaps: those of `expected`.
        silent: agencies that gave no sign of life for longer than they may.
        released: overlaps whose case lets the payments go.
    """
    standing: dict[tuple[str, str], list[Announcement]] = defaultdict(list)
    for overlap in overlaps.values():
        for side in overlap["payouts"]:
            standing[side["agency"], side["payout_id"]].append(overlap)
    preferred = {rule["id"]: rule.get("prefer") for rule in policy.get("overlap_rules") or ()}
    repeatable = {p["code"] for p in policy.get("programmes") or () if p.get("repeatable")}
    joined = {frozenset(r["programmes"]) for r in policy.get("overlap_rules") or () if r["verdict"] != "complementary"}
    sources = {a["id"]: set(a["programmes"]) for a in policy["agencies"] if a["id"] in silent}

    def goes(own: Payout, overlap: Announcement) -> bool:
        (other,) = (side for side in overlap["payouts"] if (side["agency"], side["payout_id"]) != own.key)
        prefer = preferred.get(overlap["rule"])
        return (
            overlap["verdict"] != "exclusive"
            or overlap["overlap_id"] in released
            or (prefer == own.programme != other["programme"] and other["state"] == "planned")
        )

    def unheard(own: Payout) -> bool:
        return any(
            agency != own.agency
            and (
                (own.programme in programmes and own.programme not in repeatable)
                or any(frozenset((own.programme, other)) in joined for other in programmes)
            )
            for agency, programmes in sources.items()
        )

    told = {}
    for own in live_payouts(map(read_event, accepted)):
        if own.state == "planned":
            stands = standing[own.key]
            held = not all(goes(own, overlap) for overlap in stands)
            decision = "hold" if held else "unknown" if unheard(own) else "clear"
            told[own.key] = Clearance(decision, own.revision, sorted(overlap["overlap_id"] for overlap in stands))
    return told


def fold_clearances(issued: Iterable[Record]) -> dict[tuple[str, str], Clearance]:
    """Folds agencies' clearances to the last of each payout, by (agency, payout id)."""
    latest: dict[tuple[str, str], Clearance] = {}
    for record in sorted(issued, key=lambda r: (r.topic, r.partition, r.offset)):
        if record.value is not None:
            data = json.loads(record.value)["data"]
            told = Clearance(data["decision"], data["revision"], sorted(data["overlaps"]))
            latest[agency_of(record.topic), data["payout_id"]] = told
    return latest


def premature(
    accepted: Iterable[Record],
    issued: Iterable[Record],
    overlaps: Mapping[str, Announcement],
    due: Mapping[tuple[str, str], Clearance],
) -> list[str]:
    """Payouts called clear though what holds them had been sent before them, by the broker's time; in words.

    Looked at are only exclusive overlaps that nothing but these two payouts can have changed: each was told in one way,
    and of either person no other household was ever told than that of the payout. What was answered of the one sent
    first says nothing: it may have been answered before there was the other.
    """
    sent: dict[tuple[str, str], int] = {}
    ways: dict[tuple[str, str], set[str]] = defaultdict(set)
    people: dict[tuple[str, str], str] = {}
    homes: dict[str, set[str | None]] = defaultdict(set)
    moved: set[str] = set()
    for record in accepted:
        event = read_event(record)
        if event.type in STATE:
            key = event.agency, event.data["payout_id"]
            sent[key] = min(record.at, sent.get(key, record.at))
            ways[key].add(canonical([event.type, event.data]))
            if (recipient := event.data.get("recipient")) is not None:
                people[key] = recipient["nik"]
                homes[recipient["nik"]].add(recipient.get("kk"))
        elif event.type == "tepat.person.recorded.v1":
            homes[event.data["nik"]].add(event.data["kk"])
        else:
            moved |= {number for field, number in event.data.items() if field.endswith(("_nik", "_kk"))}

    def stands(key: tuple[str, str]) -> bool:
        households = homes[people[key]]
        return len(ways[key]) == len(households) == 1 and moved.isdisjoint({people[key], *households})

    cleared = {
        (agency_of(record.topic), data["payout_id"])
        for record in issued
        if record.value is not None and (data := json.loads(record.value)["data"])["decision"] == "clear"
    }
    wrong = []
    for id_, overlap in sorted(overlaps.items()):
        sides = ((side["agency"], side["payout_id"]) for side in overlap["payouts"])
        first, second = sorted(sides, key=sent.__getitem__)
        held = overlap["verdict"] == "exclusive" and second in due and due[second].decision == "hold"
        if held and second in cleared and sent[first] < sent[second] and stands(first) and stands(second):
            late = sent[second] - sent[first]
            wrong.append(f"{'/'.join(second)} was called clear, sent {late} ms after what holds it (overlap {id_})")
    return wrong


# --- announcements


def fold(announced: Iterable[Record]) -> dict[str, Announcement]:
    """Folds `distribution.overlaps.v1` to the greatest revision of each overlap, less the cleared ones."""
    latest: dict[str, tuple[int, str, Announcement]] = {}
    for record in announced:
        if record.value is None:
            continue
        event = json.loads(record.value)
        data = event["data"]
        held = latest.get(data["overlap_id"])
        if held is None or data["revision"] > held[0]:
            latest[data["overlap_id"]] = data["revision"], event["type"], data
    return {
        id_: {field: value for field, value in data.items() if field not in NOT_COMPARED}
        for id_, (_, kind, data) in latest.items()
        if kind != "tepat.overlap.cleared.v1"
    }


def irregularities(announced: Iterable[Record], *, compacted: bool = False) -> list[str]:
    """What no order of arrival excuses on `distribution.overlaps.v1`, in words.

    By offset no overlap's revision falls, one revision has one content, and, unless compaction may have taken
    some (`compacted`), revisions start at 1 and grow by one.
    """
    said: dict[str, dict[int, str]] = defaultdict(dict)
    latest: dict[str, int] = defaultdict(int)
    wrong = []
    for record in sorted(announced, key=lambda r: (r.partition, r.offset)):
        if record.value is None:
            continue
        event = json.loads(record.value)
        id_, revision = event["data"]["overlap_id"], event["data"]["revision"]
        content = canonical([event["type"], event["data"]])
        where = f"overlap {id_} at {record.partition}:{record.offset}"
        if revision < latest[id_]:
            wrong.append(f"{where}: revision {revision} after {latest[id_]}")
        if revision > latest[id_] + 1 and not compacted:
            wrong.append(f"{where}: revision {revision} straight after {latest[id_]}")
        if said[id_].setdefault(revision, content) != content:
            wrong.append(f"{where}: revision {revision} with two contents")
        latest[id_] = max(latest[id_], revision)
    return wrong


def _described(overlap: Announcement) -> str:
    sides = " with ".join(
        f"{p['agency']}/{p['payout_id']} ({p['programme']}, {p['state']})" for p in overlap["payouts"]
    )
    during = overlap["during"]
    return f"{sides}, {overlap['verdict']} by {overlap['rule']}, {during['from']} to {during['to']}"


def differences(announced: Mapping[str, Announcement], should: Mapping[str, Announcement]) -> list[str]:
    """Each difference between the announced (folded) and the expected overlaps, in words; empty if none.

    Persons and households appear as pseudonyms only; fields that `overlap.md` doesn't know are passed over.
    """
    told = []
    for id_ in sorted(announced.keys() | should.keys()):
        ours, theirs = announced.get(id_), should.get(id_)
        if ours is None:
            told.append(f"overlap {id_} is missing: {_described(should[id_])}")
        elif theirs is None:
            told.append(f"overlap {id_} should not stand: {_described(ours)}")
        else:
            told += [
                f"overlap {id_} of {_described(theirs)}: {field} is announced as {ours.get(field)!r}, "
                f"expected {theirs.get(field)!r}"
                for field in FIELDS
                if ours.get(field) != theirs.get(field)
            ]
    return told
