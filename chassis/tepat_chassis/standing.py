"""A standing document: of all written to its topic the last is in force (the policy).

Invariants
- What is in force is a row of table ``standing``, written under the exclusive lock of its service. A
  batch that was decoded under one version and finds another in its transaction is decoded again.
- Until a first document is in force nothing that depends on it is taken: a loop waits for it (``first``), a person who
  asks is told at once that there is none (``ruling``).
- A document that names a secret which is not here is no mistake in it: it is put off, in table ``put_off``, and the one
  before stays in force. It is taken by the first instance that has the secret, unless another comes before.
- An instance that lacks the secret of what is in force takes nothing until it has it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, NamedTuple, TypeAlias, TypeVar

import orjson
import structlog

from tepat_chassis.database import Connection, Database, Lock
from tepat_chassis.pseudonyms import SecretMissing
from tepat_chassis.refusals import words
from tepat_chassis.span import Span

T = TypeVar("T")

log = structlog.get_logger()

POLL_SECONDS = 0.5
LACKING_SECONDS = 2.0
"""Each look for a secret that was missing reads the whole document."""


class NothingInForceError(Exception):
    """What was asked for rests on a document of which none was ever put in force."""


class InForce(NamedTuple, Generic[T]):
    """The document in force and the number under which this database took it."""

    seq: int
    version: str
    document: T


class PutOff(NamedTuple):
    """A document that this instance cannot follow, and why, in both languages."""

    version: str
    why: str


def put_off(version: str, error: SecretMissing, before: PutOff | None) -> PutOff:
    """A document whose secret is not here. It is logged unless it was the same ``before``."""
    told = PutOff(version, words("secret_missing", version=version, secret=error.secret))
    if told != before:
        log.error("a standing document waits for a secret", version=version, why=told.why, error=str(error))
    return told


class Standing(Generic[T]):
    """The document in force, as one database knows it.

    Args:
        parse: makes the document out of its JSON form; a ``SecretMissing`` says that this instance cannot follow it.
    """

    def __init__(self, database: Database, parse: Callable[[object], T]) -> None:
        self._database = database
        self._parse = parse
        self.in_force: InForce[T] | None = None
        #: What is in force and cannot be followed here.
        self.lacking: PutOff | None = None

    async def refresh(self) -> InForce[T] | None:
        """Read what is in force now; none where this instance lacks its secret."""
        row = await self._database.pool.fetchrow(
            "select seq, version, document from standing order by seq desc limit 1"
        )
        if row is not None and (self.in_force is None or self.in_force.seq != row["seq"]):
            try:
                parsed = self._parse(orjson.loads(row["document"]))
            except SecretMissing as error:
                self.in_force, self.lacking = None, put_off(row["version"], error, self.lacking)
                return None
            self.in_force, self.lacking = InForce(row["seq"], row["version"], parsed), None
            log.info("standing document in force", version=row["version"])
        return self.in_force

    async def first(self) -> InForce[T]:
        """Wait until a document is in force."""
        while (in_force := self.in_force or await self.refresh()) is None:  # noqa: ASYNC110 – it may come elsewhere
            await asyncio.sleep(LACKING_SECONDS if self.lacking else POLL_SECONDS)
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


Document: TypeAlias = dict[str, object]
Read: TypeAlias = tuple[tuple[T, Document] | None, Document | None]
"""The last document that can be followed, and one after it that names a secret which is not here."""


class StandingIntake(Generic[T]):
    """What a service makes of the document's topic: the last one that can be read comes into force.

    Args:
        parse: makes the document out of its JSON form; a ``ValueError`` refuses it, a ``SecretMissing`` puts it off,
            and the one before stays.
        apply: makes the service follow it, in the transaction that puts it in force under the exclusive lock;
            gives what is to be stored, which is what ``Standing``'s ``parse`` reads.
    """

    def __init__(
        self,
        parse: Callable[[object], T],
        apply: Callable[[Connection, T, Document], Awaitable[object]],
    ) -> None:
        self._parse = parse
        self._apply = apply
        #: What waits for a secret that this instance lacks too, as ``again`` last found it.
        self.put_off: PutOff | None = None

    def decode(
        self,
        spans: Sequence[Span],
        in_force: InForce[object] | None,  # noqa: ARG002 – an intake's signature
    ) -> Read[T]:
        """The last document that can be read."""
        last, later = None, None
        for span in spans:
            for record in span.records:
                if record.value is None:
                    continue
                try:
                    told = orjson.loads(record.value)
                    document = told["data"] if "specversion" in told else told
                    last, later = (self._parse(document), document), None
                except SecretMissing:
                    later = document
                except (ValueError, TypeError, KeyError) as error:
                    log.error(
                        "a standing document cannot be read and is passed over: check it and apply it again",
                        topic=span.topic, partition=span.partition, offset=record.offset,
                        error=type(error).__name__,
                    )  # fmt: skip
        return last, later

    async def write(self, connection: Connection, work: Read[T]) -> None:
        """Put it in force; what came before and waited for its secret is out of date then."""
        last, later = work
        if last or later:
            await connection.execute("delete from put_off")
        if last:
            await self._put(connection, *last)
        if later:
            await connection.execute("insert into put_off (document) values ($1)", orjson.dumps(later).decode())

    async def again(self, database: Database) -> None:
        """Put in force what was put off, if its secret is here by now."""
        row = await database.pool.fetchrow("select seq, document from put_off")
        if row is None:
            self.put_off = None
            return
        document = orjson.loads(row["document"])
        try:
            parsed = await asyncio.to_thread(self._parse, document)
        except SecretMissing as error:
            self.put_off = put_off(str(document["version"]), error, self.put_off)
            return
        async with database.transaction(Lock.EXCLUSIVE) as connection:
            if await connection.fetchval("delete from put_off where seq = $1 returning true", row["seq"]):
                await self._put(connection, parsed, document)
        self.put_off = None

    async def _put(self, connection: Connection, parsed: T, document: Document) -> None:
        stored = await self._apply(connection, parsed, document)
        await Standing.put(connection, str(document["version"]), stored)
