"""Defects put into a service on purpose: the suite must notice each. A control that passes is a hole in the suite.

Each replaces one thing that an invariant rests on, and fails loudly where it no longer finds what it replaces. They
are put in by `launcher.py`, in the process of the service; no code of the product knows of them.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import takewhile
from typing import Any

from tepat_chassis import database, inbox, outbox


def fence_off() -> None:
    """Positions move wherever they stand: a zombie writes."""
    expected = " and p.next_offset = n.expected"
    assert expected in inbox.ADVANCE
    inbox.ADVANCE = inbox.ADVANCE.replace(expected, "")


def positions_first() -> None:
    """Positions are committed before what was taken is written."""
    commit = inbox.Inbox._commit

    class Apart:
        def __init__(self, intake: Any) -> None:
            self._intake = intake

        def __getattr__(self, name: str) -> Any:
            return getattr(self._intake, name)

        async def write(self, connection: Any, work: Any) -> None:
            await connection.execute("commit; begin")
            await self._intake.write(connection, work)

    async def commit_apart(self: Any, batch: Any) -> None:
        intake, self._intake = self._intake, Apart(self._intake)
        try:
            await commit(self, batch)
        finally:
            self._intake = intake

    _replace(inbox.Inbox, "_commit", commit_apart)


def marks_apart() -> None:
    """The marks of what was touched are taken in a transaction of their own."""
    from tepat_distribution.store import Store  # noqa: PLC0415 – the other services have none

    touch = Store.touch
    tables = ("touched", "left_group", "subject")

    async def touch_apart(self: Any, connection: Any, now: Any) -> bool:
        if not await touch(self, connection, now):
            return False
        for table in tables:
            await connection.execute(f"create temp table kept_{table} as table {table}")
        await connection.execute("commit; begin isolation level repeatable read")
        for table in tables:
            await connection.execute(f"insert into {table} table kept_{table}; drop table kept_{table}")
        return True

    _replace(Store, "touch", touch_apart)


def notes_apart() -> None:
    """Whom judging touched is noted once its transaction is over: what is to be answered anew may never be heard of."""
    from tepat_distribution.detect import Detector  # noqa: PLC0415 – the other services have none
    from tepat_distribution.store import queries  # noqa: PLC0415

    step, note = Detector.step, queries.touch_clearances
    noted: list[Any] = []

    async def note_later(connection: Any, **of: Any) -> None:
        await note(connection, **of)
        taken = "delete from clearance_touch where at = $1 returning at, agencies, payout_ids"
        noted.extend(map(tuple, await connection.fetch(taken, of["now"])))

    async def step_and_note(self: Any, connection: Any) -> bool:
        noted.clear()
        worked = await step(self, connection)
        await connection.executemany(
            "insert into clearance_touch (at, agencies, payout_ids) values ($1, $2, $3)", noted
        )
        return worked

    _replace(queries, "touch_clearances", note_later)
    _replace(Detector, "step", step_and_note)


def answers_unread() -> None:
    """Planned payouts are answered whether or not all that was sent before them is read and judged."""
    from tepat_distribution import clearances  # noqa: PLC0415 – the other services have none

    async def covered(*_: Any) -> int:
        return clearances.ALL_READ

    _replace(clearances.Clearer, "_covered", covered)


def naive_outbox() -> None:
    """The outbox is read from a cursor, and deleted up to it: ids are taken for the order of commits."""
    rounds = outbox.Relay._rounds

    class Cursor:
        def __init__(self, connection: Any, progress: str) -> None:
            self._connection = connection
            self._progress = progress
            self._last = 0

        async def fetch(self, _: str, at_most: int) -> Any:
            query = "select id, topic, key, value from outbox where id > $1 order by id limit $2"
            rows = await self._connection.fetch(query, self._last, at_most)
            alike = zip(rows, outbox.one_round(rows, self._progress), strict=False)  # the rest must wait
            rows = [row for row, _ in takewhile(lambda pair: pair[0] is pair[1], alike)]
            self._last = max([self._last, *(row["id"] for row in rows)])
            return rows

        async def execute(self, _: str, __: Any) -> None:
            await self._connection.execute("delete from outbox where id <= $1", self._last)

    _replace(outbox.Relay, "_rounds", lambda self, connection: rounds(self, Cursor(connection, self._progress)))  # type: ignore[arg-type]


def rebalance_ignored() -> None:
    """After the first assignment no other is heeded: neither what is lost nor what is won."""
    assigned = inbox.Inbox.on_partitions_assigned

    async def once(self: Any, partitions: Any) -> None:
        if not self._assigned:
            await assigned(self, partitions)

    async def never(self: Any, partitions: Any) -> None: ...

    _replace(inbox.Inbox, "on_partitions_assigned", once)
    _replace(inbox.Inbox, "on_partitions_revoked", never)


def transactional_id_off() -> None:
    """The relay sends outside any transaction: one that was paused wakes and sends."""

    class Unfenced(outbox.AIOKafkaProducer):  # type: ignore[misc,name-defined]  # aiokafka is not typed
        def __init__(self, *, transactional_id: str, transaction_timeout_ms: int, **more: Any) -> None:
            super().__init__(**more)

        def transaction(self) -> contextlib.AbstractAsyncContextManager[None]:
            return contextlib.nullcontext()

    outbox.AIOKafkaProducer = Unfenced  # type: ignore[attr-defined]


def locks_left_out() -> None:
    """Transactions run beside each other, whoever changes who is who beside whoever asks."""
    transaction = database.Database.transaction

    @asynccontextmanager
    async def unlocked(self: Any, lock: database.Lock | None = None) -> AsyncIterator[Any]:
        async with transaction(self) as connection:
            yield connection

    _replace(database.Database, "transaction", unlocked)


def _replace(owner: object, name: str, by: object) -> None:
    assert hasattr(owner, name), f"{owner!r} has no {name}: the control must be written anew"
    setattr(owner, name, by)


CONTROLS: dict[str, Callable[[], None]] = {
    each.__name__.replace("_", "-"): each
    for each in (
        fence_off, positions_first, marks_apart, notes_apart, answers_unread, naive_outbox, rebalance_ignored,
        transactional_id_off, locks_left_out,
    )
}  # fmt: skip
