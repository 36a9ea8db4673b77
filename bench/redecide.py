"""``python -m bench.redecide``: a changed policy decides a million households again; and what it would change.

For each number of households a province of that size stands decided in a database of its own. Timed is eligibility as
a process: from the policy on its topic until every household is decided again under six programmes, first with no
decision that differs, then with one programme's decisions all told anew. Then the simulation of the latter as the
service runs it: decisions in its process, overlaps of a year's payouts in the database.
"""

import argparse
import asyncio
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

import asyncpg
import orjson
import psutil
from aiokafka import AIOKafkaProducer
from rich.console import Console
from rich.table import Table
from tepat_chassis import kafka as declaring
from tepat_chassis.database import Database
from tepat_contracts import envelope, topics
from tepat_contracts.policy import from_document
from tepat_distribution import policed as distribution_policed
from tepat_distribution.simulate import simulated
from tepat_distribution.store import Store
from tepat_eligibility.domain import today

from bench import command, engine, province
from bench.stack import Servers, servers, service

RESULT = Path(__file__).parent / "redecide.json"
SIZES = (100_000, 1_000_000)
LEFT = "select (select count(*) from mark) + (select count(*) from touched) + (select count(*) from sweep)"


async def _opened(at: Servers, name: str, database: str) -> Database:
    sql = files(f"tepat_{name}") / "sql"
    session = sql / "session.sql"
    opened = Database(at.postgres.url(database), service=name, session=session.read_text(), size=3)
    await opened.open(files("tepat_chassis") / "sql" / "migrations", sql / "migrations")
    return opened


async def _apply(at: Servers, policy: dict[str, Any]) -> None:
    event = envelope.event(
        service="policy", type="tepat.policy.applied.v1", id=policy["version"], time=datetime.now(UTC), data=policy
    )
    async with AIOKafkaProducer(bootstrap_servers=at.kafka) as producer:
        await producer.send_and_wait("policy.v1", envelope.write(event), key=policy["version"].encode())


async def _followed(url: str, version: str, running: psutil.Process) -> None:
    connection = await asyncpg.connect(url)
    while await connection.fetchval("select version from standing order by seq desc limit 1") != version:
        await asyncio.sleep(0.02)
        if not running.is_running() or running.status() == psutil.STATUS_ZOMBIE:
            raise SystemExit("the service ended")
    await connection.close()


@asynccontextmanager
async def _measured(
    at: Servers, processes: Callable[[], list[psutil.Process]], told: dict[str, Any]
) -> AsyncIterator[None]:
    """Note seconds, CPU seconds by part and the most memory of what happens within."""
    before, started, most = at.cpu_seconds(), time.perf_counter(), 0

    async def watch() -> None:
        nonlocal most
        while True:
            for process in processes():
                try:
                    most = max(most, process.memory_info().rss)
                except psutil.Error:
                    continue
            await asyncio.sleep(0.1)

    watching = asyncio.create_task(watch())
    yield
    told["seconds"] = time.perf_counter() - started
    after = at.cpu_seconds()
    told["cpu_seconds"] = {part: after[part] - before[part] for part in after}
    watching.cancel()
    if most:
        told["rss_mb"] = most / 1e6


async def redecide(at: Servers, database: str, policy: dict[str, Any], running: psutil.Process) -> dict[str, Any]:
    """Apply a policy; what it took until all is decided again, and how many decisions were told."""
    url, told = at.postgres.url(database), dict[str, Any]()
    connection = await asyncpg.connect(url)
    announced = "select count(*) from decision where policy_version = $1"
    async with _measured(at, lambda: [running], told):
        await _apply(at, policy)
        await _followed(url, policy["version"], running)
        await engine.nothing_left(connection, LEFT)
    told["announced"] = await connection.fetchval(announced, policy["version"])
    started = time.perf_counter()
    await engine.nothing_left(connection, "select exists (select from outbox)")
    told["seconds_until_all_is_on_the_topic"] = told["seconds"] + time.perf_counter() - started
    await connection.close()
    return told


async def simulate(at: Servers, database: str, policy: dict[str, Any]) -> dict[str, Any]:
    """Simulate decisions, as the service does, in a process of its own."""
    told = dict[str, Any]()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tepat_eligibility.simulate",
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=2**28,
    )  # fmt: skip
    asked = orjson.dumps({"database": at.postgres.url(database), "policy": policy})
    own, children = psutil.Process(process.pid), psutil.Process().cpu_times()
    async with _measured(at, lambda: [own], told):
        said, _ = await process.communicate(asked)
    ended = psutil.Process().cpu_times()
    told["cpu_seconds"]["engine"] = sum(
        getattr(ended, part) - getattr(children, part) for part in ("children_user", "children_system")
    )
    result = orjson.loads(said.splitlines()[-1])["result"]
    told["changes"] = sum(row["subjects"] for row in result["changes"] if row["before"] != row["after"])
    return told


async def overlaps(at: Servers, households: int, database: str, policy: dict[str, Any]) -> dict[str, Any]:
    """Simulate the overlaps of a year's payouts."""
    ledger = await _opened(at, "distribution", database)
    store = Store(lambda _: "", lambda _: _nothing())
    present = from_document(province.POLICY)
    async with ledger.transaction() as connection:
        numbers = await store.follow(connection, present)
        stored = orjson.dumps(distribution_policed.stored(present, *numbers)).decode()
        await connection.execute("insert into standing (version, document) values ($1, $2)", present.version, stored)
        await connection.execute("delete from rejudging")
    filling = await asyncpg.connect(at.postgres.url(database))
    year = province.YEAR - 1
    payouts = await province.pay(filling, households, year)
    await filling.close()
    told, result = dict[str, Any](), dict[str, Any]()
    async with _measured(at, list, told):
        first, last = date(year, 1, 1), date(year, 12, 31)
        async for line in simulated(ledger, from_document(policy), first, last, lambda _: True):
            result = line
    await ledger.close()
    counted = [row for row in result["result"]["changes"] if row["before"] != row["after"]]
    return told | {"payouts": payouts, "changes": sum(row["overlaps"] for row in counted)}


async def _nothing() -> dict[Any, Any]:
    return {}


async def of_size(at: Servers, households: int) -> dict[str, Any]:
    """All that is measured of a province."""
    eligibility, distribution = f"eligibility_{households}", f"distribution_{households}"
    await at.postgres.declare([eligibility, distribution])
    await _apply(at, province.POLICY)
    opened = await _opened(at, "eligibility", eligibility)
    await opened.close()
    connection = await asyncpg.connect(at.postgres.url(eligibility))
    started = time.perf_counter()
    decisions = await province.populate(connection, households, today(datetime.now(UTC), "Asia/Jakarta"))
    told: dict[str, Any] = {"households": households, "decisions": decisions}
    print(
        f"{households:,} households, {decisions:,} decisions, filled in {time.perf_counter() - started:.0f} s",
        file=sys.stderr,
    )
    await connection.close()
    async with service(at, "eligibility", 1, eligibility) as (running,):
        await _followed(at.postgres.url(eligibility), province.POLICY["version"], running)
        told["none differs"] = await redecide(at, eligibility, province.begun_earlier(f"a-{households}"), running)
        told["simulated"] = await simulate(at, eligibility, province.stricter(f"b-{households}"))
        told["one programme differs"] = await redecide(at, eligibility, province.stricter(f"b-{households}"), running)
        print(orjson.dumps(told).decode(), file=sys.stderr)
    told["overlaps simulated"] = await overlaps(at, households, distribution, province.stricter("b"))
    return told


async def measure(sizes: list[int]) -> dict[str, Any]:
    """Every size, each on databases of its own."""
    with servers() as at:
        await declaring.declare(at.kafka, topics.own(engine.PARTITIONS))
        results = [await of_size(at, households) for households in sizes]
    return engine.circumstances(households=sizes, programmes=len(province.PROGRAMMES)) | {"results": results}


def show(result: dict[str, Any], console: Console) -> None:
    """The result as a table."""
    table = Table("households", "", "seconds", "CPU s, engine", "CPU s, database", "most MB", "different")
    for column in table.columns[2:]:
        column.justify = "right"
    for each in result["results"]:
        for what, told in each.items():
            if isinstance(told, dict):
                cpu = told["cpu_seconds"]
                table.add_row(
                    f"{each['households']:,}", what, f"{told['seconds']:.1f}", f"{cpu['engine']:.1f}",
                    f"{cpu['database']:.1f}", f"{told['rss_mb']:.0f}" if "rss_mb" in told else "",
                    f"{told.get('announced', told.get('changes')):,}",
                )  # fmt: skip
    console.print(table)


def main() -> None:
    """Measure and print; ``--write`` keeps the result beside this file."""
    parser = command.parser("bench.redecide", __doc__, RESULT)
    parser.add_argument("--households", type=command.at_least(1), nargs="+", default=list(SIZES))
    asked: argparse.Namespace = parser.parse_args()
    result = asyncio.run(measure(asked.households))
    show(result, Console(stderr=True))
    command.tell(result, RESULT, write=asked.write)


if __name__ == "__main__":
    main()
