"""Acknowledging over HTTP: by the link in a notice, without a login, or by an officer who names a case's code.

Invariants
- Looking at a link changes nothing: mail scanners follow links. Only the button does.
- A page names codes of cases and nothing else; a link that was not made here and one of a notice that asks for nothing
  are answered alike, the former before anything is read or locked.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends
from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined
from pydantic import Field
from tepat_chassis.acts import record
from tepat_chassis.auth import Person, Right, needs
from tepat_chassis.database import Connection, Database, Lock
from tepat_chassis.logging import mask
from tepat_chassis.wanted import Body

from tepat_notifications.hearings import Hearings
from tepat_notifications.links import Links
from tepat_notifications.refusals import refusal
from tepat_notifications.store import every, queries

Reader = Annotated[Person, Depends(needs(Right.read))]
Resolver = Annotated[Person, Depends(needs(Right.resolve))]
LISTED = 20
HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'",
    "referrer-policy": "no-referrer",
}


class Acknowledged(Body):
    """Who really acknowledged, where an officer says so for them, such as after a reply by telephone."""

    note: Annotated[str, Field(max_length=500, description="how it was heard; recorded")] = ""


def link_router(database: Database, hearings: Hearings, links: Links, clock: Callable[[], datetime]) -> APIRouter:
    """`/v1/acknowledge/{token}`: the token is the proof."""
    routes = APIRouter(tags=["notices"])
    environment = Environment(loader=PackageLoader("tepat_notifications"), undefined=StrictUndefined, autoescape=True)
    page = environment.get_template("acknowledge.html.j2")

    def shown(row: Any) -> HTMLResponse:
        if row is None:
            return HTMLResponse(page.render(found=False), 404, HEADERS)
        told = {"done": not row["left_over"], "codes": row["codes"][:LISTED], "more": len(row["codes"]) - LISTED}
        return HTMLResponse(page.render(found=True, **told), 200, HEADERS)

    async def of(connection: Connection, delivery_id: UUID) -> Any:
        return next(iter(await every(queries.of_delivery(connection, id=delivery_id))), None)

    @routes.get("/acknowledge/{token}", response_class=HTMLResponse)
    async def look(token: str) -> HTMLResponse:
        """A page that asks whether a notice was read and is acted on."""
        delivery_id = links.delivery(token)
        if delivery_id is None:
            return shown(None)
        async with database.pool.acquire() as connection:
            return shown(await of(connection, delivery_id))

    @routes.post("/acknowledge/{token}", response_class=HTMLResponse)
    async def acknowledge(token: str) -> HTMLResponse:
        """Acknowledge a notice; again changes nothing."""
        delivery_id = links.delivery(token)
        if delivery_id is None:
            return shown(None)
        async with database.transaction(Lock.EXCLUSIVE) as connection:
            row = await of(connection, delivery_id)
            if row is not None:
                await hearings.acknowledge(connection, row["causes"], "link", row["agency"], clock())
                row = await of(connection, delivery_id)
            return shown(row)

    return routes


def router(database: Database, hearings: Hearings, clock: Callable[[], datetime]) -> APIRouter:
    """What a code names, and acknowledging it."""
    routes = APIRouter(tags=["notices"])

    async def named(connection: Connection, code: str, person: Person) -> list[Any]:
        rows = [
            row for row in await every(queries.by_code(connection, code=code.upper())) if person.covers(row["region"])
        ]
        if not rows:
            raise refusal(404, "no_code", code=code)
        return rows

    @routes.get("/notices/{code}")
    async def show(code: str, person: Reader) -> dict[str, Any]:
        """What a code names, who hears of it, and each step towards its acknowledgement."""
        async with database.transaction() as connection:
            rows = await named(connection, code, person)
            ids = [row["cause_id"] for row in rows]
            heard = await every(queries.heard_of(connection, ids=ids))
            steps = await every(queries.steps_of(connection, ids=ids))
        return {
            "code": code.upper(),
            "causes": [
                _cause(row)
                | {
                    "heard": [_without_cause(each) for each in heard if each["cause_id"] == row["cause_id"]],
                    "steps": [_without_cause(each) for each in steps if each["cause_id"] == row["cause_id"]],
                }
                for row in rows
            ],
        }

    @routes.post("/notices/{code}/acknowledge")
    async def acknowledge(code: str, said: Acknowledged, person: Resolver) -> dict[str, Any]:
        """Acknowledge what a code names, so that nobody above is told; how many causes waited for it."""
        async with database.transaction(Lock.EXCLUSIVE) as connection:
            ids = [row["cause_id"] for row in await named(connection, code, person)]
            ended = await hearings.acknowledge(connection, ids, "person", person.sub, clock())
            detail = {"note": mask(said.note), "ended": len(ended)}
            await record(connection, person, "notices.acknowledge", code.upper(), detail)
        return {"code": code.upper(), "acknowledged": len(ended)}

    return routes


def _cause(row: Any) -> dict[str, Any]:
    shown = ("kind", "key", "state", "news", "verdict", "amount", "programmes", "agencies", "region", "announced_at")
    awaited = {"level": row["level"], "deadline": row["deadline"], "how": row["how"], "by": row["ended_by"]}
    return {name: row[name] for name in shown} | {"awaited": awaited if row["level"] is not None else None}


def _without_cause(row: Any) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name != "cause_id" and value is not None}
