"""What is suspected of persons and cards, and what people decide of it.

Who lets the registry take a suspicion as true does so in the name of an agency that may say such things: the fact goes
onto that agency's topic, and comes from there as any other, so that whoever replays the topics finds it (decision 15).
"""

from collections.abc import Callable
from datetime import datetime
from math import inf
from typing import Annotated, Any, Literal, NamedTuple
from uuid import UUID, uuid4

import orjson
from fastapi import APIRouter, Depends
from pydantic import Field
from tepat_chassis import acts
from tepat_chassis.auth import Person, Right, needs
from tepat_chassis.database import Connection
from tepat_chassis.http import Page, Region, paging
from tepat_chassis.logging import mask as mask_text
from tepat_chassis.outbox import Message, put
from tepat_chassis.service import Service
from tepat_chassis.wanted import Body, Grounds, Id
from tepat_contracts import envelope
from tepat_contracts.events import beneficiaries, ours
from tepat_contracts.topics import Kind as TopicKind
from tepat_contracts.topics import inbound_name

from tepat_registry.api.reader import Reader
from tepat_registry.api.speaking import must_be_able_to_say
from tepat_registry.domain import Kind
from tepat_registry.handlers import InUse, store_of
from tepat_registry.refusals import CALLED, refusal
from tepat_registry.store import CIRCLE, queries, read
from tepat_registry.suspects import RENEWAL, Suspicion

Decider = Annotated[Person, Depends(needs(Right.merge))]
State = Literal["raised", "withheld", "dismissed", "cleared"]


class Decision(Body):
    """Why it is decided so."""

    reason: Grounds


class Confirmation(Decision):
    """In whose name, and why, it is taken as true; or taken back."""

    agency: Annotated[str, Field(description="an agency with the policy's right `merge`")]
    into: Annotated[Id | None, Field(description="of a duplicate: whose NIK stands for the person from now on")] = None


class Suspects:
    """What people do with suspects, each act recorded in the transaction that does it."""

    def __init__(self, service: Service[InUse], clock: Callable[[], datetime]) -> None:
        self._service = service
        self._clock = clock

    async def one(self, connection: Connection, pair: str, person: Person) -> Any:
        """One of them, where the person may see it."""
        row = await queries.suspect(connection, pair=pair)
        if row is None:
            raise refusal(404, "not_suspected")
        if not person.covers(row["region"]):
            raise refusal(403, "outside")
        return row

    async def _to_decide(self, connection: Connection, pair: str, person: Person) -> Any:
        """One that people decide: a circle ends where one of its merges is taken back, and in no other way."""
        row = await self.one(connection, pair, person)
        if row["kind"] == CIRCLE:
            raise refusal(409, "circle")
        return row

    async def decide(self, pair: str, person: Person, reason: str, was: State, becomes: State) -> dict[str, Any]:
        """Dismiss or reopen it; as it stands then."""
        policy = (await self._service.standing.ruling()).document
        async with self._service.database.transaction() as connection:
            row = await self._to_decide(connection, pair, person)
            told = {"decided_by": person.sub, "reason": mask_text(reason)}
            changed = await queries.decide(connection, pair=pair, was=was, becomes=becomes, at=self._clock(), **told)
            if changed is None:
                raise refusal(409, "suspect_moved_on", state=CALLED[row["state"]], was=CALLED[was])
            suspicion, store = Suspicion.of(row), store_of(connection, policy, self._clock())
            await acts.record(
                connection, person, f"suspect.{becomes}", pair, {"reason": told["reason"]}, suspicion.persons
            )
            dismissed = becomes == "dismissed"
            await store.announce([
                suspicion.news(ours.SUSPECT_DISMISSED, **told) if dismissed else suspicion.news(ours.SUSPECT_RAISED)
            ])  # fmt: skip
            # What was told meanwhile may have changed what is reopened; what is dismissed leaves room for others.
            await store.look((), (row["a"], row["b"]))
            return _told(changed)

    async def say(self, pair: str, said: Confirmation, person: Person, *, holds: bool) -> dict[str, Any]:
        """Let the fact go onto the agency's topic, or its withdrawal."""
        policy = (await self._service.standing.ruling()).document
        must_be_able_to_say(said.agency, policy)
        async with self._service.database.transaction() as connection:
            row = await self._to_decide(connection, pair, person)
            if holds and row["state"] != "raised":
                raise refusal(409, "suspect_moved_on", state=CALLED[row["state"]], was=CALLED["raised"])
            link = (
                await _renewal(connection, row) if row["kind"] == RENEWAL else await _merge(connection, row, said.into)
            )
            if not holds and not link.stands:
                raise refusal(409, "nothing_to_take_back")
            reason = mask_text(said.reason)
            detail = {"agency": said.agency, "reason": reason}
            if holds and (into := row["b"] if row["kind"] == RENEWAL else said.into):
                detail["into"] = str(into)
            type_, data = link.told(person.sub, reason) if holds else link.withdrawn(person.sub, reason)
            await acts.record(
                connection, person, "suspect.merge" if holds else "suspect.unmerge", pair,
                detail, Suspicion.of(row).persons,
            )  # fmt: skip
            event = envelope.event(
                service=self._service.name,
                type=type_,
                id=f"suspect-{uuid4()}",
                time=self._clock(),
                data=data,
                traceparent=row["trace"],
            ) | {"source": envelope.agency_source(said.agency)}
            topic = inbound_name(said.agency, TopicKind.BENEFICIARIES)
            await put(connection, [Message(topic, link.start, envelope.write(event))])
            return {"pair": pair, "told": event["type"], "event": event["id"], "agency": said.agency}


def router(service: Service[InUse], clock: Callable[[], datetime]) -> APIRouter:
    """Suspects."""
    routes = APIRouter(tags=["suspects"])
    database = service.database
    suspects = Suspects(service, clock)

    @routes.get("/suspects")
    async def listing(
        reader: Reader,
        page: Annotated[Page, Depends(paging(float, str))],
        state: State = "raised",
        kind: Literal["renewal", "duplicate", "merge_circle"] | None = None,
        region: Region = None,
    ) -> dict[str, Any]:
        """What waits for somebody to decide, or was decided, in the person's regions: the most probable first, ahead of
        these what is no guess (circles of merges, renewals).
        """
        probability, after = page.after or (inf, "")
        found: list[dict[str, Any]] = []
        while len(found) <= page.limit:
            rows = [row async for row in queries.suspects(
                database.pool, probability=probability, after=after, state=state, kind=kind, region=region,
                most=page.limit + 1,
            )]  # fmt: skip
            found += (_told(row) for row in rows if reader.covers(row["region"]))
            if len(rows) <= page.limit:
                break
            probability, after = rows[-1]["probability"], rows[-1]["pair"]
        return page.of(found, lambda told: (told["evidence"].get("probability", 1.0), told["pair"]))

    @routes.get("/suspects/{pair}")
    async def show(pair: str, reader: Reader) -> dict[str, Any]:
        """One of them, and who decided what of it last: `decision` where it was merged or unmerged."""
        async with database.pool.acquire() as connection:
            told = _told(await suspects.one(connection, pair, reader))
            said = await queries.said_last(connection, pair=pair) or {}
        return told | {name: value for name, value in said.items() if value is not None}

    @routes.post("/suspects/{pair}/dismiss")
    async def dismiss(pair: str, decision: Decision, person: Decider) -> dict[str, Any]:
        """It is not so: it does not come back, whatever is told, until it is reopened."""
        return await suspects.decide(pair, person, decision.reason, "raised", "dismissed")

    @routes.post("/suspects/{pair}/reopen")
    async def reopen(pair: str, decision: Decision, person: Decider) -> dict[str, Any]:
        """It is to be decided again."""
        return await suspects.decide(pair, person, decision.reason, "dismissed", "raised")

    @routes.post("/suspects/{pair}/merge")
    async def merge(pair: str, said: Confirmation, person: Decider) -> dict[str, Any]:
        """It is so: the registry takes the two as one once the agency's topic says it."""
        return await suspects.say(pair, said, person, holds=True)

    @routes.post("/suspects/{pair}/unmerge")
    async def unmerge(pair: str, said: Confirmation, person: Decider) -> dict[str, Any]:
        """It was not so after all: what ``merge`` said is taken back."""
        return await suspects.say(pair, said, person, holds=False)

    return routes


class Said(NamedTuple):
    """A renewal or a merge that may be said: from which number into which, above which revision, and whether it
    stands."""

    kind: Kind
    start: str
    into: str
    revision: int
    stands: bool

    def told(self, by: str, reason: str) -> tuple[str, dict[str, Any]]:
        """The type and the data of what says it."""
        data = {"revision": self.revision, "reason": reason}
        if self.kind is Kind.KK:
            return beneficiaries.HOUSEHOLD_RENEWED, {"from_kk": self.start, "into_kk": self.into, **data}
        return beneficiaries.PERSONS_MERGED, {
            "from_nik": self.start, "into_nik": self.into, "decided_by": by, **data
        }  # fmt: skip

    def withdrawn(self, by: str, reason: str) -> tuple[str, dict[str, Any]]:
        """The type and the data of what takes it back."""
        data = {"revision": self.revision, "reason": reason}
        if self.kind is Kind.KK:
            return beneficiaries.HOUSEHOLD_RENEWED, {"from_kk": self.start, "into_kk": None, **data}
        return beneficiaries.PERSONS_UNMERGED, {"from_nik": self.start, "decided_by": by, **data}


async def _said(connection: Connection, kind: Kind, start: str, into: str) -> Said:
    link = await queries.link_from(connection, kind=kind, number=int(start))
    revision, leads = (0, None) if link is None else (link["revision"] + 1, link["into_number"])
    return Said(kind, start, into, revision, leads == int(into))


async def _renewal(connection: Connection, row: Any) -> Said:
    """The first card's renewal by the second."""
    cards = [row["a"], row["b"]]
    found = {
        row["household"]: read(row["data"])["kk"] async for row in queries.card_numbers(connection, households=cards)
    }
    return await _said(connection, Kind.KK, found[row["a"]], found[row["b"]])


async def _merge(connection: Connection, row: Any, into: UUID | None) -> Said:
    """The merge into one of the two; where none is told, the one that stands.

    Raises HTTPException: it is told of neither, or of none where none stands.
    """
    a, b = [str(await queries.nik_of(connection, pseudonym=row[each])) for each in "ab"]
    merges = {row["b"]: await _said(connection, Kind.NIK, a, b), row["a"]: await _said(connection, Kind.NIK, b, a)}
    if into is None:
        into = next((each for each, said in merges.items() if said.stands), None)
    if into not in merges:
        raise refusal(422, "into_which")
    return merges[into]


def _told(row: Any) -> dict[str, Any]:
    decided = {name: row[name] for name in ("decided_by", "reason", "decided_at") if row[name] is not None}
    return {
        "pair": row["pair"], "kind": row["kind"], "state": row["state"], "persons": orjson.loads(row["persons"]),
        **({"households": [row["a"], row["b"]]} if row["kind"] == RENEWAL else {}),
        "evidence": orjson.loads(row["evidence"]), "region": row["region"], "raised_at": row["raised_at"], **decided,
    }  # fmt: skip
