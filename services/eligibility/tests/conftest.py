"""What the registry and agencies tell, and an eligibility service that takes it: its intakes, duty and database."""

from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime
from functools import cache
from importlib.resources import files
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid5

import httpx
import orjson
import pytest
import pytest_asyncio
from fastapi import APIRouter, FastAPI
from pydantic import TypeAdapter
from tepat_chassis.auth import Person, Right, authenticated
from tepat_chassis.database import Connection, Database, Lock
from tepat_chassis.metrics import Metrics
from tepat_chassis.pseudonyms import Pseudonyms, as_uuid, having, read_secret
from tepat_chassis.quarantine import AgencyIntake, Record, Sealer
from tepat_chassis.span import Span
from tepat_chassis.standing import Standing, StandingIntake
from tepat_contracts import envelope
from tepat_contracts.events.ours import (
    DECISION_MADE,
    HOUSEHOLD_RESOLVED,
    PERSON_RESOLVED,
    DecisionMade,
    HouseholdResolved,
    PersonResolved,
)
from tepat_contracts.policy import from_document
from tepat_contracts.topics import Kind, inbound_name
from tepat_eligibility import policed
from tepat_eligibility.domain import WITHDRAWN
from tepat_eligibility.handlers import Registry, Visits, follow
from tepat_eligibility.judge import DECISIONS, Judge
from tepat_eligibility.policed import Policed
from tepat_eligibility.store import queries
from tepat_local.testing import migrated

NOON = datetime(2026, 3, 1, 5, tzinfo=UTC)
"""Noon in Jakarta."""
SECRET = bytes(range(32))
MIGRATIONS = (files("tepat_chassis") / "sql" / "migrations", files("tepat_eligibility") / "sql" / "migrations")
SESSION = (files("tepat_eligibility") / "sql" / "session.sql").read_text()

_NAMES = UUID(int=0)
_ids = count(1)
_pseudonyms = Pseudonyms(SECRET)


def g(name: str) -> str:
    """The pseudonym of a person or household that a test calls by a name."""
    return str(uuid5(_NAMES, name))


def nik(serial: int) -> str:
    """A valid NIK."""
    return f"337401010290{serial:04d}"


def nik_of(serial: int) -> str:
    """Its pseudonym."""
    return str(as_uuid(_pseudonyms.nik(nik(serial))))


def programme(code: str, criteria: str | None, unit: str = "household", **more: Any) -> dict[str, Any]:
    """A programme of a policy."""
    told = {"code": code, "name": {"id": code, "en": code}, "unit": unit, **more}
    return told if criteria is None else {**told, "criteria": criteria}


PKH = programme("PKH", "household.decile <= 4")
PIP = programme("PIP", 'household.decile <= 4 && person.school_level in ["SD", "SMP"]', unit="person")


def policy(
    *programmes: dict[str, Any], version: str = "t-1", ranks: Mapping[str, int | None] | None = None, **more: Any
) -> dict[str, Any]:
    """A policy of these programmes (PKH and PIP where none are given), with agencies by their rank of trust."""
    told = {"dinsos": 2, "dukcapil": 1} if ranks is None else ranks
    made = list(programmes or (PKH, PIP))
    codes = [each["code"] for each in made]
    return {
        "version": version,
        "agencies": [
            {"id": agency, "name": agency, "programmes": codes, **({} if rank is None else {"trust_rank": rank})}
            for agency, rank in told.items()
        ],
        "programmes": made,
        "overlap_rules": [],
        **more,
    }


def lives(household: str, agency: str = "dinsos", since: str = "2020-01-01", **more: Any) -> dict[str, Any]:
    """A membership."""
    return {"agency": agency, "household": g(household), "since": since, "region": "33.74.01.1001", **more}


def person(
    name: str, *memberships: dict[str, Any], revision: int = 1, stands_for: str | None = None,
    attributes: Mapping[str, Any] | None = None, aliases: Iterable[str] = (), **more: Any,
) -> dict[str, Any]:  # fmt: skip
    """A person as the registry resolves them; names stand for pseudonyms, pseudonyms for themselves."""
    data = {
        "person": _g(name), "revision": revision, "stands_for": _g(stands_for or name),
        "alone": g(f"alone {stands_for or name}"), "aliases": [_g(alias) for alias in aliases],
        "memberships": list(memberships), "attributes": dict(attributes or {}),
        "birth_date": "1990-06-01", "region": "33.74.01.1001", **more,
    }  # fmt: skip
    TypeAdapter(PersonResolved).validate_json(orjson.dumps(data))
    return _event("registry", PERSON_RESOLVED, data)


def _g(name: str) -> str:
    return name if len(name) == 36 else g(name)


def renewed(household: str, stands_for: str, revision: int = 1) -> dict[str, Any]:
    """A card that stands for another."""
    data = {"household": g(household), "stands_for": g(stands_for), "revision": revision}
    TypeAdapter(HouseholdResolved).validate_python(data)
    return _event("registry", HOUSEHOLD_RESOLVED, data)


def visited(serial: int, outcome: str = "confirmed", agency: str = "dinsos", **more: Any) -> dict[str, Any]:
    """A verification as an agency sends it; names with ``_`` go into the envelope."""
    data = {
        "verification_id": f"V-{serial}", "revision": 0, "batch": "2026-02", "nik": nik(serial), "outcome": outcome,
        "verified_on": "2026-02-01", "officer": "Bu Rini", "region": "33.74.01.1001", "answers": {"floor": "earth"},
        **{name: value for name, value in more.items() if not name.startswith("_")},
    }  # fmt: skip
    return {
        "specversion": "1.0", "id": f"v-{next(_ids)}", "source": envelope.agency_source(agency),
        "type": "tepat.verification.recorded.v1", "time": "2026-02-01T08:00:00+07:00", "data": data,
        **{name[1:]: value for name, value in more.items() if name.startswith("_")},
    }  # fmt: skip


def listed(serial: int, batch: str = "2026-02", agency: str = "dinsos", **more: Any) -> dict[str, Any]:
    """A NIK on the list of a batch as an agency sends it; names with ``_`` go into the envelope."""
    data = {"batch": batch, "revision": 0, "nik": nik(serial), "region": "33.74.01.1001", "listed_on": "2026-01-15"}
    return _sent("tepat.verification.listed.v1", agency, data, more)


def objected(serial: int, agency: str = "dinsos", **more: Any) -> dict[str, Any]:
    """An objection as an agency sends it; names with ``_`` go into the envelope."""
    data = {
        "objection_id": f"S-{serial}", "revision": 0, "nik": nik(serial), "programme": "PKH",
        "grounds": "wrongly_excluded", "region": "33.74.01.1001", "filed_on": "2026-02-20",
        "evidence": [{"kind": "photo", "sha256": "1e" * 32}], "coordinates": {"lat": -6.98, "lon": 110.42},
        "filed_by": {"role": "rt", "name": "Pak Slamet", "contact": "0811-0000-002"},
    }  # fmt: skip
    return _sent("tepat.objection.filed.v1", agency, data, more)


def _sent(type_: str, agency: str, data: dict[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "specversion": "1.0", "id": f"v-{next(_ids)}", "source": envelope.agency_source(agency), "type": type_,
        "time": "2026-02-01T08:00:00+07:00",
        "data": data | {name: value for name, value in more.items() if not name.startswith("_")},
        **{name[1:]: value for name, value in more.items() if name.startswith("_")},
    }  # fmt: skip


def _event(service: str, type_: str, data: dict[str, Any]) -> dict[str, Any]:
    trace = f"00-{uuid5(_NAMES, repr(data)).hex}-00f067aa0ba902b7-01"
    return envelope.event(
        service=service, type=type_, id=f"{service}-{next(_ids)}", time=NOON, data=data, traceparent=trace
    )


class Eligibility:
    """Eligibility's intakes and duty on a database; what it announces is read in its outbox."""

    def __init__(self, url: str, secrets: Path) -> None:
        self.now = NOON
        self.database = Database(url, service="eligibility", session=SESSION, size=3)
        pseudonyms = cache(lambda secret_id: Pseudonyms(read_secret(secrets, secret_id)))
        self.standing: Standing[Policed] = Standing(self.database, having(policed.parse, pseudonyms))
        self.judge = Judge(self.standing, self.database, lambda: self.now)
        visits = Visits(pseudonyms)
        self._visits = AgencyIntake(
            "eligibility", visits.admit, visits.write, sealer=Sealer(bytes(32)), metrics=Metrics(), clock=lambda: NOON
        )
        self._policy = StandingIntake(having(from_document, pseudonyms), follow)
        self._registry = Registry()
        self._offsets = count()
        self._schema: TypeAdapter[Any] = TypeAdapter(DecisionMade)

    async def follow(self, document: dict[str, Any]) -> None:
        """Take a policy."""
        record = Record("policy.v1", 0, 0, 0, orjson.dumps(document), [])
        work = self._policy.decode([Span("policy.v1", 0, 0, 1, [record])], None)  # type: ignore[list-item]
        assert work is not None
        async with self.database.transaction(Lock.EXCLUSIVE) as connection:
            await self._policy.write(connection, work)
        await self.standing.refresh()

    async def take(self, *events: dict[str, Any]) -> None:
        """Take one batch of what the registry or agencies tell; of a topic there is one partition."""
        spans: dict[str, list[Any]] = {}
        for told in events:
            agency = told["source"].rpartition(":")[2]
            topic = inbound_name(agency, Kind.VERIFICATIONS) if agency != "registry" else "registry.persons.v1"
            spans.setdefault(topic, []).append(Record(topic, 0, next(self._offsets), 0, envelope.write(told), []))
        for topic, records in spans.items():
            span: Any = Span(topic, 0, records[0].offset, records[-1].offset + 1, records)
            async with self.database.transaction(Lock.EXCLUSIVE) as connection:
                if topic == "registry.persons.v1":
                    await self._registry.write(connection, self._registry.decode([span], None))
                else:
                    taken = self._visits.decode([span], self.standing.in_force)
                    assert not taken.refused, taken.refused
                    await self._visits.write(connection, taken)
                await self._advance(connection, span)

    async def forget(self, *persons: str, then: Iterable[dict[str, Any]] = ()) -> None:
        """Take one batch: tombstones of persons, and what the registry tells after them."""
        told = [(_g(name).encode(), None) for name in persons] + [(b"", envelope.write(each)) for each in then]
        records: list[Any] = [
            SimpleNamespace(key=key, value=value, offset=next(self._offsets)) for key, value in told
        ]  # fmt: skip
        span = Span("registry.persons.v1", 0, records[0].offset, records[-1].offset + 1, records)
        async with self.database.transaction(Lock.EXCLUSIVE) as connection:
            await self._registry.write(connection, self._registry.decode([span], None))
            await self._advance(connection, span)

    @staticmethod
    async def _advance(connection: Connection, span: Span) -> None:
        await connection.execute(
            "insert into position values ($1, $2, $3) on conflict (topic, partition) do update set next_offset = $3",
            span.topic, span.partition, span.end,
        )  # fmt: skip

    async def step(self) -> bool:
        """One step of the duty."""
        async with self.database.pool.acquire() as connection, connection.transaction():
            return await self.judge.step(connection)

    async def decide(self) -> None:
        """Do all that is to be done."""
        while await self.step():
            pass
        assert await queries.left_to_decide(self.database.pool) == 0

    async def on(self, day: str) -> None:
        """Let it be noon of another day, and do what follows."""
        self.now = datetime.combine(date.fromisoformat(day), NOON.timetz())
        await self.decide()

    async def announced(self) -> list[dict[str, Any]]:
        """Every event announced, in order: as the schema wants it, each revision one more, each content new.

        What a tombstone took away is left out.
        """
        rows = await self.database.pool.fetch("select key, value from outbox where topic = $1 order by id", DECISIONS)
        last: dict[str, dict[str, Any]] = {}
        events = []
        for row in rows:
            if row["value"] is None:  # a tombstone: what comes next begins anew
                last.pop(row["key"], None)
                events = [event for event in events if event["subject"] != row["key"]]
                continue
            event = orjson.loads(row["value"])
            data = event["data"]
            self._schema.validate_json(orjson.dumps(data))
            assert event["type"] == DECISION_MADE
            assert row["key"] == event["subject"] == f"{data['programme']}|{data[data['unit']]}"
            before = last.get(row["key"], {"revision": 0})
            assert data["revision"] == before["revision"] + 1
            beside = ("revision", "policy_version", "as_of")
            assert {k: v for k, v in data.items() if k not in beside} != {
                k: v for k, v in before.items() if k not in beside
            }
            last[row["key"]] = data
            events.append(event)
        return events

    async def fold(self) -> dict[tuple[str, str], dict[str, Any]]:
        """What stands announced, by programme and subject, without what was withdrawn."""
        last = {event["subject"]: event["data"] for event in await self.announced()}
        withdrawn = [orjson.loads(reasons) for reasons in WITHDRAWN.values()]
        return {
            (data["programme"], data[data["unit"]]): data for data in last.values() if data["reasons"] not in withdrawn
        }

    async def standing_decisions(self) -> dict[tuple[str, str], str]:
        """The word of each decision that stands."""
        return {key: data["decision"] for key, data in (await self.fold()).items()}

    @asynccontextmanager
    async def asked(self, *routers: APIRouter, regions: Iterable[str] = ()) -> AsyncIterator[httpx.AsyncClient]:
        """The service's answers, as they are to a person of these regions who has every right."""
        app = FastAPI()
        for router in routers:
            app.include_router(router, prefix="/v1")
        somebody = Person("rini", "Bu Rini", frozenset(Right), tuple(regions))
        app.dependency_overrides[authenticated] = lambda: somebody
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://t/v1/") as client:
            yield client

    async def empty(self) -> None:
        """Forget everything."""
        tables = (
            "person", "renewal", "verification", "mark", "residence", "touched", "sweep", "today", "decision",
            "standing", "outbox", "recalled", "erased", "listed", "objection", "ranked", "ranking", "forgotten",
            "stands", "position", "progress", "put_off",
        )  # fmt: skip
        await self.database.pool.execute("; ".join(f"delete from {table}" for table in tables))
        self.standing.in_force = None
        self.now = NOON


@pytest.fixture(scope="session")
def template(postgres: str) -> Iterator[str]:
    """A database with eligibility's tables."""
    with migrated(postgres, *MIGRATIONS) as name:
        yield name


@pytest_asyncio.fixture
async def eligibility(database: str, secrets: Path) -> AsyncIterator[Eligibility]:
    """Eligibility on a fresh database, under the first policy."""
    made = Eligibility(database, secrets)
    await made.database.open(*MIGRATIONS)
    await made.follow(policy())
    yield made
    await made.database.close()
