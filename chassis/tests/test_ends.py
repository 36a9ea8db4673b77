"""Where topics end, of a real broker."""

from secrets import token_hex

import pytest
from aiokafka import TopicPartition
from tepat_chassis.kafka import Ends, declare
from tepat_contracts.topics import Topic

pytestmark = pytest.mark.integration


async def test_every_partition_counts_though_nobody_asked_about_its_topic_before(kafka: str) -> None:
    """A client that was asked nothing yet knows no partitions, and one that was asked knows those topics alone."""
    named = f"ends-{token_hex(4)}"
    first, later = (Topic(f"{named}.{n}", "", "delete", (), (), retention_ms=60_000, partitions=3) for n in "ab")
    await declare(kafka, [first])
    ends = Ends(kafka)
    await ends.start()
    try:
        assert await ends.matching(lambda name: name.startswith(named)) == at_nothing(first)
        await ends.of([], [TopicPartition(first.name, 0)])
        await declare(kafka, [later])
        assert await ends.matching(lambda name: name.startswith(named)) == at_nothing(first) | at_nothing(later)
        assert await ends.matching(lambda name: name == named) == {}
    finally:
        await ends.stop()


def at_nothing(topic: Topic) -> dict[TopicPartition, int]:
    return {TopicPartition(topic.name, number): 0 for number in range(3)}
