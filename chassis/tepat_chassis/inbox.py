"""Takes batches from Kafka, each into one database transaction.

Invariants
- The position of each partition lives in table ``position``. It moves by compare-and-set in the
  transaction that holds the batch's facts: a crash replays nothing twice, and an instance that lost its
  partition without knowing (a zombie) finds its expected position gone and writes nothing. Kafka's
  committed offsets only serve the monitoring of lag.
- Every offset from a partition's first to its position belongs to exactly one committed span, the markers of
  transactions and what was aborted with them too: what an agency has not committed is never taken.
- A batch is tried until it is committed or its partition is lost: no error drops one. Batches taken
  under an older assignment (``epoch``) are dropped before they write, and read again from the position.
- The next batch is decoded, in a thread, while the database works on this one; never more than one waits.
"""

import asyncio
import gc
import re
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Generic, Protocol, TypeVar, cast

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, ConsumerRecord, TopicPartition
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.errors import ConsumerStoppedError, IllegalStateError, KafkaError
from faststream import AckPolicy
from faststream.kafka import KafkaBroker
from faststream.kafka.message import KafkaMessage

from tepat_chassis.database import Connection, Database, Lock
from tepat_chassis.failpoints import reach
from tepat_chassis.health import Health
from tepat_chassis.metrics import Metrics
from tepat_chassis.pace import Pace, open_gate
from tepat_chassis.span import Span
from tepat_chassis.standing import InForce, Standing

log = structlog.get_logger()

W = TypeVar("W")

BATCH_TIMEOUT_MS = 20
BACKOFF = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
REVOKE_SECONDS = 10
SESSION_MS = 6_000
"""After so long without a sign of life a killed instance's partitions go to others: the least that brokers allow."""
COMMIT_EVERY_SECONDS = 1.0
MARKERS_EVERY_SECONDS = 1.0
FETCH_BYTES = 64 * 1024
"""Of each partition at a time, as compressed: some 1,500 payouts. What one agency floods its partitions with is read
in such pieces, and another's ten records come between them."""

POSITIONS = """
select a.topic, a.partition, p.next_offset
from unnest($1::text[], $2::int[]) a (topic, partition)
left join position p using (topic, partition)"""

FIRST = """
insert into position (topic, partition, next_offset)
select * from unnest($1::text[], $2::int[], $3::bigint[])
on conflict (topic, partition) do update set next_offset = greatest(position.next_offset, excluded.next_offset)
returning topic, partition, next_offset"""

ADVANCE = """
with moved as (
    update position p set next_offset = n.next, appended = coalesce(n.appended, p.appended)
    from unnest($1::text[], $2::int[], $3::bigint[], $4::bigint[], $5::bigint[])
        n (topic, partition, expected, next, appended)
    where p.topic = n.topic and p.partition = n.partition and p.next_offset = n.expected
    returning 1)
select count(*) from moved"""


class Fenced(Exception):
    """Another instance has moved a partition of this batch on: nothing may be written."""


class _Restated(Exception):
    """Another standing document is in force than the batch was decoded under."""


class Intake(Protocol[W]):
    """What a service makes of a batch."""

    def decode(self, spans: Sequence[Span], in_force: InForce[Any] | None) -> W:
        """Read the records, in a thread: no I/O, nothing shared is changed, no error for a bad record."""
        ...

    async def write(self, connection: Connection, work: W) -> None:
        """Write what was read, in the batch's transaction."""
        ...


@dataclass(slots=True)
class _Batch(Generic[W]):
    epoch: int
    spans: list[Span]
    in_force: InForce[Any] | None
    work: W
    decode_seconds: float

    @property
    def records(self) -> int:
        return sum(len(span.records) for span in self.spans)


class Inbox(ConsumerRebalanceListener, Generic[W]):  # type: ignore[misc]  # aiokafka is not typed
    """One subscription of a service, from Kafka into its database.

    Args:
        name: of the subscription, in logs and metrics.
        lock: how its transactions share the database with the service's other writers.
        standing: the document that decoding depends on; nothing is taken before there is one.
        after: called after each commit, outside the transaction.
        gate: waited at before each batch is written.
    """

    def __init__(
        self,
        name: str,
        database: Database,
        intake: Intake[W],
        *,
        lock: Lock,
        metrics: Metrics,
        health: Health,
        standing: Standing[Any] | None = None,
        after: Callable[[], None] = lambda: None,
        gate: Callable[[], Awaitable[None]] = open_gate,
    ) -> None:
        self.name = name
        self._database = database
        self._intake = intake
        self._lock = lock
        self._metrics = metrics
        self._health = health
        self._standing = standing
        self._after = after
        self._gate = gate
        self._pace = Pace(0)
        self._epoch = 0
        self._expected: dict[TopicPartition, int] = {}
        self._queue: asyncio.Queue[_Batch[W] | None] = asyncio.Queue(1)
        self._room = asyncio.Event()  # no batch waits: the next may be decoded
        self._room.set()
        self._committed_at = 0.0
        self._subscriber: Any = None
        self._worked_at = 0.0
        self._looked_at = 0.0
        self._in_flight = 0
        self._assigned = False
        self.inbound = False
        self.own = False
        self._wanted: re.Pattern[str] = re.compile("(?!)")

    def subscribe(
        self,
        broker: KafkaBroker,
        *topics: str,
        group: str,
        pattern: str | None = None,
        own: bool = False,
        max_records: int = 8_000,
        title: str,
        description: str,
    ) -> None:
        """Declare the subscription with FastStream.

        Args:
            pattern: a regular expression of topic names, instead of ``topics``.
            own: the topics are written by our relays, in transactions.
            max_records: in a batch.
        """
        self.own = own
        self._pace = Pace(max_records)
        self._wanted = re.compile(pattern or "|".join(map(re.escape, topics)))
        self._subscriber = broker.subscriber(
            *topics,
            pattern=pattern,
            group_id=group,
            batch=True,
            max_records=max_records,
            batch_timeout_ms=BATCH_TIMEOUT_MS,
            auto_offset_reset="earliest",
            ack_policy=AckPolicy.MANUAL,
            partition_assignment_strategy=(RoundRobinPartitionAssignor,),
            isolation_level="read_committed",
            session_timeout_ms=SESSION_MS,
            heartbeat_interval_ms=SESSION_MS // 3,
            max_partition_fetch_bytes=FETCH_BYTES,
            listener=self,
            parser=_whole,
            decoder=_undecoded,
            title=title,
            description=description,
        )
        self._subscriber(self._take)
        poll = self._subscriber.get_msg

        async def marked_poll(consumer: AIOKafkaConsumer) -> tuple[ConsumerRecord, ...]:
            await self._or_again(self._take_markers(consumer))
            try:
                return cast(tuple[ConsumerRecord, ...], await poll(consumer))
            except ConsumerStoppedError:
                raise
            except Exception:  # what it had from other partitions is gone with it, and its position beyond that
                await self._again()
                raise

        self._subscriber.get_msg = marked_poll

    async def start(self) -> None:
        """Join the group, unless that was done before."""
        if self._subscriber is not None and self.consumer is None:
            await self._subscriber.start()

    @property
    def consumer(self) -> AIOKafkaConsumer | None:
        """The consumer under the subscription, once it is started."""
        return self._subscriber.consumer if self._subscriber is not None else None

    @property
    def held(self) -> set[TopicPartition]:
        """The partitions this instance reads now."""
        return set(self._expected)

    @property
    def busy(self) -> bool:
        """A batch is in flight, or which partitions are its own is not settled."""
        return self._in_flight > 0 or not self._assigned

    def idle_seconds(self) -> float:
        """Seconds since the loop last came round: worked at a batch, or heard of the broker what it polled for."""
        consumer = self.consumer
        if consumer is None or not self._expected:
            return 0.0
        polls = [consumer.last_poll_timestamp(p) or 0 for p in self._expected if p in consumer.assignment()]
        polled = time.time() - max(polls, default=0) / 1e3
        return float(max(0.0, min(polled, time.monotonic() - self._worked_at)))

    def wants(self, topic: str) -> bool:
        """Whether it is to read a topic of that name, once it sees that there is one."""
        return self._wanted.fullmatch(topic) is not None

    @property
    def subscribed(self) -> set[str]:
        """The topics that the group reads, whichever instance has their partitions."""
        consumer = self.consumer
        return set(consumer.subscription()) if consumer is not None else set()

    @property
    def partitions(self) -> list[TopicPartition]:
        """All partitions of those topics, as far as they are known."""
        consumer = self.consumer
        if consumer is None:
            return []
        known = ((topic, n) for topic in self.subscribed for n in consumer.partitions_for_topic(topic) or ())
        return [TopicPartition(topic, number) for topic, number in known]

    async def read(self) -> set[str]:
        """Of those topics the ones that are read: an instance has taken on each partition of them."""
        partitions = self.partitions
        names, numbers = [topic for topic, _ in partitions], [number for _, number in partitions]
        rows = await self._database.pool.fetch(POSITIONS, names, numbers)
        return set(names) - {row["topic"] for row in rows if row["next_offset"] is None}

    # -- rebalance ---------------------------------------------------------------------------------

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:  # noqa: ARG002 – all are taken anew
        """Let the batch in flight end, then forget the partitions."""
        self._assigned = False
        with suppress(TimeoutError):
            await asyncio.wait_for(self._queue.join(), REVOKE_SECONDS)
        self._forget()

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """Go on from the database's positions."""
        self._forget()
        await self._resume(list(assigned))
        self._assigned = True
        log.info(
            "partitions assigned",
            inbox=self.name,
            partitions=len(self._expected),
            topics=len({topic for topic, _ in self.held}),
        )

    def _forget(self) -> None:
        self._epoch += 1
        self._expected.clear()

    async def _resume(self, partitions: list[TopicPartition]) -> None:
        """Seek each partition to its position; a partition never read starts at its first offset."""
        consumer = self.consumer
        if consumer is None or not partitions:
            return
        epoch = self._epoch
        for pause in _pauses():
            if epoch != self._epoch:
                return
            try:
                first = await consumer.beginning_offsets(partitions)
                positions = await self._positions(partitions, first)
                break
            except Exception as error:  # the database or the broker is away: nothing can be read before
                log.warning("positions unreadable", inbox=self.name, error=f"{type(error).__name__}: {error}")
                await asyncio.sleep(pause)
        if epoch != self._epoch:
            return
        for partition, position in positions.items():
            consumer.seek(partition, position)
            self._expected[partition] = position
        self._health.assigned(self.name, len(self._expected))

    async def _positions(
        self, partitions: list[TopicPartition], first: dict[TopicPartition, int]
    ) -> dict[TopicPartition, int]:
        pool = self._database.pool
        names, numbers = [p.topic for p in partitions], [p.partition for p in partitions]
        known = {
            TopicPartition(r["topic"], r["partition"]): r["next_offset"]
            for r in await pool.fetch(POSITIONS, names, numbers)
        }
        for partition, position in known.items():
            if position is not None and position < first[partition]:
                log.error(
                    "records expired before they were read: ask the agency to publish them again",
                    topic=partition.topic,
                    partition=partition.partition,
                    from_offset=position,
                    to_offset=first[partition] - 1,
                )
        rows = await pool.fetch(FIRST, names, numbers, [first[p] for p in partitions])
        return {TopicPartition(row["topic"], row["partition"]): row["next_offset"] for row in rows}

    # -- the batch ---------------------------------------------------------------------------------

    async def _take(self, message: KafkaMessage) -> None:
        """FastStream's handler. It drops what a handler raises: here an error means to read again from the position."""
        records, message.raw_message = message.raw_message, ()  # the message is part of a cycle, and stays a while
        await self._or_again(self._take_records(records))

    async def _or_again(self, taking: Coroutine[Any, Any, None]) -> None:
        """Take; where that fails, go back to the position."""
        try:
            await taking
        except Exception as error:  # whatever it was, no record may be passed over
            self._metrics.failed(self.name)
            log.exception("batch not decoded, reading it again", inbox=self.name, error=type(error).__name__)
            await self._again(BACKOFF[-2])

    async def _again(self, pause: float = 0.0) -> None:
        """Go back to the positions of the partitions held."""
        held = list(self._expected)
        self._forget()
        await asyncio.sleep(pause)
        await self._resume(held)

    async def _take_records(self, records: Sequence[ConsumerRecord]) -> None:
        in_force = await self._ready()
        epoch = self._epoch
        await self._hand_over(epoch, await self._spans(records), in_force)

    async def _take_markers(self, consumer: AIOKafkaConsumer) -> None:
        """Of partitions where only markers, or what was aborted, follow what was taken, take these.

        Between two polls: nothing that was polled is on its way, so the consumer has passed nothing else.
        """
        if time.monotonic() - self._looked_at < MARKERS_EVERY_SECONDS:
            return
        self._looked_at = time.monotonic()
        epoch = self._epoch
        behind = {p: e for p, e in self._expected.items() if p in consumer.assignment()}
        try:
            passed = {partition: await consumer.position(partition) for partition in behind}
        except (IllegalStateError, KafkaError):
            return
        spans = [Span(p.topic, p.partition, behind[p], at, []) for p, at in passed.items() if at > behind[p]]
        if spans and epoch == self._epoch:
            in_force = await self._ready()
            await self._hand_over(epoch, spans, in_force)

    async def _ready(self) -> InForce[Any] | None:
        """Wait until the next batch may be decoded; under what."""
        in_force = await self._standing.first() if self._standing is not None else None
        await self._room.wait()
        return in_force

    async def _hand_over(self, epoch: int, spans: list[Span], in_force: InForce[Any] | None) -> None:
        """Decode a batch and hand it to the writer."""
        if not spans or epoch != self._epoch:
            return
        batch = await self._decoded(epoch, spans, in_force)
        if epoch != self._epoch:
            return
        for span in spans:
            self._expected[TopicPartition(span.topic, span.partition)] = span.end
        self._in_flight += 1
        self._room.clear()
        await self._queue.put(batch)

    async def _spans(self, records: Sequence[ConsumerRecord]) -> list[Span]:
        """The records still to be taken, by partition; none of a partition sought elsewhere meanwhile."""
        consumer = self.consumer
        spans: list[Span] = []
        if consumer is None:
            return spans
        for (topic, number), group in groupby(records, key=lambda r: (r.topic, r.partition)):
            partition = TopicPartition(topic, number)
            kept = list(group)
            end = kept[-1].offset + 1
            try:
                sought = await consumer.position(partition) < end
            except (IllegalStateError, KafkaError):
                continue
            expected = self._expected.get(partition)
            if sought or expected is None or expected >= end:
                continue
            if kept[0].offset < expected:
                kept = [record for record in kept if record.offset >= expected]
            spans.append(Span(topic, number, expected, end, kept))
        return spans

    async def _decoded(self, epoch: int, spans: list[Span], in_force: InForce[Any] | None) -> _Batch[W]:
        """Read in a thread: meanwhile the loop drives the database, which would stand still in long batches."""
        started = time.perf_counter()
        gc.disable()  # thousands of short-lived objects, none in a cycle
        try:
            work = await asyncio.to_thread(self._intake.decode, spans, in_force)
        finally:
            gc.enable()
        return _Batch(epoch, spans, in_force, work, time.perf_counter() - started)

    async def run(self) -> None:
        """Write batches, one after the other, until stopped."""
        while (batch := await self._queue.get()) is not None:
            self._room.set()
            try:
                await self._settle(batch)
            finally:
                self._in_flight -= 1
                self._queue.task_done()
                del batch  # not kept while the next one is waited for

    def stop(self) -> None:
        """End ``run``; a batch that still waits is dropped, and read again from its position."""
        self._epoch += 1
        while not self._queue.empty():
            self._queue.get_nowait()
            self._queue.task_done()
            self._room.set()
        self._queue.put_nowait(None)

    async def drain(self) -> None:
        """Wait until no batch is in flight."""
        await self._queue.join()

    async def _settle(self, batch: _Batch[W]) -> None:
        """Commit a batch, however often it takes."""
        for failures, pause in enumerate(_pauses()):
            if batch.epoch != self._epoch:
                return
            self._worked_at = time.monotonic()
            try:
                left = await self._try(batch)
            except Exception as error:  # no error may drop a batch: it is told, and tried again
                self._metrics.failed(self.name)
                log.error(
                    "batch not committed, trying again",
                    inbox=self.name,
                    records=batch.records,
                    attempt=failures + 1,
                    pause=pause,
                    error=f"{type(error).__name__}: {error}",
                    exc_info=failures in (3, 30),
                )
                await asyncio.sleep(pause)
            else:
                if left is None:
                    return
                batch = left

    async def _try(self, batch: _Batch[W]) -> _Batch[W] | None:
        """Commit a batch, or leave it to whoever has its partitions; gives it back, read anew, where another document
        is in force by now.
        """
        if self._assigned:
            await self._gate()
            if batch.epoch != self._epoch:
                return None
        started = time.perf_counter()
        try:
            await self._commit(batch)
        except Fenced:
            log.warning("fenced: another instance took these partitions on", inbox=self.name)
            await self._again()
            return None
        except _Restated:
            assert self._standing is not None
            in_force = await self._standing.refresh() or await self._standing.first()
            return await self._decoded(batch.epoch, batch.spans, in_force)
        await self._committed(batch, time.perf_counter() - started)
        return None

    async def _commit(self, batch: _Batch[W]) -> None:
        async with self._database.transaction(self._lock) as connection:
            if batch.in_force is not None and await Standing.seq(connection) != batch.in_force.seq:
                raise _Restated
            moved = await connection.fetchval(
                ADVANCE,
                [span.topic for span in batch.spans], [span.partition for span in batch.spans],
                [span.start for span in batch.spans], [span.end for span in batch.spans],
                [span.records[-1].timestamp if span.records else None for span in batch.spans],
            )  # fmt: skip
            if moved != len(batch.spans):
                raise Fenced
            await self._intake.write(connection, batch.work)
            reach(f"{self.name}.before_commit")
        reach(f"{self.name}.after_commit")

    async def _committed(self, batch: _Batch[W], seconds: float) -> None:
        self._after()
        self._health.committed(self.name)
        self._metrics.batch(self.name, batch.records, batch.decode_seconds, seconds)
        self._pace.took(batch.records, batch.decode_seconds + seconds)
        self._subscriber.max_records = self._pace.records
        log.info(
            "batch committed",
            inbox=self.name,
            records=batch.records,
            partitions=len(batch.spans),
            decode_ms=round(batch.decode_seconds * 1e3),
            write_ms=round(seconds * 1e3),
        )
        consumer = self.consumer
        if consumer is not None and time.monotonic() - self._committed_at > COMMIT_EVERY_SECONDS:
            self._committed_at = time.monotonic()
            offsets = {TopicPartition(s.topic, s.partition): s.end for s in batch.spans}
            with suppress(KafkaError):  # for lag monitors only: positions are in the database
                await consumer.commit({p: o for p, o in offsets.items() if p in consumer.assignment()})

    async def lag(self, ends: Mapping[TopicPartition, int]) -> int:
        """Records on this instance's partitions that are not committed yet, by the broker's end offsets."""
        consumer = self.consumer
        partitions = [partition for partition in self._expected if partition in ends]
        if consumer is None or not partitions:
            return 0
        pool = self._database.pool
        rows = await pool.fetch(POSITIONS, [p.topic for p in partitions], [p.partition for p in partitions])
        total = 0
        for row in rows:
            partition, taken = TopicPartition(row["topic"], row["partition"]), row["next_offset"] or 0
            if self.own and taken == self._expected.get(partition) and partition in consumer.assignment():
                taken = max(taken, await consumer.position(partition))  # our own markers will be taken: nobody waits
            behind = max(0, ends[partition] - taken)
            self._metrics.lag(partition.topic, partition.partition, behind)
            total += behind
        return total


async def _whole(message: tuple[ConsumerRecord, ...]) -> KafkaMessage:
    """The batch as it came: no header or body of it is touched before the door."""
    return KafkaMessage(raw_message=message, body=b"", consumer=None)  # type: ignore[arg-type]


async def _undecoded(message: KafkaMessage) -> KafkaMessage:
    return message


def _pauses() -> Iterable[float]:
    """Seconds between tries: growing, then level, without end."""
    yield from BACKOFF
    while True:
        yield BACKOFF[-1]
