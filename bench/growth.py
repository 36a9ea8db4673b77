"""``python -m bench.growth``: what the engine takes and how late it is while the ledger grows to 20 million payouts.

The ledger is filled up to each size with payouts of other persons and households, made by PostgreSQL itself; then the
engine takes a workload of its own, and latency is probed beside one steady rate, the same at every size.
"""

import asyncio
from pathlib import Path
from typing import Any

import asyncpg
from rich.console import Console
from rich.table import Table
from tepat_local.postgres import ADMIN

from bench import command, engine, latency, workload
from bench.stack import servers

RESULT = Path(__file__).parent / "growth.json"
SIZES = (1_000_000, 5_000_000, 20_000_000)

FILL = """
insert into payout (
    agency, revision, rank, event_time, nik, told, told_kk, programme, starts, ends, amount, partition, "offset",
    digest, person, household, payout_id, event_id, region)
select 1, 0, 1, timestamptz '2026-01-05 08:00+07', person, household, true, 1 + n % 4, day, day + 88, 750000, 0, 0, n,
       person, household, 'PKH-2025-' || lpad(n::text, 10, '0'), 'ev-' || n || '-0-disbursed', '33.74.01.1001'
from (
    select n, gen_random_uuid() as person, gen_random_uuid() as household,
           date '2025-01-01' + (n % 4)::int * 91 as day
    from generate_series($1::bigint, $2::bigint) n) made"""
INDEXES = "select indexname, indexdef from pg_indexes where tablename = 'payout' and indexname <> 'payout_pkey'"


async def fill(url: str, size: int) -> None:
    """Let the ledger grow to ``size`` payouts, the new ones of persons with one payout each."""
    connection = await asyncpg.connect(url)
    try:
        held = await connection.fetchval("select count(*) from payout")
        indexes = await connection.fetch(INDEXES)
        for index in indexes:
            await connection.execute(f"drop index {index['indexname']}")
        await connection.execute(FILL, held, size - 1)
        for index in indexes:
            await connection.execute(index["indexdef"])
        await connection.execute("vacuum analyze payout")
        await connection.execute("checkpoint")
    finally:
        await connection.close()


async def measure(sizes: tuple[int, ...], payouts: int, probes: int, beside: float) -> dict[str, Any]:
    """A row for each size."""
    found: list[dict[str, Any]] = []
    with servers() as at:
        await engine.prepare(at, 0, 0)
        async with engine.engine(at) as running:
            await running.begun()
            taken = 0
            for seed, size in enumerate(sizes, 2):
                await fill(at.postgres.url("distribution", ADMIN), size)
                await engine.publish(at, workload.payouts(payouts, payouts * 6 // 10, seed))
                taken += payouts
                rate = await running.drain(taken, payouts)
                late = await latency.probe(at, running, taken, probes, beside)
                taken = await running.caught_up()
                found.append({"ledger": size, "taken": rate, "late": late})
    rates = [each["taken"]["payouts_per_second"] for each in found]
    return engine.circumstances(payouts=payouts) | {"sizes": found, "last_of_first": rates[-1] / rates[0]}


def main() -> None:
    """Measure and print; ``--write`` keeps the result beside this file."""
    parser = command.parser("bench.growth", __doc__, RESULT)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="payouts in the ledger")
    parser.add_argument("--payouts", type=int, default=300_000, help="taken at each size")
    parser.add_argument("--probes", type=int, default=300)
    parser.add_argument("--rate", type=float, default=15_000, help="payouts a second beside the probes")
    asked = parser.parse_args()
    result = asyncio.run(measure(tuple(asked.sizes), asked.payouts, asked.probes, asked.rate))
    table = Table("ledger", "payouts a second", "CPU s a million", "p50 ms", "p99 ms", "bytes a payout")
    for each in result["sizes"]:
        taken, late = each["taken"], each["late"]
        table.add_row(
            f"{each['ledger']:,}", f"{taken['payouts_per_second']:,.0f}",
            f"{sum(taken['cpu_seconds_per_million'].values()):,.1f}", f"{late['p50_ms']:,.0f}",
            f"{late['p99_ms']:,.0f}", f"{taken['bytes_per_payout']:,.0f}",
        )  # fmt: skip
    Console(stderr=True).print(table)
    command.tell(result, RESULT, write=asked.write)


if __name__ == "__main__":
    main()
