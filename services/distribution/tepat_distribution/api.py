"""Distribution over HTTP: the overlaps that stand, and the way of one payout."""

from datetime import date
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field, model_validator
from tepat_chassis.auth import Person, Right, needs
from tepat_chassis.database import Connection, Database
from tepat_chassis.http import Page, Region, must_be_of, paging
from tepat_chassis.lines import OneAtATime
from tepat_chassis.standing import Standing
from tepat_chassis.subjects import Subject
from tepat_contracts.policy import Policy
from tepat_contracts.topics import Kind, inbound_name

from tepat_distribution import findings_api, simulate
from tepat_distribution.domain import STATES, VERDICTS
from tepat_distribution.policed import Policed
from tepat_distribution.store import every, queries

Reader = Annotated[Person, Depends(needs(Right.read))]
PolicyMaker = Annotated[Person, Depends(needs(Right.policy))]


class Proposed(BaseModel):
    """A policy that somebody thinks of, and the days whose payouts it is tried on, both inclusive."""

    policy: Policy
    from_: Annotated[date, Field(alias="from")]
    to: date

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.to < self.from_:
            raise ValueError("the period ends before it begins")
        return self


def router(database: Database, standing: Standing[Policed]) -> APIRouter:
    """The routes below /v1."""
    routes = APIRouter(tags=["overlaps"])
    simulations = OneAtATime("simulation")

    @routes.get("/overlaps")
    async def overlaps(
        person: Reader,
        page: Annotated[Page, Depends(paging(UUID))],
        live: Annotated[bool | None, Query(description="those that stand; false: those cleared")] = True,
        both: Annotated[bool, Query(alias="all", description="both")] = False,
        verdict: Literal["exclusive", "review"] | None = None,
        programme: str | None = None,
        agency: str | None = None,
        region: Region = None,
        overlap_id: UUID | None = None,
        household: Annotated[UUID | None, Query(description="those of this household's payouts")] = None,
    ) -> dict[str, Any]:
        """Overlaps as last announced, in the person's regions."""
        if programme is not None:
            must_be_of((await standing.ruling()).document.index.programmes, "programme", programme, what="programme")
        ids = None if overlap_id is None else [overlap_id]
        if household is not None:
            of = await every(queries.overlaps_in(database.pool, household=household))
            ids = [row["overlap_id"] for row in of if overlap_id in (None, row["overlap_id"])]
        rows = await every(queries.overlaps(
            database.pool,
            after=page.after[0] if page.after else None, live=None if both else live,
            strength=VERDICTS.index(verdict) if verdict else None, programme=programme, agency=agency, region=region,
            regions=list(person.regions), ids=ids, at_most=page.limit + 1,
        ))  # fmt: skip
        return page.of([_overlap(row) for row in rows], lambda item: (item["overlap_id"],))

    @routes.post("/simulations")
    async def simulated(asked: Proposed, maker: PolicyMaker) -> StreamingResponse:
        """Which overlaps of a period would appear and vanish under a proposed policy, by rule and kabupaten or kota.

        JSON Lines: how many slices of the ledger are `done` `of` how many, in the end the `result`, or why it `failed`.
        """
        told = simulate.simulated(database, asked.policy, asked.from_, asked.to, maker.covers)
        return simulations.answer(told)

    @routes.get("/trace/{name:path}")
    async def trace(name: str, person: Reader) -> dict[str, Any]:
        """What this service did with a payout (``agency/payout_id`` or payout id), overlap, person, household or event.

        Only the event that holds of a payout is known here, and found by a look through the whole ledger.
        """
        agency, _, rest = name.partition("/")
        nobody = {"payout_id": None, "agency": None, "g": None, "event_id": None}
        meant: list[dict[str, Any]] = [{"payout_id": rest, "agency": agency}] if rest else []
        meant += [{"payout_id": name, "g": _uuid(name)}, {"event_id": name}]  # a payout id may have a slash itself
        rows: list[Any] = []
        while meant and not rows:
            rows = await every(queries.payouts_named(database.pool, **nobody | meant.pop(0)))
        rows = [row for row in rows if person.covers(row["region"])]
        steps = [_taken(row) for row in rows]
        if rows:
            told = await every(
                queries.overlaps_of(
                    database.pool, agencies=[r["agency"] for r in rows], payout_ids=[r["payout_id"] for r in rows]
                )
            )
            steps += [_announced(row) for row in {row["overlap_id"]: row for row in told}.values()]
        return {"steps": sorted(steps, key=lambda step: step["at"])}

    return routes


async def held(connection: Connection, reader: Person, subject: Subject) -> dict[str, Any]:
    """Everything kept of a person: their payouts, ended ones too, what was announced and found of them."""
    rows = await every(queries.payouts_held(connection, niks=subject.persons))
    rows = [row for row in rows if reader.covers(row["region"])]
    told = await every(
        queries.overlaps_of(connection, agencies=[r["agency"] for r in rows], payout_ids=[r["payout_id"] for r in rows])
    )
    return {
        "payouts": [
            _taken(row)["detail"] | {"told_at": row["event_time"], "state": STATES[row["rank"]]} for row in rows
        ],
        "overlaps": [_announced(row)["detail"] for row in {row["overlap_id"]: row for row in told}.values()],
        "findings": await findings_api.held(connection, reader, subject.persons, rows),
    }


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _overlap(row: Any) -> dict[str, Any]:
    return {
        "overlap_id": row["overlap_id"],
        "revision": row["revision"],
        "live": row["live"],
        "rule": row["rule"],
        "verdict": VERDICTS[row["strength"]],
        "scope": "person" if row["by_person"] else "household",
        "person": row["person"],
        "household": row["household"],
        "payouts": [
            {
                "agency": row[f"agency_{side}"], "payout_id": row[f"payout_{side}"],
                "revision": row[f"revision_{side}"], "state": STATES[row[f"rank_{side}"]],
                "programme": row[f"code_{side}"], "amount": row[f"amount_{side}"],
            }
            for side in "ab"
        ],
        "during": {"from": row["starts"], "to": row["ends"]},
        "amount_at_risk": row["amount_at_risk"],
        "region": row["region"],
        "policy_version": row["policy_version"],
        "announced_at": row["announced_at"],
    }  # fmt: skip


def _taken(row: Any) -> dict[str, Any]:
    return {
        "at": row["event_time"],
        "service": "distribution",
        "what": f"payout {STATES[row['rank']]}",
        "detail": {
            "agency": row["agency"], "payout_id": row["payout_id"], "revision": row["revision"],
            "event_id": row["event_id"], "topic": inbound_name(row["agency"], Kind.PAYOUTS),
            "partition": row["partition"], "offset": row["offset"], "programme": row["programme"],
            "covers": {"from": row["starts"], "to": row["ends"]}, "amount": row["amount"],
            "person": row["person"], "household": row["household"], "region": row["region"],
            "traceparent": row["trace"],
        },
    }  # fmt: skip


def _announced(row: Any) -> dict[str, Any]:
    return {
        "at": row["announced_at"],
        "service": "distribution",
        "what": "overlap announced" if row["live"] else "overlap cleared",
        "detail": {
            "overlap_id": row["overlap_id"], "revision": row["revision"], "rule": row["rule"],
            "verdict": VERDICTS[row["strength"]], "amount_at_risk": row["amount_at_risk"],
            "payouts": [f"{row['agency_a']}/{row['payout_a']}", f"{row['agency_b']}/{row['payout_b']}"],
        },
    }  # fmt: skip
