"""``python -m bench.growth``: what the engine takes and how late it is on ledgers of 1, 5 and 20 million payouts.

Each ledger is a database of its own, filled with payouts of other persons and households by PostgreSQL itself. Then
come rounds: the same new payouts are taken into one ledger after the other, minutes apart at most, so that a machine
that slows down does so for all of them; told is the median of the rounds. The first round also meets what no ledger in
use has: all of it just written, and not one page of it in the log since the last checkpoint. In the end latency is
probed beside one steady rate, the same at every size.
"""

import argparse
import asyncio
from pathlib import Path
from statistics import median
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


async def measure(asked: argparse.Namespace) -> dict[str, Any]:
    """What each size took in each round, and how late it was in the end."""
    ledgers = {size: f"ledger_{size}" for size in asked.sizes}
    rounds: list[dict[int, dict[str, Any]]] = []
    late: dict[int, dict[str, Any]] = {}
    with servers() as at:
        await engine.prepare(at, 0, 0)
        await at.postgres.declare(list(ledgers.values()))
        for size, database in ledgers.items():
            async with engine.engine(at, database=database) as running:
                await running.begun()
            await fill(at.postgres.url(database, ADMIN), size)
        for number in range(asked.rounds):
            await engine.publish(at, workload.payouts(asked.payouts, asked.payouts * 6 // 10, number + 2))
            taken = {}
            for size, database in ledgers.items():
                async with engine.engine(at, database=database) as running:
                    await running.begun()
                    taken[size] = await running.drain((number + 1) * asked.payouts, asked.payouts)
            rounds.append(taken)
        for size, database in ledgers.items():
            async with engine.engine(at, database=database) as running:
                await running.begun()
                late[size] = await latency.probe(at, running, await running.caught_up(), asked.probes, asked.rate)
    return engine.circumstances(payouts=asked.payouts) | {
        "rounds": rounds, "late": late,
        "last_of_first": median(
            engine.rate(taken[asked.sizes[-1]]) / engine.rate(taken[asked.sizes[0]]) for taken in rounds
        ),
    }  # fmt: skip


def main() -> None:
    """Measure and print; ``--write`` keeps the result beside this file."""
    parser = command.parser("bench.growth", __doc__, RESULT)
    parser.add_argument("--sizes", type=command.at_least(1), nargs="+", default=SIZES, help="payouts in the ledger")
    parser.add_argument("--payouts", type=command.at_least(1), default=300_000, help="taken in each round")
    parser.add_argument("--rounds", type=command.at_least(1), default=5)
    parser.add_argument("--probes", type=command.at_least(2), default=300)
    parser.add_argument("--rate", type=float, default=15_000, help="payouts a second beside the probes")
    asked = parser.parse_args()
    result = asyncio.run(measure(asked))
    table = Table("ledger", "payouts a second", "CPU s a million", "p50 ms", "p99 ms", "bytes a payout")
    for size in asked.sizes:
        taken, late = [told[size] for told in result["rounds"]], result["late"][size]
        table.add_row(
            f"{size:,}", f"{median(map(engine.rate, taken)):,.0f}", f"{median(map(engine.cpu, taken)):,.1f}",
            f"{late['p50_ms']:,.0f}", f"{late['p99_ms']:,.0f}", f"{taken[-1]['bytes_per_payout']:,.0f}",
        )  # fmt: skip
    table.caption = f"the last of the first: {result['last_of_first']:.2f}"
    Console(stderr=True).print(table)
    command.tell(result, RESULT, write=asked.write)


if __name__ == "__main__":
    main()
