"""A person who is erased is gone from what is kept and from what stands announced, whatever comes late."""

import itertools
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from fastapi import HTTPException
from tepat_contracts.policy import from_document
from tepat_contracts.topics import Kind
from tepat_local.testing import tables_naming
from tepat_registry.api.subjects import refuse_what_must_stay

from .conftest import Registry, erased, filed, merged, nik, number, policy, recorded

pytestmark = pytest.mark.integration

WHO, OTHER = number(1), number(2)
CARD = number(11)
BEFORE, THEN, AFTER = "2026-01-01T08:00:00Z", "2026-02-01T08:00:00Z", "2026-02-02T08:00:00Z"


async def kept(registry: Registry) -> dict[str, list[Any]]:
    """Every row that could name anybody."""
    tables = {
        "fact": "nik", "link": "from_number", "number": "number", "statement": "data", "suspect": "pair",
    }  # fmt: skip
    return {
        table: [row[0] for row in await registry.database.pool.fetch(f"select {column} from {table} order by 1")]
        for table, column in tables.items()
    }


async def test_nothing_of_the_erased_is_kept_in_whatever_order_it_came(registry: Registry) -> None:
    told = [
        recorded(WHO, CARD, _time=BEFORE), recorded(WHO, CARD, "dukcapil", _time=BEFORE, since="2019-01-01"),
        recorded(OTHER, CARD, _time=BEFORE), merged(WHO, OTHER, _time=BEFORE),
    ]  # fmt: skip
    wanted = None
    for order in itertools.permutations([*told, erased(WHO, _time=THEN)]):
        await registry.empty()
        await registry.follow(policy())
        for event in order:
            await registry.take([event])
        await registry.take(reversed(order))  # all of it again, in one batch
        await registry.look()
        stands = await registry.persons()
        assert (await kept(registry))["fact"] == [int(OTHER)]
        assert (await kept(registry))["number"] == [int(OTHER)]
        assert (await kept(registry))["link"] == []
        assert stands.keys() == {nik(OTHER)}
        assert stands == (wanted := wanted or stands)
        assert stands[nik(OTHER)]["aliases"] == []
        compared = await registry.database.pool.fetch("select nik from traits union select nik from block")
        assert [row["nik"] for row in compared] == [int(OTHER)]


async def test_who_is_told_of_later_is_a_person_again(registry: Registry) -> None:
    await registry.take([recorded(WHO, CARD, _time=BEFORE)])
    await registry.take([erased(WHO, _time=THEN)])
    assert await registry.persons() == {}
    await registry.take([recorded(WHO, CARD, _time=BEFORE)])  # late, and the same
    assert await registry.persons() == {}
    await registry.take([recorded(WHO, CARD, _time=AFTER)])
    assert (await registry.persons()).keys() == {nik(WHO)}


async def test_reports_no_longer_name_the_erased(registry: Registry) -> None:
    people = [{"nik": WHO, "name": "Mbah Karto", "note": "sakit"}, {"nik": OTHER, "name": "Bu Tini"}]
    report = filed("r-1", people=people, _time=BEFORE)
    await registry.take([report], Kind.REPORTS)
    await registry.take([erased(WHO, _time=THEN)])
    (before,) = (await kept(registry))["statement"]
    assert WHO not in before
    assert "Karto" not in before
    assert "Bu Tini" in before
    await registry.take([report], Kind.REPORTS)
    assert (await kept(registry))["statement"] == [before]
    later = filed("r-2", people=people, _time=AFTER)
    await registry.take([later], Kind.REPORTS)
    assert any(WHO in data for data in (await kept(registry))["statement"])


async def test_what_was_suspected_of_the_erased_is_gone_with_a_tombstone(registry: Registry) -> None:
    circle = [merged(WHO, OTHER, _time=BEFORE), merged(OTHER, WHO, _time=BEFORE)]
    await registry.take(circle)
    assert (await registry.fold("registry.suspects.v1", "pair")).keys() == {nik(WHO)}
    await registry.take([erased(WHO, _time=THEN)])
    assert await registry.fold("registry.suspects.v1", "pair") == {}
    assert await kept(registry) == {
        "fact": [], "link": [], "number": [int(OTHER)], "statement": [], "suspect": []
    }  # fmt: skip
    rows = await registry.database.pool.fetch("select key from outbox where value is null order by id")
    assert [row["key"] for row in rows] == [nik(WHO), nik(WHO)]  # of the person, and of the circle


async def test_who_is_known_through_a_merge_alone_is_forgotten_with_it(registry: Registry) -> None:
    await registry.take([recorded(OTHER, CARD, _time=BEFORE), merged(WHO, OTHER, _time=BEFORE)])
    assert (await registry.persons())[nik(OTHER)]["aliases"] == [nik(WHO)]
    await registry.take([erased(WHO, _time=THEN)])
    assert {key: told["aliases"] for key, told in (await registry.persons()).items()} == {nik(OTHER): []}


async def test_nobody_is_forgotten_whose_payouts_must_be_kept(registry: Registry) -> None:
    kept_five_years = from_document({**policy(), "retention": {"payouts": "P5Y"}})
    await registry.database.pool.execute(
        "insert into received (household, person, programme, days) values ($1, $1, 'PKH', '{[2020-01-01,2020-03-31]}')",
        UUID(nik(WHO)),
    )

    async def asked(who: str, day: str) -> None:
        now = datetime.fromisoformat(f"{day}T16:59:59").replace(tzinfo=UTC)  # 23.59 in Jakarta
        async with registry.database.pool.acquire() as connection:
            await refuse_what_must_stay(connection, [UUID(nik(who))], kept_five_years, now)

    with pytest.raises(HTTPException, match="can be forgotten after 2025-03-31"):
        await asked(WHO, "2025-03-31")
    await asked(WHO, "2025-04-01")
    await asked(OTHER, "2020-01-01")


async def test_whom_only_a_report_named_is_missed_no_longer(registry: Registry) -> None:
    people = [{"nik": WHO, "name": "Mbah Karto"}]
    await registry.take([filed("r-1", people=people, _time=BEFORE)], Kind.REPORTS)
    await registry.take([recorded(OTHER, CARD, _time=BEFORE, attributes={"decile": 2})])
    needy = "select person from needy"
    assert {str(row["person"]) for row in await registry.database.pool.fetch(needy)} == {nik(WHO), nik(OTHER)}
    await registry.take([erased(WHO, _time=THEN), erased(OTHER, _time=THEN)])
    assert await registry.database.pool.fetch(needy) == []
    assert await registry.database.pool.fetch("select * from named") == []


MAY_STAY = {
    "erased": "what comes late of the person is refused by it",
    "announced": "the revision that goes on when the person is told of again, and nothing of what was told",
    "act": "who saw the person, which they are told when they ask",
    "aid": "payouts, as long as distribution keeps them",
    "received": "payouts, as long as distribution keeps them",
    "outbox": "on its way",
}


async def test_no_table_names_the_erased_but_those_that_may(registry: Registry) -> None:
    """Every table, whatever is added to the schema: by pseudonym, NIK and name."""
    name, born = "Karto Wiryono Sastro", "1955-03-09"
    facts = {"name": name, "birth_date": born, "region": "33.74.01.1001", "attributes": {"decile": 1}}
    known = [recorded(who, CARD, _time=BEFORE, **facts) for who in (WHO, number(3))]  # who may be one person
    report = {"people": [{"nik": WHO, "name": name, "note": "sakit"}], "text": f"api di rumah NIK {WHO}, dekat {OTHER}"}
    await registry.take([*known, recorded(OTHER, CARD, _time=BEFORE), merged(number(4), WHO, _time=BEFORE)])
    await registry.take([filed("r-1", _time=BEFORE, **report)], Kind.REPORTS)
    days = {"from": "2010-01-01", "to": "2010-03-31"}
    paid = {"person": nik(WHO), "programme": "PKH", "state": "disbursed", "covers": days}
    household = nik(OTHER)  # any but the person's own
    await registry.hear({"household": household, "revision": 1, "payouts": [paid]})
    await registry.look()
    await registry.route()
    words = nik(WHO), WHO, str(int(WHO)), name
    async with registry.database.pool.acquire() as connection:
        stood = await tables_naming(connection, *words)
        assert stood >= {
            "fact", "number", "link", "suspect", "report_told", "statement", "named", "needy", "aid", "received"
        }  # fmt: skip
        await registry.take([erased(WHO, _time=THEN), erased(number(3), _time=THEN), erased(number(4), _time=THEN)])
        await registry.look()
        await registry.route()
        assert await tables_naming(connection, *words) <= MAY_STAY.keys()
        await connection.execute("delete from outbox")
        assert await tables_naming(connection, *words) == {"erased", "announced", "aid", "received"}
        assert (
            await connection.fetchval("select count(*) from announced where digest is not null and key = $1", nik(WHO))
            == 0
        )
        await registry.hear(household)  # distribution has forgotten the last payout
        assert await tables_naming(connection, *words) == {"erased", "announced"}
