"""What the four services have in common: how one is put together, started, watched and stopped.

Invariants
- Topics are declared before a subscription starts, migrations run before anything writes.
- A stop takes no new batch, lets the batch in hand commit, and empties the outbox, in that order; what does
  not end in time is abandoned and loses nothing, since positions and outbox are in the database.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Container
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any, Generic, TypeVar

import structlog
from aiokafka import TopicPartition
from fastapi import APIRouter, FastAPI
from faststream.kafka import KafkaBroker
from tepat_contracts import topics
from tepat_contracts.envelope import AGENCY_ID_PATTERN
from tepat_contracts.topics import Kind

from tepat_chassis import disclosures, kafka, outbox, quarantine
from tepat_chassis.auth import Auth
from tepat_chassis.database import Connection, Database, Lock
from tepat_chassis.duty import HEARTBEAT, Duty
from tepat_chassis.health import Health
from tepat_chassis.http import Background, api
from tepat_chassis.inbox import Inbox, Intake
from tepat_chassis.metrics import Metrics
from tepat_chassis.outbox import Relay
from tepat_chassis.pace import open_gate
from tepat_chassis.progress import Progress
from tepat_chassis.pseudonyms import Pseudonyms, read_secret
from tepat_chassis.quarantine import AgencyIntake, Sealer
from tepat_chassis.quarantine_api import quarantine_router
from tepat_chassis.settings import ServiceSettings
from tepat_chassis.standing import NothingInForceError, PutOff, Standing, StandingIntake

P = TypeVar("P")
W = TypeVar("W")

log = structlog.get_logger()

POLICY = "policy"
"""The inbox of the policy."""
PULSE_SECONDS = 2.0
PROGRESS_SECONDS = 1.0
LOOK_SECONDS = 12.0
"""Longer than it may take to ask again, over a new connection, what a dead one did not answer."""
METADATA_MAX_AGE_MS = 2_000
DRAIN_SECONDS = 1.5
OWN_WEIGH = 4
"""An event of our own services is read whole: in memory it weighs about so many times a payout."""


class Service(Generic[P]):
    """One service: its database, broker, relay, inboxes and duties.

    Args:
        parse: makes the policy, as this service uses it, out of the document it stored.
        time_zone: of this policy.
        areas: the codes of areas that are known under it.
        sql: the service's package of SQL, with ``migrations`` and, where it has one, ``session.sql``.
    """

    def __init__(
        self, settings: ServiceSettings, *, parse: Callable[[Any], P], time_zone: Callable[[P], str],
        areas: Callable[[P], Container[str]], sql: Traversable,
    ) -> None:  # fmt: skip
        self.settings = settings
        self.name = settings.service
        self.metrics = Metrics()
        self.health = Health()
        session = sql / "session.sql"
        self.database = Database(
            settings.database_url, service=self.name, session=session.read_text() if session.is_file() else ""
        )
        self.standing: Standing[P] = Standing(self.database, parse)
        self._time_zone = time_zone
        self._areas = areas
        self.sealer = Sealer(read_secret(settings.secrets, "seal"))
        self.broker = KafkaBroker(
            settings.kafka,
            client_id=f"tepat-{self.name}",
            apply_types=False,
            allow_auto_create_topics=False,
            metadata_max_age_ms=METADATA_MAX_AGE_MS,
            request_timeout_ms=kafka.REQUEST_MS,
            logger=logging.getLogger("faststream"),
        )
        self.relay = Relay(
            self.database,
            kafka=settings.kafka,
            declare=self._declare,
            metrics=self.metrics,
            health=self.health,
        )
        self.lock = Lock.EXCLUSIVE
        self.intakes: dict[str, AgencyIntake[Any]] = {}
        self.pending: Callable[[Connection], Awaitable[int]] = _nothing
        #: Runs once the topics and the schema are there, before anything is taken or sent.
        self.prepare: Callable[[], Awaitable[None]] = _unprepared
        #: What /v1/status tells of this service alone.
        self.tells: Callable[[], dict[str, Any]] = dict
        #: Makes the pseudonyms that stand under a policy: whoever opens a quarantined record has seen whom it names.
        self.pseudonyms: Callable[[P], Pseudonyms] | None = None
        self._migrations = (files("tepat_chassis") / "sql" / "migrations", sql / "migrations")
        self._inboxes: list[Inbox[Any]] = []
        self._policies: StandingIntake[Any] | None = None
        self._began = False
        self._ends = kafka.Ends(settings.kafka)
        self._duties: list[tuple[Duty, Callable[[Any], AsyncIterator[bool]]]] = []
        self._progress: Progress | None = None

    # -- composition -------------------------------------------------------------------------------

    def policy(self, intake: StandingIntake[Any]) -> None:
        """Subscribe to the policy."""
        self._policies = intake
        self._inbox(
            Inbox(POLICY, self.database, intake, lock=Lock.EXCLUSIVE, metrics=self.metrics, health=self.health),
            "policy.v1", title="policy", description="The policy in force",
        )  # fmt: skip

    def agencies(
        self, kind: Kind, intake: AgencyIntake[Any], *, lock: Lock, after: Callable[[], None] = lambda: None,
        gate: Callable[[], Awaitable[None]] = open_gate,
    ) -> None:  # fmt: skip
        """Subscribe to a kind of topic of every agency, the unknown ones included."""
        self.intakes[kind.value] = intake
        self.lock = lock
        inbox: Inbox[Any] = Inbox(
            kind.value, self.database, intake, lock=lock, metrics=self.metrics, health=self.health,
            standing=self.standing, after=after, gate=gate,
        )  # fmt: skip
        pattern = topics.inbound_pattern(kind)
        self._inbox(inbox, pattern=pattern, title=kind.value, description=f"Agencies' {kind.value}", agency=True)

    def topic(
        self, name: str, intake: Intake[Any], *, lock: Lock, after: Callable[[], None] = lambda: None,
        follows_policy: bool = False,
    ) -> None:  # fmt: skip
        """Subscribe to a topic that another of our services writes."""
        inbox: Inbox[Any] = Inbox(
            name, self.database, intake, lock=lock, metrics=self.metrics, health=self.health, after=after,
            standing=self.standing if follows_policy else None,
        )  # fmt: skip
        self._inbox(inbox, name, title=name, description=f"From {name.split('.', maxsplit=1)[0]}", own=True)

    def receipts(self, intake: Intake[Any], *, lock: Lock) -> None:
        """Subscribe to what every agency is told of its records."""
        inbox: Inbox[Any] = Inbox(
            "receipts", self.database, intake, lock=lock, metrics=self.metrics, health=self.health,
            standing=self.standing,
        )  # fmt: skip
        pattern = rf"^agency\.{AGENCY_ID_PATTERN}\.receipts\.v1$"
        self._inbox(
            inbox, pattern=pattern, title="receipts", description="What agencies are told", own=True, agency=True
        )

    def _inbox(
        self, inbox: Inbox[Any], *names: str, title: str, description: str, pattern: str | None = None,
        own: bool = False, agency: bool = False,
    ) -> None:  # fmt: skip
        inbox.subscribe(
            self.broker, *names, group=f"tepat-{self.name}-{inbox.name}", pattern=pattern, own=own,
            max_records=self.settings.batch_records // (OWN_WEIGH if own else 1), title=title, description=description,
        )  # fmt: skip
        inbox.inbound = agency
        self._inboxes.append(inbox)

    def duty(
        self, name: str, work: Callable[[Any], AsyncIterator[bool]], *, drained: bool = True, every: float = HEARTBEAT
    ) -> Duty:
        """Work that one instance does at a time, woken by NOTIFY on channel ``name``; ``drained`` and ``every`` as in
        ``Duty``.
        """
        duty = Duty(self.database, name, drained=drained, every=every)
        self._duties.append((duty, work))
        return duty

    def tells_progress(self, of: Callable[[str], bool], *queues: str) -> None:
        """Have it told up to where all is told that follows from topics so named; ``queues`` as in ``Progress``."""
        self._progress = Progress(self.database, of, queues)
        self.duty("progress", self._progress.work, drained=False, every=PROGRESS_SECONDS)

    def api(self, *routers: APIRouter) -> FastAPI:
        """The service's HTTP side, with everything it runs as its lifespan."""
        settings = self.settings
        sealed = [quarantine_router(self)] if self.intakes else []
        return api(
            self.name,
            title=f"Tepat {self.name}",
            auth=Auth(settings.jwks, settings.issuer, settings.audience),
            health=self.health,
            metrics=self.metrics,
            status=self.status,
            routers=[*sealed, disclosures.router(self.name, self.database, self._zone), *routers],
            lifespan=self._run,
            time_zone=lambda: self._time_zone(known.document) if (known := self.standing.in_force) else None,
            areas=self._known_areas,
        )

    async def _zone(self) -> str:
        return self._time_zone((await self.standing.ruling()).document)

    async def _known_areas(self) -> Container[str] | None:
        try:
            return self._areas((await self.standing.ruling()).document)
        except NothingInForceError:
            return None

    # -- running -----------------------------------------------------------------------------------

    @asynccontextmanager
    async def _run(self, background: Background) -> AsyncIterator[None]:
        await kafka.declare_until_done(self.settings.kafka, topics.own(self.settings.partitions))
        await self.database.open(*self._migrations)
        try:
            await self.prepare()
            if self._progress is not None:
                await self._progress.begin(self.settings.kafka)
            await self._ends.start()
            async with background:
                await self.standing.refresh()
                background.start("relay", self.relay.run())
                for inbox in self._inboxes:
                    background.start(f"inbox {inbox.name}", inbox.run())
                background.start("pulse", self._pulse(background.stopping))
                await self.broker.connect()
                if self.standing.lacking is None:
                    await self._begin(background)
                else:
                    await self._subscribe(POLICY)
                background.start("policy put off", self._take_put_off(background))
                yield
                await self._stop()
        finally:
            await self._ends.stop()
            await self.database.close()

    async def _begin(self, background: Background) -> None:
        """Take up the duties, and partitions: what an instance has that lacks the secret in use is nobody's work."""
        self._began = True
        for duty, work in self._duties:
            background.start(duty.name, duty.perform(work))
        await self._subscribe(*(inbox.name for inbox in self._inboxes))

    async def _subscribe(self, *names: str) -> None:
        """Start subscriptions at once: each waits for its group, and one after the other they add up."""
        await asyncio.gather(*(inbox.start() for inbox in self._inboxes if inbox.name in names))
        self.broker.running = True

    async def _stop(self) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self.broker.stop(), DRAIN_SECONDS)
        with suppress(TimeoutError):
            await asyncio.wait_for(asyncio.gather(*(inbox.drain() for inbox in self._inboxes)), DRAIN_SECONDS)
        for duty, _ in self._duties:
            await duty.stop()
        await self.relay.stop()
        for inbox in self._inboxes:
            inbox.stop()

    async def _declare(self, names: frozenset[str]) -> None:
        wanted = [kafka.known(name, self.settings.partitions) for name in names]
        await kafka.declare(self.settings.kafka, wanted)

    async def _pulse(self, stopping: asyncio.Event) -> None:
        """Look at what the loops themselves cannot see: the database, the lag, the outbox."""
        while not stopping.is_set():
            for inbox in self._inboxes:
                self.health.polled(inbox.name, inbox.idle_seconds())
                self.health.subscribed(inbox.name, len(inbox.subscribed))
            try:
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._look()
            except Exception as error:  # told here and by readiness; the loops recover by themselves
                log.warning("pulse failed", error=f"{type(error).__name__}: {error}")
            with suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), PULSE_SECONDS)

    async def _take_put_off(self, background: Background) -> None:
        """Take a policy that waits for its secret once it is there: on every instance, as each has its own secrets."""
        stopping = background.stopping
        while not stopping.is_set():
            if not self._began and self.standing.lacking is None:
                await self._begin(background)
            try:
                if self._policies is not None:
                    await self._policies.again(self.database)
            except Exception as error:  # tried again: the policy before is in force meanwhile
                log.warning("policy put off not taken", error=f"{type(error).__name__}: {error}")
            with suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), PULSE_SECONDS)

    def _put_off(self) -> PutOff | None:
        """The policy that this instance cannot follow."""
        return self.standing.lacking or (self._policies.put_off if self._policies is not None else None)

    async def _look(self) -> None:
        async with self.database.pool.acquire() as connection:
            depth, age = await outbox.depth(connection)
            self.metrics.marks(await self.pending(connection))
            await quarantine.expire(connection)
        self.metrics.outbox(depth, age)
        self.health.waiting(age)
        self.health.database_ok()
        in_force = await self.standing.refresh()
        put_off = self._put_off()
        self.health.policy(in_force and in_force.version, put_off and put_off.why)
        await self._lag()
        self.metrics.lags_told()

    async def _lag(self) -> int:
        """Records on this instance's partitions that are not committed yet."""
        own, others = (
            [partition for inbox in self._inboxes if inbox.own == own for partition in inbox.held]
            for own in (True, False)
        )
        ends = await self._ends.of(own, others)
        return sum([await inbox.lag(ends) for inbox in self._inboxes])

    async def ends(self, *names: str) -> dict[TopicPartition, int] | None:
        """Where these topics end now, as committed, which this service reads of others of ours; none as long as some of
        their partitions are not known. Raises aiokafka.errors.KafkaError, TimeoutError.
        """
        partitions = [inbox.partitions for inbox in self._inboxes if any(map(inbox.wants, names))]
        if not all(partitions):
            return None
        return await self._ends.of([partition for some in partitions for partition in some], [])

    async def ends_of(self, named: Callable[[str], bool]) -> dict[TopicPartition, int]:
        """Where topics so named end now, what is not committed yet among it. Raises aiokafka.errors.KafkaError,
        TimeoutError.
        """
        return await self._ends.matching(named)

    async def status(self) -> dict[str, Any]:
        """What /v1/status tells: the policy taken, the agencies' topics read, and whether anything is left to do."""
        in_force = await self.standing.refresh()
        # In the order in which work passes through, so that none slips by from a place not yet looked at.
        there = await self._ends.topics()
        read = {inbox: await inbox.read() for inbox in self._inboxes}
        lag = await self._lag()
        busy = any(inbox.busy or set(filter(inbox.wants, there)) != read[inbox] for inbox in self._inboxes)
        async with self.database.pool.acquire() as connection:
            pending = await self.pending(connection)
            depth, _ = await outbox.depth(connection)
        put_off = self._put_off()
        return self.tells() | {
            "policy_version": in_force.version if in_force is not None else None,
            "policy_put_off": put_off and put_off._asdict(),
            "topics": sorted(topic for inbox in self._inboxes if inbox.inbound for topic in read[inbox]),
            "lag": lag,
            "outbox": depth,
            "pending": pending,
            "idle": not (lag or depth or pending or busy),
            "at": datetime.now(UTC).isoformat(),
        }


async def _nothing(connection: Connection) -> int:  # noqa: ARG001 – a service without marks
    return 0


async def _unprepared() -> None:
    """A service with nothing to prepare."""
