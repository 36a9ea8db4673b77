"""Tells what each household receives, for the integrated view and for those who look for the unserved.

Invariants
- Judging notes the households it touches in its own transaction; what is told of one is read from the ledger after
  that, so in the end every household is told of as the ledger has it.
- A household is told of at most once in ``APART``, and only where what is told differs from the last time. What is
  noted, told and kept goes in one transaction with the outbox.
- Judging and answering come first: while there is anything to judge or answer, or much was judged, telling waits, but
  no longer than ``AT_LAST``.
- A clock that was ahead and is put right makes nothing wait until the time it told.
- One instance tells at a time, in the session that holds the duty.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Any, Final
from uuid import UUID

import orjson
import structlog
from tepat_chassis.database import Connection
from tepat_chassis.failpoints import reach
from tepat_chassis.outbox import put

from tepat_distribution import domain
from tepat_distribution.outgoing import message
from tepat_distribution.store import Store, every, queries, undisturbed

log = structlog.get_logger()

AID: Final = "distribution.aid.v1"
AID_TOLD: Final = "tepat.aid.told.v1"
APART: Final = timedelta(minutes=1)
AT_LAST: Final = timedelta(minutes=5)
"""A bank's release of a million payments is judged and answered in half of that."""
CALM: Final = timedelta(seconds=3)
"""Longer than taking a batch and judging it."""
MUCH: Final = 500
"""Households touched within ``CALM``: with more, what two cores can do goes into judging."""
TOUCHES_AT_ONCE: Final = 4
HOUSEHOLDS_AT_ONCE: Final = 1_000
"""Told of in some 50 ms of the loop, in which nothing else is done."""


class Teller:
    """The duty of telling what households receive."""

    def __init__(self, store: Store, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._store = store
        self._clock = clock

    async def step(self, connection: Connection) -> bool:
        """Tell of the households due the longest, in a transaction of its own; whether anything was to be done."""
        now = self._clock()
        async with undisturbed(connection), connection.transaction():
            busy = await queries.busy_judging(connection, now=now, since=now - CALM, households=MUCH)
            until = now - AT_LAST if busy else now
            touches = await queries.fold_touched(connection, now=now, until=until, touches=TOUCHES_AT_ONCE, apart=APART)
            due = await every(
                queries.take_due(connection, now=now, until=until, apart=APART, households=HOUSEHOLDS_AT_ONCE)
            )
            told = await self._tell(connection, [row["household"] for row in due], now) if due else 0
            reach("aid.before_commit")
        reach("aid.after_commit")
        if told:
            log.info("aid told", households=told, looked_at=len(due))
        return bool(touches or due)

    async def _tell(self, connection: Connection, households: list[UUID], now: datetime) -> int:
        """Tell of those that receive something else than was told last; how many these are."""
        agencies, programmes = await self._store.codes(connection)
        payouts: dict[UUID, list[Any]] = {household: [] for household in households}
        async for row in queries.payouts_of(connection, households=households, at_most=domain.MOST_PAYOUTS):
            payouts[row["of"]].append(row)
        told = {each: domain.aid(each, rows, agencies, programmes) for each, rows in payouts.items()}
        changed = await every(queries.tell_aid(
            connection, households=households, digests=[digest(told[each]) for each in households],
            nothing=[not payouts[each] for each in households], now=now,
        ))  # fmt: skip
        await put(connection, [
            message(AID, str(each), AID_TOLD, revision, now, {**told[each], "revision": revision})
            for each, revision in changed
        ])  # fmt: skip
        return len(changed)


def digest(data: dict[str, Any]) -> bytes:
    """What tells contents apart; the revision is not part of it."""
    return blake2b(orjson.dumps(data, option=orjson.OPT_SORT_KEYS), digest_size=16).digest()
