"""A household: who belongs to it, as each agency says, through time and on a day; what it receives, what reports say of
its people, and who could help near it.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Annotated, Any, Final
from uuid import UUID

import orjson
from fastapi import APIRouter, Query
from tepat_chassis import acts
from tepat_chassis.auth import Right, must_have
from tepat_chassis.database import Connection
from tepat_chassis.logging import mask as mask_text
from tepat_chassis.service import Service
from tepat_chassis.wanted import Day, Purpose
from tepat_contracts import regions
from tepat_contracts.events.beneficiaries import INSTITUTION_RECORDED
from tepat_contracts.events.reports import REPORT_ANSWERED, REPORT_FILED
from tepat_contracts.identity import mask

from tepat_registry import domain
from tepat_registry.api.institutions import shown
from tepat_registry.api.reader import Reader
from tepat_registry.domain import Held
from tepat_registry.handlers import InUse, store_of
from tepat_registry.refusals import refusal
from tepat_registry.store import queries, read

#: Of what is announced of a member, what everyone who may read sees, and what only a disclosure shows.
OPEN: Final = ("person", "stands_for", "sex", "deceased_on", "region")
DISCLOSED: Final = ("birth_date", "attributes")


def router(service: Service[InUse], clock: Callable[[], datetime]) -> APIRouter:
    """Households."""
    routes = APIRouter(tags=["households"])
    database = service.database

    @routes.get("/households/{pseudonym}")
    async def household(
        pseudonym: UUID,
        reader: Reader,
        on: Annotated[Day | None, Query(description="the day; without it everyone who ever belonged")] = None,
        purpose: Annotated[Purpose | None, Query()] = None,
    ) -> dict[str, Any]:
        """A household under whichever of its cards: who belongs to it, as each agency says, or who did on a day; what
        it receives, the reports that name its people, the institutions that cover it. With a purpose and the right to
        disclose also numbers, names and all the rest. Of a day there are its members, and the payouts for periods begun
        by then; the rest is as of today.
        """
        if purpose is not None:
            must_have(Right.disclose, reader)
        policy = (await service.standing.ruling()).document
        async with database.transaction() as connection:
            store = store_of(connection, policy, clock())
            rows = [row async for row in queries.cards_of(connection, household=pseudonym)]
            cards, stands_for = {str(row["card"]) for row in rows}, str(rows[0]["stands_for"])
            niks = {row["nik"]: row["stands_for"] async for row in queries.members_of(connection, cards=list(cards))}
            facts = await store.facts({*niks, *niks.values()})
            persons = await store.persons(niks)
            aid = await _aid(connection, {*cards, stands_for})
            if not niks and not aid["payouts"]:
                raise refusal(404, "no_household")
            members = []
            for nik, end in niks.items():
                if on is not None:
                    lived = domain.household_on(facts.get(end, []), on.isoformat())
                    if lived is None or lived.household not in cards:
                        continue
                if reader.covers(persons[nik].get("region")):
                    of = [f for f in facts.get(nik, []) if f.household in cards]
                    members.append(_member(str(nik), persons[nik], of, disclosed=purpose is not None))
            areas = {persons[nik].get("region") for nik in niks} or {payout["region"] for payout in aid["payouts"]}
            if on is None and not members and not (not niks and any(map(reader.covers, areas))):
                raise refusal(403, "outside")
            if purpose is not None:
                detail = {"purpose": mask_text(purpose), "what": "household"}
                seen = [each["person"] for each in members]
                await acts.record(connection, reader, "disclose", str(pseudonym), detail, seen)
            named = {
                name for told in persons.values() for name in (told["person"], told["stands_for"], *told["aliases"])
            }
            reports = [row async for row in queries.reports_naming(
                connection, persons=list(named), filed=REPORT_FILED, answered=REPORT_ANSWERED
            )]  # fmt: skip
            near = {area for region in areas if region for area in (*regions.ancestors(region), region)}
            institutions = [
                row
                async for row in queries.institutions_near(connection, type=INSTITUTION_RECORDED, areas=sorted(near))
            ]
        told = [{"agency": row["agency"], **shown(read(row["data"]))} for row in institutions]
        return {
            "household": str(pseudonym), "stands_for": stands_for, "cards": sorted(cards),
            **({"on": on.isoformat()} if on is not None else {}),
            "members": sorted(members, key=lambda member: (member["memberships"][0]["since"], member["person"])),
            "ppks": _ppks(persons[nik] for nik in niks),
            **aid,
            "payouts": [each for each in aid["payouts"] if each["covers"]["from"] <= (on or date.max).isoformat()],
            "reports": [_report(row) for row in reports if reader.covers(row["region"])],
            "institutions": [each for each in told if each["active"]],
        }  # fmt: skip

    return routes


async def _aid(connection: Connection, cards: Iterable[str]) -> dict[str, Any]:
    """What is received under these cards, in the order of its periods; ``more``: payouts beyond those told."""
    rows = [row async for row in queries.aid_of(connection, households=list(cards))]
    payouts = [payout for row in rows for payout in orjson.loads(row["payouts"])]
    payouts.sort(key=lambda each: (each["covers"]["from"], each["covers"]["to"], each["agency"], each["payout_id"]))
    more = sum(row["others"] for row in rows)
    return {"payouts": payouts, **({"more": more} if more else {})}


def _ppks(persons: Iterable[Mapping[str, Any]]) -> list[str]:
    """The categories of PPKS that occur in a household, not whose they are: of its living."""
    return sorted({
        category for told in persons if "deceased_on" not in told
        for category in told["attributes"].get("ppks") or ()
    })  # fmt: skip


def _member(nik: str, told: Mapping[str, Any], facts: Sequence[Held], *, disclosed: bool) -> dict[str, Any]:
    names = ("since", "until", "relation")
    memberships = [
        {
            "agency": fact.agency, **{name: fact.data[name] for name in names if fact.data.get(name) is not None},
            **({"kk": fact.data["kk"]} if disclosed else {}),
        }
        for fact in sorted(facts, key=lambda fact: (fact.data["since"], fact.agency))
    ]  # fmt: skip
    kept = {name: told[name] for name in (*OPEN, *(DISCLOSED if disclosed else ())) if name in told}
    return {
        "nik": nik if disclosed else mask(nik), **kept,
        **({"names": sorted({fact.data["name"] for fact in facts})} if disclosed else {}),
        "memberships": memberships,
    }  # fmt: skip


def _report(row: Any) -> dict[str, Any]:
    """A report as whoever looks at a household sees it: no text, nobody's name."""
    answer = read(row["answer"])["outcome"] if row["answer"] is not None else None
    return {
        "report_id": mask_text(row["report"]), "agency": row["agency"], "kind": read(row["data"])["kind"],
        "region": row["region"], "filed_on": row["at"].date().isoformat(),
        **({"outcome": answer} if answer is not None else {}),
    }  # fmt: skip
