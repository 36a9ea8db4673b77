"""Sources of help from the community."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date, datetime, time, timedelta
from typing import Annotated, Any, Final, Literal
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Query
from tepat_chassis.http import Page, Region, must_be_of, paging
from tepat_chassis.service import Service
from tepat_chassis.wanted import Day
from tepat_contracts import regions
from tepat_contracts.codes import PSKS
from tepat_contracts.events.beneficiaries import INSTITUTION_RECORDED

from tepat_registry import domain
from tepat_registry.api.reader import Reader
from tepat_registry.domain import VILLAGE
from tepat_registry.handlers import InUse
from tepat_registry.refusals import refusal
from tepat_registry.store import queries, read

AT_ONCE: Final = 1_000
#: Groups in the code of a kelurahan or desa, and in those of the areas above it.
LEVELS: Final = {"kabupaten": 2, "kecamatan": 3, "kelurahan": 4}


def router(service: Service[InUse], clock: Callable[[], datetime]) -> APIRouter:
    """Institutions."""
    routes = APIRouter(tags=["institutions"])
    database = service.database

    @routes.get("/institutions")
    async def institutions(
        reader: Reader,
        page: Annotated[Page, Depends(paging(str, str))],
        region: Region = None,
        active: bool = True,
    ) -> dict[str, Any]:
        """Sources of help from the community, in the person's regions, as agencies recorded them."""
        found: list[dict[str, Any]] = []
        agency, about = page.after or ("", "")
        while len(found) <= page.limit:
            rows = [
                row
                async for row in queries.institutions(
                    database.pool, type=INSTITUTION_RECORDED, agency=agency, about=about, most=AT_ONCE
                )
            ]
            found += (
                told
                for told in ({"agency": row["agency"], **shown(read(row["data"]))} for row in rows)
                if told["active"] is active
                and any(reader.covers(code) for code in told["regions"])
                and (
                    region is None
                    or regions.holds(told["regions"], region)
                    or any(regions.holds([region], code) for code in told["regions"])
                )
            )
            if len(rows) < AT_ONCE:
                break
            agency, about = rows[-1]["agency"], rows[-1]["about"]
        return page.of(found, lambda told: (told["agency"], told["institution_id"]))

    @routes.get("/coverage")
    async def coverage(
        reader: Reader,
        region: Annotated[str, Query(description="the area asked about, such as 33.71")],
        by: Annotated[
            Literal["kabupaten", "kecamatan", "kelurahan"], Query(description="a line for each of them")
        ] = "kelurahan",
        kind: Annotated[str | None, Query(description="by institutions of this kind alone, such as WKSBM")] = None,
        on: Annotated[Day | None, Query(description="at the end of this day; without it now")] = None,
        since: Annotated[Day | None, Query(description="also month by month from this day on")] = None,
    ) -> dict[str, Any]:
        """How many kelurahan (and desa) of an area an active institution covers: by part, and through the months."""
        in_force = (await service.standing.ruling()).document.index
        zone = ZoneInfo(in_force.policy.time_zone)
        if region not in in_force.regions:
            raise refusal(422, "no_area", region=region)
        if not reader.covers(region):
            raise refusal(403, "outside")
        today = clock().astimezone(zone).date()
        day = min(on or today, today)
        villages = [code for code in in_force.regions if code.startswith(f"{region}.") or code == region]
        villages = sorted(code for code in villages if code.count(".") == VILLAGE)
        rows = queries.institutions_until(database.pool, until=_end(day, zone))
        recorded = [(row, read(row["data"])) async for row in rows]
        must_be_of(PSKS.keys() | {data["kind"] for _, data in recorded}, "kind", kind, what="kind")
        told = [_covering(row, data) for row, data in recorded if kind in (None, data["kind"])]
        found = _covered(villages, domain.covered_at(told, _end(day, zone)))
        parts: dict[str, list[bool]] = {}
        for code in villages:
            parts.setdefault(".".join(code.split(".")[: LEVELS[by]]), []).append(code in found)
        answer: dict[str, Any] = {
            "region": region, "name": in_force.regions[region], "on": day.isoformat(), "kind": kind,
            "kelurahan": len(villages), "covered": len(found),
            "items": [
                {"region": code, "name": in_force.regions.get(code), "kelurahan": len(each), "covered": sum(each)}
                for code, each in parts.items()
            ],
        }  # fmt: skip
        if since is not None:
            answer["through_time"] = [
                {"on": each.isoformat(), "covered": len(_covered(villages, domain.covered_at(told, _end(each, zone))))}
                for each in _months(since, day)
            ]
        return answer

    return routes


def _covering(row: Any, data: Mapping[str, Any]) -> domain.Covering:
    areas = frozenset(data["regions"]) if data["active"] else frozenset[str]()
    return domain.Covering((row["agency"], row["about"]), row["revision"], row["time"], areas)


def _covered(villages: Iterable[str], areas: frozenset[str]) -> set[str]:
    return {code for code in villages if regions.holds(areas, code)}


def _end(day: date, zone: ZoneInfo) -> datetime:
    """The moment at which a day of the province ends."""
    return datetime.combine(day + timedelta(days=1), time(), zone)


def _months(start: date, end: date) -> Iterator[date]:
    """The last day of each month from ``start`` on, ``end`` in place of the last one."""
    year, month = start.year, start.month
    while (year, month) <= (end.year, end.month):
        year, month = (year + month // 12, month % 12 + 1)
        yield min(date(year, month, 1) - timedelta(days=1), end)


def shown(data: Mapping[str, Any]) -> dict[str, Any]:
    """An institution as agencies recorded it."""
    names = ("institution_id", "kind", "name", "regions", "contact", "active", "revision")
    return {name: data[name] for name in names if data.get(name) is not None}
