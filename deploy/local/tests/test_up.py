"""`tepat up` with its own servers: it starts, goes on where it stopped, and leaves nothing, however it ended."""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any

import asyncpg
import jwt
import psutil
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from tepat_contracts.topics import SERVICES
from tepat_local import kafka, postgres, processes, tokens
from tepat_local.stack import Endpoints
from tepat_local.testing import directory, run

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]

Starter = Callable[[Path], AbstractContextManager[Any]]
Finder = Callable[[Path, str], psutil.Process]


@pytest.fixture(scope="module")
def data() -> Iterator[Path]:
    """One data directory for all of this module: each start goes on where the last one ended."""
    with directory() as data:
        yield data


async def leave_a_trace(at: Endpoints) -> None:
    """A row and a record, committed."""
    connection = await asyncpg.connect(at.databases["registry"])
    await connection.execute("create table if not exists trace (at timestamptz)")
    await connection.execute("insert into trace values (now())")
    await connection.close()
    producer = AIOKafkaProducer(bootstrap_servers=at.kafka)
    await producer.start()
    await producer.send_and_wait("policy.v1", b"{}", key=b"test")
    await producer.stop()


async def traces(at: Endpoints) -> tuple[int, int]:
    """How many rows and records there are."""
    connection = await asyncpg.connect(at.databases["registry"])
    rows = await connection.fetchval("select count(*) from trace")
    await connection.close()
    consumer = AIOKafkaConsumer(bootstrap_servers=at.kafka)
    await consumer.start()
    partition = TopicPartition("policy.v1", 0)
    records = (await consumer.end_offsets([partition]))[partition]
    await consumer.stop()
    return rows, records


def health(url: str) -> dict[str, str]:
    with urllib.request.urlopen(f"{url}/health/ready") as answer:
        env: dict[str, str] = json.load(answer)["env"]
    return env


def test_everything_answers_once_on_a_directory_and_ctrl_c_leaves_nothing(up: Starter, data: Path) -> None:
    with up(data) as running:
        running.says("^ready")
        at = Endpoints.read(data)
        assert set(at.databases) == set(at.http) == set(SERVICES)
        assert (data / "endpoints.json").stat().st_mode & 0o077 == 0
        open_to_others = {each.name for each in data.iterdir() if each.is_dir() and each.stat().st_mode & 0o007}
        assert open_to_others <= {"postgres", "run"}, "which PostgreSQL's own account passes through"
        for service, url in at.http.items():
            env = health(url)
            assert env["TEPAT_KAFKA"] == at.kafka
            assert env[f"TEPAT_{service.upper()}_URL"] == at.databases[service]
            assert env["TEPAT_PARTITIONS"] == "6"
            assert (Path(env["TEPAT_SECRETS"]) / "main").stat().st_size == 64
            keys = jwt.PyJWKSet.from_json(Path(env["TEPAT_JWKS"]).read_text())
            for role, rights in tokens.ROLES.items():
                file = data / "tokens" / role
                assert file.stat().st_mode & 0o077 == 0
                claims = jwt.decode(
                    file.read_text(),
                    keys[tokens.KEY_ID],
                    algorithms=["EdDSA"],
                    audience="tepat",
                    issuer=env["TEPAT_ISSUER"],
                )
                assert claims["rights"] == list(rights)
        assert len({url.rpartition("/")[2] for url in at.databases.values()}) == len(SERVICES)
        command = [sys.executable, str(Path(__file__).with_name("up.py")), str(data)]
        second = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
        assert (second.returncode, second.stdout) == (2, f"a stack already runs on {data}\n")
        assert Endpoints.read(data) == at, "the first goes on"
        run(leave_a_trace(at))
        assert running.interrupt() < 10
        assert not processes.of(data)
        assert not (data / "endpoints.json").exists()


def test_goes_on_after_any_kill(up: Starter, find: Finder, data: Path) -> None:
    with ExitStack() as ups:
        running = ups.enter_context(up(data))
        running.says("^ready")
        at = Endpoints.read(data)
        for killed in ("up and supervisord", "all"):
            run(leave_a_trace(at))
            before = run(traces(at))
            running.process.kill()
            running.ends(5)
            doomed = {
                "up and supervisord": [find(data, "supervisor.supervisord")],
                "all": processes.of(data),
            }[killed]
            for process in doomed:
                process.kill()
            psutil.wait_procs(doomed, timeout=10)
            left = processes.of(data)
            assert bool(left) == (killed != "all")
            running = ups.enter_context(up(data))
            if left:
                running.says("^stopped what was left running: .*kafka .*registry")
            running.says("^ready")
            assert not set(left) & set(processes.of(data))
            assert Endpoints.read(data) == at
            assert run(traces(at)) == before
        for name, word in (("kafka", "kafka.Kafka"), ("postgres", "/bin/postgres")):
            find(data, word).kill()
            running.says(f"^{name} ended .*SIGKILL")
            running.says(f"^{name} runs again")
        run(back(at))
        assert run(traces(at)) == before
        running.process.kill()
        supervisor = find(data, "supervisor.supervisord")
        supervisor.terminate()
        supervisor.wait(10)
        assert not processes.of(data), "which end in order though nobody hears supervisord any more"


async def back(at: Endpoints) -> None:
    """Return once both servers answer again."""
    async with asyncio.timeout(60):
        while not (await kafka.answers(at.kafka) and await postgres.answers(at.databases["registry"])):  # noqa: ASYNC110
            await asyncio.sleep(0.1)


def test_a_terminal_that_goes_away_in_the_midst_of_a_start_leaves_nothing(up: Starter, data: Path) -> None:
    with up(data) as running:
        log = data / "logs" / "supervisord.log"
        size = log.stat().st_size
        while log.stat().st_size == size:
            time.sleep(0.02)  # a log can't be awaited
        assert running.interrupt(signal.SIGHUP) < 10
        assert not processes.of(data)
        assert not (data / "endpoints.json").exists()


def test_nothing_is_started_again_where_the_directory_was_taken_away(up: Starter, find: Finder, data: Path) -> None:
    with up(data) as running:
        running.says("^ready")
        supervisor = find(data, "supervisor.supervisord")
        shutil.rmtree(data)
        supervisor.terminate()
        assert running.ends(20) == 3
        running.says("is gone, and all data with it")
        assert not processes.of(data)
