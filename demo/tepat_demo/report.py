"""What a demo run found, for people: tables of at most 100 columns, coloured on a terminal and plain elsewhere.

Kept here: only counts, names of agencies, programmes and areas, and pseudonyms are shown.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import Final

from rich.console import Console, Group, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars
from rich.table import Table
from rich.text import Text

from .cases import Told
from .population import kecamatan_names
from .run import Report, Row
from .tegalsari import Held

WIDTH: Final = 100
ANSWERS: Final = {"clear": "green", "hold": "red", "unknown": "yellow"}
SHOWN: Final = 20
"""Differences shown one by one; the rest are counted."""


def rupiah(amount: int) -> str:
    """`Rp 8.370.425.000`."""
    return f"Rp {amount:,}".replace(",", ".")


class ProgressBars:
    """Shows a run's progress on a console, one bar a stage; as a context manager."""

    def __init__(self, console: Console | None = None) -> None:
        self._bars = Bars(
            SpinnerColumn(finished_text="✓"),
            TextColumn("{task.description:<32}"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console or Console(stderr=True),
        )
        self._task: TaskID | None = None

    def __enter__(self) -> ProgressBars:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._finish()
        self._bars.stop()

    def stage(self, name: str, total: int | None) -> None:
        """Something begins, of a known size or of an unknown one."""
        self._finish()
        self._task = self._bars.add_task(name, total=total)

    def advance(self, done: int) -> None:
        """So much more of it is done."""
        if self._task is not None:
            self._bars.advance(self._task, done)

    def _finish(self) -> None:
        if self._task is None:
            return
        task = next(task for task in self._bars.tasks if task.id == self._task)
        total = task.total if task.total is not None else max(1.0, task.completed)
        self._bars.update(self._task, total=total, completed=total)


def render(report: Report, console: Console | None = None) -> None:
    """Prints a report; to standard output unless given a console."""
    console = console or Console()
    console.print(Group(*_parts(report)), width=min(WIDTH, console.width))


def _parts(report: Report) -> Iterator[RenderableType]:
    tally = report.tally
    yield Text()
    yield Text("Kota Semarang in 2026, a sample", style="bold")
    yield Text(
        f"{tally.households:,} households of {tally.persons:,} persons; {tally.payouts:,} payouts of five agencies; "
        f"seed {report.seed}"
    )
    yield Text(
        f"{report.sent:,} events sent in {report.seconds_sending:.1f} s, taken, judged and announced in "
        f"{report.seconds:.1f} s: {report.events_per_second:,.0f} events/s"
    )
    yield Text()
    pairs = {
        f"{one} twice" if one == other else f"{one} and {other}": row
        for (one, other), row in sorted(report.by_pair.items())
    }
    yield _overlaps("programmes", pairs, report.total)
    yield Text()
    names = kecamatan_names()
    areas = {names.get(code, code): row for code, row in sorted(report.by_kecamatan.items())}
    yield _overlaps("kecamatan", areas, report.total)
    yield Text()
    yield _refused(report)
    yield Text()
    yield _clearances(report)
    yield Text()
    yield from _notices(report)
    if report.cases is not None:
        yield Text()
        yield from beside(report.cases)
    if report.tegalsari is not None:
        yield Text()
        yield from shared(report.tegalsari)
    if report.too_large:
        yield Text(f"Persons and households with too many payouts to be judged: {report.too_large:,}", style="bold")
    yield Text()
    yield from _verdict(report)


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False, header_style="dim")
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number else "left", no_wrap=True)
    return table


def _overlaps(by: str, rows: Mapping[str, Row], total: Row) -> Table:
    table = _table(f"Overlaps by {by}", by, "exclusive", "review", "households", "rupiah at risk")
    for name, row in rows.items():
        table.add_row(name, *_figures(row))
    table.add_row("all", *_figures(total), style="bold")
    return table


def _figures(row: Row) -> Sequence[RenderableType]:
    exclusive = Text(_count(row.exclusive), style="red")
    review = Text(_count(row.review), style="yellow")
    return exclusive, review, _count(row.households), rupiah(row.at_risk)


def _count(number: int) -> str:
    return f"{number:,}" if number else ""


def _refused(report: Report) -> Table:
    agencies = sorted({agency for agency, _ in report.refused})
    reasons = sorted({reason for _, reason in report.refused})
    table = _table("Records in quarantine by reason and agency", "reason", *agencies, "all")
    for reason in reasons:
        each = [report.refused[agency, reason] for agency in agencies]
        table.add_row(reason, *map(_count, each), f"{sum(each):,}")
    each = [sum(report.refused[agency, reason] for reason in reasons) for agency in agencies]
    table.add_row("all", *(f"{count:,}" for count in each), f"{sum(each):,}", style="bold")
    return table


def _clearances(report: Report) -> Table:
    table = _table("Planned payouts: may they go?", "programme", *ANSWERS, "rupiah held")
    for programme in sorted({programme for programme, _ in report.clearances}):
        told = {answer: report.clearances.get((programme, answer), (0, 0)) for answer in ANSWERS}
        each = [Text(_count(told[answer][0]), style=style) for answer, style in ANSWERS.items()]
        table.add_row(programme, *each, rupiah(told["hold"][1]))
    return table


def _notices(report: Report) -> Iterator[RenderableType]:
    told = report.notices
    kinds = ", ".join(f"{count:,} {kind}" for kind, count in sorted(told.get("by_kind", {}).items()))
    yield Text(f"Notices sent: {told.get('sent', 0):,}{f' ({kinds})' if kinds else ''}", style="bold")
    if told.get("climbed"):
        yield Text(f"{told['climbed']:,} of them to the next level, since nobody below acknowledged it in time")


def beside(told: Told) -> Iterator[RenderableType]:
    """What was found in the two places beside the district."""
    funnel, coverage = told.funnel, told.coverage
    yield Text("Kota Pasuruan: field verification of the extremely poor", style="bold")
    yield Text(
        f"{funnel['listed']:,} listed → {funnel['visited']:,} visited → {funnel['confirmed']:,} confirmed; "
        f"{funnel['rejected']:,} rejected by {len(funnel['officers'])} officers on {len(funnel['days'])} days; "
        f"sent, judged and told in {told.seconds:.1f} s"
    )
    table = _table("", "rejected because", "persons")
    table.title = None
    for each in funnel["reasons"]:
        table.add_row(each["reason"] or each["outcome"], f"{each['persons']:,}")
    yield table
    yield Text(
        f"Capital, once, is due to the {told.families:,} confirmed families with a business: {rupiah(told.capital)}; "
        f"{told.unverified:,} families with a business were not confirmed, and nothing is due to them."
    )
    yield Text()
    share = f"{100 * coverage['covered'] / coverage['kelurahan']:.1f} %"
    yield Text.assemble(
        (f"{coverage['name']}: ", "bold"),
        f"a WKSBM in {coverage['covered']} of {coverage['kelurahan']} kelurahan ({share})",
    )


def shared(held: Held) -> Iterator[RenderableType]:
    """What came of the round in Tegalsari."""
    round_ = held.progress
    yield Text("Kelurahan Tegalsari: neighbours share", style="bold")
    yield Text(
        f"{held.ranked:,} poor families ranked for {round_['packages']:,} packages; {round_['delivered']:,} given, "
        f"each for a coupon and with a photo, {round_['stock']:,} left; a coupon that came twice was refused. Of the "
        f"first {round_['packages']:,} of the next round {held.first_again:,} got nothing in this one; "
        f"ranked, given and closed in {held.seconds:.1f} s."
    )
    yield Text(
        f"In September 2023 {held.taking_part:,} of the {held.kelurahan:,} kelurahan of Kota Semarang took part "
        f"({100 * held.taking_part / held.kelurahan:.1f} %)."
    )


def _verdict(report: Report) -> Iterator[RenderableType]:
    if report.agrees:
        yield Text("The oracle and the announcements agree.", style="bold green")
        yield Text(
            f"From {report.accepted:,} accepted records of the agencies' raw topics it expects {report.expected:,} "
            f"overlaps; those {report.announced:,} and no others stand announced, field by field, and every planned "
            "payout is answered as they ask. All that was planted is found, every record has one receipt, and the "
            "refused are those that had to be."
        )
        return
    yield Text("The oracle and the announcements do NOT agree.", style="bold red")
    yield Text(
        f"From {report.accepted:,} accepted records of the agencies' raw topics the oracle expects "
        f"{report.expected:,} overlaps; {report.announced:,} stand announced. {len(report.wrong):,} things are wrong:"
    )
    for line in report.wrong[:SHOWN]:
        yield Text(f"- {line}")
    if len(report.wrong) > SHOWN:
        yield Text(f"… and {len(report.wrong) - SHOWN:,} more", style="dim")
