"""Those who may be missed: of deciles 1 to 4, or named in a report, and nobody gives them anything.

Whoever has a payout planned or disbursed for the day, from whichever programme and under whichever card, is served: a
planned one too, for it is on its way, and counts no longer once it is cancelled. Aid of programmes told `apart`, such
as that of neighbours, does not count.
"""

from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Annotated, Any, Literal
from uuid import UUID
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Query
from tepat_chassis.http import Page, Region, must_be_of, paging
from tepat_chassis.service import Service
from tepat_chassis.wanted import Day

from tepat_registry.api.institutions import LEVELS
from tepat_registry.api.reader import Reader
from tepat_registry.domain import NEEDY
from tepat_registry.handlers import InUse
from tepat_registry.refusals import refusal
from tepat_registry.store import queries

On = Annotated[Day | None, Query(description="who receives nothing on this day; without it today")]
Decile = Annotated[int, Query(ge=1, le=NEEDY, description="up to this decile, or named in a report")]
Days = Annotated[int, Query(ge=0, le=100_000, description="for so many days at least")]
Apart = Annotated[list[str] | None, Query(alias="except", description="aid of these programmes does not count")]


def router(service: Service[InUse], clock: Callable[[], datetime]) -> APIRouter:
    """The unserved."""
    routes = APIRouter(tags=["unserved"])
    database = service.database

    async def asked(
        on: date | None, region: str | None, decile: int, days: int, apart: list[str] | None
    ) -> dict[str, Any]:
        """What both statements ask of the database."""
        in_force = (await service.standing.ruling()).document.index
        if region is not None and region not in in_force.regions:
            raise refusal(422, "no_area", region=region)
        must_be_of(in_force.programmes, "except", *(apart or ()), what="programme")
        zone = in_force.policy.time_zone
        day = on or clock().astimezone(ZoneInfo(zone)).date()
        # By code point `/` comes after `.` and before digits, and `:` after these: between lies what is of the area.
        return {
            "on": day, "until": day - timedelta(days=min(days, day.toordinal() - 1)), "decile": decile, "zone": zone,
            "first": region or "", "last": f"{region}/" if region is not None else ":", "apart": apart or [],
        }  # fmt: skip

    @routes.get("/unserved")
    async def unserved(
        reader: Reader,
        page: Annotated[Page, Depends(paging(date, UUID))],
        region: Region = None,
        on: On = None,
        decile: Decile = NEEDY,
        days: Days = 0,
        apart: Apart = None,
    ) -> dict[str, Any]:
        """Households in which somebody should be served and is not, those the longest without first.

        `since` is the last day on which one of `persons` received anything; of those who never did (`never`) the day
        since which they are known: by an agency, or by a report.
        """
        of = await asked(on, region, decile, days, apart)
        after = page.after or (None, None)
        rows = [row async for row in queries.unserved(
            database.pool, **of, after_since=after[0], after_household=after[1],
            regions=list(reader.regions), at_most=page.limit + 1,
        )]  # fmt: skip
        return page.of([_household(row, of["on"]) for row in rows], lambda told: (told["since"], told["household"]))

    @routes.get("/unserved/count")
    async def count(
        reader: Reader,
        region: Region = None,
        by: Annotated[
            Literal["kabupaten", "kecamatan", "kelurahan"], Query(description="a line for each of them")
        ] = "kelurahan",
        on: On = None,
        decile: Decile = NEEDY,
        days: Days = 0,
        apart: Apart = None,
    ) -> dict[str, Any]:
        """By part of an area how many households are needy, and of them those in which somebody receives nothing."""
        of = await asked(on, region, decile, days, apart)
        names = (await service.standing.ruling()).document.index.regions
        items = [
            {"region": row["region"], "name": names.get(row["region"]), **{name: row[name] for name in COUNTED}}
            async for row in queries.unserved_by(database.pool, **of, regions=list(reader.regions), level=LEVELS[by])
        ]
        return {
            "on": of["on"], "region": region, **{name: sum(item[name] for item in items) for name in COUNTED},
            "items": items,
        }  # fmt: skip

    return routes


COUNTED = ("needy", "households", "persons", "never")


def _household(row: Any, on: date) -> dict[str, Any]:
    return {
        "household": row["household"], "region": row["region"], "decile": row["decile"], "persons": row["persons"],
        "since": row["since"], "days": (on - row["since"]).days, "never": row["served_until"] is None,
    }  # fmt: skip
