"""The demo's directory, which is wiped, and what it takes from the environment, which is nothing."""

from pathlib import Path

import pytest
from tepat_cli import demo
from tepat_cli.exits import WrongUse
from tepat_local import files


def test_what_is_no_demo_is_never_wiped(tmp_path: Path) -> None:
    precious = tmp_path / "stack" / "postgres"
    precious.mkdir(parents=True)
    with pytest.raises(WrongUse, match="something else than a demo"):
        demo._clear(tmp_path / "stack")
    assert precious.exists()


def test_a_second_run_is_clean(tmp_path: Path) -> None:
    directory = tmp_path / "demo"
    demo._clear(directory)
    (directory / "kafka").mkdir()
    demo._clear(directory)
    assert [each.name for each in directory.iterdir()] == [demo.MARK]


def test_a_demo_that_runs_is_left_alone(tmp_path: Path) -> None:
    directory = tmp_path / "demo"
    demo._clear(directory)
    with files.lock(directory / "lock"), pytest.raises(WrongUse, match="is running"):
        demo._clear(directory)
    assert (directory / demo.MARK).exists()


def test_a_demo_uses_no_server_of_real_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEPAT_KAFKA", "real:9092")
    monkeypatch.setenv("TEPAT_REGISTRY_URL", "postgresql://real")
    monkeypatch.setenv("TEPAT_CACHE", "/cache")
    monkeypatch.setenv("LANG", "id_ID.UTF-8")
    kept = demo._environment()
    assert {name for name in kept if name.startswith("TEPAT_")} == {"TEPAT_CACHE"}
    assert kept["LANG"] == "id_ID.UTF-8"
