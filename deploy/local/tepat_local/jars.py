"""The jars that make up Apache Kafka, or whatever another lock file names, kept in the user's cache directory.

Invariants:
- Only jars whose SHA-256 is in the lock are handed out; one that was cut short is fetched again.
- Several processes may ask at once: the first fetches, the rest find it done.

`python -m tepat_local.jars` resolves the artifacts and writes `kafka.lock` anew.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs

from tepat_local import files

if TYPE_CHECKING:
    from jgo.maven import Artifact, MavenContext

BROKER = "org.apache.kafka:kafka_2.13:4.1.0"
LOG_BINDING = "org.apache.logging.log4j:log4j-slf4j-impl:2.24.3"
"""Between slf4j and log4j, both of which the broker brings; without it the broker's log can't be read."""

LOCK = Path(__file__).with_name("kafka.lock")


def cache() -> Path:
    """What is fetched or made once for all stacks: `TEPAT_CACHE`, else the user's cache directory."""
    given = os.environ.get("TEPAT_CACHE")
    return Path(given) if given else platformdirs.user_cache_path("tepat", appauthor=False)


def jars(lock: Path = LOCK) -> list[Path]:
    """The jars of a lock file, fetched where missing.

    Raises:
        RuntimeError: a jar can't be fetched, or is not the one that was locked.
    """
    locked = [line.split() for line in lock.read_text().splitlines()]
    places = [_place(coordinate) for _, coordinate in locked]
    with files.lock(cache() / "maven.lock"):
        missing = [
            (digest, coordinate)
            for (digest, coordinate), place in zip(locked, places, strict=True)
            if not place.exists() or _sha256(place) != digest
        ]
        if missing:
            pool = ThreadPoolExecutor(8)
            try:
                list(pool.map(partial(_fetch, _maven()), missing))
            finally:  # at an interrupt, what has not begun never does
                pool.shutdown(cancel_futures=True)
    return places


def _place(coordinate: str) -> Path:
    """Where Maven's repository layout has the jar."""
    group, name, version = coordinate.split(":")
    return cache() / "maven" / group.replace(".", "/") / name / version / f"{name}-{version}.jar"


def _fetch(maven: MavenContext, wanted: tuple[str, str]) -> None:
    digest, coordinate = wanted
    place = _place(coordinate)
    place.unlink(missing_ok=True)
    if _artifact(maven, coordinate).resolve() != place or _sha256(place) != digest:
        place.unlink(missing_ok=True)
        raise RuntimeError(f"{coordinate} is not the file that was locked")


def _maven() -> MavenContext:
    """Maven Central, or the mirrors that jgo's own settings name (`JGO_CONFIG_FILE`)."""
    from jgo.config import GlobalSettings  # noqa: PLC0415 - an HTTP client and more, of use once
    from jgo.constants import MAVEN_CENTRAL_URL  # noqa: PLC0415
    from jgo.maven import MavenContext  # noqa: PLC0415

    mirrors = GlobalSettings.load().repositories or {"central": MAVEN_CENTRAL_URL}
    return MavenContext(repo_cache=cache() / "maven", remote_repos=mirrors, timeout=60)


def _artifact(maven: MavenContext, coordinate: str) -> Artifact:
    group, name, version = coordinate.split(":")
    return maven.project(group, name).at_version(version).artifact()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def relock(lock: Path, *wanted: str, alone: Sequence[str] = ()) -> None:
    """Resolve `wanted` with all they need at run time, and write `lock` anew; of `alone` only the jar itself."""
    from jgo.maven import Dependency  # noqa: PLC0415

    maven = _maven()
    inputs, others = maven.resolver.resolve([Dependency(_artifact(maven, coordinate)) for coordinate in wanted])
    needed = [each.artifact for each in (*inputs, *others) if each.scope in (None, "compile", "runtime")]
    entries = sorted(
        (f"{jar.groupId}:{jar.artifactId}:{jar.version}", _sha256(jar.resolve()))
        for jar in (*needed, *(_artifact(maven, coordinate) for coordinate in alone))
    )
    files.write(lock, "".join(f"{digest}  {coordinate}\n" for coordinate, digest in entries))


if __name__ == "__main__":
    relock(LOCK, BROKER, alone=[LOG_BINDING])
