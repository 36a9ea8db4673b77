"""`tepat up`: the whole system on this machine, from servers to services.

Invariants:
- One stack at a time runs on a data directory, and whatever an earlier one left running is stopped first.
- `endpoints.json` is there exactly while everything is ready.
- A stop takes less than 10 seconds and leaves no process behind, at whatever moment it comes.
- Other users of this machine can read no file of it: not the topics, which hold NIKs, nor the logs.
- A server that the user names in `TEPAT_KAFKA` or `TEPAT_<SERVICE>_URL` is used, and none of our own started.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import aiokafka.errors
import asyncpg
from tepat_chassis.kafka import declare
from tepat_contracts import topics

from tepat_local import files, kafka, mail, postgres, processes, tokens
from tepat_local.ports import Ports
from tepat_local.supervisor import SERVERS, SERVICES, Program, Supervisor

PARTITIONS = 6
"""Of each topic in the embedded broker."""

READY_SECONDS = 180
"""How long servers, and then services, may take until they do their work: a broker that was killed reads
its logs again first."""

STOP_SECONDS = 8.5
"""How long a stop waits before it kills; what comes after takes less than the rest of 10 s."""

NO_POLICY = "no policy is in force"
"""The one reason not to be ready that the stack can't remove: a policy is applied to a stack that runs."""

Check = Callable[[], Awaitable[str | None]]
"""Tells why something does not do its work yet; None once it does."""


class AlreadyRunning(Exception):
    """Another stack runs on this data directory."""


class NotReady(Exception):
    """The stack can't be had; the message says what is missing and where to look."""


@dataclass(frozen=True)
class Endpoints:
    """Where a running stack answers: `endpoints.json`. It holds passwords."""

    kafka: str
    databases: dict[str, str]
    http: dict[str, str]
    instances: dict[str, list[str]]
    mail: dict[str, str]
    tokens: str
    logs: str

    @classmethod
    def read(cls, data: Path) -> Endpoints:
        """Those of the stack that runs on `data`. Raises FileNotFoundError where none is ready."""
        return cls(**json.loads((data / "endpoints.json").read_text()))


class Stack:
    """The stack on one data directory. As a context manager it is ready inside the block, gone after it.

    Args:
        data: the directory that holds everything of it; made where it is missing.
        instances: how many processes of a service, where not 1.
        ports: ports to listen on by name (`kafka`, `postgres`, `mail`, a service, `registry-2` for its
            second instance), where not free ones that are remembered.
        commands: what runs a service, where not `python -m tepat_<service>`.
        settings: the user's `TEPAT_*` settings, where not those of the environment.
        say: gets a line of plain text, from any thread, whenever an operator should know something;
            standard output where it is not given.
    """

    def __init__(
        self,
        data: Path,
        *,
        instances: Mapping[str, int] | None = None,
        ports: Mapping[str, int] | None = None,
        commands: Mapping[str, list[str]] | None = None,
        settings: Mapping[str, str] | None = None,
        say: Callable[[str], None] | None = None,
    ) -> None:
        self.data = data.expanduser().resolve()
        self._instances = instances or {}
        self._given_ports = ports or {}
        self._commands = commands or {}
        self._settings = os.environ if settings is None else settings
        self.say: Callable[[str], None] = say or partial(print, flush=True)
        self._lock = ExitStack()
        self._owner = False
        self._stopping = threading.Event()
        self._watcher: threading.Thread | None = None
        self._supervisor: Supervisor | None = None
        self._programs: list[Program] = []
        self._checks: dict[str, dict[str, Check]] = {SERVERS: {}, SERVICES: {}}
        self._declare_databases: Callable[[], Awaitable[None]] | None = None

    @property
    def endpoints(self) -> Endpoints:
        """Where the stack answers. Raises FileNotFoundError while it is not ready."""
        return Endpoints.read(self.data)

    def __enter__(self) -> Stack:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Bring everything up; returns once it is ready. After an exception, call `stop`.

        Raises:
            AlreadyRunning: another stack has this data directory.
            NotReady: something can't be set up, or did not come up in `READY_SECONDS`.
        """
        self.data.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            self._lock.enter_context(files.lock(self.data / "lock", wait=False))
        except files.Locked:
            raise AlreadyRunning(f"a stack already runs on {self.data}") from None
        self._owner = True
        self._clear()
        try:
            self._prepare()
            self._launch()
        except _TROUBLE as wrong:
            raise NotReady(_told(wrong)) from wrong
        self._watcher = threading.Thread(target=self._watch, name="watcher", daemon=True)
        self._watcher.start()

    def stop(self) -> None:
        """Stop everything, services first, and leave no process behind; does nothing where nothing runs."""
        with _undisturbed():
            self._stopping.set()
            if not self._owner:
                return
            end = time.monotonic() + STOP_SECONDS
            self._unannounce()
            if self._supervisor:
                self._supervisor.shutdown(STOP_SECONDS)
            if self._watcher:
                self._watcher.join()
            if self._supervisor:  # the watcher may just have started another
                self._supervisor.shutdown(max(0.0, end - time.monotonic()))
            processes.stop(processes.of(self.data), patience=max(0.0, end - time.monotonic()))
            sockets = files.socket_dir(self.data)
            if self.data not in sockets.parents:
                shutil.rmtree(sockets, ignore_errors=True)
            self._lock.close()
            self._owner = False

    def wait(self) -> None:
        """Block until the stack is stopped: by `stop` in another thread, by an exception here, or because its data
        directory is gone.
        """
        self._stopping.wait()

    # -- what runs -----------------------------------------------------------------------------------------

    def _prepare(self) -> None:
        """Make what is missing of everything that the programs need, and say which they are."""
        data, settings = self.data, self._settings
        ports = Ports(data / "ports.json", self._given_ports)
        for private in ("kafka", "logs", "secrets", "keys", "tokens"):
            (data / private).mkdir(mode=0o700, exist_ok=True)
        tokens.make_secrets(data / "secrets")
        jwks = tokens.issue(data)
        smtp = self._mail(ports)
        databases = self._postgres(ports)
        bootstrap = self._kafka(ports)
        instances = {}
        for service in topics.SERVICES:
            common = {
                "TEPAT_KAFKA": bootstrap,
                f"TEPAT_{service.upper()}_URL": databases[service],
                "TEPAT_SECRETS": str(data / "secrets"),
                "TEPAT_JWKS": str(jwks),
                "TEPAT_ISSUER": tokens.ISSUER,
                "TEPAT_NOTIFICATIONS_SMTP": smtp,
                "TEPAT_NOTIFICATIONS_LINK": f"http://127.0.0.1:{ports['notifications']}",
                **({} if settings.get("TEPAT_KAFKA") else {"TEPAT_PARTITIONS": str(PARTITIONS)}),
            }
            common |= {name: settings[name] for name in common if settings.get(name)}
            instances[service] = [
                self._service(service, number, ports, common)
                for number in range(1, self._instances.get(service, 1) + 1)
            ]
        self._ready = Endpoints(
            kafka=bootstrap,
            databases=databases,
            http={service: urls[0] for service, urls in instances.items()},
            instances=instances,
            mail={"smtp": smtp, "folder": str(data / "mail")},
            tokens=str(data / "tokens"),
            logs=str(data / "logs"),
        )

    def _kafka(self, ports: Ports) -> str:
        """`host:port` of the user's brokers, or of one of our own."""
        bootstrap = self._settings.get("TEPAT_KAFKA")
        if not bootstrap:
            server = kafka.Kafka(self.data / "kafka", ports["kafka"], ports["controller"])
            if not server.prepared:
                self.say("first set-up: fetching Apache Kafka and preparing it; this is done once")
            kafka.warm_up(self.data)
            server.prepare()
            self._programs.append(Program("kafka", SERVERS, server.command(), env=kafka.ENVIRONMENT))
            bootstrap = server.bootstrap
        self._checks[SERVERS]["kafka"] = partial(_silent, partial(kafka.answers, bootstrap))
        return bootstrap

    def _postgres(self, ports: Ports) -> dict[str, str]:
        """The URL of each service's database: the user's, or one of our own."""
        given = {service: self._settings.get(f"TEPAT_{service.upper()}_URL", "") for service in topics.SERVICES}
        own = [service for service, url in given.items() if not url]
        if own:
            sockets = files.socket_dir(self.data) / "pg"
            server = postgres.Postgres(self.data / "postgres", ports["postgres"], sockets)
            server.prepare()
            self._programs.append(Program("postgres", SERVERS, server.command(), stop="INT", user=server.account))
            admin = server.url("postgres", postgres.ADMIN)
            self._checks[SERVERS]["postgres"] = partial(_silent, partial(postgres.answers, admin))
            self._declare_databases = partial(server.declare, own)
            given |= {service: server.url(service) for service in own}
        for service, url in given.items():
            if service not in own:
                self._checks[SERVERS][f"{service}'s database"] = partial(_silent, partial(postgres.answers, url))
        return given

    def _mail(self, ports: Ports) -> str:
        """`host:port` of the SMTP server."""
        port = ports["mail"]
        self._programs.append(Program("mail", SERVERS, mail.command(self.data / "mail", port)))
        self._checks[SERVERS]["mail"] = partial(_silent, partial(mail.answers, port))
        return f"127.0.0.1:{port}"

    def _service(self, service: str, number: int, ports: Ports, common: Mapping[str, str]) -> str:
        """The base URL of one instance of a service."""
        name = service if number == 1 else f"{service}-{number}"
        port = ports[name]
        own = {
            "TEPAT_HTTP_HOST": "127.0.0.1",
            "TEPAT_HTTP_PORT": str(port),
            "TEPAT_DATA": str(self.data),
        }
        command = self._commands.get(service, [sys.executable, "-m", f"tepat_{service}"])
        self._programs.append(Program(name, SERVICES, command, env={**common, **own}))
        self._checks[SERVICES][name] = partial(asyncio.to_thread, _unready, port)
        return f"http://127.0.0.1:{port}"

    # -- running it ----------------------------------------------------------------------------------------

    def _launch(self) -> None:
        """Start servers, what they hold, then services; return once all is ready and announced."""
        supervisor = self._supervisor = Supervisor(self.data, self._programs, self.say)
        supervisor.launch(SERVERS)
        asyncio.run(self._until_ready(SERVERS, supervisor))
        asyncio.run(self._declare())
        supervisor.launch(SERVICES)
        asyncio.run(self._until_ready(SERVICES, supervisor))
        files.write(self.data / "endpoints.json", json.dumps(asdict(self._ready), indent=2), secret=True)

    async def _declare(self) -> None:
        """Make the databases and our own topics, where they are missing."""
        if self._declare_databases:
            await self._declare_databases()
        if not self._settings.get("TEPAT_KAFKA"):
            partitions = int(self._settings.get("TEPAT_PARTITIONS") or PARTITIONS)
            await declare(self._ready.kafka, topics.own(partitions))

    async def _until_ready(self, group: str, supervisor: Supervisor) -> None:
        """Wait for everything of `group`. Raises NotReady after `READY_SECONDS`, or when it can't come any more."""
        deadline = time.monotonic() + READY_SECONDS

        def over() -> bool:
            return self._stopping.is_set() or supervisor.ended.is_set() or time.monotonic() > deadline

        async def lacking(name: str, check: Check) -> str | None:
            while (reason := await check()) and not over():  # noqa: ASYNC110 - other processes
                await asyncio.sleep(0.1)
            return reason and f"{name}: {reason}"

        reasons = await asyncio.gather(*(lacking(*each) for each in self._checks[group].items()))
        if lack := "; ".join(reason for reason in reasons if reason):
            late = f" after {READY_SECONDS} s" if time.monotonic() > deadline else ""
            raise NotReady(f"not ready{late}: {lack}; see {self.data / 'logs'}")

    def _watch(self) -> None:
        """Start everything again whenever supervisord itself ends, until the stack is stopped."""
        while not self._stopping.is_set():
            assert self._supervisor is not None
            self._supervisor.ended.wait()
            if self._stopping.is_set():
                return
            if not (self.data / "lock").exists():
                self.say(f"{self.data} is gone, and all data with it: nothing can run there any more")
                self._stopping.set()
                return
            self.say("supervisord ended: starting everything again")
            self._unannounce()
            try:
                self._clear()
                self._launch()
                self.say("everything runs again")
            except _TROUBLE as wrong:
                if self._stopping.is_set():
                    return
                self.say(f"{_told(wrong)}; trying again")
                self._supervisor.shutdown(STOP_SECONDS)
                self._stopping.wait(2)

    def _clear(self) -> None:
        """Stop what an earlier start left running on this directory, and what it announced."""
        self._unannounce()
        if left := processes.sweep(self.data):
            self.say(f"stopped what was left running: {', '.join(left)}")

    def _unannounce(self) -> None:
        (self.data / "endpoints.json").unlink(missing_ok=True)


def up(stack: Stack) -> int:
    """Run `stack` until SIGINT, SIGTERM or SIGHUP; `tepat up` is this.

    Returns: the exit status: 0 after a stop, 2 where another stack has the directory, 3 where it can't be had, or its
    directory was taken away.
    """
    try:
        with processes.interruptible(), stack:
            stack.say(f"ready; where everything is: {stack.data / 'endpoints.json'}")
            stack.wait()
    except KeyboardInterrupt:
        stack.say("stopped")
    except AlreadyRunning as other:
        stack.say(str(other))
        return 2
    except NotReady as wrong:
        stack.say(str(wrong))
        return 3
    else:
        return 3
    return 0


_TROUBLE = (
    NotReady,
    OSError,
    ValueError,
    RuntimeError,
    subprocess.CalledProcessError,
    asyncpg.PostgresError,
    aiokafka.errors.KafkaError,
)
"""What can go wrong with programs and servers, as opposed to this code."""


def _told(wrong: BaseException) -> str:
    if isinstance(wrong, subprocess.CalledProcessError):
        return f"{Path(str(wrong.cmd[0])).name} failed: {wrong.stderr or wrong.stdout or wrong.returncode}"
    return str(wrong) or type(wrong).__name__


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Inside, no signal interrupts: a stop that has begun is finished. Of use in the main thread only."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {each: signal.signal(each, signal.SIG_IGN) for each in processes.ENDING}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


async def _silent(answers: Callable[[], Awaitable[bool]]) -> str | None:
    return None if await answers() else "does not answer"


def _unready(port: int) -> str | None:
    """Why the service on `port` of 127.0.0.1 is not ready, None when it is, or when only a policy is missing."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", "/health/ready")
        answer = connection.getresponse()
        body = answer.read()
    except (OSError, http.client.HTTPException):
        return "does not answer"
    finally:
        connection.close()
    if answer.status == http.HTTPStatus.OK:
        return None
    try:
        reasons = [each for each in json.loads(body)["reasons"] if not each.startswith(NO_POLICY)]
    except (ValueError, KeyError, TypeError):
        return f"answers with status {answer.status}"
    return "; ".join(reasons) or None
