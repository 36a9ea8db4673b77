"""One peer on the topic, from its first record until its last overlap is committed.

The clock starts when the peer creates the file `began`, which its door does at the first record: runtimes that are
starting and groups that are forming don't count. It stops when all that the peer read is committed, which the broker
tells: the group's positions stand behind the last record of the inbound topic, and of every topic by which the peer
repartitions, and no transaction is open on any topic it writes. CPU is counted between the same two moments.
"""

import asyncio
import json
import os
import re
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import GroupCoordinatorNotAvailableError
from tepat_chassis import kafka as declaring
from tepat_contracts import regions
from tepat_contracts.identity import PROVINCES
from tepat_contracts.topics import Topic
from tepat_local import processes

from bench import workload
from bench.stack import PART, Servers

PARTITIONS = 6
PATIENCE = 1_800
"""Seconds that a peer may take, its start included."""
TAIL = 200
"""Offsets at a partition's end among which its last record is looked for; the rest are transactions' marks."""


@dataclass(frozen=True)
class Peer:
    """How an engine is started, and what is printed with its figures."""

    name: str
    command: Callable[[Path], list[str]]
    """Made ready, given the file that says what to do."""
    versions: Callable[[], dict[str, str]]
    settings: Mapping[str, str]
    relays: str = ""
    """A pattern of the topics by which it repartitions."""
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def group(self) -> str:
        return f"peer-{self.name}"

    def topic(self, what: str) -> str:
        return f"peer.{self.name}.{what}.v1"


async def race(at: Servers, peer: Peer, count: int) -> dict[str, Any]:
    """Run a peer over `count` records; what it took. Raises SystemExit where it ends, TimeoutError."""
    home = at.home / peer.name
    home.mkdir()
    work = home / "work.json"
    work.write_text(json.dumps(_work(at, peer, home)))
    cleanup = {"overlaps": "compact", "households": "delete", "dead-letters": "delete"}
    await declaring.declare(at.kafka, [_topic(peer.topic(what), kind) for what, kind in cleanup.items()])
    process = _start(peer.command(work), os.environ | processes.mark(at.home) | dict(peer.environment), home)
    engine = psutil.Process(process.pid)
    try:
        async with asyncio.timeout(PATIENCE), _watch(at.kafka, peer) as watch:
            began = home / "began"
            while not began.exists():
                await asyncio.sleep(0.005)
                _alive(process)
            started = began.stat().st_mtime
            before = _cpu_seconds(at, engine)
            while not await watch.settled():
                await asyncio.sleep(0.05)
                _alive(process)
            seconds, after = time.time() - started, _cpu_seconds(at, engine)
        memory = sum(each.memory_info().rss for each in (engine, *engine.children(recursive=True)))
    except BaseException:
        print((home / "log").read_text()[-6000:])
        raise
    finally:
        processes.stop([*engine.children(recursive=True), engine] if process.poll() is None else [], patience=30)
        process.wait()
    return {
        "payouts_per_second": count / seconds, "seconds": seconds, "payouts": count,
        "cpu_seconds_per_million": {part: (after[part] - before[part]) / count * 1e6 for part in after},
        "rss_mb": memory / 1e6, "versions": peer.versions(), "settings": dict(peer.settings),
    }  # fmt: skip


def _start(command: list[str], environment: dict[str, str], home: Path) -> subprocess.Popen[bytes]:
    with (home / "log").open("ab") as log:
        return subprocess.Popen(command, env=environment, cwd=home, stdout=log, stderr=log, start_new_session=True)


def _work(at: Servers, peer: Peer, home: Path) -> dict[str, Any]:
    """What the peer is told: as `door/Work.java` reads it."""
    programmes = [programme["code"] for programme in workload.POLICY["programmes"]]
    return {
        "name": peer.name, "kafka": at.kafka, "home": str(home), "began": str(home / "began"),
        "agency": workload.AGENCY, "topic": workload.TOPIC, "households": peer.topic("households"),
        "overlaps": peer.topic("overlaps"), "deadLetters": peer.topic("dead-letters"),
        "secret": (at.home / "secrets" / "main").read_bytes().hex(), "provinces": list(PROVINCES),
        "regions": list(regions.names()), "programmes": programmes, "rules": workload.POLICY["overlap_rules"],
    }  # fmt: skip


def _topic(name: str, cleanup: Any) -> Topic:
    return Topic(name, "", cleanup, ("bench",), ("bench",), retention_ms=86_400_000, partitions=PARTITIONS)


def _alive(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is not None:
        raise SystemExit(f"the peer ended with status {process.returncode}")


def _cpu_seconds(at: Servers, engine: psutil.Process) -> dict[str, float]:
    """CPU seconds spent so far by the peer with its children, the broker and the database."""
    spent = {"broker": 0.0, "database": 0.0, "engine": 0.0}
    own = {engine.pid, *(child.pid for child in engine.children(recursive=True))}
    for process in processes.of(at.home):
        try:
            part = "engine" if process.pid in own else PART.get(process.name(), "engine")
            times = process.cpu_times()
        except psutil.Error:
            continue
        spent[part] += times.user + times.system + times.children_user + times.children_system
    return spent


@asynccontextmanager
async def _watch(kafka: str, peer: Peer) -> AsyncIterator["_Watch"]:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    written, stable = AIOKafkaConsumer(bootstrap_servers=kafka), _committed(kafka)
    await asyncio.gather(admin.start(), written.start(), stable.start())
    try:
        yield _Watch(peer, admin, written, stable)
    finally:
        await asyncio.gather(admin.close(), written.stop(), stable.stop())


def _committed(kafka: str) -> AIOKafkaConsumer:
    return AIOKafkaConsumer(
        bootstrap_servers=kafka,
        isolation_level="read_committed",
        auto_offset_reset="earliest",
        enable_auto_commit=False,
    )


class _Watch:
    """Asks the broker how far a peer is, at little cost until it has read all of the inbound topic."""

    def __init__(
        self, peer: Peer, admin: AIOKafkaAdminClient, written: AIOKafkaConsumer, stable: AIOKafkaConsumer
    ) -> None:
        self._peer, self._admin, self._written, self._stable = peer, admin, written, stable
        self._inbound: dict[TopicPartition, int] = {}
        self._relayed: dict[TopicPartition, int] | None = None

    async def settled(self) -> bool:
        """Whether all that there is to read is read, and what came of it committed."""
        if not self._inbound:
            self._inbound = await self._written.end_offsets(_partitions([workload.TOPIC]))
        try:
            told = await self._admin.list_consumer_group_offsets(self._peer.group)
        except GroupCoordinatorNotAvailableError:  # until a group first commits
            return False
        at = {partition: position.offset for partition, position in told.items()}
        if _behind(at, self._inbound):
            return False
        if self._relayed is None:
            relays = _partitions([name for name in await self._admin.list_topics() if self._relays(name)])
            if await self._open(relays):
                return False
            self._relayed = await self._last(relays)
        return not _behind(at, self._relayed) and not await self._open(_partitions([self._peer.topic("overlaps")]))

    def _relays(self, name: str) -> bool:
        return bool(self._peer.relays) and re.fullmatch(self._peer.relays, name) is not None

    async def _open(self, partitions: Collection[TopicPartition]) -> bool:
        """Whether a transaction is open on one of them."""
        return bool(partitions) and (
            await self._stable.end_offsets(partitions) != await self._written.end_offsets(partitions)
        )

    async def _last(self, partitions: Collection[TopicPartition]) -> dict[TopicPartition, int]:
        """The offset after the last record of each: less than its end, which a transaction's mark may take up."""
        if not partitions:
            return {}
        ends = await self._stable.end_offsets(partitions)
        self._stable.assign(partitions)
        for partition, end in ends.items():
            self._stable.seek(partition, max(0, end - TAIL))
        last = dict.fromkeys(partitions, 0)
        async with asyncio.timeout(10):
            while any([await self._stable.position(partition) < end for partition, end in ends.items()]):
                for partition, records in (await self._stable.getmany(timeout_ms=50)).items():
                    last[partition] = records[-1].offset + 1
        return last


def _partitions(topics: Collection[str]) -> list[TopicPartition]:
    return [TopicPartition(topic, number) for topic in topics for number in range(PARTITIONS)]


def _behind(at: Mapping[TopicPartition, int], ends: Mapping[TopicPartition, int]) -> bool:
    return any(at.get(partition, 0) < end for partition, end in ends.items())


async def read(
    kafka: str, topic: str, ends: Mapping[int, int] | None = None
) -> list[tuple[bytes | None, bytes | None]]:
    """Key and value of all committed records of a topic, or of those before `ends`, each partition's in order."""
    consumer = _committed(kafka)
    await consumer.start()
    found = []
    try:
        partitions = _partitions([topic])
        consumer.assign(partitions)
        until = await consumer.end_offsets(partitions)
        if ends is not None:
            until = {partition: ends.get(partition.partition, 0) for partition in partitions}
        while any([await consumer.position(partition) < end for partition, end in until.items()]):
            for partition, records in (await consumer.getmany(timeout_ms=200)).items():
                found += [(record.key, record.value) for record in records if record.offset < until[partition]]
    finally:
        await consumer.stop()
    return found
