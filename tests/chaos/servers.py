"""The system under test: broker, database, mail and services as real processes, each service behind links of its own.

Invariants
- Every instance of a service speaks with the broker and with the database through a link of its own, which can be
  cut, silenced or slowed; the broker advertises each link's port on a listener of its own. The suite itself reads and
  writes past all links.
- What dies is started again by the supervisor that `tepat up` uses.
- Where it may be mounted (by root), the database's disk is a file system of `DISK_MB`, so that it can be full.
- No process, mount or file outlives the block.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import psutil
from tepat_chassis.kafka import declare
from tepat_contracts import topics
from tepat_local import files, kafka, mail, postgres, processes, tokens
from tepat_local.ports import Ports
from tepat_local.stack import Endpoints
from tepat_local.supervisor import SERVERS, SERVICES, Program, Supervisor
from tepat_local.testing import directory

from .proxy import Network

PARTITIONS = 6
INSTANCES = ("registry", "eligibility", "distribution", "distribution-2", "notifications")
SPARE = "distribution-3"
"""An instance that is only there while a fault adds it."""
DISK_MB = 1_536
START_SECONDS = 120
POSTGRES = {"shared_buffers": "128MB", "max_wal_size": "256MB", "min_wal_size": "80MB", "max_connections": "150"}
"""A database that fits the disk."""


def python_path() -> str:
    """Where `launcher.py` finds itself, before what this process was told of: services run the code that it does."""
    return os.pathsep.join([str(Path(__file__).parents[2]), *filter(None, [os.environ.get("PYTHONPATH")])])


def service_of(instance: str) -> str:
    """The service of an instance: `distribution` of `distribution-2`."""
    return instance.partition("-")[0]


@dataclass(frozen=True)
class Listening(kafka.Kafka):
    """A broker with one more listener a link: `links` are (port listened on, port advertised)."""

    links: tuple[tuple[int, int], ...] = ()

    def prepare(self) -> None:
        super().prepare()
        settings = self.home / "server.properties"
        told = dict(line.split("=", 1) for line in settings.read_text().splitlines())
        for number, (listened, advertised) in enumerate(self.links):
            told["listeners"] += f",LINK{number}://127.0.0.1:{listened}"
            told["advertised.listeners"] += f",LINK{number}://127.0.0.1:{advertised}"
            told["listener.security.protocol.map"] += f",LINK{number}:PLAINTEXT"
        files.write(settings, "".join(f"{name}={value}\n" for name, value in told.items()))


@dataclass(frozen=True)
class Small(postgres.Postgres):
    """A database that fits a small disk."""

    def prepare(self) -> None:
        super().prepare()
        with (self.pgdata / "postgresql.conf").open("a") as settings:
            settings.writelines(f"{name} = '{value}'\n" for name, value in POSTGRES.items())


@dataclass
class System:
    """What runs, and where it is."""

    data: Path
    endpoints: Endpoints
    network: Network
    postgres: postgres.Postgres
    commands: Mapping[str, tuple[list[str], Mapping[str, str]]]
    disk: Path | None
    """The mounted disk of the database; none where mounting is not allowed."""
    secret: bytes = b""
    extra: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def kafka(self) -> str:
        """The broker, past all links."""
        return self.endpoints.kafka

    @property
    def told(self) -> dict[str, Any]:
        """The endpoints as in `endpoints.json`."""
        return asdict(self.endpoints)

    def database(self, service: str) -> str:
        """The URL of a service's database, past all links."""
        return self.endpoints.databases[service]

    def admin(self, database: str = "postgres") -> str:
        """The URL of a database for its administrator, past all links."""
        return self.postgres.url(database, postgres.ADMIN)

    def process(self, program: str) -> psutil.Process | None:
        """The process of a program (`kafka`, `postgres`, an instance); none while it is down."""
        try:
            if program == "postgres":
                return psutil.Process(int((self.postgres.pgdata / "postmaster.pid").read_text().split()[0]))
            if program in self.extra:
                return psutil.Process(self.extra[program].pid) if self.extra[program].poll() is None else None
        except (OSError, ValueError, IndexError, psutil.Error):
            return None
        for process in processes.of(self.data):
            try:
                if process.environ().get("SUPERVISOR_PROCESS_NAME") == program:
                    return process
            except psutil.Error:
                continue
        return None

    def add(self, instance: str) -> None:
        """Start an instance beside those that the supervisor keeps."""
        command, environment = self.commands[instance]
        with (self.data / "logs" / f"{instance}.log").open("ab") as log:
            self.extra[instance] = subprocess.Popen(
                command, env={**os.environ, **processes.mark(self.data), **environment}, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip

    def remove(self, instance: str, *, kill: bool) -> None:
        """Stop it again, and wait for its end."""
        process = self.extra.pop(instance)
        if kill:
            process.kill()
        else:
            process.terminate()
        process.wait()

    def clock_file(self, service: str) -> Path:
        """Says by how many seconds the clock of a service's instances is wrong."""
        return self.data / "clocks" / service

    def tepat(self, *arguments: str | Path) -> str:
        """What a command prints; RuntimeError with what it told where it fails."""
        done = subprocess.run(
            [sys.executable, "-m", "tepat_cli", *map(str, arguments), "--data", str(self.data)],
            capture_output=True, text=True, timeout=START_SECONDS, check=False,
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"tepat {arguments[0]}: {done.stdout}{done.stderr}")
        return done.stdout


@contextmanager
def system(say: Any = print, control: str = "", *, small: bool = True) -> Iterator[System]:
    """Everything runs inside the block.

    Args:
        small: the database has a disk of its own that can be full, where one may be mounted.
        control: the defect that distribution is run with (`controls.py`); none where empty.
    """
    with ExitStack() as stack:
        data = stack.enter_context(directory())
        network = stack.enter_context(Network())
        ports = _ports(data)
        disk = stack.enter_context(_disk(data / "postgres")) if small else None
        database = (Small if small else postgres.Postgres)(
            data / "postgres", ports["postgres"], files.socket_dir(data) / "pg"
        )
        instances = (*INSTANCES, SPARE)
        links = {name: (ports[f"{name} listener"], ports[f"{name} kafka"]) for name in instances}
        broker = Listening(data / "kafka", ports["kafka"], ports["controller"], links=tuple(links.values()))
        for private in ("kafka", "logs", "secrets", "keys", "tokens", "clocks"):
            (data / private).mkdir(exist_ok=True)
        tokens.make_secrets(data / "secrets")
        jwks = tokens.issue(data)
        kafka.warm_up(data)
        broker.prepare()
        database.prepare()
        for name, (listened, advertised) in links.items():
            network.link(f"{name}/kafka", advertised, listened)
            network.link(f"{name}/postgres", ports[f"{name} postgres"], database.port)
        commands = {
            name: _service(name, data, ports, jwks, database, control if name.startswith("distribution") else "")
            for name in instances
        }
        programs = [
            Program("kafka", SERVERS, broker.command(), env=kafka.ENVIRONMENT),
            Program("postgres", SERVERS, database.command(), stop="INT", user=database.account),
            Program("mail", SERVERS, mail.command(data / "mail", ports["mail"])),
            *(Program(name, SERVICES, *commands[name]) for name in INSTANCES),
        ]
        supervisor = Supervisor(data, programs, say)
        stack.callback(supervisor.shutdown, 20)
        supervisor.launch(SERVERS)
        asyncio.run(_until(lambda: kafka.answers(broker.bootstrap)))
        asyncio.run(_until(lambda: postgres.answers(database.url("postgres", postgres.ADMIN))))
        asyncio.run(database.declare(topics.SERVICES))
        asyncio.run(declare(broker.bootstrap, topics.own(PARTITIONS)))
        supervisor.launch(SERVICES)
        http = {name: f"http://127.0.0.1:{ports[f'{name} http']}" for name in INSTANCES}
        for url in http.values():
            asyncio.run(_until(partial(_lives, url)))
        endpoints = Endpoints(
            kafka=broker.bootstrap,
            databases={service: database.url(service) for service in topics.SERVICES},
            http={service: http[service] for service in topics.SERVICES},
            instances={s: [url for name, url in http.items() if service_of(name) == s] for s in topics.SERVICES},
            mail={"smtp": f"127.0.0.1:{ports['mail']}", "folder": str(data / "mail")},
            tokens=str(data / "tokens"),
            logs=str(data / "logs"),
        )
        files.write(data / "endpoints.json", json.dumps(asdict(endpoints)), secret=True)
        secret = (data / "secrets" / "main").read_bytes()
        made = System(data, endpoints, network, database, commands, disk, secret)
        stack.callback(_stop_extra, made)
        yield made


def _ports(data: Path) -> dict[str, int]:
    """A free port for everything, chosen before anything listens."""
    free = Ports(data / "ports.json")
    parts = [f"{name} {part}" for name in (*INSTANCES, SPARE) for part in ("kafka", "listener", "postgres", "http")]
    return {name: free[name] for name in ("kafka", "controller", "postgres", "mail", *parts)}


def _service(
    name: str, data: Path, ports: Mapping[str, int], jwks: Path, database: postgres.Postgres, control: str
) -> tuple[list[str], dict[str, str]]:
    """The command of an instance, and what it is told."""
    service = service_of(name)
    own = database.url(service).replace(f":{database.port}/", f":{ports[f'{name} postgres']}/")
    told = {
        "TEPAT_KAFKA": f"127.0.0.1:{ports[f'{name} kafka']}",
        f"TEPAT_{service.upper()}_URL": own,
        "TEPAT_SECRETS": str(data / "secrets"),
        "TEPAT_JWKS": str(jwks),
        "TEPAT_ISSUER": tokens.ISSUER,
        "TEPAT_NOTIFICATIONS_SMTP": f"127.0.0.1:{ports['mail']}",
        "TEPAT_PARTITIONS": str(PARTITIONS),
        "TEPAT_HTTP_PORT": str(ports[f"{name} http"]),
        "TEPAT_CHAOS_CLOCK": str(data / "clocks" / service),
        "TEPAT_CHAOS_CONTROL": control,
        "PYTHONPATH": python_path(),
    }
    return [sys.executable, "-m", "tests.chaos.launcher", service], told


@contextmanager
def _disk(home: Path) -> Iterator[Path | None]:
    """A file system of `DISK_MB` at `home`, where mounting one is allowed."""
    for line in Path("/proc/mounts").read_text().splitlines():  # of suites that were killed
        place = Path(line.split()[1])
        if "tepat-test-" in str(place) and not psutil.pid_exists(int(place.parent.name.split("-")[2])):
            subprocess.run(["umount", "--lazy", place], check=False)
    home.mkdir()
    mounted = not subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m,mode=0755", "tepat-chaos", home],
        check=False, capture_output=True,
    ).returncode  # fmt: skip
    try:
        yield home if mounted else None
    finally:
        if mounted:
            processes.sweep(home.parent)
            subprocess.run(["umount", "--lazy", home], check=False)


def _stop_extra(made: System) -> None:
    for name in list(made.extra):
        made.remove(name, kill=True)


async def _lives(url: str) -> bool:
    try:
        async with httpx.AsyncClient(timeout=2) as client:
            return (await client.get(f"{url}/health/live")).is_success
    except httpx.TransportError:
        return False


async def _until(holds: Any) -> None:
    until = time.monotonic() + START_SECONDS
    while not await holds():
        if time.monotonic() > until:
            raise TimeoutError(f"a server did not answer within {START_SECONDS} s")
        await asyncio.sleep(0.1)
