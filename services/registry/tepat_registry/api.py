"""The registry over HTTP: a person, the way of one thing, institutions.

Invariants
- A NIK or a KK is shown masked unless its disclosure was asked for with a purpose, by somebody with the right,
  and recorded with both before it is answered.
- Who may see some regions only sees no person of another one.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Depends, HTTPException, Query
from tepat_chassis import acts
from tepat_chassis.auth import Person, Right, needs
from tepat_chassis.http import Page, paging
from tepat_chassis.logging import mask as mask_text
from tepat_chassis.service import Service
from tepat_contracts.events.beneficiaries import INSTITUTION_RECORDED
from tepat_contracts.identity import mask

from tepat_registry.domain import Kind
from tepat_registry.handlers import InUse
from tepat_registry.store import HOUSEHOLDS, PERSONS, SERVICE, Store, queries, read

Reader = Annotated[Person, Depends(needs(Right.read))]

#: Of what is announced of a person, what only a disclosure shows.
DISCLOSED: Final = ("birth_date", "attributes")
INSTITUTIONS_AT_ONCE: Final = 1_000
LINKED: Final = {
    (Kind.NIK, True): "merged",
    (Kind.NIK, False): "unmerged",
    (Kind.KK, True): "card renewed",
    (Kind.KK, False): "card renewal withdrawn",
}


def router(service: Service[InUse], clock: Callable[[], datetime]) -> APIRouter:
    """The routes below /v1."""
    routes = APIRouter(tags=["registry"])
    database = service.database

    @routes.get("/persons/{pseudonym}")
    async def person(
        pseudonym: UUID,
        reader: Reader,
        purpose: Annotated[
            str | None, Query(min_length=3, max_length=500, description="why it is disclosed; recorded")
        ] = None,
    ) -> dict[str, Any]:
        """What is known of a person; with a purpose and the right to disclose also numbers, name and all the rest."""
        if purpose is not None and Right.disclose not in reader.rights:
            raise HTTPException(403, f"the right {Right.disclose} is missing")
        pseudonyms = (await service.standing.first()).document.pseudonyms
        async with database.transaction() as connection:
            nik = await queries.nik_of(connection, pseudonym=pseudonym)
            if nik is None:
                raise HTTPException(404, "no such person is known")
            told = (await Store(connection, pseudonyms, clock()).persons([nik]))[nik]
            if not reader.covers(told.get("region")):
                raise HTTPException(403, "the person lives outside your regions")
            if purpose is not None:
                await acts.record(connection, reader, "disclose", str(pseudonym), {"purpose": mask_text(purpose)})
            facts = [row async for row in queries.facts_told(connection, nik=nik, household=None, event_id=None)]
        return _shown(str(nik), told, facts, disclosed=purpose is not None)

    @routes.get("/trace/{name:path}")
    async def trace(name: str, reader: Reader) -> dict[str, Any]:
        """What this service did with a person or household (its pseudonym), or with an agency's event (its id)."""
        pseudonym = _uuid(name)
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
            statements = [row async for row in queries.statements_told(connection, event_id=name)]
            moved = {fact["person"] for fact in facts} | {link[end] for link in links for end in ("start", "ending")}
            announced = [row async for row in queries.announced(connection, keys=list((moved | {pseudonym}) - {None}))]
        steps = [*map(_recorded, facts), *map(_linked, links), *map(_stated, statements), *map(_announced, announced)]
        return {"steps": sorted(steps, key=lambda step: step["at"])}

    @routes.get("/institutions")
    async def institutions(
        reader: Reader,
        page: Annotated[Page, Depends(paging(str, str))],
        region: Annotated[str | None, Query(description="those that cover this area")] = None,
        active: bool = True,
    ) -> dict[str, Any]:
        """Sources of help from the community, in the person's regions, as agencies recorded them."""
        found: list[dict[str, Any]] = []
        agency, about = page.after or ("", "")
        while len(found) <= page.limit:
            rows = [
                row
                async for row in queries.institutions(
                    database.pool, type=INSTITUTION_RECORDED, agency=agency, about=about, most=INSTITUTIONS_AT_ONCE
                )
            ]
            found += (
                told
                for told in ({"agency": row["agency"], **_institution(read(row["data"]))} for row in rows)
                if told["active"] is active
                and any(reader.covers(code) for code in told["regions"])
                and (region is None or any(f"{region}.".startswith(f"{code}.") for code in told["regions"]))
            )
            if len(rows) < INSTITUTIONS_AT_ONCE:
                break
            agency, about = rows[-1]["agency"], rows[-1]["about"]
        return page.of(found, lambda told: (told["agency"], told["institution_id"]))

    return routes


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _shown(nik: str, told: dict[str, Any], facts: Sequence[Any], *, disclosed: bool) -> dict[str, Any]:
    """A person as a reader may see them."""
    show = str if disclosed else mask
    holding = [(fact, read(fact["data"])) for fact in facts]
    cards = {str(fact["household"]): show(data["kk"]) for fact, data in holding}
    return {
        "nik": show(nik),
        **{name: value for name, value in told.items() if disclosed or name not in DISCLOSED},
        **({"names": sorted({data["name"] for _, data in holding})} if disclosed else {}),
        "memberships": [{**each, "kk": cards[each["household"]]} for each in told["memberships"]],
        "warnings": [
            {"agency": fact["agency"], "since": fact["since"], "warnings": fact["warnings"].split()}
            for fact, _ in holding
            if fact["warnings"]
        ],
    }


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


def _institution(data: Mapping[str, Any]) -> dict[str, Any]:
    names = ("institution_id", "kind", "name", "regions", "contact", "active", "revision")
    return {name: data[name] for name in names if data.get(name) is not None}
