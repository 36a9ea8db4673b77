import pytest
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError, KafkaTimeoutError
from tepat_chassis import kafka

WHERE = TopicPartition("registry.persons.v1", 0)


class Client:
    """A consumer whose connection has died: it gives up so many times, and has a new one then."""

    given_up = 0

    def __init__(self, **_: object) -> None:
        pass

    async def start(self) -> None:
        pass

    async def topics(self) -> set[str]:
        self._give_up()
        return {WHERE.topic}

    async def end_offsets(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
        self._give_up()
        return dict.fromkeys(partitions, 7)

    def _give_up(self) -> None:
        if Client.given_up:
            Client.given_up -= 1
            raise KafkaTimeoutError


@pytest.fixture(autouse=True)
def client(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kafka, "AIOKafkaConsumer", Client)


async def test_a_connection_that_died_without_a_word_is_replaced_by_the_next_question() -> None:
    ends = kafka.Ends("nowhere")
    await ends.start()
    Client.given_up = 1
    assert await ends.topics() == {WHERE.topic}
    Client.given_up = 1
    assert await ends.of([WHERE], []) == {WHERE: 7}


async def test_a_broker_that_is_away_is_told_after_the_second_try() -> None:
    ends = kafka.Ends("nowhere")
    await ends.start()
    Client.given_up = 2
    with pytest.raises(KafkaError):
        await ends.topics()
    assert Client.given_up == 0
