"""The processes of one data directory, found again after whatever started them is gone.

Invariants:
- Every process that is started for a data directory carries `TEPAT_STACK`, its resolved path, in its
  environment, and so do its children.
- Only processes of that directory are ever stopped: never the one that asks, nor its ancestors.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import FrameType

import psutil

MARK = "TEPAT_STACK"
SUPERVISOR = "supervisord"
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""The signals by which a program is told to end."""


def mark(data: Path) -> dict[str, str]:
    """The environment by which a process is known to belong to `data`."""
    return {MARK: str(data.resolve())}


def of(data: Path) -> list[psutil.Process]:
    """The processes that belong to `data`, whoever started them.

    A PostgreSQL worker overwrites its environment with its title: it is known by where it works.
    """
    home = data.resolve()
    own = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    found = []
    for process in psutil.process_iter():
        if process.pid in own:
            continue
        try:
            marked = process.environ().get(MARK) == str(home)
            worker = process.name() == "postgres" and home in Path(process.cwd()).parents
            if (marked or worker) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.Error:
            continue
    return found


def stop(processes: Iterable[psutil.Process], patience: float) -> None:
    """Ask `processes` to end, PostgreSQL without waiting for its clients; kill those that remain.

    `patience`: seconds until they are killed.
    """
    asked = list(processes)
    for process in asked:
        try:
            process.send_signal(signal.SIGINT if process.name() == "postgres" else signal.SIGTERM)
        except psutil.Error:
            continue
    _, alive = psutil.wait_procs(asked, timeout=patience)
    for process in alive:
        try:
            process.kill()
        except psutil.Error:
            continue
    psutil.wait_procs(alive, timeout=2)


def end_on_sigterm() -> None:
    """Let SIGTERM end this program as an interrupt does, so that all it started is stopped and cleared away."""
    _hear([signal.SIGTERM], partial(sys.exit, 128 + signal.SIGTERM))


@contextmanager
def interruptible() -> Iterator[None]:
    """Inside, SIGTERM and SIGHUP interrupt as Ctrl-C does, and so does SIGINT of a job in the background.

    SIGHUP is left ignored where it was: `nohup` means to outlive a terminal.
    """
    before = {each: signal.getsignal(each) for each in (*ENDING, signal.SIGALRM)}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    hung_up = [] if before[signal.SIGHUP] is signal.SIG_IGN else [signal.SIGHUP]
    _hear([signal.SIGTERM, *hung_up], partial(signal.raise_signal, signal.SIGINT))  # asyncio ends its tasks on that one
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def _hear(signals: Iterable[signal.Signals], end: Callable[[], object]) -> None:
    """Let these signals do what ends the program by an exception, where one is not ignored."""

    def told(_: int, frame: FrameType | None) -> None:
        while frame is not None:
            if frame.f_code.co_name == "__del__":  # there Python ignores whatever is raised: again in a moment
                signal.setitimer(signal.ITIMER_REAL, 0.05)
                return
            frame = frame.f_back
        end()

    for each in (*signals, signal.SIGALRM):
        signal.signal(each, told)


def sweep(data: Path) -> list[str]:
    """Stop what an earlier start left running on `data`; the supervisor first, or it would start anew.

    Returns: the name and number of each program, for the operator.
    """
    left = {process: _name(process) for process in of(data)}
    stop([process for process, name in left.items() if name == SUPERVISOR], patience=9)
    stop(of(data), patience=5)
    return [f"{name} (process {process.pid})" for process, name in left.items() if name]


def _name(process: psutil.Process) -> str | None:
    """What supervisord calls the program; None for a worker of one."""
    try:
        if "supervisor.supervisord" in process.cmdline():
            return SUPERVISOR
        return process.environ().get("SUPERVISOR_PROCESS_NAME")
    except psutil.Error:
        return None
