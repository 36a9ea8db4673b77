"""`python -m tests.chaos.overload`: too much, too bad, too full, too long away; what happens, and that nothing is lost.

| scene | what happens |
|---|---|
| backlog | millions of records wait, of one agency, when another sends ten: these must not wait behind them |
| poison | every record of an agency is bad: each is told and kept, and the others go on |
| full | the database's disk is full for a while, under load |
| down | the database is down for minutes, under load |
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from operator import attrgetter
from pathlib import Path
from random import Random
from typing import Any

import asyncpg
import orjson
from tepat_contracts.policy import load as policy_of
from tepat_demo import oracle, stream
from tepat_demo.district import POLICY, Message
from tepat_demo.oracle import Record
from tepat_local import files, processes

from bench import workload

from . import watch
from .faults import full
from .load import Load, event
from .proxy import Link
from .run import A_SECOND, healed
from .servers import INSTANCES, System, system
from .verdict import INBOUND
from .watch import Sounding, Watch

POISON = "racun"
TEN_SECONDS = 5.0
"""How long ten records of one agency may take while another floods."""
SAMPLE = 1_000
"""One household of so many is judged by the oracle."""
PATIENCE = 900.0
PAYOUTS = "distribution"

LIVE = "select count(*) from payout p join agency a on a.id = p.agency where p.live and a.code = $1"
HELD = "select count(*) from quarantine where topic = $1"


def policy() -> dict[str, Any]:
    """The district's policy, with the agency of soundings, one that floods and one that poisons."""
    document = watch.policy(policy_of(POLICY.read_text()).document())
    codes = {programme["code"] for programme in document["programmes"]}
    return document | {
        "agencies": [
            *document["agencies"], *workload.POLICY["agencies"],
            {"id": POISON, "name": "Racun", "programmes": [watch.PROGRAMMES[0]]},
        ],
        "programmes": [*document["programmes"], *(p for p in workload.POLICY["programmes"] if p["code"] not in codes)],
    }  # fmt: skip


class Backlog:
    """Records of the flood, and what must come of them, kept small: live payouts are counted, and one household in
    `SAMPLE` is kept whole for the oracle."""

    def __init__(self, records: int) -> None:
        self.records = records
        self.live = 0
        self.sample: list[Record] = []
        self._ended: set[bytes] = set()
        self._sampled: set[bytes] = set()

    def __iter__(self) -> Iterator[Message]:
        seen: set[bytes] = set()
        for key, value in workload.payouts(self.records, self.records * 3 // 5):
            told = orjson.loads(value)
            if (recipient := told["data"].get("recipient")) and int(recipient["kk"][6:]) % SAMPLE == 7:
                self._sampled.add(key)
            if key in self._sampled:
                self.sample.append(Record(workload.TOPIC, 0, len(self.sample), [], value))
            if told["type"] == "tepat.payout.cancelled.v1":
                self._ended.add(key)
            elif told["data"]["revision"] == 0 and key not in seen:
                self.live += 1
                if len(seen) < 1_000_000 and self._again(key):
                    seen.add(key)
            yield workload.TOPIC, key, value
        self.live -= len(self._ended)

    @staticmethod
    def _again(key: bytes) -> bool:
        """Whether the workload may tell of this payout again."""
        return int(key.rpartition(b"-")[2]) % 16 == 0


async def backlog(running: System, records: int) -> dict[str, Any]:
    """Distribution is cut off while a backlog grows; then ten records of another agency come with it."""
    flood = Backlog(records)
    links = [f"{name}/kafka" for name in INSTANCES if name.startswith(PAYOUTS)]
    for link in links:
        running.network.on(link, Link.cut)
    began = time.monotonic()
    await stream.send(running.kafka, flood)
    sending = time.monotonic() - began
    async with Watch(running) as watching:
        running.network.mend()
        began = time.monotonic()
        first = await watching.sounding(PATIENCE)
        waits = [first]
        while await _behind(running):
            waits.append(await watching.sounding(PATIENCE))
            await asyncio.sleep(Random(len(waits)).uniform(1, 5))
        drained = time.monotonic() - began
    await healed(running, PATIENCE)
    wrong = await _uncovered(running)
    ledger = await _asked(running, PAYOUTS, LIVE, workload.AGENCY)
    if ledger != flood.live:
        wrong.append(f"the ledger holds {ledger} live payouts of {workload.AGENCY}, {flood.live} it should")
    should = oracle.expected(flood.sample, policy(), running.secret).overlaps
    ids = {(workload.AGENCY, orjson.loads(record.value or b"")["data"]["payout_id"]) for record in flood.sample}
    standing = oracle.fold(await stream.read(running.kafka, [stream.OVERLAPS], committed=True))
    of_sample = {
        id_: told for id_, told in standing.items()
        if any((side["agency"], side["payout_id"]) in ids for side in told["payouts"])
    }  # fmt: skip
    wrong += oracle.differences(of_sample, should)
    wrong += _waited(waits)
    return {
        "records": records, "sending_seconds": sending, **_longest(waits), "drained_seconds": drained,
        "records_a_second": records / drained, "live_payouts": flood.live, "overlaps": len(standing),
        "overlaps_judged_by_the_oracle": len(should), "disk_mb": _disk_mb(running.data), "wrong": wrong,
    }  # fmt: skip


async def poison(running: System, records: int) -> dict[str, Any]:
    """An agency sends nothing but what cannot be taken, while another sends ten good records."""
    topic = f"agency.{POISON}.payouts.v1"

    def bad() -> Iterator[Message]:
        for number in range(records):
            data = {"payout_id": f"R-{number}", "revision": 0, "programme": "TIDAK-ADA"}
            yield topic, b"r%d" % number, event(POISON, "payout.disbursed", f"r-{number}", data)

    async with Watch(running) as watching:
        sending = asyncio.create_task(stream.send(running.kafka, bad()))
        waits = [await watching.sounding(PATIENCE)]
        while not sending.done() or await _behind(running):
            waits.append(await watching.sounding(PATIENCE))
        await sending
    await healed(running, PATIENCE)
    wrong = await _uncovered(running)
    held = await _asked(running, PAYOUTS, HELD, topic)
    receipts = await stream.read(running.kafka, [f"agency.{POISON}.receipts.v1"], committed=True)
    told = {orjson.loads(r.value or b"")["id"] for r in receipts if b"tepat.event.rejected.v1" in (r.value or b"")}
    if not held == len(told) == records:
        wrong.append(f"of {records} bad records {held} are quarantined and {len(told)} told")
    wrong += _waited(waits)
    return {
        "records": records, "quarantined": held, "rejections": len(told), **_longest(waits), "wrong": wrong,
    }  # fmt: skip


async def disk_full(running: System, seconds: float) -> dict[str, Any]:
    """The database's disk is full under load."""
    if running.disk is None:
        return {"skipped": "no file system may be mounted here: only root may", "wrong": []}
    return await _without(running, seconds, full(running, "postgres", Random(1)))


async def down(running: System, seconds: float) -> dict[str, Any]:
    """The database is down under load."""
    return await _without(running, seconds, _stopped(running))


@asynccontextmanager
async def _stopped(running: System) -> AsyncIterator[None]:
    await asyncio.to_thread(_control, running, "stop")
    try:
        yield
    finally:
        await asyncio.to_thread(_control, running, "start")


def _control(running: System, order: str) -> None:
    config = running.data / "run" / "supervisord.conf"
    command = [sys.executable, "-m", "supervisor.supervisorctl", "-c", str(config), order, "servers:postgres"]
    subprocess.run(command, check=True, capture_output=True)


async def _without(running: System, seconds: float, outage: AbstractAsyncContextManager[None]) -> dict[str, Any]:
    """Do without the database for so long, under load; then how soon the system works again."""
    load = Load(running.kafka, 1, A_SECOND)
    async with Watch(running) as watching:
        await watching.sounding(PATIENCE)
        sending = asyncio.create_task(load.run())
        async with outage:
            await asyncio.sleep(seconds)
        began = time.monotonic()
        await watching.sounding(PATIENCE)
        works = time.monotonic() - began
        load.stop()
        await sending
        await healed(running, PATIENCE)
    return {
        "seconds": seconds, "sent": sum(load.sent.values()), "works_again_after_seconds": works,
        "drained_after_seconds": time.monotonic() - began, "wrong": await _uncovered(running),
    }  # fmt: skip


async def _behind(running: System) -> bool:
    """Whether records of payouts are left to take."""
    names = [workload.TOPIC, f"agency.{POISON}.payouts.v1"]
    ends = {where: end for where, (_, end) in (await stream.bounds(running.kafka, names)).items()}
    taken = await _asked(
        running, PAYOUTS, "select coalesce(sum(next_offset), 0)::bigint from position where topic = any($1)", names
    )
    return bool(taken < sum(ends.values()))


async def _asked(running: System, service: str, query: str, *given: object) -> Any:
    connection = await asyncpg.connect(running.database(service))
    try:
        return await connection.fetchval(query, *given)
    finally:
        await connection.close()


def _longest(waits: Sequence[Sounding]) -> dict[str, Any]:
    """How many soundings were taken meanwhile, and the longest that each part of one took."""
    parts = {f"longest_until_{part}_seconds": round(max(map(attrgetter(part), waits)), 2) for part in Sounding._fields}
    return {"soundings": len(waits)} | parts


def _waited(waits: Sequence[Sounding]) -> list[str]:
    longest = max(each.answered for each in waits)
    return [f"another agency's records waited {longest:.1f} s to be taken"] if longest > TEN_SECONDS else []


async def _uncovered(running: System) -> list[str]:
    bounds = await stream.bounds(running.kafka, await stream.topics(running.kafka, INBOUND))
    receipts = await stream.read(running.kafka, await stream.topics(running.kafka, stream.RECEIPTS), committed=True)
    unanswered = stream.Unanswered(bounds, receipts)
    found = {"no receipt": unanswered.left, "two receipts": unanswered.twice()}
    return [f"{number} records have {what}" for what, number in found.items() if number]


def _disk_mb(data: Path) -> dict[str, int]:
    return {
        part: sum(file.stat().st_blocks * 512 for file in (data / part).rglob("*") if file.is_file()) >> 20
        for part in ("kafka", "postgres")
    }


async def _play(running: System, scene: Callable[[System], Awaitable[dict[str, Any]]]) -> dict[str, Any]:
    file = running.data / "policy.json"
    file.write_text(json.dumps(policy()))
    await asyncio.to_thread(running.tepat, "policy", "apply", file)
    return await scene(running)


def main() -> int:
    """The exit status: 0 where all is as it must be, 1 where not."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.overload", description=__doc__.split("\n")[0])
    parser.add_argument("--backlog", type=int, default=5_000_000, help="records that wait [5000000]")
    parser.add_argument("--poison", type=int, default=100_000, help="records that are bad [100000]")
    parser.add_argument("--full", type=float, default=60.0, help="seconds that the disk is full [60]")
    parser.add_argument("--down", type=float, default=300.0, help="seconds that the database is down [300]")
    parser.add_argument("--only", choices=("backlog", "poison", "full", "down"), help="one scene alone")
    parser.add_argument("--result", type=Path, help="write the figures there, as JSON")
    asked = parser.parse_args()
    processes.end_on_sigterm()
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    scenes: dict[str, tuple[Callable[[System], Awaitable[dict[str, Any]]], bool]] = {
        "backlog": (lambda running: backlog(running, asked.backlog), False),
        "poison": (lambda running: poison(running, asked.poison), False),
        "full": (lambda running: disk_full(running, asked.full), True),
        "down": (lambda running: down(running, asked.down), False),
    }
    found: dict[str, dict[str, Any]] = {}
    for name, (scene, small) in scenes.items():
        if asked.only in (None, name):
            with system(say=lambda _: None, small=small) as running:
                told = asyncio.run(_play(running, scene))
            found[name] = {key: round(value, 2) if isinstance(value, float) else value for key, value in told.items()}
            print(name, json.dumps(found[name], indent=1), flush=True)
    if asked.result:
        files.write(asked.result, json.dumps(found, indent=1) + "\n")
    return 1 if any(told["wrong"] for told in found.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
