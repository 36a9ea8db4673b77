"""Forgets what was told, to whom and over which address, once it is kept no longer.

Invariants
- What goes follows from the day in the policy's time zone and its ``retention.notices``: notices by when they ended,
  and what they told of by when it was over. What stands is kept, with who has heard of it: nothing is told twice.
- A page is one transaction under the service's exclusive lock, so nothing is told of what goes.
"""

from collections.abc import Callable
from datetime import date, datetime, time
from typing import Final

import structlog
from tepat_chassis.database import Connection, Lock, lock_key
from tepat_chassis.standing import Standing
from tepat_contracts.policy import kept_since

from tepat_notifications.domain import Province
from tepat_notifications.store import every, queries

log = structlog.get_logger()

AT_ONCE: Final = 5_000
"""Of each kind, forgotten in some 200 ms."""
FIRST: Final = date(1970, 1, 1)


class Retirer:
    """The duty of forgetting."""

    def __init__(self, standing: Standing[Province], clock: Callable[[], datetime]) -> None:
        self._standing = standing
        self._clock = clock
        self._done: datetime | None = None

    async def step(self, connection: Connection) -> bool:
        """Forget the next, in a transaction of its own; whether there may be more."""
        in_force = await self._standing.refresh()
        if in_force is None:
            return False
        province = in_force.document
        first = kept_since(province.notices_kept, self._clock().astimezone(province.zone).date())
        before = datetime.combine(max(first, FIRST), time.min, province.zone)
        if self._done == before:
            return False
        page = {"before": before, "at_most": AT_ONCE}
        async with connection.transaction():
            await connection.execute(f"select {Lock.EXCLUSIVE.value}({lock_key('facts')})")
            notices = await queries.retire_notices(connection, **page)
            rejections = await queries.retire_rejections(connection, **page)
            overlaps = [row["overlap_id"] for row in await every(queries.overlaps_over(connection, **page))]
            causes = [row["cause_id"] for row in await every(queries.causes_over(connection, **page))]
            await queries.forget_overlaps(connection, ids=overlaps)
            await queries.forget_causes(connection, ids=causes)
        counts = (notices, rejections, len(overlaps), len(causes))
        if any(counts):
            names = ("notices", "rejections", "overlaps", "causes")
            log.info("kept no longer", **dict(zip(names, counts, strict=True)), before=before.isoformat())
        if AT_ONCE in counts:
            return True
        self._done = before
        return False
