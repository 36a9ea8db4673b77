"""Distribution over HTTP: the overlaps that stand, whether payouts may go, and all that is held of a person."""

from collections.abc import AsyncIterator
from typing import Annotated, Any, Final, Literal, Self
from uuid import UUID

import orjson
from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import StreamingResponse
from pydantic import Field, model_validator
from tepat_chassis import acts
from tepat_chassis.auth import Person, Right, needs
from tepat_chassis.database import Connection, Database
from tepat_chassis.http import Page, Region, must_be_of, paging
from tepat_chassis.lines import OneAtATime
from tepat_chassis.standing import Standing
from tepat_chassis.subjects import Subject
from tepat_chassis.wanted import Body, Day
from tepat_contracts.policy import Policy

from tepat_distribution import findings_api, simulate, trace
from tepat_distribution.check import Checks
from tepat_distribution.domain import DECISIONS, STATES, VERDICTS
from tepat_distribution.policed import Policed
from tepat_distribution.refusals import refusal, words
from tepat_distribution.store import every, queries

Reader = Annotated[Person, Depends(needs(Right.read))]
PolicyMaker = Annotated[Person, Depends(needs(Right.policy))]
LONGEST_LINE: Final = 1_048_576
"""Bytes: no service takes a larger record."""
LARGEST_LIST: Final = 2 * 2**30
"""Bytes: some three million payments."""


class Proposed(Body):
    """A policy that somebody thinks of, and the days whose payouts it is tried on, both inclusive."""

    policy: Policy
    from_: Annotated[Day, Field(alias="from")]
    to: Day

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.to < self.from_:
            raise ValueError(words("ends_before"))
        return self


def router(database: Database, standing: Standing[Policed], checks: Checks) -> APIRouter:
    """The routes below /v1."""
    routes = APIRouter(tags=["overlaps"])
    simulations, lists = OneAtATime("simulation", "simulasi"), OneAtATime("payment list", "daftar bayar")

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
        known = (await standing.ruling()).document
        must_be_of(known.index.programmes, "programme", programme, what="programme")
        must_be_of(known.agencies, "agency", agency, what="agency")
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

    @routes.get("/clearances")
    async def clearances(
        person: Reader,
        page: Annotated[Page, Depends(paging(str, str))],
        decision: Literal["clear", "hold", "unknown"] | None = None,
        programme: str | None = None,
        agency: str | None = None,
        region: Region = None,
        payout_id: str | None = None,
    ) -> dict[str, Any]:
        """Whether planned payouts may go, as last answered, in the person's regions; by agency and payout."""
        known = (await standing.ruling()).document
        must_be_of(known.index.programmes, "programme", programme, what="programme")
        must_be_of(known.agencies, "agency", agency, what="agency")
        after_agency, after_payout = page.after or (None, None)
        rows = await every(queries.clearances(
            database.pool,
            after_agency=after_agency, after_payout=after_payout, agency=agency, programme=programme, region=region,
            decision=DECISIONS.index(decision) if decision else None, payout_id=payout_id,
            regions=list(person.regions), at_most=page.limit + 1,
        ))  # fmt: skip
        return page.of([_clearance(row) for row in rows], lambda item: (item["agency"], item["payout_id"]))

    @routes.get("/clearances/figures")
    async def figures(person: Reader) -> dict[str, Any]:
        """How many planned payouts are clear, held and unknown, and rupiah, by programme, in the person's regions."""
        rows = await every(queries.clearances_by_decision(database.pool, regions=list(person.regions)))
        return {"items": [dict(row) | {"decision": DECISIONS[row["decision"]]} for row in rows]}

    @routes.post("/checks", max_body_size=LARGEST_LIST)
    async def check(request: Request, agency: str, person: Reader) -> StreamingResponse:
        """A payment list, each line an event as an agency sends it (JSON Lines), answered without being published.

        JSON Lines: of each line its number `n`, `decision` (`clear`, `hold`, `unknown`; `ends` where it cancels or
        returns a payment), `reasons` and `overlaps`, or `rejected` and why; of a line whose payout id another one has
        that holds instead, the number of that as `same_id_as`. In the end the `result`, how many there are of each, or
        why it `failed`.
        """
        policy = (await standing.ruling()).document
        must_be_of(policy.index.agencies, "agency", agency, what="agency")
        listed = await checks.listed(_lines(request), agency, policy, person)
        async with database.transaction() as connection:
            await acts.record(connection, person, "check", agency, {"lines": listed.lines})
        return lists.answer(checks.answered(listed))

    @routes.post("/simulations")
    async def simulated(asked: Proposed, maker: PolicyMaker) -> StreamingResponse:
        """Which overlaps of a period would appear and vanish under a proposed policy, by rule and kabupaten or kota.

        JSON Lines: how many slices of the ledger are `done` `of` how many, in the end the `result`, or why it `failed`.
        """
        told = simulate.simulated(database, asked.policy, asked.from_, asked.to, maker.covers)
        return simulations.answer(told)

    return routes


async def held(connection: Connection, reader: Person, subject: Subject) -> dict[str, Any]:
    """Everything kept of a person: their payouts, ended ones too, what was announced, decided and found of those, the
    receipts of capital, what funds spent on their households, the groups they are and were in, and their places in
    rounds, with what they were promised and given there.
    """
    rows = await every(queries.payouts_held(connection, niks=subject.persons))
    rows = [row for row in rows if reader.covers(row["region"])]
    overlaps = {row["overlap_id"]: row for row in await every(queries.overlaps_of(connection, **trace.named(rows)))}
    cases = await every(queries.cases_named(connection, ids=list(overlaps)))
    answers = await every(queries.clearances_of(connection, **trace.named(rows)))
    receipts = await every(queries.receipts_of(connection, **trace.named(rows)))
    spent = await every(queries.spent_on(connection, households=subject.households))
    groups = await every(queries.groups_of(connection, niks=subject.persons))
    rounds = await every(queries.in_rounds(connection, subjects=[*subject.persons, *subject.households]))
    return {
        "rounds": [dict(row) for row in rounds if reader.covers(row["region"])],
        "payouts": [
            trace.taken(row) | {"told_at": row["event_time"], "state": STATES[row["rank"]]} for row in rows
        ],
        "overlaps": [trace.announced(row)["detail"] for row in overlaps.values()],
        "cases": [orjson.loads(row["told"]) for row in cases if row["told"] is not None],
        "clearances": [trace.answered(row) for row in answers],
        "findings": await findings_api.held(connection, reader, subject.persons, rows),
        "receipts": [dict(row) | {"receipt": row["receipt"].hex()} for row in receipts],
        "spent_by_funds": [
            {name: row[name] for name in ("entry_id", "fund", "amount", "on_day", "region")}
            for row in spent if reader.covers(row["region"])
        ],
        "groups": [dict(row) for row in groups if reader.covers(row["region"])],
    }  # fmt: skip


async def _lines(request: Request) -> AsyncIterator[bytes]:
    """The lines of a request's body that are not empty."""
    rest = b""
    async for chunk in request.stream():
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            if line.strip():
                yield line
        if len(rest) > LONGEST_LINE:
            raise refusal(413, "line_too_long")
    if rest.strip():
        yield rest


def _clearance(row: Any) -> dict[str, Any]:
    return trace.answered(row) | {
        "programme": row["programme_code"], "amount": row["amount"], "person": row["person"],
        "household": row["household"],
    }  # fmt: skip


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
