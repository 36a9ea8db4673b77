"""A port is chosen once on a machine, before anything listens on it."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from tepat_local.ports import Ports, is_free

CHOOSE = """
import random, sys
from pathlib import Path
from tepat_local.ports import Ports
random.seed(int(sys.argv[2]))
print(Ports(Path(sys.argv[1]))["kafka"], flush=True)
sys.stdin.read()
"""
"""The same seed draws the same ports."""
SEED = "20260306"

Start = Callable[[Path], subprocess.Popen[str]]


@pytest.fixture
def start() -> Iterator[Start]:
    """Start a process that chooses a port, says which, and lives on."""
    with ExitStack() as stack:

        def started(file: Path) -> subprocess.Popen[str]:
            process = subprocess.Popen(
                [sys.executable, "-c", CHOOSE, str(file), SEED],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            stack.enter_context(process)
            stack.callback(process.kill)
            return process

        yield started


def told(process: subprocess.Popen[str]) -> int:
    assert process.stdout is not None
    return int(process.stdout.readline())


def test_processes_that_draw_the_same_port_at_the_same_moment_have_different_ones(tmp_path: Path, start: Start) -> None:
    both = [start(tmp_path / name) for name in ("a.json", "b.json")]
    chosen = [told(process) for process in both]
    assert chosen[0] != chosen[1]
    assert all(is_free(port) for port in chosen)  # nothing listens: that alone would not tell
    assert Ports(tmp_path / "a.json")["kafka"] == chosen[0]  # of one stack, whichever process asks
    copied = tmp_path / "copied.json"
    copied.write_text((tmp_path / "a.json").read_text())
    assert Ports(copied)["kafka"] != chosen[0]
    both[0].kill()
    both[0].wait()
    assert told(start(tmp_path / "c.json")) == chosen[0]  # whoever is killed holds nothing
