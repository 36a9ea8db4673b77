"""A whole running system, as its user has it: `tepat up` as a process, driven by the command and the topics."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
from aiokafka import AIOKafkaProducer
from tepat_demo import stream
from tepat_demo.oracle import Record
from tepat_local.testing import directory

UP_SECONDS = 240
STOP_SECONDS = 10
COMMAND_SECONDS = 180
DISTRIBUTIONS = 2


def event(agency: str, type_: str, id_: str, data: dict[str, Any]) -> bytes:
    """An event of an agency, such as `person.recorded`; of revision 0 where the data names none."""
    told = {
        "specversion": "1.0", "id": id_, "source": f"urn:tepat:agency:{agency}", "type": f"tepat.{type_}.v1",
        "time": "2026-01-05T08:00:00+07:00", "data": {"revision": 0, **data},
    }  # fmt: skip
    return json.dumps(told).encode()


@dataclass(frozen=True)
class Running:
    """A running system."""

    data: Path
    up: "subprocess.Popen[bytes]"

    @property
    def endpoints(self) -> dict[str, Any]:
        """What `endpoints.json` says."""
        told: dict[str, Any] = json.loads((self.data / "endpoints.json").read_text())
        return told

    def tepat(self, *arguments: str | Path, status: int | None = 0) -> str:
        """What a command prints on standard output; it must end with `status`, unless that is none."""
        done = subprocess.run(
            [sys.executable, "-m", "tepat_cli", *map(str, arguments), "--data", str(self.data)],
            capture_output=True, text=True, timeout=COMMAND_SECONDS, check=False,
        )  # fmt: skip
        assert status is None or done.returncode == status, (
            f"{done.returncode}\n{done.stdout}\n{done.stderr}\n{self.failures()}"
        )  # fmt: skip
        return done.stdout

    def failures(self) -> str:
        """What the services say went wrong with them."""
        lines = [line for log in (self.data / "logs").glob("*.log") for line in log.read_text().splitlines()]
        return "\n".join(line for line in lines if re.search('"level": ?"(error|critical)"', line))

    def listed(self, *arguments: str | Path) -> list[dict[str, Any]]:
        """What a listing gives with `--json`."""
        return [json.loads(line) for line in self.tepat(*arguments, "--json").splitlines()]

    def processes(self, service: str) -> list[psutil.Process]:
        """The processes of a service."""
        found = []
        for process in psutil.process_iter():
            try:
                own = process.environ().get("TEPAT_STACK") == str(self.data.resolve())
                if own and process.cmdline()[-2:] == ["-m", f"tepat_{service}"]:
                    found.append(process)
            except psutil.Error:
                continue
        return found

    def kill(self, service: str) -> None:
        """Kill a process of a service, as `kill -9` does."""
        for process in self.processes(service)[:1]:
            process.send_signal(signal.SIGKILL)

    @asynccontextmanager
    async def producer(self) -> AsyncIterator[AIOKafkaProducer]:
        """A client of an agency."""
        made = AIOKafkaProducer(bootstrap_servers=self.endpoints["kafka"], max_request_size=3 * 1024 * 1024)
        await made.start()
        try:
            yield made
        finally:
            await made.stop()

    async def read(self, topics: Sequence[str], *, committed: bool = True) -> list[Record]:
        """Everything that stands on topics now."""
        return list(await stream.read(self.endpoints["kafka"], topics, committed=committed))


def start(data: Path, *options: str) -> Running:
    """`tepat up`, ready."""
    log = (data / "up.log").open("ab")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TEPAT_")}
    up = subprocess.Popen(
        [sys.executable, "-m", "tepat_cli", "up", "--data", str(data), *options],
        stdout=log, stderr=log, env=environment, start_new_session=True,
    )  # fmt: skip
    log.close()
    until = time.monotonic() + UP_SECONDS
    while not (data / "endpoints.json").exists():
        if up.poll() is not None or time.monotonic() > until:
            up.kill()
            pytest.fail((data / "up.log").read_text()[-4000:])
        time.sleep(0.1)
    return Running(data, up)


@pytest.fixture(scope="session")
def system() -> Iterator[Running]:
    """A system with two instances of distribution, for every test of this folder; stopped as its user stops it."""
    with directory() as folder:
        running = start(folder, "--instances", f"distribution={DISTRIBUTIONS}")
        yield running
        began = time.monotonic()
        running.up.send_signal(signal.SIGINT)
        assert running.up.wait(30) == 0
        assert time.monotonic() - began < STOP_SECONDS
        assert not any(running.processes(service) for service in ("registry", "distribution"))
        assert not (running.data / "endpoints.json").exists()
