"""Quarantine and receipts: what agencies send, taken or refused, each offset told exactly once.

Invariants
- A record that cannot be taken is quarantined whole and its neighbours go on; in the batch's transaction
  its agency is told by a rejection, and the rest by accepted ranges. Ranges are split around refused
  offsets: every offset is covered by exactly one range or one rejection.
- The bytes are sealed with AES-GCM under a key apart from the database, bound to their offset; reason,
  pointer and message name fields, never values.
- What was sent is kept for ``KEPT`` and not a day longer, taken again or not.
- A replay takes a record outside the consumer's positions, at most once: the row lock makes two callers
  wait for each other, and a record once accepted is not taken again.
"""

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, NamedTuple, TypeAlias, TypeVar

import orjson
from aiokafka import ConsumerRecord
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from tepat_contracts import envelope
from tepat_contracts.door import Refused, Rejection
from tepat_contracts.topics import agency_of, receipts_name

from tepat_chassis.database import Connection, Database, Lock
from tepat_chassis.metrics import Metrics
from tepat_chassis.outbox import Message, put
from tepat_chassis.span import Span
from tepat_chassis.standing import InForce, Standing

R = TypeVar("R")

KEPT = timedelta(days=90)
"""As long as its announcement stands on the quarantine's topic."""
NONCE_BYTES = 12
REPLAY_CHUNK = 500

QUARANTINE_COLUMNS = (
    "topic", "partition", "offset", "agency", "event_id", "reason", "pointer", "message", "sha256", "sealed",
)  # fmt: skip


class Record(NamedTuple):
    """A quarantined record, opened again. ``timestamp`` is the broker's, in milliseconds."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]


#: A record as the broker gave it, or as the quarantine kept it.
Told: TypeAlias = ConsumerRecord | Record


class Sealer:
    """Seals records for the quarantine, each bound to its place."""

    def __init__(self, key: bytes) -> None:
        self._aead = AESGCM(hashlib.sha256(b"tepat quarantine" + key).digest())

    def seal(self, record: Told) -> bytes:
        """The record's value, headers and timestamp, sealed."""
        headers = [[name, (value or b"").hex()] for name, value in record.headers]
        head = orjson.dumps([record.timestamp, record.value is None, headers])
        nonce = os.urandom(NONCE_BYTES)
        plain = len(head).to_bytes(4, "big") + head + (record.value or b"")
        return nonce + self._aead.encrypt(nonce, plain, _place(record.topic, record.partition, record.offset))

    def open(self, topic: str, partition: int, offset: int, sealed: bytes) -> Record:
        """The record as it came.

        Raises:
            cryptography.exceptions.InvalidTag: another key sealed it, or it was sealed for another place.
        """
        plain = self._aead.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], _place(topic, partition, offset))
        head = 4 + int.from_bytes(plain[:4], "big")
        timestamp, absent, headers = orjson.loads(plain[4:head])
        return Record(
            topic, partition, offset, timestamp, None if absent else plain[head:],
            [(name, bytes.fromhex(value)) for name, value in headers],
        )  # fmt: skip


def _place(topic: str, partition: int, offset: int) -> bytes:
    return f"{topic}-{partition}-{offset}".encode()


@dataclass(slots=True)
class Taken(Generic[R]):
    """A decoded batch of an agency's topics."""

    rows: list[R]
    refused: list[tuple[Told, Rejection]]
    spans: Sequence[Span]


class AgencyIntake(Generic[R]):
    """What a service makes of agencies' topics: the door for each record, the service's write for all.

    Args:
        admit: makes a row of a record, or raises ``Refused``.
        write: writes rows in the batch's transaction.
    """

    def __init__(
        self,
        service: str,
        admit: Callable[[Told, str, Any], R],
        write: Callable[[Connection, list[R]], Any],
        *,
        sealer: Sealer,
        metrics: Metrics,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._service = service
        self._admit = admit
        self._write = write
        self._sealer = sealer
        self._metrics = metrics
        self._clock = clock

    def decode(self, spans: Sequence[Span], in_force: InForce[Any] | None) -> Taken[R]:
        """Read the records of a batch at the door."""
        assert in_force is not None
        taken: Taken[R] = Taken([], [], spans)
        admit, rows, policy = self._admit, taken.rows, in_force.document
        for span in spans:
            agency = agency_of(span.topic)
            for record in span.records:
                try:
                    rows.append(admit(record, agency, policy))
                except Refused as refused:
                    taken.refused.append((record, refused.rejection))
        return taken

    async def write(self, connection: Connection, work: Taken[R]) -> None:
        """Write the rows, quarantine the refused, and tell the agencies."""
        if work.rows:
            await self._write(connection, work.rows)
        await self._quarantine(connection, work.refused)
        now = self._clock()
        messages = [self._accepted(span, start, end, count, now) for span, start, end, count in _ranges(work)]
        for record, rejection in work.refused:
            messages += self._rejected(record, rejection, now)
        await put(connection, messages)

    async def _quarantine(self, connection: Connection, refused: Sequence[tuple[Told, Rejection]]) -> None:
        if not refused:
            return
        rows = []
        for record, rejection in refused:
            self._metrics.quarantined(rejection.reason)
            rows.append((
                record.topic, record.partition, record.offset, agency_of(record.topic), rejection.event_id,
                rejection.reason, rejection.pointer, rejection.message, _sha256(record), self._sealer.seal(record),
            ))  # fmt: skip
        await connection.copy_records_to_table("quarantine", records=rows, columns=QUARANTINE_COLUMNS)

    def _accepted(self, span: Span, start: int, end: int, accepted: int, now: datetime) -> Message:
        key = f"{span.topic}-{span.partition}-{start}"
        data = {
            "topic": span.topic, "partition": span.partition, "from_offset": start, "to_offset": end,
            "accepted": accepted, "rejected": 0,
        }  # fmt: skip
        id_ = f"{key}-{end}-accepted"  # of a new database the ranges may be others, and those are other events
        event = envelope.event(service=self._service, type="tepat.events.accepted.v1", id=id_, time=now, data=data)
        return Message(receipts_name(agency_of(span.topic)), key, envelope.write(event))

    def _rejected(self, record: Told, rejection: Rejection, now: datetime) -> Iterator[Message]:
        key = f"{record.topic}-{record.partition}-{record.offset}"
        place = {"topic": record.topic, "partition": record.partition, "offset": record.offset}
        told = place | {
            name: value
            for name in ("event_id", "reason", "pointer", "message")
            if (value := getattr(rejection, name)) is not None
        }
        event = envelope.event(
            service=self._service, type="tepat.event.rejected.v1", id=f"{key}-rejected", time=now, data=told
        )
        yield Message(receipts_name(agency_of(record.topic)), key, envelope.write(event))
        held = place | {"reason": rejection.reason, "sha256": _sha256(record).hex()}
        event = envelope.event(service=self._service, type="tepat.record.quarantined.v1", id=key, time=now, data=held)
        yield Message(f"{self._service}.quarantine.v1", key, envelope.write(event))

    async def replay(self, connection: Connection, rows: Sequence[Any], policy: Any) -> tuple[int, int]:
        """Take quarantined rows again, in the caller's transaction; how many were accepted and rejected."""
        accepted: list[R] = []
        messages: list[Message] = []
        done = []
        now = self._clock()
        for row in rows:
            record = self._sealer.open(row["topic"], row["partition"], row["offset"], row["sealed"])
            place = {"topic": record.topic, "partition": record.partition, "offset": record.offset}
            try:
                accepted.append(self._admit(record, row["agency"], policy))
                done.append((record.topic, record.partition, record.offset))
                told = place | {"outcome": "accepted"} | ({"event_id": row["event_id"]} if row["event_id"] else {})
            except Refused as refused:
                rejection = refused.rejection
                told = place | {
                    "outcome": "rejected",
                    "reason": rejection.reason,
                    "message": rejection.message,
                }
            key = f"{record.topic}-{record.partition}-{record.offset}"
            event = envelope.event(
                service=self._service,
                type="tepat.event.replayed.v1",
                id=f"{key}-replayed-{now:%s%f}",
                time=now,
                data=told,
            )
            messages.append(Message(receipts_name(row["agency"]), key, envelope.write(event)))
        if accepted:
            await self._write(connection, accepted)
            await connection.execute(MARK_REPLAYED, *map(list, zip(*done, strict=True)))
        await put(connection, messages)
        return len(accepted), len(rows) - len(accepted)


def _ranges(work: Taken[Any]) -> Iterator[tuple[Span, int, int, int]]:
    """The accepted ranges of each span, split around refused offsets: (span, from, to, records)."""
    refused: dict[tuple[str, int], set[int]] = {}
    for record, _ in work.refused:
        refused.setdefault((record.topic, record.partition), set()).add(record.offset)
    for span in work.spans:
        holes = sorted(refused.get((span.topic, span.partition), ()))
        offsets = iter([record.offset for record in span.records]) if holes else None
        start = span.start
        for hole in [*holes, span.end]:
            if offsets is None:
                count = len(span.records)
            else:
                count = 0
                for offset in offsets:
                    if offset == hole:
                        break
                    count += 1
            if start < hole:
                yield span, start, hole - 1, count
            start = hole + 1


def _sha256(record: Told) -> bytes:
    return hashlib.sha256(record.value or b"").digest()


MARK_REPLAYED = """
update quarantine q set replayed_at = now()
from unnest($1::text[], $2::int[], $3::bigint[]) r (topic, partition, "offset")
where (q.topic, q.partition, q."offset") = (r.topic, r.partition, r."offset")"""

WAITING = """
select topic, partition, "offset", agency, event_id, sealed from quarantine q
where replayed_at is null
  and ($1::text is null or reason = $1)
  and ($2::text[] is null or exists (
        select from unnest($2::text[], $3::int[], $4::bigint[]) w (topic, partition, "offset")
        where (q.topic, q.partition, q."offset") = (w.topic, w.partition, w."offset")))
  and ($5::text is null or (topic, partition, "offset") > ($5, $6, $7))
order by topic, partition, "offset" limit $8 for update"""


EXPIRE = """
delete from quarantine where (topic, partition, "offset") in (
    select topic, partition, "offset" from quarantine where quarantined_at < now() - $1::interval
    order by quarantined_at limit $2 for update skip locked)"""
EXPIRED_AT_ONCE = 10_000


async def expire(connection: Connection) -> None:
    """Delete the oldest of what has been kept long enough; what is left, and whatever a replay holds, the next time."""
    await connection.execute(EXPIRE, KEPT, EXPIRED_AT_ONCE)


class Replayed(NamedTuple):
    """What came of a replay, in records."""

    replayed: int
    accepted: int
    rejected: int


async def replay(
    database: Database,
    intakes: dict[str, AgencyIntake[Any]],
    standing: Standing[Any],
    lock: Lock,
    *,
    entries: Sequence[tuple[str, int, int]] | None = None,
    reason: str | None = None,
) -> Replayed:
    """Take quarantined records again: those named, those of a reason, or all that were not yet accepted.

    Args:
        intakes: by the kind of topic (the part after the agency in its name).
    """
    accepted = rejected = 0
    after: tuple[str | None, int, int] = (None, 0, 0)
    named = [list(column) for column in zip(*entries, strict=True)] if entries else [None, None, None]
    while True:
        async with database.transaction(lock) as connection:
            in_force = await standing.refresh()
            if in_force is None:
                break
            rows = await connection.fetch(WAITING, reason, *named, *after, REPLAY_CHUNK)
            if not rows:
                break
            after = (rows[-1]["topic"], rows[-1]["partition"], rows[-1]["offset"])
            for kind, intake in intakes.items():
                chunk = [row for row in rows if row["topic"].endswith(f".{kind}.v1")]
                if chunk:
                    taken, refused = await intake.replay(connection, chunk, in_force.document)
                    accepted += taken
                    rejected += refused
    return Replayed(accepted + rejected, accepted, rejected)
