"""A broker for each scene: what another scene announced is no part of it."""

from collections.abc import Iterator

import pytest
from tepat_local import kafka as server
from tepat_local.ports import Ports
from tepat_local.testing import directory, running, wait


@pytest.fixture
def kafka() -> Iterator[str]:
    """`host:port` of a broker that nobody has used."""
    with directory() as data:
        ports = Ports(data / "ports.json")
        broker = server.Kafka(data / "kafka", ports["kafka"], ports["controller"])
        server.warm_up(data)
        broker.prepare()
        with running(broker.command(), data, "kafka"):
            wait(lambda: server.answers(broker.bootstrap), "kafka", data)
            yield broker.bootstrap
