"""Forgets payouts whose retention is over, with all that rests on them (decision 27).

Invariants
- A payout is forgotten once its last day is longer ago than the policy's ``retention.payouts``, and so is when the
  broker appended what holds of it; never before ``BROUGHT_BACK`` after that, in which topics or a replay may bring it
  again. So what is sent again is new, and kept as long as anything that is.
- What rests on it goes in the same transaction, and leaves tombstones: nobody is told that an overlap is cleared.
- No duty is at a step meanwhile (``store.undisturbed``), and no batch is taken (the service's exclusive lock): nothing
  is announced of what is being forgotten.
- Which payouts these are follows from the day in the policy's time zone. A page is one transaction, and the day is
  noted once a page was not full: after any crash the rest goes the same way.
"""

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import structlog
from tepat_chassis.database import Connection, Lock, lock_key
from tepat_chassis.failpoints import reach
from tepat_chassis.standing import Standing
from tepat_contracts.policy import kept_since
from tepat_contracts.topics import clearances_name

from tepat_distribution.aid import AID
from tepat_distribution.cases import CASES
from tepat_distribution.detect import FINDINGS, OVERLAPS
from tepat_distribution.policed import Policed
from tepat_distribution.store import BY_KEY_NOW, disturbing, queries

log = structlog.get_logger()

AT_ONCE: Final = 1_000
"""Payouts, forgotten in some 0.3 s, in which nothing is taken or judged."""
BROUGHT_BACK: Final = timedelta(days=90)
"""As long as the quarantine keeps records, and longer than agencies' topics do."""
FIRST: Final = date(1970, 1, 1)
"""Of the broker's time."""


class Forgetter:
    """The duty of forgetting."""

    def __init__(self, standing: Standing[Policed], clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._standing = standing
        self._clock = clock

    async def step(self, connection: Connection) -> bool:
        """Forget the next payouts, in a transaction of its own; whether there may be more."""
        in_force = await self._standing.refresh()
        if in_force is None:
            return False
        policy, now = in_force.document.index.policy, self._clock()
        zone = ZoneInfo(policy.time_zone)
        today = now.astimezone(zone).date()
        before = kept_since(policy.retention.payouts, today)
        done = await queries.forgotten_before(connection)
        if (done is not None and done >= before) or await queries.not_yet(connection):
            return False
        heard_before = max(min(before, today - BROUGHT_BACK), FIRST)
        async with disturbing(connection), connection.transaction():
            await connection.execute(f"select {Lock.EXCLUSIVE.value}({lock_key('facts')})")
            more = await self._page(connection, before, datetime.combine(heard_before, time.min, zone), now)
            if not more:
                await queries.set_forgotten(connection, before=before)
            await connection.execute("notify outbox; notify mark; notify clear")
            reach("forget.before_commit")
        reach("forget.after_commit")
        return more

    async def _page(self, connection: Connection, before: date, heard_before: datetime, now: datetime) -> bool:
        """Forget so many payouts, and once there are no more, of so many households that they receive nothing; whether
        there may be more.
        """
        await connection.execute("set local enable_seqscan = off")
        appended = int(heard_before.timestamp() * 1_000)
        payouts = await queries.forget_payouts(connection, before=before, appended=appended, payouts=AT_ONCE)
        if payouts:
            await connection.execute(BY_KEY_NOW)
            await queries.forget_answers(connection, topic=clearances_name("%s"))
            overlaps = await queries.forget_overlaps(connection, topic=OVERLAPS, now=now)
            await queries.forget_cases(connection, topic=CASES, ids=overlaps)
            await queries.forget_findings(connection, topic=FINDINGS)
            await queries.forget_aid(connection, topic=AID)
            await queries.forget_erased(connection)
            await queries.mark_left(connection)
            log.info("payouts forgotten", payouts=payouts, overlaps=len(overlaps), before=before.isoformat())
        if payouts == AT_ONCE:
            return True
        told = {"topic": AID, "told_before": heard_before, "households": AT_ONCE}
        return bool(await queries.forget_empty_aid(connection, **told) == AT_ONCE)
