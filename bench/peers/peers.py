"""The peers and their settings, which are printed with their figures."""

import json
import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from bench.peers import own
from bench.peers.race import Peer

STREAMS = {
    "processing.guarantee": "exactly_once_v2",
    "num.stream.threads": "2",
    "commit.interval.ms": "1000",
    "statestore.cache.max.bytes": str(256 << 20),
    "producer.compression.type": "lz4",
    "producer.batch.size": str(256 << 10),
    "producer.linger.ms": "50",
    "consumer.max.poll.records": "5000",
}
"""Two threads on two cores."""


def _streams(java: list[str], work: Path) -> list[str]:
    path = os.pathsep.join(map(str, own.classpath("kafka_streams")))
    settings = [f"{name}={value}" for name, value in STREAMS.items()]
    return [str(own.java_home() / "bin" / "java"), *java, "-cp", path, "tepat.streams.Main", str(work), *settings]


def _streams_versions() -> dict[str, str]:
    return {
        "kafka-streams": own.locked("kafka_streams", "kafka-streams"),
        "rocksdbjni": own.locked("kafka_streams", "rocksdbjni"),
        "java": own.java_version(),
    }


QUIX = {
    "instances": 2,
    "commit_interval": 2.0,
    "rocksdb": {"compression_type": "lz4", "bloom_filter_bits_per_key": 10},
    "producer": {"compression.type": "lz4", "linger.ms": 20, "batch.num.messages": 20_000},
    "consumer": {"fetch.min.bytes": 65_536, "fetch.wait.max.ms": 50},
}
"""A process a core: an application of Quix is one thread."""


def _quix(work: Path) -> list[str]:
    return [str(own.python("quix")), str(own.HERE / "quix" / "app.py"), str(work), json.dumps(QUIX)]


def _quix_versions() -> dict[str, str]:
    return {name: own.locked("quix", name) for name in ("quixstreams", "rocksdict", "confluent-kafka", "msgspec")}


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


def _flink(settings: dict[str, str], work: Path) -> list[str]:
    interpreter = own.python("flink")
    libraries = sorted(interpreter.parent.parent.glob("lib/python*/site-packages/pyflink/lib/*.jar"))
    jars = ";".join(path.as_uri() for path in own.classpath("flink", libraries))
    return [
        str(interpreter),
        str(own.HERE / "flink" / "job.py"),
        str(work),
        json.dumps(settings | {"pipeline.jars": jars}),
    ]


def _flink_versions() -> dict[str, str]:
    connector = own.locked("flink", "flink-sql-connector-kafka")
    return {
        "apache-flink": own.locked("flink", "apache-flink"),
        "kafka connector": connector,
        "java": own.java_version(),
    }


def _flinks() -> Iterator[Peer]:
    """Checkpoints of 1 s and 10 s: what is found is visible no sooner."""
    for interval in ("1 s", "10 s"):
        settings = FLINK | {"execution.checkpointing.interval": interval}
        yield Peer(
            f"flink-{interval.replace(' ', '')}", partial(_flink, settings), _flink_versions, settings,
            environment={"JAVA_HOME": str(own.java_home()), "JVM_ARGS": "-Xmx3g"},
        )  # fmt: skip


JAVA = ["-Xmx2g", "-XX:+UseParallelGC", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"]

PEERS = {
    peer.name: peer
    for peer in (
        Peer(
            "kafka-streams",
            partial(_streams, JAVA),
            _streams_versions,
            {"java": " ".join(JAVA), **STREAMS},
            relays=r"peer\.kafka-streams\.households\.v1",
        ),
        Peer(
            "quix",
            _quix,
            _quix_versions,
            {name: json.dumps(value) for name, value in QUIX.items()},
            relays=r"repartition__peer-quix--.*",
        ),
        *_flinks(),
    )
}
