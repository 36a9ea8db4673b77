"""Duties: work that one instance of a service does at a time.

Invariants
- Who holds a duty holds a session-level advisory lock on a connection of its own. The lock dies with
  the session: when the process is killed the server sees the socket close; when the process is merely
  stopped the server ends the idle session after ``database.IDLE_SECONDS``.
- What a duty writes to PostgreSQL it writes through that very connection. So an instance that lost its
  duty without knowing has lost its connection too, and can write nothing.
- What a duty writes elsewhere needs its own fence (the relay: Kafka's transactional id).
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import asyncpg
import structlog

from tepat_chassis.database import IDLE_SECONDS, Database, lock_key

log = structlog.get_logger()

HEARTBEAT = IDLE_SECONDS / 5
BACKOFF = (0.1, 0.2, 0.5, 1.0, 2.0)


def by_steps(
    step: Callable[["asyncpg.Connection[asyncpg.Record]"], Awaitable[bool]], session: str = ""
) -> Callable[["asyncpg.Connection[asyncpg.Record]"], AsyncIterator[bool]]:
    """Work that is one step after the other, each of which tells whether there may be more to do at once.

    Args:
        session: what is set first in the session that holds the duty.
    """

    async def work(connection: "asyncpg.Connection[asyncpg.Record]") -> AsyncIterator[bool]:
        if session:
            await connection.execute(session)
        while True:
            yield await step(connection)

    return work


class _Stopped(Exception):
    """The duty was given up before it was won."""


class Duty:
    """A named piece of work, done by the instance that holds its lock, woken by NOTIFY on its channel.

    Args:
        drained: at a stop it goes on until nothing is left to do; otherwise it ends after the step in hand.
        every: seconds after which it looks for work that nobody told of; less than ``IDLE_SECONDS``.
    """

    def __init__(self, database: Database, name: str, *, drained: bool = True, every: float = HEARTBEAT) -> None:
        self.name = name
        self._every = every
        self._drained = drained
        self._database = database
        self._wake = asyncio.Event()
        self._stopping = asyncio.Event()
        self._idle = asyncio.Event()
        self.held = False

    async def perform(self, work: Callable[["asyncpg.Connection[asyncpg.Record]"], AsyncIterator[bool]]) -> None:
        """Hold the duty and do its work until stopped.

        ``work`` is called anew each time the duty is won. It yields after each step: true when there
        may be more to do at once, false when it found nothing and can wait for a NOTIFY (or for
        ``every`` seconds: what a crashed instance left is found without one). An error loses the
        duty; it is logged, and taken up again after a pause.
        """
        failures = 0
        while not self._stopping.is_set():
            try:
                async with self._hold() as connection:
                    steps = work(connection)
                    try:
                        async for more in steps:
                            failures = 0
                            done = not more or (self._stopping.is_set() and not self._drained)
                            if done and await self._rest():
                                break
                    finally:
                        await steps.aclose()  # type: ignore[attr-defined]
            except _Stopped:
                return
            except Exception as error:  # whatever it was, the duty must be taken up again
                pause = BACKOFF[min(failures, len(BACKOFF) - 1)]
                failures += 1
                log.warning(
                    "duty lost",
                    duty=self.name,
                    error=f"{type(error).__name__}: {error}",
                    pause=pause,
                    exc_info=failures > 3,
                )
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), pause)

    def wake(self) -> None:
        """Look for work now."""
        self._wake.set()

    async def stop(self) -> None:
        """Let the duty end at its next rest: once nothing is left to do, unless it need not be drained."""
        self._stopping.set()
        self._wake.set()

    async def _rest(self) -> bool:
        """Wait for work; true when the duty is to end."""
        if self._stopping.is_set():
            return True
        with suppress(TimeoutError):
            await asyncio.wait_for(self._wake.wait(), self._every)
        self._wake.clear()
        return False

    @asynccontextmanager
    async def _hold(self) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
        connection = await self._database.connect()
        try:
            await self._acquire(connection)
            await connection.add_listener(self.name, lambda *_: self._wake.set())
            log.info("duty taken", duty=self.name)
            yield connection
        finally:
            self.held = False
            with suppress(Exception):
                await connection.close(timeout=1)

    async def _acquire(self, connection: "asyncpg.Connection[asyncpg.Record]") -> None:
        waiting = asyncio.ensure_future(
            connection.execute("select pg_advisory_lock($1)", lock_key(f"duty {self.name}"))
        )
        stopping = asyncio.ensure_future(self._stopping.wait())
        try:
            await asyncio.wait({waiting, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if not waiting.done():
                raise _Stopped
            await waiting
            self.held = True
        finally:
            for task in (waiting, stopping):
                if not task.done():
                    task.cancel()
                    with suppress(asyncio.CancelledError, Exception):
                        await task
