"""A real mail server that does as a test says, and notifications' store and sender on a real database."""

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email import policy as email_policy
from email.message import EmailMessage
from importlib.resources import files
from itertools import pairwise
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4, uuid5

import orjson
import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session
from prometheus_client import CollectorRegistry
from tepat_chassis.database import Database, Lock
from tepat_chassis.span import Span
from tepat_chassis.standing import Standing
from tepat_contracts import envelope
from tepat_contracts.cases import case_code
from tepat_contracts.policy import from_document
from tepat_local.testing import migrated
from tepat_notifications.channels import Channels
from tepat_notifications.domain import Province, province
from tepat_notifications.handlers import (
    Announced,
    Causes,
    Overlap,
    Overlaps,
    Receipts,
    Rejection,
    Told,
    follow,
)
from tepat_notifications.hearings import Hearings
from tepat_notifications.retiring import Retirer
from tepat_notifications.sending import Sender
from tepat_notifications.store import Store, queries

NAMESPACE = UUID("6f0a1f0e-6a4b-5b0e-9d59-2f6f6c1f7a10")
SQL = files("tepat_notifications") / "sql"
MIGRATIONS = (files("tepat_chassis") / "sql" / "migrations", SQL / "migrations")
START = datetime(2026, 3, 2, 3, 0, tzinfo=UTC)
"""Monday 2 March 2026, 10:00 in Jakarta."""

POLICY: dict[str, Any] = {
    "version": "n-1",
    "agencies": [
        {"id": "dinsos", "name": "Dinas Sosial", "programmes": ["PKH"], "contact": {"email": "pkh@dinsos.invalid"}},
        {"id": "himbara", "name": "Himbara", "programmes": ["BPNT"],
         "contact": {"email": "bank@himbara.invalid", "language": "en"}},
        {"id": "dpmd", "name": "DPMD", "programmes": ["BLT-DD"]},
    ],
    "programmes": [
        {"code": code, "name": {"id": f"Program {code}", "en": f"Programme {code}"}, "unit": "household"}
        for code in ("PKH", "BPNT", "BLT-DD")
    ],
    "overlap_rules": [],
}  # fmt: skip


class Mail:
    """A mail server; ``at_recipient`` and ``at_text`` say what it answers, none for an acceptance."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.texts: list[EmailMessage] = []
        self.parsed: list[EmailMessage] = []
        self.tries = 0
        self.sessions = 0
        self._servers: list[SMTP] = []
        self.reached = threading.Event()
        self.at_recipient: Callable[[str], str | None] = lambda address: None
        self.at_text: Callable[[SMTP], str | None] = lambda server: None
        self._arrived = threading.Condition()

    async def handle_EHLO(
        self, server: SMTP, session: Session, envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        self._servers.append(server)
        self.sessions += 1
        session.host_name = hostname
        return responses

    def end_sessions(self) -> None:
        """Close every connection from the server's side, and wait until that is done."""
        for server in self._servers:
            transport = server.transport
            if transport is not None:
                server.loop.call_soon_threadsafe(transport.close)
                asyncio.run_coroutine_threadsafe(asyncio.sleep(0), server.loop).result(10)

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        self.tries += 1
        self.reached.set()
        answer = await asyncio.to_thread(self.at_recipient, address)
        if answer is None:
            envelope.rcpt_tos.append(address)
        return answer or "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        content = envelope.original_content or b""
        parsed = message_from_bytes(content, policy=email_policy.default)
        assert isinstance(parsed, EmailMessage)
        self.parsed.append(parsed)
        answer = await asyncio.to_thread(self.at_text, server)
        if answer is None:
            with self._arrived:
                self.texts.append(parsed)
                self._arrived.notify_all()
        return answer or "250 OK"

    async def wait(self, number: int, seconds: float = 20) -> list[EmailMessage]:
        """The messages, once there are so many."""

        def arrived() -> bool:
            with self._arrived:
                return self._arrived.wait_for(lambda: len(self.texts) >= number, seconds)

        assert await asyncio.to_thread(arrived), f"{len(self.texts)} messages instead of {number}"
        return list(self.texts)

    def to(self, address: str) -> list[EmailMessage]:
        """The messages to an address."""
        return [text for text in self.texts if text["To"] == address]

    def tellings(self) -> list[tuple[str, str]]:
        """Every (address, case) told, as often as it was."""
        told = []
        for text in self.texts:
            body = text.get_content()
            words = body.replace(",", " ").split()
            codes = {word for before, word in pairwise(words) if before in ("Kasus", "Case")}
            told += [(text["To"], code) for code in codes]
        return told


@pytest.fixture
def mail() -> Iterator[Mail]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = Mail(f"127.0.0.1:{port}")
    controller = Controller(server, hostname="127.0.0.1", port=port, ready_timeout=10)
    controller.start()
    yield server
    controller.stop(no_assert=True)


@dataclass
class Clock:
    now: datetime = START

    def __call__(self) -> datetime:
        return self.now

    def forward(self, **by: float) -> None:
        self.now += timedelta(**by)


def overlap(number: int, revision: int = 1, *, live: bool = True, **what: Any) -> Overlap:
    """An overlap between PKH of dinsos and BPNT of himbara."""
    overlap_id = uuid5(NAMESPACE, str(number))
    known = Overlap(
        overlap_id, case_code(overlap_id), revision, live, "exclusive", "pkh-bpnt",
        "dinsos", f"PKH-{number}", "PKH", 750_000, "himbara", f"BPNT-{number}", "BPNT", 600_000, 600_000,
        START.date().replace(day=1), START.date().replace(day=31), "33.74.01.1001", uuid5(NAMESPACE, f"h{number}"),
        None, None, START, START,
    )  # fmt: skip
    if not live:
        known = known._replace(
            verdict=None, rule=None, programme_a=None, programme_b=None, amount_a=None, amount_b=None,
            amount_at_risk=None, starts=None, ends=None, region=None, household=None, reason="payout_ended",
        )  # fmt: skip
    return known._replace(**what)


def rejection(offset: int, agency: str = "dinsos", reason: str = "nik_invalid") -> Rejection:
    topic = f"agency.{agency}.payouts.v1"
    return Rejection(agency, topic, 0, offset, reason, "/data/recipient/nik", START)


@dataclass
class Desk:
    """Notifications without Kafka."""

    database: Database
    store: Store
    standing: Standing[Province]
    channels: Channels
    clock: Clock
    mail: Mail
    link: Callable[[UUID], str | None] = lambda _: None
    held: list[tuple[Any, Any]] = field(default_factory=list)
    regions: tuple[str, ...] = ()
    """Of whoever asks."""
    sender: Sender = field(init=False)
    woken: asyncio.Event = field(default_factory=asyncio.Event)

    async def apply(self, **changes: Any) -> None:
        """Put a policy in force."""
        document = POLICY | changes
        async with self.database.transaction(Lock.EXCLUSIVE) as connection:
            await follow(self.store, self.clock, connection, from_document(document), document)
            await Standing.put(connection, "v", document)
        await self.standing.refresh()

    @property
    def province(self) -> Province:
        assert self.standing.in_force is not None
        return self.standing.in_force.document

    async def announce(self, *overlaps: Overlap) -> None:
        """Take a batch of overlaps."""
        async with self.database.transaction(Lock.EXCLUSIVE) as connection:
            taken = Announced(list(overlaps), self.province)
            await Overlaps(self.store, self.clock).write(connection, taken)

    async def forget(self, topic: str, *keys: str) -> None:
        """Take tombstones, as distribution and the registry leave them."""
        intake: Any = Overlaps(self.store, self.clock)
        if topic != "distribution.overlaps.v1":
            intake = Causes(self.hearings, self.clock)
        records: list[Any] = [SimpleNamespace(key=key.encode(), value=None) for key in keys]
        async with self.database.transaction(Lock.EXCLUSIVE) as connection:
            await intake.write(
                connection, intake.decode([Span(topic, 0, 0, len(records), records)], self.standing.in_force)
            )

    async def retire(self) -> None:
        """Forget what is kept no longer, as another instance would."""
        retirer = Retirer(self.standing, self.clock)
        async with self.database.pool.acquire() as connection:
            while await retirer.step(connection):
                pass

    async def tell(self, type_name: str, **data: Any) -> None:
        """Take an event of a cause."""
        value = envelope.write(
            envelope.event(service="registry", type=type_name, id=str(uuid4()), time=self.clock(), data=data)
        )
        causes = Causes(self.hearings, self.clock)
        span = Span("any", 0, 0, 1, [SimpleNamespace(value=value, topic="any", partition=0, offset=0)])  # type: ignore[list-item]
        async with self.database.transaction(Lock.EXCLUSIVE) as connection:
            await causes.write(connection, causes.decode([span], self.standing.in_force))

    @property
    def hearings(self) -> Hearings:
        return Hearings(self.store.gather)

    async def acknowledge(self, code: str) -> int:
        """An officer acknowledges what a code names; how many causes waited for it."""
        async with self.database.transaction(Lock.EXCLUSIVE) as connection:
            ids = [row["cause_id"] async for row in queries.by_code(connection, code=code)]
            return len(await self.hearings.acknowledge(connection, ids, "person", "officer", self.clock()))

    async def reject(self, *rejections: Rejection, resolved: Sequence[tuple[str, int, int]] = ()) -> None:
        async with self.database.transaction(Lock.EXCLUSIVE) as connection:
            told = Told(self.province, list(rejections), list(resolved))
            await Receipts(self.store, self.clock).write(connection, told)

    async def take_duty(self) -> AsyncIterator[bool]:
        """Win the duty of sending anew, as another instance would."""
        sender = Sender(
            self.store, self.channels, self.standing, clock=self.clock, registry=CollectorRegistry(),
            chance=lambda: 0.0, link=self.link,
        )  # fmt: skip
        sender.wake = self.woken.set
        connection = await self.database.connect()
        steps = sender.work(connection)
        self.sender = sender
        self.held.append((steps, connection))
        return steps

    async def lose_duty(self) -> None:
        steps, connection = self.held.pop()
        with suppress(Exception):
            await steps.aclose()
        await connection.close(timeout=1)

    async def send(self) -> None:
        """Send what is due now."""
        if not self.held:
            await self.take_duty()
        steps, _ = self.held[-1]
        left = "select (select count(*) from delivery where due_at <= $1 or state = 'sending') + ("
        left += "select count(*) from awaited where how is null and deadline <= $1)"
        self.woken.clear()
        await anext(steps)
        while await self.database.pool.fetchval(left, self.clock()):
            await asyncio.wait_for(self.woken.wait(), 20)
            self.woken.clear()
            await anext(steps)

    async def at_once(self) -> None:
        """Let the gathering end, and send."""
        self.clock.forward(seconds=61)
        await self.send()

    async def digest(self) -> None:
        """Let the hour of the next digests come, and send."""
        self.clock.now = self.province.next_digest(self.clock())
        await self.send()

    async def deliveries(self, **by: str) -> list[dict[str, Any]]:
        rows = await self.database.pool.fetch("select * from delivery order by queued_at, agency, kind")
        return [dict(row) for row in rows if all(row[name] == value for name, value in by.items())]

    async def published(self) -> list[dict[str, Any]]:
        """The data of what was put out, in order."""
        rows = await self.database.pool.fetch("select topic, key, value from outbox order by id")
        events = [orjson.loads(row["value"]) for row in rows]
        assert all(row["topic"] == "notifications.deliveries.v1" for row in rows)
        assert all(row["key"] == event["data"]["delivery_id"] for row, event in zip(rows, events, strict=True))
        return [event["data"] for event in events]


@pytest.fixture(scope="session")
def template(postgres: str) -> Iterator[str]:
    """A database with notifications' tables."""
    with migrated(postgres, *MIGRATIONS) as name:
        yield name


@pytest.fixture
async def desk(database: str, mail: Any) -> AsyncIterator[Desk]:
    opened = Database(database, service="notifications", session=(SQL / "session.sql").read_text())
    await opened.open(*MIGRATIONS)
    channels = Channels({"email": f"mailto://{mail.address}/?mode=insecure&from=tepat%40tepat.invalid&to={{email}}"})
    standing: Standing[Province] = Standing(opened, lambda document: province(from_document(document)))
    made = Desk(opened, Store(channels.names, 2.0), standing, channels, Clock(), mail)
    await made.apply()
    yield made
    while made.held:
        await made.lose_duty()
    await opened.close()
