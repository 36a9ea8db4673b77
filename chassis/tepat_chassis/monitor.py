"""Asks the loops and the database how they are, and tells health and metrics.

Invariants:
- When an inbox last polled is asked of its consumer, for an idle one hands over no batch that could tell.
- What can't be asked leaves its stamp to age: the monitor never says that something is well on its own
  account.
"""

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Any

from tepat_chassis.database import Database
from tepat_chassis.health import Health
from tepat_chassis.inbox import Inbox
from tepat_chassis.logging import get_logger
from tepat_chassis.metrics import Metrics
from tepat_chassis.outbox import depth

EVERY_SECONDS = 2.0
PATIENCE_SECONDS = 5.0

log = get_logger()


async def watch(
    database: Database,
    inboxes: Sequence[Inbox[Any]],
    metrics: Metrics,
    health: Health,
    every: float = EVERY_SECONDS,
) -> None:
    """Asks every ``every`` seconds, until cancelled."""
    away: set[str] = set()
    while True:
        for inbox in inboxes:
            if (consumer := inbox.consumer) is not None:
                health.subscribed(inbox.name, len(inbox.subscribed))
                health.polled(inbox.name, ago=consumer._subscription.fetcher_idle_time)
        for what, ask in (
            ("database", partial(_ask_outbox, database, metrics, health)),
            ("broker", partial(_ask_lags, inboxes, metrics)),
        ):
            try:
                await asyncio.wait_for(ask(), PATIENCE_SECONDS)
                away.discard(what)
            except Exception as error:  # told once; the stamps age meanwhile
                if what not in away:
                    log.warning("no answer", of=what, error=f"{type(error).__name__}: {error}")
                away.add(what)
        await asyncio.sleep(every)


async def _ask_outbox(database: Database, metrics: Metrics, health: Health) -> None:
    async with database.pool.acquire() as connection:
        waiting, oldest = await depth(connection)
    metrics.outbox(waiting, oldest)
    health.waiting(oldest)
    health.database_ok()


async def _ask_lags(inboxes: Sequence[Inbox[Any]], metrics: Metrics) -> None:
    for inbox in inboxes:
        await inbox.lag()
    metrics.lags_told()
