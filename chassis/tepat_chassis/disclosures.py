"""Who saw whom: the disclosures that a service recorded, for those who answer for what is kept of persons.

Invariants
- They outlive whom they were of: a disclosure names persons by pseudonym, and is listed when these are erased.
- It takes the right that having somebody forgotten takes. Whoever may only disclose is who is watched.
- In what regions whom somebody saw lived is not recorded, and of the erased nobody knows it: they are told to those
  alone who may see all regions.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query

from tepat_chassis.auth import Person, Right, needs
from tepat_chassis.database import Database
from tepat_chassis.http import Page, paging
from tepat_chassis.refusals import refusal
from tepat_chassis.wanted import Day

LIST = """
select at, id, who, name, target, persons, detail ->> 'what' as what, detail ->> 'purpose' as purpose from act
where act = 'disclose'
  and ($1::timestamptz is null or (at, id) < ($1, $2))
  and ($3::text is null or $3 in (who, name))
  and ($4::uuid is null or target = $4::text or persons @> array[$4])
  and ($5::date is null or (at at time zone $7)::date >= $5)
  and ($6::date is null or (at at time zone $7)::date <= $6)
order by at desc, id desc limit $8"""


def router(service: str, database: Database, zone: Callable[[], Awaitable[str]]) -> APIRouter:
    """`GET /v1/disclosures`.

    Args:
        zone: by whose clocks the days asked for turn.
    """
    routes = APIRouter(tags=["disclosures"])

    @routes.get("/disclosures")
    async def listing(
        watcher: Annotated[Person, Depends(needs(Right.merge))],
        page: Annotated[Page, Depends(paging(datetime, int))],
        by: Annotated[str | None, Query(description="who saw: their account or name")] = None,
        person: Annotated[UUID | None, Query(description="whom they saw, known still or erased")] = None,
        from_: Annotated[Day | None, Query(alias="from", description="on this day or later")] = None,
        to: Annotated[Day | None, Query(description="on this day or before")] = None,
    ) -> dict[str, Any]:
        """Who saw numbers, names and all else of whom, when and what for, the last first.

        `of` is what was looked at: a person, household, report or quarantined record; `persons` are those seen in it.
        """
        if not watcher.covers(None):
            raise refusal(403, "disclosures_by_region")
        after = page.after or (None, 0)
        rows = await database.pool.fetch(LIST, *after, by, person, from_, to, await zone(), page.limit + 1)
        items = [
            {
                "service": service, "id": row["id"], "at": row["at"], "who": row["who"], "name": row["name"],
                "what": row["what"], "of": row["target"], "persons": row["persons"], "purpose": row["purpose"],
            }
            for row in rows
        ]  # fmt: skip
        return page.of(items, lambda item: (item["at"], item["id"]))

    return routes
