"""A real process, real sockets and signals."""

import asyncio
import json
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from tepat_chassis.http import STOP_SECONDS

SERVICE = Path(__file__).with_name("serving.py")
Event = dict[str, Any]


class Running:
    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.events: list[Event] = []

    async def told(self, event: str) -> Event:
        """The next line that says ``event``; every line is JSON."""
        assert self.process.stdout is not None
        while line := await self.process.stdout.readline():
            self.events.append(json.loads(line))
            if self.events[-1]["event"] == event:
                return self.events[-1]
        raise AssertionError(f"{event!r} was never logged, but {self.events}")

    async def ended(self) -> int:
        """The exit status, once all lines are read."""
        assert self.process.stdout is not None
        self.events += [json.loads(line) async for line in self.process.stdout]
        return await self.process.wait()


@asynccontextmanager
async def running(fault: str, port: int = 0) -> AsyncIterator[Running]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(SERVICE), fault, str(port), stdout=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(30):
            yield Running(process)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_it_answers_until_told_to_stop_and_says_so_in_json(number: signal.Signals) -> None:
    async with running("nothing") as service:
        started = await service.told("started")
        base = f"http://127.0.0.1:{started['port']}"
        async with httpx.AsyncClient(base_url=base) as client:
            assert (await client.get("/health/live")).status_code == 200
            service.process.send_signal(number)  # the client keeps its connection open
            before = time.monotonic()
            assert await service.ended() == 0
        assert time.monotonic() - before < 5
        assert [event["event"] for event in service.events] == ["started", "stopping", "loop ended", "closed"]
        assert {event["service"] for event in service.events} == {"registry"}


@pytest.mark.parametrize(("fault", "why"), [("loop fails", "no person"), ("loop returns", "it returned")])
async def test_a_loop_that_ends_ends_the_process_and_is_told(fault: str, why: str) -> None:
    async with running(fault) as service:
        assert await service.ended() == 1
        (told,) = [event for event in service.events if event["event"] == "a loop failed"]
        assert told["loop"] == "consumer"
        assert told["level"] == "critical"
        assert why in told["exception"][0]["exc_value"]
        assert "3374010101010001" not in json.dumps(service.events)
        assert service.events[-1]["event"] == "closed"


async def test_a_stop_during_start_up_is_heard() -> None:
    async with running("start hangs") as service:
        await service.told("starting")
        service.process.terminate()
        assert await service.ended() == 0


async def test_a_stop_that_hangs_is_abandoned() -> None:
    async with running("stop hangs") as service:
        await service.told("started")
        before = time.monotonic()
        service.process.terminate()
        assert await service.ended() == 1
        assert time.monotonic() - before < STOP_SECONDS + 5
        assert service.events[-1]["event"] == "the service did not stop in time"


@pytest.mark.parametrize(("fault", "stopped"), [("start fails", False), ("stop fails", True)])
async def test_an_error_of_starting_or_stopping_is_told(fault: str, stopped: bool) -> None:
    async with running(fault) as service:
        if stopped:
            await service.told("started")
            service.process.terminate()
        assert await service.ended() == 1
        assert service.events[-1]["event"] == "the service failed"
        assert service.events[-1]["exception"][0]["exc_value"] == "no database"


async def test_a_taken_port_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        async with running("nothing", taken.getsockname()[1]) as service:
            assert await service.ended() == 1
            (told,) = service.events
            assert (told["event"], told["reason"]) == ("can't listen", "Address already in use")
