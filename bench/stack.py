"""Servers of a bench: a broker and a durable database of their own, and one service as a process."""

import asyncio
import os
import secrets
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
from tepat_local import files, processes
from tepat_local import kafka as kafka_server
from tepat_local import postgres as postgres_server
from tepat_local.ports import Ports
from tepat_local.testing import running, wait

PART = {"java": "broker", "postgres": "database"}


@dataclass(frozen=True, slots=True)
class Servers:
    """Where the servers of a bench are, and under which folder their processes are known."""

    home: Path
    kafka: str
    postgres: postgres_server.Postgres

    def cpu_seconds(self) -> dict[str, float]:
        """CPU seconds spent so far, children included, by the broker, the database and the engine."""
        spent = {"broker": 0.0, "database": 0.0, "engine": 0.0}
        for process in processes.of(self.home):
            try:
                part, times = PART.get(process.name(), "engine"), process.cpu_times()
            except psutil.Error:
                continue
            spent[part] += times.user + times.system + times.children_user + times.children_system
        return spent

    def environment(self, service: str, database: str) -> dict[str, str]:
        """What a service of this bench is told."""
        return {
            "TEPAT_KAFKA": self.kafka,
            f"TEPAT_{service.upper()}_URL": self.postgres.url(database),
            "TEPAT_SECRETS": str(self.home / "secrets"),
            "TEPAT_JWKS": str(self.home / "jwks.json"),
            "TEPAT_ISSUER": "bench",
            "TEPAT_PARTITIONS": "6",
            "TEPAT_HTTP_PORT": "0",
        }


@contextmanager
def servers() -> Iterator[Servers]:
    """A broker and a durable database, gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="tepat-bench-") as folder, ExitStack() as stack:
        home = Path(folder)
        ports = Ports(home / "ports.json")
        broker = kafka_server.Kafka(home / "kafka", ports["kafka"], ports["controller"])
        database = postgres_server.Postgres(home / "postgres", ports["postgres"], files.socket_dir(home) / "pg")
        broker.prepare()
        database.prepare()
        stack.enter_context(running(broker.command(), home, "kafka"))
        stack.enter_context(running(database.command(), home, "postgres", database.account))
        wait(lambda: kafka_server.answers(broker.bootstrap), "kafka", home)
        wait(lambda: postgres_server.answers(database.url("postgres", postgres_server.ADMIN)), "postgres", home)
        for name in ("main", "seal"):
            files.write(home / "secrets" / name, secrets.token_hex(32), secret=True)
        files.write(home / "jwks.json", '{"keys": []}')
        yield Servers(home, broker.bootstrap, database)


@asynccontextmanager
async def service(servers: Servers, name: str, instances: int, database: str) -> AsyncIterator[list[psutil.Process]]:
    """A service as ``instances`` processes on one database, stopped afterwards."""
    environment = os.environ | servers.environment(name, database) | processes.mark(servers.home)
    started: list[subprocess.Popen[bytes]] = []
    try:
        for number in range(instances):
            with (servers.home / f"{name}-{number}.log").open("ab") as log:
                started.append(_start([sys.executable, "-m", f"tepat_{name}"], environment, log.fileno()))
        yield [psutil.Process(process.pid) for process in started]
    finally:
        for process in started:
            process.terminate()
        for number, process in enumerate(started):
            if await asyncio.to_thread(process.wait, 15):
                print((servers.home / f"{name}-{number}.log").read_text()[-4000:], file=sys.stderr)


def _start(command: Sequence[str], environment: dict[str, str], log: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
