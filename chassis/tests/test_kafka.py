import asyncio
from secrets import token_hex

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import KafkaConnectionError, KafkaError
from tepat_chassis import kafka
from tepat_chassis.kafka import Ends, declare, known

WHERE = TopicPartition("registry.persons.v1", 0)


class Client:
    """A consumer. Those made while a broker is `away` cannot start; those that stand in `dead` get no answer."""

    away = False
    made: list["Client"]
    dead: set["Client"]

    def __init__(self, **_: object) -> None:
        Client.made.append(self)
        self.stopped = False

    async def start(self) -> None:
        if Client.away:
            raise KafkaConnectionError

    async def stop(self) -> None:
        self.stopped = True

    async def topics(self) -> set[str]:
        await self._answered()
        return {WHERE.topic}

    async def end_offsets(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
        await self._answered()
        return dict.fromkeys(partitions, 7)

    async def _answered(self) -> None:
        if self in Client.dead:
            await asyncio.Event().wait()


@pytest.fixture
def clients(monkeypatch: pytest.MonkeyPatch) -> list[Client]:
    monkeypatch.setattr(kafka, "AIOKafkaConsumer", Client)
    monkeypatch.setattr(kafka, "ASK_SECONDS", 0.05)
    monkeypatch.setattr(Client, "away", False)
    monkeypatch.setattr(Client, "made", [], raising=False)
    monkeypatch.setattr(Client, "dead", set(), raising=False)
    return Client.made


async def test_a_connection_that_died_without_a_word_is_replaced(clients: list[Client]) -> None:
    ends = kafka.Ends("nowhere")
    await ends.start()
    Client.dead.update(clients)
    answers = await asyncio.gather(ends.topics(), ends.topics(), ends.of([WHERE], [WHERE]))
    assert answers == [{WHERE.topic}, {WHERE.topic}, {WHERE: 7}]
    assert [client.stopped for client in clients] == [True, True, False, False]
    await ends.stop()
    assert all(client.stopped for client in clients)


async def test_a_broker_that_is_away_is_told_and_found_again(clients: list[Client]) -> None:
    ends = kafka.Ends("nowhere")
    await ends.start()
    Client.dead.update(clients)
    Client.away = True
    with pytest.raises(KafkaError):
        await ends.topics()
    Client.away = False
    assert await ends.topics() == {WHERE.topic}
    assert [client.stopped for client in clients] == [True, False, True, False]


@pytest.mark.integration
async def test_a_topic_made_since_is_among_those_whose_ends_are_asked_for(kafka: str) -> None:
    topic = f"agency.new-{token_hex(4)}.payouts.v1"
    ends = Ends(kafka)
    await ends.start()
    try:
        assert await ends.matching(lambda name: name == topic) == {}
        await declare(kafka, [known(topic, 2)])
        assert await ends.matching(lambda name: name == topic) == {TopicPartition(topic, n): 0 for n in range(2)}
    finally:
        await ends.stop()
