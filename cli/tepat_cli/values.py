"""Reading one cell as an office wrote it.

Kept here: nothing is guessed that could be wrong. A cell either has one meaning or it is refused with a
sentence that says what to do about it; no rupiah is rounded, no day and month are swapped, and no digit of a
NIK or KK is made up. The same cell always reads the same.
"""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from functools import lru_cache
from math import isfinite
from typing import Final

from openpyxl.utils.datetime import from_excel

Cell = str | int | float | bool | datetime | date | timedelta | None

WIB: Final = timezone(timedelta(hours=7))
"""Western Indonesian Time, in which a bare date or clock time of a file is read."""

TEXT_COLUMN: Final = (
    "The spreadsheet took this number for an amount and lost its last digits: format the whole column as Text, then "
    "enter the number again from the card (a ' before it also keeps it as text). / Lembar kerja menganggap nomor ini "
    "bilangan sehingga angka terakhirnya hilang: ubah format seluruh kolom menjadi Teks, lalu isi ulang dari kartu "
    "(tanda ' di depannya juga menjaganya sebagai teks)."
)


class Unreadable(ValueError):
    """A cell without one clear meaning.

    `reason` is one of contracts.md; the message says what to do, in English and Indonesian, for agencies read it.
    `heading` and `pointer`, into the event, are those of its column; none where there is none.
    """

    def __init__(self, message: str, reason: str = "schema", heading: str = "") -> None:
        super().__init__(message)
        self.reason = reason
        self.heading = heading
        self.pointer: str | None = None


_BROKEN_FORMULAS: Final = {"#N/A", "#REF!", "#VALUE!", "#DIV/0!", "#NAME?", "#NULL!", "#NUM!", "#SPILL!"}


def text(cell: Cell) -> str:
    """The cell as text; a whole number of a spreadsheet without its `.0`."""
    if isinstance(cell, str):
        if cell[:1] == "#" and cell in _BROKEN_FORMULAS:
            raise Unreadable(f"The cell shows {cell}: repair its formula. / Sel memuat {cell}: perbaiki rumusnya.")
        return (cell.replace("\xa0", " ") if "\xa0" in cell else cell).strip()
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    if isinstance(cell, datetime):
        return cell.date().isoformat() if cell.time() == datetime.min.time() else cell.isoformat()
    return str(cell)


_LOST: Final = re.compile(r"[+-]?\d+([.,]\d+)?[eE][+-]?\d+|\d{1,3}([.,]\d{3}){4,}([.,]0+)?|\d{10,}[.,]0+")


def sixteen_digits(reason: str) -> Callable[[Cell], str]:
    """A reader of NIK (`nik_invalid`) or KK (`kk_invalid`): the digits, without the signs offices put around them.

    A cell that a spreadsheet holds as a number is refused: it keeps 15 digits, and the 16th has become 0.
    Whether the digits make a valid number is the contracts' to judge.
    """

    def read(cell: Cell) -> str:
        if isinstance(cell, str) and len(cell) == 16 and cell.isascii() and cell.isdigit():
            return cell
        if isinstance(cell, bool | float | datetime | date | timedelta) or (
            isinstance(cell, int) and abs(cell) >= 10**15
        ):
            raise Unreadable(TEXT_COLUMN, reason)
        written = text(cell)
        if written.startswith('="') and written.endswith('"'):  # how some exports keep Excel's hands off
            written = written[2:-1]
        if _LOST.fullmatch(written):
            raise Unreadable(TEXT_COLUMN, reason)
        return written.strip("'’‘`\" ").replace(" ", "").replace("-", "")

    return read


_RUPIAH: Final = re.compile(r"(?:rp|idr)\.?\s*", re.IGNORECASE)
_AMOUNTS: Final = tuple(
    re.compile(pattern)
    for pattern in (
        r"(\d+)(?:[.,]0{1,2})?",  # 750000  750000,00  750000.00
        r"(\d{1,3}(?:\.\d{3})+)(?:,0{1,2})?",  # 750.000  750.000,00
        r"(\d{1,3}(?:,\d{3})+)(?:\.0{1,2})?",  # 750,000  750,000.00
        r"(\d{1,3}(?: \d{3})+)(?:[.,]0{1,2})?",  # 750 000
    )
)


def rupiah(cell: Cell) -> int:
    """Whole rupiah, as `Rp 750.000`, `750.000,00`, `750,000`, `Rp750.000,-` or `750000`; never a fraction."""
    if isinstance(cell, int | float) and not isinstance(cell, bool):
        if isinstance(cell, float) and not cell.is_integer():
            raise Unreadable(_no_amount(str(cell)))
        return int(cell)
    return _rupiah(text(cell))


@lru_cache(maxsize=4096)
def _rupiah(written: str) -> int:
    bare = _RUPIAH.sub("", written, count=1) if _RUPIAH.match(written) else written
    bare = bare.strip().removesuffix("-").rstrip(".,") if bare.endswith((",-", ".-", ",--", ".--")) else bare
    for pattern in _AMOUNTS:
        if found := pattern.fullmatch(bare.strip()):
            return int(re.sub(r"\D", "", found[1]))
    raise Unreadable(_no_amount(written))


def _no_amount(written: str) -> str:
    return (
        f"‘{written}’ is no amount of whole rupiah: write 750000 or Rp 750.000. / ‘{written}’ bukan jumlah rupiah "
        "penuh: tulis 750000 atau Rp 750.000."
    )


def number(cell: Cell) -> int | float:
    """A count or a score: `10`, `2,5` or `2.5`; three digits after the sign could be thousands and are refused."""
    if isinstance(cell, int) and not isinstance(cell, bool):
        return cell
    if isinstance(cell, float) and isfinite(cell):
        return int(cell) if cell.is_integer() else cell
    written = text(cell)
    if re.fullmatch(r"[+-]?\d+", written):
        return int(written)
    if re.fullmatch(r"[+-]?\d+[.,](\d{1,2}|\d{4,})", written):
        value = float(written.replace(",", "."))
        return int(value) if value.is_integer() else value
    raise Unreadable(
        f"‘{written}’ is no clear number: write 10 or 2,5. / ‘{written}’ bukan bilangan: tulis 10 atau 2,5."
    )


def degrees(cell: Cell) -> float:
    """Degrees of latitude or longitude, `-6,98254` or `-6.98254`: a sign with three digits after it is no thousands."""
    if isinstance(cell, int | float) and not isinstance(cell, bool) and isfinite(cell):
        return float(cell)
    written = text(cell)
    if re.fullmatch(r"[+-]?\d{1,3}([.,]\d+)?", written):
        return float(written.replace(",", "."))
    raise Unreadable(
        f"‘{written}’ is no number of degrees: write -6,98254. / ‘{written}’ bukan derajat: tulis -6,98254."
    )


def whole(cell: Cell) -> int:
    """A whole number, such as a revision."""
    value = number(cell)
    if isinstance(value, float):
        raise Unreadable(f"‘{text(cell)}’ is no whole number. / ‘{text(cell)}’ bukan bilangan bulat.")
    return value


_MONTHS: Final = {
    name: month
    for month, names in enumerate(
        (
            "januari january jan",
            "februari pebruari february feb peb",
            "maret march mar",
            "april apr",
            "mei may",
            "juni june jun",
            "juli july jul",
            "agustus august agu agt ags aug",
            "september sept sep",
            "oktober october okt oct",
            "november nopember nov nop",
            "desember december des dec",
        ),
        start=1,
    )
    for name in names.split()
}
_ISO: Final = re.compile(r"(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})(?:[T ]00:00(?::00(?:\.0+)?)?)?")
_LOCAL: Final = re.compile(r"(\d{1,2})[-/. ](\d{1,2})[-/. ](\d{4})(?: 00[:.]00(?:[:.]00)?)?")
_SPOKEN: Final = re.compile(r"(\d{1,2})[-/. ]+([a-z]+)[-/., ]+(\d{4})", re.IGNORECASE)
_WITHOUT_CENTURY: Final = re.compile(r"\d{1,2}[-/. ](\d{1,2}|[a-zA-Z]+)[-/. ]\d{2}")


def day(cell: Cell) -> str:
    """A date as `YYYY-MM-DD`, from ISO, `dd/mm/yyyy`, `31 Januari 2026` or a spreadsheet's own date."""
    if isinstance(cell, datetime):
        return cell.date().isoformat()
    if isinstance(cell, date):
        return cell.isoformat()
    if isinstance(cell, bool | timedelta):
        raise Unreadable(_no_date(text(cell)))
    if isinstance(cell, int | float):
        return _serial(cell)
    return _day(text(cell))


def _serial(cell: int | float) -> str:
    if not 1 <= cell <= 2958465:  # 1900-01-01 to 9999-12-31, counted as spreadsheets count days
        raise Unreadable(_no_date(text(cell)))
    found = from_excel(cell)
    return found.date().isoformat() if isinstance(found, datetime) else _day(str(found))


@lru_cache(maxsize=65536)
def _day(written: str) -> str:
    if found := _ISO.fullmatch(written):
        year, month, number_of_day = int(found[1]), int(found[2]), int(found[3])
    elif found := _LOCAL.fullmatch(written):
        year, month, number_of_day = int(found[3]), int(found[2]), int(found[1])
    elif (found := _SPOKEN.fullmatch(written)) and found[2].lower() in _MONTHS:
        year, month, number_of_day = int(found[3]), _MONTHS[found[2].lower()], int(found[1])
    elif re.fullmatch(r"\d{5}", written):
        return _serial(int(written))
    elif _WITHOUT_CENTURY.fullmatch(written):
        raise Unreadable(
            f"‘{written}’ names no century: write the year with four digits. / Tulis tahun dengan empat angka."
        )
    else:
        raise Unreadable(_no_date(written))
    try:
        return date(year, month, number_of_day).isoformat()
    except ValueError:
        raise Unreadable(_no_date(written)) from None


def _no_date(written: str) -> str:
    return (
        f"‘{written}’ is no date: write 31/01/2026 (day first) or 2026-01-31. / ‘{written}’ bukan tanggal: tulis "
        "31/01/2026 atau 2026-01-31."
    )


_CLOCK: Final = re.compile(r"(.+?)[T ]+(\d{1,2})[:.](\d{2})(?:[:.](\d{2}))?")


def instant(cell: Cell) -> str:
    """A moment as RFC 3339; without an offset it is Western Indonesian Time, without a clock its midnight."""
    if isinstance(cell, str):
        written = text(cell)
        try:
            moment = datetime.fromisoformat(written)
        except ValueError:
            clock = _CLOCK.fullmatch(written)
            moment = datetime.fromisoformat(_day(clock[1] if clock else written))
            if clock:
                hour, minute, second = (int(part or 0) for part in clock.groups()[1:])
                if hour > 23 or minute > 59 or second > 59:
                    raise Unreadable(_no_date(written)) from None
                moment = moment.replace(hour=hour, minute=minute, second=second)
    elif isinstance(cell, datetime):
        moment = cell
    else:
        moment = datetime.fromisoformat(day(cell))
    return at(moment)


def at(moment: datetime) -> str:
    """RFC 3339 of a moment; a naive one is Western Indonesian Time."""
    return (moment if moment.tzinfo else moment.replace(tzinfo=WIB)).isoformat()


def midnight(iso_day: str) -> str:
    """RFC 3339 of the first moment of a day, in Western Indonesian Time."""
    return f"{iso_day}T00:00:00+07:00"


def now() -> str:
    """This moment in UTC; for what is not read from a file."""
    return datetime.now(UTC).isoformat()


_CODE_LENGTHS: Final = {2: (2,), 4: (2, 4), 6: (2, 4, 6), 10: (2, 4, 6, 10)}


def region(cell: Cell) -> str:
    """A Kemendagri code with its dots; `3374011001` gets them."""
    written = text(cell)
    if written.isdigit() and (ends := _CODE_LENGTHS.get(len(written))):
        return ".".join(written[start:end] for start, end in zip((0, *ends), ends, strict=False))
    return written


def plain(heading: str) -> str:
    """A heading or word as it is compared: lower case, letters and digits alone."""
    return re.sub(r"[\W_]+", "", heading.casefold())


def words(meanings: dict[str, str]) -> Callable[[Cell], str]:
    """A reader of a fixed choice: `meanings` maps each code to the other words for it, divided by commas."""
    known = {plain(word): code for code, others in meanings.items() for word in (code, *others.split(",")) if word}
    choices = ", ".join(meanings)

    def read(cell: Cell) -> str:
        written = text(cell)
        try:
            return known[plain(written)]
        except KeyError:
            raise Unreadable(f"‘{written}’ is not one of {choices}. / Pilih salah satu: {choices}.") from None

    return read


def yes(cell: Cell) -> bool:
    """Ya or tidak."""
    if isinstance(cell, bool):
        return cell
    return _yes(cell) == "yes"


_yes: Final = words({"yes": "ya,y,true,benar,1,ada", "no": "tidak,t,n,false,salah,0,tdk,bukan"})


def several(cell: Cell) -> list[str]:
    """Codes divided by commas, semicolons or bars."""
    return [part.strip() for part in re.split(r"[,;|]", text(cell)) if part.strip()]
