"""Reports from below: where they stand, and all that happened to each.

Names, contacts and texts are shown to whoever may disclose and says why; that is recorded before it is answered.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Final, Literal
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Query
from tepat_chassis import acts
from tepat_chassis.auth import Right, must_have
from tepat_chassis.http import Page, Region, must_be_of, paging
from tepat_chassis.logging import mask as mask_text
from tepat_chassis.service import Service
from tepat_chassis.wanted import Purpose
from tepat_contracts.events.reports import REPORT_ANSWERED, REPORT_FILED, ReportKind
from tepat_contracts.identity import mask
from tepat_contracts.policy import Step

from tepat_registry import routing
from tepat_registry.api.reader import Reader
from tepat_registry.handlers import InUse, store_of
from tepat_registry.refusals import refusal
from tepat_registry.reports import Matched, Reports, match
from tepat_registry.routing import State, Way
from tepat_registry.store import queries, read

StandsAt = Literal["filed", "neighbours", Step]
#: Of what was filed, what only a disclosure shows.
DISCLOSED: Final = ("filed_by", "text")


def router(service: Service[InUse], clock: Callable[[], datetime]) -> APIRouter:
    """Reports."""
    routes = APIRouter(tags=["reports"])
    database = service.database
    reports = Reports(service.standing, clock)

    @routes.get("/reports")
    async def listing(
        reader: Reader,
        page: Annotated[Page, Depends(paging(str, str))],
        region: Region = None,
        kind: Annotated[ReportKind | None, Query(description="of this kind, such as flood")] = None,
        step: Annotated[StandsAt | None, Query(description="that stand at this step, such as kelurahan")] = None,
        state: Annotated[State | None, Query(description="waiting, acknowledged, overdue or closed")] = None,
        overdue: Annotated[bool, Query(description="only those that have passed their last deadline")] = False,
        in_charge: Annotated[str | None, Query(description="of which this agency has charge")] = None,
    ) -> dict[str, Any]:
        """Where reports stand, in the person's regions."""
        index = (await service.standing.ruling()).document.index
        must_be_of(index.agencies, "in_charge", in_charge, what="agency")
        zone = ZoneInfo(index.policy.time_zone)
        agency, after = page.after or ("", "")
        found: list[dict[str, Any]] = []
        while len(found) <= page.limit:
            rows = [row async for row in queries.reports(
                database.pool, agency=agency, after=after, region=region, kind=kind, step=step,
                state="overdue" if overdue else state, in_charge=in_charge, most=page.limit + 1,
            )]  # fmt: skip
            found += (_listed(row, zone) for row in rows if reader.covers(row["region"]))
            if len(rows) <= page.limit:
                break
            agency, after = rows[-1]["agency"], rows[-1]["about"]
        return page.of(found, lambda told: (told["agency"], told["report_id"]))

    @routes.get("/reports/unfiled")
    async def unfiled(reader: Reader, page: Annotated[Page, Depends(paging(str, str))]) -> dict[str, Any]:
        """Answers to reports that nobody has filed: each counts once its report arrives. They are of no region."""
        if not reader.covers(None):
            raise refusal(403, "no_region_of_theirs")
        zone = ZoneInfo((await service.standing.ruling()).document.index.policy.time_zone)
        agency, after = page.after or ("", "")
        rows = [row async for row in queries.unfiled_answers(
            database.pool, answered=REPORT_ANSWERED, filed=REPORT_FILED, agency=agency, after=after,
            most=page.limit + 1,
        )]  # fmt: skip
        return page.of([_unfiled(row, zone) for row in rows], lambda told: (told["agency"], told["report_id"]))

    @routes.get("/reports/{agency}/{report_id:path}")
    async def show(
        agency: str,
        report_id: str,
        reader: Reader,
        purpose: Annotated[Purpose | None, Query()] = None,
    ) -> dict[str, Any]:
        """A report as it stands at this moment, and all that happened to it; its people as the registry knows them."""
        if purpose is not None:
            must_have(Right.disclose, reader)
        policy = (await service.standing.ruling()).document
        zone = ZoneInfo(policy.index.policy.time_zone)
        async with database.transaction() as connection:
            routed = (await reports.ways(connection, {report_id})).get((agency, report_id))
            if routed is None:
                raise refusal(404, "no_report")
            if not reader.covers(routed.way.data["region"]):
                raise refusal(403, "outside")
            matched = await match(connection, store_of(connection, policy, clock()), routed.way.data, policy)
            if purpose is not None:
                target = mask_text(f"report {agency}/{report_id}")
                named = {each for whom in matched for each in whom.persons}
                detail = {"purpose": mask_text(purpose), "what": "report"}
                await acts.record(connection, reader, "disclose", target, detail, named)
        return {
            "agency": agency, "report_id": report_id, "key": routed.key,
            **_told(routed.way, zone), "people": _people(routed.way.data, matched, disclosed=purpose is not None),
            **({name: routed.way.data[name] for name in DISCLOSED} if purpose is not None else {}),
            "timeline": _timeline(routed.way, zone, disclosed=purpose is not None),
        }  # fmt: skip

    return routes


def _told(way: Way, zone: ZoneInfo) -> dict[str, Any]:
    told = {
        **{name: way.data.get(name) for name in ("kind", "region", "households", "happened_on")},
        "filed_by_role": way.data["filed_by"]["role"], "step": way.step, "state": way.state,
        "in_charge": way.in_charge, "neighbours": _neighbours(way.neighbours), "since": _local(way.since, zone),
        "deadline": _local(way.deadline, zone), "outcome": way.outcome, "closed_by": way.closed_by,
        "filed_at": _local(way.filed_at, zone),
    }  # fmt: skip
    return {name: value for name, value in told.items() if value is not None}


def _timeline(way: Way, zone: ZoneInfo, *, disclosed: bool) -> list[dict[str, Any]]:
    return [
        {
            "at": _local(entry.at, zone), "what": entry.what, "step": entry.step,
            **({"agency": entry.agency} if entry.agency is not None else {}),
            **{
                name: _local(value, zone) if name == "deadline" else _neighbours(value) if name == "neighbours"
                else mask_text(value) if name == "to_agency" else value
                for name, value in entry.detail.items() if disclosed or name not in routing.DISCLOSED
            },
        }
        for entry in way.timeline
    ]  # fmt: skip


def _people(data: Mapping[str, Any], matched: Sequence[Matched], *, disclosed: bool) -> list[dict[str, Any]]:
    return [
        {
            **({"nik": person["nik"] if disclosed else mask(person["nik"])} if person.get("nik") is not None else {}),
            **({name: person[name] for name in ("name", "birth_date", "note") if person.get(name) is not None}
               if disclosed else {}),
            "matched_by": whom.by, "persons": whom.persons, "known": whom.known,
        }
        for person, whom in zip(data["people"], matched, strict=True)
    ]  # fmt: skip


def _listed(row: Any, zone: ZoneInfo) -> dict[str, Any]:
    names = ("kind", "region", "step", "state", "in_charge", "outcome")
    moments = {"filed_at": row["filed_at"], "since": row["since"], "deadline": row["due_at"]}
    told = {name: row[name] for name in names} | {name: _local(at, zone) for name, at in moments.items()}
    return {
        "agency": row["agency"], "report_id": row["about"],
        **{name: value for name, value in told.items() if value is not None},
    }  # fmt: skip


def _unfiled(row: Any, zone: ZoneInfo) -> dict[str, Any]:
    data = read(row["data"])
    return {
        "agency": row["agency"], "report_id": row["about"], "outcome": data["outcome"],
        "answered_at": _local(row["at"], zone),
    }  # fmt: skip


def _neighbours(told: Sequence[tuple[str, str]]) -> list[dict[str, str]] | None:
    return [{"agency": agency, "institution_id": institution} for agency, institution in told] or None


def _local(moment: datetime | None, zone: ZoneInfo) -> str | None:
    """A moment by the province's clocks."""
    return None if moment is None else moment.astimezone(zone).isoformat(timespec="seconds")
