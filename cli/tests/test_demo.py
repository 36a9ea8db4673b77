"""The demo's directory, which is wiped, what it takes from the environment, which is nothing, and what a signal leaves
of it and of `tepat up`, which is nothing either.
"""

import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import pytest
from tepat_cli import demo
from tepat_cli.exits import WrongUse
from tepat_local import files, processes
from tepat_local.testing import directory


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


def test_a_picture_is_named_so_before_anything_runs(tmp_path: Path) -> None:
    with pytest.raises(WrongUse, match=r"would hold SVG: name it x\.svg"):
        demo.demo(picture=tmp_path / "x.png", data=tmp_path / "demo")
    assert not (tmp_path / "demo").exists()


def test_a_demo_uses_no_server_of_real_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEPAT_KAFKA", "real:9092")
    monkeypatch.setenv("TEPAT_REGISTRY_URL", "postgresql://real")
    monkeypatch.setenv("TEPAT_CACHE", "/cache")
    monkeypatch.setenv("LANG", "id_ID.UTF-8")
    kept = demo._environment()
    assert {name for name in kept if name.startswith("TEPAT_")} == {"TEPAT_CACHE"}
    assert kept["LANG"] == "id_ID.UTF-8"


@pytest.mark.integration
@pytest.mark.timeout(90)
def test_what_is_told_to_end_leaves_no_process() -> None:
    """A demo as soon as its broker runs, one to be kept as soon as its stack starts; `tepat up` itself is tested with
    the stack.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TEPAT_")}
    told = (([], "logs/kafka.log", signal.SIGTERM), (["--keep"], "pid", signal.SIGHUP))
    with ExitStack() as stack:
        running = []
        for options, *_ in told:
            data = stack.enter_context(directory())
            command = [sys.executable, "-m", "tepat_cli", "demo", "--households", "1", *options, "--data", str(data)]
            demo_ = subprocess.Popen(command, env=environment, cwd=data, stderr=subprocess.PIPE, text=True)
            running.append((stack.enter_context(demo_), data))
        for (process, data), (_, file, how) in zip(running, told, strict=True):
            while not (data / file).exists():
                assert process.poll() is None, process.communicate()
                time.sleep(0.02)  # a file can't be awaited
            process.send_signal(how)
        for process, data in running:
            _, said = process.communicate(timeout=30)
            assert process.returncode == 130, said
            assert not processes.of(data)
            assert not (data / "endpoints.json").exists()
