"""The services' logs, merged, filtered and followed."""

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest
from tepat_cli.exits import WrongUse
from tepat_cli.logs import Filter, Log, pretty, since, wanted_trace

from .conftest import Tepat

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
TRACE = "0af7651916cd43dd8448eb211c80319c"


def line(second: int, event: str, service: str = "registry", **fields: Any) -> bytes:
    stamp = f"2026-01-01T10:00:{second:02}.000000Z"
    return orjson.dumps({"timestamp": stamp, "level": "info", "event": event, "service": service, **fields}) + b"\n"


@pytest.fixture
def logs(tmp_path: Path, tepat: Tepat) -> Path:
    folder = tmp_path / "stack" / "logs"
    folder.mkdir(parents=True)
    (folder / "registry.log.2").write_bytes(line(1, "first") + line(4, "fourth"))
    (folder / "registry.log.1").write_bytes(line(5, "fifth", trace=TRACE))
    (folder / "registry.log").write_bytes(
        line(8, "eighth", level="error") + b"Traceback of old\n" + line(9, "part")[:20]
    )
    (folder / "distribution.log").write_bytes(
        line(2, "second", "distribution") + line(7, "seventh", "distribution", trace=TRACE)
    )
    (folder / "distribution-2.log").write_bytes(line(6, "sixth", "distribution"))
    (folder / "kafka.log").write_bytes(b"[2026-01-01 10:00:03,000] INFO started\n")
    return folder


def events(text: str) -> list[str]:
    return [orjson.loads(each)["event"] for each in text.splitlines()]


def test_logs_are_merged_by_time_over_services_and_rotations(logs: Path, tepat: Tepat) -> None:
    ran = tepat("logs", "--data", logs.parent, "--json")
    assert ran.status == 0
    assert events(ran.out) == ["first", "second", "fourth", "fifth", "sixth", "seventh", "eighth", "Traceback of old"]


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (["--service", "distribution"], ["second", "sixth", "seventh"]),
        (["--service", "distribution-2"], ["sixth"]),
        (["--service", "kafka"], ["[2026-01-01 10:00:03,000] INFO started"]),
        (["--level", "warning"], ["eighth"]),
        (["--trace", TRACE], ["fifth", "seventh"]),
        (["--trace", f"00-{TRACE}-b7ad6b7169203331-01"], ["fifth", "seventh"]),
        (["--trace", "0af76519-16cd-43dd-8448-eb211c80319c"], ["fifth", "seventh"]),
        (["--since", "2026-01-01T10:00:07Z"], ["seventh", "eighth", "Traceback of old"]),
    ],
)
def test_logs_are_filtered(logs: Path, tepat: Tepat, arguments: list[str], found: list[str]) -> None:
    assert events(tepat("logs", "--data", logs.parent, "--json", *arguments).out) == found


def test_lines_are_pretty_and_those_that_are_no_json_plain(logs: Path, tepat: Tepat) -> None:
    told = tepat("logs", "--data", logs.parent).out.splitlines()
    assert any("error" in each and "eighth" in each for each in told)
    assert any(each.split() == ["registry", "Traceback", "of", "old"] for each in told)
    assert any(f"trace={TRACE}" in each for each in told)


def test_a_service_that_never_logged_is_told(logs: Path, tepat: Tepat) -> None:
    ran = tepat("logs", "--data", logs.parent, "--service", "nobody")
    assert (ran.status, "no log of nobody" in ran.words) == (2, True)


def told(log: Log) -> list[str]:
    return [entry.fields["event"] if entry.fields else entry.raw.decode() for entry in log.lines()]


def test_following_survives_rotation_partial_lines_and_cutting(tmp_path: Path) -> None:
    path = tmp_path / "registry.log"
    log = Log(tmp_path, "registry")
    assert told(log) == []
    path.write_bytes(line(1, "one") + line(2, "two")[:30])
    assert told(log) == ["one"]
    with path.open("ab") as file:
        file.write(line(2, "two")[30:] + line(3, "three"))
    path.rename(tmp_path / "registry.log.1")
    path.write_bytes(line(4, "four"))
    (tmp_path / "registry.log.1").rename(tmp_path / "registry.log.2")
    path.rename(tmp_path / "registry.log.1")
    path.write_bytes(line(5, "five"))
    assert told(log) == ["two", "three", "four", "five"]
    assert told(log) == []
    path.write_bytes(line(6, "6"))
    assert told(log) == ["6"]
    log.close()


def test_what_was_deleted_meanwhile_ends_nothing(tmp_path: Path) -> None:
    path = tmp_path / "registry.log"
    path.write_bytes(line(1, "one"))
    log = Log(tmp_path, "registry")
    assert told(log) == ["one"]
    path.unlink()
    assert told(log) == []
    path.write_bytes(line(2, "two"))
    assert told(log) == ["two"]
    log.close()


def test_the_command_follows_until_interrupted(logs: Path, tepat: Tepat, monkeypatch: pytest.MonkeyPatch) -> None:
    looks = 0

    def look(_: float) -> None:
        nonlocal looks
        looks += 1
        if looks == 1:
            (logs / "eligibility.log").write_bytes(line(10, "tenth", "eligibility"))
        else:
            raise KeyboardInterrupt

    monkeypatch.setattr("tepat_cli.logs.time.sleep", look)
    ran = tepat("logs", "--data", logs.parent, "--json", "--follow", "--since", "2026-01-01T10:00:08Z")
    assert ran.status == 0
    assert events(ran.out) == ["eighth", "Traceback of old", "tenth"]


def test_since_takes_spans_and_times() -> None:
    assert since("10m", NOW) == "2026-01-01T11:50:00.000000Z"
    assert since("2d", NOW) == "2025-12-30T12:00:00.000000Z"
    assert since("2026-01-01T18:00:00+07:00", NOW) == "2026-01-01T11:00:00.000000Z"
    with pytest.raises(WrongUse):
        since("gestern", NOW)


def test_an_exception_is_shown_with_its_frames(tmp_path: Path) -> None:
    error = [{"exc_type": "ValueError", "exc_value": "no", "frames": [{"filename": "a.py", "lineno": 3, "name": "f"}]}]
    (tmp_path / "registry.log").write_bytes(line(1, "failed", exception=error))
    log = Log(tmp_path, "registry")
    (entry,) = log.lines()
    shown = pretty(entry).plain
    log.close()
    assert "ValueError: no" in shown
    assert "a.py:3 in f" in shown


def test_a_trace_that_is_no_uuid_is_looked_for_as_it_is() -> None:
    assert wanted_trace("PKH-1") == "PKH-1"
    assert Filter(trace="PKH-1").trace == "PKH-1"


def test_a_reader_that_has_seen_enough_ends_the_command(tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    (folder / "registry.log").write_bytes(line(1, "x" * 100) * 20_000)
    command = f"set -o pipefail; {sys.executable} -m tepat_cli logs --json --data {tmp_path} | head -1"
    ran = subprocess.run(["bash", "-c", command], check=False, capture_output=True, text=True)
    assert (ran.returncode, len(ran.stdout.splitlines()), ran.stderr) == (0, 1, "")
