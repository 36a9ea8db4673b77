"""What notifications takes from its topics: overlaps, what was rejected of agencies' records, the policy.

Invariants
- Of several announcements of one overlap the greatest revision counts, in whatever order and however often they come.
- A record that cannot be read is told in the log and passed over: it never blocks its neighbours.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, NamedTuple
from uuid import UUID

import orjson
import structlog
from aiokafka import ConsumerRecord
from tepat_chassis.database import Connection
from tepat_chassis.span import Span
from tepat_chassis.standing import InForce
from tepat_contracts.cases import case_code
from tepat_contracts.policy import Policy
from tepat_contracts.topics import agency_of

from tepat_notifications.domain import Province, province
from tepat_notifications.store import Store

log = structlog.get_logger()

DETECTED = "tepat.overlap.detected.v1"
CLEARED = "tepat.overlap.cleared.v1"
REJECTED = "tepat.event.rejected.v1"
REPLAYED = "tepat.event.replayed.v1"


class Overlap(NamedTuple):
    """An announcement, in the order of the columns of table ``taken``."""

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


@dataclass(slots=True)
class Announced:
    """The newest announcement of each overlap of a batch, and under which policy's hours they were read."""

    overlaps: list[Overlap]
    province: Province


class Overlaps:
    """Takes distribution.overlaps.v1."""

    def __init__(self, store: Store, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._clock = clock

    def decode(self, spans: Sequence[Span], in_force: InForce[Any] | None) -> Announced:
        """The newest announcement of each overlap."""
        assert in_force is not None
        newest: dict[UUID, Overlap] = {}
        now = self._clock()
        for span in spans:
            for record in span.records:
                overlap = _read(_overlap, record, now)
                if overlap is not None:
                    known = newest.get(overlap.overlap_id)
                    if known is None or known.revision < overlap.revision:
                        newest[overlap.overlap_id] = overlap
        return Announced(list(newest.values()), in_force.document)

    async def write(self, connection: Connection, work: Announced) -> None:
        """Keep them, and queue what agencies are to hear."""
        if work.overlaps:
            now = self._clock()
            await self._store.take_overlaps(connection, work.overlaps, now, work.province.next_digest(now))


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
        datetime.fromisoformat(event["time"]), now,
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
        """Keep them, and queue their agencies' digests."""
        if work.rejections or work.resolved:
            now = self._clock()
            due = work.province.next_digest(now)
            await self._store.take_rejections(connection, work.rejections, work.resolved, now, due)


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
    """Follow a policy: its hour and time zone hold for the digests that wait; what is kept of it is all of it."""
    now = clock()
    await store.retime(connection, now, province(policy).next_digest(now))
    return document
