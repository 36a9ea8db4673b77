"""The district to the broker, and everything back from it for the check.

- Sending keeps the order of each partition, holds a few batches in memory whatever the district's size, and ends
  only when every replica has confirmed the last.
- Reading goes from a topic's first record to the end it has when asked, and no further; it begins only where the
  consumer stands at that first record (aiokafka can otherwise begin at the end).
- Our services' own topics are read as committed, as any consumer of theirs must.
"""

from __future__ import annotations

import asyncio
import re
from asyncio import Future
from collections import deque
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final
from zlib import crc32

import orjson
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from tepat_contracts.envelope import STRUCTURED_HEADERS

from .district import Message
from .oracle import Record

ANY: Final = re.compile(".*")
INBOUND: Final = re.compile(r"agency\.[^.]+\.(payouts|beneficiaries)\.v1")
RECEIPTS: Final = re.compile(r"agency\.[^.]+\.receipts\.v1")
CLEARANCES: Final = re.compile(r"agency\.[^.]+\.clearances\.v1")
OVERLAPS: Final = "distribution.overlaps.v1"

BATCH_BYTES: Final = 128 * 1024
FLYING: Final = 32
FETCH_BYTES: Final = 4 * 1024 * 1024
LINGER_MS: Final = 5

Partition = tuple[str, int]
"""A topic and the number of one of its partitions."""
Advance = Callable[[int], None]
"""Told how many more are done."""


def _silent(_: int) -> None:
    pass


async def send(kafka: str, messages: Iterable[Message], advance: Advance = _silent) -> int:
    """Sends messages by their key's partition; returns how many. Raises KafkaError.

    A topic must have been declared. Records of one partition keep their order; between partitions it may shift by
    a batch (128 KiB).
    """
    producer = AIOKafkaProducer(
        bootstrap_servers=kafka,
        enable_idempotence=True,
        compression_type="zstd",
        linger_ms=LINGER_MS,
        max_batch_size=BATCH_BYTES,
    )
    partitions: dict[str, int] = {}
    batches: dict[Partition, Any] = {}
    flying: deque[tuple[Future[Any], int]] = deque()
    sent = 0

    async def land() -> int:
        future, count = flying.popleft()
        await future
        advance(count)
        return count

    async def ship(where: Partition) -> None:
        batch = batches.pop(where)
        flying.append((await producer.send_batch(batch, where[0], partition=where[1]), batch.record_count()))

    await producer.start()
    try:
        for topic, key, value in messages:
            if topic not in partitions:
                partitions[topic] = len(await producer.partitions_for(topic))
            where = topic, crc32(key) % partitions[topic]  # as librdkafka has it; murmur2 is slow in Python
            batch = batches.get(where)
            if batch is not None and _append(batch, key, value):
                continue
            if batch is not None:
                await ship(where)
            batch = batches[where] = producer.create_batch()
            if not _append(batch, key, value):
                raise ValueError(f"a record for {topic} is larger than a batch")
            while len(flying) > FLYING:
                sent += await land()
        for where in list(batches):
            await ship(where)
        while flying:
            sent += await land()
    finally:
        await producer.stop()
    return sent


def _append(batch: Any, key: bytes, value: bytes) -> bool:
    return batch.append(key=key, value=value, timestamp=None, headers=STRUCTURED_HEADERS) is not None


@asynccontextmanager
async def _consumer(kafka: str, *names: str, committed: bool = False) -> AsyncIterator[AIOKafkaConsumer]:
    """A consumer of all partitions of topics, outside any group. Raises LookupError where one is not declared."""
    if names and (missing := sorted({*names} - {*await topics(kafka)})):  # the client would try for 40 seconds
        raise LookupError(f"not declared: {', '.join(missing)}")
    consumer = AIOKafkaConsumer(
        *names,
        bootstrap_servers=kafka,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        isolation_level="read_committed" if committed else "read_uncommitted",
        max_partition_fetch_bytes=FETCH_BYTES,
        check_crcs=False,
    )
    try:
        await consumer.start()
        yield consumer
    finally:
        await consumer.stop()


@asynccontextmanager
async def _from_the_first(
    kafka: str, *names: str, committed: bool
) -> AsyncIterator[tuple[AIOKafkaConsumer, list[TopicPartition]]]:
    """A consumer that stands at every partition's first record; raises RuntimeError where it doesn't."""
    async with _consumer(kafka, *names, committed=committed) as consumer:
        partitions = sorted(consumer.assignment())
        for partition, first in (await consumer.beginning_offsets(partitions)).items():
            stands = await consumer.position(partition)
            if stands != first:
                raise RuntimeError(f"{partition.topic}-{partition.partition} begins at {first}, read from {stands}")
        yield consumer, partitions


async def _records(consumer: AIOKafkaConsumer, timeout_ms: int = 500) -> list[Record]:
    batches = await consumer.getmany(timeout_ms=timeout_ms)
    return [
        Record(r.topic, r.partition, r.offset, r.headers, r.value, r.timestamp, r.key)
        for batch in batches.values() for r in batch
    ]  # fmt: skip


async def topics(kafka: str, named: re.Pattern[str] = ANY) -> list[str]:
    """The names of the declared topics that match as a whole."""
    async with _consumer(kafka) as consumer:
        return sorted(topic for topic in await consumer.topics() if named.fullmatch(topic))


async def bounds(kafka: str, names: Collection[str]) -> dict[Partition, tuple[int, int]]:
    """The first offset of each partition and the one after its last, now. Raises LookupError, KafkaError."""
    if not names:
        return {}
    async with _consumer(kafka, *names) as consumer:
        partitions = consumer.assignment()
        firsts, ends = await consumer.beginning_offsets(partitions), await consumer.end_offsets(partitions)
        return {(p.topic, p.partition): (firsts[p], ends[p]) for p in partitions}


async def read(
    kafka: str, names: Collection[str], *, committed: bool = False, advance: Advance = _silent
) -> list[Record]:
    """All records of topics up to their ends now, each partition in order.

    `committed` leaves out what transactions have not committed. Raises LookupError where a topic is not declared,
    KafkaError, and RuntimeError where reading would not begin at the first record.
    """
    records: list[Record] = []
    if not names:
        return records
    async with _from_the_first(kafka, *names, committed=committed) as (consumer, partitions):
        ends = await consumer.end_offsets(partitions)
        unread = {p for p in partitions if await consumer.position(p) < ends[p]}
        while unread:
            got = [r for r in await _records(consumer) if r.offset < ends[TopicPartition(r.topic, r.partition)]]
            records += got
            advance(len(got))
            for partition in list(unread):
                if await consumer.position(partition) >= ends[partition]:
                    unread.remove(partition)
                    consumer.pause(partition)
    return records


class Unanswered:
    """Which offsets of the inbound partitions no receipt covers yet, and how often the others are covered.

    A second receipt may come long after the first: ask for `twice` what was read once nothing is under way.
    """

    def __init__(self, within: Mapping[Partition, tuple[int, int]], receipts: Iterable[Record] = ()) -> None:
        """`within`: the first offset of each partition and the one after its last."""
        self._within = within
        self._covered = {where: bytearray(end - first) for where, (first, end) in within.items()}
        self._seen: set[bytes] = set()
        self.left = sum(map(len, self._covered.values()))
        for receipt in receipts:
            self.note(receipt)

    def note(self, receipt: Record) -> int:
        """Takes a receipt, the same one sent again but once; returns how many offsets it newly covers.

        The same one has the same bytes: of records taken twice the receipts have one id, and two times.
        """
        if receipt.value is None:
            return 0
        event = orjson.loads(receipt.value)
        data, kind = event["data"], event["type"]
        where = data["topic"], data["partition"]
        if kind == "tepat.events.accepted.v1":
            first, last = data["from_offset"], data["to_offset"]
        elif kind == "tepat.event.rejected.v1":
            first = last = data["offset"]
        else:
            return 0
        if where not in self._within or receipt.value in self._seen:
            return 0
        self._seen.add(receipt.value)
        begin, end = self._within[where]
        covered = self._covered[where]
        newly = 0
        for index in range(max(first, begin) - begin, min(last + 1, end) - begin):
            newly += not covered[index]
            covered[index] = min(2, covered[index] + 1)
        self.left -= newly
        return newly

    def twice(self) -> int:
        """How many offsets more than one receipt covers."""
        return sum(covered.count(2) for covered in self._covered.values())


async def answers(
    kafka: str, within: Mapping[Partition, tuple[int, int]], patience: float, advance: Advance = _silent
) -> None:
    """Follows the receipts until every offset `within` is covered.

    Raises TimeoutError where nothing was newly covered for `patience` seconds; its text says what is missing.
    """
    unanswered = Unanswered(within)
    names = await topics(kafka, RECEIPTS)
    async with _from_the_first(kafka, *names, committed=True) as (consumer, _):
        clock = asyncio.get_running_loop().time
        heard = clock()
        while unanswered.left:
            newly = sum(unanswered.note(receipt) for receipt in await _records(consumer))
            advance(newly)
            heard = clock() if newly else heard
            if clock() - heard > patience:
                raise TimeoutError(f"{unanswered.left} records got no receipt, and none came for {patience:g} s")
