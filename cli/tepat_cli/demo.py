"""`tepat demo`: a sample district through the whole system, checked against the oracle.

Kept here: the demo has a directory of its own, which no other stack uses, and which is wiped before it is used; it
uses no server that `TEPAT_*` variables name, for those are for real work. A demo left running by `--keep` is stopped
by the next one.
"""

import asyncio
import io
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Final

import httpx
import orjson
import typer
from aiokafka.errors import KafkaError
from rich.console import Console
from tepat_contracts.policy import load
from tepat_demo.cases import Pasuruan
from tepat_demo.district import District
from tepat_demo.report import WIDTH, ProgressBars, render
from tepat_demo.run import Report, run
from tepat_demo.tegalsari import Tegalsari
from tepat_local import files, processes
from tepat_local.stack import READY_SECONDS, AlreadyRunning, NotReady, Stack

from tepat_cli.exits import REJECTED, Ended, Unreachable, WrongUse, must_hold
from tepat_cli.place import EMBEDDED_PARTITIONS, DataOption, Place, default_data
from tepat_cli.policy import policy_text, put_in_force
from tepat_cli.refusals import of_file, words
from tepat_cli.terminal import printable, say
from tepat_cli.what_if import SVG

MARK: Final = ".tepat-demo"
"""A file by which a directory is known to be a demo's, to be wiped."""
POLICY_SECONDS: Final = 60
STOP_SECONDS: Final = 12


def demo(
    *,
    keep: Annotated[bool, typer.Option("--keep", help="leave it running, and say where everything is")] = False,
    households: Annotated[int, typer.Option(min=1, help="of the sample district")] = 30_000,
    seed: Annotated[int, typer.Option(help="one seed, one district")] = 1,
    picture: Annotated[Path | None, typer.Option(metavar="FILE.svg", help="also draw what it prints")] = None,
    data: DataOption = None,
) -> None:
    """Runs a sample district through the whole system. Ends with 1 where what it finds differs from the oracle."""
    must_hold(picture, ".svg")
    directory = (data or default_data().with_name("tepat-demo")).expanduser().absolute()
    began = time.monotonic()
    _clear(directory)
    with processes.interruptible(), ThreadPoolExecutor(1) as meanwhile:
        district = meanwhile.submit(District, seed, households)  # as the servers start
        with _kept(directory) if keep else _passing(directory) as endpoints:
            report = _reported(directory, endpoints, district.result())
    render(report)
    if picture is not None:
        try:
            picture.write_text(_drawn(report), encoding="utf-8")
        except OSError as wrong:
            raise WrongUse(words("unwritable", path=picture, why=of_file(wrong))) from None
    say(f"done in {time.monotonic() - began:.0f} s", "dim")
    if keep:
        _tell_where(directory, endpoints)
    if not report.agrees:
        raise typer.Exit(REJECTED)


def _drawn(report: Report) -> str:
    """What is printed of a run, as an SVG image that loads nothing from elsewhere."""
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    render(report, console)
    return console.export_svg(title="make demo", code_format=SVG, unique_id="tepat")


def _reported(directory: Path, endpoints: Mapping[str, Any], district: District) -> Report:
    """What a run finds. Raises Unreachable where it can't go on."""
    try:
        return asyncio.run(_run(directory, endpoints, district))
    except (TimeoutError, KafkaError, httpx.HTTPError) as wrong:
        told = printable(str(wrong)) or type(wrong).__name__
        raise Unreachable(f"the demo can't go on: {told}; the logs are in {directory / 'logs'}") from None


async def _run(directory: Path, endpoints: Mapping[str, Any], district: District) -> Report:
    place = Place.of(data=directory, role="policy")

    async def apply_policy(file: Path) -> None:
        await put_in_force(place, load(policy_text(file)), EMBEDDED_PARTITIONS, POLICY_SECONDS)

    with ProgressBars(Console(stderr=True)) as progress:
        return await run(
            endpoints,
            directory / "tokens",
            (directory / "secrets" / "main").read_bytes(),
            district,
            apply_policy=apply_policy,
            progress=progress,
            pasuruan=Pasuruan(district.seed),
            families=Tegalsari(district.seed),
        )


def _clear(directory: Path) -> None:
    """Makes an empty directory, whatever demo was there stopped. Raises WrongUse where it is not a demo's."""
    if directory.exists() and any(directory.iterdir()):
        if not (directory / MARK).exists():
            raise WrongUse(f"{directory} holds something else than a demo: name another directory with --data")
        kept = [process for process in processes.of(directory) if str(process.pid) == _pid(directory)]
        processes.stop(kept, patience=STOP_SECONDS)  # first: it would start what it supervises anew
        if processes.sweep(directory) or kept:
            say("stopped the demo that was left running")
        try:
            with files.lock(directory / "lock", wait=False):
                shutil.rmtree(directory)
        except files.Locked:
            raise WrongUse(f"a demo is running in {directory}: stop it first, or name another with --data") from None
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    (directory / MARK).touch()


def _pid(directory: Path) -> str:
    """The process id of the stack that was left running; nothing where none was."""
    try:
        return (directory / "pid").read_text()
    except FileNotFoundError:
        return ""


def _environment() -> dict[str, str]:
    """The environment without settings for real work."""
    return {name: value for name, value in os.environ.items() if not name.startswith("TEPAT_") or name == "TEPAT_CACHE"}


@contextmanager
def _passing(directory: Path) -> Iterator[Mapping[str, Any]]:
    """A stack that ends with the demo, and leaves nothing if all went well."""
    stack = Stack(directory, settings=_environment(), say=lambda line: say(printable(line), "dim"))
    try:
        with stack:
            yield asdict(stack.endpoints)
    except AlreadyRunning as other:
        raise WrongUse(str(other)) from None
    except NotReady as wrong:
        raise Unreachable(str(wrong)) from None
    shutil.rmtree(directory, ignore_errors=True)


@contextmanager
def _kept(directory: Path) -> Iterator[Mapping[str, Any]]:
    """A stack that goes on after the demo: a `tepat up` of its own."""
    with (directory / "up.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "tepat_cli", "up", "--data", str(directory)],
            cwd=directory,  # no tepat.toml of real work
            env=_environment() | processes.mark(directory),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    (directory / "pid").write_text(str(process.pid))
    try:
        yield _endpoints(directory, process)
    except KeyboardInterrupt:
        process.terminate()
        process.wait()
        raise
    except Ended:
        if process.poll() is None:
            say(f"it is left running, to be looked at; stop it with: kill {process.pid}")
        raise


def _endpoints(directory: Path, process: subprocess.Popen[bytes]) -> Mapping[str, Any]:
    """Where all is of a stack that starts, once it is up. Raises Unreachable, the stack ended, if it never is."""
    endpoints = directory / "endpoints.json"
    until = time.monotonic() + 2 * READY_SECONDS
    while not endpoints.exists():
        if process.poll() is not None or time.monotonic() > until:
            process.terminate()
            process.wait()
            raise Unreachable(f"the stack did not come up: {(directory / 'up.log').read_text()[-2000:]}")
        time.sleep(0.1)
    told: Mapping[str, Any] = orjson.loads(endpoints.read_bytes())
    return told


def _tell_where(directory: Path, endpoints: Mapping[str, Any]) -> None:
    """Says where everything is of what is left running, how to look on, and how to stop it."""
    lines = [
        "",
        f"It goes on running, in {directory}:",
        f"  broker        {endpoints['kafka']}",
        *(f"  {service:<13} {url}/openapi.json" for service, url in endpoints["http"].items()),
        f"  databases     in {directory / 'endpoints.json'}, with their passwords",
        f"  mailbox       {endpoints['mail']['folder']}",
        f"  tokens        {endpoints['tokens']}",
        f"  logs          {endpoints['logs']}",
        "",
        f"  export TEPAT_DATA={directory}",
        "  tepat overlaps --verdict exclusive",
        "  tepat quarantine list",
        "  tepat logs --follow",
        "",
        f"Stop it with: kill {_pid(directory)}",
    ]
    print("\n".join(lines))
