"""``make bench``: payouts a second until the last overlap is on its topic, beside a handler called once per record.

Both engines read the same topic of the same run, one after the other, into databases of their own on the same
server, every commit durable, broker and database on the same cores.
"""

import argparse
import asyncio
import json
import time
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import psutil
from aiokafka import AIOKafkaProducer
from tepat_chassis import kafka as declaring
from tepat_contracts import envelope, topics

from bench import per_record, workload
from bench.stack import Servers, servers, service

PARTITIONS = 6


async def prepare(at: Servers, count: int, households: int) -> None:
    """Declare the topics, publish the policy and the workload."""
    await at.postgres.declare(["distribution", "per_record"])
    await declaring.declare(at.kafka, topics.own(PARTITIONS) + topics.of_agency(workload.AGENCY, PARTITIONS))
    producer = AIOKafkaProducer(bootstrap_servers=at.kafka)
    await producer.start()
    event = envelope.event(
        service="policy", type="tepat.policy.applied.v1", id="bench-1", time=datetime.now(UTC), data=workload.POLICY
    )
    await producer.send_and_wait("policy.v1", envelope.write(event), key=b"bench-1")
    await producer.stop()
    await workload.publish(at.kafka, count, households)


async def tepat(at: Servers, count: int, instances: int) -> dict[str, float]:
    """From the first payout's commit on, until the last overlap is on its topic."""
    url = at.postgres.url("distribution")
    before = at.cpu_seconds()
    async with service(at, "distribution", instances) as running:
        started = await _begun(url, running)
        cpu = at.cpu_seconds()
        connection = await asyncpg.connect(url)
        try:
            while not await connection.fetchval(DONE, workload.TOPIC, count):
                await asyncio.sleep(0.05)
                alive(running)
            seconds = time.perf_counter() - started
            spent = at.cpu_seconds() - cpu
            overlaps = await connection.fetchval("select count(*) from overlap where live")
            ledger = await connection.fetchval("select count(*) from payout")
            size = await connection.fetchval("select pg_total_relation_size('payout')")
        finally:
            await connection.close()
        memory = max(process.memory_info().rss for process in running)
    assert before <= cpu
    return {
        "payouts_per_second": count / seconds, "seconds": seconds, "cpu_seconds_per_million": spent / count * 1e6,
        "overlaps": overlaps, "ledger": ledger, "bytes_per_payout": size / ledger, "rss_mb": memory / 1e6,
    }  # fmt: skip


DONE = """
select (select coalesce(sum(next_offset), 0) >= $2 from position where topic = $1)
   and not exists (select from mark) and not exists (select from rejudging)
   and not exists (select from outbox)"""


def alive(running: list[psutil.Process]) -> None:
    """Raises where a process of the engine has ended: its log says why."""
    for process in running:
        if not process.is_running() or process.status() == psutil.STATUS_ZOMBIE:
            raise SystemExit(f"the engine ended: see {process.pid}'s log")


async def _begun(url: str, running: list[psutil.Process]) -> float:
    """When the service has the policy and reads its first batch."""
    while True:
        try:
            connection = await asyncpg.connect(url)
        except OSError:
            await asyncio.sleep(0.02)
            continue
        try:
            while True:
                try:
                    if await connection.fetchval("select exists (select from standing)"):
                        return time.perf_counter()
                except asyncpg.UndefinedTableError:
                    pass
                alive(running)
                await asyncio.sleep(0.01)
        finally:
            await connection.close()


async def measure(count: int, households: int, records: int, instances: int) -> dict[str, object]:
    """One run: our engine on all payouts, the handler per record on the first ``records`` of them."""
    with servers() as at:
        await prepare(at, count, households)
        ours = await tepat(at, count, instances)
        peer = await per_record.run(at.kafka, at.postgres.url("per_record"), at.cpu_seconds, records) if records else {}
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"), "cores": psutil.cpu_count(), "payouts": count,
        "households": households, "instances": instances, "tepat": ours, "handler_per_record": peer,
        "ratio": ours["payouts_per_second"] / peer["payouts_per_second"] if peer else None,
    }  # fmt: skip


def main() -> None:
    """Measure and print; ``--write`` keeps the result beside this file."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--payouts", type=int, default=500_000)
    parser.add_argument("--households", type=int, default=300_000)
    parser.add_argument("--records", type=int, default=15_000, help="of them, through the handler per record")
    parser.add_argument("--instances", type=int, default=1)
    parser.add_argument("--write", action="store_true")
    asked = parser.parse_args()
    result = asyncio.run(measure(asked.payouts, asked.households, asked.records, asked.instances))
    text = json.dumps(result, indent=2)
    print(text)
    if asked.write:
        (Path(__file__).parent / "result.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
