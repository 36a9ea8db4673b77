"""Sending the district and reading it back, on a real broker."""

from __future__ import annotations

import re
import uuid
from collections import Counter, defaultdict
from collections.abc import AsyncIterator

import orjson
import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from tepat_demo import stream
from tepat_demo.district import District
from tepat_demo.oracle import Record

pytestmark = pytest.mark.integration


@pytest.fixture
async def admin(kafka: str) -> AsyncIterator[AIOKafkaAdminClient]:
    client = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await client.start()
    yield client
    await client.close()


@pytest.fixture
def prefix() -> str:
    return f"demo-{uuid.uuid4().hex[:8]}"


async def test_what_is_sent_is_read_back_in_the_order_of_each_partition(
    kafka: str, admin: AIOKafkaAdminClient, prefix: str
) -> None:
    district = [(f"{prefix}.{topic}", key, value) for topic, key, value in District(seed=1, households=200)]
    names = sorted({topic for topic, _, _ in district})
    await admin.create_topics([NewTopic(name, 3, 1) for name in names])
    told: list[int] = []
    assert await stream.send(kafka, district, told.append) == len(district) == sum(told)

    records = await stream.read(kafka, names)
    assert Counter((r.topic, r.value) for r in records) == Counter((topic, value) for topic, _, value in district)
    sent: defaultdict[str, list[bytes]] = defaultdict(list)
    for topic, _, value in district:
        sent[topic].append(value)
    read: defaultdict[tuple[str, int], list[bytes]] = defaultdict(list)
    for record in records:
        assert len(read[record.topic, record.partition]) == record.offset
        read[record.topic, record.partition].append(record.value or b"")
    for (topic, _), values in read.items():
        rest = iter(sent[topic])
        assert all(value in rest for value in values), "the order of a partition is that of sending"
    spread = Counter(record.partition for record in records)
    assert set(spread) == {0, 1, 2}
    assert await stream.bounds(kafka, names) == {
        (name, number): (0, len(read[name, number])) for name in names for number in range(3)
    }


async def test_only_what_is_committed_is_read_and_reading_ends(
    kafka: str, admin: AIOKafkaAdminClient, prefix: str
) -> None:
    await admin.create_topics([NewTopic(f"{prefix}.ours", 1, 1)])
    producer = AIOKafkaProducer(bootstrap_servers=kafka, transactional_id=prefix)
    await producer.start()
    try:
        for value in (b"one", b"never", b"two"):
            await producer.begin_transaction()
            await producer.send_and_wait(f"{prefix}.ours", value)
            await (producer.abort_transaction() if value == b"never" else producer.commit_transaction())
        assert [r.value for r in await stream.read(kafka, [f"{prefix}.ours"], committed=True)] == [b"one", b"two"]
        await producer.begin_transaction()
        await producer.send_and_wait(f"{prefix}.ours", b"open")
        assert [r.value for r in await stream.read(kafka, [f"{prefix}.ours"], committed=True)] == [b"one", b"two"]
        await producer.abort_transaction()
    finally:
        await producer.stop()


async def test_topics_by_name_empty_ones_and_those_not_declared(
    kafka: str, admin: AIOKafkaAdminClient, prefix: str
) -> None:
    await admin.create_topics([NewTopic(f"agency.{prefix}.{kind}.v1", 2, 1) for kind in ("payouts", "reports")])
    assert f"agency.{prefix}.payouts.v1" in await stream.topics(kafka, stream.INBOUND)
    assert f"agency.{prefix}.reports.v1" not in await stream.topics(kafka, stream.INBOUND)
    assert await stream.topics(kafka, re.compile("none")) == []
    assert await stream.read(kafka, [f"agency.{prefix}.payouts.v1"]) == []
    assert await stream.read(kafka, []) == []
    assert await stream.bounds(kafka, []) == {}
    with pytest.raises(LookupError, match="not declared"):
        await stream.read(kafka, [f"{prefix}.undeclared"])


def receipt(kind: str, id_: str = "", **data: object) -> bytes:
    event = {"specversion": "1.0", "id": id_ or uuid.uuid4().hex, "type": f"tepat.{kind}.v1", "data": data}
    return orjson.dumps(event)


async def test_receipts_are_followed_until_every_offset_is_covered(
    kafka: str, admin: AIOKafkaAdminClient, prefix: str
) -> None:
    inbound, receipts = f"agency.{prefix}.payouts.v1", f"agency.{prefix}.receipts.v1"
    await admin.create_topics([NewTopic(receipts, 2, 1)])
    where = {"topic": inbound, "partition": 0}
    within = {(inbound, 0): (0, 5), (inbound, 1): (3, 3)}
    producer = AIOKafkaProducer(bootstrap_servers=kafka)
    await producer.start()
    try:
        told: list[int] = []
        await producer.send_and_wait(receipts, receipt("events.accepted", **where, from_offset=0, to_offset=1))
        await producer.send_and_wait(receipts, receipt("event.rejected", **where, offset=2, reason="schema"))
        with pytest.raises(TimeoutError, match="2 records got no receipt"):
            await stream.answers(kafka, within, patience=0.5, advance=told.append)
        assert sum(told) == 3
        await producer.send_and_wait(receipts, receipt("events.accepted", **where, from_offset=3, to_offset=9))
        await stream.answers(kafka, within, patience=5)
        unanswered = stream.Unanswered(within, await stream.read(kafka, [receipts], committed=True))
        assert (unanswered.left, unanswered.twice()) == (0, 0)
    finally:
        await producer.stop()


def test_offsets_covered_twice_are_counted_and_a_repeated_receipt_is_not() -> None:
    def said(value: bytes) -> Record:
        return Record("agency.a.receipts.v1", 0, 0, [], value)

    where = {"topic": "agency.a.payouts.v1", "partition": 0}
    unanswered = stream.Unanswered({("agency.a.payouts.v1", 0): (10, 14)})
    assert unanswered.left == 4
    once = receipt("events.accepted", "r1", **where, from_offset=0, to_offset=11)
    assert unanswered.note(said(once)) == 2
    assert unanswered.note(said(once)) == 0
    assert unanswered.twice() == 0
    assert unanswered.note(said(receipt("event.rejected", **where, offset=11))) == 0
    assert unanswered.twice() == 1
    assert unanswered.note(said(once.replace(b'"1.0"', b'"1.0","time":"2026-01-05T08:00:00Z"'))) == 0
    assert unanswered.twice() == 2
    assert unanswered.note(said(receipt("event.replayed", **where, offset=11, outcome="accepted"))) == 0
    assert unanswered.note(said(receipt("event.rejected", topic="agency.b.payouts.v1", partition=0, offset=12))) == 0
    assert unanswered.note(said(receipt("events.accepted", **where, from_offset=12, to_offset=13))) == 2
    assert unanswered.left == 0
