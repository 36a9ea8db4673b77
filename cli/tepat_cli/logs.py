"""`tepat logs`: the logs of an embedded stack, merged by time.

Kept here: lines come in the order of their time, those of one file in their own; a line is shown once it is whole,
and none is lost or shown twice when a file is rotated away; a line that is not JSON is shown as it is, under the
time of the line before it. Following sleeps between looks.

A file `<service>.log` is the newest of its kind, `<service>.log.1` the one before it, and so on.
"""

import heapq
import os
import re
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from io import BufferedReader
from pathlib import Path
from typing import Annotated, Any, Final

import orjson
import typer
from rich.console import Console
from rich.text import Text
from tepat_contracts.envelope import trace_id

from tepat_cli.exits import WrongUse
from tepat_cli.place import DataOption, JsonOption, KafkaOption, Place
from tepat_cli.refusals import words
from tepat_cli.terminal import outlet, printable

LOOK_SECONDS: Final = 0.3
"""Between two looks at the files while following."""

LEVELS: Final = ("debug", "info", "warning", "error", "critical")
_STYLES: Final = {"debug": "dim", "info": "green", "warning": "yellow", "error": "bold red", "critical": "bold red"}
_SERVICES: Final = {"registry": "cyan", "eligibility": "magenta", "distribution": "green", "notifications": "blue"}
_ROTATED: Final = re.compile(r"(?P<service>.+)\.log(?:\.(?P<age>\d+))?")
_SERVERS: Final = frozenset({"kafka", "postgres", "mail", "supervisord"})
"""What else logs into the directory; shown where `--service` names it."""
_STAMP: Final = re.compile(r"\[?(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d)[.,](\d{3,6})(?P<utc> UTC|Z)?")
_SHOWN_APART: Final = ("timestamp", "level", "event", "service", "instance", "logger", "exception")


@dataclass(frozen=True, slots=True)
class Entry:
    """One line: its time (ISO, UTC; of the line before it where it has none), and what it holds."""

    at: str
    service: str
    raw: bytes
    fields: dict[str, Any] | None


class Log:
    """The log of one service, read from its oldest file to its newest and on, whatever is rotated meanwhile."""

    def __init__(self, directory: Path, service: str) -> None:
        self.service = service
        self._directory = directory
        self._file: BufferedReader | None = None
        self._partial = b""
        self._at = ""

    def lines(self) -> Iterator[Entry]:
        """The whole lines not yet yielded."""
        while True:
            younger = self._younger()  # asked first: what is still written to a file that goes is read below
            if self._file is not None:
                yield from self._rest(self._file)
            if younger is None:
                return
            if self._file is not None:
                self._file.close()
            if self._partial:
                yield self._entry(self._partial)
                self._partial = b""
            self._file = younger

    def close(self) -> None:
        """Leave the file that is open."""
        if self._file is not None:
            self._file.close()

    def _rest(self, file: BufferedReader) -> Iterator[Entry]:
        if os.fstat(file.fileno()).st_size < file.tell():
            file.seek(0)  # it was cut short in its place
            self._partial = b""
        for piece in file:
            self._partial += piece
            if piece.endswith(b"\n"):
                line, self._partial = self._partial, b""
                yield self._entry(line)

    def _younger(self) -> BufferedReader | None:
        """The file that follows the one being read, or the oldest; None where the newest is being read."""
        while True:
            paths = list(self._paths())
            known = [_identity(path) for path in paths]
            here = _identity(self._file) if self._file is not None else None
            next_ = known.index(here) + 1 if here in known else 0
            if next_ >= len(paths):
                return None
            try:
                file = paths[next_].open("rb")
            except FileNotFoundError:
                continue
            if _identity(file) == known[next_]:
                return file
            file.close()  # rotated between looking and opening: look again

    def _paths(self) -> Iterable[Path]:
        """The files, oldest first."""
        found = ((int(age), path) for service, age, path in _files(self._directory) if service == self.service)
        return (path for _, path in sorted(found, reverse=True))

    def _entry(self, line: bytes) -> Entry:
        raw = line.rstrip(b"\r\n")
        fields = None
        if raw.startswith(b"{"):
            try:
                fields = orjson.loads(raw)
            except ValueError:
                fields = None
        if fields is None:
            self._at = _stamp(raw) or self._at
        elif isinstance(stamp := fields.get("timestamp"), str):
            self._at = stamp
        return Entry(self._at, self.service, raw, fields)


def _stamp(raw: bytes) -> str:
    """The time that a server's line begins with, as services write it; nothing where it has none."""
    found = _STAMP.match(raw[:40].decode(errors="replace"))
    if found is None:
        return ""
    try:
        return _utc(datetime.fromisoformat(f"{found[1]}T{found[2]}.{found[3]:0<6}{'+00:00' if found['utc'] else ''}"))
    except ValueError:
        return ""


def _utc(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _identity(file: Path | BufferedReader) -> tuple[int, int] | None:
    try:
        stat = file.stat() if isinstance(file, Path) else os.fstat(file.fileno())
    except FileNotFoundError:
        return None
    return stat.st_dev, stat.st_ino


def _files(directory: Path) -> Iterator[tuple[str, str, Path]]:
    for path in directory.iterdir():
        if named := _ROTATED.fullmatch(path.name):
            yield named["service"], named["age"] or "0", path


def services(directory: Path) -> set[str]:
    """The services that have a log there."""
    return {service for service, _, _ in _files(directory)}


@dataclass(frozen=True, slots=True)
class Filter:
    """Which lines are asked for."""

    level: int = 0
    trace: str | None = None
    since: str = ""

    def __call__(self, entry: Entry) -> bool:
        if entry.at < self.since:
            return False
        if entry.fields is None:
            return self.trace is None and self.level == 0
        level = str(entry.fields.get("level", "")).lower()
        if self.level and level in LEVELS and LEVELS.index(level) < self.level:
            return False
        return self.trace is None or self.trace in (entry.fields.get("trace"), entry.fields.get("trace_id"))


def since(text: str, now: datetime) -> str:
    """A moment as the logs write it, from `10m`, `2h`, `3d` before `now` or an ISO time. Raises WrongUse."""
    ago = re.fullmatch(r"(\d+)([smhd])", text)
    if ago:
        units = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
        moment = now - timedelta(**{units[ago[2]]: int(ago[1])})
    else:
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            raise WrongUse(words("no_moment", text=text)) from None
    return _utc(moment)


def wanted_trace(text: str) -> str:
    """The trace a user means: its 32 digits, a traceparent, or an event's id that is a UUID."""
    bare = text.replace("-", "").lower()
    return trace_id(text) or (bare if re.fullmatch(r"[0-9a-f]{32}", bare) else text)


def logs(
    *,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="go on with what is written from now on")] = False,
    service: Annotated[
        str | None, typer.Option("--service", help="of this one alone; kafka, postgres, mail too")
    ] = None,
    level: Annotated[str | None, typer.Option("--level", help="debug, info, warning or error, and above")] = None,
    trace: Annotated[str | None, typer.Option("--trace", help="lines of this trace")] = None,
    from_: Annotated[str | None, typer.Option("--since", help="not older: 10m, 2h, 3d or a time")] = None,
    as_json: JsonOption = False,
    data: DataOption = None,
    kafka: KafkaOption = None,
) -> None:
    """What the services of an embedded stack log, merged by time."""
    if level is not None and level.lower() not in LEVELS:
        raise WrongUse(words("no_level", level=level, levels=", ".join(LEVELS)))
    place = Place.of(data, kafka)
    wanted = Filter(
        LEVELS.index(level.lower()) if level else 0,
        wanted_trace(trace) if trace else None,
        since(from_, datetime.now(UTC)) if from_ else "",
    )
    if not place.logs.is_dir():
        raise WrongUse(words("no_logs", path=place.logs, data=place.data))
    write = _raw if as_json else _pretty()
    read: dict[str, Log] = {}
    try:
        while True:
            for name in sorted(services(place.logs) - read.keys()):
                if _asked_for(name, service):
                    read[name] = Log(place.logs, name)
            if not read and not follow:
                raise WrongUse(words("no_log", path=place.logs, service=service or ("any service", "layanan apa pun")))
            with outlet():
                for entry in heapq.merge(*(log.lines() for log in read.values()), key=lambda entry: entry.at):
                    if wanted(entry):
                        write(entry)
            if not follow:
                return
            time.sleep(LOOK_SECONDS)
    except KeyboardInterrupt:
        return
    finally:
        for log in read.values():
            log.close()


def _asked_for(name: str, service: str | None) -> bool:
    """Whether a log is shown: one that is named, an instance of it (`registry-2`), or any service's."""
    if service is None:
        return name not in _SERVERS
    return re.fullmatch(rf"{re.escape(service)}(-\d+)?", name) is not None


def _raw(entry: Entry) -> None:
    line = entry.raw
    if entry.fields is None:
        line = orjson.dumps({"service": entry.service, "event": entry.raw.decode(errors="replace")})
    sys.stdout.buffer.write(line + b"\n")


def _pretty() -> Any:
    console = Console(soft_wrap=True, highlight=False)

    def write(entry: Entry) -> None:
        console.print(pretty(entry))

    return write


def pretty(entry: Entry) -> Text:
    """A line as people read it: local time, level, service, event, then its fields."""
    fields = entry.fields
    if fields is None:
        return Text.assemble((f"{entry.service:<13} ", "dim"), printable(entry.raw.decode(errors="replace")))
    level = str(fields.get("level", "")).lower()
    service = printable(fields.get("service", entry.service))
    text = Text.assemble(
        (f"{_clock(entry.at)} ", "dim"),
        (f"{level:<8} ", _STYLES.get(level, "")),
        (f"{service:<13} ", _SERVICES.get(service, "white")),
        (printable(fields.get("event", "")), "bold"),
    )
    for name, value in fields.items():
        if name not in _SHOWN_APART:
            text.append(f"  {printable(name)}=", "dim").append(printable(value))
    for line in _exception(fields.get("exception")):
        text.append(f"\n    {printable(line)}", "red")
    return text


def _exception(told: Any) -> list[str]:
    if isinstance(told, str):
        return told.splitlines()
    lines = []
    for each in told if isinstance(told, list) else ():
        if isinstance(each, dict):
            lines.append(f"{each.get('exc_type')}: {each.get('exc_value')}")
            lines += [f"  {at.get('filename')}:{at.get('lineno')} in {at.get('name')}" for at in each.get("frames", ())]
    return lines


def _clock(stamp: str) -> str:
    try:
        return datetime.fromisoformat(stamp).astimezone().strftime("%m-%d %H:%M:%S.%f")[:-3]
    except ValueError:
        return printable(stamp)
