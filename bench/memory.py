"""``python -m bench.memory``: the most that each service holds while a district streams through the whole system.

Everything of `tepat up` runs; the district's records are sent as fast as the broker takes them, so that every service
works at its full rate. It ends with status 1 where what was announced is not what the oracle expects.
"""

import asyncio
import os
import sys
import tempfile
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console
from rich.table import Table
from tepat_cli.place import Place
from tepat_cli.policy import policy_text, put_in_force
from tepat_contracts.policy import load
from tepat_demo.district import District
from tepat_demo.run import run
from tepat_local import processes
from tepat_local.stack import Stack

from bench import command, engine

RESULT = Path(__file__).parent / "memory.json"
SERVICES = ("registry", "eligibility", "distribution", "notifications")
EVERY_SECONDS = 0.5
POLICY_SECONDS = 60


class _Silent:
    def stage(self, name: str, total: int | None) -> None: ...

    def advance(self, done: int) -> None: ...


async def _watched(home: Path, most: dict[str, int]) -> None:
    """Note the resident bytes of each service, for as long as it is awaited."""
    while True:
        for process in processes.of(home):
            with suppress(psutil.Error):
                name = process.cmdline()[-1].removeprefix("tepat_")
                if name in SERVICES:
                    most[name] = max(most.get(name, 0), process.memory_info().rss)
        await asyncio.sleep(EVERY_SECONDS)


async def measure(home: Path, endpoints: dict[str, Any], households: int) -> dict[str, Any]:
    """The most of each service, in MB, and whether the system did what it should."""
    most: dict[str, int] = {}
    place = Place.of(data=home, role="policy")

    async def apply_policy(file: Path) -> None:
        await put_in_force(place, load(policy_text(file)), engine.PARTITIONS, POLICY_SECONDS)

    watching = asyncio.create_task(_watched(home, most))
    report = await run(
        endpoints, home / "tokens", (home / "secrets" / "main").read_bytes(), District(7, households),
        apply_policy=apply_policy, progress=_Silent(),
    )  # fmt: skip
    watching.cancel()
    return engine.circumstances(households=households) | {
        "most_mb": {name: most[name] / 1e6 for name in SERVICES}, "agrees": report.agrees,
    }  # fmt: skip


def main() -> int:
    """Measure and print; ``--write`` keeps the result beside this file. 1 where the oracle disagrees."""
    parser = command.parser("bench.memory", __doc__, RESULT)
    parser.add_argument("--households", type=command.at_least(1), default=60_000)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tepat-bench-") as folder:
        settings = {name: value for name, value in os.environ.items() if not name.startswith("TEPAT_")}
        with Stack(Path(folder), settings=settings, say=lambda _: None) as stack:
            result = asyncio.run(measure(Path(folder), asdict(stack.endpoints), asked.households))
    table = Table("service", "most MB")
    for name, most in result["most_mb"].items():
        table.add_row(name, f"{most:,.0f}")
    Console(stderr=True).print(table)
    command.tell(result, RESULT, write=asked.write)
    return 0 if result["agrees"] else 1


if __name__ == "__main__":
    sys.exit(main())
