"""The rights of the person (UU PDP 27/2022): to be told all that is held of them, and to be forgotten.

Who has somebody forgotten does so in the name of an agency that may say such things: the erasure goes onto that
agency's topic, and comes from there as any other (decision 15), so that a rebuild forgets again what it reads again.
It is refused as long as something must be kept, which is told with the day on which that ends.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import orjson
from fastapi import APIRouter, Depends
from pydantic import Field
from tepat_chassis import acts, subjects
from tepat_chassis.auth import Person, Right, needs
from tepat_chassis.database import Connection
from tepat_chassis.logging import mask as mask_text
from tepat_chassis.outbox import Message, put
from tepat_chassis.service import Service
from tepat_chassis.subjects import Subject
from tepat_chassis.wanted import Body, Grounds
from tepat_contracts import envelope
from tepat_contracts.events.beneficiaries import PERSON_ERASED
from tepat_contracts.events.reports import REPORT_FILED
from tepat_contracts.policy import Policy, kept_until
from tepat_contracts.topics import Kind, inbound_name

from tepat_registry.api.speaking import must_be_able_to_say
from tepat_registry.handlers import InUse, store_of
from tepat_registry.refusals import refusal
from tepat_registry.store import SERVICE, queries, read

Eraser = Annotated[Person, Depends(needs(Right.merge))]
PLACE = ("topic", "partition", "offset")


class Erasing(Body):
    """In whose name, and why, a person is forgotten."""

    agency: Annotated[str, Field(description="an agency with the policy's right `merge`")]
    reason: Grounds


def routers(service: Service[InUse], clock: Callable[[], datetime]) -> Sequence[APIRouter]:
    """All that is held of a person, and their erasure."""
    routes = APIRouter(tags=["subjects"])

    async def known(connection: Connection, person: Person, pseudonym: UUID) -> list[Any]:
        """Every NIK of a person, the one that stands for all first."""
        policy = (await service.standing.ruling()).document
        names = [row async for row in queries.names_of(connection, pseudonym=pseudonym)]
        if not names:
            raise refusal(404, "no_person")
        nik = names[0]["number"]
        told = (await store_of(connection, policy, clock()).persons([nik]))[nik]
        if not person.covers(told.get("region")):
            raise refusal(403, "outside")
        return names

    async def whole(connection: Connection, person: Person, subject: Subject) -> Subject:
        names = await known(connection, person, subject.persons[0])
        return subject.model_copy(update={"persons": [row["pseudonym"] for row in names]})

    async def held(connection: Connection, person: Person, subject: Subject) -> dict[str, Any]:  # noqa: ARG001
        names = [row async for row in queries.names_of(connection, pseudonym=subject.persons[0])]
        niks, persons = [row["number"] for row in names], subject.persons
        return {
            "persons": [
                {"nik": str(row["number"]), "person": row["pseudonym"], "stands_for": row["stands_for"]}
                for row in names
            ],
            "facts": [_fact(row) async for row in queries.facts_held(connection, niks=niks)],
            "merges": [_told(row) async for row in queries.links_held(connection, niks=niks)],
            "reports": [
                _told(row) async for row in queries.reports_held(connection, persons=persons, type=REPORT_FILED)
            ],
            "suspects": [
                dict(row) | {"evidence": orjson.loads(row["evidence"])}
                async for row in queries.suspects_held(connection, persons=persons, named=list(map(str, persons)))
            ],
            "receives": [
                {"household": row["household"], "payout": payout}
                async for row in queries.aid_to(connection, named=list(map(str, persons)))
                for payout in orjson.loads(row["payouts"]) if payout["person"] in set(map(str, persons))
            ],
            "announced": [dict(row) async for row in queries.announced_held(connection, persons=persons)],
        }  # fmt: skip

    @routes.post("/persons/{pseudonym}/erase")
    async def erase(pseudonym: UUID, erasing: Erasing, person: Eraser) -> dict[str, Any]:
        """Have a person forgotten, under every NIK of theirs, once the agency's topic says it."""
        policy = (await service.standing.ruling()).document
        must_be_able_to_say(erasing.agency, policy)
        async with service.database.transaction() as connection:
            names = await known(connection, person, pseudonym)
            await refuse_what_must_stay(connection, [row["pseudonym"] for row in names], policy.index.policy, clock())
            facts = [row["time"] async for row in queries.facts_held(connection, niks=[row["number"] for row in names])]
            reason = mask_text(erasing.reason)
            await acts.record(
                connection, person, "erase", str(names[0]["pseudonym"]), {"agency": erasing.agency, "reason": reason},
                [row["pseudonym"] for row in names],
            )  # fmt: skip
            topic = inbound_name(erasing.agency, Kind.BENEFICIARIES)
            events = [
                envelope.event(
                    service=SERVICE, type=PERSON_ERASED, id=f"erasure-{uuid4()}", time=max([clock(), *facts]),
                    data={"nik": str(row["number"]), "revision": 0, "decided_by": person.sub, "reason": reason},
                ) | {"source": envelope.agency_source(erasing.agency)}
                for row in names
            ]  # fmt: skip
            await put(connection, [Message(topic, event["data"]["nik"], envelope.write(event)) for event in events])
        return {"person": str(pseudonym), "told": PERSON_ERASED, "events": [event["id"] for event in events]}

    return [routes, subjects.router(SERVICE, service.database, held, whole)]


async def refuse_what_must_stay(connection: Connection, persons: Sequence[UUID], policy: Policy, now: datetime) -> None:
    """Refuse (409) while the person's payouts must be kept, for whoever audits them must know whom they were for."""
    paid_until = await queries.paid_until(connection, persons=persons)
    if paid_until is None:
        return
    until = kept_until(policy.retention.payouts, paid_until)
    if until >= now.astimezone(ZoneInfo(policy.time_zone)).date():
        raise refusal(409, "paid_and_kept", paid_until=paid_until, kept=policy.retention.payouts, until=until)


def _told(row: Any) -> dict[str, Any]:
    """What an agency told, as it told it, and where it stood."""
    place = {name: row[name] for name in PLACE}
    return {
        "agency": row["agency"], "event_id": row["event_id"], "told_at": row["time"], "taken_at": row["taken_at"],
        **place, "data": read(row["data"]),
    }  # fmt: skip


def _fact(row: Any) -> dict[str, Any]:
    return _told(row) | {"household": row["household"], "warnings": (row["warnings"] or "").split()}
