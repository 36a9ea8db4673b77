"""Empty files to fill: `tepat publish --template payouts`.

Kept here: a template that was filled in is read back by the same columns it was written from; its hints and its
invented example begin with `# ` and are never sent; NIK and KK columns of a sheet are Text from the start; a file
that exists is not overwritten.
"""

import csv
import io
import sys
from pathlib import Path
from typing import Final

from openpyxl import Workbook
from openpyxl.styles import Alignment, Font
from openpyxl.utils import get_column_letter

from tepat_cli.columns import KINDS, KK, NIK, Kind
from tepat_cli.exits import WrongUse, must_hold
from tepat_cli.outcomes import done
from tepat_cli.refusals import of_file, words
from tepat_cli.terminal import say
from tepat_cli.values import text

_TITLE: Final = (
    "# Isi di bawah judul kolom; baris yang diawali tanda pagar tidak dikirim. Kolom bertanda * wajib diisi. / Fill in "
    "below the headings; lines that begin with a hash sign are not sent. Columns marked * are required."
)


def rows(kind: Kind) -> list[list[str]]:
    """Title, headings, hints, example."""
    hints = [column.hint for column in kind.columns]
    example = [column.example for column in kind.columns]
    return [
        [_TITLE],
        [column.heading for column in kind.columns],
        [f"# {hints[0]}", *hints[1:]],
        [f"# {example[0]}", *example[1:]],
    ]


def write(kind: str, to: Path | None) -> None:
    """Writes a template to a file, a workbook where it is named .xlsx, or to standard output. Raises WrongUse."""
    if to is None:
        sys.stdout.write(_csv(KINDS[kind]))
        return
    must_hold(to, ".csv", ".xlsx")
    content = _xlsx(KINDS[kind]) if to.suffix.lower() == ".xlsx" else _csv(KINDS[kind]).encode("utf-8-sig")
    try:
        with to.open("xb") as file:
            file.write(content)
    except FileExistsError:
        raise WrongUse(words("there_already", path=to)) from None
    except OSError as wrong:
        raise WrongUse(words("unwritable", path=to, why=of_file(wrong))) from None
    say(done("template_in", kind=kind, path=to))


def _csv(kind: Kind) -> str:
    # Semicolons: what a spreadsheet set to Indonesian expects between cells.
    out = io.StringIO()
    csv.writer(out, delimiter=";").writerows(rows(kind))
    return out.getvalue()


def _xlsx(kind: Kind) -> bytes:
    book = Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.title = kind.name
    for row in rows(kind):
        sheet.append(row)
    for at, column in enumerate(kind.columns, start=1):
        letter = get_column_letter(at)
        sheet.column_dimensions[letter].width = max(14, len(column.heading) + 4)
        if column.read in (NIK, KK, text):
            sheet.column_dimensions[letter].number_format = "@"
            for line in range(2, 1001):
                sheet.cell(line, at).number_format = "@"
        sheet.cell(2, at).font = Font(bold=True)
        sheet.cell(3, at).alignment = Alignment(wrap_text=True, vertical="top")
    sheet.freeze_panes = "A3"
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()
