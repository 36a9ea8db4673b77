"""The servers that the fixtures give are the real ones, and fit the contracts."""

from __future__ import annotations

from pathlib import Path

import asyncpg
import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError

pytestmark = pytest.mark.integration


async def test_database_is_fresh_and_new_enough(database: str) -> None:
    connection = await asyncpg.connect(database)
    try:
        assert await connection.fetchval("show server_version_num") >= "180000"
        assert (
            await connection.fetchval("select count(*) from pg_class where relnamespace = 'public'::regnamespace") == 0
        )
        await connection.execute("create extension btree_gist; create extension pg_trgm; create table t (a int)")
    finally:
        await connection.close()


@pytest.mark.parametrize("again", [1, 2])
async def test_database_has_nothing_of_another_test(database: str, again: int) -> None:
    connection = await asyncpg.connect(database)
    try:
        await connection.execute("create table left_behind (a int)")
    finally:
        await connection.close()


async def test_broker_takes_two_mebibytes_and_makes_no_topic_on_its_own(kafka: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    producer = AIOKafkaProducer(bootstrap_servers=kafka, max_request_size=3 << 20, request_timeout_ms=2_000)
    await producer.start()
    try:
        limit = {"max.message.bytes": str(2 << 20)}
        await admin.create_topics([NewTopic("local.large", 1, 1, topic_configs=limit)])
        sent = await producer.send_and_wait("local.large", bytes((2 << 20) - 200))
        assert sent.offset == 0
        assert sent.timestamp_type == 1, "the broker's own time"
        with pytest.raises(KafkaError):
            await producer.send_and_wait("local.undeclared", b"", partition=0)
        assert "local.undeclared" not in await admin.list_topics()
    finally:
        await producer.stop()
        await admin.close()


def test_secrets_are_long_enough_and_private(secrets: Path) -> None:
    for name in ("main", "seal"):
        assert len((secrets / name).read_bytes()) == 32
        assert (secrets / name).stat().st_mode & 0o077 == 0
