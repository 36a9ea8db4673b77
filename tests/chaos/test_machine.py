"""Consumption and outbox as a state machine: whatever happens in whatever order, each record is one fact, and no
revision falls.

Real are the inbox, the relay and PostgreSQL; topics and the group are lists in memory. Owners read partitions, lose
them with or without being told, are handed records twice, stumble, and die on either side of a commit; so do relays,
one of which may stand still with rows in hand while another goes on. Among the records are markers of transactions,
which have an offset and are never given out.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from importlib.resources import files
from types import SimpleNamespace
from typing import Any, TypeVar

import pytest
from aiokafka import ConsumerRecord, TopicPartition
from aiokafka.errors import ProducerFenced
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from tepat_chassis import failpoints, inbox, outbox
from tepat_chassis.database import Connection, Database, Lock
from tepat_chassis.health import Health
from tepat_chassis.inbox import Inbox
from tepat_chassis.metrics import Metrics
from tepat_chassis.outbox import Message, Relay, put
from tepat_chassis.span import Span

from .controls import CONTROLS

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]

T = TypeVar("T")

MIGRATIONS = files("tepat_chassis") / "sql" / "migrations"
FACTS = 'create table fact (partition int, "offset" bigint, key text, revision bigint)'
PARTITIONS = [TopicPartition("in", number) for number in range(2)]
KEYS = ("a", "b", "c")
AT_MOST = 6
"""Records of a delivery."""
CALM = settings(
    max_examples=60, stateful_step_count=30, derandomize=True, deadline=None, database=None,
    suppress_health_check=list(HealthCheck), phases=[Phase.generate],
    report_multiple_bugs=False, print_blob=False,
)  # fmt: skip


class Died(BaseException):
    """The process is gone: nothing may catch it."""


class Broker:
    """Inbound records by partition, and what relays wrote: (key, revision, state) in the order it stands there."""

    def __init__(self) -> None:
        self.inbound: dict[TopicPartition, list[ConsumerRecord]] = {partition: [] for partition in PARTITIONS}
        self.markers: set[tuple[int, int]] = set()
        self.outbound: list[list[Any]] = []
        self.epochs: defaultdict[str, int] = defaultdict(int)

    def publish(self, partition: TopicPartition, key: str) -> None:
        kept = self.inbound[partition]
        kept.append(
            ConsumerRecord(partition.topic, partition.partition, len(kept), 0, 0, key.encode(), b"", 0, 1, 0, ())
        )

    def mark(self, partition: TopicPartition) -> None:
        """An agency's transaction ends: its marker has an offset, and no consumer is given it."""
        self.markers.add((partition.partition, len(self.inbound[partition])))
        self.publish(partition, "")

    def read(self, partition: TopicPartition, start: int, end: int) -> tuple[list[ConsumerRecord], int]:
        """The records between two offsets, and where a consumer stands that was given them."""
        kept = self.inbound[partition][start:end]
        given = [record for record in kept if (record.partition, record.offset) not in self.markers]
        return given, kept[-1].offset + 1 if kept else start

    def revisions(self, *states: str) -> dict[str, list[int]]:
        """The revisions of each key in those states, in order."""
        found: defaultdict[str, list[int]] = defaultdict(list)
        for key, revision, state in self.outbound:
            if state in states:
                found[key].append(revision)
        return found


class Batch:
    """Records of one partition, without end."""

    def __init__(self) -> None:
        self.rows: list[tuple[bytes, bytes]] = []

    def append(self, *, timestamp: None, key: bytes, value: bytes) -> bool:
        self.rows.append((key, value))
        return True


class Producer:
    """The part of aiokafka's producer that the relay uses, on a broker in memory, fenced by its epoch."""

    broker: Broker
    gate: asyncio.Event

    def __init__(self, transactional_id: str | None = None, **_: Any) -> None:
        self._id = transactional_id
        self._epoch = 0
        self._sent: list[list[Any]] = []
        self._gate = self.gate

    async def start(self) -> None:
        if self._id is not None:
            self.broker.epochs[self._id] += 1
            self._epoch = self.broker.epochs[self._id]
            for row in self.broker.outbound:
                row[2] = "aborted" if row[2] == "open" else row[2]

    async def stop(self) -> None: ...

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        self._sent = []
        try:
            yield
            self._unfenced()
        except BaseException:
            self._end("aborted")
            raise
        self._end("committed")

    async def partitions_for(self, topic: str) -> set[int]:
        return {0}

    def create_batch(self) -> Batch:
        return Batch()

    async def send_batch(self, batch: Batch, topic: str, *, partition: int) -> asyncio.Future[None]:
        await self._gate.wait()
        self._unfenced()
        state = "committed" if self._id is None else "open"
        written = [[key.decode(), int(value), state] for key, value in batch.rows]
        self._sent += written
        self.broker.outbound += written
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        done.set_result(None)
        return done

    def _unfenced(self) -> None:
        if self._id is not None and self._epoch != self.broker.epochs[self._id]:
            raise ProducerFenced

    def _end(self, state: str) -> None:
        for row in self._sent:
            row[2] = state if row[2] == "open" else row[2]


class Owner:
    """An instance: an inbox and the consumer under it. `holding`: it stands still with a batch in hand."""

    def __init__(self, database: Database, broker: Broker) -> None:
        self._broker = broker
        self._at: dict[TopicPartition, int] = {}
        self.mishap = ""
        self.holding = False
        self.inbox: Inbox[list[ConsumerRecord]] = Inbox(
            "in", database, self, lock=Lock.EXCLUSIVE, metrics=Metrics(), health=Health(), after=self._committed
        )  # fmt: skip
        subscriber: Any = Subscriber(self)
        self.inbox.subscribe(
            SimpleNamespace(subscriber=lambda *_, **__: subscriber),  # type: ignore[arg-type]
            "in", group="machine", title="", description="",
        )  # fmt: skip
        self._subscriber = subscriber
        self._wanted: tuple[TopicPartition, int, int] | None = None

    # -- what the inbox asks of a consumer

    def assignment(self) -> set[TopicPartition]:
        return set(self._at)

    async def beginning_offsets(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(partitions, 0)

    def seek(self, partition: TopicPartition, offset: int) -> None:
        self._at[partition] = offset

    async def position(self, partition: TopicPartition) -> int:
        return self._at[partition]

    async def commit(self, offsets: object) -> None: ...

    # -- what the inbox asks of an intake

    def decode(self, spans: Sequence[Span], in_force: object) -> list[ConsumerRecord]:
        return [record for span in spans for record in span.records]

    async def write(self, connection: Connection, work: list[ConsumerRecord]) -> None:
        for record in work:
            key = record.key.decode()
            revision = 1 + await connection.fetchval("select count(*) from fact where key = $1", key)
            await connection.execute("insert into fact values ($1, $2, $3, $4)", record.partition, record.offset, key,
                                     revision)  # fmt: skip
            await put(connection, [Message("out", key, str(revision).encode())])
        mishap, self.mishap = self.mishap, ""
        if mishap == "dies before the commit":
            raise Died
        if mishap == "stumbles":
            raise ConnectionError
        self.mishap = mishap

    def _committed(self) -> None:
        if self.mishap == "dies after the commit":
            raise Died

    # -- what happens to it

    async def assign(self, partitions: Sequence[TopicPartition]) -> None:
        await self.inbox.on_partitions_revoked(list(self._at))
        self._at = dict.fromkeys(partitions, 0)
        await self.inbox.on_partitions_assigned(partitions)

    async def hand(self, partition: TopicPartition, records: int, again: int) -> None:
        """Hand it the next records of a partition, and `again` of those before."""
        if self.holding or partition not in self._at:
            return
        self._wanted = partition, records, again
        if batch := await self._subscriber.get_msg(self):
            await self._subscriber.handler(SimpleNamespace(raw_message=batch))

    async def poll(self) -> Sequence[ConsumerRecord]:
        """What the broker gives of what was wanted; nothing just now where there is work in hand."""
        assert self._wanted is not None
        partition, records, again = self._wanted
        if self.inbox.busy:
            return ()
        at = self._at[partition]
        batch, self._at[partition] = self._broker.read(partition, max(0, at - again), at + records)
        return batch

    async def go_on(self) -> bool:
        """Write what is in hand; whether it lives."""
        self.holding = False
        writing = asyncio.create_task(self.inbox.run())
        try:
            await self.inbox.drain()
            await asyncio.sleep(0)
            return not (writing.done() and isinstance(writing.exception(), Died))
        finally:  # a defect may let the draining hang: what it waits for ends with it
            writing.cancel()
            with suppress(asyncio.CancelledError, Died):
                await writing


class Subscriber:
    """FastStream's subscriber, as far as an inbox knows it."""

    def __init__(self, consumer: Owner) -> None:
        self.consumer = consumer
        self.handler: Any = None
        self.max_records = 0
        self.get_msg: Callable[[Any], Awaitable[Sequence[ConsumerRecord]]] = Owner.poll

    def __call__(self, handler: Any) -> None:
        self.handler = handler


class Sender:
    """A relay that holds the duty, or believes so. `holding`: it stands still with rows in hand."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._connection: Any = None
        self._rounds: Any = None
        self._gate = asyncio.Event()
        self._gate.set()
        self._standing: asyncio.Task[bool] | None = None

    async def win(self) -> None:
        """The duty is its own."""
        Producer.gate = self._gate

        async def declare(_: frozenset[str]) -> None: ...

        relay = Relay(self._database, kafka="", declare=declare, metrics=Metrics(), health=Health())
        self._connection = await self._database.connect()
        self._rounds = relay._rounds(self._connection)

    async def round(self) -> bool:
        """One round; whether there was anything to send."""
        return bool(await anext(self._rounds))

    async def stand_still(self) -> None:
        """Begin a round and stand still before the first record is sent."""
        self._gate.clear()
        self._standing = asyncio.create_task(self.round())
        await asyncio.wait({self._standing}, timeout=0.05)

    async def bereave(self) -> None:
        """The server ends the session that held the duty, as it does with one that stands still."""
        await self._database.pool.execute("select pg_terminate_backend($1)", self._connection.get_server_pid())

    async def wake(self) -> None:
        """Go on, knowing nothing of it."""
        self._gate.set()
        if self._standing is not None:
            with suppress(Exception):
                await self._standing

    async def lose(self) -> None:
        """End, and the session too."""
        if self._standing is not None:
            self._standing.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await self._standing
        with suppress(Exception, Died):
            await self._rounds.aclose()
        with suppress(Exception):
            await self._connection.close(timeout=1)


class Machine(RuleBasedStateMachine):
    """What may happen."""

    database: Database
    runner: asyncio.Runner

    def __init__(self) -> None:
        super().__init__()
        self.broker = Producer.broker = Broker()
        self.owners: list[Owner] = []
        self.senders: list[Sender] = []
        self.zombies: list[Sender] = []
        self.do(self._begin())

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(asyncio.wait_for(work, 20))

    async def _begin(self) -> None:
        await self.database.pool.execute("truncate fact, outbox, position")
        await self._win()

    async def _win(self) -> None:
        """Another relay wins the duty."""
        self.sender = Sender(self.database)
        self.senders.append(self.sender)
        await self.sender.win()

    # -- consuming

    @initialize(owners=st.integers(1, 3))
    def start(self, owners: int) -> None:
        self.owners = [Owner(self.database, self.broker) for _ in range(owners)]
        self.rebalance(0, owners)

    @rule(partition=st.sampled_from(PARTITIONS), keys=st.lists(st.sampled_from(KEYS), min_size=1, max_size=AT_MOST))
    def publish(self, partition: TopicPartition, keys: list[str]) -> None:
        for key in keys:
            self.broker.publish(partition, key)

    @rule(partition=st.sampled_from(PARTITIONS))
    def mark(self, partition: TopicPartition) -> None:
        self.broker.mark(partition)

    @rule(
        owner=st.integers(0, 2), partition=st.sampled_from(PARTITIONS), records=st.integers(1, AT_MOST),
        again=st.sampled_from([0, 0, 0, 1, 3]),
        mishap=st.sampled_from(["", "", "", "stumbles", "dies before the commit", "dies after the commit"]),
    )  # fmt: skip
    def deliver(self, owner: int, partition: TopicPartition, records: int, again: int, mishap: str) -> None:
        taking = self.owners[owner % len(self.owners)]
        if taking.holding:
            return
        taking.mishap = mishap
        self.do(taking.hand(partition, records, again))
        self._lives(taking)

    @rule(owner=st.integers(0, 2), partition=st.sampled_from(PARTITIONS), records=st.integers(1, AT_MOST))
    def hold(self, owner: int, partition: TopicPartition, records: int) -> None:
        """An owner takes records and stands still before it writes."""
        taking = self.owners[owner % len(self.owners)]
        self.do(taking.hand(partition, records, 0))
        taking.holding = True

    @rule(owner=st.integers(0, 2))
    def wake(self, owner: int) -> None:
        self._lives(self.owners[owner % len(self.owners)])

    @rule(first=st.integers(0, 2), among=st.integers(1, 3))
    def rebalance(self, first: int, among: int) -> None:
        """Partitions go to those that are awake; who stands still is not told."""
        awake = [owner for owner in self.owners if not owner.holding] or [self._new()]
        members = [awake[(first + number) % len(awake)] for number in range(min(among, len(awake)))]
        for owner in awake:
            theirs = [p for n, p in enumerate(PARTITIONS) if members[n % len(members)] is owner]
            self.do(owner.assign(theirs))

    def _new(self) -> Owner:
        self.owners.append(Owner(self.database, self.broker))
        return self.owners[-1]

    def _lives(self, owner: Owner) -> None:
        """Let an owner write what it has; who died is gone, and another comes."""
        if not self.do(owner.go_on()):
            self.owners.remove(owner)
            self._new()

    # -- sending

    @rule(place=st.sampled_from(["", "", "", "before_send", "before_commit", "after_commit", "after_delete"]))
    def relay(self, place: str) -> None:
        """A round of the relay, which may die at a place; then another wins the duty."""

        def reach(name: str) -> None:
            if name == f"relay.{place}":
                raise Died

        outbox.reach = reach  # type: ignore[attr-defined]
        try:
            self.do(self.sender.round())
        except Died:
            self.do(self.sender.lose())
            self.do(self._win())
        finally:
            outbox.reach = failpoints.reach  # type: ignore[attr-defined]

    @rule()
    def stand_still(self) -> None:
        """The relay stands still with what it holds, and another wins the duty."""
        if self.do(self.database.pool.fetchval("select exists (select from outbox)")):
            self.zombies.append(self.sender)
            self.do(self.sender.stand_still())
            self.do(self.sender.bereave())
            self.do(self._win())

    @precondition(lambda self: self.zombies)
    @rule()
    def wake_relay(self) -> None:
        self.do(self.zombies.pop(0).wake())

    # -- what must hold

    @invariant()
    def each_offset_below_the_position_is_one_fact(self) -> None:
        facts = self.do(self.database.pool.fetch('select partition, "offset" from fact order by 1, 2'))
        rows = self.do(self.database.pool.fetch("select partition, next_offset from position"))
        positions: dict[int, int] = {row["partition"]: row["next_offset"] for row in rows}
        assert [tuple(fact) for fact in facts] == [
            (number, offset)
            for number in sorted(positions)
            for offset in range(positions[number])
            if (number, offset) not in self.broker.markers
        ]

    @invariant()
    def no_revision_falls(self) -> None:
        for states in (("committed",), ("committed", "aborted", "open")):
            for key, revisions in self.broker.revisions(*states).items():
                assert revisions == sorted(revisions), (states, key, revisions)

    def teardown(self) -> None:
        """Once all is well again, everything is taken and sent."""
        try:
            for owner in self.owners:
                owner.mishap = ""
            for owner in list(self.owners):
                self._lives(owner)
            self.rebalance(0, 2)
            for owner in self.owners:
                for partition in PARTITIONS:
                    for _ in "records", "markers":
                        self.do(owner.hand(partition, 10_000, 0))
                        self._lives(owner)
            for _ in range(10_000):
                if not self.do(self.sender.round()):
                    break
            while self.zombies:
                self.wake_relay()
            self.each_offset_below_the_position_is_one_fact()
            self.no_revision_falls()
            ends = {number: len(kept) for (_, number), kept in self.broker.inbound.items()}
            rows = self.do(self.database.pool.fetch("select partition, next_offset from position"))
            assert {row["partition"]: row["next_offset"] for row in rows} == ends
            told = self.broker.revisions("committed")
            for key in KEYS:
                sent = sum(r.key.decode() == key for kept in self.broker.inbound.values() for r in kept)
                assert sorted(set(told.get(key, []))) == list(range(1, sent + 1)), key
        finally:
            for sender in self.senders:
                self.do(sender.lose())


@pytest.fixture
def machine(database: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The machine, on a database of its own; whatever a control replaces is put back."""
    replaced = [
        (inbox, "ADVANCE"), (inbox, "reach"), (outbox, "reach"), (Inbox, "_commit"),
        (Inbox, "on_partitions_assigned"), (Inbox, "on_partitions_revoked"), (Relay, "_rounds"),
        (Database, "transaction"),
    ]  # fmt: skip
    for owner, name in replaced:
        monkeypatch.setattr(owner, name, getattr(owner, name))
    monkeypatch.setattr(outbox, "AIOKafkaProducer", Producer)
    monkeypatch.setattr(inbox, "BACKOFF", (0.001, 0.001))
    monkeypatch.setattr(inbox, "MARKERS_EVERY_SECONDS", 0.0)
    with asyncio.Runner() as here:
        opened = Database(database, service="machine")
        here.run(opened.open(MIGRATIONS))
        here.run(opened.pool.execute(FACTS))

        class Here(Machine):
            pass

        Here.database, Here.runner = opened, here
        yield Here
        here.run(opened.close())


def test_whatever_happens_each_record_is_one_fact_and_no_revision_falls(machine: Any) -> None:
    run_state_machine_as_test(machine, settings=CALM)


@pytest.mark.parametrize(
    "control",
    [
        "fence-off", "positions-first",
        # Hundreds of histories until these are noticed.
        *(pytest.param(each, marks=pytest.mark.chaos) for each in ("rebalance-ignored", "transactional-id-off")),
    ],
)  # fmt: skip
def test_the_machine_notices(machine: Any, control: str) -> None:
    CONTROLS[control]()
    with pytest.raises((AssertionError, TimeoutError)) as noticed:
        run_state_machine_as_test(machine, settings=settings(CALM, max_examples=500))
    print(control, repr(noticed.value)[:200])
