"""Templates, filled in and read back."""

import csv
from pathlib import Path

import orjson
import pytest
from openpyxl import load_workbook
from tepat_cli.columns import KINDS
from tepat_cli.events import Bad, Ready, source
from tepat_cli.templates import rows

from .conftest import Tepat


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("ending", ["csv", "xlsx"])
def test_a_filled_template_is_read_back_and_hints_are_not_sent(
    tmp_path: Path, tepat: Tepat, kind: str, ending: str
) -> None:
    path = tmp_path / f"mine.{ending}"
    assert tepat("publish", "--template", kind, "--output", path).status == 0
    example = [cell.removeprefix("# ") for cell in rows(KINDS[kind])[3]]
    if ending == "csv":
        with path.open("a", encoding="utf-8", newline="") as file:
            csv.writer(file, delimiter=";").writerow(example)
    else:
        book = load_workbook(path)
        assert book.active is not None
        book.active.append(example)
        book.save(path)
    from_ = source(path, "dinsos-jateng", None)
    (ready,) = from_.records()
    assert isinstance(ready, Ready), ready
    assert orjson.loads(ready.value)["type"] == KINDS[kind].type
    assert (from_.kind.name, from_.unused, from_.skipped) == (kind, [], 2)


def test_a_template_goes_to_standard_output_by_itself(tepat: Tepat) -> None:
    ran = tepat("publish", "--template", "payouts")
    assert ran.status == 0
    assert ran.out.splitlines()[1].startswith("ID Bayar;Status;")


def test_niks_in_a_template_sheet_stay_text(tmp_path: Path, tepat: Tepat) -> None:
    path = tmp_path / "mine.xlsx"
    tepat("publish", path, "--template", "payouts")
    sheet = load_workbook(path).active
    assert sheet is not None
    headings = {str(cell.value): cell.column_letter for cell in sheet[2]}
    for heading in ("NIK", "No KK", "ID Bayar"):
        assert sheet[f"{headings[heading]}700"].number_format == "@"
        assert sheet.column_dimensions[headings[heading]].number_format == "@"


def test_what_exists_is_not_overwritten(tmp_path: Path, tepat: Tepat) -> None:
    path = tmp_path / "mine.csv"
    path.write_text("precious")
    ran = tepat("publish", path, "--template", "payouts")
    assert (ran.status, path.read_text()) == (2, "precious")


def test_every_needed_column_is_marked(tmp_path: Path) -> None:
    """A row with nothing but the columns marked * is taken, and without any one of them refused."""
    for kind in KINDS.values():
        needed = [column for column in kind.columns if column.hint.startswith("*")]

        def taken(names: list[str], kind: str = kind.name) -> bool:
            path = tmp_path / "file.csv"
            columns = [column for column in KINDS[kind].columns if column.heading in names]
            with path.open("w", newline="") as file:
                csv.writer(file).writerows([[c.heading for c in columns], [c.example for c in columns]])
            (record,) = source(path, "dinsos-jateng", kind).records()
            return not isinstance(record, Bad)

        dated = ["Waktu"] if kind.name == "reports" else []
        names = [column.heading for column in needed]
        if dated:
            names.append("Tanggal Kejadian")
        assert taken(names), kind.name
        for heading in names:
            assert not taken([name for name in names if name != heading]), (kind.name, heading)
