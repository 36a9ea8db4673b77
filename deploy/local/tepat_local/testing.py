"""Fixtures with a real broker and a real database, for every suite of the repository.

A server is taken, in this order: the one that `TEPAT_TEST_KAFKA` (host:port) or `TEPAT_TEST_POSTGRES`
(URL of a role that may create databases) names; a container where a Docker engine answers; the embedded
one. Each is started once a session, at the first test that asks for it.

Invariants:
- A test gets a database that no other test has seen, and leaves none behind.
- What a session that was killed left running is stopped by the next one.
"""

from __future__ import annotations

import asyncio
import os
import secrets as random
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import psutil
import pytest
from tepat_chassis.database import Database

from tepat_local import containers, files, processes
from tepat_local import kafka as kafka_server
from tepat_local import postgres as postgres_server
from tepat_local.ports import Ports

T = TypeVar("T")

START_SECONDS = 60


@contextmanager
def directory() -> Iterator[Path]:
    """A fresh data directory, whose processes are stopped and which is removed afterwards.

    Not below pytest's own temporary folder, which each session closes to all but its user: where tests run
    as root, PostgreSQL runs as another. Directories of sessions that were killed are cleared as well.
    """
    base = Path(tempfile.gettempdir())
    for old in base.glob("tepat-test-*-*"):
        with suppress(FileNotFoundError):  # another session clears it too
            if old.stat().st_uid == os.getuid() and not psutil.pid_exists(int(old.name.split("-")[2])):
                processes.sweep(old)
                shutil.rmtree(old, ignore_errors=True)
    made = Path(tempfile.mkdtemp(prefix=f"tepat-test-{os.getpid()}-"))
    try:
        yield made
    finally:
        processes.sweep(made)
        shutil.rmtree(made, ignore_errors=True)


@pytest.fixture(scope="session")
def _servers() -> Iterator[Path]:
    """The data directory of this session's own servers."""
    with directory() as data:
        yield data


@pytest.fixture
def data() -> Iterator[Path]:
    """A data directory for `tepat up --data`; nothing that was started on it outlives the test."""
    with directory() as data:
        yield data


@pytest.fixture(scope="session")
def kafka(_servers: Path) -> Iterator[str]:
    """`host:port` of a broker; topics are the test's own to name and declare."""
    if given := os.environ.get("TEPAT_TEST_KAFKA"):
        yield given
        return
    with ExitStack() as stack:
        ports = Ports(_servers / "kafka.ports.json")
        if containers.available():
            bootstrap = stack.enter_context(containers.kafka(ports["kafka"]))
        else:
            server = kafka_server.Kafka(_servers / "kafka", ports["kafka"], ports["controller"])
            kafka_server.warm_up(_servers)
            server.prepare()
            stack.enter_context(running(server.command(), _servers, "kafka"))
            bootstrap = server.bootstrap
        wait(lambda: kafka_server.answers(bootstrap), "kafka", _servers)
        yield bootstrap


@pytest.fixture(scope="session")
def postgres(_servers: Path) -> Iterator[str]:
    """URL of a server's `postgres` database, with a role that may create databases."""
    if given := os.environ.get("TEPAT_TEST_POSTGRES"):
        yield given
        return
    with ExitStack() as stack:
        port = Ports(_servers / "postgres.ports.json")["postgres"]
        if containers.available():
            url = stack.enter_context(containers.postgres(port))
        else:
            sockets = files.socket_dir(_servers) / "pg"
            server = postgres_server.Postgres(_servers / "postgres", port, sockets, durable=False)
            server.prepare()
            stack.enter_context(running(server.command(), _servers, "postgres", server.account))
            url = server.url("postgres", postgres_server.ADMIN)
        wait(lambda: postgres_server.answers(url), "postgres", _servers)
        yield url


@pytest.fixture(scope="session")
def template() -> str:
    """Name of the database of which each test gets a copy: an empty one, until a suite says otherwise."""
    return "template1"


@pytest.fixture
def database(postgres: str, template: str) -> Iterator[str]:
    """URL of a fresh copy of `template`, dropped after the test, with whatever is still connected."""
    with _database(postgres, template) as url:
        yield url


@contextmanager
def migrated(server: str, *migrations: Traversable) -> Iterator[str]:
    """The name of a database of `server` that was opened with `migrations`, as a `template`: a copy of its tables
    takes a fraction of the time that making them takes."""

    async def migrate(url: str) -> None:
        database = Database(url, service="template")
        await database.open(*migrations)
        await database.close()

    with _database(server, "template1") as url:
        run(migrate(url))
        yield urlsplit(url).path[1:]


@contextmanager
def _database(server: str, template: str) -> Iterator[str]:
    name = f"test_{random.token_hex(6)}"
    run(_execute(server, f"create database {name} template {template} strategy file_copy"))  # a third of wal_log's time
    yield urlunsplit(urlsplit(server)._replace(path=f"/{name}"))
    run(_execute(server, f"drop database {name} with (force)"))


async def tables_naming(connection: asyncpg.Connection[asyncpg.Record], *words: str) -> set[str]:
    """The tables in which one of these words (a pseudonym, a number, a name) stands, in whatever column of any row."""
    named = (
        "select table_name from information_schema.tables where table_schema = 'public' and table_type = 'BASE TABLE'"
    )
    tables = [row["table_name"] for row in await connection.fetch(named)]
    async with connection.transaction():
        await connection.execute("set local bytea_output = 'escape'")  # events on their way out are bytes
        return {
            table for table in tables
            if await connection.fetchval(
                f'select exists (select from "{table}" r where r::text like any($1::text[]))',
                [f"%{word}%" for word in words],
            )
        }  # fmt: skip


@pytest.fixture(scope="session")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory of secret files as services take it: `main` and `seal`, the same in every run."""
    folder = tmp_path_factory.mktemp("secrets")
    files.write(folder / "main", bytes(range(32)), secret=True)
    files.write(folder / "seal", bytes(range(32, 64)), secret=True)
    return folder


@contextmanager
def running(command: list[str], data: Path, name: str, account: str | None = None) -> Iterator[None]:
    """Run `command` as a process of `data`, its output in `data/name.log`, until the block ends."""
    with (data / f"{name}.log").open("ab") as log:
        process = subprocess.Popen(
            command,
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
            env=os.environ | processes.mark(data),
            user=account,
            group=account,
            extra_groups=[] if account else None,
            start_new_session=True,
        )
    try:
        yield
    finally:
        processes.stop([psutil.Process(process.pid)], patience=10)
        process.wait()


def wait(answers: Callable[[], Coroutine[Any, Any, bool]], name: str, data: Path) -> None:
    """Wait until `answers()` holds; fail with the end of the log after a minute."""

    async def poll() -> None:
        async with asyncio.timeout(START_SECONDS):
            while not await answers():  # noqa: ASYNC110 - another process, which signals nothing
                await asyncio.sleep(0.05)

    try:
        run(poll())
    except TimeoutError:
        log = data / f"{name}.log"
        told = log.read_text()[-4000:] if log.exists() else ""
        pytest.fail(f"{name} did not answer within {START_SECONDS} s\n{told}")


async def _execute(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


def run(work: Coroutine[Any, Any, T]) -> T:
    """The result of `work`, on a loop of its own: the tests' loop may be another's."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()
