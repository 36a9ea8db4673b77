"""``python -m bench.instances``: one, two and four instances of distribution on one database.

Each on servers of its own, over the same workload, held against the oracle.
"""

import asyncio
import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench import command, engine
from bench.stack import servers

RESULT = Path(__file__).parent / "instances.json"


async def measure(instances: int, payouts: int, households: int) -> dict[str, Any]:
    """A run of so many instances, and what the oracle says of it."""
    with servers() as at:
        await engine.prepare(at, payouts, households)
        ours = await engine.run(at, payouts, instances)
        return ours | {"differences_from_oracle": await engine.compare(at, payouts, households)}


def main() -> int:
    """Measure and print; ``--write`` keeps the result beside this file. 1 where the oracle disagrees."""
    parser = command.parser("bench.instances", __doc__, RESULT)
    parser.add_argument("--payouts", type=command.at_least(1), default=500_000)
    parser.add_argument("--households", type=command.at_least(1), default=300_000)
    parser.add_argument("--instances", type=command.at_least(1), nargs="+", default=(1, 2, 4))
    asked = parser.parse_args()
    runs = [asyncio.run(measure(instances, asked.payouts, asked.households)) for instances in asked.instances]
    table = Table("instances", "payouts a second", "CPU s a million", "resident MB each", "as the oracle has it")
    for run in runs:
        table.add_row(
            str(run["instances"]), f"{run['payouts_per_second']:,.0f}",
            f"{engine.cpu(run):,.1f}", f"{run['rss_mb']:,.0f}",
            "yes" if not run["differences_from_oracle"] else f"NO: {len(run['differences_from_oracle']):,}",
        )  # fmt: skip
    Console(stderr=True).print(table)
    command.tell(engine.circumstances(payouts=asked.payouts) | {"runs": runs}, RESULT, write=asked.write)
    return 1 if any(run["differences_from_oracle"] for run in runs) else 0


if __name__ == "__main__":
    sys.exit(main())
