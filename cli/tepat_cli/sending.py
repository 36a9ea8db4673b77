"""Sending many records in constant memory, and knowing where each landed.

Kept here: at most one open batch a partition and `FLYING` sent ones are held; every batch is confirmed by all
replicas before the end; the offsets are kept as ranges, not one by one.
"""

from asyncio import Future
from collections import deque
from typing import Any, Final

from aiokafka import AIOKafkaProducer
from aiokafka.partitioner import murmur2
from tepat_contracts.envelope import STRUCTURED_HEADERS

BATCH_BYTES: Final = 256 * 1024
FLYING: Final = 24


class Spans:
    """Offsets of one partition, as ranges in their order."""

    def __init__(self) -> None:
        self.ranges: list[tuple[int, int]] = []

    def __len__(self) -> int:
        return sum(end - start + 1 for start, end in self.ranges)

    def add(self, start: int, end: int) -> None:
        """Offsets from `start` to `end`, both inclusive, all above those added before."""
        if self.ranges and self.ranges[-1][1] + 1 == start:
            self.ranges[-1] = (self.ranges[-1][0], end)
        else:
            self.ranges.append((start, end))

    def remove(self, start: int, end: int) -> None:
        """Takes away `start` to `end`, both inclusive, as far as they are there."""
        left: list[tuple[int, int]] = []
        for first, last in self.ranges:
            if last < start or end < first:
                left.append((first, last))
                continue
            if first < start:
                left.append((first, start - 1))
            if end < last:
                left.append((end + 1, last))
        self.ranges = left


class Sending:
    """Records on their way to one topic. Kafka's own partitioner decides where a key goes."""

    def __init__(self, producer: AIOKafkaProducer, topic: str, partitions: int) -> None:
        self._producer = producer
        self._topic = topic
        self._partitions = partitions
        self._open: dict[int, Any] = {}
        self._flying: deque[tuple[Future[Any], int, int]] = deque()
        self.landed: dict[int, Spans] = {partition: Spans() for partition in range(partitions)}

    def put(self, key: bytes, value: bytes) -> int | None:
        """Takes a record; where its batch is full, the partition whose `send` must come before it is put again."""
        partition: int = (murmur2(key) & 0x7FFFFFFF) % self._partitions
        batch = self._open.get(partition)
        if batch is None:
            batch = self._open[partition] = self._producer.create_batch()
        full = batch.append(key=key, value=value, timestamp=None, headers=STRUCTURED_HEADERS) is None
        return partition if full else None

    async def send(self, partition: int) -> None:
        """Sends the open batch of a partition; waits while too many are on their way. Raises KafkaError."""
        batch = self._open.pop(partition)
        future = await self._producer.send_batch(batch, self._topic, partition=partition)
        self._flying.append((future, partition, batch.record_count()))
        while len(self._flying) > FLYING:
            await self._land()

    async def finish(self) -> None:
        """Sends what is open and waits for what is on its way. Raises KafkaError."""
        for partition in list(self._open):
            await self.send(partition)
        while self._flying:
            await self._land()

    async def _land(self) -> None:
        future, partition, count = self._flying.popleft()
        start = (await future).offset
        self.landed[partition].add(start, start + count - 1)
