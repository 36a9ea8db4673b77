"""Whether the whole of it works: what is sent now comes out at the far end of every service.

A *sounding* is one pair of overlapping payouts, one person and one visit on every partition of an agency of the
suite's own. It has come back once every record has its receipt, every pair is announced, and notifications has taken
the announcements. So whichever service, instance, relay or duty stands still, a sounding does not come back.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from itertools import count
from typing import Any, NamedTuple

import asyncpg
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord
from aiokafka.errors import KafkaError
from tepat_demo import stream
from tepat_demo.oracle import overlap_id

from .load import PATIENCE_MS, event
from .servers import PARTITIONS, System

AGENCY = "uji-coba"
PROGRAMMES = ("UJI-A", "UJI-B")
POLL_MS = 200
LOOK_SECONDS = 0.1

TAKEN = """
select count(*) = cardinality($2::int[]) from unnest($2::int[], $3::bigint[]) w (partition, "offset")
join position p on p.topic = $1 and p.partition = w.partition and p.next_offset > w."offset\""""

Place = tuple[str, int, int]


def policy(document: dict[str, Any]) -> dict[str, Any]:
    """A policy in which soundings can be taken as well."""
    return document | {
        "agencies": [*document["agencies"], {"id": AGENCY, "name": "Uji coba", "programmes": list(PROGRAMMES)}],
        "programmes": [
            *document["programmes"],
            *({"code": code, "name": {"id": code, "en": code}, "unit": "household"} for code in PROGRAMMES),
        ],
        "overlap_rules": [
            *document["overlap_rules"],
            {"id": "uji-coba", "programmes": list(PROGRAMMES), "scope": "household", "verdict": "exclusive"},
        ],
    }


def number(serial: int) -> str:
    """A valid NIK that is a valid KK too, of a district where nobody else lives."""
    return f"3301{serial // 9_999 + 1:02}010190{serial % 9_999 + 1:04}"


def _payout(programme: str, payout_id: str, nik: str, kk: str) -> bytes:
    data = {
        "payout_id": payout_id, "revision": 0, "programme": programme,
        "covers": {"from": "2026-01-01", "to": "2026-03-31"}, "recipient": {"nik": nik, "kk": kk},
        "benefit": {"kind": "cash", "amount": 750_000}, "region": "33.01.01.2001",
    }  # fmt: skip
    return event(AGENCY, "payout.planned", payout_id, data)


def _person(id_: str, nik: str, kk: str) -> bytes:
    data = {
        "nik": nik, "revision": 0, "name": "Uji Coba", "sex": "L", "birth_date": "1990-01-01",
        "region": "33.01.01.2001", "kk": kk, "since": "2020-01-01", "attributes": {"decile": 2},
    }  # fmt: skip
    return event(AGENCY, "person.recorded", f"person:{id_}", data)


def _visit(id_: str, nik: str) -> bytes:
    data = {
        "verification_id": f"V-{id_}", "revision": 0, "batch": "uji", "nik": nik, "outcome": "confirmed",
        "verified_on": "2026-02-01", "officer": "petugas", "region": "33.01.01.2001", "answers": {},
    }  # fmt: skip
    return event(AGENCY, "verification.recorded", f"visit:{id_}", data)


class Sounding(NamedTuple):
    """In how many seconds each record had its receipt, each pair was announced, each of its payouts was held, and
    notifications had taken what was announced."""

    answered: float
    announced: float
    held: float
    noticed: float


class Watch:
    """Follows receipts and announcements, and takes soundings. As a context manager it follows inside the block."""

    def __init__(self, system: System) -> None:
        self._system = system
        self._answered: set[Place] = set()
        self._announced: dict[str, tuple[int, int]] = {}
        self._decisions: dict[str, str] = {}
        self._news = asyncio.Condition()
        self._serials = count(1)
        self._soundings = count(1)
        self._consumer: Any = None
        self._following: asyncio.Task[None] | None = None
        self._producer = AIOKafkaProducer(
            bootstrap_servers=system.kafka, enable_idempotence=True, request_timeout_ms=PATIENCE_MS
        )

    async def __aenter__(self) -> Watch:
        await self._producer.start()
        self._consumer = AIOKafkaConsumer(
            f"agency.{AGENCY}.receipts.v1", f"agency.{AGENCY}.clearances.v1", stream.OVERLAPS,
            bootstrap_servers=self._system.kafka, enable_auto_commit=False, auto_offset_reset="earliest",
            isolation_level="read_committed",
        )  # fmt: skip
        await self._consumer.start()
        self._following = asyncio.create_task(self._follow())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._following is not None:
            self._following.cancel()
            with suppress(asyncio.CancelledError):
                await self._following
        await self._consumer.stop()
        await self._producer.stop()

    async def sounding(self, patience: float) -> Sounding:
        """Take a sounding.

        Raises TimeoutError, which says what did not come back in `patience` seconds.
        """
        began = time.monotonic()
        places: list[Place] = []
        pairs: dict[str, tuple[str, str]] = {}

        async def back(missing: Callable[[], object]) -> float:
            async with self._news:
                await self._news.wait_for(lambda: not missing())
            return time.monotonic() - began

        try:
            async with asyncio.timeout(patience):
                places, pairs = await self._sent()
                answered = await back(lambda: self._unanswered(places))
                announced = await back(lambda: pairs.keys() - self._announced.keys())
                held = await back(lambda: self._let_go(pairs))
                await self._taken([self._announced[pair] for pair in pairs])
        except TimeoutError:
            raise TimeoutError(f"after {patience:g} s: {self._missing(places, pairs)}") from None
        return Sounding(answered, announced, held, time.monotonic() - began)

    async def _sent(self) -> tuple[list[Place], dict[str, tuple[str, str]]]:
        """Where its records stand, and its overlaps, each with its two payouts."""
        sounding = next(self._soundings)
        wanted: list[tuple[str, int, bytes]] = []
        pairs = {}
        for partition in range(PARTITIONS):
            one, other = number(next(self._serials)), number(next(self._serials))
            a, b = (f"U-{sounding}-{partition}-{half}" for half in "AB")
            pairs[overlap_id((AGENCY, a), (AGENCY, b))] = a, b
            wanted += [
                ("payouts", partition, _payout(PROGRAMMES[0], a, one, one)),
                ("payouts", (partition + 1) % PARTITIONS, _payout(PROGRAMMES[1], b, other, one)),
                ("beneficiaries", partition, _person(f"{sounding}-{partition}", one, one)),
                ("verifications", partition, _visit(f"{sounding}-{partition}", one)),
            ]
        places = await asyncio.gather(*(self._send(f"agency.{AGENCY}.{kind}.v1", n, told) for kind, n, told in wanted))
        return list(places), pairs

    async def _send(self, topic: str, partition: int, value: bytes) -> Place:
        told = await self._producer.send_and_wait(topic, value, partition=partition)
        return topic, partition, told.offset

    def _unanswered(self, places: Sequence[Place]) -> set[Place]:
        return set(places) - self._answered

    def _let_go(self, pairs: Mapping[str, tuple[str, str]]) -> list[str]:
        """Those planned payouts of which the last answer is not that they are held."""
        return [each for pair in pairs.values() for each in pair if self._decisions.get(each) != "hold"]

    def _missing(self, places: Sequence[Place], pairs: Mapping[str, tuple[str, str]]) -> str:
        """What has not come back, in words."""
        if not places:
            return "the broker took nothing"
        if waiting := sorted({f"{topic}-{partition}" for topic, partition, _ in self._unanswered(places)}):
            return f"no receipt for {', '.join(waiting)}"
        if silent := pairs.keys() - self._announced.keys():
            return f"{len(silent)} pairs not announced"
        if let_go := self._let_go(pairs):
            return f"{len(let_go)} planned payouts not held"
        return "notifications did not take the announcements"

    async def _taken(self, announced: Sequence[tuple[int, int]]) -> None:
        """Wait until notifications has taken records of the overlaps' topic."""
        furthest: dict[int, int] = {}
        for partition, offset in announced:
            furthest[partition] = max(offset, furthest.get(partition, 0))
        asked = stream.OVERLAPS, list(furthest), list(furthest.values())
        while True:
            with suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                connection = await asyncpg.connect(self._system.database("notifications"), timeout=5)
                try:
                    while not await connection.fetchval(TAKEN, *asked):  # noqa: ASYNC110 – it tells nobody
                        await asyncio.sleep(LOOK_SECONDS)
                    return
                finally:
                    connection.terminate()
            await asyncio.sleep(LOOK_SECONDS)

    async def _follow(self) -> None:
        while True:
            with suppress(KafkaError, OSError):
                batches = await self._consumer.getmany(timeout_ms=POLL_MS)
                if batches:
                    for batch in batches.values():
                        for record in batch:
                            self._note(record)
                    async with self._news:
                        self._news.notify_all()

    def _note(self, record: ConsumerRecord) -> None:
        told = json.loads(record.value)
        data = told["data"]
        match told["type"]:
            case "tepat.events.accepted.v1":
                where = data["topic"], data["partition"]
                self._answered |= {(*where, offset) for offset in range(data["from_offset"], data["to_offset"] + 1)}
            case "tepat.event.rejected.v1":
                self._answered.add((data["topic"], data["partition"], data["offset"]))
            case "tepat.clearance.issued.v1":
                self._decisions[data["payout_id"]] = data["decision"]
            case "tepat.overlap.detected.v1":
                self._announced.setdefault(data["overlap_id"], (record.partition, record.offset))
