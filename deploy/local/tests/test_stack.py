"""The stack with servers that the user names: which processes run, and what becomes of one that dies."""

from __future__ import annotations

import json
import queue
import re
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from tepat_contracts.topics import SERVICES
from tepat_local import files, ports, processes, stack
from tepat_local import kafka as kafka_server
from tepat_local import postgres as postgres_server
from tepat_local.stack import AlreadyRunning, NotReady, Stack
from tepat_local.testing import run

pytestmark = pytest.mark.integration

COMMAND = [sys.executable, str(Path(__file__).with_name("service.py"))]
Finder = Callable[[Path, str], psutil.Process]
COMMANDS = dict.fromkeys(SERVICES, COMMAND)


@pytest.fixture
def settings(kafka: str, postgres: str) -> dict[str, str]:
    """Servers of the user's own."""
    return {"TEPAT_KAFKA": kafka} | {f"TEPAT_{service.upper()}_URL": postgres for service in SERVICES}


class Operator:
    """Who is told what happens."""

    def __init__(self) -> None:
        self._said: queue.Queue[str] = queue.Queue()

    def __call__(self, line: str) -> None:
        self._said.put(line)

    def hears(self, pattern: str, seconds: float = 30) -> str:
        """The next line, which must come within `seconds` and match."""
        line = self._said.get(timeout=seconds)
        assert re.search(pattern, line), line
        return line

    def has_heard_nothing(self) -> bool:
        return self._said.empty()


@pytest.fixture
def operator() -> Operator:
    return Operator()


def names(data: Path) -> list[str]:
    """What runs: the programs by their names, and supervisord by its module."""
    found = []
    for process in processes.of(data):
        told = process.environ().get("SUPERVISOR_PROCESS_NAME")
        found.append(told or process.cmdline()[process.cmdline().index("-m") + 1])
    return sorted(found)


def test_what_the_user_names_is_used_and_not_started(data: Path, settings: dict[str, str], operator: Operator) -> None:
    wanted = ports.Ports(data / "free.json")["registry"]
    with Stack(
        data,
        commands=COMMANDS,
        settings=settings,
        instances={"distribution": 2},
        ports={"registry": wanted},
        say=operator,
    ) as running:
        at = running.endpoints
        assert at.kafka == settings["TEPAT_KAFKA"]
        assert set(at.databases.values()) == {settings["TEPAT_REGISTRY_URL"]}
        assert at.http["registry"].endswith(f":{wanted}")
        assert len(set(at.instances["distribution"])) == 2
        assert names(data) == sorted([*SERVICES, "distribution-2", "mail", "supervisor.supervisord"])
        assert json.loads((Path(at.logs) / "distribution-2.log").read_text())["instance"] == "distribution-2"
    assert operator.has_heard_nothing()
    assert not processes.of(data)


def test_a_service_that_dies_is_started_again_and_said_so(
    data: Path, settings: dict[str, str], operator: Operator
) -> None:
    with Stack(data, commands=COMMANDS, settings=settings, say=operator):
        first = next(each for each in processes.of(data) if each.environ().get("SUPERVISOR_PROCESS_NAME") == "registry")
        first.kill()
        operator.hears(r"registry ended \(terminated by SIGKILL")
        pid = int(operator.hears("registry runs again, as process").split()[-1])
        assert pid != first.pid


def test_supervisord_that_dies_is_started_again_with_everything(
    data: Path, settings: dict[str, str], operator: Operator, find: Finder
) -> None:
    with Stack(data, commands=COMMANDS, settings=settings, say=operator) as running:
        at = running.endpoints
        old = processes.of(data)
        find(data, "supervisor.supervisord").kill()
        operator.hears("supervisord ended")
        left = operator.hears("stopped what was left running")
        assert all(service in left for service in SERVICES)
        operator.hears("everything runs again")
        assert running.endpoints == at
        assert not set(old) & set(processes.of(data))
    assert not processes.of(data)


def test_a_stop_while_supervisord_is_being_replaced_leaves_nothing(
    data: Path, settings: dict[str, str], operator: Operator, find: Finder
) -> None:
    with Stack(data, commands=COMMANDS, settings=settings, say=operator):
        find(data, "supervisor.supervisord").kill()
        operator.hears("supervisord ended")
    assert not processes.of(data)
    assert not (data / "endpoints.json").exists()


def test_what_never_gets_ready_is_named_and_nothing_is_left(
    data: Path, settings: dict[str, str], operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stack, "READY_SECONDS", 5)
    broken = {**COMMANDS, "registry": [sys.executable, "-c", "raise SystemExit(2)"]}
    waiting = ["env", 'FAKE_REASONS=["no partition is assigned", "no policy is in force"]', *COMMAND]
    refused = Stack(data, commands={**broken, "eligibility": waiting}, settings=settings, say=operator)
    with pytest.raises(NotReady) as told, refused:
        pass
    assert "registry: does not answer" in str(told.value)
    assert "eligibility: no partition is assigned;" in str(told.value)
    assert "distribution" not in str(told.value)
    operator.hears(r"registry ended \(exit status 2")
    assert not processes.of(data)


def test_a_service_that_only_lacks_a_policy_counts_as_ready(data: Path, settings: dict[str, str]) -> None:
    fresh = ["env", 'FAKE_REASONS=["no policy is in force"]', *COMMAND]
    with Stack(data, commands=dict.fromkeys(SERVICES, fresh), settings=settings) as running:
        assert running.endpoints


def test_a_given_port_in_use_is_told(data: Path, settings: dict[str, str], kafka: str) -> None:
    taken = int(kafka.rpartition(":")[2])
    with (
        pytest.raises(NotReady, match=f"port {taken}, given for mail, is in use"),
        Stack(data, commands=COMMANDS, settings=settings, ports={"mail": taken}),
    ):
        pass


def test_a_directory_with_an_awkward_name(data: Path) -> None:
    awkward = data / f"Bantuan 100% 'té' {'x' * 90}"
    with Stack(awkward, commands=COMMANDS, settings={}) as running:
        assert "registry.log" in {log.name for log in Path(running.endpoints.logs).iterdir()}
        assert run(kafka_server.answers(running.endpoints.kafka))
        assert run(postgres_server.answers(running.endpoints.databases["registry"]))
        sockets = files.socket_dir(awkward)
        assert awkward not in sockets.parents, "the path would be too long"
    assert not processes.of(awkward)
    assert not sockets.exists()


def test_two_stacks_on_one_directory(data: Path, settings: dict[str, str]) -> None:
    with Stack(data, commands=COMMANDS, settings=settings) as running:
        at = running.endpoints
        with pytest.raises(AlreadyRunning), Stack(data, commands=COMMANDS, settings=settings):
            pass
        assert running.endpoints == at
        assert processes.of(data)
