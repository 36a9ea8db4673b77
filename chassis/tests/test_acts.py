from importlib.resources import files

import pytest
from tepat_chassis.acts import record
from tepat_chassis.auth import Person, Right
from tepat_chassis.database import Database

SITI = Person("siti", "Siti", frozenset({Right.disclose}), ())

pytestmark = pytest.mark.integration


async def undone(store: Database) -> None:
    async with store.transaction() as connection:
        await record(connection, SITI, "disclose", "person-2")
        raise LookupError


async def test_an_act_stands_with_what_it_did_or_not_at_all(database: str) -> None:
    store = Database(database, service="registry")
    await store.open(files("tepat_chassis") / "sql" / "migrations")
    try:
        async with store.transaction() as connection:
            first = await record(connection, SITI, "disclose", "person-1", {"fields": ["name"]})
        with pytest.raises(LookupError):
            await undone(store)
        rows = await store.pool.fetch("select id, who, name, act, target, detail->'fields'->>0 as field from act")
        assert [tuple(row) for row in rows] == [(first, "siti", "Siti", "disclose", "person-1", "name")]
    finally:
        await store.close()
