"""A service tells up to where it has told everything: which inbound offsets are behind all that it announced.

Invariants
- What is told stands in the outbox behind every announcement that follows from the records it covers, and the relay
  sends it in a transaction after theirs. So whoever reads it, and asks then where the announcements end, has all.
- It is worked out from outside the work itself: the positions are looked at first, then each table through which a fact
  passes on its way, in that order. What such a table holds when it is looked at, and all that was in it before, is
  waited for; what comes later is not. So it goes on while work never ends, and costs what is taken nothing.
- It is told once before anything else is announced, of nothing: that a service tells is known from its first word on.
- One instance tells at a time, in the session that holds the duty; nothing is told where no position has moved.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

import asyncpg
import orjson
from aiokafka import ConsumerRecord
from tepat_contracts import envelope
from tepat_contracts.events.ours import PROGRESS_TOLD
from tepat_contracts.topics import progress_name

from tepat_chassis.database import Connection, Database
from tepat_chassis.failpoints import reach
from tepat_chassis.kafka import read_to_end
from tepat_chassis.outbox import Message, put

TOLD: Final = "select through from progress"
POSITIONS: Final = "select topic, partition, next_offset from position order by topic, partition"
BEGIN: Final = "insert into progress (revision, through) values ($1, '{}') on conflict do nothing returning revision"
TELL: Final = "update progress set revision = revision + 1, through = $1 returning revision"

Through = dict[str, list[int]]


class Progress:
    """The duty of telling progress.

    Args:
        of: whether what follows from a topic of that name is told.
        queues: tables through which what is taken passes on its way, in this order, before it is announced. Each has
            an ``id`` that grows, and what has a lesser one leaves the table first.
    """

    def __init__(
        self, database: Database, of: Callable[[str], bool], queues: Sequence[str],
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:  # fmt: skip
        self._database = database
        self._of = of
        self._queues = queues
        self._clock = clock
        self._through: Through | None = None
        self._left: list[str] = []
        self._last: int | None = None

    async def begin(self, kafka: str) -> None:
        """Know the revision our topic holds, and tell of nothing, unless this database did before.

        Raises:
            aiokafka.errors.KafkaError: the broker cannot be read.
        """
        if await self._database.pool.fetchval("select exists (select from progress)"):
            return
        revisions = [0]

        async def keep(batch: Sequence[ConsumerRecord]) -> None:
            revisions.extend(orjson.loads(record.value)["data"]["revision"] for record in batch)

        await read_to_end(kafka, [progress_name(self._database.service)], keep)
        async with self._database.transaction() as connection:
            revision = await connection.fetchval(BEGIN, max(revisions) + 1)
            if revision is not None:
                await put(connection, [self._message(revision, {})])

    async def work(self, connection: Connection) -> AsyncIterator[bool]:
        """A step at each rest: what was told is told anew at the next one at the earliest, however busy it is."""
        self._through = None
        while True:
            await self.step(connection)
            yield False

    async def step(self, connection: Connection) -> None:
        """Look at the positions; tell them, if all is told by now that was waiting then."""
        if self._through is None:
            through = await self._positions(connection)
            if through == orjson.loads(await connection.fetchval(TOLD)):
                return
            self._through, self._left, self._last = through, list(self._queues), None
        while self._left:
            table = self._left[0]
            if self._last is None:
                self._last = await connection.fetchval(f"select coalesce(max(id), 0) from {table}")
            if await connection.fetchval(f"select exists (select from {table} where id <= $1)", self._last):
                return
            self._left.pop(0)
            self._last = None
        async with connection.transaction():
            revision = await connection.fetchval(TELL, orjson.dumps(self._through).decode())
            await put(connection, [self._message(revision, self._through)])
            reach("progress.before_commit")
        self._through = None

    async def _positions(self, connection: Connection) -> Through:
        """How far each topic is taken, partition by partition; what is not held of one was not begun."""
        rows: list[asyncpg.Record] = await connection.fetch(POSITIONS)
        through: Through = {}
        for topic, partition, offset in rows:
            if self._of(topic):
                offsets = through.setdefault(topic, [])
                offsets += [0] * (partition - len(offsets)) + [offset]
        return through

    def _message(self, revision: int, through: Mapping[str, Sequence[int]]) -> Message:
        service = self._database.service
        topic = progress_name(service)
        event = envelope.event(
            service=service, type=PROGRESS_TOLD, id=f"{topic}/{revision}", time=self._clock(), subject=service,
            data={"service": service, "revision": revision, "through": through},
        )  # fmt: skip
        return Message(topic, service, envelope.write(event))
