"""What a proposed policy would change: asked of eligibility and distribution at once, shown as tables and as a picture.

Kept here: nothing of it is put in force or kept anywhere; only counts, rupiah and names of programmes, rules and areas
are shown. The picture draws with letters of the terminal alone and loads nothing from elsewhere.
"""

import io
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date
from threading import Event
from typing import Any, Final

from rich.console import Console, Group, RenderableType
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn
from rich.table import Table
from rich.text import Text
from tepat_contracts import regions
from tepat_contracts.policy import Policy

from tepat_cli.exits import Unreachable
from tepat_cli.outcomes import done, part
from tepat_cli.place import Place
from tepat_cli.refusals import words
from tepat_cli.services import Answer, Services
from tepat_cli.terminal import Item, Shown, json_line, listing, outlet, printable, rupiah, say

ELIGIBLE: Final = "eligible"
AREAS: Final = 12
"""Of a programme or rule so many areas are drawn, those with the greatest change; the rest are one line."""
BAR: Final = 24
WIDTH: Final = 118


@dataclass(frozen=True, slots=True)
class Outcome:
    """What would change: `decisions` by programme and area, `overlaps` by programmes, rules and area."""

    proposed: str
    present: str
    day: str
    since: date
    until: date
    households: int
    pending: int
    decisions: list[Answer]
    overlaps: list[Answer]


def ask(place: Place, policy: Policy, since: date, until: date) -> Outcome:
    """The outcome of a policy over the present population and the payouts of a period. Raises Unreachable, WrongUse."""
    document = policy.document()
    asked = {
        "eligibility": {"policy": document},
        "distribution": {"policy": document, "from": since.isoformat(), "to": until.isoformat()},
    }
    over = Event()
    with Services(place, "policy") as services, ThreadPoolExecutor(len(asked)) as pool, ExitStack() as stack:
        stack.callback(over.set)  # one that fails, or Ctrl-C, ends the other
        progress = stack.enter_context(_progress())

        def result(service: str) -> Answer:
            bar = progress.add_task(service, total=None)
            for line in services.lines(service, "simulations", asked[service]):
                if over.is_set():
                    break
                if "result" in line:
                    told: Answer = line["result"]
                    return told
                if "failed" in line:
                    raise Unreachable(f"{service}: {line['failed']}")
                progress.update(bar, completed=line["done"], total=line["of"])
            raise Unreachable(words("broke_off", service=service))

        futures = {service: pool.submit(result, service) for service in asked}
        for ended in wait(futures.values(), return_when=FIRST_EXCEPTION).done:
            ended.result()
        decided, found = (futures[service].result() for service in asked)
    return Outcome(
        decided["proposed"], decided["present"], decided["day"], since, until, decided["households"],
        decided["pending"] + found["pending"],
        [row for row in decided["changes"] if row["before"] != row["after"] or row["gained"] or row["lost"]],
        [row for row in found["changes"] if row["before"] != row["after"]],
    )  # fmt: skip


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description:<14}"), BarColumn(bar_width=30), TaskProgressColumn(),
        console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty(),
    )  # fmt: skip


# --- tables -----------------------------------------------------------------------------------------------------


def area(code: str | None) -> str:
    """A kabupaten or kota by name."""
    return "not known where" if code is None else regions.names().get(code, code)


def _period(item: Item) -> str:
    return " → ".join(dict.fromkeys(item[name] or "none" for name in ("period_before", "period_after")))


def _rule(told: Item | None) -> str:
    return "none" if told is None else f"{told['rule']} ({told['verdict']})"


DECISIONS: Final = (
    Shown("programme", lambda item: item["programme"], style=lambda _: "bold"),
    Shown("area", lambda item: area(item["area"])),
    Shown("decision now", lambda item: item["before"]),
    Shown("would be", lambda item: item["after"]),
    Shown("subjects", lambda item: item["subjects"], justify="right"),
    Shown("due more", lambda item: rupiah(item["gained"] or None), justify="right", style=lambda _: "green"),
    Shown("due less", lambda item: rupiah(item["lost"] or None), justify="right", style=lambda _: "red"),
    Shown("every", _period),
)
OVERLAPS: Final = (
    Shown("programmes", lambda item: " + ".join(item["programmes"]), style=lambda _: "bold"),
    Shown("area", lambda item: area(item["area"])),
    Shown("rule now", lambda item: _rule(item["before"])),
    Shown("would be", lambda item: _rule(item["after"])),
    Shown("overlaps", lambda item: item["overlaps"], justify="right"),
    Shown("at risk", lambda item: rupiah(item["amount_at_risk"]), justify="right"),
)


def show(outcome: Outcome, *, as_json: bool) -> None:
    """Prints the outcome; what it rests on goes to standard error."""
    if as_json:
        with outlet():
            for kind, rows in (("decisions", outcome.decisions), ("overlaps", outcome.overlaps)):
                for row in rows:
                    json_line({"kind": kind, **row})
        return
    say(done(
        "instead_of", proposed=outcome.proposed, present=outcome.present, households=outcome.households,
        day=outcome.day, since=outcome.since, until=outcome.until,
    ))  # fmt: skip
    if outcome.pending:
        say(done("undecided"), "yellow")
    listing(outcome.decisions, DECISIONS, as_json=False, limit=0, none=words("no_decision_changes"))
    if outcome.decisions and outcome.overlaps:
        with outlet():
            print()
    listing(outcome.overlaps, OVERLAPS, as_json=False, limit=0, none=words("no_overlap_changes"))
    for line in summary(outcome):
        say(line)


@dataclass(slots=True)
class Sum:
    """What comes and what goes: subjects or overlaps, and rupiah."""

    comes: int = 0
    goes: int = 0
    more: int = 0
    less: int = 0

    def __add__(self, other: "Sum") -> "Sum":
        return Sum(
            self.comes + other.comes, self.goes + other.goes, self.more + other.more, self.less + other.less
        )  # fmt: skip


def of_decision(row: Item) -> Sum:
    """Who gains and loses eligibility by one row, and the rupiah due more and less."""
    comes, goes = (row["subjects"] if row[name] == ELIGIBLE != row[other] else 0
                   for name, other in (("after", "before"), ("before", "after")))  # fmt: skip
    return Sum(comes, goes, row["gained"], row["lost"])


def of_overlap(row: Item) -> Sum:
    """The overlaps that appear and vanish by one row, and the rupiah at risk with them."""
    appears, vanishes = row["before"] is None, row["after"] is None
    count, amount = row["overlaps"], row["amount_at_risk"]
    return Sum(count * appears, count * vanishes, amount * appears, amount * vanishes)


def _by(rows: Iterable[Item], key: Callable[[Item], Any], sum_of: Callable[[Item], Sum]) -> dict[Any, Sum]:
    sums = defaultdict[Any, Sum](Sum)
    for row in rows:
        sums[key(row)] += sum_of(row)
    return dict(sums)


def summary(outcome: Outcome) -> Iterator[str]:
    """A line for each programme, one for overlaps."""
    by_programme = _by(outcome.decisions, lambda row: (row["programme"], _period(row)), of_decision)
    programmes = dict.fromkeys(programme for programme, _ in by_programme)
    for programme in programmes:
        sums = {period: each for (code, period), each in by_programme.items() if code == programme}
        whole = sum(sums.values(), Sum())
        due = [
            part("every_period", period=period, more=rupiah(each.more), less=rupiah(each.less))
            for period, each in sums.items()
            if each.more or each.less
        ]
        more = ("".join(english for english, _ in due), "".join(indonesian for _, indonesian in due))
        yield done("gained", programme=programme, comes=whole.comes, goes=whole.goes, sums=more)
    whole = sum(map(of_overlap, outcome.overlaps), Sum())
    if outcome.overlaps:
        yield done(
            "overlaps", comes=whole.comes, more=rupiah(whole.more), goes=whole.goes, less=rupiah(whole.less)
        )  # fmt: skip


# --- the picture ------------------------------------------------------------------------------------------------


def picture(outcome: Outcome) -> str:
    """The outcome as an SVG image: bars of who gains and loses, and of overlaps that appear and vanish, by area."""
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    console.print(Group(*_parts(outcome)))
    return console.export_svg(
        title=f"tepat policy simulate · {printable(outcome.proposed)} instead of {printable(outcome.present)}",
        code_format=SVG, unique_id="tepat",
    )  # fmt: skip


def _parts(outcome: Outcome) -> Iterator[RenderableType]:
    yield Text(f"{outcome.households:,} households as of {outcome.day}; payouts of {outcome.since} – {outcome.until}")
    yield from _chart(
        "Eligibility", ("lose it", "gain it", "due less", "due more"),
        _drawn(outcome.decisions, lambda row: row["programme"], of_decision),
    )  # fmt: skip
    yield from _chart(
        "Overlaps", ("vanish", "appear", "at risk no more", "at risk"),
        _drawn(outcome.overlaps, lambda row: f"{' + '.join(row['programmes'])}: {_either(row)}", of_overlap),
    )  # fmt: skip


def _either(row: Item) -> str:
    return " → ".join(dict.fromkeys(_rule(row[name]) for name in ("before", "after") if row[name] is not None))


def _drawn(
    rows: Sequence[Item], group: Callable[[Item], str], sum_of: Callable[[Item], Sum]
) -> dict[str, dict[str, Sum]]:
    """By group the areas to be drawn, the greatest change first."""
    by = _by(rows, lambda row: (group(row), area(row["area"])), sum_of)
    groups = defaultdict[str, list[tuple[str, Sum]]](list)
    for (name, where), each in by.items():
        groups[name].append((where, each))
    drawn: dict[str, dict[str, Sum]] = {}
    for name, areas in sorted(groups.items()):
        areas.sort(key=lambda pair: (-pair[1].comes - pair[1].goes, -pair[1].more - pair[1].less, pair[0]))
        drawn[name] = dict(areas[:AREAS])
        if rest := areas[AREAS:]:
            drawn[name][f"{len(rest)} others"] = sum((each for _, each in rest), Sum())
    return drawn


def _chart(title: str, columns: Sequence[str], groups: Mapping[str, Mapping[str, Sum]]) -> Iterator[RenderableType]:
    yield Text()
    yield Text(title, style="bold")
    if not groups:
        yield Text("nothing would change", style="dim")
        return
    most = max(max(each.comes, each.goes) for areas in groups.values() for each in areas.values())
    goes, comes, less, more = columns
    for name, areas in groups.items():
        table = Table(box=None, pad_edge=False, header_style="dim", title=Text(printable(name)), title_justify="left")
        table.add_column("", width=26, no_wrap=True, overflow="ellipsis")
        table.add_column(goes, width=BAR, justify="right", no_wrap=True)
        table.add_column(comes, width=BAR, no_wrap=True)
        for column in (less, more):
            table.add_column(column, width=18, justify="right", no_wrap=True)
        for where, each in areas.items():
            table.add_row(
                printable(where), Text(f"{each.goes:,} {_bar(each.goes, most)}", "red"),
                Text(f"{_bar(each.comes, most)} {each.comes:,}", "green"), rupiah(each.less), rupiah(each.more),
            )  # fmt: skip
        yield Text()
        yield table


def _bar(count: int, most: int) -> str:
    room = BAR - len(f"{most:,}") - 1
    return "█" * (max(1, round(count / most * room)) if count else 0)


SVG: Final = """\
<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{ font-family: "DejaVu Sans Mono", Menlo, Consolas, monospace; font-size: {char_height}px;
  line-height: {line_height}px; }}
.{unique_id}-title {{ font-size: 18px; font-weight: bold; font-family: sans-serif; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}" />
</clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""
