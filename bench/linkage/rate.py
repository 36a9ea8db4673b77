"""How many arrivals a second are looked at against a registry of a million persons: `python -m bench.linkage rate`.

The finder alone, through a durable database: what an arrival is compared by is worked out of its facts, kept, and
compared with everyone it shares a key with. Who was there before is copied in, in the order of the tables' keys.
"""

import asyncio
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import UTC, date, datetime
from importlib.resources import files
from typing import Any

import orjson
import psutil
from tepat_chassis.database import Connection, Database
from tepat_chassis.pseudonyms import Pseudonyms, as_uuid
from tepat_registry import duplicates
from tepat_registry.linkage import compare
from tepat_registry.linkage.compare import Traits
from tepat_registry.linkage.model import model
from tepat_registry.store import Store

from bench import engine
from bench.linkage.pairs import Population
from bench.stack import servers

AT_ONCE = 2_000
"""Arrivals in one transaction: what the duty takes at once of a registry that is busy."""
NOW = datetime(2026, 3, 1, tzinfo=UTC)
SECRET = Pseudonyms(bytes(32))


async def measure(seed: int, persons: int, arrivals: int) -> dict[str, Any]:
    """Fill a registry, let more arrive, and count what it takes."""
    known = model()
    everyone = Population(seed, persons + arrivals, known.bits, known.unseen).traits
    before, new = everyone[:-arrivals], everyone[-arrivals:]
    folders = [files(name) / "sql" / "migrations" for name in ("tepat_chassis", "tepat_registry")]
    with servers() as at:
        await at.postgres.declare(["registry"])
        database = Database(at.postgres.url("registry"), service="registry", size=1)
        await database.open(*folders)
        async with database.pool.acquire() as connection:
            await _fill(connection, before)
            await _tell(connection, new)
            await connection.execute("analyze")
            serving = psutil.Process(await connection.fetchval("select pg_backend_pid()"))
            told = await _look(connection, serving, [int(each.nik) for each in new])
        await database.close()
    told |= {"against": len(before), "arrivals": len(new), "arrivals_per_second": len(new) / told["seconds"]}
    return engine.circumstances(seed=seed, at_once=AT_ONCE) | told


async def _look(connection: Connection, serving: psutil.Process, niks: Sequence[int]) -> dict[str, Any]:
    found, cpu, started = 0, time.process_time(), time.perf_counter()
    database = _cpu(serving)
    for start in range(0, len(niks), AT_ONCE):
        async with connection.transaction(isolation="repeatable_read"):
            store = Store(connection, SECRET, NOW, frozenset())
            pairs, _ = await duplicates.find(connection, store, niks[start : start + AT_ONCE], ())
            found += len(pairs)
    seconds = time.perf_counter() - started
    spent = {"finder": time.process_time() - cpu, "database": _cpu(serving) - database}
    return {
        "seconds": seconds,
        "cpu_microseconds_an_arrival": {k: v / len(niks) * 1e6 for k, v in spent.items()},
        "found": found,
    }


def _cpu(process: psutil.Process) -> float:
    with suppress(psutil.Error):
        return sum(process.cpu_times()[:2])
    return 0.0


async def _fill(connection: Connection, people: Iterable[Traits]) -> None:
    """What looking at these has left."""
    kept = []
    blocks: list[tuple[int, int]] = []
    for each in people:
        nik, of = int(each.nik), _as_told(each)
        listed = " ".join(part for pair in sorted(of.listed) for part in pair)
        kept.append((nik, " ".join(of.words), of.born, of.sex, of.region, listed))
        blocks += ((key, nik) for key in compare.blocks(of))
    await connection.copy_records_to_table("traits", records=sorted(kept))
    await connection.copy_records_to_table("block", records=sorted(blocks))


async def _tell(connection: Connection, people: Iterable[Traits]) -> None:
    """Facts about these, as the registry takes them."""
    people = list(people)
    await connection.copy_records_to_table(
        "number", records=[(0, int(each.nik), int(each.nik), as_uuid(SECRET.nik(each.nik))) for each in people]
    )
    facts = [
        (
            int(each.nik), 0, place, NOW, NOW, as_uuid(SECRET.kk(card)), date(2020, 1, 1), 0, agency, f"e-{place}",
            orjson.dumps(_data(each, card)).decode(), f"00-{place + 1:032x}-{place + 1:016x}-01",
        )
        for place, each in enumerate(people) for agency, card in each.listed
    ]  # fmt: skip
    columns = ("nik", "revision", "offset", "time", "taken_at", "household", "since", "partition", "agency", "event_id")
    await connection.copy_records_to_table("fact", records=facts, columns=(*columns, "data", "trace"))


def _as_told(traits: Traits) -> Traits:
    return traits._replace(listed=frozenset((agency, str(as_uuid(SECRET.kk(card)))) for agency, card in traits.listed))


def _data(traits: Traits, card: str) -> dict[str, Any]:
    return {
        "nik": traits.nik, "revision": 0, "name": " ".join(traits.words).title(), "sex": traits.sex, "kk": card,
        "birth_date": traits.born, "region": traits.region, "since": "2020-01-01",
        "attributes": {"decile": 3, "occupation": "petani"},
    }  # fmt: skip


def run(seed: int, persons: int, arrivals: int) -> dict[str, Any]:
    """As ``measure``, from no loop."""
    return asyncio.run(measure(seed, persons, arrivals))
