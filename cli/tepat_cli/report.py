"""`tepat report`: what was planned, paid, returned, never fetched, found to overlap and got back – as a table, as rows,
as a workbook, as a picture.

Kept here: every form shows the same figures as told by the service; nothing is summed anew.
"""

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from openpyxl import Workbook
from openpyxl.styles import Font
from openpyxl.utils import get_column_letter
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from tepat_cli.days import iso
from tepat_cli.exits import WrongUse, must_hold
from tepat_cli.outcomes import done
from tepat_cli.place import ApiOption, AsOption, DataOption, JsonOption, KafkaOption, Place
from tepat_cli.refusals import of_file, words
from tepat_cli.services import Services
from tepat_cli.terminal import Item, Shown, json_line, listing, printable, rupiah, say
from tepat_cli.what_if import SVG

FIGURES: Final = {
    "planned": ("planned", "direncanakan"), "disbursed": ("paid", "disalurkan"),
    "cancelled": ("cancelled", "dibatalkan"), "returned": ("returned", "dikembalikan"),
    "unclaimed": ("unclaimed", "belum diambil"), "overlaps": ("overlaps at risk", "tumpang tindih berisiko"),
    "prevented": ("prevented", "dicegah"), "recovered": ("recovered", "dipulihkan"),
}  # fmt: skip
"""Each figure as it is called in English and Indonesian."""
LEVELS: Final = ("kabupaten", "kecamatan", "kelurahan")
COVERED: Final = {
    "eligible": ("eligible today", "memenuhi syarat hari ini"),
    "covered": ("eligible today and paid", "memenuhi syarat hari ini dan menerima"),
    "coverage": ("coverage", "cakupan"), "receiving": ("receiving", "penerima"),
    "not_eligible": ("paid, not eligible today", "menerima, hari ini tidak memenuhi syarat"),
}  # fmt: skip
"""Persons or households, by the programme's unit; likewise. Who is eligible is decided today, whatever the period."""
BAR: Final = 44
WIDTH: Final = 118
LINES: Final = 40
"""Drawn of a report, those with the most rupiah; the rest are one line."""


def report(
    *,
    region: Annotated[str | None, typer.Argument(metavar="[AREA]", help="such as 33.74; all unless given")] = None,
    since: Annotated[
        datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], help="payouts whose days begin on this day")
    ] = None,
    until: Annotated[datetime | None, typer.Option("--to", formats=["%Y-%m-%d"], help="up to this one")] = None,
    by: Annotated[
        str,
        typer.Option(
            metavar="WORDS",
            help="a line for each: programme, strategy, agency; kabupaten, kecamatan or kelurahan; month or quarter; "
            "several with commas",
        ),
    ] = "programme",
    programme: Annotated[str | None, typer.Option(help="of this programme alone")] = None,
    agency: Annotated[str | None, typer.Option(help="of this agency alone")] = None,
    coverage: Annotated[
        bool,
        typer.Option(
            "--coverage",
            help="also who was paid of those eligible today, whatever the period, and who though not; by programme, or "
            "with one level",
        ),
    ] = False,
    to_csv: Annotated[Path | None, typer.Option("--csv", metavar="FILE.csv", help="also as rows")] = None,
    to_xlsx: Annotated[Path | None, typer.Option("--xlsx", metavar="FILE.xlsx", help="also as a workbook")] = None,
    picture: Annotated[Path | None, typer.Option(metavar="FILE.svg", help="also drawn")] = None,
    as_json: JsonOption = False,
    data: DataOption = None,
    kafka: KafkaOption = None,
    api: ApiOption = None,
    role: AsOption = None,
) -> None:
    """What was planned, paid, cancelled, returned and not fetched, what overlaps, what was prevented and recovered.

    A payout counts once, as it stands now, in the period in which its days begin.
    """
    named = [each.strip() for each in by.split(",") if each.strip()]
    forms = ((to_csv, ".csv", _csv), (to_xlsx, ".xlsx", _xlsx), (picture, ".svg", _picture))
    for path, suffix, _ in forms:
        must_hold(path, suffix)
    with Services(Place.of(data, kafka, api, role), "reader") as services:
        told = services.get(
            "distribution", "report", by=named, agency=agency, receiving="true" if coverage else None, region=region,
            programme=programme, **{"from": iso(since), "to": iso(until)},
        )  # fmt: skip
    for path, _, made in forms:
        if path is not None:
            try:
                path.write_bytes(made(told))
            except OSError as wrong:
                raise WrongUse(words("unwritable", path=path, why=of_file(wrong))) from None
            say(done("lines_in", path=path, count=len(told["items"])))
    if as_json:
        json_line(told)
        return
    total = {told["by"][0]: "total", **told["total"]}
    items = [*told["items"], total] if told["items"] else []
    listing(items, _shown(told), as_json=False, limit=0, none=words("nothing_paid"))
    for line in _notes(told):
        say(line, "yellow")


def _notes(told: Item) -> Iterator[str]:
    """What whoever reads the figures should know."""
    if told["pending"]:
        yield done("pending")
    if told["ends_alone"]:
        yield done("end_alone", count=told["ends_alone"])


def _share(part: float | None) -> str:
    return "" if part is None else f"{part:.1%}"


def _head(told: Item) -> list[str]:
    """The columns that say what a line is for."""
    return [*told["by"], *(["name"] if any(level in told["by"] for level in LEVELS) else [])]


def _covered(told: Item) -> Sequence[str]:
    return list(COVERED) if any("coverage" in line for line in told["items"]) else ()


def _shown(told: Item) -> list[Shown]:
    """What a terminal shows of a line: its head, the figures that are not nothing everywhere."""

    def of(name: str) -> Callable[[Item], Any]:
        return lambda item: item.get(name)

    def figure(name: str) -> Callable[[Item], str]:
        return lambda item: f"{item[name]['number']:,}  {rupiah(item[name]['amount'])}" if item[name]["number"] else ""

    columns = [Shown(name, of(name), style=lambda _: "bold") for name in _head(told)]
    there = [name for name in FIGURES if told["total"][name]["number"]]  # on a screen there is no room for the others
    columns += [Shown(FIGURES[name][0], figure(name), justify="right") for name in there]
    columns += [
        Shown(
            COVERED[name][0],
            of(name) if name != "coverage" else lambda item: _share(item.get("coverage")),
            justify="right",
        )
        for name in _covered(told)
    ]
    return columns


# --- files --------------------------------------------------------------------------------------------------------


def _titles(told: Item) -> list[str]:
    figures = [f"{word} {what}" for word, _ in FIGURES.values() for what in ("(number)", "(Rp)")]
    return [*_head(told), *figures, *(COVERED[name][0] for name in _covered(told))]


def _cells(told: Item, line: Item) -> list[Any]:
    figures = [line[name][what] for name in FIGURES for what in ("number", "amount")]
    return [*(line.get(name) for name in _head(told)), *figures, *(line.get(name) for name in _covered(told))]


def _csv(told: Item) -> bytes:
    """A row a line, without a total, to be summed by whoever reads it."""
    out = io.StringIO()
    writer = csv.writer(out, delimiter=";")  # what a spreadsheet set to Indonesian expects
    writer.writerow(_titles(told))
    writer.writerows(_cells(told, line) for line in told["items"])
    return out.getvalue().encode("utf-8-sig")


def _xlsx(told: Item) -> bytes:
    """A sheet with the lines and their total, and one that says what the figures rest on, in both languages."""
    book = Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.title = "Laporan"
    sheet.append(_titles(told))
    for line in told["items"]:
        sheet.append(_cells(told, line))
    head = len(_head(told))
    sheet.append(["total", *[None] * (head - 1), *_cells(told, told["total"])[head : head + 2 * len(FIGURES)]])
    for at, title in enumerate(_titles(told), start=1):
        for row in (1, sheet.max_row):
            sheet.cell(row, at).font = Font(bold=True)
        sheet.column_dimensions[get_column_letter(at)].width = max(12, len(title) + 2)
        if title.endswith(("(Rp)", "(number)")):
            for row in range(2, sheet.max_row + 1):
                sheet.cell(row, at).number_format = "#,##0"
        elif title == "coverage":
            for row in range(2, sheet.max_row):
                sheet.cell(row, at).number_format = "0.0%"
    sheet.freeze_panes = f"{get_column_letter(head + 1)}2"
    notes = book.create_sheet("Dasar")
    for note in (
        ("Tepat report", "Laporan Tepat"), ("area", "wilayah", told["region"] or ""),
        ("days from", "masa mulai", told["from"] or ""), ("days to", "masa sampai", told["to"] or ""),
        ("as of", "keadaan", told["as_of"]), ("policy", "kebijakan", told["policy_version"]),
        *FIGURES.values(), *(COVERED[name] for name in _covered(told)), *((note,) for note in _notes(told)),
    ):  # fmt: skip
        notes.append(note)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


# --- the picture --------------------------------------------------------------------------------------------------

DRAWN: Final = {"disbursed": "green", "planned": "blue", "returned": "yellow", "cancelled": "red"}
"""The states of a payout: together all that was ever meant to be paid."""


def _picture(told: Item) -> bytes:
    """The report as an SVG image: of each line a bar of rupiah by state, and beside it what overlaps and came back."""
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    console.print(Group(*_drawn(told)))
    title = "tepat report" + (f" · {printable(told['region'])}" if told["region"] else "")
    return console.export_svg(title=title, code_format=SVG, unique_id="tepat").encode()


def _drawn(told: Item) -> Iterator[RenderableType]:
    days = " ".join(f"{word} {told[word]}" for word in ("from", "to") if told[word]) or "of all days"
    yield Text(f"payouts {days}; policy {printable(told['policy_version'])}; as of {printable(told['as_of'])}")
    legend = Text()
    for figure, colour in DRAWN.items():
        legend.append(f"█ {' / '.join(FIGURES[figure])}   ", colour)
    yield legend
    yield Text()
    lines = sorted(told["items"], key=_meant, reverse=True)
    shown = [(" · ".join(_label(line, told)), line) for line in lines[:LINES]]
    if rest := lines[LINES:]:
        shown.append((f"{len(rest)} others", _together(rest)))
    if not shown:
        yield Text("nothing was planned or paid there and then", style="dim")
        return
    most = max(_meant(line) for _, line in shown)
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("", width=28, no_wrap=True, overflow="ellipsis")
    table.add_column("rupiah", width=BAR, no_wrap=True)
    for title in ("paid", "at risk"):
        table.add_column(title, width=20, justify="right", no_wrap=True)
    for label, line in [*shown, ("total", told["total"])]:
        bar = _bar(line, most) if label != "total" else Text()
        table.add_row(
            printable(label), bar, rupiah(line["disbursed"]["amount"]), rupiah(line["overlaps"]["amount"])
        )  # fmt: skip
    yield table


def _label(line: Item, told: Item) -> Iterator[str]:
    for dimension in told["by"]:
        yield str((line["name"] if dimension in LEVELS else None) or line[dimension] or "none")


def _meant(line: Item) -> int:
    return sum(line[figure]["amount"] for figure in DRAWN)


def _together(lines: Sequence[Item]) -> Mapping[str, Mapping[str, int]]:
    return {figure: {"amount": sum(line[figure]["amount"] for line in lines)} for figure in FIGURES}


def _bar(line: Item, most: int) -> Text:
    """Each state's part of the longest bar, to the nearest letter of it."""
    bar, upto, drawn = Text(), 0, 0
    for figure, colour in DRAWN.items():
        upto += line[figure]["amount"]
        end = round(upto / most * BAR) if most else 0
        bar.append("█" * (end - drawn), colour)
        drawn = end
    return bar
