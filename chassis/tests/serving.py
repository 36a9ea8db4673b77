"""A service to start in a process of its own; its one argument says what is to go wrong."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

from tepat_chassis.auth import Auth
from tepat_chassis.health import Health
from tepat_chassis.http import Background, api, serve
from tepat_chassis.logging import get_logger
from tepat_chassis.metrics import Metrics

NIK = "3374010101010001"
log = get_logger()
fault, port = sys.argv[1], int(sys.argv[2])


async def steady(background: Background) -> None:
    await background.stopping.wait()
    log.info("loop ended")


async def failing() -> None:
    raise ValueError(f"no person {NIK}")


async def returning() -> None:
    pass


async def endless() -> None:
    while True:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            log.info("not listening")


@asynccontextmanager
async def lifespan(background: Background) -> AsyncIterator[None]:
    if fault == "start fails":
        raise OSError("no database")
    if fault == "start hangs":
        log.info("starting")
        await asyncio.Event().wait()
    async with background:
        background.start("steady", steady(background))
        match fault:
            case "loop fails":
                background.start("consumer", failing())
            case "loop returns":
                background.start("consumer", returning())
            case "stop hangs":
                background.start("consumer", endless())
        yield
    log.info("closed")
    if fault == "stop fails":
        raise OSError("no database")


async def status() -> dict[str, Any]:
    return {"policy_version": None, "topics": []}


serve(
    api(
        "registry",
        title="Registry",
        auth=Auth("none", "here"),
        health=Health(),
        metrics=Metrics(),
        status=status,
        lifespan=lifespan,
    ),
    SimpleNamespace(service="registry", log_level="info", http_host="127.0.0.1", http_port=port),
)
