"""``python -m bench.latency``: from a payout's publishing until its overlap can be read, idle and under load.

The first halves of many overlaps lie in the ledger. Then one second half after the other is published, at times that
do not wait for what came of the one before, and a consumer of committed announcements notes when each is told. Under
load a process beside it publishes other payouts at a steady rate, a share of what the engine takes at most.
"""

import argparse
import asyncio
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import asynccontextmanager
from itertools import count, islice
from pathlib import Path
from typing import Any

import orjson
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from rich.console import Console
from rich.table import Table
from tepat_contracts.envelope import STRUCTURED_HEADERS
from tepat_demo import stream

from bench import command, engine, workload
from bench.stack import Servers, servers

RESULT = Path(__file__).parent / "latency.json"
EVERY_SECONDS = 0.05
PATIENCE = 60
HOUSEHOLDS = 600_000
TICK_SECONDS = 0.02
PACED_AFTER = 50
LOAD_SECONDS = 90
_numbers = count()
_seeds = count(50)


async def probe(at: Servers, running: engine.Engine, taken: int, probes: int, rate: float = 0.0) -> dict[str, Any]:
    """Seconds from publish to announcement of ``probes`` overlaps; ``rate``: payouts a second that come beside them.

    Args:
        taken: records on the topic of the workload so far, all of them taken.
    """
    numbers = [next(_numbers) for _ in range(probes)]
    pairs = {number: workload.halves(number) for number in numbers}
    await engine.publish(at, (first for first, _ in pairs.values()))
    await running.drain(taken + probes, probes)
    async with _announced(at) as told, _load(at, rate):
        sent: dict[str, float] = {}
        producer = AIOKafkaProducer(bootstrap_servers=at.kafka)
        await producer.start()
        try:
            due = time.perf_counter()
            for _, (key, value) in pairs.values():
                due += EVERY_SECONDS
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
                sent[key.decode()] = time.perf_counter()
                await producer.send(workload.TOPIC, value, key=key)
            async with asyncio.timeout(PATIENCE):
                await told.all(sent)
        finally:
            await producer.stop()
    seconds = sorted(told.seen[payout] - at for payout, at in sent.items())
    percentile = statistics.quantiles(seconds, n=100, method="inclusive")
    return {
        "payouts_per_second": rate, "probes": probes, "p50_ms": percentile[49] * 1e3, "p99_ms": percentile[98] * 1e3,
        "max_ms": seconds[-1] * 1e3,
    }  # fmt: skip


class _Told:
    """When each payout was first seen in an announced overlap."""

    def __init__(self) -> None:
        self.seen: dict[str, float] = {}
        self._more = asyncio.Event()

    async def listen(self, consumer: AIOKafkaConsumer) -> None:
        async for record in consumer:
            now = time.perf_counter()
            for side in orjson.loads(record.value)["data"]["payouts"]:
                self.seen.setdefault(side["payout_id"], now)
            self._more.set()

    async def all(self, payouts: Collection[str]) -> None:
        while not all(payout in self.seen for payout in payouts):
            self._more.clear()
            await self._more.wait()


@asynccontextmanager
async def _announced(at: Servers) -> AsyncIterator[_Told]:
    """What is announced from now on."""
    told = _Told()
    consumer = AIOKafkaConsumer(
        stream.OVERLAPS, bootstrap_servers=at.kafka, isolation_level="read_committed", auto_offset_reset="latest"
    )
    await consumer.start()
    await asyncio.gather(*(consumer.position(partition) for partition in consumer.assignment()))
    listening = asyncio.create_task(told.listen(consumer))
    try:
        yield told
    finally:
        listening.cancel()
        await consumer.stop()


@asynccontextmanager
async def _load(at: Servers, rate: float) -> AsyncIterator[None]:
    """Other payouts beside, published by a process of its own until the end."""
    if not rate:
        yield
        return
    publishing = [sys.executable, "-m", "bench.latency", "--load", str(rate), "--kafka", at.kafka]
    publishing += ["--seed", str(next(_seeds))]
    publisher = await asyncio.create_subprocess_exec(*publishing, stdout=subprocess.PIPE)
    try:
        assert publisher.stdout is not None
        if not await publisher.stdout.readline():
            raise SystemExit("the load ended before it was at its pace")
        yield
        if publisher.returncode is not None:
            raise SystemExit("the load ended before the last probe: fewer probes, or a lower rate")
    finally:
        if publisher.returncode is None:
            publisher.terminate()
        await publisher.wait()


def _batched(payouts: Iterator[tuple[bytes, bytes]], each: int) -> Iterator[list[tuple[bytes, bytes]]]:
    while some := list(islice(payouts, each)):
        yield some


async def load(kafka: str, rate: float, seed: int) -> None:
    """Publish payouts at a steady rate until ended, packed beforehand; tells a line once it is at its pace."""
    each = max(1, round(rate * TICK_SECONDS))
    producer = AIOKafkaProducer(bootstrap_servers=kafka, compression_type="zstd", max_batch_size=1024 * 1024)
    await producer.start()
    batches = []
    for payouts in _batched(workload.payouts(int(rate * LOAD_SECONDS), HOUSEHOLDS, seed), each):
        batch = producer.create_batch()
        for key, value in payouts:
            batch.append(key=key, value=value, timestamp=None, headers=STRUCTURED_HEADERS)
        batch.close()
        batches.append(batch)
    due = time.perf_counter()
    for number, batch in enumerate(batches):
        due += TICK_SECONDS
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        await producer.send_batch(batch, workload.TOPIC, partition=number % engine.PARTITIONS)
        if number == PACED_AFTER:
            print("at pace", flush=True)


async def measure(probes: int, rate: float) -> dict[str, Any]:
    """Idle, and beside a load of ``rate`` payouts a second."""
    with servers() as at:
        await engine.prepare(at, 0, HOUSEHOLDS)
        async with engine.engine(at) as running:
            await running.begun()
            idle = await probe(at, running, 0, probes)
            loaded = await probe(at, running, 2 * probes, probes, rate)
    return engine.circumstances(every_seconds=EVERY_SECONDS) | {"idle": idle, "loaded": loaded}


def main() -> None:
    """Measure and print; ``--write`` keeps the result beside this file."""
    parser = command.parser("bench.latency", __doc__, RESULT)
    parser.add_argument("--probes", type=command.at_least(2), default=400)
    parser.add_argument("--rate", type=float, default=15_000, help="payouts a second beside the probes")
    parser.add_argument("--load", type=float, help=argparse.SUPPRESS)
    parser.add_argument("--kafka", help=argparse.SUPPRESS)
    parser.add_argument("--seed", type=int, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.load:
        asyncio.run(load(asked.kafka, asked.load, asked.seed))
        return
    result = asyncio.run(measure(asked.probes, asked.rate))
    table = Table("", "payouts a second beside", "p50 ms", "p99 ms", "max ms")
    for name in ("idle", "loaded"):
        of = result[name]
        cells = (f"{of[key]:,.0f}" for key in ("payouts_per_second", "p50_ms", "p99_ms", "max_ms"))
        table.add_row(name, *cells)
    Console(stderr=True).print(table)
    command.tell(result, RESULT, write=asked.write)


if __name__ == "__main__":
    main()
