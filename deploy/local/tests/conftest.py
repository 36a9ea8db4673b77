"""`up.py` as a process of its own: what it says, what it leaves, how it takes a signal."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import psutil
import pytest
from tepat_local import processes

UP = Path(__file__).with_name("up.py")


class Up:
    """One `up.py`; `says` waits for a line, `ends` for its end."""

    def __init__(self, data: Path) -> None:
        env = {name: value for name, value in os.environ.items() if not name.startswith("TEPAT_")}
        self._lines: list[str] = []
        self._news = threading.Condition()
        self.process = subprocess.Popen(
            [sys.executable, "-W", "error", str(UP), str(data)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=env,
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as out:
            for line in out:
                with self._news:
                    self._lines.append(line.rstrip())
                    self._news.notify_all()
        with self._news:
            self._news.notify_all()

    def says(self, pattern: str, seconds: float = 60) -> str:
        """The first line that matches `pattern`, as soon as it is said."""
        with self._news:

            def found() -> str | None:
                return next((line for line in self._lines if re.search(pattern, line)), None)

            if not self._news.wait_for(found, seconds):
                raise AssertionError(f"{pattern!r} was not said:\n" + "\n".join(self._lines))
            line = found()
            assert line is not None
            return line

    def interrupt(self, how: signal.Signals = signal.SIGINT) -> float:
        """Stop it as Ctrl-C does; the seconds it took."""
        began = time.monotonic()
        self.process.send_signal(how)
        assert self.ends(12) == 0
        return time.monotonic() - began

    def ends(self, seconds: float) -> int:
        """Its exit status, within `seconds`."""
        status = self.process.wait(seconds)
        self._reader.join()
        return status


@pytest.fixture
def up() -> Callable[[Path], AbstractContextManager[Up]]:
    """A stack on a directory that is starting; killed afterwards with all that it left, if it is still there."""

    @contextmanager
    def up(data: Path) -> Iterator[Up]:
        running = Up(data)
        try:
            yield running
        finally:
            running.process.kill()
            running.ends(10)
            processes.sweep(data)

    return up


@pytest.fixture
def find() -> Callable[[Path, str], psutil.Process]:
    """The one process of a directory in whose command line a part ends with a word."""

    def find(data: Path, word: str) -> psutil.Process:
        (found,) = [each for each in processes.of(data) if any(part.endswith(word) for part in each.cmdline())]
        return found

    return find
