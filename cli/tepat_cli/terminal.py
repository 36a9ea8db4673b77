"""What a command shows: tables on a terminal, tab-separated lines in a pipe, JSON lines where asked.

Kept here: what agencies wrote can neither colour nor steer the terminal it is shown on; a listing in a pipe is
written as it comes, whatever its length; what is not the answer goes to standard error.
"""

import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from itertools import chain, islice
from typing import Any, Final, Literal
from zoneinfo import ZoneInfo

import orjson
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tepat_cli.outcomes import done

Item = Mapping[str, Any]

ON_SCREEN: Final = 200
"""Rows of a listing shown on a terminal unless `--limit` asks for another number."""

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


@dataclass(frozen=True, slots=True)
class Shown:
    """One column of a listing."""

    title: str
    of: Callable[[Item], Any]
    justify: Literal["left", "right"] = "left"
    style: Callable[[Item], str] = lambda _: ""


_MOMENT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
_zone: ContextVar[ZoneInfo | None] = ContextVar("zone", default=None)


def by_clocks_of(zone: str | None) -> None:
    """Lets moments be shown by the clocks of a time zone from here on; None as they are told."""
    _zone.set(ZoneInfo(zone) if zone else None)


def _shown(moment: str) -> str:
    """A moment by the province's clocks, with its offset."""
    try:
        return datetime.fromisoformat(moment).astimezone(_zone.get()).isoformat(timespec="seconds")
    except (ValueError, OverflowError):
        return moment


def printable(value: Any) -> str:
    """A value as one line of text that can do nothing to a terminal; a moment by the clocks of the policy's zone."""
    if value is None:
        return ""
    if isinstance(value, str) and _zone.get() is not None and _MOMENT.fullmatch(value):
        value = _shown(value)
    if isinstance(value, dict | list):
        value = orjson.dumps(value).decode()
    return _CONTROL.sub("·", str(value))


def rupiah(amount: int | None) -> str:
    """`Rp 750.000`."""
    return "" if amount is None else f"Rp {amount:,}".replace(",", ".")


def say(message: str, style: str = "") -> None:
    """A line to standard error."""
    Console(stderr=True, soft_wrap=True).print(Text(message, style=style))


def json_line(item: Any) -> None:
    """One object on a line of standard output."""
    sys.stdout.write(orjson.dumps(item).decode() + "\n")


def details(item: Item, width: int) -> None:
    """One thing, a field that is there a line; their names take `width` columns."""
    for field, value in item.items():
        if value is not None:
            print(f"{field:<{width}} {printable(value)}")


@contextmanager
def outlet() -> Iterator[None]:
    """Inside, standard output may be closed by who reads it (`| head`): the command is then done, and says nothing."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or the interpreter complains as it ends
        raise typer.Exit from None


def listing(
    items: Iterable[Item], columns: Sequence[Shown], *, as_json: bool, limit: int | None, none: str | Callable[[], str]
) -> None:
    """Shows items; `limit` is the most of them, 0 for all, None for what suits the outlet; `none` is said if there
    are none."""
    on_screen = sys.stdout.isatty() and not as_json
    most = limit if limit is not None else ON_SCREEN if on_screen else 0
    rest = iter(items)
    first = next(rest, None)
    if first is None:
        if not as_json:
            say(none if isinstance(none, str) else none())
        return
    every = chain([first], rest)
    chosen = islice(every, most) if most else every
    with outlet():
        if as_json:
            for item in chosen:
                json_line(item)
        elif on_screen:
            _table(chosen, columns)
            if most and next(every, None) is not None:
                say(done("first_of", most=most), "dim")
        else:
            print("\t".join(column.title for column in columns))
            for item in chosen:
                print("\t".join(printable(column.of(item)) for column in columns))


def _table(items: Iterable[Item], columns: Sequence[Shown]) -> None:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        table.add_column(column.title, justify=column.justify, overflow="fold")
    for item in items:
        table.add_row(*(Text(printable(column.of(item)), style=column.style(item)) for column in columns))
    Console().print(table)
