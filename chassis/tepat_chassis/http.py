"""A service's HTTP side, and how a service runs.

Invariants:
- Every route under /v1 but /v1/status and those a service adds to its application itself, for callers who sign
  instead, demands a token and a right; one that asks no right is refused when the application is built.
- Errors are ``application/problem+json``, say in English and Indonesian what is wrong, and hold neither a traceback nor
  what was sent; only a body over 1 MiB is refused in plain text, before any of this.
- A service is one process: its loops are announced to a ``Background``; one that ends on its own, by
  exception or by returning, ends the process with status 1 and a logged reason, for the supervisor to start
  it anew.
- SIGTERM and SIGINT end it within ``STOP_SECONDS``, in start-up too: requests first, then the loops, then
  what they stand on; what takes longer is abandoned (positions and outbox are in the database, so nothing is
  lost).
"""

import asyncio
import base64
import contextlib
import gc
import os
import re
import signal
import socket
import sys
import threading
import time
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Collection,
    Container,
    Coroutine,
    Generator,
    Iterable,
    Sequence,
)
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from difflib import get_close_matches
from http import HTTPStatus
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated, Any, Protocol, TypeVar
from uuid import UUID

import asyncpg
import uvicorn
import uvloop
from aiokafka.errors import KafkaError
from fastapi import APIRouter, Depends, FastAPI, Query, Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from pydantic import TypeAdapter
from starlette.exceptions import HTTPException as StarletteHTTPException
from tepat_contracts.events.fields import REGION_PATTERN

from tepat_chassis.auth import Auth, Needs, authenticated
from tepat_chassis.health import Health
from tepat_chassis.logging import configure, get_logger, mask
from tepat_chassis.metrics import CONTENT_TYPE, Metrics
from tepat_chassis.refusals import Common, refusal, words
from tepat_chassis.standing import NothingInForceError
from tepat_chassis.wanted import wanted

STOP_SECONDS = 4.8
SWITCH_SECONDS = 0.0005
"""How long a thread that decodes a batch may keep the loop waiting."""
COLLECT_AFTER = (100_000, 20, 20)
"""A batch makes tens of thousands of objects, none in a cycle: cycles are looked for after so many more, not 700."""
_FINISH_SECONDS = 2.5
_LEAST_SECONDS = 0.3
_REQUEST_SECONDS = 1
_LARGEST_BODY = 1024 * 1024

T = TypeVar("T")

log = get_logger()

AWAY = (
    KafkaError, ConnectionError, TimeoutError, asyncpg.PostgresConnectionError, asyncpg.OperatorInterventionError,
)  # fmt: skip
"""How it shows that the broker or the database is not there just now."""


class Background:
    """The loops of a service, within what they stand on::

        async def lifespan(background: Background) -> AsyncIterator[None]:
            async with pool, broker, background:
                background.start("consumer", consumer.run())
                yield

    ``stopping`` is set when the last request was answered, before the lifespan goes on behind its ``yield``.
    Leaving the ``async with`` waits for the loops until ``finish`` seconds after that, and cancels the rest.
    """

    def __init__(self, finish: float = _FINISH_SECONDS) -> None:
        self.stopping = asyncio.Event()
        """Set once the loops should end after the batch in hand."""
        self.failed = asyncio.Event()
        """Set once a loop failed."""
        self.failure: tuple[str, BaseException] | None = None
        """The first loop that failed, and with what."""
        self._finish = finish
        self._since = 0.0
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, name: str, loop: Coroutine[Any, Any, None]) -> None:
        """Runs a loop that must not end before ``stopping``."""
        task = asyncio.get_running_loop().create_task(loop, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def stop(self) -> None:
        """Lets the loops end; calling it again changes nothing."""
        if not self.stopping.is_set():
            self._since = time.monotonic()
            self.stopping.set()

    def fail(self, name: str, why: BaseException) -> None:
        """Logs why and ends the process: for failures elsewhere than in a loop started here."""
        log.critical("a loop failed", loop=name, exc_info=why)
        self.failure = self.failure or (name, why)
        self.failed.set()

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if task.cancelled():
            why: BaseException | None = None if self.stopping.is_set() else RuntimeError("it was cancelled")
        else:
            why = task.exception()
            if why is None and not self.stopping.is_set():
                why = RuntimeError("it returned")
        if why is not None:
            self.fail(task.get_name(), why)

    async def __aenter__(self) -> "Background":
        return self

    async def __aexit__(self, *_: object) -> None:
        self.stop()
        tasks = set(self._tasks)
        if tasks:
            left = self._since + self._finish - time.monotonic()
            await asyncio.wait(tasks, timeout=max(left, _LEAST_SECONDS))
            for task in tasks:
                task.cancel()  # does nothing to those that ended
            await asyncio.wait(tasks)


Lifespan = Callable[[Background], AbstractAsyncContextManager[None]]


@asynccontextmanager
async def _no_loops(background: Background) -> AsyncIterator[None]:
    async with background:
        yield


async def _unknown_areas() -> Container[str] | None:
    return None


def api(
    service: str,
    *,
    title: str,
    auth: Auth,
    health: Health,
    metrics: Metrics,
    status: Callable[[], Awaitable[dict[str, Any]]],
    routers: Iterable[APIRouter] = (),
    lifespan: Lifespan = _no_loops,
    time_zone: Callable[[], str | None] = lambda: None,
    areas: Callable[[], Awaitable[Container[str] | None]] = _unknown_areas,
) -> FastAPI:
    """The application of a service: /health/live, /health/ready, /metrics, /openapi.json, /v1/status, /v1/….

    ``status`` gives what /v1/status tells anyone beside service and readiness: policy_version, topics.
    ``routers`` come below /v1. ``lifespan`` runs the service; an application is started once. Moments are told
    in UTC; header ``Tepat-Time-Zone`` names the zone by whose clocks they are to be shown, ``time_zone``. A query
    whose ``region`` is none of ``areas`` is refused, where these are known. Raises ValueError where a route asks no
    right.
    """

    background = Background()

    @asynccontextmanager
    async def run(_: FastAPI) -> AsyncIterator[None]:
        async with lifespan(background):
            yield
            background.stop()

    app = FastAPI(
        title=title,
        version=_version(service),
        docs_url=None,  # these pages load scripts from elsewhere
        redoc_url=None,
        lifespan=run,
        max_body_size=_LARGEST_BODY,
    )
    app.state.auth = auth
    app.state.background = background
    app.add_exception_handler(StarletteHTTPException, _http_problem)
    app.add_exception_handler(RequestValidationError, _input_problem)
    for away in AWAY:
        app.add_exception_handler(away, _away)
    app.add_exception_handler(NothingInForceError, _no_policy)
    app.add_exception_handler(Exception, _our_problem)

    @app.get("/health/live", tags=["operation"])
    async def live() -> JSONResponse:
        return _judged(health.stuck())

    @app.get("/health/ready", tags=["operation"])
    async def ready() -> JSONResponse:
        return _judged(health.unready(), health.remarks())

    @app.get("/metrics", tags=["operation"])
    async def numbers() -> Response:
        return Response(metrics.text(), media_type=CONTENT_TYPE)

    @app.get("/v1/status", tags=["operation"])
    async def told() -> dict[str, Any]:
        return {
            "policy_version": None,
            "topics": [],
            **await status(),
            "service": service,
            "ready": health.ready,
        }

    async def clocks(response: Response) -> None:
        if (zone := time_zone()) is not None:
            response.headers["tepat-time-zone"] = zone

    async def known_area(request: Request) -> None:
        region = request.query_params.get("region")
        if region is not None and re.match(REGION_PATTERN, region):
            known = await areas()
            if known is not None and region not in known:
                raise _unfit("region", words("no_area", region=region))

    for router in routers:
        _require_rights(router)
        app.include_router(
            router, prefix="/v1", dependencies=[Depends(authenticated), Depends(clocks), Depends(known_area)]
        )
    return app


def _version(service: str) -> str:
    try:
        return version(f"tepat-{service}")
    except PackageNotFoundError:
        return "0"


def _require_rights(router: APIRouter) -> None:
    for route in router.routes:
        if not isinstance(route, APIRoute) or not _asks_right(route.dependant):
            raise ValueError(f"{getattr(route, 'path', route)} asks no right: depend on needs(Right.…)")


def _asks_right(dependant: Dependant) -> bool:
    return any(isinstance(each.call, Needs) or _asks_right(each) for each in dependant.dependencies)


def _judged(reasons: list[str], remarks: Sequence[str] = ()) -> JSONResponse:
    return JSONResponse({"ok": not reasons, "reasons": [*reasons, *remarks]}, 503 if reasons else 200)


def _problem(status: int, detail: str, headers: dict[str, str] | None = None, **more: Any) -> JSONResponse:
    """A body after RFC 9457."""
    body = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        **more,
    }
    return JSONResponse(body, status, headers, media_type="application/problem+json")


async def _http_problem(_: Request, error: Exception) -> Response:
    assert isinstance(error, StarletteHTTPException)
    nowhere = error.detail == HTTPStatus(error.status_code).phrase  # said by no route
    return _problem(error.status_code, words("no_address") if nowhere else error.detail, dict(error.headers or {}))


async def _input_problem(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    wrong = [
        {"pointer": mask("/".join(str(step) for step in each["loc"])), "message": mask(wanted(each))}
        for each in error.errors()
    ]
    return _problem(422, words("unfit"), errors=wrong)


_OF_WHAT_IS_KNOWN = {
    "programme": ("a programme of the policy in force", "program dalam kebijakan yang berlaku"),
    "agency": ("an agency of the policy in force", "instansi dalam kebijakan yang berlaku"),
    "sender": (
        "an agency of the policy in force, or of what is here",
        "instansi dalam kebijakan, atau pengirim data ini",
    ),
    "recipient": (
        "a recipient of the policy in force, or one told before",
        "penerima dalam kebijakan, atau yang pernah diberi tahu",
    ),
    "kind": ("a kind of institution that is known", "jenis lembaga yang dikenal"),
    "channel": ("a channel that is set up, or was used", "saluran yang terpasang, atau pernah dipakai"),
}  # fmt: skip


def must_be_of(known: Collection[str], name: str, *asked: str | None, what: str) -> None:
    """Refuses parameter ``name``, in the words of any other refusal, where there is no such thing, and names what is
    nearest. By what nobody knows nothing is found, which would read as if there were nothing.
    """
    for each in asked:
        if each is not None and each not in known:
            spelt = {one.casefold(): one for one in known}
            near = [spelt[one] for one in get_close_matches(each.casefold(), spelt, n=1)]
            english, indonesian = _OF_WHAT_IS_KNOWN[what]
            english += f"; did you mean {near[0]}?" if near else ""
            indonesian += f"; mungkin maksudnya {near[0]}?" if near else ""
            raise _unfit(name, f"must be {english} / harus {indonesian}")


def uuid_in(name: str) -> UUID | None:
    """The id that stands in an address, where names of other kinds may too."""
    try:
        return UUID(name)
    except ValueError:
        return None


def _unfit(parameter: str, told: str) -> RequestValidationError:
    return RequestValidationError([{"type": "unknown", "loc": ("query", parameter), "msg": told, "input": None}])


Region = Annotated[str | None, Query(pattern=REGION_PATTERN, description="those in this area, such as 33.74.01")]
"""The area of a listing."""


async def _away(request: Request, error: Exception) -> Response:
    """What a service leans on does not answer: that passes, and is for who runs the cluster to mend."""
    why: Common = "broker_away" if isinstance(error, KafkaError) else "database_away"
    log.warning("a request could not be answered", path=request.url.path, away=why, error=type(error).__name__)
    return _problem(503, words(why), {"retry-after": "1"})


async def _no_policy(_: Request, __: Exception) -> Response:
    return _problem(409, words("no_policy"))


async def _our_problem(_: Request, __: Exception) -> Response:
    return _problem(500, words("failed"))


class Page:
    """Where a listing goes on: ``after`` is the key of the last row told, None at the start; at most
    ``limit`` rows.

    A query reads ``limit + 1`` rows beyond ``after``; ``of`` makes the answer of them. The cursor is opaque,
    not secret: keys hold no NIK.
    """

    def __init__(self, keys: TypeAdapter[tuple[Any, ...]], limit: int, cursor: str | None) -> None:
        self.limit = limit
        self.after: tuple[Any, ...] | None = None
        self._keys = keys
        if cursor is not None:
            try:
                self.after = keys.validate_json(base64.b64decode(cursor, altchars=b"-_", validate=True))
            except ValueError:
                raise refusal(400, "cursor") from None

    def of(self, rows: Sequence[T], key: Callable[[T], tuple[Any, ...]]) -> dict[str, Any]:
        """``{"items": [...], "next": cursor or None}`` of up to ``limit + 1`` rows, ``key`` being a row's."""
        items = rows[: self.limit]
        more = len(rows) > self.limit
        cursor = base64.urlsafe_b64encode(self._keys.dump_json(key(items[-1]))).decode() if more else None
        return {"items": items, "next": cursor}


def paging(*key: Any) -> Callable[..., Page]:
    """Dependency for a listing whose rows are ordered by a key of these types: ``paging(datetime, UUID)``."""
    keys: TypeAdapter[tuple[Any, ...]] = TypeAdapter(tuple[key])  # type: ignore[valid-type]

    def page(
        limit: Annotated[int, Query(ge=1, le=1000, description="most rows of one answer")] = 100,
        cursor: Annotated[
            str | None, Query(max_length=1024, description="`next` of the answer before this one")
        ] = None,
    ) -> Page:
        return Page(keys, limit, cursor)

    return page


class Serving(Protocol):
    """What of its settings a service needs to run."""

    @property
    def service(self) -> str: ...
    @property
    def log_level(self) -> str: ...
    @property
    def http_host(self) -> str: ...
    @property
    def http_port(self) -> int: ...


BACKLOG = 2048
"""Connections that may wait to be taken."""


class _Server(uvicorn.Server):
    """Leaves signals to ``serve``, which hears them from before the application starts."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


def serve(app: FastAPI, settings: Serving) -> None:
    """Runs a service until SIGTERM or SIGINT; logs JSON from here on.

    Raises SystemExit 1, the reason logged, where it can't listen or start, a loop fails, or stopping goes
    wrong; a stop that takes longer than ``STOP_SECONDS`` ends the process with status 1 at once.
    """
    configure(settings.service, settings.log_level)
    gc.freeze()  # what is loaded by now stays
    gc.set_threshold(*COLLECT_AFTER)
    sys.setswitchinterval(SWITCH_SECONDS)
    abandon = threading.Timer(STOP_SECONDS, _abandon)
    abandon.daemon = True
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            sound = runner.run(_serve(app, settings, abandon))
    finally:
        abandon.cancel()
    if not sound:
        raise SystemExit(1)


async def _serve(app: FastAPI, settings: Serving, abandon: threading.Timer) -> bool:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    try:
        listener = _bound(settings.http_host, settings.http_port)
    except OSError as wrong:
        log.critical("can't listen", host=settings.http_host, port=settings.http_port, reason=wrong.strerror)
        return False
    server = _Server(
        uvicorn.Config(
            app,
            lifespan="off",  # entered below: its errors, and a stop during start-up, are then ours to tell
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=_REQUEST_SECONDS,
        )
    )

    async def work() -> None:
        async with app.router.lifespan_context(app):
            host, port, *_ = listener.getsockname()
            listener.listen(BACKLOG)  # before it is said that it has started
            log.info("started", host=host, port=port)
            await server.serve(sockets=[listener])

    background: Background = app.state.background
    working = asyncio.create_task(work())
    causes = [asyncio.create_task(event.wait()) for event in (stop, background.failed)]
    await asyncio.wait({working, *causes}, return_when=asyncio.FIRST_COMPLETED)
    log.info("stopping")
    abandon.start()
    if server.started:
        server.should_exit = True
    else:
        working.cancel()
    await asyncio.wait({working})
    for cause in causes:
        cause.cancel()
    listener.close()
    why = None if working.cancelled() else working.exception()
    if why is not None:
        log.critical("the service failed", exc_info=why)
    return why is None and background.failure is None


def _bound(host: str, port: int) -> socket.socket:
    """A socket that doesn't listen yet, so that nothing connects before the application has started."""
    bound = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
    except OSError:
        bound.close()
        raise
    return bound


def _abandon() -> None:
    log.critical("the service did not stop in time", seconds=STOP_SECONDS)
    sys.stdout.flush()
    os._exit(1)
