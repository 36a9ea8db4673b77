"""What becomes of a document that names a secret which an instance does not have."""

from collections.abc import AsyncIterator
from functools import cache
from importlib.resources import files
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import orjson
import pytest
import pytest_asyncio
from structlog.testing import capture_logs
from tepat_chassis.database import Connection, Database, Lock
from tepat_chassis.pseudonyms import Pseudonyms, having, read_secret
from tepat_chassis.quarantine import Record
from tepat_chassis.span import Span
from tepat_chassis.standing import Standing, StandingIntake

pytestmark = pytest.mark.integration


class Instance:
    """An instance with secrets of its own on the one database."""

    def __init__(self, database: Database, secrets: Path, *names: str) -> None:
        self.database, self.secrets = database, secrets
        secrets.mkdir()
        for name in names:
            self.has(name)
        pseudonyms = cache(lambda secret_id: Pseudonyms(read_secret(secrets, secret_id)))
        parse = having(lambda told: SimpleNamespace(**told), pseudonyms)
        self.standing: Standing[Any] = Standing(database, parse)
        self.intake: StandingIntake[Any] = StandingIntake(parse, self._follow)

    def has(self, name: str) -> None:
        (self.secrets / name).write_bytes(bytes(32))

    async def _follow(self, connection: Connection, parsed: object, document: dict[str, object]) -> object:
        return document

    async def take(self, *told: tuple[str, str]) -> None:
        """Take one batch of documents, each a version and its secret."""
        records = [
            Record("policy.v1", 0, n, 0, orjson.dumps({"version": version, "secret_id": secret_id}), [])
            for n, (version, secret_id) in enumerate(told)
        ]
        work = self.intake.decode([Span("policy.v1", 0, 0, len(records), records)], None)  # type: ignore[arg-type]
        async with self.database.transaction(Lock.EXCLUSIVE) as connection:
            await self.intake.write(connection, work)

    async def looks(self) -> tuple[str | None, str | None]:
        """Which version is in force here once it has looked again, and which one it cannot follow."""
        await self.intake.again(self.database)
        in_force = await self.standing.refresh()
        put_off = self.standing.lacking or self.intake.put_off
        return in_force and in_force.version, put_off and put_off.version


@pytest_asyncio.fixture
async def store(database: str) -> AsyncIterator[Database]:
    opened = Database(database, service="test")
    await opened.open(files("tepat_chassis") / "sql" / "migrations")
    yield opened
    await opened.close()


async def test_the_one_before_stays_until_the_secret_comes(store: Database, tmp_path: Path) -> None:
    one = Instance(store, tmp_path / "one", "main")
    with capture_logs() as logs:
        await one.take(("1", "main"), ("2", "lain"))
        assert await one.looks() == ("1", "2")
        assert await one.looks() == ("1", "2")
    assert [(each["log_level"], each["version"]) for each in logs if "waits for a secret" in each["event"]] == [
        ("error", "2")
    ]
    assert one.intake.put_off is not None
    english, indonesian = one.intake.put_off.why.split(" / ")
    assert english.startswith("policy 2 names the secret `lain`, which this service does not have: ")
    assert indonesian.startswith("kebijakan 2 menyebut rahasia `lain` yang tidak ada pada layanan ini: ")
    one.has("lain")
    assert await one.looks() == ("2", None)
    assert await store.pool.fetchval("select count(*) from standing") == 2


async def test_another_document_takes_the_place_of_what_was_put_off(store: Database, tmp_path: Path) -> None:
    one = Instance(store, tmp_path / "one", "main")
    await one.take(("1", "lain"))
    assert await one.looks() == (None, "1")
    await one.take(("2", "salah"), ("3", "main"))
    assert await one.looks() == ("3", None)
    one.has("lain")
    one.has("salah")
    assert await one.looks() == ("3", None)


async def test_an_instance_that_has_the_secret_takes_what_another_put_off(store: Database, tmp_path: Path) -> None:
    poor, rich = Instance(store, tmp_path / "poor", "main"), Instance(store, tmp_path / "rich", "main", "lain")
    await poor.take(("1", "main"))
    assert await poor.looks() == await rich.looks() == ("1", None)
    await poor.take(("2", "lain"))
    assert await poor.looks() == ("1", "2")
    assert await rich.looks() == ("2", None)
    assert await poor.looks() == (None, "2")  # what is in force is not taken for what was before
    poor.has("lain")
    assert (await poor.standing.first()).version == "2"
    assert await poor.looks() == ("2", None)
