"""What is asked of the broker beside taking and sending: declaring topics, end offsets, reading our own back."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from operator import methodcaller
from typing import TypeVar

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, for_code
from tepat_contracts import topics
from tepat_contracts.topics import Topic

A = TypeVar("A")

log = structlog.get_logger()

TOPIC_ALREADY_EXISTS = 36
COPIES = 3
AT_ONCE = 10_000
WAIT_MS = 500
REQUEST_MS = 12_000
"""After so long without an answer a connection is given up: aiokafka's 40 s, one after the other, add up to minutes.
Longer than a join may wait for the group's other members (``inbox.SESSION_MS``)."""
ASK_SECONDS = 3.0
"""The same for what a broker answers at once."""
COMMITTED, UNCOMMITTED = "read_committed", "read_uncommitted"


def known(name: str, partitions: int) -> Topic:
    """The declaration of one of our topics or an agency's, by its name.

    Raises:
        ValueError: no topic of the contracts has that name.
    """
    for topic in topics.own(partitions):
        if topic.name == name:
            return topic
    for topic in topics.of_agency(topics.agency_of(name), partitions):
        if topic.name == name:
            return topic
    raise ValueError(f"no contract declares a topic {name}")


async def read_to_end(
    kafka: str, names: Sequence[str], keep: Callable[[Sequence[ConsumerRecord]], Awaitable[None]]
) -> int:
    """Read topics of ours from their beginning to where they end now; how many records that were.

    Args:
        keep: takes the records of one partition at a time, in order.

    Raises:
        aiokafka.errors.KafkaError: the broker cannot be read.
    """
    async with AIOKafkaConsumer(
        *names, bootstrap_servers=kafka, group_id=None, enable_auto_commit=False, auto_offset_reset="earliest",
        isolation_level="read_committed", max_partition_fetch_bytes=4 * 1024 * 1024,
    ) as consumer:  # fmt: skip
        ends = await consumer.end_offsets(consumer.assignment())
        records = 0
        while any([await consumer.position(partition) < end for partition, end in ends.items()]):
            for batch in (await consumer.getmany(timeout_ms=WAIT_MS, max_records=AT_ONCE)).values():
                await keep(batch)
                records += len(batch)
        return records


async def filled(kafka: str, named: Callable[[str], bool]) -> dict[TopicPartition, int]:
    """Where the partitions of topics so named end now, as committed, but for those that hold nothing.

    Raises:
        aiokafka.errors.KafkaError: the broker cannot be read.
    """
    async with AIOKafkaConsumer(bootstrap_servers=kafka) as consumer:
        names = [name for name in await consumer.topics() if named(name)]
    if not names:
        return {}
    async with AIOKafkaConsumer(*names, bootstrap_servers=kafka, group_id=None, isolation_level=COMMITTED) as consumer:
        partitions = consumer.assignment()
        first, ends = await consumer.beginning_offsets(partitions), await consumer.end_offsets(partitions)
        return {partition: end for partition, end in ends.items() if end > first[partition]}


class Ends:
    """Asks what topics there are and where they end, over connections of its own: on a consumer's own such questions
    wait behind its long poll.

    Of topics written in transactions the end is that of the last one committed. What is not answered within
    `ASK_SECONDS` is asked once more by another client: of a connection that died without a word aiokafka learns here
    nothing, since its own limit for the question always comes before that for the connection.
    """

    def __init__(self, kafka: str) -> None:
        self._kafka = kafka
        self._clients: dict[str, AIOKafkaConsumer] = {}
        self._renewing = asyncio.Lock()

    async def start(self) -> None:
        """Connect. Raises aiokafka.errors.KafkaError."""
        for level in (COMMITTED, UNCOMMITTED):
            self._clients[level] = await self._started(level)

    async def stop(self) -> None:
        """Disconnect."""
        for client in self._clients.values():
            await client.stop()

    async def topics(self) -> set[str]:
        """The topics there are now. Raises aiokafka.errors.KafkaError, TimeoutError."""
        topics: set[str] = await self._answer(COMMITTED, methodcaller("topics"))
        return set(topics)

    async def of(
        self, committed: Iterable[TopicPartition], uncommitted: Iterable[TopicPartition]
    ) -> dict[TopicPartition, int]:
        """The offset after the last record of each. Raises aiokafka.errors.KafkaError, TimeoutError."""
        found: dict[TopicPartition, int] = {}
        for level, partitions in ((COMMITTED, list(committed)), (UNCOMMITTED, list(uncommitted))):
            if partitions:
                found |= await self._answer(level, methodcaller("end_offsets", partitions))
        return found

    async def matching(self, named: Callable[[str], bool]) -> dict[TopicPartition, int]:
        """The offset after the last record of every partition of topics so named, what is not committed yet among them.

        Raises aiokafka.errors.KafkaError, TimeoutError.
        """

        async def ask(client: AIOKafkaConsumer) -> dict[TopicPartition, int]:
            # What the client itself knows of partitions is minutes old; of a topic made since it would tell of none.
            cluster = await client._client.fetch_all_metadata()
            partitions = [
                TopicPartition(topic, number)
                for topic in cluster.topics() if named(topic)
                for number in cluster.partitions_for_topic(topic) or ()
            ]  # fmt: skip
            found: dict[TopicPartition, int] = await client.end_offsets(partitions) if partitions else {}
            return found

        return await self._answer(UNCOMMITTED, ask)

    async def _answer(self, level: str, ask: Callable[[AIOKafkaConsumer], Awaitable[A]]) -> A:
        client = self._clients[level]
        try:
            return await asyncio.wait_for(ask(client), ASK_SECONDS)
        except (KafkaError, TimeoutError):
            await self._renew(level, client)
            return await asyncio.wait_for(ask(self._clients[level]), ASK_SECONDS)

    async def _renew(self, level: str, failed: AIOKafkaConsumer) -> None:
        """Put another client in the place of one that failed, unless somebody else just did."""
        async with self._renewing:
            if self._clients[level] is failed:
                self._clients[level] = await asyncio.wait_for(self._started(level), ASK_SECONDS)
                with suppress(TimeoutError):
                    await asyncio.wait_for(failed.stop(), ASK_SECONDS)

    async def _started(self, level: str) -> AIOKafkaConsumer:
        client = AIOKafkaConsumer(bootstrap_servers=self._kafka, isolation_level=level)
        try:
            await client.start()
        except BaseException:
            await client.stop()
            raise
        return client


async def declare(kafka: str, wanted: Iterable[Topic]) -> None:
    """Make sure that topics exist; one that does keeps its partitions and settings.

    A new one gets three copies of each partition, or as many as there are brokers.

    Raises:
        aiokafka.errors.KafkaError: the broker cannot be reached or refuses.
    """
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    try:
        existing = set(await admin.list_topics())
        missing = [topic for topic in wanted if topic.name not in existing]
        if not missing:
            return
        copies = min(COPIES, len((await admin.describe_cluster())["brokers"]))
        new = [NewTopic(t.name, t.partitions, copies, topic_configs=t.config()) for t in missing]
        answer = await admin.create_topics(new)
        for name, code, *_ in answer.topic_errors:
            if code not in (0, TOPIC_ALREADY_EXISTS):
                raise for_code(code)(f"topic {name} could not be declared")
        await _led(admin, [topic.name for topic in missing])
    finally:
        await admin.close()


async def _led(admin: AIOKafkaAdminClient, names: list[str], tries: int = 100) -> None:
    """Wait until every partition of the topics has a leader: a topic just made is not yet there for all."""
    for _ in range(tries):
        described = await admin.describe_topics(names)
        if all(
            topic["error_code"] == 0 and all(p["error_code"] == 0 for p in topic["partitions"]) for topic in described
        ):
            return
        await asyncio.sleep(0.05)


async def declare_until_done(kafka: str, wanted: Iterable[Topic]) -> None:
    """Declare topics, waiting for a broker that is not there yet."""
    wanted = list(wanted)
    pause = 0.2
    while True:
        try:
            return await declare(kafka, wanted)
        except (KafkaError, OSError) as error:
            log.warning("the broker cannot be reached, trying again", error=type(error).__name__, pause=pause)
            await asyncio.sleep(pause)
            pause = min(pause * 2, 5.0)
