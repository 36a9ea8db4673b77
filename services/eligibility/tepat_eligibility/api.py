"""Eligibility over HTTP: what was decided, and the way to it of one person or household."""

from typing import Annotated, Any, Final, Literal
from uuid import UUID

import orjson
from fastapi import APIRouter, Depends, Query
from fastapi.responses import StreamingResponse
from pydantic import ConfigDict
from tepat_chassis.auth import Person, Right, needs
from tepat_chassis.database import Connection, Database
from tepat_chassis.http import Page, Region, paging, uuid_in
from tepat_chassis.lines import OneAtATime
from tepat_chassis.subjects import Subject
from tepat_chassis.wanted import Body
from tepat_contracts.policy import Policy

from tepat_eligibility import simulate
from tepat_eligibility.domain import Verdict
from tepat_eligibility.store import every, queries

Reader = Annotated[Person, Depends(needs(Right.read))]
PolicyMaker = Annotated[Person, Depends(needs(Right.policy))]

CHARACTERS: Final = {"kabupaten": 5, "kecamatan": 8, "kelurahan": 13}
"""Of a region's code, up to a level."""


class Proposed(Body):
    """A policy that somebody thinks of; what distribution is asked beside it is left to it."""

    model_config = ConfigDict(extra="ignore")
    policy: Policy


def router(database: Database) -> APIRouter:
    """The routes below /v1."""
    routes = APIRouter(tags=["decisions"])
    simulations = OneAtATime("simulation", "simulasi")

    @routes.get("/decisions")
    async def decisions(
        reader: Reader,
        page: Annotated[Page, Depends(paging(UUID, str))],
        programme: str | None = None,
        decision: Verdict | None = None,
        household: Annotated[UUID | None, Query(description="decisions of this household")] = None,
        person: Annotated[UUID | None, Query(description="decisions of this person")] = None,
    ) -> dict[str, Any]:
        """Decisions as last announced, in the reader's regions."""
        subjects = [subject for subject in (household, person) if subject is not None]
        after = page.after or (None, None)
        rows = await every(
            queries.decisions(
            database.pool,
            after_subject=after[0], after_programme=after[1], programme=programme, decision=decision,
            unit=_unit(household, person), subjects=subjects or None, regions=list(reader.regions) or None,
            at_most=page.limit + 1,
            )
        )  # fmt: skip
        return page.of([_decision(row) for row in rows], lambda told: (told[told["unit"]], told["programme"]))

    @routes.get("/decisions/count")
    async def count(
        reader: Reader,
        decision: Verdict = "eligible",
        programme: str | None = None,
        region: Region = None,
        by: Annotated[
            Literal["kabupaten", "kecamatan", "kelurahan"] | None, Query(description="also a line for each of them")
        ] = None,
    ) -> dict[str, Any]:
        """How many subjects are decided so, by programme and area: persons or households, by the programme's `unit`.

        An area is that of the household's home. Who lives nowhere known is of none.
        """
        rows = await every(
            queries.decided(
            database.pool, decision=decision, programme=programme, region=region, characters=by and CHARACTERS[by],
            regions=list(reader.regions) or None,
            )
        )  # fmt: skip
        items = [
            {"programme": row["programme"], "unit": row["unit"], "subjects": row["subjects"]}
            | ({by: row["area"]} if by else {})
            for row in rows
        ]
        return {"decision": decision, "region": region, "items": items}

    @routes.post("/simulations")
    async def simulated(asked: Proposed, maker: PolicyMaker) -> StreamingResponse:
        """What a proposed policy would decide otherwise today, by programme and kabupaten or kota.

        JSON Lines: how many households are `done` `of` how many, in the end the `result`, or why it `failed`.
        """
        return simulations.answer(simulate.lines(database, asked.policy.document(), maker.covers))

    @routes.get("/trace/{name:path}")
    async def trace(name: str, reader: Reader) -> dict[str, Any]:
        """What this service did with a person or household (pseudonym), a decision (key), a visit or objection (id), or
        who was ranked in a round.
        """
        programme, bar, subject = name.rpartition("|")
        named = [g] if (g := uuid_in(subject)) is not None else []
        persons = await every(queries.known(database.pool, g=named))
        steps = []
        for row in persons:
            told = orjson.loads(row["told"])
            if reader.covers(told.get("region")):
                steps.append(_person(row, told))
        niks = [step["detail"]["person"] for step in steps]
        for row in await every(queries.visits_known(database.pool, niks=niks, verification_id=name)):
            if reader.covers(row["region"]):
                steps.append(_visit(row))
                niks.append(row["nik"])
        for row in await every(queries.objections_known(database.pool, niks=niks, objection_id=name)):
            if reader.covers(row["region"]):
                steps.append(_objection(row))
                niks.append(row["nik"])
        rows = await every(
            queries.decisions(
            database.pool,
            after_subject=None, after_programme=None, programme=programme if bar else None, decision=None, unit=None,
            subjects=[*named, *niks], regions=list(reader.regions) or None, at_most=1000,
            )
        )  # fmt: skip
        steps += [_made(row) for row in rows]
        ranking = await queries.ranking(database.pool, round=name)
        if ranking is not None and reader.covers(ranking["region"]):
            steps.append(_ranked(ranking))
        return {"steps": sorted(steps, key=lambda step: step["at"])}

    return routes


async def held(connection: Connection, reader: Person, subject: Subject) -> dict[str, Any]:
    """Everything kept of a person, all that erasing takes away (`forget_persons`): as the registry told of them, the
    lists they stand on, the visits made to them, objections, what was decided, and where they were ranked.
    """
    persons = []
    for row in await every(queries.known(connection, g=subject.persons)):
        told = orjson.loads(row["told"])
        if reader.covers(told.get("region")):
            persons.append(_person(row, told)["detail"] | {"told": told})
    lists = await every(queries.listed_known(connection, niks=subject.persons))
    visits = await every(queries.visits_known(connection, niks=subject.persons, verification_id=None))
    objections = await every(queries.objections_known(connection, niks=subject.persons, objection_id=None))
    subjects = [*subject.persons, *subject.households]
    decisions = await every(
        queries.decisions(
            connection, after_subject=None, after_programme=None, programme=None, decision=None, unit=None,
            subjects=subjects, regions=list(reader.regions) or None, at_most=None,
        )
    )  # fmt: skip
    rounds = await every(queries.ranked_known(connection, subjects=subjects))
    return {
        "persons": persons,
        "listed": [_kept(row) for row in lists if reader.covers(row["region"])],
        "verifications": [_kept(row) for row in visits if reader.covers(row["region"])],
        "objections": [_kept(row) for row in objections if reader.covers(row["region"])],
        "decisions": [_decision(row) for row in decisions],
        "ranked": [_placed(row) for row in rounds if reader.covers(row["region"])],
    }


def _kept(row: Any) -> dict[str, Any]:
    """All that is kept of what an agency told of a person."""
    told = {name: value for name, value in row.items() if name not in ("nik", "digest", "trace", "evidence")}
    evidence = {"evidence": orjson.loads(row["evidence"] or "[]")} if "evidence" in row else {}
    return {"person": row["nik"], **told, **evidence, "traceparent": row["trace"]}


def _placed(row: Any) -> dict[str, Any]:
    """A place in a round, and what it rests on."""
    of = ("round", "programme", "region", "as_of", "made_at", "policy_version", "rank_by", "places")
    told = ("subject", "rank", "reached", "score", "left_out")
    return {
        **{name: row[name] for name in (*of, *told)}, "made_by": row["who"],
        **{name: orjson.loads(row[name]) for name in ("facts", "missing")},
    }  # fmt: skip


def _unit(household: UUID | None, person: UUID | None) -> Literal["household", "person"] | None:
    """The unit asked for, where one is; both at once ask for no more than the subjects."""
    if (household is None) == (person is None):
        return None
    return "person" if household is None else "household"


def _decision(row: Any) -> dict[str, Any]:
    return {
        "programme": row["programme"],
        "unit": row["unit"],
        row["unit"]: row["subject"],
        "revision": row["revision"],
        "decision": row["decision"],
        "reasons": orjson.loads(row["reasons"]),
        **{name: orjson.loads(row[name]) for name in ("due", "score") if row[name] is not None},
        "region": row["region"],
        "policy_version": row["policy_version"],
        "as_of": row["as_of"],
        "decided_at": row["decided_at"],
    }


def _made(row: Any) -> dict[str, Any]:
    return {"at": row["decided_at"], "service": "eligibility", "what": "decision made", "detail": _decision(row)}


def _ranked(row: Any) -> dict[str, Any]:
    told = ("round", "programme", "region", "ranked", "places", "rank_by", "policy_version", "who")
    detail = {name: row[name] for name in told}
    return {"at": row["made_at"], "service": "eligibility", "what": "ranking made", "detail": detail}


def _person(row: Any, told: dict[str, Any]) -> dict[str, Any]:
    return {
        "at": row["taken_at"],
        "service": "eligibility",
        "what": "person taken",
        "detail": {
            "person": row["person"], "revision": row["revision"], "stands_for": told["stands_for"],
            "household": row["household"], "region": told.get("region"),
        },
    }  # fmt: skip


def _visit(row: Any) -> dict[str, Any]:
    return {
        "at": row["taken_at"],
        "service": "eligibility",
        "what": "verification taken",
        "detail": {
            "agency": row["agency"], "verification_id": row["verification_id"], "revision": row["revision"],
            "event_id": row["event_id"], "person": row["nik"], "programme": row["programme"],
            "outcome": row["outcome"], "verified_on": row["verified_on"], "traceparent": row["trace"],
        },
    }  # fmt: skip


def _objection(row: Any) -> dict[str, Any]:
    return {
        "at": row["taken_at"],
        "service": "eligibility",
        "what": "objection taken",
        "detail": {
            "agency": row["agency"], "objection_id": row["objection_id"], "revision": row["revision"],
            "event_id": row["event_id"], "person": row["nik"], "programme": row["programme"],
            "filed_on": row["filed_on"], "state": row["state"], "settled_by": row["settled_by"],
            "traceparent": row["trace"],
        },
    }  # fmt: skip
