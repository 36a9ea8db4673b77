"""A household: who belongs to it, as each agency says, through time and on a day."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, HTTPException, Query
from tepat_chassis.service import Service
from tepat_contracts.identity import mask

from tepat_registry import domain
from tepat_registry.api.reader import Reader
from tepat_registry.domain import Held
from tepat_registry.handlers import InUse, store_of
from tepat_registry.store import queries


def router(service: Service[InUse], clock: Callable[[], datetime]) -> APIRouter:
    """Households."""
    routes = APIRouter(tags=["households"])
    database = service.database

    @routes.get("/households/{pseudonym}")
    async def household(
        pseudonym: UUID,
        reader: Reader,
        on: Annotated[date | None, Query(description="the day; without it everyone who ever belonged")] = None,
    ) -> dict[str, Any]:
        """Who belongs to a household, under whichever of its cards, as each agency says; or who did on a day."""
        policy = (await service.standing.first()).document
        async with database.transaction() as connection:
            store = store_of(connection, policy, clock())
            rows = [row async for row in queries.cards_of(connection, household=pseudonym)]
            cards, stands_for = {str(row["card"]) for row in rows}, str(rows[0]["stands_for"])
            niks = {row["nik"]: row["stands_for"] async for row in queries.members_of(connection, cards=list(cards))}
            facts = await store.facts({*niks, *niks.values()})
            persons = await store.persons(niks)
        if not niks:
            raise HTTPException(404, "no such household is known")
        members = []
        for nik, end in niks.items():
            if on is not None:
                lived = domain.household_on(facts.get(end, []), on.isoformat())
                if lived is None or lived.household not in cards:
                    continue
            if reader.covers(persons[nik].get("region")):
                members.append(_member(str(nik), persons[nik], [f for f in facts.get(nik, []) if f.household in cards]))
        if on is None and not members:
            raise HTTPException(403, "the household lives outside your regions")
        return {
            "household": str(pseudonym), "stands_for": stands_for, "cards": sorted(cards),
            **({"on": on.isoformat()} if on is not None else {}),
            "members": sorted(members, key=lambda member: (member["memberships"][0]["since"], member["person"])),
        }  # fmt: skip

    return routes


def _member(nik: str, told: Mapping[str, Any], facts: Sequence[Held]) -> dict[str, Any]:
    names = ("since", "until", "relation")
    memberships = [
        {"agency": fact.agency, **{name: fact.data[name] for name in names if fact.data.get(name) is not None}}
        for fact in sorted(facts, key=lambda fact: (fact.data["since"], fact.agency))
    ]
    kept = {name: told[name] for name in ("person", "stands_for", "sex", "deceased_on") if name in told}
    return {"nik": mask(nik), **kept, "memberships": memberships}
