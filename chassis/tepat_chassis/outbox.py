"""The transactional outbox and its relay.

Invariants
- An event is written to table ``outbox`` in the transaction of the facts it tells of, and deleted only
  after the broker has committed it: delivery is at least once.
- Rows leave in the order of their ids. Transactions that write one key are serialised by their service
  (a lock or a duty), so for each key ids grow in commit order.
- One round never holds one key twice, and the next round starts only after the last one is both
  committed in Kafka and deleted here. So a repeated round repeats one revision a key and never makes a
  revision fall – for readers of uncommitted records too.
- What a service tells of its progress begins a round: Kafka has then ended the transactions of all that stands before
  it, and whoever reads it finds them on their topics.
- One instance relays at a time (a duty), under one transactional id a service: a relay that was paused
  and wakes is fenced by the broker, since its successor has raised the epoch.
- A topic is declared before the first record is sent to it; brokers never create one on their own.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress
from typing import NamedTuple
from zlib import crc32

import asyncpg
import structlog
from aiokafka import AIOKafkaProducer
from tepat_contracts.topics import progress_name

from tepat_chassis.database import Connection, Database
from tepat_chassis.duty import Duty
from tepat_chassis.failpoints import reach
from tepat_chassis.health import Health
from tepat_chassis.kafka import REQUEST_MS
from tepat_chassis.metrics import Metrics

log = structlog.get_logger()

CHANNEL = "outbox"
ROUND = 5_000
MAX_REQUEST_BYTES = 3 * 1024 * 1024
TRANSACTION_TIMEOUT_MS = 10_000

TAKE = "select id, topic, key, value from outbox order by id limit $1"
DELETE = "delete from outbox where id = any($1::bigint[])"
DEPTH = (
    "select count(*) as depth, coalesce(extract(epoch from clock_timestamp() - min(created_at)), 0) as age from outbox"
)


class Message(NamedTuple):
    """An event on its way out; ``value`` none is a tombstone."""

    topic: str
    key: str
    value: bytes | None


async def put(connection: Connection, messages: Sequence[Message]) -> None:
    """Write messages into the outbox, in the caller's transaction."""
    if messages:
        await connection.copy_records_to_table("outbox", records=messages, columns=("topic", "key", "value"))
        await connection.execute(f"notify {CHANNEL}")


def one_round(rows: Sequence[asyncpg.Record], first: str) -> list[asyncpg.Record]:
    """The first row of each (topic, key), in the order given; later ones wait for the next round, as does all from a
    row of topic ``first`` on that is not the first of all.
    """
    seen: set[tuple[str, str]] = set()
    taken: list[asyncpg.Record] = []
    for row in rows:
        if row["topic"] == first and taken:
            break
        key = (row["topic"], row["key"])
        if key not in seen:
            seen.add(key)
            taken.append(row)
    return taken


def partition_of(key: bytes, partitions: int) -> int:
    """The partition of a key, as librdkafka's: by CRC-32 in 0.2 µs. aiokafka's own, in pure Python, takes 14."""
    return crc32(key) % partitions


class Relay:
    """Sends what stands in the outbox.

    Args:
        declare: makes sure that the topics named exist; called once for each new one.
    """

    def __init__(
        self,
        database: Database,
        *,
        kafka: str,
        declare: Callable[[frozenset[str]], Awaitable[None]],
        metrics: Metrics,
        health: Health,
    ) -> None:
        self.duty = Duty(database, CHANNEL)
        self._database = database
        self._kafka = kafka
        self._declare = declare
        self._declared: set[str] = set()
        self._metrics = metrics
        self._health = health
        self._progress = progress_name(database.service)

    async def run(self) -> None:
        """Relay until stopped; at a stop, until the outbox is empty."""
        await self.duty.perform(self._rounds)

    async def stop(self) -> None:
        """End after the rows that stand in the outbox now."""
        await self.duty.stop()

    async def _rounds(self, connection: "asyncpg.Connection[asyncpg.Record]") -> AsyncIterator[bool]:
        producer = AIOKafkaProducer(
            bootstrap_servers=self._kafka,
            client_id=f"tepat-{self._database.service}-relay",
            transactional_id=f"tepat-{self._database.service}-relay",
            transaction_timeout_ms=TRANSACTION_TIMEOUT_MS,
            request_timeout_ms=REQUEST_MS,
            enable_idempotence=True,
            compression_type="zstd",
            linger_ms=2,
            max_batch_size=512 * 1024,
            max_request_size=MAX_REQUEST_BYTES,
        )
        await producer.start()
        try:
            while True:
                rows = one_round(await connection.fetch(TAKE, ROUND), self._progress)
                if rows:
                    await self._send(producer, rows)
                    await connection.execute(DELETE, [row["id"] for row in rows])
                    reach("relay.after_delete")
                    self._metrics.relayed(len(rows))
                self._health.relayed()
                yield bool(rows)
        finally:
            with suppress(Exception):
                await asyncio.wait_for(producer.stop(), 5)

    async def _send(self, producer: AIOKafkaProducer, rows: Sequence[asyncpg.Record]) -> None:
        topics = frozenset(row["topic"] for row in rows)
        if unknown := topics - self._declared:
            await self._declare(unknown)
            self._declared |= unknown
        reach("relay.before_send")
        async with producer.transaction():
            await asyncio.gather(*[sent async for sent in _sent(producer, rows)])
            reach("relay.before_commit")
        reach("relay.after_commit")


async def _sent(producer: AIOKafkaProducer, rows: Sequence[asyncpg.Record]) -> AsyncIterator["asyncio.Future[object]"]:
    """Send rows by the batch of a partition: half of what they cost sent one by one, each with a future of its own."""
    partitions = {topic: len(await producer.partitions_for(topic)) for topic in {row["topic"] for row in rows}}
    parts: dict[tuple[str, int], list[tuple[bytes, bytes | None]]] = {}
    for row in rows:
        topic, key = row["topic"], row["key"].encode()
        parts.setdefault((topic, partition_of(key, partitions[topic])), []).append((key, row["value"]))
    for (topic, partition), records in parts.items():
        batch = producer.create_batch()
        for key, value in records:
            if batch.append(timestamp=None, key=key, value=value) is None:  # full: a first record always fits
                yield await producer.send_batch(batch, topic, partition=partition)
                batch = producer.create_batch()
                batch.append(timestamp=None, key=key, value=value)
        yield await producer.send_batch(batch, topic, partition=partition)


async def depth(connection: Connection) -> tuple[int, float]:
    """How many events wait in the outbox, and for how many seconds the oldest has."""
    row = await connection.fetchrow(DEPTH)
    assert row is not None
    return row["depth"], float(row["age"])
