"""Cases over HTTP: what waits to be resolved, all that happened in one, what people decide, and what came of it.

Every act is done to the overlap and to the case as whoever does it saw them: they name both revisions, and are told
where the one has changed, and what was done in the other meanwhile.
"""

import re
from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any, Final, Literal
from uuid import UUID
from zoneinfo import ZoneInfo

import orjson
from fastapi import APIRouter, Depends, Query
from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError
from tepat_chassis import acts
from tepat_chassis.auth import Person, Right, needs
from tepat_chassis.database import Connection, Database
from tepat_chassis.http import Page, Region, must_be_of, paging
from tepat_chassis.logging import mask
from tepat_chassis.standing import Standing as InForce
from tepat_chassis.wanted import Body, Grounds
from tepat_contracts.cases import case_code, ids_of
from tepat_contracts.policy import Cases

from tepat_distribution import cases, resolving
from tepat_distribution.cases import Standing
from tepat_distribution.domain import STATES, VERDICTS
from tepat_distribution.policed import Policed
from tepat_distribution.refusals import CALLED, refusal, words
from tepat_distribution.resolving import Act, Case, Judgement, RefusedError
from tepat_distribution.store import every, queries
from tepat_distribution.timeline import timeline

Reader = Annotated[Person, Depends(needs(Right.read))]
Resolver = Annotated[Person, Depends(needs(Right.resolve))]
Waiver = Annotated[Person, Depends(needs(Right.waive))]
Seen = Annotated[int, Field(ge=1, description="`overlap_revision` as whoever decides saw it")]
SeenCase = Annotated[
    int | None,
    Field(
        ge=0,
        description="the case's `revision` as whoever decides saw it; unless it is named, what others did "
        "since is no hindrance",
    ),
]
Basis = Annotated[Grounds, Field(description="the rule that allows it: a law, a decree")]

BECAME: Final = ("prevented", "recovered", "kept")
MOST_MEANWHILE: Final = 3
"""Acts named to who comes too late: the timeline tells all."""
ACCOUNT: Final = re.compile("[!-~]{1,255}")


def _account(said: str) -> str:
    """An account as a token's ``sub`` may name it (OpenID Connect Core 1.0, 2: ASCII, 255 characters at most)."""
    if not ACCOUNT.fullmatch(said):
        raise PydanticCustomError("account", "{said}", {"said": words("no_account")})
    return said


class Assignment(Body):
    """Who is to see to it."""

    to: Annotated[str, AfterValidator(_account), Field(description="the account that has charge of it")]
    reason: Grounds | None = None
    revision: Seen
    case_revision: SeenCase = None


class Hold(Body):
    """Why the payments are to wait."""

    reason: Grounds
    basis: Basis | None = None
    revision: Seen
    case_revision: SeenCase = None


class Resolution(Hold):
    """Why it is decided so, and on what basis."""

    basis: Basis


class Desk:
    """Where people act in cases: each act done, recorded and told in one transaction."""

    def __init__(self, database: Database, in_force: InForce[Policed], clock: Callable[[], datetime]) -> None:
        self._database = database
        self._in_force = in_force
        self._clock = clock

    async def assign(self, which: str, person: Person, said: Assignment) -> dict[str, Any]:
        """Say who has charge of it; the case as it stands then, with a ``warning`` where that account never acted here:
        who has one only their issuer knows. Raises HTTPException.
        """
        account = mask(said.to)

        def change(before: Standing, _: Cases, now: datetime) -> Case:
            reason = mask(said.reason) if said.reason is not None else None
            return resolving.assign(
                before.case, Act("assigned", now, before.facts.revision, person.sub, account, reason)
            )

        told = await self._act(which, person, said, change)
        unheard = account != person.sub and not await queries.acted(self._database.pool, account=account)
        return told | ({"warning": words("unheard", account=account)} if unheard else {})

    async def judge(self, which: str, person: Person, judgement: Judgement, said: Hold) -> dict[str, Any]:
        """Judge it; the case as it stands then. Raises HTTPException."""

        def change(before: Standing, terms: Cases, now: datetime) -> Case:
            basis = mask(said.basis) if said.basis is not None else None
            act = Act(judgement, now, before.facts.revision, person.sub, reason=mask(said.reason), basis=basis)
            return resolving.judge(before.case, before.facts, terms, judgement, act)

        return await self._act(which, person, said, change)

    async def _act(
        self, which: str, person: Person, said: Assignment | Hold, change: Callable[[Standing, Cases, datetime], Case]
    ) -> dict[str, Any]:
        now = self._clock()
        zone = ZoneInfo((await self._in_force.ruling()).document.index.policy.time_zone)
        async with self._database.transaction() as connection:
            overlap_id = await _named(connection, which)
            await queries.lock_overlap(connection, overlap_id=overlap_id)
            row = await _one(connection, overlap_id, person)
            if not row["live"]:
                raise refusal(409, "overlap_ended")
            terms = await cases.terms_in_force(connection)
            before = cases.standing(row, terms)
            if before.facts.revision != said.revision:
                raise refusal(409, "overlap_changed", seen=said.revision, now=before.facts.revision)
            if said.case_revision not in (None, before.case.revision):
                raise refusal(
                    409, "case_moved_on", seen=said.case_revision, now=before.case.revision,
                    meanwhile=_meanwhile(before.case, said.case_revision, zone),
                )  # fmt: skip
            try:
                after = change(before._replace(case=resolving.taken_up(before.case, terms, now)), terms, now)
            except RefusedError as refused:
                raise refusal(409, refused.why, **refused.told) from None
            await cases.keep(connection, [before._replace(case=after)], now)
            act = after.acts[-1].told()
            payouts = await every(queries.payouts_of_case(connection, overlap_id=overlap_id))
            persons = {row["person"] for row in payouts} - {None}
            await acts.record(connection, person, f"case.{act.pop('act')}", str(overlap_id), act, persons)
            return _told(await _one(connection, overlap_id, person), terms)


def router(database: Database, in_force: InForce[Policed], clock: Callable[[], datetime]) -> APIRouter:
    """The routes below /v1."""
    routes = APIRouter(tags=["cases"])

    @routes.get("/cases")
    async def listing(
        person: Reader,
        page: Annotated[Page, Depends(paging(UUID))],
        state: Annotated[
            resolving.State | None,
            Query(description="those that stand unless one is named; `closed`: those that ended"),
        ] = None,
        verdict: Literal["exclusive", "review"] | None = None,
        programme: str | None = None,
        agency: str | None = None,
        region: Region = None,
        assigned_to: str | None = None,
        overdue: Annotated[bool, Query(description="those whose deadline has passed")] = False,
    ) -> dict[str, Any]:
        """The cases of overlaps, in the person's regions: an overlap that nobody has touched is an open one."""
        known = (await in_force.ruling()).document
        must_be_of(known.index.programmes, "programme", programme, what="programme")
        must_be_of(known.agencies, "agency", agency, what="agency")
        async with database.pool.acquire() as connection:
            terms = await cases.terms_in_force(connection)
            rows = await every(queries.cases(
                connection, after=page.after[0] if page.after else None, state=state,
                strength=VERDICTS.index(verdict) if verdict else None, programme=programme, agency=agency,
                region=region, regions=list(person.regions), assigned_to=assigned_to, overdue=overdue, now=clock(),
                within=terms.within, at_most=page.limit + 1,
            ))  # fmt: skip
        return page.of([_told(row, terms) for row in rows], lambda item: (item["overlap_id"],))

    @routes.get("/cases/figures")
    async def figures(person: Reader, programme: str | None = None, region: Region = None) -> dict[str, Any]:
        """Rupiah that did not leave, came back, or were kept, by programme and kabupaten or kota of the payout that was
        stopped, returned, or paid beside another: each payout once, in cases that the policy or somebody judged.

        ``beside`` is what was stopped and returned in the others: reviews that nobody held, and what somebody let go.
        Both together are the report's prevented and recovered.
        """
        index = (await in_force.ruling()).document.index
        must_be_of(index.programmes, "programme", programme, what="programme")
        today = clock().astimezone(ZoneInfo(index.policy.time_zone)).date()
        rows = await every(queries.figures(
            database.pool, today=today, programme=programme, region=region, regions=list(person.regions)
        ))  # fmt: skip
        items = [
            {
                "programme": row["programme"], "region": row["region"],
                **{name: value for each in BECAME
                   for name, value in ((each, int(row[each])), (f"payouts_{each}", row[f"payouts_{each}"]))},
            }
            for row in rows if any(row[f"payouts_{each}"] for each in BECAME)
        ]  # fmt: skip
        return {
            "as_of": clock(), "items": items,
            "total": {name: sum(item[name] for item in items) for name in BECAME},
            "beside": {name: sum(int(row[f"{name}_beside"]) for row in rows) for name in BECAME[:2]},
        }  # fmt: skip

    @routes.get("/cases/{which}")
    async def show(which: str, person: Reader) -> dict[str, Any]:
        """One case, by its overlap's id or its code: how it stands, its payouts, its money, and all that happened."""
        policy = (await in_force.ruling()).document.index.policy
        async with database.pool.acquire() as connection:
            overlap_id = await _named(connection, which)
            row = await _one(connection, overlap_id, person)
            terms = await cases.terms_in_force(connection)
            payouts = [
                _payout(each) for each in await every(queries.payouts_of_case(connection, overlap_id=overlap_id))
            ]
            events = await every(queries.events_of_case(connection, overlap_id=overlap_id))
            announced = await every(queries.announcements_of(connection, overlap_id=overlap_id))
        acts_of_it = orjson.loads(row["told"]).get("acts", ()) if row["told"] is not None else ()
        told = _told(row, terms) | {"payouts": payouts, "timeline": timeline(events, announced, acts_of_it)}
        if row["rule"] is None:
            return told
        facts, case, became = cases.standing(row, terms)
        today = clock().astimezone(ZoneInfo(policy.time_zone)).date()
        return told | {"money": resolving.money(case, facts, became, past=facts.ends < today)}

    _acting(routes, Desk(database, in_force, clock))
    return routes


def _acting(routes: APIRouter, desk: Desk) -> None:
    """The routes by which people act."""

    @routes.post("/cases/{which}/assign")
    async def assign(which: str, said: Assignment, person: Resolver) -> dict[str, Any]:
        """Say who has charge of it."""
        return await desk.assign(which, person, said)

    @routes.post("/cases/{which}/hold")
    async def hold(which: str, said: Hold, person: Resolver) -> dict[str, Any]:
        """The payments are to wait until it is resolved."""
        return await desk.judge(which, person, "held", said)

    @routes.post("/cases/{which}/release")
    async def release(which: str, said: Resolution, person: Resolver) -> dict[str, Any]:
        """What somebody held in a review may go, or what the rule prefers; an exclusive overlap takes a waiver."""
        return await desk.judge(which, person, "released", said)

    @routes.post("/cases/{which}/uphold")
    async def uphold(which: str, said: Resolution, person: Resolver) -> dict[str, Any]:
        """It is paid twice: one of the two must not be, or come back."""
        return await desk.judge(which, person, "upheld", said)

    @routes.post("/cases/{which}/waive")
    async def waive(which: str, said: Resolution, person: Waiver) -> dict[str, Any]:
        """Both may be paid though the rule says otherwise. Above the policy's amount this proposes it, and somebody
        else with the right waives."""
        return await desk.judge(which, person, "waived", said)


def _meanwhile(case: Case, seen: int, zone: ZoneInfo) -> tuple[str, str]:
    """What was done in a case since somebody saw it, the last acts first: what, by whom and when, in both languages."""
    acts = case.acts[-min(max(case.revision - seen, 1), MOST_MEANWHILE) :][::-1]
    told = [
        (CALLED[act.act], (act.by,) * 2 if act.by is not None else CALLED["service"],
         act.at.astimezone(zone).isoformat(timespec="seconds"))
        for act in acts
    ]  # fmt: skip
    if not told:
        return CALLED["nothing"]
    english = ", ".join(f"{what[0]} by {by[0]} at {at}" for what, by, at in told)
    indonesian = ", ".join(f"{what[1]} oleh {by[1]} pada {at}" for what, by, at in told)
    return english, indonesian


async def _named(connection: Connection, which: str) -> UUID:
    """The overlap that an id or a code means. Raises HTTPException."""
    try:
        return UUID(which)
    except ValueError:
        between = ids_of(which)
    if between is None:
        raise refusal(404, "case_named_otherwise")
    rows = await every(queries.cases_between(connection, least=between[0], greatest=between[1]))
    found: list[UUID] = [row["overlap_id"] for row in rows]
    if not found:
        raise refusal(404, "no_case_of_code")
    if len(found) > 1:
        raise refusal(409, "cases_of_code")
    return found[0]


async def _one(connection: Connection, overlap_id: UUID, person: Person) -> Any:
    """A case with its overlap, where the person may see it. Raises HTTPException."""
    row = next(iter(await every(queries.cases_named(connection, ids=[overlap_id]))), None)
    if row is None or (row["rule"] is None and row["told"] is None):
        raise refusal(404, "no_case")
    if not person.covers(_region(row)):
        raise refusal(403, "outside")
    return row


def _region(row: Any) -> str:
    return str(row["region"] if row["rule"] is not None else orjson.loads(row["told"])["region"])


def _told(row: Any, terms: Cases) -> dict[str, Any]:
    """A case as it is listed."""
    told = orjson.loads(row["told"]) if row["told"] is not None else {}
    common = {
        "overlap_id": row["overlap_id"], "code": case_code(row["overlap_id"]), "state": row["state"],
        "revision": row["revision"] or 0, "overlap_revision": row["overlap_revision"],
        "assigned_to": told.get("assigned_to"), "proposed_by": told.get("proposed_by"),
        "last_act": {name: told[name] for name in ("act", "at", "by", "reason", "basis") if name in told} or None,
        "announced_at": row["announced_at"],
    }  # fmt: skip
    if row["rule"] is None:
        return common | {
            "deadline": None, "overdue": False, "verdict": told.get("verdict"), "rule": None, "during": None,
            "amount_at_risk": told["amount_at_risk"], "region": told["region"],
            "payouts": [
                payout | {"programme": programme}
                for payout, programme in zip(told["payouts"], told["programmes"], strict=True)
            ],
        }  # fmt: skip
    case, overlap = cases.standing(row, terms).case, cases.overlap_of(row)
    unsettled = row["state"] in resolving.UNSETTLED
    return common | {
        "deadline": case.deadline if unsettled else None, "overdue": case.overdue,
        **{name: overlap[name] for name in ("verdict", "rule", "during", "amount_at_risk", "region", "payouts")},
    }  # fmt: skip


def _payout(row: Any) -> dict[str, Any]:
    return {
        "agency": row["agency"], "payout_id": row["payout_id"], "revision": row["revision"],
        "state": STATES[row["rank"]], "programme": row["programme"],
        "amount": row["amount"], "covers": {"from": row["starts"], "to": row["ends"]}, "region": row["region"],
    }  # fmt: skip
