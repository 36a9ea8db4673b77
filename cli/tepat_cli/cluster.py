"""The brokers, as the command speaks with them.

Kept here: a broker that does not answer becomes `Unreachable`; a topic that exists is left as it is.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError, UnknownTopicOrPartitionError
from tepat_chassis import kafka
from tepat_contracts.topics import Topic

from tepat_cli.exits import Unreachable, WrongUse
from tepat_cli.refusals import words

REQUEST_MS: Final = 15_000


def unreachable(brokers: str, wrong: BaseException) -> Unreachable:
    """What is said of brokers that do not answer."""
    return Unreachable(words("no_broker", brokers=brokers, error=type(wrong).__name__))


@asynccontextmanager
async def admin(brokers: str) -> AsyncIterator[AIOKafkaAdminClient]:
    """The cluster's administration. Raises Unreachable."""
    client = AIOKafkaAdminClient(bootstrap_servers=brokers, request_timeout_ms=REQUEST_MS)
    try:
        await client.start()
        yield client
    except (KafkaError, OSError, TimeoutError) as wrong:
        raise unreachable(brokers, wrong) from None
    finally:
        await client.close()


@asynccontextmanager
async def producer(brokers: str, **settings: Any) -> AsyncIterator[AIOKafkaProducer]:
    """A producer that neither loses nor doubles a record. Raises Unreachable."""
    sender = AIOKafkaProducer(
        bootstrap_servers=brokers,
        enable_idempotence=True,
        compression_type="zstd",
        max_request_size=2 << 20,
        **settings,
    )
    try:
        await sender.start()
    except (KafkaError, OSError, TimeoutError) as wrong:
        await sender.stop()
        raise unreachable(brokers, wrong) from None
    try:
        yield sender
    except (KafkaError, TimeoutError) as wrong:
        raise unreachable(brokers, wrong) from None
    finally:
        await sender.stop()


@asynccontextmanager
async def reader(
    brokers: str, topic: str, *, new: bool
) -> AsyncIterator[tuple[AIOKafkaConsumer, list[TopicPartition]]]:
    """A reader of a topic, outside any group: of what is `new` from now on, or of all of it; what was committed.

    Raises Unreachable; WrongUse where there is no such topic.
    """
    consumer = AIOKafkaConsumer(
        topic,
        bootstrap_servers=brokers,
        enable_auto_commit=False,
        auto_offset_reset="latest" if new else "earliest",
        isolation_level="read_committed",
    )
    try:
        await consumer.start()
        partitions = sorted(consumer.assignment())
        for partition in partitions:
            await consumer.position(partition)
        yield consumer, partitions
    except UnknownTopicOrPartitionError:
        raise missing(topic) from None
    except (KafkaError, OSError, TimeoutError) as wrong:
        raise unreachable(brokers, wrong) from None
    finally:
        await consumer.stop()


async def everything(brokers: str, topic: str) -> list[Any]:
    """Every record of a topic, up to its end now. Raises as `reader`."""
    records: list[Any] = []
    async with reader(brokers, topic, new=False) as (consumer, partitions):
        ends = await consumer.end_offsets(partitions)
        while any([await consumer.position(each) < ends[each] for each in partitions]):
            for batch in (await consumer.getmany(timeout_ms=500)).values():
                records += batch
    return records


def missing(topic: str) -> WrongUse:
    """What is said of a topic that is not there."""
    return WrongUse(words("no_topic", topic=topic))


async def declare(brokers: str, topics: Sequence[Topic]) -> list[str]:
    """Declares the topics that are not there; their names. Raises Unreachable."""
    async with admin(brokers) as client:
        there = set(await client.list_topics())
        missing_ones = [topic for topic in topics if topic.name not in there]
        if missing_ones:
            await kafka.declare(brokers, missing_ones)
    return [topic.name for topic in missing_ones]
