"""Finds what is wrong with payouts beside overlaps, and announces what changed.

Invariants
- Judging notes the payouts it touches and the groups they are gone from in its own transaction; who changes who is
  who, a decision or the terms of the policy notes whom it concerns in its own. From these notes alone payouts are
  looked at: all of a step on one snapshot, compared with what was last announced, kept and announced in one
  transaction.
- Nothing is raised on what is not known yet: a payout is looked at once all is taken that registry and eligibility make
  of what agencies had sent when it was noted, and nothing is while a new database takes the topics again.
- Judging comes first: while there is anything to judge, or much was, payouts wait, but no longer than ``AT_LAST``.
- One instance looks at a time, in the session that holds the duty.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

import structlog
from tepat_chassis.database import Connection
from tepat_chassis.failpoints import reach
from tepat_chassis.outbox import put

from tepat_distribution import found
from tepat_distribution.aid import AT_LAST, CALM, MUCH
from tepat_distribution.detect import FINDINGS, VERSION
from tepat_distribution.held import Held
from tepat_distribution.knowing import Known
from tepat_distribution.outgoing import message
from tepat_distribution.store import BY_KEY, PAYOUTS_OF_A_TOUCH, Store, every, queries, undisturbed

log = structlog.get_logger()

TOUCHES_AT_ONCE: Final = 2
NOTES_AT_ONCE: Final = 4
SWEPT_AT_ONCE: Final = 50_000
"""Payouts that a sweep touches at a time: so many wait together for what registry and eligibility say."""


class Finder:
    """The duty of finding."""

    def __init__(
        self, store: Store, known: Known, held: Held, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._store = store
        self._known = known
        self._held = held
        self._clock = clock
        self._spread_at: datetime | None = None

    async def work(self, connection: Connection) -> AsyncIterator[bool]:
        """One step after the other, until nothing is left that may be looked at."""
        await connection.execute(BY_KEY)
        self._known.begin()
        self._spread_at = self._clock()
        try:
            while True:
                yield await self.step(connection)
        finally:
            self._held.forget()

    async def step(self, connection: Connection) -> bool:
        """Spread what was noted, and look at the payouts touched first; whether there were any."""
        if await queries.not_yet(connection):
            return False
        now = self._clock()
        busy = await queries.busy_judging(connection, now=now, since=now - CALM, households=MUCH)
        until = now - AT_LAST if busy else now
        since = self._spread_at
        due = since is None or since <= until or since > now  # after now: by a clock that was wrong
        spread = due and await self._spread(connection, now, until)
        through = await self._known.through(connection)
        await self._see(connection, through, now)
        return await self._look(connection, now, until, through) or spread

    async def _see(self, connection: Connection, through: int, now: datetime) -> None:
        """See whether a service that is waited for stands still."""
        service = self._known.waits_for
        if service is None:
            self._held.see(None, None, 0, now)
        else:
            waiting = await queries.waiting_for(connection, service=service, through=through)
            self._held.see(service, waiting["revision"], waiting["pages"], now)

    async def _spread(self, connection: Connection, now: datetime, at: datetime) -> bool:
        """Touch the payouts of those noted first, or the next of a sweep; whether there were any."""
        async with connection.transaction():
            pages = {"at": at, "payouts": PAYOUTS_OF_A_TOUCH}
            notes = await queries.spread_groups(connection, notes=NOTES_AT_ONCE, **pages)
            swept = await queries.sweep_on(connection, at_most=SWEPT_AT_ONCE, **pages)
        if not (notes or swept):
            self._spread_at = now
        return bool(notes or swept)

    async def _look(self, connection: Connection, now: datetime, until: datetime, through: int) -> bool:
        """Look at the payouts touched first, in a transaction of its own; whether there were any."""
        async with undisturbed(connection), connection.transaction(isolation="repeatable_read"):
            touches = await queries.take_finding_touches(
                connection, through=through, now=now, until=until, pages=TOUCHES_AT_ONCE
            )
            if not touches:
                return False
            agencies, programmes = await self._store.codes(connection)
            findings = await _found(connection, agencies, programmes)
            known = {row["finding_id"]: row for row in await every(queries.stood(connection))}
            others = [each.finding_id for each in findings if each.finding_id not in known]
            if others:
                rows = await every(queries.known_findings(connection, ids=others))
                known |= {row["finding_id"]: row for row in rows}
            version = await connection.fetchval(VERSION) or ""
            changes = found.changes(findings, known, agencies, programmes, version)
            await _announce(connection, changes, now)
            reach("findings.before_commit")
        reach("findings.after_commit")
        if changes:
            log.info("findings announced", findings=len(changes), stand=len(findings))
        return True


async def _found(
    connection: Connection, agencies: Mapping[int, str], programmes: Mapping[int, str]
) -> list[found.Finding]:
    """All that is found of what is looked at."""
    told = await queries.anybody_told(connection)
    findings = [
        found.of_payout(row, agencies) for row in await every(queries.found_of_payouts(connection, told_of_any=told))
    ]
    await queries.gather_members(connection)
    findings += [found.over_cap(row, programmes) for row in await every(queries.found_over_cap(connection))]
    findings += [found.twice(row, programmes) for row in await every(queries.found_twice(connection))]
    return findings


async def _announce(connection: Connection, changes: list[found.Change], now: datetime) -> None:
    if not changes:
        return
    rows: list[tuple[Any, ...]] = [(*change.row, now) for change in changes]
    await connection.copy_records_to_table("announced_finding", records=rows)
    await queries.keep_findings(connection)
    await put(connection, [
        message(FINDINGS, change.data["finding_id"], change.type, change.data["revision"], now, change.data)
        for change in changes
    ])  # fmt: skip
