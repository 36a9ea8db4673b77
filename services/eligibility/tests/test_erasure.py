"""Who is erased by the registry is forgotten here, with what was decided of them."""

from typing import Any
from uuid import UUID

import httpx
import pytest
from fastapi import APIRouter
from tepat_chassis.auth import Person, Right
from tepat_chassis.standing import NothingInForceError
from tepat_chassis.subjects import Subject
from tepat_eligibility import api, rankings
from tepat_local.testing import tables_naming

from .conftest import (
    NOON,
    Eligibility,
    g,
    listed,
    lives,
    nik_of,
    objected,
    person,
    policy,
    programme,
    visited,
)

pytestmark = pytest.mark.integration

POOR = {"decile": 2, "school_level": "SD"}


async def rows(eligibility: Eligibility) -> dict[str, int]:
    tables = "person", "residence", "verification", "decision", "erased", "mark", "touched"
    return {table: await eligibility.database.pool.fetchval(f"select count(*) from {table}") for table in tables}


async def tombstones(eligibility: Eligibility) -> list[str]:
    found = await eligibility.database.pool.fetch("select key from outbox where value is null order by key")
    return [row["key"] for row in found]


async def test_a_person_alone_leaves_tombstones_and_nothing_else(eligibility: Eligibility) -> None:
    await eligibility.take(person("ani", lives("mawar"), attributes=POOR))
    await eligibility.decide()
    assert len(await eligibility.fold()) == 2
    await eligibility.forget("ani")
    await eligibility.decide()
    assert await eligibility.fold() == {}
    assert await tombstones(eligibility) == sorted([f"PIP|{g('ani')}", f"PKH|{g('mawar')}"])
    assert set((await rows(eligibility)).values()) == {0}


async def test_the_household_of_others_is_decided_without_the_erased(eligibility: Eligibility) -> None:
    await eligibility.take(
        person("ani", lives("mawar"), attributes=POOR), person("budi", lives("mawar"), attributes={"decile": 8})
    )
    await eligibility.decide()
    assert (await eligibility.standing_decisions())["PKH", g("mawar")] == "eligible"
    await eligibility.forget("ani")
    await eligibility.decide()
    stand = await eligibility.standing_decisions()
    assert stand["PKH", g("mawar")] == "ineligible"
    assert ("PIP", g("ani")) not in stand
    assert await tombstones(eligibility) == [f"PIP|{g('ani')}"]


async def test_visits_to_the_erased_are_forgotten(eligibility: Eligibility) -> None:
    await eligibility.follow(policy(programme("CAP", "true", unit="person", needs_verification=True), version="t-2"))
    await eligibility.take(person(nik_of(1), lives("mawar")), visited(1))
    await eligibility.decide()
    assert (await eligibility.standing_decisions())["CAP", nik_of(1)] == "eligible"
    await eligibility.forget(nik_of(1))
    await eligibility.decide()
    assert set((await rows(eligibility)).values()) == {0}


def rounds(eligibility: Eligibility) -> APIRouter:
    return rankings.router(eligibility.database, eligibility.standing, lambda _: bytes(32), lambda: NOON)


async def made(client: httpx.AsyncClient, round_: str, programme: str) -> httpx.Response:
    asked = {"round": round_, "programme": programme, "region": "33.74.01.1001", "places": 1}
    return await client.post("rankings", json=asked)


async def test_all_that_erasing_takes_away_is_told_before(eligibility: Eligibility) -> None:
    cap = programme("CAP", "true", unit="person")
    await eligibility.follow(policy(programme("PKH", "true"), cap, version="t-2"))
    await eligibility.take(
        person(nik_of(1), lives("mawar"), attributes=POOR), person(nik_of(2), lives("melati"), attributes=POOR)
    )
    evidence = [{"kind": "photo", "sha256": "ab" * 32}]
    for serial in (1, 2):
        visit = visited(serial, "rejected", reason="sudah mampu", evidence=evidence)
        await eligibility.take(listed(serial), visit, objected(serial))
    await eligibility.decide()
    async with eligibility.asked(rounds(eligibility)) as client:
        for round_, code in (("r-1", "CAP"), ("r-2", "PKH")):
            assert (await made(client, round_, code)).json()["ranked"] == 2

    async def held(serial: int, household: str, *regions: str) -> dict[str, Any]:
        subject = Subject(persons=[UUID(nik_of(serial))], households=[UUID(g(household))], purpose="asked for")
        reader = Person("rini", "Bu Rini", frozenset(Right), regions)
        async with eligibility.database.transaction() as connection:
            return await api.held(connection, reader, subject)

    told = await held(1, "mawar")
    assert [len(told[kind]) for kind in ("persons", "listed", "verifications", "objections", "decisions")] == [
        1, 1, 1, 1, 2,
    ]  # fmt: skip
    (on_list,), (visit,), (objection,) = told["listed"], told["verifications"], told["objections"]
    assert (on_list["batch"], str(on_list["person"]), on_list["listed_on"].isoformat()) == (
        "2026-02", nik_of(1), "2026-01-15",
    )  # fmt: skip
    assert (visit["reason"], visit["officer"], visit["evidence"]) == ("sudah mampu", "Bu Rini", evidence)
    assert (objection["grounds"], objection["filed_by"], objection["state"]) == ("wrongly_excluded", "rt", "open")
    assert [(each["round"], str(each["subject"]), each["made_by"]) for each in told["ranked"]] == [
        ("r-1", nik_of(1), "rini"), ("r-2", g("mawar"), "rini"),
    ]  # fmt: skip
    assert {kind for kind, rows in (await held(1, "mawar", "33.71")).items() if rows} == set()

    await eligibility.forget(nik_of(1))
    await eligibility.decide()
    left = await held(1, "mawar")
    assert {kind for kind, rows in left.items() if rows} == set()
    assert [len(rows) for rows in (await held(2, "melati")).values()] == [1, 1, 1, 1, 2, 2]


async def test_without_a_policy_no_round_is_waited_for(eligibility: Eligibility) -> None:
    await eligibility.empty()
    async with eligibility.asked(rounds(eligibility)) as client:
        with pytest.raises(NothingInForceError):
            await made(client, "r-1", "PKH")


async def test_who_is_told_of_again_is_decided_anew(eligibility: Eligibility) -> None:
    ani = person("ani", lives("mawar"), attributes=POOR, revision=7)
    await eligibility.take(ani)
    await eligibility.decide()
    again = person("ani", lives("mawar"), attributes={"decile": 9}, revision=1)
    await eligibility.forget("ani", then=[again])
    await eligibility.decide()
    assert (await eligibility.standing_decisions())["PKH", g("mawar")] == "ineligible"
    assert await tombstones(eligibility) == []


async def test_a_visit_to_somebody_unknown_leaves_no_tombstone(eligibility: Eligibility) -> None:
    await eligibility.take(visited(1))
    await eligibility.decide()
    assert await tombstones(eligibility) == []


MAY_STAY = {
    "act": "who saw the person, which they are told when they ask",
    "outbox": "on its way",
}


async def test_no_table_names_the_erased_but_those_that_may(eligibility: Eligibility) -> None:
    """Every table, whatever is added to the schema: two in one household, of which they leave nothing."""
    cap = programme("CAP", "true", unit="person")
    await eligibility.follow(policy(programme("PKH", "true"), cap, version="t-2"))
    who, other, home = nik_of(1), nik_of(2), g("mawar")
    await eligibility.take(
        person(who, lives("mawar"), aliases=[other], attributes=POOR),
        person(other, lives("mawar"), stands_for=who), person("ani", lives("melati"), attributes=POOR),
    )  # fmt: skip
    await eligibility.take(listed(1), visited(1, "rejected", reason="sudah mampu"), objected(1))
    await eligibility.decide()
    async with eligibility.asked(rounds(eligibility)) as client:
        for round_, code in (("r-1", "CAP"), ("r-2", "PKH")):
            assert (await made(client, round_, code)).json()["ranked"] == 2
    await eligibility.take(person(who, lives("mawar"), aliases=[other], attributes={"decile": 9}, revision=9))
    async with eligibility.database.pool.acquire() as connection:
        assert await tables_naming(connection, who, other, home) >= {
            "person", "residence", "verification", "listed", "objection", "decision", "stands", "mark", "ranked",
        }  # fmt: skip
        await eligibility.forget(who, other)
        async with eligibility.asked(rounds(eligibility)) as client:  # before the duty knows: its decision still stands
            assert (await made(client, "r-3", "CAP")).json()["ranked"] == 2
        await eligibility.decide()
        assert await tables_naming(connection, who, other, home) <= MAY_STAY.keys()
        told = await connection.fetch(
            "select key, convert_from(value, 'UTF8') as told from outbox where topic = $1 order by id",
            rankings.RANKINGS,
        )
        last = {row["key"]: row["told"] for row in told}
        assert last.keys() == {"r-1|1", "r-2|1", "r-3|1"}
        assert not any(name in each for name in (who, other, home) for each in last.values())
