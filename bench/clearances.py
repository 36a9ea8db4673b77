"""``python -m bench.clearances``: how soon planned payouts are answered, one by one and a whole list.

First, payouts are published at a steady rate, and a consumer of committed clearances notes when each is told for good:
clear or hold. Then a list is published at once; the clock runs from its first record until every payout of it is
answered and the last answer is on its topic.
"""

import asyncio
import statistics
import time
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import asyncpg
import orjson
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from rich.console import Console
from rich.table import Table
from tepat_contracts.envelope import STRUCTURED_HEADERS
from tepat_contracts.topics import clearances_name

from bench import command, engine, workload
from bench.stack import Servers, servers

RESULT = Path(__file__).parent / "clearances.json"
HOUSEHOLDS = 600_000
TICK_SECONDS = 0.02
PATIENCE = 60
LEFT = """
select (select sum(next_offset) <> $2 from position where topic = $1) or exists (select from mark)
    or exists (select from clearance_touch) or exists (select from behind)
    or exists (select from outbox where topic like 'agency.%.clearances.v1')"""


def planned(count: int, seed: int) -> Iterator[tuple[bytes, bytes]]:
    """So many payouts that are planned, each told once; those of other seeds are other payouts."""
    seen: set[bytes] = set()

    def all_planned() -> Iterator[tuple[bytes, bytes]]:
        for key, value in workload.payouts(2 * count, HOUSEHOLDS, seed):
            if key not in seen and b"payout.disbursed" in value:
                seen.add(key)
                yield key, value.replace(b"payout.disbursed", b"payout.planned")

    return islice(all_planned(), count)


async def steady(at: Servers, rate: float, seconds: float) -> dict[str, Any]:
    """Seconds from a payout's publishing until it is answered clear or hold."""
    each = max(1, round(rate * TICK_SECONDS))
    sent: dict[str, float] = {}
    told: dict[str, float] = {}
    answers = Counter[str]()
    producer = AIOKafkaProducer(bootstrap_servers=at.kafka, compression_type="zstd")
    consumer = AIOKafkaConsumer(
        clearances_name(workload.AGENCY), bootstrap_servers=at.kafka, isolation_level="read_committed",
        auto_offset_reset="latest", fetch_max_wait_ms=50,
    )  # fmt: skip
    await consumer.start()
    await asyncio.gather(*(consumer.position(partition) for partition in consumer.assignment()))

    async def listen() -> None:
        async for record in consumer:
            data = orjson.loads(record.value)["data"]
            answers[data["decision"]] += 1
            if data["decision"] != "unknown":
                told.setdefault(data["payout_id"], time.perf_counter())

    listening = asyncio.create_task(listen())
    await producer.start()
    try:
        payouts, due, number = planned(int(rate * seconds), 2), time.perf_counter(), 0
        while some := list(islice(payouts, each)):
            batch = producer.create_batch()
            for key, value in some:
                batch.append(key=key, value=value, timestamp=None, headers=STRUCTURED_HEADERS)
            due += TICK_SECONDS
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            now = time.perf_counter()
            sent |= {key.decode(): now for key, _ in some}
            await producer.send_batch(batch, workload.TOPIC, partition=number % engine.PARTITIONS)
            number += 1
        async with asyncio.timeout(PATIENCE):
            while told.keys() < sent.keys():  # noqa: ASYNC110 – counted where they are read
                await asyncio.sleep(0.05)
    finally:
        listening.cancel()
        await producer.stop()
        await consumer.stop()
    waited = sorted(told[payout] - when for payout, when in sent.items())
    percentile = statistics.quantiles(waited, n=100, method="inclusive")
    return {
        "payouts_per_second": rate, "payouts": len(sent), "answers": dict(answers),
        "p50_ms": percentile[49] * 1e3, "p99_ms": percentile[98] * 1e3, "max_ms": waited[-1] * 1e3,
    }  # fmt: skip


async def whole_list(at: Servers, payouts: int, before: int) -> dict[str, Any]:
    """Seconds until a list is answered."""
    started, cpu = time.perf_counter(), at.cpu_seconds()
    publishing = asyncio.create_task(engine.publish(at, planned(payouts, 3)))
    connection = await asyncpg.connect(at.postgres.url("distribution"))
    try:
        await publishing
        while await connection.fetchval(LEFT, workload.TOPIC, before + payouts):  # noqa: ASYNC110 – another process's
            await asyncio.sleep(0.2)
        seconds, after = time.perf_counter() - started, at.cpu_seconds()
        decisions = await connection.fetch("select decision, count(*) as payouts from clearance group by 1")
    finally:
        await connection.close()
    return {
        "payouts": payouts, "seconds": seconds, "cpu_seconds": {part: after[part] - cpu[part] for part in after},
        "clearances": {str(row["decision"]): row["payouts"] for row in decisions},
    }  # fmt: skip


async def measure(payouts: int, rate: float, seconds: float) -> dict[str, Any]:
    """At a steady rate, then a whole list."""
    with servers() as at:
        await engine.prepare(at, 0, HOUSEHOLDS)
        async with engine.engine(at) as running:
            await running.begun()
            paced = await steady(at, rate, seconds)
            whole = await whole_list(at, payouts, paced["payouts"])
    return engine.circumstances() | {"steady": paced, "list": whole}


def main() -> None:
    """Measure and print; ``--write`` keeps the result beside this file."""
    parser = command.parser("bench.clearances", __doc__, RESULT)
    parser.add_argument("--payouts", type=command.at_least(1), default=1_000_000, help="of the list")
    parser.add_argument("--rate", type=float, default=1_000, help="payouts a second")
    parser.add_argument("--seconds", type=float, default=60, help="at that rate")
    asked = parser.parse_args()
    result = asyncio.run(measure(asked.payouts, asked.rate, asked.seconds))
    table = Table("", "payouts", "p50 ms", "p99 ms", "max ms", "seconds")
    paced, whole = result["steady"], result["list"]
    table.add_row(
        f"{paced['payouts_per_second']:,.0f} a second", f"{paced['payouts']:,}",
        *(f"{paced[key]:,.0f}" for key in ("p50_ms", "p99_ms", "max_ms")), "",
    )  # fmt: skip
    table.add_row("a list", f"{whole['payouts']:,}", "", "", "", f"{whole['seconds']:.1f}")
    Console(stderr=True).print(table)
    command.tell(result, RESULT, write=asked.write)


if __name__ == "__main__":
    main()
