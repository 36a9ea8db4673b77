"""``make bench``: payouts a second until the last overlap is on its topic, beside a handler called once per record.

Both engines read the same topic of the same run, one after the other, into databases of their own on the same
server, every commit durable, broker and database on the same cores. What the engine announced is then read back
from its topic and held against the oracle over the same records; a difference ends the bench with status 1.
"""

import argparse
import asyncio
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench import bare_copy, command, engine, per_record, workload
from bench.stack import servers

RESULT = Path(__file__).parent / "result.json"


async def measure(asked: argparse.Namespace) -> dict[str, Any]:
    """One run: our engine on all payouts, a bare COPY, the handler per record on the first ``records`` of them."""
    with servers() as at:
        await engine.prepare(at, asked.payouts, asked.households)
        ours = await engine.run(at, asked.payouts, asked.instances)
        copied = await bare_copy.rows_per_second(at.postgres.url("distribution"))
        peer = None
        if asked.records:
            records = min(asked.records, asked.payouts)
            peer = await per_record.run(at.kafka, at.postgres.url("per_record"), at.cpu_seconds, records)
        wrong = await engine.compare(at, asked.payouts, asked.households) if asked.check else None
    return engine.circumstances(
        payouts=asked.payouts, households=asked.households, changed=workload.CHANGED, instances=asked.instances
    ) | {
        "tepat": ours, "handler_per_record": peer,
        "ratio": ours["payouts_per_second"] / peer["payouts_per_second"] if peer else None,
        "bare_copy_rows_per_second": copied, "of_bare_copy": ours["payouts_per_second"] / copied,
        "differences_from_oracle": wrong,
    }  # fmt: skip


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
    row("of a bare COPY", f"{result['of_bare_copy']:.2f}")
    row("bytes a payout, with indexes", f"{ours['bytes_per_payout']:,.0f}")
    row("overlaps", f"{ours['overlaps']:,}")
    if wrong is not None:
        row("as the oracle has it", "yes" if not wrong else f"NO: {len(wrong):,} differences")
    console.print(table)
    for line in (wrong or [])[:10]:
        console.print(line, highlight=False)


def main() -> int:
    """Measure and print; ``--write`` keeps the result beside this file. 1 where the oracle disagrees."""
    parser = command.parser("bench", __doc__, RESULT)
    parser.add_argument("--payouts", type=command.at_least(1), default=1_000_000)
    parser.add_argument("--households", type=command.at_least(1), default=600_000)
    parser.add_argument(
        "--records", type=command.at_least(0), default=15_000, help="of them, through the handler per record; 0: none"
    )
    parser.add_argument("--instances", type=command.at_least(1), default=1)
    parser.add_argument("--check", action=argparse.BooleanOptionalAction, default=True, help="against the oracle")
    parser.add_argument("--json", action="store_true", help="JSON alone")
    asked = parser.parse_args()
    result = asyncio.run(measure(asked))
    if not asked.json:
        show(result, Console(stderr=True))
    command.tell(result, RESULT, write=asked.write)
    return 1 if result["differences_from_oracle"] else 0


if __name__ == "__main__":
    sys.exit(main())
