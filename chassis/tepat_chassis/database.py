"""One PostgreSQL database a service: its pool, its migrations, its transactions.

Invariants
- A migration runs once, in the order of its file name, the chassis's before the service's own, in one
  transaction, however many instances start at the same moment.
- ``Lock.SHARED`` transactions run beside each other, ``Lock.EXCLUSIVE`` ones beside no other locked
  one. The lock is taken by the first statement, so every later statement (READ COMMITTED) sees all
  that was committed before.
- A session that stops in the midst of a transaction (a stopped process) is ended by the server after
  ``IDLE_SECONDS``: its locks do not outlive it.
"""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from enum import Enum
from importlib.resources.abc import Traversable
from typing import Any, TypeAlias, TypeVar
from zlib import crc32

import asyncpg
import structlog
from asyncpg.pool import PoolConnectionProxy

log = structlog.get_logger()

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]"

T = TypeVar("T")

IDLE_SECONDS = 10
SILENCE = {"TCP_KEEPIDLE": 5, "TCP_KEEPINTVL": 3, "TCP_KEEPCNT": 3, "TCP_USER_TIMEOUT": 15_000}
"""What the kernel is told, as far as it knows it: a server that answers nothing for some 15 seconds is gone."""
MINIMUM_VERSION = 18

SESSION = {
    "jit": "off",
    "default_statistics_target": "20",
    "timezone": "UTC",
    "idle_in_transaction_session_timeout": f"{IDLE_SECONDS}s",
}


class Lock(Enum):
    """How a transaction shares the database with the other writers of its service."""

    SHARED = "pg_advisory_xact_lock_shared"
    EXCLUSIVE = "pg_advisory_xact_lock"


def lock_key(name: str) -> int:
    """The advisory lock number of a name, the same in every instance."""
    return crc32(name.encode())


class Database:
    """A service's database: a pool of connections, each prepared by ``session`` statements."""

    def __init__(self, url: str, *, service: str, session: str = "", size: int = 8) -> None:
        self.url = url
        self.service = service
        self._session = session
        self._size = size
        self._pool: asyncpg.Pool[asyncpg.Record] | None = None

    @property
    def pool(self) -> "asyncpg.Pool[asyncpg.Record]":
        """The pool; only between ``open`` and ``close``."""
        if self._pool is None:
            raise RuntimeError("the database is not open")
        return self._pool

    async def open(self, *migrations: Traversable) -> None:
        """Migrate, then open the pool.

        Raises:
            RuntimeError: the server is older than PostgreSQL 18 (``RETURNING OLD`` is relied on).
        """
        await self._migrate(migrations)
        self._pool = await asyncpg.create_pool(
            self.url, min_size=1, max_size=self._size, init=self._prepare, server_settings=self._settings()
        )

    async def close(self) -> None:
        """Close the pool; connections still in use after a second are cut."""
        if self._pool is not None:
            pool, self._pool = self._pool, None
            pool.terminate()

    def _settings(self) -> dict[str, str]:
        return SESSION | {"application_name": f"tepat-{self.service}"}

    async def _prepare(self, connection: Connection) -> None:
        _watch_over(connection)
        if self._session:
            await connection.execute(self._session)

    async def _migrate(self, folders: Sequence[Traversable]) -> None:
        connection = await asyncpg.connect(self.url, server_settings=self._settings())
        try:
            if connection.get_server_version().major < MINIMUM_VERSION:
                raise RuntimeError(
                    f"Tepat needs PostgreSQL {MINIMUM_VERSION} or later; "
                    f"this server is {connection.get_server_version().major}"
                )
            async with connection.transaction():
                await connection.execute("select pg_advisory_xact_lock($1)", lock_key("migrate"))
                await connection.execute(
                    "create table if not exists migration "
                    "(name text primary key, applied_at timestamptz not null default now())"
                )
                applied = {row["name"] for row in await connection.fetch("select name from migration")}
                for folder in folders:
                    for script in sorted(folder.iterdir(), key=lambda entry: entry.name):
                        if script.name.endswith(".sql") and script.name not in applied:
                            await connection.execute(script.read_text())
                            await connection.execute("insert into migration values ($1)", script.name)
                            log.info("migration applied", migration=script.name)
        finally:
            await connection.close()

    @asynccontextmanager
    async def transaction(self, lock: Lock | None = None) -> AsyncIterator[Connection]:
        """A transaction on a connection of the pool, holding the service's lock where one is named."""
        async with self.pool.acquire() as connection, connection.transaction():
            if lock is not None:
                await connection.execute(f"select {lock.value}({lock_key('facts')})")
            yield connection

    async def connect(self) -> "asyncpg.Connection[asyncpg.Record]":
        """A connection outside the pool, that the server ends when it is idle for ``IDLE_SECONDS``."""
        connection = await asyncpg.connect(
            self.url, server_settings=self._settings() | {"idle_session_timeout": f"{IDLE_SECONDS}s"}
        )
        await self._prepare(connection)
        return connection


def _watch_over(connection: Connection) -> None:
    """Let the kernel give up a connection whose other end is gone without a word: asyncpg would wait for ever."""
    transport: Any = connection._transport  # type: ignore[union-attr]  # asyncpg offers no other way
    line = transport.get_extra_info("socket")
    if line.family in (socket.AF_INET, socket.AF_INET6):
        line.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in SILENCE.items():
            if (number := getattr(socket, option, None)) is not None:
                line.setsockopt(socket.IPPROTO_TCP, number, value)


async def kept_open(connection: Connection, work: Coroutine[Any, Any, T]) -> T:
    """The result of work done elsewhere in the midst of a transaction, however long it takes.

    The server hears of us meanwhile, or it would end the session after ``IDLE_SECONDS``, as it still does when the
    process is stopped.
    """
    task = asyncio.create_task(work)
    try:
        while not (await asyncio.wait({task}, timeout=IDLE_SECONDS / 4))[0]:
            await connection.execute("select 1")
        return await task
    finally:
        task.cancel()


COPY_HEADER = b"PGCOPY\n\xff\r\n\0" + struct.pack(">ii", 0, 0)
COPY_TRAILER = struct.pack(">h", -1)


async def copy_binary(connection: Connection, table: str, columns: Sequence[str], rows: Sequence[bytes]) -> None:
    """COPY rows already packed in PostgreSQL's binary format (field count, then length and bytes of each).

    Packing rows with one prepared ``struct`` is several times faster than encoding them field by field.
    """

    async def chunks() -> AsyncIterator[bytes]:
        yield COPY_HEADER + b"".join(rows) + COPY_TRAILER

    await connection.copy_to_table(table, source=chunks(), columns=columns, format="binary")
