"""A standing document: of all written to its topic the last is in force (the policy).

Invariants
- What is in force is a row of table ``standing``, written under the exclusive lock of its service. A
  batch that was decoded under one version and finds another in its transaction is decoded again.
- Until a first document is in force nothing that depends on it is taken: a loop waits for it (``first``), a person who
  asks is told at once that there is none (``ruling``).
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, NamedTuple, TypeVar

import orjson
import structlog

from tepat_chassis.database import Connection, Database
from tepat_chassis.span import Span

T = TypeVar("T")

log = structlog.get_logger()

POLL_SECONDS = 0.5


class NothingInForceError(Exception):
    """What was asked for rests on a document of which none was ever put in force."""


class InForce(NamedTuple, Generic[T]):
    """The document in force and the number under which this database took it."""

    seq: int
    version: str
    document: T


class Standing(Generic[T]):
    """The document in force, as one database knows it.

    Args:
        parse: makes the document out of its JSON form.
    """

    def __init__(self, database: Database, parse: Callable[[object], T]) -> None:
        self._database = database
        self._parse = parse
        self.in_force: InForce[T] | None = None

    async def refresh(self) -> InForce[T] | None:
        """Read what is in force now."""
        row = await self._database.pool.fetchrow(
            "select seq, version, document from standing order by seq desc limit 1"
        )
        if row is not None and (self.in_force is None or self.in_force.seq != row["seq"]):
            self.in_force = InForce(row["seq"], row["version"], self._parse(orjson.loads(row["document"])))
            log.info("standing document in force", version=row["version"])
        return self.in_force

    async def first(self) -> InForce[T]:
        """Wait until a document is in force."""
        while (in_force := self.in_force or await self.refresh()) is None:  # noqa: ASYNC110 – it may come elsewhere
            await asyncio.sleep(POLL_SECONDS)
        return in_force

    async def ruling(self) -> InForce[T]:
        """What is in force. Raises NothingInForceError."""
        if (in_force := self.in_force or await self.refresh()) is None:
            raise NothingInForceError
        return in_force

    @staticmethod
    async def seq(connection: Connection) -> int | None:
        """The number of the document in force, inside a transaction that holds the service's lock."""
        seq: int | None = await connection.fetchval("select max(seq) from standing")
        return seq

    @staticmethod
    async def put(connection: Connection, version: str, document: object) -> int:
        """Put a document in force; the caller's transaction holds the exclusive lock."""
        seq: int = await connection.fetchval(
            "insert into standing (version, document) values ($1, $2) returning seq",
            version,
            orjson.dumps(document).decode(),
        )
        return seq


class StandingIntake(Generic[T]):
    """What a service makes of the document's topic: the last one that can be read comes into force.

    Args:
        parse: makes the document out of its JSON form; a ``ValueError`` refuses it, and the one before stays.
        apply: makes the service follow it, in the transaction that puts it in force under the exclusive lock;
            gives what is to be stored, which is what ``Standing``'s ``parse`` reads.
        after: called once it is decoded, before it is written.
    """

    def __init__(
        self,
        parse: Callable[[object], T],
        apply: Callable[[Connection, T, dict[str, object]], Awaitable[object]],
    ) -> None:
        self._parse = parse
        self._apply = apply

    def decode(
        self,
        spans: Sequence[Span],
        in_force: InForce[object] | None,  # noqa: ARG002 – an intake's signature
    ) -> tuple[T, dict[str, object]] | None:
        """The last document that can be read."""
        last = None
        for span in spans:
            for record in span.records:
                if record.value is None:
                    continue
                try:
                    told = orjson.loads(record.value)
                    document = told["data"] if "specversion" in told else told
                    last = (self._parse(document), document)
                except (ValueError, TypeError, KeyError) as error:
                    log.error(
                        "a standing document cannot be read and is passed over: check it and apply it again",
                        topic=span.topic, partition=span.partition, offset=record.offset,
                        error=type(error).__name__,
                    )  # fmt: skip
        return last

    async def write(self, connection: Connection, work: tuple[T, dict[str, object]] | None) -> None:
        """Put it in force."""
        if work is not None:
            parsed, document = work
            stored = await self._apply(connection, parsed, document)
            await Standing.put(connection, str(document["version"]), stored)
