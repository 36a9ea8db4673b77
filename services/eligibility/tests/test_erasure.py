"""Who is erased by the registry is forgotten here, with what was decided of them."""

import pytest

from .conftest import Eligibility, g, lives, nik_of, person, policy, programme, visited

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
