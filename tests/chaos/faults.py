"""What can go wrong, each as something that strikes a target and is over at the end of its block.

Invariants
- A fault that finds nothing to strike (its target is down from an earlier one) raises `Missed` and is not counted.
- Whatever a fault did to the system is undone at its end, however the block is left.
"""

from __future__ import annotations

import asyncio
import errno
import os
import signal
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from random import Random

import asyncpg
import psutil
from tepat_chassis.database import lock_key
from tepat_contracts import topics

from .proxy import Link
from .servers import INSTANCES, SPARE, System, service_of

HOUR = 3_600
CONNECT_SECONDS = 5
BALLAST_CHUNK = 1 << 20

HOLDER = """
select pg_terminate_backend(l.pid) from pg_locks l join pg_database d on d.oid = l.database
where l.locktype = 'advisory' and l.granted and l.classid = 0 and l.objid = $1 and d.datname = $2"""
BACKENDS = "select pid from pg_stat_activity where datname = $1 and pid <> pg_backend_pid()"


class Missed(Exception):
    """There was nothing to strike."""


Strike = Callable[[System, str, Random], AbstractAsyncContextManager[None]]


@dataclass(frozen=True)
class Fault:
    """A fault that can strike any of its targets.

    Args:
        seconds: how long it lasts, from and to; none where it is over at once.
        weight: how often it is drawn, beside the others.
        kills: it ends a process by SIGKILL.
        brief: it is inflicted in brief runs, too.
    """

    name: str
    targets: Sequence[str]
    strike: Strike
    seconds: tuple[float, float] | None = None
    weight: int = 1
    kills: bool = False
    brief: bool = True


def _alive(system: System, program: str) -> psutil.Process:
    process = system.process(program)
    if process is None:
        raise Missed(f"{program} is down")
    return process


def signalled(number: int) -> Strike:
    """The process of a program gets a signal, which ends it."""

    @asynccontextmanager
    async def strike(system: System, program: str, _: Random) -> AsyncIterator[None]:
        process = await asyncio.to_thread(_alive, system, program)
        try:
            process.send_signal(number)
        except psutil.Error as gone:
            raise Missed(program) from gone
        yield

    return strike


@asynccontextmanager
async def frozen(system: System, program: str, _: Random) -> AsyncIterator[None]:
    """The process stands still and wakes later, knowing nothing of it: the zombie."""
    process = await asyncio.to_thread(_alive, system, program)
    try:
        process.suspend()
    except psutil.Error as gone:
        raise Missed(program) from gone
    try:
        yield
    finally:
        with suppress(psutil.Error):
            process.resume()


async def _asked(system: System, database: str, query: str, *given: object) -> list[asyncpg.Record]:
    """What the database's administrator is answered. Raises Missed where the database is down."""
    try:
        connection = await asyncpg.connect(system.admin(database), timeout=CONNECT_SECONDS)
    except (OSError, asyncpg.PostgresError) as down:
        raise Missed("the database is down") from down
    try:
        return await connection.fetch(query, *given)
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as down:
        raise Missed("the database went down") from down
    finally:
        connection.terminate()


def bereft(duty: str) -> Strike:
    """Whoever holds a duty loses the database session that it holds it by, and nothing else."""

    @asynccontextmanager
    async def strike(system: System, service: str, _: Random) -> AsyncIterator[None]:
        if not await _asked(system, "postgres", HOLDER, lock_key(f"duty {duty}"), service):
            raise Missed(f"nobody holds {duty} of {service}")
        yield

    return strike


@asynccontextmanager
async def unheard(system: System, service: str, _: Random) -> AsyncIterator[None]:
    """The relay's connections to the broker are reset, whichever instance relays, and no other."""
    instances = [name for name in INSTANCES if service_of(name) == service]
    links = [f"{name}/kafka" for name in instances]
    if not sum(system.network.on(name, lambda link: link.reset(f"tepat-{service}-relay")) for name in links):
        raise Missed(f"no relay of {service} is connected")
    yield


def backend(number: int, until: int | None = None) -> Strike:
    """A process of the database that serves this service gets a signal, and at the end another.

    One that dies by SIGKILL takes all others with it: PostgreSQL ends every session, and recovers.
    """

    @asynccontextmanager
    async def strike(system: System, service: str, rng: Random) -> AsyncIterator[None]:
        rows = await _asked(system, "postgres", BACKENDS, service)
        if not rows:
            raise Missed(f"{service} has no session")
        pid = rng.choice(rows)["pid"]
        with suppress(ProcessLookupError):
            os.kill(pid, number)
        try:
            yield
        finally:
            if until is not None:
                with suppress(ProcessLookupError):
                    os.kill(pid, until)

    return strike


def link(change: Callable[[Link], None]) -> Strike:
    """The network between an instance and a server, until it is mended."""

    @asynccontextmanager
    async def strike(system: System, name: str, _: Random) -> AsyncIterator[None]:
        system.network.on(name, change)
        try:
            yield
        finally:
            system.network.on(name, Link.mend)

    return strike


@asynccontextmanager
async def slow(system: System, name: str, rng: Random) -> AsyncIterator[None]:
    """All that passes a link is late, by a tenth of a second to one."""
    seconds = rng.uniform(0.1, 1.0)
    async with link(lambda each: each.slow(seconds))(system, name, rng):
        yield


@asynccontextmanager
async def forgotten(system: System, name: str, _: Random) -> AsyncIterator[None]:
    """Whoever was at the other end of a link's connections is gone without a word; new ones find somebody."""
    system.network.on(name, Link.forget)
    yield


@asynccontextmanager
async def added(system: System, _: str, rng: Random) -> AsyncIterator[None]:
    """One more instance of distribution, which is taken away again: killed, or told to stop."""
    if SPARE in system.extra:
        raise Missed("it is added already")
    await asyncio.to_thread(system.add, SPARE)
    try:
        yield
    finally:
        await asyncio.to_thread(system.remove, SPARE, kill=rng.random() < 0.5)


@asynccontextmanager
async def full(system: System, _: str, __: Random) -> AsyncIterator[None]:
    """The database's disk is full: every write that needs room meets ENOSPC."""
    if system.disk is None:
        raise Missed("no file system may be mounted here: only root may")
    ballast = system.disk / "ballast"
    await asyncio.to_thread(_fill, ballast)
    try:
        yield
    finally:
        ballast.unlink()


def _fill(ballast: os.PathLike[str]) -> None:
    with open(ballast, "ab", buffering=0) as file:  # noqa: PTH123
        for chunk in (BALLAST_CHUNK, 4_096):
            try:
                while file.write(bytes(chunk)) == chunk:
                    pass
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise


@asynccontextmanager
async def skewed(system: System, service: str, rng: Random) -> AsyncIterator[None]:
    """The wall clock of every instance of a service is an hour wrong, and then jumps back."""
    file = system.clock_file(service)

    def jump(seconds: int) -> None:
        file.write_text(str(seconds))
        for name in (*INSTANCES, SPARE):
            process = system.process(name) if service_of(name) == service else None
            with suppress(psutil.Error):
                if process is not None:
                    process.send_signal(signal.SIGUSR2)

    await asyncio.to_thread(jump, rng.choice((-HOUR, HOUR)))
    try:
        yield
    finally:
        await asyncio.to_thread(jump, 0)


_LINKS = tuple(f"{name}/{server}" for name in INSTANCES for server in ("kafka", "postgres"))
_SERVICES = tuple(topics.SERVICES)

FAULTS = (
    Fault("kill", INSTANCES, signalled(signal.SIGKILL), weight=9, kills=True),
    Fault("kill", ("kafka", "postgres"), signalled(signal.SIGKILL), weight=4, kills=True),
    Fault("kill a backend", _SERVICES, backend(signal.SIGKILL), weight=3, kills=True),
    Fault("stop", (*INSTANCES, "kafka"), signalled(signal.SIGTERM)),
    Fault("stop", ("postgres",), signalled(signal.SIGINT)),
    Fault("end a backend", _SERVICES, backend(signal.SIGTERM)),
    Fault("freeze", (*INSTANCES, "kafka", "postgres"), frozen, seconds=(7, 14)),
    Fault("freeze a backend", _SERVICES, backend(signal.SIGSTOP, until=signal.SIGCONT), seconds=(3, 12)),
    Fault("end the relay's session", _SERVICES, bereft("outbox")),
    Fault("cut the relay off", _SERVICES, unheard),
    Fault("end the judging session", ("distribution", "eligibility"), bereft("mark")),
    Fault("end the answering session", ("distribution",), bereft("clear")),
    Fault("end the finding session", ("distribution",), bereft("findings")),
    Fault("cut", _LINKS, link(Link.cut), seconds=(1, 8)),
    Fault("silence", _LINKS, link(Link.silence), seconds=(2, 12)),
    Fault("slow", _LINKS, slow, seconds=(2, 8)),
    Fault("forget", tuple(f"{name}/kafka" for name in INSTANCES), forgotten, brief=False),
    Fault("add an instance", ("distribution",), added, seconds=(4, 12), weight=2),
    Fault("fill the disk", ("postgres",), full, seconds=(2, 6), weight=2),
    Fault("skew the clock", _SERVICES, skewed, seconds=(2, 8)),
)
"""SIGINT is how PostgreSQL is told to stop while it has clients: at SIGTERM it would wait for them for ever."""
