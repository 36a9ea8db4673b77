"""Runs a service as its own `main` does, with a clock that can be wrong and, for the controls, one defect.

`python -m tests.chaos.launcher SERVICE`, told by the environment:

- `TEPAT_CHAOS_CLOCK`: a file with the seconds by which this process's clock is wrong; read at the start, and at each
  SIGUSR2. What is skewed is the service's wall clock, in Python and in C (`time-machine`); the clocks of the broker
  and of the database stay right, and no clock that only measures durations is touched.
- `TEPAT_CHAOS_CONTROL`: the defect of `controls.py` to run with.
- `TEPAT_CHAOS_STOP`: the place of `pauses.py` at which to stand still, once.
"""

from __future__ import annotations

import os
import signal
import sys
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path

import time_machine

from .controls import CONTROLS
from .pauses import stop_at


class Clock:
    """The process's wall clock, as wrong as the file says."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._travel: time_machine.travel | None = None

    def follow(self, *_: object) -> None:
        """Be as wrong as the file says now."""
        if self._travel is not None:
            self._travel.stop()
            self._travel = None
        seconds = float(self._file.read_text()) if self._file.exists() else 0.0
        if seconds:
            self._travel = time_machine.travel(datetime.now(UTC) + timedelta(seconds=seconds), tick=True)
            self._travel.start()


def main(service: str) -> None:
    """Run the service until it is told to stop."""
    if file := os.environ.get("TEPAT_CHAOS_CLOCK"):
        clock = Clock(Path(file))
        clock.follow()
        signal.signal(signal.SIGUSR2, clock.follow)
    if control := os.environ.get("TEPAT_CHAOS_CONTROL"):
        CONTROLS[control]()
    if place := os.environ.get("TEPAT_CHAOS_STOP"):
        stop_at(place)
    import_module(f"tepat_{service}.app").main()


if __name__ == "__main__":
    main(sys.argv.pop(1))
