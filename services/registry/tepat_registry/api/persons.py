"""A person: what is known, who says what of it, and in whose household on a day."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from typing import Annotated, Any, Final, Self
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import Field, model_validator
from tepat_chassis import acts
from tepat_chassis.auth import Right, must_have
from tepat_chassis.database import Connection
from tepat_chassis.logging import mask as mask_text
from tepat_chassis.pseudonyms import as_uuid
from tepat_chassis.service import Service
from tepat_chassis.wanted import Body, Day, Purpose
from tepat_contracts.identity import mask

from tepat_registry import domain
from tepat_registry.api.reader import Reader
from tepat_registry.domain import Held, Kind
from tepat_registry.handlers import InUse, store_of
from tepat_registry.refusals import refusal, words
from tepat_registry.store import Store, queries, read

#: Of what is announced of a person, what only a disclosure shows.
DISCLOSED: Final = ("birth_date", "attributes")
#: The fields of which everyone who may read sees who says what.
OPEN: Final = ("sex", "region", "deceased_on")


class Lookup(Body):
    """A NIK or the number of a card, one of the two."""

    nik: Annotated[str, Field(pattern=r"^[0-9]{16}$")] | None = None
    kk: Annotated[str, Field(pattern=r"^[0-9]{16}$")] | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.nik is None) == (self.kk is None):
            raise ValueError(words("nik_or_kk"))
        return self


def router(service: Service[InUse], clock: Callable[[], datetime]) -> APIRouter:
    """Persons, and the pseudonym of a NIK or a card."""
    routes = APIRouter(tags=["persons"])
    database = service.database

    @routes.get("/persons/{pseudonym}")
    async def person(
        pseudonym: UUID,
        reader: Reader,
        purpose: Annotated[Purpose | None, Query()] = None,
        on: Annotated[Day | None, Query(description="also in whose household on that day")] = None,
    ) -> dict[str, Any]:
        """What is known of a person; with a purpose and the right to disclose also numbers, name and all the rest."""
        if purpose is not None:
            must_have(Right.disclose, reader)
        policy = (await service.standing.ruling()).document
        async with database.transaction() as connection:
            nik = await queries.nik_of(connection, pseudonym=pseudonym)
            if nik is None:
                raise refusal(404, "no_person")
            store = store_of(connection, policy, clock())
            told = (await store.persons([nik]))[nik]
            if not reader.covers(told.get("region")):
                raise refusal(403, "outside")
            if purpose is not None:
                detail = {"purpose": mask_text(purpose), "what": "person"}
                await acts.record(connection, reader, "disclose", str(pseudonym), detail, [pseudonym])
            facts = [row async for row in queries.facts_told(connection, nik=nik, household=None, event_id=None)]
            held = (await store.facts([nik])).get(nik, [])
            lived = await _household_on(connection, store, nik, on) if on is not None else {}
        disclosed = purpose is not None
        said = _said(held, domain.holding(held, policy.recent), disclosed=disclosed)
        return _shown(str(nik), told, facts, disclosed=disclosed) | {"said": said} | lived

    @routes.post("/lookup")
    async def lookup(wanted: Lookup, reader: Reader) -> dict[str, Any]:
        """The pseudonym of a NIK or a card, so that neither ever stands in an address."""
        pseudonyms = (await service.standing.ruling()).document.pseudonyms
        async with database.pool.acquire() as connection:
            if wanted.nik is not None:
                pseudonym = as_uuid(pseudonyms.nik(wanted.nik))
                known = await queries.nik_of(connection, pseudonym=pseudonym) is not None or (
                    Right.merge in reader.rights  # who may have somebody forgotten is told who saw the erased
                    and bool([row async for row in queries.erased(connection, persons=[pseudonym])])
                )
            else:
                pseudonym = as_uuid(pseudonyms.kk(wanted.kk or ""))
                known = bool(
                    [row async for row in queries.members_of(connection, cards=[pseudonym])]
                    or [row async for row in queries.aid_of(connection, households=[pseudonym])]
                )
        if not known:
            raise refusal(404, "unknown_number")
        return {"kind": "person" if wanted.nik is not None else "household", "pseudonym": str(pseudonym)}

    return routes


async def _household_on(connection: Connection, store: Store, nik: int, day: date) -> dict[str, Any]:
    """In whose household the person was whom a NIK stands for, and who says so."""
    stands_for = await anext(row["stands_for"] async for row in queries.who(connection, kind=Kind.NIK, numbers=[nik]))
    facts = (await store.facts([stands_for])).get(stands_for, [])
    lived = domain.household_on(facts, day.isoformat())
    if lived is None:
        return {"on": {"day": day.isoformat()}}
    cards = [row async for row in queries.cards_of(connection, household=UUID(lived.household))]
    return {"on": {
        "day": day.isoformat(), "household": str(cards[0]["stands_for"]), "agency": lived.agency,
        "since": lived.data["since"],
    }}  # fmt: skip


def _said(facts: Sequence[Held], holding: Mapping[str, Held], *, disclosed: bool) -> dict[str, list[dict[str, Any]]]:
    """Who says what of each field and since when; values that only a disclosure shows are left out."""
    return {
        field: [
            {
                "agency": fact.agency, "since": fact.data["since"], "told_at": fact.time.isoformat(),
                "holds": fact is holding[field],
                **({"value": domain.value(fact, field)} if disclosed or field in OPEN else {}),
            }
            for fact in domain.said(facts, field)
        ]
        for field in domain.FIELDS if field in holding
    }  # fmt: skip


def _shown(nik: str, told: dict[str, Any], facts: Sequence[Any], *, disclosed: bool) -> dict[str, Any]:
    """A person as a reader may see them."""
    show = str if disclosed else mask
    holding = [(fact, read(fact["data"])) for fact in facts]
    cards = {str(fact["household"]): show(data["kk"]) for fact, data in holding}
    return {
        "nik": show(nik),
        **{name: value for name, value in told.items() if disclosed or name not in DISCLOSED},
        **({"names": sorted({data["name"] for _, data in holding})} if disclosed else {}),
        "memberships": [{**each, "kk": cards[each["household"]]} for each in told["memberships"]],
        "warnings": [
            {"agency": fact["agency"], "since": fact["since"], "warnings": fact["warnings"].split()}
            for fact, _ in holding
            if fact["warnings"]
        ],
    }
