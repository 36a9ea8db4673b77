"""Joint business groups (KUBE) and their members, and who got business capital.

Invariants
- A person is active in one group at most, under whichever of their NIKs, as the registry knows them when they join.
  NIKs that are merged later are told of both groups (`also_in`): which one they leave, people decide.
- Members are pseudonyms: no NIK comes here. Who types one asks the registry for its pseudonym first.
- Capital is paid by agencies, as payouts of that kind: here is only seen who got it, and that a receipt is kept of it.
- Groups and receipts stand in this database alone (decision 23). Who is erased in the registry is in no group.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends
from pydantic import Field
from tepat_chassis import acts
from tepat_chassis.auth import Person
from tepat_chassis.database import Connection, Database
from tepat_chassis.http import Page, Region, must_be_of, paging
from tepat_chassis.standing import Standing
from tepat_chassis.wanted import Body, Day, Id

from tepat_distribution.domain import STATES
from tepat_distribution.funds import Name, Operator, Reader, Receipt, Told, Village, must_not_lie_ahead
from tepat_distribution.policed import Policed
from tepat_distribution.refusals import refusal
from tepat_distribution.store import every, queries


class Formed(Body):
    """A group: its name, what it is called, who formed it, and its kelurahan or desa."""

    group: Name
    title: Told
    agency: Told
    region: Village
    formed_on: Day


class Joining(Body):
    """A person who joins, by their pseudonym, on a day."""

    person: Id
    since: Day


class Leaving(Body):
    """The last day of a member."""

    until: Day


class Received(Body):
    """That the goods of a payout of capital were received, and the SHA-256 of what shows it."""

    agency: Told
    payout_id: Annotated[str, Field(min_length=1, max_length=64)]
    receipt: Receipt
    received_on: Day


class Groups:
    """What people do with groups, each act recorded in the transaction that does it."""

    def __init__(self, database: Database, standing: Standing[Policed], clock: Callable[[], datetime]) -> None:
        self._database = database
        self._standing = standing
        self._clock = clock

    async def one(self, connection: Connection, group: str, person: Person) -> Any:
        """A group, where the person may see it. Raises HTTPException."""
        row = await queries.group(connection, kube=group)
        if row is None:
            raise refusal(404, "no_group")
        if not person.covers(row["region"]):
            raise refusal(403, "outside")
        return row

    async def form(self, body: Formed, person: Person) -> dict[str, Any]:
        """Form a group; one formed just so is answered as it stands."""
        index = (await self._standing.ruling()).document.index
        if body.region not in index.regions:
            raise refusal(422, "no_area", region=body.region)
        if body.agency not in index.agencies:
            raise refusal(422, "no_agency", agency=body.agency)
        if not person.covers(body.region):
            raise refusal(403, "outside")
        await must_not_lie_ahead(body.formed_on, self._standing, self._clock)
        about = body.model_dump(exclude={"group"})
        async with self._database.transaction() as connection:
            made = await queries.form_group(connection, kube=body.group, **about, at=self._clock(), who=person.sub)
            there = await self.one(connection, body.group, person)
            if made is None and any(there[name] != value for name, value in about.items()):
                raise refusal(409, "group_taken")
            if made is not None:
                await acts.record(connection, person, "group.form", body.group, {"region": body.region})
            return _group(there)

    async def join(self, group: str, body: Joining, person: Person) -> dict[str, Any]:
        """A person joins, unless they are active in another group."""
        await must_not_lie_ahead(body.since, self._standing, self._clock)
        async with self._database.transaction() as connection:
            await queries.one_change_of_groups(connection)
            there = await self.one(connection, group, person)
            active = {row["kube"] for row in await every(queries.active_in(connection, nik=body.person))}
            if others := sorted(active - {group}):
                raise refusal(409, "in_group", groups=", ".join(others))
            if not active:
                if body.since < there["formed_on"]:
                    raise refusal(422, "formed_later", day=there["formed_on"])
                await queries.join_group(connection, kube=group, nik=body.person, since=body.since, who=person.sub)
                await acts.record(connection, person, "group.join", group, {"since": str(body.since)}, [body.person])
            return await self.told(connection, group, person)

    async def leave(self, group: str, nik: UUID, body: Leaving, person: Person) -> dict[str, Any]:
        """A member leaves after their last day."""
        await must_not_lie_ahead(body.until, self._standing, self._clock)
        async with self._database.transaction() as connection:
            await queries.one_change_of_groups(connection)
            await self.one(connection, group, person)
            active = {row["kube"]: row for row in await every(queries.active_in(connection, nik=nik))}
            if group not in active:
                raise refusal(409, "not_in_group")
            if body.until < active[group]["since"]:
                raise refusal(422, "joined_later", day=active[group]["since"])
            under = active[group]["nik"]
            await queries.leave_group(connection, kube=group, nik=under, until=body.until, who=person.sub)
            await acts.record(connection, person, "group.leave", group, {"until": str(body.until)}, [nik])
            return await self.told(connection, group, person)

    async def told(self, connection: Connection, group: str, person: Person) -> dict[str, Any]:
        """A group with who is and was in it."""
        there = await self.one(connection, group, person)
        rows = await every(queries.members(connection, kube=group))
        return {**_group(there), "people": [_member(row) for row in rows]}

    async def receive(self, body: Received, person: Person) -> dict[str, Any]:
        """Keep the receipt of a payout of capital."""
        await must_not_lie_ahead(body.received_on, self._standing, self._clock)
        async with self._database.transaction() as connection:
            asked = {"agency": body.agency, "payout_id": body.payout_id}
            row = await queries.capital_of(connection, **asked)
            if row is None:
                raise refusal(404, "no_capital")
            if not person.covers(row["region"]):
                raise refusal(403, "outside")
            kept = await queries.keep_receipt(
                connection, **asked, receipt=bytes.fromhex(body.receipt), received_on=body.received_on,
                at=self._clock(), who=person.sub,
            )  # fmt: skip
            if kept is None:
                raise refusal(409, "capital_receipt")
            if row["receipt"] is None:
                target = f"{body.agency}/{body.payout_id}"
                await acts.record(connection, person, "capital.receipt", target, None, [row["person"]])
            return _capital(await queries.capital_of(connection, **asked))


def router(database: Database, standing: Standing[Policed], clock: Callable[[], datetime]) -> APIRouter:
    """Groups and capital below /v1."""
    routes = APIRouter(tags=["groups"])
    groups = Groups(database, standing, clock)

    @routes.get("/groups")
    async def listing(
        person: Reader,
        page: Annotated[Page, Depends(paging(str))],
        region: Region = None,
        agency: str | None = None,
    ) -> dict[str, Any]:
        """Joint business groups with how many are in them, in the person's regions."""
        must_be_of((await standing.ruling()).document.agencies, "agency", agency, what="agency")
        rows = await every(queries.groups(
            database.pool, after=page.after and page.after[0], region=region, agency=agency,
            regions=list(person.regions), at_most=page.limit + 1,
        ))  # fmt: skip
        return page.of([_group(row) for row in rows], lambda told: (told["group"],))

    @routes.post("/groups")
    async def formed(body: Formed, person: Operator) -> dict[str, Any]:
        """Form a group."""
        return await groups.form(body, person)

    @routes.get("/groups/{group}")
    async def show(group: str, person: Reader) -> dict[str, Any]:
        """A group with who is and was in it."""
        async with database.pool.acquire() as connection:
            return await groups.told(connection, group, person)

    @routes.post("/groups/{group}/members")
    async def joined(group: str, body: Joining, person: Operator) -> dict[str, Any]:
        """A person joins a group; 409 where they are in another."""
        return await groups.join(group, body, person)

    @routes.post("/groups/{group}/members/{member}/leave")
    async def left(group: str, member: UUID, body: Leaving, person: Operator) -> dict[str, Any]:
        """A member leaves."""
        return await groups.leave(group, member, body, person)

    @routes.get("/capital")
    async def capital(
        person: Reader,
        page: Annotated[Page, Depends(paging(str, str))],
        region: Region = None,
        agency: str | None = None,
        household: UUID | None = None,
        receipt: bool | None = None,
    ) -> dict[str, Any]:
        """Who got business capital, with its receipt and the group they are in; `receipt` those with or without one."""
        must_be_of((await standing.ruling()).document.agencies, "agency", agency, what="agency")
        after = page.after or (None, None)
        rows = await every(queries.capital(
            database.pool, after_agency=after[0], after=after[1], region=region, agency=agency, household=household,
            receipt=receipt, regions=list(person.regions), at_most=page.limit + 1,
        ))  # fmt: skip
        return page.of([_capital(row) for row in rows], lambda told: (told["agency"], told["payout_id"]))

    @routes.post("/capital/receipts")
    async def received(body: Received, person: Operator) -> dict[str, Any]:
        """Keep the receipt of a payout of capital."""
        return await groups.receive(body, person)

    return routes


def _group(row: Any) -> dict[str, Any]:
    names = ("title", "agency", "region", "formed_on", "members")
    return {"group": row["kube"], **{name: row[name] for name in names}}


def _member(row: Any) -> dict[str, Any]:
    told = {"member": row["nik"], "person": row["person"], "since": row["since"]}
    return told | {name: row[name] for name in ("until", "also_in") if row[name]}


def _capital(row: Any) -> dict[str, Any]:
    names = ("agency", "payout_id", "programme", "amount", "person", "household", "region")
    told = {
        **{name: row[name] for name in names},
        "state": STATES[row["rank"]], "covers": {"from": row["starts"], "to": row["ends"]},
    }  # fmt: skip
    if row["receipt"] is not None:
        told |= {"receipt": row["receipt"].hex(), "received_on": row["received_on"], "recorded_by": row["who"]}
    return told | ({"group": row["kube"]} if row["kube"] is not None else {})
