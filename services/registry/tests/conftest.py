"""What agencies tell, as records, and a registry that takes them: the door, the store and a real database."""

from collections.abc import AsyncIterator, Iterable, Iterator
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import orjson
import pytest
import pytest_asyncio
from tepat_chassis.database import Database, Lock
from tepat_chassis.metrics import Metrics
from tepat_chassis.pseudonyms import Pseudonyms, as_uuid, having, read_secret
from tepat_chassis.quarantine import AgencyIntake, Record, Sealer
from tepat_chassis.span import Span
from tepat_chassis.standing import Standing, StandingIntake
from tepat_contracts.envelope import agency_source
from tepat_contracts.policy import from_document
from tepat_contracts.topics import Kind, inbound_name
from tepat_local.testing import migrated
from tepat_registry.aid import AID, Aid
from tepat_registry.handlers import Intake, InUse, Policies, Recheck
from tepat_registry.reports import Reports
from tepat_registry.store import queries
from tepat_registry.suspects import Suspects

NOW = datetime(2026, 3, 1, 9, tzinfo=UTC)
SECRET = bytes(range(32))
SESSION = (files("tepat_registry") / "sql" / "session.sql").read_text()
MIGRATIONS = (files("tepat_chassis") / "sql" / "migrations", files("tepat_registry") / "sql" / "migrations")

_ids = count(1)


def policy(version: str = "t-1", recent: Iterable[str] = (), **ranks: int | None) -> dict[str, Any]:
    """A policy of agencies by their rank of trust, all with the right to merge but ``lsm``; of ``recent`` fields the
    word told last holds.
    """
    return {
        "version": version,
        "resolve": dict.fromkeys(recent, "recency"),
        "agencies": [
            {
                "id": agency, "name": agency, "programmes": [], "rights": [] if agency == "lsm" else ["merge"],
                **({} if rank is None else {"trust_rank": rank}),
            }
            for agency, rank in (ranks or {"dinsos": 2, "dukcapil": 1, "lsm": None}).items()
        ],
        "programmes": [],
        "overlap_rules": [],
    }  # fmt: skip


def event(type_: str, agency: str, data: dict[str, Any], **envelope: Any) -> dict[str, Any]:
    """An event of an agency, with an id of its own."""
    return {
        "specversion": "1.0", "id": f"e-{next(_ids)}", "source": agency_source(agency), "type": f"tepat.{type_}.v1",
        "time": "2026-01-01T08:00:00+07:00", "data": data, **envelope,
    }  # fmt: skip


def recorded(nik: str, kk: str, agency: str = "dinsos", **data: Any) -> dict[str, Any]:
    """A person as an agency knows them; ``_`` names go into the envelope."""
    told = {
        "nik": nik, "revision": 0, "name": "Siti Aminah", "sex": "P", "birth_date": "1990-02-01",
        "region": "33.74.01.1001", "kk": kk, "since": "2020-01-01", "attributes": {},
    }  # fmt: skip
    return _event("person.recorded", agency, told, data)


def merged(start: str, end: str | None, agency: str = "dinsos", **data: Any) -> dict[str, Any]:
    """Two NIKs are one person, or (without the second) no longer."""
    told = {"from_nik": start, "into_nik": end, "revision": 0, "decided_by": "Budi", "reason": "one person"}
    if end is None:
        del told["into_nik"]
    return _event("persons.merged" if end is not None else "persons.unmerged", agency, told, data)


def renewed(start: str, end: str | None, agency: str = "dinsos", **data: Any) -> dict[str, Any]:
    """A family got a new card, or (without it) did not."""
    told = {"from_kk": start, "into_kk": end, "revision": 0, "reason": "moved"}
    return _event("household.renewed", agency, told, data)


def erased(who: str, agency: str = "dinsos", **data: Any) -> dict[str, Any]:
    """A person is to be forgotten."""
    told = {"nik": who, "revision": 0, "decided_by": "Budi", "reason": "asked for by the person"}
    return _event("person.erased", agency, told, data)


def filed(report_id: str, agency: str = "dinsos", **data: Any) -> dict[str, Any]:
    """A report from below."""
    told = {
        "report_id": report_id, "revision": 0, "filed_by": {"role": "rt", "name": "Pak Joko"}, "kind": "flood",
        "region": "33.74.01.1001", "people": [{"name": "Bu Tini"}], "households": 3, "text": "Air naik",
    }  # fmt: skip
    return _event("report.filed", agency, told, data)


def answered(report_id: str, agency: str = "dinsos", **data: Any) -> dict[str, Any]:
    """What became of it."""
    return _event("report.answered", agency, {"report_id": report_id, "revision": 0, "outcome": "helped"}, data)


def institution(institution_id: str, agency: str = "dinsos", **data: Any) -> dict[str, Any]:
    """A source of help."""
    told = {
        "institution_id": institution_id, "kind": "WKSBM", "name": "WKSBM Sekaran", "regions": ["33.74.01"],
        "active": True, "revision": 0,
    }  # fmt: skip
    return _event("institution.recorded", agency, told, data)


def _event(type_: str, agency: str, told: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    envelope = {name[1:]: value for name, value in changes.items() if name.startswith("_")}
    data = {name: value for name, value in changes.items() if not name.startswith("_")}
    return event(type_, agency, {**told, **data}, **envelope)


def number(serial: int) -> str:
    """A valid NIK that is a valid KK number too; the greater the serial the greater."""
    return f"337401010290{serial:04d}"


_pseudonyms = Pseudonyms(SECRET)


def nik(told: str) -> str:
    """The pseudonym of a NIK."""
    return str(as_uuid(_pseudonyms.nik(told)))


def kk(told: str) -> str:
    """The pseudonym of a KK."""
    return str(as_uuid(_pseudonyms.kk(told)))


def alone(told: str) -> str:
    """The household of a person alone."""
    return str(as_uuid(_pseudonyms.alone(told)))


class Registry:
    """The registry's intake on a database; events go in as batches, what is announced is read in the outbox."""

    def __init__(self, url: str, secrets: Path) -> None:
        pseudonyms = cache(lambda secret_id: Pseudonyms(read_secret(secrets, secret_id)))
        policies = Policies(pseudonyms)
        self.database = Database(url, service="registry", session=SESSION, size=2)
        self.standing: Standing[InUse] = Standing(self.database, policies.parse)
        self.recheck = Recheck(self.standing, lambda: NOW)
        self.suspects = Suspects(self.standing, lambda: NOW)
        self.now = NOW
        self.reports = Reports(self.standing, lambda: self.now)
        self._policy = StandingIntake(having(from_document, pseudonyms), policies.follow)
        self._intakes = {
            kind: AgencyIntake(
                "registry", intake.admit, intake.write, sealer=Sealer(bytes(32)), metrics=Metrics(), clock=lambda: NOW
            )
            for kind in (Kind.BENEFICIARIES, Kind.REPORTS)
            for intake in [Intake(kind, self.standing, lambda: NOW)]
        }
        self._offsets = count()

    async def follow(self, document: dict[str, Any]) -> None:
        """Take a policy, and do all that follows from it."""
        record = Record("policy.v1", 0, 0, 0, orjson.dumps(document), [])
        work = self._policy.decode([Span("policy.v1", 0, 0, 1, [record])], None)  # type: ignore[list-item]
        async with self.database.transaction(Lock.EXCLUSIVE) as connection:
            await self._policy.write(connection, work)
        await self.standing.refresh()
        async with self.database.pool.acquire() as connection:
            async for more in self.recheck.work(connection):
                if not more:
                    break

    async def take(
        self, events: Iterable[dict[str, Any]], kind: Kind = Kind.BENEFICIARIES, at: datetime | None = None
    ) -> None:
        """Take one batch of what stood on its topic at one moment, or at the one that each names as ``_at``."""
        by_topic: dict[str, list[Any]] = {}
        for told in events:
            topic = inbound_name(told["source"].rpartition(":")[2], kind)
            moment = int(told.get("at", at or NOW).timestamp() * 1000)
            value = orjson.dumps({name: part for name, part in told.items() if name != "at"})
            record = Record(topic, 0, next(self._offsets), moment, value, [])
            by_topic.setdefault(topic, []).append(record)
        spans = [Span(t, 0, records[0].offset, records[-1].offset + 1, records) for t, records in by_topic.items()]
        intake = self._intakes[kind]
        work = intake.decode(spans, self.standing.in_force)
        assert not work.refused, work.refused
        async with self.database.transaction(Lock.EXCLUSIVE) as connection:
            await intake.write(connection, work)

    async def hear(self, *told: dict[str, Any] | str) -> None:
        """Take one batch of what distribution tells, a household alone as a tombstone."""
        records: list[Any] = [
            SimpleNamespace(key=each.encode(), value=None) if isinstance(each, str)
            else SimpleNamespace(key=each["household"].encode(), value=orjson.dumps({"data": each}))
            for each in told
        ]  # fmt: skip
        intake = Aid(queries)
        async with self.database.transaction(Lock.SHARED) as connection:
            await intake.write(connection, intake.decode([Span(AID, 0, 0, len(records), records)], None))

    async def look(self) -> None:
        """Look at everything that is to be looked at."""
        async with self.database.pool.acquire() as connection:
            async for more in self.suspects.work(connection):
                if not more:
                    break

    async def route(self) -> None:
        """Let every report go where it goes."""
        async with self.database.pool.acquire() as connection:
            async for more in self.reports.work(connection):
                if not more:
                    break

    async def sent(self, topic: str) -> list[dict[str, Any]]:
        """Every event announced on a topic, in order; revisions of a key grow by one, each with a new content."""
        rows = await self.database.pool.fetch("select key, value from outbox where topic = $1 order by id", topic)
        told: dict[str, tuple[int, str, dict[str, Any]]] = {}
        events = []
        for row in rows:
            if row["value"] is None:  # a tombstone: whatever is told next is news
                told[row["key"]] = (told[row["key"]][0], "", {})
                keys = dict.fromkeys(("person", "pair", "report_id"), row["key"])
                events.append({"type": "tombstone.cleared.v1", "data": keys})
                continue
            events.append(orjson.loads(row["value"]))
            data = dict(events[-1]["data"])
            revision = data.pop("revision")
            if row["key"] in told:
                before = told[row["key"]]
                assert revision == before[0] + 1
                assert (events[-1]["type"], data) != before[1:]
            told[row["key"]] = revision, events[-1]["type"], data
        return events

    async def fold(self, topic: str, key: str) -> dict[str, dict[str, Any]]:
        """What stands announced, by key, without revisions; what was cleared does not."""
        last = {each["data"][key]: each for each in await self.sent(topic)}
        return {
            name: {field: value for field, value in each["data"].items() if field != "revision"}
            for name, each in last.items()
            if not each["type"].endswith(".cleared.v1")
        }

    async def reports_announced(self) -> dict[str, dict[str, Any]]:
        """What stands announced of reports, by the key it stands under."""
        await self.sent("registry.reports.v1")
        rows = await self.database.pool.fetch(
            "select key, value from outbox where topic = 'registry.reports.v1' order by id"
        )
        last = {row["key"]: row["value"] and orjson.loads(row["value"])["data"] for row in rows}
        return {key: {**data, "revision": 0} for key, data in last.items() if data is not None}

    async def persons(self) -> dict[str, dict[str, Any]]:
        """What stands announced of persons."""
        return await self.fold("registry.persons.v1", "person")

    async def empty(self) -> None:
        """Forget everything."""
        tables = "fact", "link", "number", "statement", "announced", "trust", "recheck", "standing", "outbox"
        tables += "look", "suspect", "institution", "erased", "aid", "received", "named", "needy", "sought", "matched"
        tables += "put_off", "report_told", "report", "route", "traits", "block"
        await self.database.pool.execute("; ".join(f"delete from {table}" for table in tables))
        self.standing.in_force = None


@pytest.fixture(scope="session")
def template(postgres: str) -> Iterator[str]:
    """A database with registry's tables."""
    with migrated(postgres, *MIGRATIONS) as name:
        yield name


@pytest_asyncio.fixture
async def registry(database: str, secrets: Path) -> AsyncIterator[Registry]:
    """A registry on a fresh database, under the first policy."""
    made = Registry(database, secrets)
    await made.database.open(*MIGRATIONS)
    await made.follow(policy())
    yield made
    await made.database.close()
