"""Person facts a second through the batch path and through looking, by step: `services.registry.tests.measure URL`.

The database at URL is an empty one. Records are made beforehand; neither the broker nor the relay takes part.
"""

import asyncio
import gc
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from functools import wraps
from pathlib import Path
from typing import Any

import orjson
import psutil
from tepat_chassis.database import Lock
from tepat_chassis.http import COLLECT_AFTER
from tepat_chassis.quarantine import Record
from tepat_chassis.span import Span
from tepat_contracts.topics import Kind
from tepat_registry import store, suspects
from tepat_registry.store import Store

from services.registry.tests.conftest import MIGRATIONS, SECRET, Registry, policy, recorded

PERSONS = 100_000
BATCH = 8_000
FIRST = ("Joko", "Budi", "Siti", "Agus", "Sri", "Dewi", "Bambang", "Wahyu", "Eko", "Rina", "Slamet", "Yuni", "Dwi")
LAST = ("Susilo", "Santoso", "Wibowo", "Lestari", "Hidayat", "Rahayu", "Sutrisno", "Utami", "Saputra", "Handayani")
TOPIC = "agency.dinsos.beneficiaries.v1"

spent: dict[str, float] = defaultdict(float)
busy: dict[str, float] = defaultdict(float)
served: dict[str, float] = defaultdict(float)
servers: list[psutil.Process] = []


def cpu() -> float:
    """Seconds the database's processes for us were busy; 0 where they run elsewhere."""
    return sum(sum(server.cpu_times()[:2]) for server in servers)


@contextmanager
def clocked(name: str) -> Iterator[None]:
    """Seconds by the clock, and those that this process and the database's were busy."""
    started, before, serving = time.perf_counter(), time.process_time(), cpu()
    yield
    spent[name] += time.perf_counter() - started
    busy[name] += time.process_time() - before
    served[name] += cpu() - serving


def timed(name: str, work: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    @wraps(work)
    async def measured(*arguments: Any, **named: Any) -> Any:
        with clocked(name):
            return await work(*arguments, **named)

    return measured


def records(count: int) -> list[Record]:
    """A province's persons in households of three and a half, spread over areas and days."""
    made = []
    for n in range(count):
        day, month, year = n % 28 + 1, n // 28 % 12 + 1, n // 336 % 60 + 40
        nik = f"3374{n % 16 + 1:02d}{day:02d}{month:02d}{year:02d}{n % 9999 + 1:04d}"
        names = {"name": f"{FIRST[n % 31 % len(FIRST)]} {LAST[n * 7 % 97 % len(LAST)]}", "sex": "L"}
        told = recorded(
            nik, f"3374{n % 16 + 1:02d}0101{n // 35 % 90 + 10:02d}{n // 35_000 * 1000 + n // 4 % 999 + 1:04d}",
            birth_date=f"19{year:02d}-{month:02d}-{day:02d}", relation="head" if n % 4 == 0 else "child",
            region=f"33.74.{n % 16 + 1:02d}.1001", attributes={"decile": n % 10 + 1, "occupation": "petani"},
            _traceparent=f"00-{n + 1:032x}-{n + 1:016x}-01", _id=f"person-{n:08d}", **names,
        )  # fmt: skip
        made.append(Record(TOPIC, 0, n, 0, orjson.dumps(told), []))
    return made


async def measure(url: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "main").write_bytes(SECRET)
        registry = Registry(url, Path(folder))
        await registry.database.open(*MIGRATIONS)
        await registry.follow(policy())
        for name in ("announce", "persons", "_take_facts"):
            setattr(Store, name, timed(name.strip("_"), getattr(Store, name)))
        store.put = timed("put", store.put)
        for pid in await registry.database.pool.fetch(
            "select pid from pg_stat_activity where datname = current_database()"
        ):
            with suppress(psutil.NoSuchProcess):
                servers.append(psutil.Process(pid["pid"]))
        told = records(PERSONS)
        for name in ("_renewals", "_duplicates"):
            setattr(suspects, name, timed(name.strip("_"), getattr(suspects, name)))
        for title in ("new", "the same again"):
            await run(title, registry, told)
            await look(registry)
        await registry.database.close()


async def run(title: str, registry: Registry, told: list[Record]) -> None:
    spent.clear()
    busy.clear()
    served.clear()
    intake = registry._intakes[Kind.BENEFICIARIES]
    started = time.perf_counter()
    batches = 0
    for start in range(0, len(told), BATCH):
        batch = told[start : start + BATCH]
        with clocked("decode"):
            span = Span(TOPIC, 0, batch[0].offset, batch[-1].offset + 1, batch)
            work = intake.decode([span], registry.standing.in_force)
        with clocked("write"):
            async with registry.database.transaction(Lock.EXCLUSIVE) as connection:
                await intake.write(connection, work)
        batches += 1
    seconds = time.perf_counter() - started
    print(f"{title}: {len(told) / seconds:,.0f} persons/s, batches of {BATCH:,}")
    for name, total in spent.items():
        print(
            f"  {name:12} {total / batches * 1e3:7.0f} ms a batch, "
            f"busy: {busy[name] / batches * 1e3:4.0f} ms here, "
            f"{served[name] / batches * 1e3:4.0f} ms in the database"
        )


async def look(registry: Registry) -> None:
    """What the duty takes to look at what is new."""
    spent.clear()
    busy.clear()
    served.clear()
    with clocked("all"):
        await registry.look()
    for name, total in spent.items():
        print(
            f"  looked, {name:10} {total:6.1f} s, busy: {busy[name]:5.1f} s here, {served[name]:5.1f} s in the database"
        )


if __name__ == "__main__":
    gc.set_threshold(*COLLECT_AFTER)
    asyncio.run(measure(sys.argv[1]))
