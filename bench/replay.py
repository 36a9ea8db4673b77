"""``python -m bench.replay``: the topics from their beginning into an empty database.

The engine takes the workload and stops. Then it starts on an empty database, as after the loss of the old one: it
reads its own announcements back, takes all payouts again and judges them. What stands announced must be the same
afterwards, and what was announced must not be told again.
"""

import asyncio
import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from tepat_demo import oracle, stream

from bench import command, engine
from bench.stack import servers

RESULT = Path(__file__).parent / "replay.json"


async def measure(payouts: int, households: int) -> dict[str, Any]:
    """The first run, the replay, and what differs between what stood announced after each."""
    with servers() as at:
        await engine.prepare(at, payouts, households)
        first = await engine.run(at, payouts)
        before = await stream.read(at.kafka, [stream.OVERLAPS], committed=True)
        await at.postgres.declare(["again"])
        again = await engine.run(at, payouts, database="again")
        after = await stream.read(at.kafka, [stream.OVERLAPS], committed=True)
        wrong = await engine.compare(at, payouts, households)
    return engine.circumstances(payouts=payouts, households=households) | {
        "first": first, "replay": again, "told_again": len(after) - len(before),
        "differences": oracle.differences(oracle.fold(after), oracle.fold(before)), "differences_from_oracle": wrong,
    }  # fmt: skip


def main() -> int:
    """Measure and print; ``--write`` keeps the result beside this file. 1 where anything differs."""
    parser = command.parser("bench.replay", __doc__, RESULT)
    parser.add_argument("--payouts", type=command.at_least(1), default=1_000_000)
    parser.add_argument("--households", type=command.at_least(1), default=600_000)
    asked = parser.parse_args()
    result = asyncio.run(measure(asked.payouts, asked.households))
    Console(stderr=True).print(
        f"replay: {result['replay']['payouts_per_second']:,.0f} payouts a second, the first time "
        f"{result['first']['payouts_per_second']:,.0f}; {result['replay']['overlaps']:,} overlaps, "
        f"{len(result['differences'])} differ, {result['told_again']} told again, "
        f"{len(result['differences_from_oracle'])} other than the oracle's"
    )
    command.tell(result, RESULT, write=asked.write)
    return 1 if result["differences"] or result["told_again"] or result["differences_from_oracle"] else 0


if __name__ == "__main__":
    sys.exit(main())
