"""Judges what was touched, and announces what changed.

Invariants
- One instance judges at a time, in the session that holds the duty; each step is one transaction: marks taken,
  difference found, announcement kept and put into the outbox, all or nothing.
- A step reads one snapshot, in which the marks are seen with the facts that left them; a fact that commits later
  leaves a mark of its own.
- A step judges so many pairs at most: what a crowd has more is marked again, behind what others left meanwhile.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from time import perf_counter
from typing import Any

import structlog
from tepat_chassis.database import Connection
from tepat_chassis.failpoints import reach
from tepat_chassis.outbox import Message, put

from tepat_distribution import cases, domain
from tepat_distribution.outgoing import message
from tepat_distribution.store import LOOK, Store, every, queries, undisturbed

log = structlog.get_logger()

OVERLAPS = "distribution.overlaps.v1"
FINDINGS = "distribution.findings.v1"
JUDGED = "judged"
"""The channel on which a step is told."""
CLEAR = "clear"
"""The channel on which it is told that answers may have changed; the duty of answering bears its name."""
VERSION = "select version from standing order by seq desc limit 1"


class Detector:
    """The duty of judging."""

    def __init__(self, store: Store, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._store = store
        self._clock = clock

    async def step(self, connection: Connection) -> bool:
        """Judge the oldest marks, in a transaction of its own; whether there were any."""
        started = perf_counter()
        async with undisturbed(connection), connection.transaction(isolation="repeatable_read"):
            now = self._clock()
            if not await self._store.touch(connection, now):
                return False
            version = await connection.fetchval(VERSION) or ""
            left = await self._store.gather(connection)
            resized = await self._store.resized(connection, version, now)
            relocated = await every(queries.relocate(connection, version=version, now=now))
            await put(connection, [_finding(row, now, version) for row in (*resized, *relocated)])
            pairs = await self._announce(connection, now, version)
            await connection.execute(f"notify {JUDGED}; notify {CLEAR}; {LOOK}")
            reach("detect.before_commit")
        reach("detect.after_commit")
        if pairs or resized or left:
            log.info(
                "overlaps announced", pairs=pairs, resized=len(resized), left_for_later=left,
                ms=round((perf_counter() - started) * 1e3),
            )  # fmt: skip
        return True

    async def _announce(self, connection: Connection, now: datetime, version: str) -> int:
        """Announce what differs, and have what is cleared of both sides answered again; the number of pairs."""
        pairs, sides = 0, list[tuple[int, str]]()
        async for differences in self._store.differences(connection):
            if not pairs:
                agencies, programmes = await self._store.codes(connection)
            announcements = list(domain.announcements(differences, agencies, programmes, version, now))
            await self._store.announce(connection, announcements, now)
            await cases.follow(connection, announcements, now)
            await put(connection, [
                message(OVERLAPS, str(a.overlap_id), a.type, a.revision, now, a.data, a.trace)
                for a in announcements
            ])  # fmt: skip
            pairs += len(announcements)
            sides += [(row[f"agency_{side}"], row[f"payout_{side}"]) for row in differences for side in "ab"]
        agencies_of, payout_ids = map(list, zip(*sides, strict=True)) if sides else ([], [])
        await queries.touch_clearances(connection, now=now, agencies=agencies_of, payout_ids=payout_ids)
        return pairs


def _finding(row: Any, now: datetime, version: str) -> Message:
    revision = row["revision"] + 1
    kind, data = domain.group_finding(row["g"], row["person"], row["large"], revision, row["region"], version)
    return message(FINDINGS, data["finding_id"], kind, revision, now, data)
