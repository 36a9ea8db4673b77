"""Files as offices have them: CSV of any usual dialect, XLSX, JSON Lines, told apart by what they hold.

Kept here: a file is read row by row in constant memory (an XLSX holds its table of shared texts); its name is
never trusted about what it is; a row is either yielded with its line or yielded as broken with its line, none is
passed over but empty rows, repeated headings and hints (a first cell that begins with `# `), which are counted.
Reading a file twice gives the same rows.
"""

import codecs
import csv
import io
import re
import warnings
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import time
from itertools import islice
from pathlib import Path
from typing import Final, NamedTuple, Protocol
from zipfile import BadZipFile

import openpyxl

from tepat_cli.exits import WrongUse
from tepat_cli.refusals import of_file, words
from tepat_cli.values import Cell, plain

MOST_BYTES_A_LINE: Final = 1_048_576
"""Of a JSON Lines file: no service takes a larger record."""

REJECTED_HEADINGS: Final = ("line", "reason", "column", "what to do")
"""What stands before the original columns of a FILE.rejected.csv; not read again when that file is published."""

_SAMPLE_BYTES: Final = 262_144
_HEADING_ROWS: Final = 30
_DELIMITERS: Final = ";,\t|"
_NO_TEXT: Final = re.compile(r"[\x00-\x08\x0e-\x19\x1c-\x1f]")
"""What stands in no text that people write."""

_TOO_WIDE: Final = (
    "The row has more cells than there are headings: put quotation marks around cells that hold the delimiter, or give "
    "every column a heading. / Baris ini memiliki lebih banyak sel daripada judul kolom: beri tanda kutip pada sel "
    "yang memuat pemisah, atau beri judul pada setiap kolom."
)

Score = Callable[[Sequence[str]], int]
"""How many of a row's cells are known headings."""


class Row(NamedTuple):
    """One row: the line of the file it begins on (a sheet's row number) and its cells, or why it can't be read."""

    line: int
    cells: Sequence[Cell]
    broken: str = ""


def _unclosed(line: int, last: int) -> str:
    return (
        f"A quotation mark is not closed: lines {line} to {last} can't be told apart. / Tanda kutip tidak ditutup: "
        f"baris {line} sampai {last} tidak dapat dipisahkan."
    )


class Table(Protocol):
    """A file of rows below headings."""

    headings: list[str]
    skipped: int

    def rows(self) -> Iterator[Row]:
        """The rows below the headings, from the first, each time it is called."""

    def done(self) -> float:
        """How much of the file has been read, 0 to 1."""


def what(path: Path) -> str:
    """`csv`, `xlsx` or `jsonl`, by the first bytes. Raises WrongUse for what can't be read, saying what to do."""
    try:
        with path.open("rb") as file:
            head = file.read(4096)
    except OSError as wrong:
        raise WrongUse(words("unreadable", path=path, why=of_file(wrong))) from None
    start = head.removeprefix(codecs.BOM_UTF8).lstrip()
    if head.startswith(b"PK\x03\x04"):
        return "xlsx"
    if head.startswith(b"\xd0\xcf\x11\xe0"):
        raise WrongUse(words("old_excel", path=path))
    if start[:1] == b"<":
        raise WrongUse(words("web_page", path=path))
    if start[:1] == b"{":
        return "jsonl"
    if start[:1] == b"[" and path.suffix.lower().startswith(".json"):
        raise WrongUse(words("json_list", path=path))
    if not start:
        raise WrongUse(words("empty", path=path))
    return "csv"


def table(path: Path, score: Score) -> Table:
    """The CSV or XLSX file at `path`, its headings found by `score`. Raises WrongUse where there are none."""
    return Sheet(path, score) if what(path) == "xlsx" else Csv(path, score)


def _best(rows: Sequence[Sequence[str]], score: Score) -> tuple[int, int]:
    """Score and place of the row that is most like headings."""
    return max(((score(without_verdicts(row)), -at) for at, row in enumerate(rows)), default=(0, 0))


def without_verdicts(headings: Sequence[str]) -> list[str]:
    """The headings, those that a file of rejected rows puts before them blank."""
    count = len(REJECTED_HEADINGS)
    if tuple(headings[:count]) == REJECTED_HEADINGS:
        return [""] * count + list(headings[count:])
    return list(headings)


def _no_headings(path: Path) -> WrongUse:
    return WrongUse(words("no_headings", path=path))


class _Body:
    """What is skipped below the headings, the same for every kind of table."""

    headings: list[str]
    skipped: int = 0

    def _row(self, line: int, cells: Sequence[Cell]) -> Row | None:
        first = cells[0] if cells else None
        if first is None or first == "":
            first = next((cell for cell in cells if cell is not None and str(cell).strip()), None)
            if first is None:
                return None
        if first.__class__ is str:
            if first[:2] == "# ":
                self.skipped += 1
                return None
            if first == self._first and [plain(str(cell)) for cell in cells if cell] == self._plain:
                self.skipped += 1
                return None
        width = len(self.headings)
        if len(cells) > width and any(str(cell).strip() for cell in cells[width:] if cell is not None):
            return Row(line, cells, _TOO_WIDE)
        return Row(line, cells)

    def _head(self, headings: Sequence[str]) -> None:
        self.headings = list(headings)
        self._plain = [plain(heading) for heading in headings if heading]
        self._first = next((heading for heading in headings if heading), "")


class Csv(_Body):
    """Text with ; , tab or | between cells, in UTF-8, UTF-16 or Windows-1252, with or without a byte order mark."""

    def __init__(self, path: Path, score: Score) -> None:
        self._path = path
        self._size = max(path.stat().st_size, 1)
        self._encoding = encoding(path)
        self._raw: io.BufferedReader | None = None
        with path.open(encoding=self._encoding, newline="", errors="replace") as file:
            sample = file.read(_SAMPLE_BYTES)
        declared, named, rest = sample.partition("\n")
        self._skip = 1 if (named and declared.strip().lower().startswith("sep=")) else 0
        found = []
        for delimiter in _DELIMITERS:
            rows = _lenient(rest if self._skip else sample, delimiter)
            found.append((*_best(rows, score), delimiter, rows))
        points, place, self._delimiter, rows = max(found, key=lambda each: (each[0], each[1]))
        if points < 2:
            raise WrongUse(words("torn_workbook", path=path)) if _NO_TEXT.search(sample) else _no_headings(path)
        self._above = -place
        self._head([heading.strip() for heading in rows[-place]])

    def rows(self) -> Iterator[Row]:
        self.skipped = 0
        with self._path.open("rb") as raw, io.TextIOWrapper(raw, self._encoding, newline="") as file:
            self._raw = raw
            for _ in range(self._skip):
                file.readline()
            reader = csv.reader(file, delimiter=self._delimiter)
            before, at = self._skip, 0
            while True:
                line = before + 1
                try:
                    cells = next(reader)
                except StopIteration:
                    return
                except csv.Error:
                    last = self._skip + reader.line_num
                    yield Row(line, (), _unclosed(line, last))
                    continue
                finally:
                    before = self._skip + reader.line_num
                at += 1
                if at > self._above + 1 and (row := self._row(line, cells)):
                    yield row

    def done(self) -> float:
        return min(self._raw.tell() / self._size, 1.0) if self._raw and not self._raw.closed else 0.0


def _lenient(sample: str, delimiter: str) -> list[list[str]]:
    rows: list[list[str]] = []
    try:
        rows.extend(islice(csv.reader(io.StringIO(sample, newline=""), delimiter=delimiter), _HEADING_ROWS))
    except csv.Error:
        return rows
    return rows


def encoding(path: Path) -> str:
    """How the text at `path` is written: UTF-16 and UTF-8 by their marks, UTF-8 if all of it is, else Windows-1252."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    ansi = codecs.getincrementaldecoder("cp1252")()
    utf8, windows = True, True
    with path.open("rb") as file:
        head = file.read(4)
        if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            return "utf-16"
        file.seek(0)
        while block := file.read(1 << 20):
            if utf8:
                utf8 = _decodes(decoder, block)
            if windows and not utf8:
                windows = _decodes(ansi, block)
    utf8 = utf8 and _decodes(decoder, b"", final=True)
    return "utf-8-sig" if utf8 else "cp1252" if windows else "latin-1"


def _decodes(decoder: codecs.IncrementalDecoder, block: bytes, *, final: bool = False) -> bool:
    try:
        decoder.decode(block, final)
    except UnicodeDecodeError:
        return False
    return True


class Sheet(_Body):
    """The first sheet of an XLSX workbook that has known headings."""

    def __init__(self, path: Path, score: Score) -> None:
        self._path = path
        self._at = 0
        with self._book() as book:
            for self._name in book.sheetnames:
                top = [[_heading(cell) for cell in row] for row in islice(_values(book, self._name), _HEADING_ROWS)]
                points, place = _best(top, score)
                if points >= 2:
                    break
            else:
                raise _no_headings(path)
            self._size = max(book[self._name].max_row or 0, 1)
        self._above = -place
        self._head(top[-place])

    def rows(self) -> Iterator[Row]:
        self.skipped = 0
        with self._book() as book:
            for line, cells in enumerate(_values(book, self._name), start=1):
                self._at = line
                if line > self._above + 1 and (row := self._row(line, cells)):
                    yield row

    def done(self) -> float:
        return min(self._at / self._size, 1.0)

    @contextmanager
    def _book(self) -> Iterator[openpyxl.Workbook]:
        """The workbook; WrongUse where it is damaged, also while it is read."""
        with self._path.open("rb") as file:
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # of styles and lists, which are not read
                    book = openpyxl.load_workbook(file, read_only=True, data_only=True)
                try:
                    yield book
                finally:
                    book.close()
            except (BadZipFile, KeyError, ValueError, SyntaxError, zlib.error) as wrong:
                raise WrongUse(words("torn_workbook", path=self._path)) from wrong


def _values(book: openpyxl.Workbook, name: str) -> Iterator[Sequence[Cell]]:
    sheet = book[name]
    if not hasattr(sheet, "iter_rows"):  # a chart
        return
    if hasattr(sheet, "reset_dimensions"):
        sheet.reset_dimensions()  # some programs write a wrong extent, and rows would be cut at it
    for row in sheet.iter_rows(values_only=True):
        yield tuple(None if isinstance(cell, time) else cell for cell in row)  # type: ignore[misc]


def _heading(cell: Cell) -> str:
    return str(cell).strip() if cell is not None else ""


class Line(NamedTuple):
    """One line of a JSON Lines file, without its end; empty where it is too long to be a record."""

    line: int
    value: bytes


class JsonLines:
    """One JSON object a line."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._size = max(path.stat().st_size, 1)
        self._read = 0

    def lines(self) -> Iterator[Line]:
        """Every line that is not empty, from the first, each time it is called."""
        self._read = 0
        with self._path.open("rb") as file:
            number = 0
            while value := file.readline(MOST_BYTES_A_LINE + 2):
                number += 1
                self._read += len(value)
                if len(value.rstrip(b"\r\n")) > MOST_BYTES_A_LINE:
                    while value and not value.endswith(b"\n"):
                        value = file.readline(MOST_BYTES_A_LINE)
                        self._read += len(value)
                    yield Line(number, b"")
                    continue
                value = value.removeprefix(codecs.BOM_UTF8) if number == 1 else value
                if value := value.strip():
                    yield Line(number, value)

    def done(self) -> float:
        """How much of the file has been read, 0 to 1."""
        return min(self._read / self._size, 1.0)
