"""`tepat demo`: a sample district through the whole system, checked against the oracle.

Kept here: the demo has a data directory of its own, empty at its start, so that each run is the first; what an
earlier one left running on it is stopped before.
"""

import asyncio
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from tepat_contracts.policy import load
from tepat_demo.report import ProgressBars, render
from tepat_demo.run import Report, run
from tepat_local import processes
from tepat_local.stack import Endpoints, NotReady, Stack

from tepat_cli.exits import REJECTED, Unreachable
from tepat_cli.place import DataOption, Place, default_data
from tepat_cli.policy import put_in_force
from tepat_cli.terminal import say

START_SECONDS = 240
HOUSEHOLDS = 30_000


def demo(
    *,
    keep: Annotated[bool, typer.Option("--keep", help="leave the system running afterwards")] = False,
    households: Annotated[int, typer.Option(min=50, max=1_000_000, help="of the sample district")] = HOUSEHOLDS,
    seed: Annotated[int, typer.Option(help="one seed, one result")] = 1,
    data: DataOption = None,
) -> None:
    """Runs a sample district through the whole system and checks what it announces. Ends with 1 if it is wrong."""
    folder = (data or default_data() / "demo").expanduser().absolute()
    started = time.monotonic()
    for left in _emptied(folder):
        say(f"stopped what an earlier demo left running: {left}", "dim")
    try:
        with _running(folder, keep) as endpoints:
            say(f"the system is up after {time.monotonic() - started:.0f} s", "dim")
            secret = (folder / "secrets" / "main").read_bytes()
            report = asyncio.run(_run(folder, endpoints, secret, seed, households))
    except NotReady as wrong:
        raise Unreachable(str(wrong)) from None
    render(report)
    say(f"{time.monotonic() - started:.0f} s in all", "dim")
    if keep:
        _where(folder)
    else:
        shutil.rmtree(folder, ignore_errors=True)
    if not report.agrees:
        raise typer.Exit(REJECTED)


async def _run(folder: Path, endpoints: Endpoints, secret: bytes, seed: int, households: int) -> Report:
    place = Place.of(folder, None, None, "policy")

    async def apply_policy(file: Path) -> None:
        await asyncio.to_thread(lambda: put_in_force(place, load(file.read_text(encoding="utf-8"))))

    with ProgressBars(Console(stderr=True)) as progress:
        return await run(
            asdict(endpoints),
            folder / "tokens",
            secret,
            apply_policy=apply_policy,
            seed=seed,
            households=households,
            progress=progress,
        )


def _emptied(folder: Path) -> list[str]:
    """Empty a demo's directory; what had to be stopped for that."""
    left = processes.sweep(folder) if folder.exists() else []
    if folder.exists() and not (folder / "ports.json").exists() and any(folder.iterdir()):
        raise Unreachable(f"{folder} holds something that is no stack: name an empty directory with --data")
    shutil.rmtree(folder, ignore_errors=True)
    return left


@contextmanager
def _running(folder: Path, keep: bool) -> Iterator[Endpoints]:
    """The system, running; as a process of its own where it is to stay."""
    if not keep:
        with Stack(folder, settings=_own_settings(), say=lambda line: say(line, "dim")) as stack:
            yield stack.endpoints
        return
    folder.mkdir(parents=True)
    with (folder / "up.log").open("ab") as log:
        up = subprocess.Popen(
            [sys.executable, "-m", "tepat_cli", "up", "--data", str(folder)],
            env=_own_settings() | processes.mark(folder),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    until = time.monotonic() + START_SECONDS
    while not (folder / "endpoints.json").exists():
        if up.poll() is not None or time.monotonic() > until:
            raise NotReady(f"the system did not come up; see {folder / 'up.log'}")
        time.sleep(0.1)
    yield Endpoints.read(folder)


def _own_settings() -> dict[str, str]:
    """The environment without what names other servers: the demo brings its own."""
    return {name: value for name, value in os.environ.items() if not name.startswith("TEPAT_") or name == "TEPAT_LANG"}


def _where(folder: Path) -> None:
    endpoints = Endpoints.read(folder)
    at = f"--data {folder}"
    say("The system goes on running. / Sistem tetap berjalan.", "bold")
    for what, where in (
        ("Kafka", endpoints.kafka),
        *((f"{service} over HTTP", f"{url}/openapi.json") for service, url in endpoints.http.items()),
        ("everything else (databases, tokens, mail, logs)", str(folder / "endpoints.json")),
        ("overlaps", f"tepat overlaps {at} --verdict exclusive"),
        ("quarantine", f"tepat quarantine list {at}"),
        ("logs", f"tepat logs {at} --follow"),
        ("stop it", f"pkill -INT -f 'tepat_cli up {at}'"),
    ):
        say(f"  {what:<48} {where}")
