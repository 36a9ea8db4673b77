"""What notifications takes from its topics: overlaps and other causes, what was rejected of agencies' records, the
policy.

Invariants
- Of several announcements of one overlap the greatest revision counts, in whatever order and however often they come.
- A record that cannot be read is told in the log and passed over: it never blocks its neighbours.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from operator import attrgetter
from typing import Any, NamedTuple
from uuid import UUID

import orjson
import structlog
from aiokafka import ConsumerRecord
from tepat_chassis.compacted import newest
from tepat_chassis.database import Connection
from tepat_chassis.span import Span
from tepat_chassis.standing import InForce
from tepat_contracts.cases import case_code
from tepat_contracts.policy import NoticeKind, Policy
from tepat_contracts.topics import agency_of

from tepat_notifications.domain import Province, province
from tepat_notifications.hearings import Hearings, Stated, cause_id
from tepat_notifications.store import Store

log = structlog.get_logger()

DETECTED = "tepat.overlap.detected.v1"
CLEARED = "tepat.overlap.cleared.v1"
REJECTED = "tepat.event.rejected.v1"
REPLAYED = "tepat.event.replayed.v1"
OVER = "over"
FORGOTTEN: Mapping[str, NoticeKind] = {
    "distribution.cases.v1": "case", "distribution.findings.v1": "finding", "registry.suspects.v1": "suspect",
}  # fmt: skip
"""What a tombstone forgets, by topic. A report leaves one where it goes on under another key."""
AWAITING = ("opened", "reopened", "overdue", "waive_proposed")
"""Acts after which somebody must act in a case."""


class Overlap(NamedTuple):
    """An announcement, in the order of the columns of table ``taken``, and last what its cause alone keeps: whether its
    payouts were planned or disbursed.
    """

    overlap_id: UUID
    code: str
    revision: int
    live: bool
    verdict: str | None
    rule: str | None
    agency_a: str
    payout_a: str
    programme_a: str | None
    amount_a: int | None
    agency_b: str
    payout_b: str
    programme_b: str | None
    amount_b: int | None
    amount_at_risk: int | None
    starts: date | None
    ends: date | None
    region: str | None
    household: UUID | None
    reason: str | None
    trace: str | None
    announced_at: datetime
    taken_at: datetime
    states: tuple[str | None, str | None] = (None, None)


@dataclass(slots=True)
class Announced:
    """The newest announcement of each overlap of a batch, under which policy's hours they were read, and the overlaps
    that distribution had forgotten before.
    """

    overlaps: list[Overlap]
    province: Province
    forgotten: list[UUID] = field(default_factory=list)


class Overlaps:
    """Takes distribution.overlaps.v1."""

    def __init__(self, store: Store, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._hearings = Hearings(store.gather)
        self._clock = clock

    def decode(self, spans: Sequence[Span], in_force: InForce[Any] | None) -> Announced:
        """The newest announcement of each overlap."""
        assert in_force is not None
        now = self._clock()

        def told() -> Iterator[tuple[UUID, Overlap | None]]:
            for record in (record for span in spans for record in span.records):
                if record.value is None:
                    yield UUID(record.key.decode()), None
                elif (overlap := _read(_overlap, record, now)) is not None:
                    yield overlap.overlap_id, overlap

        latest, forgotten = newest(told(), attrgetter("revision"))
        return Announced(list(latest.values()), in_force.document, forgotten)

    async def write(self, connection: Connection, work: Announced) -> None:
        """Keep them, and queue what agencies, or those whom the policy's routes name, are to hear. Of what is forgotten
        nobody hears anything, nor that it was.
        """
        if work.forgotten:
            await self._store.forget_overlaps(connection, work.forgotten)
            await self._hearings.forget(connection, [cause_id("overlap", str(each)) for each in work.forgotten])
        if work.overlaps:
            now, province = self._clock(), work.province
            routed = "overlap" in province.directory.kinds
            await self._store.take_overlaps(connection, work.overlaps, now, province.next_digest(now), routed=routed)
            if routed:
                await self._hearings.take(connection, map(_overlapping, work.overlaps), province, now)


def _overlapping(overlap: Overlap) -> Stated:
    payouts = [
        {"agency": overlap.agency_a, "payout": overlap.payout_a, "programme": overlap.programme_a,
         "amount": overlap.amount_a, "state": overlap.states[0]},
        {"agency": overlap.agency_b, "payout": overlap.payout_b, "programme": overlap.programme_b,
         "amount": overlap.amount_b, "state": overlap.states[1]},
    ]  # fmt: skip
    told = {"payouts": payouts, "starts": overlap.starts, "ends": overlap.ends, "rule": overlap.rule}
    return Stated(
        cause_id("overlap", str(overlap.overlap_id)), "overlap", str(overlap.overlap_id), overlap.code,
        overlap.overlap_id, overlap.revision, "awaits" if overlap.live else OVER,
        str(overlap.verdict) if overlap.live else OVER, overlap.verdict, overlap.amount_at_risk,
        [each for each in (overlap.programme_a, overlap.programme_b) if each],
        sorted({overlap.agency_a, overlap.agency_b}), overlap.region,
        orjson.dumps(told if overlap.live else {}).decode(), None, overlap.trace, overlap.announced_at,
        overlap.taken_at,
    )  # fmt: skip


class Causes:
    """Takes what our services tell of cases, findings, reports from below and suspects."""

    def __init__(self, hearings: Hearings, clock: Callable[[], datetime]) -> None:
        self._hearings = hearings
        self._clock = clock

    def decode(
        self, spans: Sequence[Span], in_force: InForce[Any] | None
    ) -> tuple[list[Stated], list[UUID], Province]:  # fmt: skip
        """The newest announcement of each cause, and those that were forgotten before."""
        assert in_force is not None
        now = self._clock()

        def told() -> Iterator[tuple[UUID, Stated | None]]:
            for topic, record in ((span.topic, record) for span in spans for record in span.records):
                if record.value is None and topic in FORGOTTEN:
                    yield cause_id(FORGOTTEN[topic], record.key.decode()), None
                elif (stated := _read(_stated, record, now)) is not None:
                    yield stated.cause_id, stated

        latest, forgotten = newest(told(), attrgetter("revision"))
        return list(latest.values()), forgotten, in_force.document

    async def write(self, connection: Connection, work: tuple[list[Stated], list[UUID], Province]) -> None:
        """Keep them, and queue what recipients are to hear. Of what is forgotten nobody hears anything."""
        stated, forgotten, province = work
        await self._hearings.forget(connection, forgotten)
        await self._hearings.take(connection, stated, province, self._clock())


def _stated(record: ConsumerRecord, now: datetime) -> Stated | None:
    """What an event tells of, none where it is of no kind of cause."""
    event = orjson.loads(record.value)
    read = _CAUSES.get(event["type"])
    if read is None:
        return None
    data = event["data"]
    kind, key, subject, told = read(data)
    identity = cause_id(kind, key)
    return Stated(
        identity, kind, key, case_code(subject or identity), subject or identity, data["revision"], told["state"],
        told.get("news", OVER), told.get("verdict"), data.get("amount_at_risk"), data.get("programmes", []),
        told.get("agencies", []), data.get("region"), orjson.dumps(told.get("said", {})).decode(), told.get("by"),
        event.get("traceparent"), datetime.fromisoformat(event["time"]), now,
    )  # fmt: skip


_Read = tuple[NoticeKind, str, UUID | None, dict[str, Any]]
"""The kind, its id on its topic, that id where it is a UUID, and what is told."""


def _case(data: dict[str, Any]) -> _Read:
    act = data["act"]
    state = "awaits" if act in AWAITING else OVER if act == "closed" else "answered"
    said = {"deadline": data.get("deadline"), "payouts": _payees(data)}
    return "case", data["overlap_id"], UUID(data["overlap_id"]), {
        "state": state, "news": OVER if state == OVER else act, "verdict": act, "agencies": _agencies(data),
        "said": said, "by": data.get("by"),
    }  # fmt: skip


def _finding(data: dict[str, Any]) -> _Read:
    return "finding", data["finding_id"], UUID(data["finding_id"]), {
        "state": "awaits", "news": "raised", "verdict": data["rule"], "agencies": _agencies(data),
        "said": {"payouts": _payees(data)},
    }  # fmt: skip


def _finding_cleared(data: dict[str, Any]) -> _Read:
    return "finding", data["finding_id"], UUID(data["finding_id"]), {"state": OVER}


def _report(data: dict[str, Any]) -> _Read:
    state = data.get("state", "waiting")
    charge = [data["in_charge"]] if "in_charge" in data else [each["agency"] for each in data.get("neighbours", ())]
    if state == "closed":
        return "report", _report_key(data), None, {"state": OVER, "by": data.get("closed_by")}
    return "report", _report_key(data), None, {
        "state": "answered" if state == "acknowledged" else "awaits",
        "news": "overdue" if state == "overdue" else "/".join((data["step"], *charge)),
        "verdict": data["kind"], "agencies": sorted({*charge}),
        "said": {
            "step": data["step"], "overdue": state == "overdue", "deadline": data.get("deadline"),
            "households": data.get("households"), "people": len(data.get("people", ())),
        },
    }  # fmt: skip


def _report_key(data: dict[str, Any]) -> str:
    return f"{data['agency']}/{data['report_id']}"


def _suspect(data: dict[str, Any]) -> _Read:
    return "suspect", data["pair"], None, {
        "state": "awaits", "news": "raised", "verdict": data["kind"], "said": {"persons": len(data["persons"])},
    }  # fmt: skip


def _suspect_over(data: dict[str, Any]) -> _Read:
    return "suspect", data["pair"], None, {"state": OVER, "by": data.get("decided_by")}


_CAUSES: Mapping[str, Callable[[dict[str, Any]], _Read]] = {
    "tepat.case.told.v1": _case,
    "tepat.finding.raised.v1": _finding,
    "tepat.finding.cleared.v1": _finding_cleared,
    "tepat.report.routed.v1": _report,
    "tepat.suspect.raised.v1": _suspect,
    "tepat.suspect.dismissed.v1": _suspect_over,
    "tepat.suspect.cleared.v1": _suspect_over,
}


def _agencies(data: dict[str, Any]) -> list[str]:
    return sorted({payee["agency"] for payee in data.get("payouts", ())})


def _payees(data: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"agency": payee["agency"], "payout": payee["payout_id"]} for payee in data.get("payouts", ())]


def _overlap(record: ConsumerRecord, now: datetime) -> Overlap | None:
    event = orjson.loads(record.value)
    if event["type"] not in (DETECTED, CLEARED):
        return None
    data = event["data"]
    overlap_id = UUID(data["overlap_id"])
    a, b = data["payouts"]
    during = data.get("during")
    household = data.get("household")
    return Overlap(
        overlap_id, case_code(overlap_id), data["revision"], event["type"] == DETECTED,
        data.get("verdict"), data.get("rule"),
        a["agency"], a["payout_id"], a.get("programme"), a.get("amount"),
        b["agency"], b["payout_id"], b.get("programme"), b.get("amount"), data.get("amount_at_risk"),
        date.fromisoformat(during["from"]) if during else None, date.fromisoformat(during["to"]) if during else None,
        data.get("region"), UUID(household) if household else None, data.get("reason"), event.get("traceparent"),
        datetime.fromisoformat(event["time"]), now, (a.get("state"), b.get("state")),
    )  # fmt: skip


class Rejection(NamedTuple):
    """A record of an agency that was not taken."""

    agency: str
    topic: str
    partition: int
    offset: int
    reason: str
    pointer: str | None
    at: datetime


@dataclass(slots=True)
class Told:
    """What a batch of receipts tells: records refused, and places of refused ones taken since by a replay."""

    province: Province
    rejections: list[Rejection] = field(default_factory=list)
    resolved: list[tuple[str, int, int]] = field(default_factory=list)


class Receipts:
    """Takes what agencies were told of their records, of which the rejections matter here."""

    def __init__(self, store: Store, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._hearings = Hearings(store.gather)
        self._clock = clock

    def decode(self, spans: Sequence[Span], in_force: InForce[Any] | None) -> Told:
        """The rejections."""
        assert in_force is not None
        told = Told(in_force.document)
        for span in spans:
            agency = agency_of(span.topic)
            for record in span.records:
                receipt = _read(_receipt, record, agency)
                if isinstance(receipt, Rejection):
                    told.rejections.append(receipt)
                elif receipt is not None:
                    told.resolved.append(receipt)
        return told

    async def write(self, connection: Connection, work: Told) -> None:
        """Keep them, and queue the digests of their agencies, or of those whom the policy's routes name."""
        if work.rejections or work.resolved:
            now, province = self._clock(), work.province
            due = province.next_digest(now)
            routed = "rejection" in province.directory.kinds
            new = await self._store.take_rejections(connection, work.rejections, work.resolved, now, due, routed=routed)
            if routed:
                refused = [(_refused(each, due, now), (each.topic, each.partition, each.offset)) for each in new]
                await self._hearings.count(connection, refused, work.resolved, province, now)


def _refused(rejection: Rejection, due: datetime, now: datetime) -> Stated:
    """A record refused as part of the cause by which the digest due then tells of it."""
    key = f"{rejection.topic}/{rejection.reason}/{due.isoformat()}"
    identity = cause_id("rejection", key)
    return Stated(
        identity, "rejection", key, case_code(identity), identity, 1, "awaits", "refused", rejection.reason, None, [],
        [rejection.agency], None,
        orjson.dumps({"topic": rejection.topic, "pointer": rejection.pointer, "records": 1}).decode(), None, None,
        rejection.at, now,
    )  # fmt: skip


def _receipt(record: ConsumerRecord, agency: str) -> Rejection | tuple[str, int, int] | None:
    event = orjson.loads(record.value)
    data = event["data"]
    match event["type"]:
        case "tepat.event.rejected.v1":
            return Rejection(
                agency, data["topic"], data["partition"], data["offset"], data["reason"], data.get("pointer"),
                datetime.fromisoformat(event["time"]),
            )  # fmt: skip
        case "tepat.event.replayed.v1" if data["outcome"] == "accepted":
            return data["topic"], data["partition"], data["offset"]
        case _:
            return None


def _read(read: Callable[..., Any], record: ConsumerRecord, *more: Any) -> Any:
    if record.value is None:
        return None
    try:
        return read(record, *more)
    except (ValueError, TypeError, KeyError) as error:
        log.error(
            "a record cannot be read and is passed over", topic=record.topic, partition=record.partition,
            offset=record.offset, error=type(error).__name__,
        )  # fmt: skip
        return None


async def follow(
    store: Store, clock: Callable[[], datetime], connection: Connection, policy: Policy, document: dict[str, object]
) -> dict[str, object]:
    """Follow a policy: its hour, time zone and routes hold for what waits; what is kept of it is all of it."""
    now = clock()
    followed = province(policy)
    await store.retime(connection, now, followed.next_digest(now))
    await Hearings(store.gather).follow(connection, followed, now)
    return document
