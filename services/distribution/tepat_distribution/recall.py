"""Reads single records again from agencies' topics, to settle events that misuse one id.

The topic itself is the archive: the ledger keeps only where the event it holds stands. After the 30 days that
inbound topics keep, such an event can no longer be told from its rival and the one held stays.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence

from aiokafka import AIOKafkaConsumer, TopicPartition
from tepat_chassis.quarantine import Told
from tepat_contracts.topics import Kind, inbound_name

Place = tuple[str, int, int]
WAIT_SECONDS = 10.0


class Recall:
    """Reads what stands at (agency, partition, offset)."""

    def __init__(self, kafka: str, data_of: Callable[[Told], str]) -> None:
        self._kafka = kafka
        self._data_of = data_of

    async def __call__(self, places: Sequence[Place]) -> Mapping[Place, str]:
        """The canonical data of the records at these places; those no longer kept are left out.

        Raises:
            TimeoutError: the broker gave nothing for ``WAIT_SECONDS``; what it keeps is not said to be gone.
            aiokafka.errors.KafkaError: it cannot be reached.
        """
        wanted: dict[TopicPartition, dict[int, Place]] = {}
        for place in places:
            agency, partition, offset = place
            wanted.setdefault(TopicPartition(inbound_name(agency, Kind.PAYOUTS), partition), {})[offset] = place
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self._kafka, enable_auto_commit=False, auto_offset_reset="earliest",
            max_partition_fetch_bytes=4 * 1024 * 1024,
        )  # fmt: skip
        await consumer.start()
        try:
            found: dict[Place, str] = {}
            for partition, offsets in wanted.items():
                found |= await self._read(consumer, partition, offsets)
            return found
        finally:
            await consumer.stop()

    async def _read(
        self, consumer: AIOKafkaConsumer, partition: TopicPartition, offsets: Mapping[int, Place]
    ) -> dict[Place, str]:
        consumer.assign([partition])
        first = (await consumer.beginning_offsets([partition]))[partition]
        end = (await consumer.end_offsets([partition]))[partition]
        clock = asyncio.get_running_loop().time
        found: dict[Place, str] = {}
        for start, last in _runs(offset for offset in offsets if first <= offset < end):
            consumer.seek(partition, start)
            reached = start
            async with asyncio.timeout(WAIT_SECONDS) as patience:
                while reached <= last:
                    records = (await consumer.getmany(partition, timeout_ms=500)).get(partition, [])
                    for record in records:
                        if start <= record.offset <= last and record.offset in offsets:
                            found[offsets[record.offset]] = self._data_of(record)
                    if records:
                        patience.reschedule(clock() + WAIT_SECONDS)
                    reached = await consumer.position(partition)
        return found


def _runs(offsets: Iterable[int], gap: int = 2_000) -> Iterable[tuple[int, int]]:
    """Offsets gathered into runs, each read in one go: (first, last)."""
    run: list[int] = []
    for offset in sorted(offsets):
        if run and offset - run[-1] > gap:
            yield run[0], run[-1]
            run = []
        run.append(offset)
    if run:
        yield run[0], run[-1]
