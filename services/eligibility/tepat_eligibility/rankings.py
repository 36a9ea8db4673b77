"""Rounds under a quota: ranked by a person with the right to, kept as they were made, and told with their reasons.

Invariants
- A round is made once: asked for again under its name it is told as it stands, and asked for otherwise it is refused.
- Who made it is recorded in the transaction that makes it.
- Rounds of one programme are made one after the other, so that each sees who was left out of those before.
- A round rests on the decisions as announced and on persons as told at that moment, and cannot be worked out again. It
  is told on `eligibility.rankings.v1` in the transaction that makes it: a new database reads it back, but for what each
  rank rests on, which nobody else is told.
- Who is erased leaves the rounds, as do households that are left empty, and these are told anew.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import groupby
from typing import Annotated, Any, Final

import orjson
from fastapi import APIRouter, Depends
from pydantic import Field
from tepat_chassis import acts
from tepat_chassis.auth import Person, Right, needs
from tepat_chassis.database import Connection, Database, Lock
from tepat_chassis.http import Page, must_be_of, paging
from tepat_chassis.outbox import Message, put
from tepat_chassis.standing import InForce, Standing
from tepat_chassis.wanted import Body
from tepat_contracts import envelope
from tepat_contracts.events.fields import REGION_PATTERN
from tepat_contracts.events.ours import RANKING_MADE
from tepat_contracts.policy import Programme, Quota

from tepat_eligibility.domain import Day, household_view, today
from tepat_eligibility.policed import Policed
from tepat_eligibility.ranking import BY_DEFAULT, RankBy, Scored, ranked, why
from tepat_eligibility.refusals import refusal
from tepat_eligibility.score import Score
from tepat_eligibility.store import SERVICE, every, queries, residents

Reader = Annotated[Person, Depends(needs(Right.read))]
Operator = Annotated[Person, Depends(needs(Right.operate))]
RANKINGS: Final = "eligibility.rankings.v1"
PART: Final = 1_000
"""Places told in one record: some 150 KB."""


class Wanted(Body):
    """A round: of which programme, in which area, under which name, and for how many."""

    round: Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[^\x00-\x1f\x7f]+$")]
    programme: Annotated[str, Field(max_length=128)]
    region: Annotated[str, Field(pattern=REGION_PATTERN)]
    places: Annotated[int | None, Field(ge=1, le=10_000_000, description="the policy's quota unless given")] = None


class Rankings:
    """Makes rounds. Args: ``lots`` gives the key under which lots are drawn, by the name of the province's secret."""

    def __init__(
        self,
        database: Database,
        standing: Standing[Policed],
        lots: Callable[[str], bytes],
        clock: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._standing = standing
        self._lots = lots
        self._clock = clock

    async def make(self, wanted: Wanted, person: Person) -> Any:
        """The round, made now or before; its row. Raises HTTPException."""
        if not person.covers(wanted.region):
            raise refusal(403, "outside")
        policy = await self._standing.ruling()
        programme = policy.document.index.programmes.get(wanted.programme)
        async with self._database.transaction(Lock.SHARED) as connection:
            await every(queries.one_ranking_at_a_time(connection, programme=wanted.programme))
            made = await queries.ranking(connection, round=wanted.round)
            if made is not None:
                asked = (wanted.programme, wanted.region, wanted.places or made["places"])
                if asked != (made["programme"], made["region"], made["places"]):
                    raise refusal(409, "ranked_otherwise")
                return made
            if programme is None or programme.criteria is None:
                raise refusal(409, "no_programme")
            if wanted.region not in policy.document.index.regions:
                raise refusal(422, "no_area", region=wanted.region)
            places = wanted.places or _places(programme, wanted.region)
            return await self._made(connection, wanted, programme, places, policy, person)

    async def _made(
        self, connection: Connection, wanted: Wanted, programme: Programme, places: int, policy: InForce[Policed],
        person: Person,
    ) -> Any:  # fmt: skip
        on = await queries.day(connection) or today(self._clock(), policy.document.time_zone)
        rank_by = RankBy(programme.rank_by or BY_DEFAULT)
        begun = await queries.begin_ranking(
            connection, round=wanted.round, as_of=on, places=places, programme=programme.code, unit=programme.unit,
            region=wanted.region, policy_version=policy.version, rank_by=rank_by.text, who=person.sub, name=person.name,
        )  # fmt: skip
        if begun is None:  # for another programme, at this moment
            raise refusal(409, "ranked_otherwise")
        ruled = policy.document.index.policy.score
        score = Score(ruled) if ruled is not None and rank_by.asks_score else None
        eligible = await every(queries.eligible(connection, programme=programme.code, region=wanted.region))
        scored = await self._scored(connection, programme, eligible, rank_by, score, Day(on))
        lives = {row["subject"]: row["region"] for row in eligible}
        order = ranked(scored, wanted.round, self._lots(policy.document.secret_id))
        await queries.keep_ranking(
            connection, round=wanted.round, places=places, subjects=[each.subject for each in order],
            regions=[lives[each.subject] for each in order], left_out=[each.left_out for each in order],
            scores=[each.score for each in order],
            facts=[orjson.dumps(each.facts).decode() for each in order],
            missing=[orjson.dumps(each.missing).decode() for each in order],
        )  # fmt: skip
        detail = {"programme": programme.code, "region": wanted.region, "places": places, "ranked": len(order)}
        await acts.record(connection, person, "ranking.make", wanted.round, detail)
        await tell(connection, [wanted.round], self._clock())
        return await queries.ranking(connection, round=wanted.round)

    @staticmethod
    async def _scored(
        connection: Connection, programme: Programme, eligible: Sequence[Any], rank_by: RankBy, score: Score | None,
        day: Day,
    ) -> list[Scored]:  # fmt: skip
        if not eligible:
            return []
        subjects = ",".join(row["subject"] for row in eligible)
        rounds = await every(queries.left_out(connection, programme=programme.code, subjects=subjects))
        left_out = {row["subject"]: row["rounds"] for row in rounds}
        told = await queries.residents(connection, households=",".join({row["household"] for row in eligible}))
        living = {name: {each.person: each.view(day) for each in members} for name, members in residents(told)}
        scored = []
        for subject, household, _ in eligible:
            views = living.get(household, {})
            whole = household_view([view for view in views.values() if not view["deceased"]])
            if score is not None:
                whole = score.added(whole, day.midnight)
            one = views.get(subject, {}) if programme.unit == "person" else None
            scored.append(rank_by.scored(subject, one, whole, day.midnight, left_out.get(subject, 0)))
        return scored


def _places(programme: Programme, region: str) -> int:
    quota = Quota.of(programme.quota)
    if quota is None:
        raise refusal(409, "no_quota")
    if (places := quota.places(region)) is None:
        raise refusal(409, "quota_for_each", per=quota.per)
    return places


async def forget(connection: Connection, subjects: Sequence[str], now: datetime) -> None:
    """Take persons and households out of all rounds, and tell these anew."""
    rounds = [row["round"] for row in await every(queries.rounds_with(connection, subjects=subjects))]
    await queries.forget_ranked(connection, subjects=subjects)
    await tell(connection, rounds, now)


async def tell(connection: Connection, rounds: Sequence[str], now: datetime) -> None:
    """Put rounds into the outbox, whole, in the transaction that made them or took somebody out of them."""
    for row in await every(queries.tell_rankings(connection, rounds=rounds)):
        places = await every(queries.places(connection, round=row["round"]))
        await put(connection, list(_parts(row, places, now)))


def _parts(row: Any, places: Sequence[Any], now: datetime) -> Iterator[Message]:
    """A round in records of so many places each; a part stays a part, though everybody in it be erased."""
    parts = max(1, -(-row["ranked"] // PART))
    in_part = {n: list(told) for n, told in groupby(places, lambda each: (each["rank"] - 1) // PART + 1)}
    for part in range(1, parts + 1):
        key = f"{row['round']}|{part}"
        data = {
            "round": row["round"], "part": part, "parts": parts, "revision": row["revision"], "number": row["number"],
            "programme": row["programme"], "unit": row["unit"], "region": row["region"], "places": row["places"],
            "of": row["ranked"], "rank_by": row["rank_by"], "policy_version": row["policy_version"],
            "as_of": row["as_of"].isoformat(), "made_at": row["made_at"].astimezone(UTC).isoformat(),
            "made_by": row["who"], "ranked": [_place(each) for each in in_part.get(part, ())],
        }  # fmt: skip
        event = envelope.event(
            service=SERVICE, type=RANKING_MADE, id=f"{key}-{row['revision']}", time=now, subject=key, data=data
        )
        yield Message(RANKINGS, key, envelope.write(event))


def _place(each: Any) -> dict[str, Any]:
    told = {"subject": each["subject"], "place": each["rank"], "reached": each["reached"], "left_out": each["left_out"]}
    return told | {name: each[name] for name in ("region", "score") if each[name] is not None}


def router(
    database: Database, standing: Standing[Policed], lots: Callable[[str], bytes], clock: Callable[[], datetime]
) -> APIRouter:
    """The routes below /v1."""
    routes = APIRouter(tags=["rankings"])
    rankings = Rankings(database, standing, lots, clock)

    @routes.post("/rankings")
    async def make(wanted: Wanted, person: Operator) -> dict[str, Any]:
        """Rank all who are eligible for a programme in an area; the same name gives the same round again."""
        return _told(await rankings.make(wanted, person))

    @routes.get("/rankings")
    async def listing(
        reader: Reader, page: Annotated[Page, Depends(paging(int))], programme: str | None = None
    ) -> dict[str, Any]:
        """Rounds, the last first, in the reader's regions."""
        if programme is not None:
            must_be_of((await standing.ruling()).document.index.programmes, "programme", programme, what="programme")
        rows = await every(
            queries.rankings(
                database.pool, after=page.after and page.after[0], programme=programme,
                regions=list(reader.regions) or None, at_most=page.limit + 1,
            )
        )  # fmt: skip
        return page.of([_told(row) for row in rows], lambda told: (told["number"],))

    @routes.get("/rankings/{round_:path}")
    async def show(
        round_: str, reader: Reader, page: Annotated[Page, Depends(paging(int))], reached: bool | None = None
    ) -> dict[str, Any]:
        """A round with all who were ranked, the first first: the score, what it rests on, and why reached or not."""
        row = await queries.ranking(database.pool, round=round_)
        if row is None:
            raise refusal(404, "no_ranking")
        if not reader.covers(row["region"]):
            raise refusal(403, "outside")
        rows = await every(
            queries.ranked(
                database.pool, round=round_, after=page.after[0] if page.after else 0, reached=reached,
                at_most=page.limit + 1,
            )
        )  # fmt: skip
        return {**_told(row), **page.of([_ranked(each, row) for each in rows], lambda told: (told["rank"],))}

    return routes


def _told(row: Any) -> dict[str, Any]:
    return {
        "round": row["round"], "number": row["number"], "programme": row["programme"], "region": row["region"],
        "places": row["places"], "ranked": row["ranked"], "reached": min(row["places"], row["ranked"]),
        "rank_by": row["rank_by"], "ties": "drawn by lot", "policy_version": row["policy_version"],
        "as_of": row["as_of"], "made_at": row["made_at"], "made_by": row["who"],
    }  # fmt: skip


def _ranked(each: Any, round_: Any) -> dict[str, Any]:
    missing = orjson.loads(each["missing"])
    return {
        "rank": each["rank"], "subject": each["subject"], "reached": each["reached"], "score": each["score"],
        "left_out": each["left_out"], "facts": orjson.loads(each["facts"]), "missing": missing,
        "why": why(each["rank"], round_["ranked"], round_["places"], each["score"], each["cut"], missing),
    }  # fmt: skip
