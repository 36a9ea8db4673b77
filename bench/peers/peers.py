"""The peers and their settings, which are printed with their figures."""

import json
import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from bench.peers import own
from bench.peers.race import Peer

STREAMS_JAVA = ["-Xmx2g", "-XX:+UseParallelGC", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"]
STREAMS = {
    "processing.guarantee": "exactly_once_v2",
    "num.stream.threads": "2",
    "commit.interval.ms": "5000",
    "statestore.cache.max.bytes": str(256 << 20),
    "producer.compression.type": "lz4",
    "producer.batch.size": str(256 << 10),
    "producer.linger.ms": "50",
    "consumer.max.poll.records": "5000",
}
"""A thread a core. The stores' cache joins what goes to the changelog between two commits."""

QUIX = {
    "instances": 2,
    "commit_interval": 5.0,
    "rocksdb": {"compression_type": "lz4", "bloom_filter_bits_per_key": 10},
    "producer": {"compression.type": "lz4", "linger.ms": 200, "batch.num.messages": 20_000},
    "consumer": {"fetch.min.bytes": 524_288, "fetch.wait.max.ms": 200},
}
"""A process a core, since an application of Quix is one thread; few and large batches, or the broker does most work."""

FLINK_JAVA = "-Xmx3g"
FLINK = {
    "parallelism.default": "2",
    "restart-strategy.type": "none",
    "execution.checkpointing.mode": "EXACTLY_ONCE",
    "execution.checkpointing.incremental": "true",
    "state.backend.type": "rocksdb",
    "state.backend.rocksdb.predefined-options": "FLASH_SSD_OPTIMIZED",
    "state.backend.rocksdb.use-bloom-filter": "true",
    "taskmanager.memory.managed.size": "512m",
    "taskmanager.memory.network.max": "128m",
    "pipeline.object-reuse": "true",
    "table.exec.mini-batch.enabled": "true",
    "table.exec.mini-batch.allow-latency": "500 ms",
    "table.exec.mini-batch.size": "5000",
    "table.exec.sink.upsert-materialize": "NONE",
}
"""A failure ends the run; a bench that recovers would measure that."""


def _streams() -> Peer:
    def command(work: Path) -> list[str]:
        path = os.pathsep.join(map(str, own.classpath("kafka_streams")))
        settings = [f"{name}={value}" for name, value in STREAMS.items()]
        return [str(own.java()), *STREAMS_JAVA, "-cp", path, "tepat.streams.Main", str(work), *settings]

    def versions() -> dict[str, str]:
        names = ("kafka-streams", "rocksdbjni", "jackson-databind")
        return {name: own.locked("kafka_streams", name) for name in names} | {"java": own.java_version()}

    settings = {"java": " ".join(STREAMS_JAVA), **STREAMS}
    return Peer("kafka-streams", command, versions, settings, relays=r"peer\.kafka-streams\.households\.v1")


def _quix() -> Peer:
    def command(work: Path) -> list[str]:
        return [str(own.python("quix")), str(own.HERE / "quix" / "app.py"), str(work), json.dumps(QUIX)]

    def versions() -> dict[str, str]:
        return {name: own.locked("quix", name) for name in ("quixstreams", "rocksdict", "confluent-kafka", "msgspec")}

    settings = {name: json.dumps(value) for name, value in QUIX.items()}
    return Peer("quix", command, versions, settings, relays=r"repartition__peer-quix--.*")


def _flink() -> Iterator[Peer]:
    """Checkpoints of 1 s and 10 s: what is found is visible no sooner."""

    def command(settings: dict[str, str], work: Path) -> list[str]:
        interpreter = own.python("flink")
        libraries = sorted(interpreter.parents[1].glob("lib/python*/site-packages/pyflink/lib/*.jar"))
        told = settings | {"pipeline.jars": ";".join(path.as_uri() for path in own.classpath("flink", libraries))}
        return [str(interpreter), str(own.HERE / "flink" / "job.py"), str(work), json.dumps(told)]

    def versions() -> dict[str, str]:
        names = ("apache-flink", "flink-sql-connector-kafka", "jackson-databind")
        return {name: own.locked("flink", name) for name in names} | {"java": own.java_version()}

    environment = {"JAVA_HOME": str(own.java().parents[1]), "JVM_ARGS": FLINK_JAVA}
    for seconds in (1, 10):
        settings = FLINK | {"execution.checkpointing.interval": f"{seconds} s"}
        shown = {"java": FLINK_JAVA, **settings}
        yield Peer(f"flink-{seconds}s", partial(command, settings), versions, shown, environment=environment)


PEERS = {peer.name: peer for peer in (_streams(), _quix(), *_flink())}
