"""Field verification over HTTP: batches with their funnels, visits one by one, and objections.

Invariants
- A person is known here by a pseudonym; a reason is told as its agency wrote it, to readers alone.
- Of several visits to one NIK in a batch the last counts, in the order in which visits outdate one another, each from
  its day on; listed is whoever was told to be on the list, or is told to be visited.
- What lies outside the reader's regions is neither told nor counted.
"""

from datetime import date
from typing import Annotated, Any, Final

import orjson
from fastapi import APIRouter, Depends, Query
from tepat_chassis.auth import Person, Right, needs
from tepat_chassis.database import Database
from tepat_chassis.http import Page, must_be_of, paging
from tepat_chassis.standing import Standing

from tepat_eligibility.domain import ObjectionState, Outcome
from tepat_eligibility.policed import Policed
from tepat_eligibility.refusals import refusal
from tepat_eligibility.store import every, queries

Reader = Annotated[Person, Depends(needs(Right.read))]
FIGURES: Final = ("listed", "visited", "confirmed", "rejected", "moved", "deceased", "not_found")


def router(database: Database, standing: Standing[Policed]) -> APIRouter:
    """The routes below /v1."""
    routes = APIRouter(tags=["field verification"])

    async def listed(batch: str, agency: str | None, reader: Person) -> tuple[list[Any], int | None]:
        """The funnel of a batch, and how many were forgotten out of it, unless it is asked for as one agency told it:
        by whom these were told is not kept. Raises HTTPException where none was listed.
        """
        rows = await every(queries.funnel(database.pool, batch=batch, agency=agency, regions=_regions(reader)))
        forgotten = None
        if agency is None:
            forgotten = await queries.forgotten(database.pool, batch=batch, regions=_regions(reader))
        if not (forgotten or next(row for row in rows if row["of"] == "batch")["listed"]):
            raise refusal(404, "no_batch" if agency is None else "no_batch_of_agency")
        return rows, forgotten

    @routes.get("/verifications/batches")
    async def batches(reader: Reader, page: Annotated[Page, Depends(paging(str))]) -> dict[str, Any]:
        """Batches by name: how many were listed, visited, and with what outcome."""
        rows = await every(
            queries.batches(
                database.pool, after=page.after and page.after[0], regions=_regions(reader), at_most=page.limit + 1
            )
        )
        answer = page.of([_batch(row) for row in rows], lambda told: (told["batch"],))
        return answer | {"items": [each for each in answer["items"] if each["listed"] or each["forgotten"]]}

    @routes.get("/verifications/batches/{batch:path}")
    async def funnel(
        batch: str,
        reader: Reader,
        agency: Annotated[str | None, Query(description="as far as this agency told it")] = None,
    ) -> dict[str, Any]:
        """One batch: the same figures for all of it, by region, officer and day, and why people were not confirmed."""
        rows, forgotten = await listed(batch, agency, reader)
        whole = next(row for row in rows if row["of"] == "batch")
        reasons = [
            {"outcome": row["ended"], "reason": row["reason"] or None, "persons": row["listed"]}
            for row in rows if row["of"] == "reason" and row["ended"] not in (None, "confirmed")
        ]  # fmt: skip
        return {
            "batch": batch, **_figures(whole), "waiting": whole["listed"] - whole["visited"],
            "evidenced": whole["evidenced"], "forgotten": forgotten,
            "rejected_without_reason": sum(
                each["persons"] for each in reasons if each["outcome"] == "rejected" and each["reason"] is None
            ),
            "reasons": reasons,
            "regions": [{"region": row["region"], **_figures(row)} for row in rows if row["of"] == "region"],
            "officers": [
                {"officer": row["officer"], **_figures(row, 1)}
                for row in rows if row["of"] == "officer" and row["visited"]
            ],
            "days": [
                {"day": row["verified_on"], **_figures(row, 1)}
                for row in rows if row["of"] == "day" and row["visited"]
            ],
        }  # fmt: skip

    @routes.get("/verifications")
    async def visits(
        reader: Reader,
        page: Annotated[Page, Depends(paging(str, str))],
        batch: str | None = None,
        outcome: Outcome | None = None,
        officer: str | None = None,
    ) -> dict[str, Any]:
        """Visits one by one, each as it holds."""
        after = page.after or (None, None)
        rows = await every(
            queries.visits_made(
                database.pool, after_agency=after[0], after_id=after[1], batch=batch, outcome=outcome, officer=officer,
                regions=_regions(reader), at_most=page.limit + 1,
            )
        )  # fmt: skip
        if batch is not None and not rows:
            await listed(batch, None, reader)
        return page.of([_visit(row) for row in rows], lambda told: (told["agency"], told["verification_id"]))

    @routes.get("/objections")
    async def objections(
        reader: Reader,
        page: Annotated[Page, Depends(paging(date, str, str))],
        state: ObjectionState | None = None,
        programme: str | None = None,
    ) -> dict[str, Any]:
        """Objections by the day they were filed, each with what has become of it, or the days left until it lapses."""
        if programme is not None:
            must_be_of((await standing.ruling()).document.index.programmes, "programme", programme, what="programme")
        after = page.after or (None, None, None)
        rows = await every(
            queries.objections(
                database.pool, after_day=after[0], after_agency=after[1], after_id=after[2], state=state,
                programme=programme, regions=_regions(reader), at_most=page.limit + 1,
            )
        )  # fmt: skip
        return page.of(
            [_objection(row) for row in rows], lambda told: (told["filed_on"], told["agency"], told["objection_id"])
        )

    return routes


def _regions(reader: Person) -> list[str] | None:
    return list(reader.regions) or None


def _figures(row: Any, first: int = 0) -> dict[str, int]:
    return {name: row[name] for name in FIGURES[first:]}


def _batch(row: Any) -> dict[str, Any]:
    days = {name: row[name] for name in ("listed_on", "first_visit", "last_visit")}
    return {"batch": row["batch"], **_figures(row), "forgotten": row["forgotten"], **days}


def _visit(row: Any) -> dict[str, Any]:
    told = ("agency", "verification_id", "revision", "batch", "programme", "outcome", "reason", "verified_on")
    return {
        **{name: row[name] for name in told}, "person": row["nik"], "officer": row["officer"], "region": row["region"],
        "evidence": orjson.loads(row["evidence"] or "[]"),
    }  # fmt: skip


def _objection(row: Any) -> dict[str, Any]:
    told = ("agency", "objection_id", "revision", "programme", "grounds", "region", "filed_on", "filed_by", "state")
    then = ("village", "lapses_on", "days_left", "settled_on", "settled_by")
    return {
        **{name: row[name] for name in told}, "person": row["nik"], "evidence": orjson.loads(row["evidence"]),
        **{name: row[name] for name in then if row[name] is not None},
    }  # fmt: skip
