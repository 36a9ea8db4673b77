"""How fast an inbox takes, so that nobody waits long behind a flood: batches that take about half a second each,
and none while those who judge what was taken are far behind.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from tepat_chassis.database import Connection, Database

BATCH_SECONDS = 0.5
LEAST_RECORDS = 200
"""Fewer cost more in transactions than they spare in waiting."""
WAIT_SECONDS = 2.0
"""For those who judge, before each batch: where they are stuck, taking goes on, slowly."""


class Pace:
    """How many records a batch may have; ``most`` until they are found to take longer than ``BATCH_SECONDS``."""

    def __init__(self, most: int) -> None:
        self._most = most
        self.records = most

    def took(self, records: int, seconds: float) -> None:
        """Heed how long a batch took to be read and written.

        A small one that was quick says little of larger ones, and a very small one that was slow neither.
        """
        fits = round(records * BATCH_SECONDS / max(seconds, 1e-3))
        least = min(LEAST_RECORDS, self._most)
        if fits < self.records and records >= least:
            self.records = max(fits, self.records // 2, least)
        elif fits > self.records and records * 2 >= self.records:
            self.records = min(fits, self.records * 2, self._most)


class Gate:
    """Holds the next batch back while more than ``at_most`` wait to be judged.

    Args:
        waiting: how many these are, counted no further than there is need to.
        channel: where each step of judging is told with NOTIFY, by whichever instance judges.
    """

    def __init__(
        self, database: Database, waiting: Callable[[Connection], Awaitable[int]], *, at_most: int, channel: str
    ) -> None:
        self._database = database
        self._waiting = waiting
        self._at_most = at_most
        self._channel = channel

    async def __call__(self) -> None:
        """Wait until few enough are left, ``WAIT_SECONDS`` at most."""
        async with self._database.pool.acquire() as connection:
            if await self._waiting(connection) <= self._at_most:
                return
            judged = asyncio.Event()

            def hear(*_: object) -> None:
                judged.set()

            await connection.add_listener(self._channel, hear)
            try:
                with suppress(TimeoutError):
                    async with asyncio.timeout(WAIT_SECONDS):
                        while await self._waiting(connection) > self._at_most:
                            await judged.wait()
                            judged.clear()
            finally:
                await connection.remove_listener(self._channel, hear)


async def open_gate() -> None:
    """Nothing is judged after this inbox."""
