"""What agencies send, what the registry makes of it, and a ledger that takes both on a real database.

The registry here is a plain function over all facts told so far: it shares nothing with the service of that name.
The topics are lists in memory, from which single records can be read again.
"""

import asyncio
import json
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from importlib.resources import files
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import orjson
import pytest
import pytest_asyncio
from aiokafka import TopicPartition
from fastapi import APIRouter, FastAPI
from prometheus_client import CollectorRegistry
from pydantic import TypeAdapter
from tepat_chassis.auth import Person, Right, authenticated
from tepat_chassis.database import Database, Lock
from tepat_chassis.metrics import Metrics
from tepat_chassis.pseudonyms import Pseudonyms, as_uuid, having, read_secret
from tepat_chassis.quarantine import AgencyIntake, Record, Sealer
from tepat_chassis.span import Span
from tepat_chassis.standing import Standing, StandingIntake
from tepat_contracts.envelope import agency_source
from tepat_contracts.events.ours import OUTBOUND
from tepat_contracts.policy import from_document
from tepat_contracts.topics import Kind, clearances_name, inbound_name, progress_name
from tepat_demo import oracle
from tepat_distribution import policed
from tepat_distribution.aid import AID, APART, Teller
from tepat_distribution.app import follow
from tepat_distribution.cases import CASES
from tepat_distribution.check import Checks
from tepat_distribution.clearances import Clearer
from tepat_distribution.detect import FINDINGS, OVERLAPS, Detector
from tepat_distribution.domain import STATES
from tepat_distribution.findings import Finder
from tepat_distribution.handlers import Decisions, Payouts, Persons, Through, data_of
from tepat_distribution.held import Held
from tepat_distribution.knowing import Known
from tepat_distribution.store import BY_KEY, Store
from tepat_local.testing import migrated

NOW = datetime(2026, 3, 1, 9, tzinfo=UTC)
TIME = "2026-01-05T08:00:00+07:00"
REGION = "33.74.01.1001"
SECRET = bytes(range(32))
"""What the fixture `secrets` holds as `main`."""
SQL = files("tepat_distribution") / "sql"
MIGRATIONS = (files("tepat_chassis") / "sql" / "migrations", SQL / "migrations")
TABLES = (
    "payout", "person", "membership", "renewal", "mark", "rejudging", "too_large", "overlap", "rule", "agency",
    "programme", "standing", "put_off", "outbox", "quarantine", "recalled", "rebuilding", "aid", "aid_due",
    "aid_touch", "released", "withheld", "overlap_case", "case_clock", "clearance", "clearance_touch", "behind",
    "silence", "reclearing", "handover", "delivery", "return", "restock", "coupon", "round", "ranked", "ranking_part",
    "ranking", "round_due", "round_told", "held", "erased", "decision", "term", "cap", "finding", "finding_touch",
    "finding_group", "forgotten_before", "finding_sweep", "told_through", "filed", "position", "payout_event",
    "announcement",
)  # fmt: skip

ANI, BUDI, CITRA, DEWI = "3374014101900001", "3374010201900001", "3374014303900001", "3374014404900001"
MAWAR, MELATI, KENANGA = "3374010101200001", "3374010101200002", "3374010101200003"

Event = dict[str, Any]
Place = tuple[str, int, int]

_ids = count(1)
_pseudonyms = Pseudonyms(SECRET)


def nik(number: str) -> str:
    """The pseudonym of a NIK."""
    return str(as_uuid(_pseudonyms.nik(number)))


def kk(number: str) -> str:
    """The pseudonym of a KK."""
    return str(as_uuid(_pseudonyms.kk(number)))


def alone(number: str) -> str:
    """The household of a person alone."""
    return str(as_uuid(_pseudonyms.alone(number)))


# --- what agencies send


def agency(id_: str, *programmes: str, rank: int | None = None, **more: Any) -> dict[str, Any]:
    """An agency of a policy."""
    return {"id": id_, "name": id_, "programmes": list(programmes), "trust_rank": rank, "rights": ["merge"], **more}


def rule(id_: str, one: str, other: str, scope: str, verdict: str, **effective: str) -> dict[str, Any]:
    """A rule of a policy; `from_` and `to` are the days it is in effect."""
    days = {name.rstrip("_"): day for name, day in effective.items()}
    return {"id": id_, "programmes": [one, other], "scope": scope, "verdict": verdict, "effective": days}


def policy(
    *rules: dict[str, Any],
    version: str = "t-1",
    agencies: Sequence[dict[str, Any]] = (),
    programmes: Sequence[str] = ("PKH", "BPNT", "BLT-DD", "SB"),
    repeatable: Collection[str] = ("SB",),
) -> dict[str, Any]:
    """A policy of these rules; agencies and programmes as usual where none are given."""
    return {
        "version": version,
        "agencies": list(agencies) or [
            agency("dinsos", "PKH", "SB", rank=2), agency("himbara", "BPNT", "PKH", rank=1), agency("dpmd", "BLT-DD"),
        ],
        "programmes": [
            {"code": code, "name": {"id": code, "en": code}, "unit": "household", "repeatable": code in repeatable}
            for code in programmes
        ],
        "overlap_rules": list(rules),
    }  # fmt: skip


PKH_BPNT = rule("pkh-bpnt", "PKH", "BPNT", "household", "review")
PKH_BLT = rule("pkh-blt", "BLT-DD", "PKH", "household", "exclusive")
PKH_SB = rule("pkh-sb", "SB", "PKH", "household", "complementary")


def event(by: str, type_: str, data: dict[str, Any], time: str = TIME, id_: str | None = None) -> Event:
    """An event of an agency, with an id of its own where none is given."""
    return {
        "specversion": "1.0", "id": id_ or f"e-{next(_ids)}", "source": agency_source(by), "type": f"tepat.{type_}.v1",
        "time": time, "data": data,
    }  # fmt: skip


def payout(
    payout_id: str = "p1",
    programme: str = "PKH",
    of: str = ANI,
    card: str | None = MAWAR,
    *,
    by: str = "dinsos",
    days: tuple[str, str] = ("2026-01-01", "2026-03-31"),
    amount: int = 750_000,
    state: str = "disbursed",
    revision: int = 0,
    region: str = REGION,
    **envelope: Any,
) -> Event:
    """A payout planned or disbursed."""
    data = {
        "payout_id": payout_id, "revision": revision, "programme": programme, "region": region,
        "covers": {"from": days[0], "to": days[1]}, "recipient": {"nik": of, "kk": card},
        "benefit": {"kind": "cash", "amount": amount},
    }  # fmt: skip
    return event(by, f"payout.{state}", data, **envelope)


def ended(
    payout_id: str = "p1", state: str = "cancelled", *, by: str = "dinsos", revision: int = 0, **more: Any
) -> Event:
    """A payout cancelled or returned."""
    data = {"payout_id": payout_id, "revision": revision, "reason": "account closed"}
    return event(by, f"payout.{state}", data, **more)


def decided(
    of: str, decision: str, programme: str = "PKH", unit: str = "household", revision: int = 1,
    reason: str = "household.decile <= 4", as_of: str = "2026-03-01", region: str | None = None,
) -> Event:  # fmt: skip
    """A decision about a pseudonym."""
    data = {
        "programme": programme, "unit": unit, unit: of, "revision": revision, "decision": decision,
        "reasons": [{"criterion": reason, "outcome": decision == "eligible"}], "policy_version": "t", "as_of": as_of,
    }  # fmt: skip
    return event("x", "decision.made", data if region is None else data | {"region": region})


def complete(by: str, **envelope: Any) -> Event:
    """An agency has sent all it had to tell of payouts."""
    return event(by, "source.complete", {"kind": "payouts", "through": "2026-03-01"}, **envelope)


def lives(
    who: str, card: str, since: str = "2020-01-01", until: str | None = None, *, by: str = "dinsos", revision: int = 0,
    died: str | None = None, **envelope: Any,
) -> Event:  # fmt: skip
    """A membership, of what the registry takes all that matters here."""
    data = {"nik": who, "kk": card, "since": since, "until": until, "revision": revision, "region": REGION}
    if died is not None:
        data["deceased_on"] = died
    return event(by, "person.recorded", data, **envelope)


def merged(start: str, into: str | None, *, by: str = "dinsos", revision: int = 0, **envelope: Any) -> Event:
    """Two NIKs are one person, or (without the second) no longer."""
    if into is None:
        return event(by, "persons.unmerged", {"from_nik": start, "revision": revision}, **envelope)
    return event(by, "persons.merged", {"from_nik": start, "into_nik": into, "revision": revision}, **envelope)


def renewed(start: str, into: str | None, *, by: str = "dinsos", revision: int = 0, **envelope: Any) -> Event:
    """A family got a new card, or (without it) did not."""
    return event(by, "household.renewed", {"from_kk": start, "into_kk": into, "revision": revision}, **envelope)


# --- the registry


def _agency(told: Event) -> str:
    return str(told["source"]).rpartition(":")[2]


def _held(facts: Iterable[Event], *key: str, agencies: bool) -> list[Event]:
    """Of facts about the same the greatest; `agencies`: of each agency its own."""
    rivals: dict[Any, list[Event]] = defaultdict(list)
    for told in facts:
        rivals[(_agency(told) if agencies else None, *(told["data"][name] for name in key))].append(told)

    def order(told: Event) -> Any:
        return (
            told["data"]["revision"], datetime.fromisoformat(told["time"]), told["id"], _agency(told),
            json.dumps(told["data"], sort_keys=True, separators=(",", ":"), ensure_ascii=False),
        )  # fmt: skip

    return [max(each, key=order) for each in rivals.values()]


def _end(links: Mapping[str, str], start: str) -> str:
    passed = [start]
    while (following := links.get(passed[-1])) is not None:
        if following in passed:
            return min(passed[passed.index(following) :])
        passed.append(following)
    return passed[-1]


def resolved(facts: Sequence[Event]) -> dict[tuple[str, str], dict[str, Any]]:
    """What the registry tells of each NIK and KK it knows, by (type, pseudonym), without revisions."""

    def of(*types: str) -> list[Event]:
        return [told for told in facts if told["type"] in {f"tepat.{name}.v1" for name in types}]

    def links(held: list[Event], start: str, into: str) -> dict[str, str]:
        return {told["data"][start]: told["data"][into] for told in held if told["data"].get(into) is not None}

    merges = links(_held(of("persons.merged", "persons.unmerged"), "from_nik", agencies=False), "from_nik", "into_nik")
    cards = links(_held(of("household.renewed"), "from_kk", agencies=False), "from_kk", "into_kk")
    memberships = _held(of("person.recorded"), "nik", "since", agencies=True)
    told: dict[tuple[str, str], dict[str, Any]] = {}
    for number in {f["data"][name] for f in facts for name in ("nik", "from_nik", "into_nik") if f["data"].get(name)}:
        told["tepat.person.resolved.v1", nik(number)] = {
            "person": nik(number),
            "stands_for": nik(_end(merges, number)),
            "alone": alone(_end(merges, number)),
            "aliases": [],
            "memberships": [
                {"agency": _agency(f), "household": kk(f["data"]["kk"]), "since": f["data"]["since"], "region": REGION}
                | ({"until": f["data"]["until"]} if f["data"]["until"] else {})
                for f in memberships
                if f["data"]["nik"] == number and (f["data"]["until"] or "9999-12-31") >= f["data"]["since"]
            ],
            "attributes": {},
        }
        if died := [f["data"]["deceased_on"] for f in memberships
                    if f["data"]["nik"] == number and "deceased_on" in f["data"]]:  # fmt: skip
            told["tepat.person.resolved.v1", nik(number)]["deceased_on"] = min(died)
    for number in {f["data"][name] for f in facts for name in ("from_kk", "into_kk") if f["data"].get(name)}:
        told["tepat.household.resolved.v1", kk(number)] = {
            "household": kk(number),
            "stands_for": kk(_end(cards, number)),
        }
    return told


class Registry:
    """Tells what changed, each time with a revision greater by one."""

    def __init__(self) -> None:
        self.facts: list[Event] = []
        self._told: dict[tuple[str, str], tuple[int, dict[str, Any]]] = {}

    def learn(self, facts: Iterable[Event]) -> Iterator[Event]:
        """Take facts; what is to be told of them."""
        self.facts += facts
        for key, data in sorted(resolved(self.facts).items()):
            revision, before = self._told.get(key, (0, None))
            if data != before:
                self._told[key] = revision + 1, data
                yield {"type": key[0], "data": data | {"revision": revision + 1}}


# --- distribution


@cache
def contract(type_: str) -> TypeAdapter[Any]:
    """What the data of an event of ours looks like."""
    told: Any = OUTBOUND[type_].data
    return TypeAdapter(told)


def oracle_record(record: Record) -> oracle.Record:
    """The record as the oracle reads it."""
    return oracle.Record(record.topic, record.partition, record.offset, record.headers, record.value)


KEYS = {OVERLAPS: "overlap_id", CASES: "overlap_id", FINDINGS: "finding_id", AID: "household"}
"""What a topic's records are known by."""


def said(told: Event) -> dict[str, Any]:
    """What is said of a finding, less revision and policy version."""
    return {name: value for name, value in told["data"].items() if name not in ("revision", "policy_version")}


Received = dict[str, list[dict[str, Any]]]


def received(accepted: Iterable[oracle.Record], document: Mapping[str, Any]) -> tuple[Received, set[tuple[str, str]]]:
    """What each household receives and did, worked out plainly; and the payouts left out of it, whose last event before
    their end shares its id with another, so that either of the two may be told.
    """
    events = [oracle.read_event(record) for record in accepted]
    people = oracle.People(events, document)
    holding = {(e.agency, e.data["payout_id"]): e for e in oracle.holding_payouts(events)}
    lived = [e for e in events if oracle.STATE.get(e.type) in oracle.LIVE]
    told: Received = defaultdict(list)
    doubtful = set()
    for of in oracle.live_payouts(lived):
        state = oracle.STATE[holding[of.key].type]
        last = [e for e in lived if (e.agency, e.data["payout_id"], e.data["revision"]) == (*of.key, of.revision)]
        last = [e for e in last if oracle.STATE[e.type] == of.state]
        moment = max((e.time, e.id) for e in last)
        if len({oracle.canonical(e.data) for e in last if (e.time, e.id) == moment}) > 1 and state not in oracle.LIVE:
            doubtful.add(of.key)
            continue
        told[oracle.pseudonym(SECRET, people.household(of))].append({
            "agency": of.agency, "payout_id": of.payout_id, "state": state, "programme": of.programme,
            "person": oracle.pseudonym(SECRET, f"nik:{people.person(of.nik)}"), "region": of.region, "kind": "cash",
            "covers": {"from": of.first, "to": of.last}, "amount": of.amount,
        })  # fmt: skip
    for payouts in told.values():
        payouts.sort(key=lambda p: (p["covers"]["from"], p["covers"]["to"], p["agency"], p["payout_id"]))
    return told, doubtful


class Ledger:
    """Distribution's intakes and its detector on a database, topics in memory.

    `accepted` are the records of agencies that were taken, `refused` what was not.
    """

    def __init__(self, url: str, secrets: Path) -> None:
        pseudonyms = cache(lambda secret_id: Pseudonyms(read_secret(secrets, secret_id)))
        self.database = Database(url, service="distribution", session=(SQL / "session.sql").read_text(), size=6)
        self.standing = Standing(self.database, having(policed.parse, pseudonyms))
        self.store = Store(data_of, self._recall)
        payouts = Payouts(self.store, pseudonyms)
        self._intake = AgencyIntake(
            "distribution", payouts.admit, payouts.write, sealer=Sealer(SECRET), metrics=Metrics(), clock=lambda: NOW
        )
        self._persons = Persons(self.store)
        self._policies = StandingIntake(having(from_document, pseudonyms), partial(follow, self.store))
        self._detector = Detector(self.store, lambda: NOW)
        self._teller = Teller(self.store, lambda: self.now)
        self._clearer = Clearer(self.store, self.standing, self._ends, lambda: self.now)
        self.checks = Checks(self.database, pseudonyms, self._ends, lambda: self.now)
        self._decisions = Decisions(self.store)
        self._forget()

    def _forget(self) -> None:
        self.now = NOW + APART
        self.ends: dict[TopicPartition, int] | None = {}
        self.inbound: dict[TopicPartition, int] = {}
        self.held = Held(CollectorRegistry(), lambda: self.now.timestamp())  # noqa: PLW0108 – it moves on
        known = Known(self._where_ours_end, self._where_theirs_end)
        self._finder = Finder(self.store, known, self.held, lambda: self.now)
        self.document: dict[str, Any] = {}
        self.accepted: list[Record] = []
        self.refused: list[str] = []
        self.appended = 0
        """The broker's time of the record appended last, in milliseconds."""
        self.recalled: list[Place] = []
        self.seconds_to_recall = 0.0
        self.asked_for_ends = 0
        self._topics: dict[tuple[str, int], list[Record]] = defaultdict(list)
        self._looked_at: Counter[str] = Counter()
        self.standing.in_force = None

    async def _where_ours_end(self, *names: str) -> dict[TopicPartition, int] | None:
        return None if self.ends is None else {each: end for each, end in self.ends.items() if each.topic in names}

    async def _where_theirs_end(self, named: Callable[[str], bool]) -> dict[TopicPartition, int]:
        return {each: end for each, end in self.inbound.items() if named(each.topic)}

    async def _recall(self, places: Sequence[Place]) -> Mapping[Place, str]:
        self.recalled += places
        await asyncio.sleep(self.seconds_to_recall)
        return {
            (by, partition, offset): data_of(self._topics[inbound_name(by, Kind.PAYOUTS), partition][offset])
            for by, partition, offset in places
        }

    async def _ends(self) -> Mapping[TopicPartition, int]:
        self.asked_for_ends += 1
        return {TopicPartition(*partition): len(records) for partition, records in self._topics.items()}

    async def follow(self, document: dict[str, Any]) -> None:
        """Take a policy."""
        self.document = document
        record = Record("policy.v1", 0, 0, 0, orjson.dumps(document), [])
        work = self._policies.decode([Span("policy.v1", 0, 0, 1, [record])], None)
        async with self.database.transaction(Lock.EXCLUSIVE) as connection:
            await self._policies.write(connection, work)
        await self.standing.refresh()

    async def take(self, events: Iterable[Event | bytes], *, by: str = "dinsos") -> None:
        """Take one batch of payouts; `by`: whose topic bytes stand on."""
        async with self.taking(events, by=by):
            pass

    @asynccontextmanager
    async def taking(self, events: Iterable[Event | bytes], *, by: str = "dinsos") -> AsyncIterator[None]:
        """Take one batch of payouts, and commit it at the end."""
        async with self.taking_records([self.append(told, by=by) for told in events]):
            yield

    def append(self, told: Event | bytes, *, by: str = "dinsos") -> Record:
        """Append a payout to its topic, later than any before; nothing is taken."""
        topic = inbound_name(by if isinstance(told, bytes) else _agency(told), Kind.PAYOUTS)
        value = told if isinstance(told, bytes) else orjson.dumps(told)
        partition = len(value) % 2
        kept = self._topics[topic, partition]
        self.appended += 1
        kept.append(Record(topic, partition, len(kept), self.appended, value, []))
        return kept[-1]

    @asynccontextmanager
    async def taking_records(self, appended: Iterable[Record]) -> AsyncIterator[None]:
        """Take records as one batch, and commit it at the end."""
        fresh: dict[tuple[str, int], list[Record]] = defaultdict(list)
        for record in appended:
            fresh[record.topic, record.partition].append(record)
        spans = [
            Span(topic, partition, records[0].offset, records[-1].offset + 1, records)
            for (topic, partition), records in fresh.items()
        ]
        work = self._intake.decode(spans, self.standing.in_force)
        async with self.database.transaction(Lock.SHARED) as connection:
            await self._intake.write(connection, work)
            await connection.executemany(
                "insert into position values ($1, $2, $3, $4) on conflict (topic, partition) "
                "do update set next_offset = greatest(position.next_offset, excluded.next_offset), "
                "appended = greatest(position.appended, excluded.appended)",
                sorted((span.topic, span.partition, span.end, span.records[-1].timestamp) for span in spans),
            )
            yield
        refused = {id(record) for record, _ in work.refused}
        self.refused += [rejection.reason for _, rejection in work.refused]
        self.accepted += [record for records in fresh.values() for record in records if id(record) not in refused]

    async def hear(self, told: Iterable[Event]) -> None:
        """Take one batch of what the registry tells."""
        records = [
            Record("registry", 0, number, 0, orjson.dumps({"source": "urn:tepat:service:registry", **each}), [])
            for number, each in enumerate(told)
        ]
        await self._hear(Span("registry", 0, 0, len(records), records))

    async def forget(self, *niks: str) -> None:
        """Take the registry's tombstones of these pseudonyms."""
        records: list[Any] = [SimpleNamespace(key=each.encode(), value=None) for each in niks]
        await self._hear(Span("registry.persons.v1", 0, 0, len(records), records))

    async def _hear(self, span: Span) -> None:
        work = self._persons.decode([span], None)
        async with self.database.transaction(Lock.EXCLUSIVE) as connection:
            await self._persons.write(connection, work)

    async def decide(self, decisions: Iterable[Event], forgotten: Iterable[str] = ()) -> None:
        """Take one batch of what eligibility tells, and tombstones of these keys."""
        told = [SimpleNamespace(key=None, value=orjson.dumps(each)) for each in decisions]
        records: list[Any] = [*told, *(SimpleNamespace(key=key.encode(), value=None) for key in forgotten)]
        work = self._decisions.decode([Span("eligibility.decisions.v1", 0, 0, len(records), records)], None)
        async with self.database.transaction(Lock.SHARED) as connection:
            await self._decisions.write(connection, work)

    async def position(self, partition: TopicPartition, reached: int) -> None:
        """Say how far a partition is taken."""
        await self.database.pool.execute(
            "insert into position values ($1, $2, $3) on conflict (topic, partition) do update set next_offset = $3",
            partition.topic, partition.partition, reached,
        )  # fmt: skip

    async def tell_through(self, service: str, revision: int, **through: list[int]) -> None:
        """Take one batch of what a service tells of its progress; `_` stands for `.` in the names of topics."""
        data = {"service": service, "revision": revision,
                "through": {topic.replace("_", "."): offsets for topic, offsets in through.items()}}  # fmt: skip
        value = orjson.dumps(event("x", "progress.told", data))
        intake, topic = Through(), progress_name(service)
        work = intake.decode([Span(topic, 0, 0, 1, [Record(topic, 0, 0, 0, value, [])])], None)
        async with self.database.transaction(Lock.SHARED) as connection:
            await intake.write(connection, work)

    async def find(self, steps: int | None = None) -> int:
        """Answer, and look for findings up to that many steps, by default until nothing may be; how many there were."""
        await self.clear()
        done = 0
        while steps is None or done < steps:
            async with self.database.pool.acquire() as connection:
                await connection.execute(BY_KEY)
                if not await self._finder.step(connection):
                    break
            done += 1
        return done

    async def findings(self) -> dict[str, dict[str, Any]]:
        """What each finding that stands says, by id; revisions grow by one, each announcement is another."""
        last: dict[str, Event] = {}
        for record in await self.sent(FINDINGS):
            assert record.value is not None
            told = orjson.loads(record.value)
            data = told["data"]
            if data["rule"] == "group_too_large":
                continue
            before = last.get(data["finding_id"])
            assert data["revision"] == (before["data"]["revision"] + 1 if before else 1)
            assert before is None or said(told) != said(before)
            assert before is not None or told["type"] == "tepat.finding.raised.v1"
            last[data["finding_id"]] = told
        return {id_: said(told) for id_, told in last.items() if told["type"] == "tepat.finding.raised.v1"}

    async def judge(self, steps: int | None = None) -> int:
        """Judge up to that many steps, by default until nothing is left; how many there were."""
        done = 0
        while steps is None or done < steps:
            async with self.database.pool.acquire() as connection:
                await connection.execute(BY_KEY)
                if not await self._detector.step(connection):
                    break
            done += 1
        return done

    async def sent(self, topic: str = OVERLAPS) -> list[oracle.Record]:
        """Everything announced on a topic, in order, each as the contracts have it."""
        rows = await self.database.pool.fetch("select key, value from outbox where topic = $1 order by id", topic)
        for row in rows[self._looked_at[topic] :]:
            announced = orjson.loads(row["value"])
            contract(announced["type"]).validate_python(announced["data"])
            assert topic in OUTBOUND[announced["type"]].topics
            assert row["key"] == announced["data"][KEYS[topic]]
        self._looked_at[topic] = len(rows)
        return [oracle.Record(topic, 0, offset, [], row["value"]) for offset, row in enumerate(rows)]

    async def clear(self) -> None:
        """Answer all that can be answered."""
        async with self.database.pool.acquire() as connection:
            await connection.execute(BY_KEY)
            while await self._clearer.step(connection):
                pass

    async def listed(
        self, lines: Sequence[Event], *, by: str = "dinsos", regions: tuple[str, ...] = ()
    ) -> list[dict[str, Any]]:
        """What is answered about a payment list, line by line, before it is published."""

        async def told() -> AsyncIterator[bytes]:
            for line in lines:
                yield orjson.dumps(line)

        in_force = await self.standing.ruling()
        rini = Person("rini", "Bu Rini", frozenset(Right), regions)
        taken = await self.checks.listed(told(), by, in_force.document, rini)
        return [line async for line in self.checks.answered(taken) if "result" not in line]

    async def issued(self, agency: str) -> list[dict[str, Any]]:
        """What an agency was answered, in order."""
        return [orjson.loads(record.value or b"")["data"] for record in await self._clearances(agency)]

    async def _clearances(self, agency: str = "%") -> list[oracle.Record]:
        rows = await self.database.pool.fetch(
            "select topic, key, value from outbox where topic like $1 order by id", clearances_name(agency)
        )
        for row in rows:
            data = orjson.loads(row["value"])["data"]
            contract("tepat.clearance.issued.v1").validate_python(data)
            assert row["key"] == data["payout_id"]
        return [oracle.Record(row["topic"], 0, at, [], row["value"]) for at, row in enumerate(rows)]

    async def tell(self) -> int:
        """Answer, and tell of the households that are due; in how many steps."""
        await self.clear()
        done = 0
        while True:
            async with self.database.pool.acquire() as connection:
                await connection.execute(BY_KEY)
                if not await self._teller.step(connection):
                    return done
            done += 1

    async def aid(self) -> dict[str, list[dict[str, Any]]]:
        """What each household is told to receive; of one told anew it is something else, and a minute later."""
        last: dict[str, Event] = {}
        for record in await self.sent(AID):
            assert record.value is not None
            told = orjson.loads(record.value)
            revision = told["data"].pop("revision")
            before = last.get(told["data"]["household"], {"revision": 0, "data": {}, "time": "2000-01-01T00:00:00Z"})
            assert revision == before["revision"] + 1
            assert told["data"] != before["data"]
            assert datetime.fromisoformat(told["time"]) - datetime.fromisoformat(before["time"]) >= APART
            last[told["data"]["household"]] = told | {"revision": revision}
        return {household: told["data"]["payouts"] for household, told in last.items()}

    async def too_large(self) -> set[tuple[str, str]]:
        """(scope, pseudonym) of the groups whose finding stands; revisions grow by one, states take turns but where the
        area is another one.
        """
        last: dict[str, Event] = {}
        for record in await self.sent(FINDINGS):
            assert record.value is not None
            told = orjson.loads(record.value)
            if told["data"]["rule"] != "group_too_large":
                continue
            before = last.get(told["data"]["finding_id"])
            assert told["data"]["revision"] == (before["data"]["revision"] + 1 if before else 1)
            if told["type"] == (before["type"] if before else "tepat.finding.cleared.v1"):
                assert told["type"] == "tepat.finding.raised.v1"
                assert before is not None
                assert told["data"].get("region") != before["data"].get("region")
            last[told["data"]["finding_id"]] = told
        return {
            (scope, told["data"][scope])
            for told in last.values() if told["type"] == "tepat.finding.raised.v1"
            for scope in ("person", "household") if scope in told["data"]
        }  # fmt: skip

    async def check(self, facts: Sequence[Event] = ()) -> oracle.Outcome:
        """Judge what is left; what stands announced is what the oracle says, which is given back."""
        await self.judge()
        told = [
            oracle.Record(inbound_name(_agency(fact), Kind.BENEFICIARIES), 0, offset, [], orjson.dumps(fact))
            for offset, fact in enumerate(facts)
        ]
        outcome = oracle.expected([*map(oracle_record, self.accepted), *told], self.document, SECRET)
        announced = await self.sent()
        assert oracle.differences(oracle.fold(announced), outcome.overlaps) == []
        assert oracle.irregularities(announced) == []
        assert await self.too_large() == outcome.too_large
        await self.clear()
        issued = oracle.fold_clearances(await self._clearances())
        should_be = oracle.clearances(map(oracle_record, self.accepted), self.document, outcome.overlaps)
        assert {payout: issued.get(payout) for payout in should_be} == should_be
        rows = await self.database.pool.fetch(
            "select code, payout_id, revision, rank, event_time, event_id, amount, appended "
            "from payout_told join agency on id = agency"
        )
        assert {tuple(row)[:-1]: row["appended"] for row in rows} == self._told()
        self.now += APART + timedelta(seconds=1)
        await self.tell()
        should, doubtful = received([*map(oracle_record, self.accepted), *told], self.document)
        aid = {
            household: sure
            for household, payouts in (await self.aid()).items()
            if (sure := [each for each in payouts if (each["agency"], each["payout_id"]) not in doubtful])
        }
        assert aid == should
        return outcome

    @asynccontextmanager
    async def asked(self, *routers: APIRouter, regions: Iterable[str] = ()) -> AsyncIterator[httpx.AsyncClient]:
        """What routes answer a person of these regions who has every right."""
        app = FastAPI()
        for router in routers:
            app.include_router(router, prefix="/v1")
        somebody = Person("rini", "Bu Rini", frozenset(Right), tuple(regions))
        app.dependency_overrides[authenticated] = lambda: somebody
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://t/v1/") as client:
            yield client

    def _told(self) -> dict[tuple[Any, ...], int]:
        """Every event about payouts that was taken, as far as it is kept, and when it was first appended."""
        first: dict[tuple[Any, ...], int] = {}
        for record in self.accepted:
            told = oracle.read_event(oracle_record(record))
            state = oracle.STATE.get(told.type)
            if state is None:
                continue
            amount = told.data["benefit"]["amount"] if state in oracle.LIVE else None
            key = (
                told.agency, told.data["payout_id"], told.data["revision"], STATES.index(state), told.time, told.id,
                amount,
            )  # fmt: skip
            first[key] = min(first.get(key, record.timestamp), record.timestamp)
        return first

    async def empty(self) -> None:
        """Forget everything."""
        await self.database.pool.execute("".join(f"delete from {table};" for table in TABLES))
        self._forget()


@pytest.fixture(scope="session")
def template(postgres: str) -> Iterator[str]:
    """A database with distribution's tables."""
    with migrated(postgres, *MIGRATIONS) as name:
        yield name


@pytest_asyncio.fixture
async def ledger(database: str, secrets: Path) -> AsyncIterator[Ledger]:
    """A ledger on a fresh database, under a first policy."""
    made = Ledger(database, secrets)
    await made.database.open(*MIGRATIONS)
    await made.follow(policy(PKH_BPNT, PKH_BLT, PKH_SB))
    await made.judge()
    yield made
    await made.database.close()
