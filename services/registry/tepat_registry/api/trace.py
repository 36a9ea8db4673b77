"""The way of one thing through the registry."""

from collections.abc import Mapping
from typing import Any, Final

from fastapi import APIRouter
from tepat_chassis.auth import Person
from tepat_chassis.http import uuid_in
from tepat_chassis.logging import mask as mask_text
from tepat_chassis.service import Service
from tepat_contracts.events.reports import REPORT_ANSWERED, REPORT_FILED

from tepat_registry.api.reader import Reader
from tepat_registry.domain import Kind
from tepat_registry.handlers import InUse
from tepat_registry.store import HOUSEHOLDS, PERSONS, SERVICE, queries, read

LINKED: Final = {
    (Kind.NIK, True): "merged",
    (Kind.NIK, False): "unmerged",
    (Kind.KK, True): "card renewed",
    (Kind.KK, False): "card renewal withdrawn",
}


def router(service: Service[InUse]) -> APIRouter:
    """What this service did with one thing."""
    routes = APIRouter(tags=["trace"])
    database = service.database

    @routes.get("/trace/{name:path}")
    async def trace(name: str, reader: Reader) -> dict[str, Any]:
        """What this service did with a person or household (its pseudonym), an agency's event (its id), or a report
        (``agency/report_id``).
        """
        agency, _, report = name.partition("/")
        pseudonym = uuid_in(name)
        async with database.pool.acquire() as connection:
            known = await queries.number_of(connection, pseudonym=pseudonym) or {"kind": None, "number": None}
            facts = [row async for row in queries.facts_told(
                connection, nik=known["number"] if known["kind"] == Kind.NIK else None, household=pseudonym,
                event_id=name,
            )]  # fmt: skip
            facts = [fact for fact in facts if reader.covers(read(fact["data"])["region"])]
            links = [
                row
                async for row in queries.links_told(
                    connection, kind=known["kind"], number=known["number"], event_id=name
                )
            ]
            statements = [row async for row in queries.statements_told(
                connection, event_id=name, agency=agency, report=report, filed=REPORT_FILED, answered=REPORT_ANSWERED,
            )]  # fmt: skip
            statements = [row for row in statements if _seen(read(row["data"]), reader)]
            moved = {fact["person"] for fact in facts} | {link[end] for link in links for end in ("start", "ending")}
            announced = [row async for row in queries.announced(connection, keys=list((moved | {pseudonym}) - {None}))]
        steps = [*map(_recorded, facts), *map(_linked, links), *map(_stated, statements), *map(_announced, announced)]
        return {"steps": sorted(steps, key=lambda step: step["at"])}

    return routes


def _seen(told: Mapping[str, Any], reader: Person) -> bool:
    """Whether what an agency said lies in the reader's regions; what names none, such as an answer, does."""
    return "region" not in told or reader.covers(told["region"])


def _step(row: Any, what: str, **detail: Any) -> dict[str, Any]:
    """One thing taken of an agency. Ids are the agency's own and may hold a number: they are masked."""
    place = {name: row[name] for name in ("agency", "revision", "topic", "partition", "offset")}
    return {
        "at": row["taken_at"],
        "service": SERVICE,
        "what": what,
        "detail": {**place, "event_id": mask_text(row["event_id"]), **detail, "traceparent": row["trace"]},
    }


def _recorded(row: Any) -> dict[str, Any]:
    return _step(
        row, "person recorded", person=row["person"], household=row["household"], since=row["since"], until=row["until"]
    )


def _linked(row: Any) -> dict[str, Any]:
    what = LINKED[row["kind"], row["ending"] is not None]
    return _step(row, what, **{"from": row["start"], "into": row["ending"]})


def _stated(row: Any) -> dict[str, Any]:
    return _step(row, row["type"], about=mask_text(row["about"]))


def _announced(row: Any) -> dict[str, Any]:
    what, topic = ("person announced", PERSONS) if row["kind"] == Kind.NIK else ("household announced", HOUSEHOLDS)
    detail = {"topic": topic, "key": row["key"], "revision": row["revision"]}
    return {"at": row["at"], "service": SERVICE, "what": what, "detail": detail}
