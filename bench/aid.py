"""``python -m bench.aid``: what it costs to tell what households receive, apart from finding overlaps.

The engine takes the workload until the last overlap is on its topic. What is measured goes from there until every
household that was touched is told of.
"""

import argparse
import asyncio
import time
from pathlib import Path
from typing import Any

import asyncpg
from rich.console import Console

from bench import command, engine
from bench.stack import servers

RESULT = Path(__file__).parent / "aid.json"
LEFT = "select (select count(*) from aid_touch) + (select count(*) from aid_due) + (select count(*) from outbox)"


async def measure(asked: argparse.Namespace) -> dict[str, Any]:
    """Seconds and CPU seconds until the last household is told of, after the last overlap was."""
    with servers() as at:
        await engine.prepare(at, asked.payouts, asked.households)
        async with engine.engine(at) as running:
            await running.begun()
            found = await running.drain(asked.payouts, asked.payouts)
            connection = await asyncpg.connect(at.postgres.url("distribution"))
            before_end = await connection.fetchval("select count(*) from aid")
            started, spent = time.perf_counter(), at.cpu_seconds()
            await engine.nothing_left(connection, LEFT)
            seconds, after = time.perf_counter() - started, at.cpu_seconds()
            told = await connection.fetchval("select count(*) from aid") - before_end
            await connection.close()
    return engine.circumstances(payouts=asked.payouts, households=asked.households) | {
        "overlaps": found, "told_before": before_end, "told": told, "seconds": seconds,
        "households_per_second": told / seconds,
        "cpu_seconds_per_million": {part: (after[part] - spent[part]) / told * 1e6 for part in after},
    }  # fmt: skip


def main() -> None:
    """Measure and print; ``--write`` keeps the result beside this file."""
    parser = command.parser("bench.aid", __doc__, RESULT)
    parser.add_argument("--payouts", type=command.at_least(1), default=200_000)
    parser.add_argument("--households", type=command.at_least(1), default=120_000)
    result = asyncio.run(measure(asked := parser.parse_args()))
    Console(stderr=True).print(
        f"aid: {result['told']:,} households told of in {result['seconds']:.1f} s after the last overlap "
        f"({result['households_per_second']:,.0f} a second), {result['told_before']:,} before it; "
        f"{sum(result['cpu_seconds_per_million'].values()):.0f} CPU s a million households"
    )
    command.tell(result, RESULT, write=asked.write)


if __name__ == "__main__":
    main()
