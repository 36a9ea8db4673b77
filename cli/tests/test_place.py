"""Where a command finds the system, and whose token it takes."""

from pathlib import Path

import pytest
from tepat_cli.exits import Unreachable, WrongUse
from tepat_cli.place import Place, default_data

from .conftest import Tepat

ENDPOINTS = '{"kafka": "127.0.0.1:9", "databases": {}, "http": {"registry": "http://127.0.0.1:8"}}'


@pytest.fixture
def stack(tmp_path: Path, tepat: Tepat) -> Path:
    data = tmp_path / "stack"
    (data / "tokens").mkdir(parents=True)
    (data / "endpoints.json").write_text(ENDPOINTS)
    for role in ("reader", "operator"):
        (data / "tokens" / role).write_text(f"token of {role}\n")
    return data


def test_flags_come_before_variables_and_these_before_the_file(
    tmp_path: Path, tepat: Tepat, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tepat.toml").write_text(
        'kafka = "file:1"\napi = "http://file"\npartitions = 3\n[registry]\nkafka = "no:1"\n'
    )
    assert (Place.of().kafka, Place.of().partitions) == ("file:1", 3)
    monkeypatch.setenv("TEPAT_KAFKA", "variable:1")
    assert Place.of().kafka == "variable:1"
    assert Place.of(kafka="flag:1").kafka == "flag:1"
    assert Place.of().service("registry") == "http://file/registry"


def test_a_data_directory_on_the_command_line_speaks_for_itself(stack: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEPAT_KAFKA", "variable:1")
    monkeypatch.setenv("TEPAT_API", "http://variable")
    place = Place.of(data=stack)
    assert (place.kafka, place.service("registry"), place.partitions) == ("127.0.0.1:9", "http://127.0.0.1:8", 6)
    assert Place.of(data=stack, kafka="flag:1").kafka == "flag:1"


def test_a_stack_is_found_by_variable_or_in_the_users_directory(stack: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Unreachable, match="tepat up"):
        _ = Place.of().kafka
    assert Place.of().data == default_data()
    monkeypatch.setenv("TEPAT_DATA", str(stack))
    assert Place.of().kafka == "127.0.0.1:9"


def test_tokens_are_those_of_the_role_unless_picked(stack: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert Place.of(data=stack).token("reader") == "token of reader"
    assert Place.of(data=stack, role="operator").token("reader") == "token of operator"
    monkeypatch.setenv("TEPAT_TOKEN", "mine")
    assert Place.of(data=stack).token("reader") == "mine"
    assert Place.of(data=stack, role="operator").token("reader") == "token of operator"
    for role in ("nobody", "../endpoints.json"):
        with pytest.raises(WrongUse, match="operator, reader"):
            Place.of(data=stack, role=role).token("reader")


def test_a_cluster_without_api_says_what_is_missing() -> None:
    with pytest.raises(WrongUse, match="--api"):
        Place.of(kafka="broker:9092").service("registry")


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["overlaps"], 3, "tepat up"),
        (["overlaps", "--bogus"], 2, "no option --bogus"),
        (["nonsense"], 2, "no such command"),
        (["publish"], 2, "--agency"),
        (["publish", "none.csv", "--agency", "dinsos"], 2, "can't be read"),
        (["publish", "none.csv", "--agency", "Dinsos!"], 2, "no agency"),
        (["quarantine", "show", "x"], 2, "TOPIC-PARTITION-OFFSET"),
        (["quarantine", "replay"], 2, "say what to replay"),
        (["policy", "check", "none.yaml"], 2, "can't be read"),
        (["topics", "apply", "--kafka", "127.0.0.1:1"], 3, "do not answer"),
        (["logs", "--level", "loud"], 2, "no level"),
        (["logs"], 2, "no stack has run"),
        (["up", "--port", "registry"], 2, "NAME=NUMBER"),
        (["up", "--instances", "kafka=2"], 2, "no service"),
    ],
)
def test_how_commands_end_that_cannot_go_on(tepat: Tepat, arguments: list[str], status: int, words: str) -> None:
    ran = tepat(*arguments)
    assert ran.status == status
    assert words in ran.words
    assert "Traceback" not in ran.words


def test_a_settings_file_that_is_no_toml_is_told(tmp_path: Path, tepat: Tepat) -> None:
    (tmp_path / "tepat.toml").write_text("kafka = ")
    ran = tepat("overlaps")
    assert (ran.status, "is not TOML" in ran.words) == (2, True)


def test_what_should_not_happen_shows_no_traceback(tepat: Tepat, monkeypatch: pytest.MonkeyPatch) -> None:
    def fall(*_: object, **__: object) -> None:
        raise RuntimeError("NIK 3374014505900001")

    monkeypatch.setattr(Place, "of", fall)
    ran = tepat("overlaps")
    assert (ran.status, "should not have happened (RuntimeError" in ran.words) == (3, True)
    assert "3374014505900001" not in ran.words


COMMANDS = (
    "",
    "up",
    "publish",
    "overlaps",
    "trace",
    "quarantine",
    "quarantine list",
    "quarantine replay",
    "policy",
    "policy apply",
    "topics apply",
    "logs",
)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(tepat: Tepat, command: str) -> None:
    ran = tepat(*command.split(), "--help")
    assert ran.status == 0
    assert "Usage: tepat" in ran.out
