"""Sources of help from the community."""

from collections.abc import Mapping
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Query
from tepat_chassis.http import Page, paging
from tepat_chassis.service import Service
from tepat_contracts.events.beneficiaries import INSTITUTION_RECORDED

from tepat_registry.api.reader import Reader
from tepat_registry.handlers import InUse
from tepat_registry.store import queries, read

AT_ONCE: Final = 1_000


def router(service: Service[InUse]) -> APIRouter:
    """Institutions."""
    routes = APIRouter(tags=["institutions"])
    database = service.database

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
                    database.pool, type=INSTITUTION_RECORDED, agency=agency, about=about, most=AT_ONCE
                )
            ]
            found += (
                told
                for told in ({"agency": row["agency"], **_institution(read(row["data"]))} for row in rows)
                if told["active"] is active
                and any(reader.covers(code) for code in told["regions"])
                and (region is None or any(f"{region}.".startswith(f"{code}.") for code in told["regions"]))
            )
            if len(rows) < AT_ONCE:
                break
            agency, about = rows[-1]["agency"], rows[-1]["about"]
        return page.of(found, lambda told: (told["agency"], told["institution_id"]))

    return routes


def _institution(data: Mapping[str, Any]) -> dict[str, Any]:
    names = ("institution_id", "kind", "name", "regions", "contact", "active", "revision")
    return {name: data[name] for name in names if data.get(name) is not None}
