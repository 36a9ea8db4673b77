"""The same servers in containers, for tests where a Docker engine answers.

The images are named by version; `TEPAT_TEST_KAFKA_IMAGE` and `TEPAT_TEST_POSTGRES_IMAGE` name others.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tepat_local.kafka import SETTINGS

KAFKA_IMAGE = "apache/kafka:4.1.0"
POSTGRES_IMAGE = "postgres:18"


def available() -> bool:
    """Whether a Docker engine answers: at `DOCKER_HOST`, or at its usual socket."""
    if "DOCKER_HOST" not in os.environ and not Path("/var/run/docker.sock").exists():
        return False
    from testcontainers.core.docker_client import DockerClient  # noqa: PLC0415 - no engine, no library

    try:
        return bool(DockerClient().client.ping())
    except Exception:  # whatever keeps it from answering, it does not answer
        return False


@contextmanager
def kafka(port: int) -> Iterator[str]:
    """A broker in a container that answers at `port` of 127.0.0.1; yields `host:port`."""
    from testcontainers.core.container import DockerContainer  # noqa: PLC0415

    settings = SETTINGS | {
        "listeners": f"PLAINTEXT://:{port},CONTROLLER://:9093",
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{port}",
        "controller.quorum.voters": "1@localhost:9093",
    }
    container = DockerContainer(os.environ.get("TEPAT_TEST_KAFKA_IMAGE", KAFKA_IMAGE))
    container.with_bind_ports(port, port)
    container.with_envs(**{f"KAFKA_{key.upper().replace('.', '_')}": value for key, value in settings.items()})
    with container:
        yield f"127.0.0.1:{port}"


@contextmanager
def postgres(port: int) -> Iterator[str]:
    """A server in a container that answers at `port` of 127.0.0.1; yields its superuser's URL."""
    from testcontainers.core.container import DockerContainer  # noqa: PLC0415

    password = secrets.token_hex(16)
    container = DockerContainer(os.environ.get("TEPAT_TEST_POSTGRES_IMAGE", POSTGRES_IMAGE))
    container.with_bind_ports(5432, port)
    container.with_envs(POSTGRES_PASSWORD=password)
    with container:
        yield f"postgresql://postgres:{password}@127.0.0.1:{port}/postgres"
