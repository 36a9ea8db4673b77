"""What one row or one object tells: an event's type, data, time and key.

Kept here: the same row always tells the same; a cell is read once for every row that repeats it, within bounds, and
what it tells does not depend on that.

The time of an event decides between two of equal revision and rank (`overlap.md`), and the same row must always
give the same event. So it is never the moment of sending, but the row's own: its `Waktu` column, else the day it
speaks of (`Kind.dated_by`), at midnight in Western Indonesian Time. A cancellation that names no day is put at
1970-01-01 (`UNDATED`), which is shown as no time at all: its rank stands above what it ends whatever the time. It
follows that of two different rows about one payout and of one revision the later file does not win by being later: a
correction needs a higher revision.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

from tepat_contracts.envelope import UNDATED

from tepat_cli.columns import (
    BENEFICIARIES,
    KINDS,
    KK,
    NIK,
    PAYOUTS,
    REPORTS,
    STATUS,
    VERIFICATIONS,
    Column,
    Data,
    Kind,
)
from tepat_cli.refusals import words
from tepat_cli.values import TEXT_COLUMN, Cell, Unreadable, midnight

ENDED: Final = ("cancelled", "returned")
ENVELOPE: Final = {"status": "/type", "time": "/time"}
"""Columns that don't tell of `data`: what they tell of instead."""
ENDED_READS: Final = ("payout_id", "revision", "reason", "covers.from", "time")
"""What is read of a row that ends a payout; nothing else in it can be wrong."""

LOST_FROM: Final = 5
"""So many different numbers, all ending in 0, are a damaged column."""

KEPT_CELLS: Final = 2048
"""Different cells of a column whose reading is kept."""


class Told(NamedTuple):
    """An event's type, its data, its time (RFC 3339) and the record's key."""

    type: str
    data: Data
    time: str
    key: str


class _Place:
    """A column in its file: where its cell is, where its value goes, what its cells were read as so far."""

    __slots__ = ("at", "column", "group", "heading", "kept", "leaf", "lost")

    def __init__(self, at: int, heading: str, column: Column) -> None:
        self.at = at
        self.heading = heading
        self.column = column
        self.group, _, self.leaf = column.path.rpartition(".")
        self.kept: dict[str, object] = {}
        self.lost = False

    def read(self, cell: Cell) -> object:
        """The cell's value, None where it is blank. Raises Unreadable, its `heading` the column's."""
        if cell is None or (isinstance(cell, str) and not cell.strip()):
            return None
        try:
            if self.lost:
                raise Unreadable(TEXT_COLUMN, "kk_invalid" if self.column.read is KK else "nik_invalid")
            value = self.column.read(cell)
        except Unreadable as wrong:
            wrong.heading = self.heading
            wrong.pointer = ENVELOPE.get(self.column.path) or f"/data/{self.column.path.replace('.', '/')}"
            raise
        if isinstance(cell, str) and len(self.kept) < KEPT_CELLS:
            self.kept[cell] = value
        return value


class Layout:
    """The columns of one file, in its own order."""

    def __init__(self, kind: Kind, headings: Sequence[str]) -> None:
        """Raises Unreadable where two columns would fill one field."""
        self.kind = kind
        self.unused: list[str] = []
        places: dict[str, _Place] = {}
        for at, heading in enumerate(headings):
            column = kind.column(heading) if heading else None
            if column is None:
                if heading:
                    self.unused.append(heading)
            elif taken := places.get(column.path):
                raise Unreadable(words("same_columns", one=taken.heading, other=heading, field=column.path))
            else:
                places[column.path] = _Place(at, heading, column)
        self._places = places
        self._status = places.get("status")
        self._time = places.get("time")
        self._filled = [place for path, place in places.items() if path not in ("status", "time")]
        self._always = [(*path.rpartition(".")[::2], value) for path, value in kind.always if path != "revision"]

    def heading(self, pointer: str | None) -> str:
        """The heading of the column that a JSON pointer into the event names.

        Of a column that the file does not have it is that of the template; of what no column tells the field itself.
        """
        path = ".".join(part for part in (pointer or "").split("/")[2:] if not part.isdigit())
        if place := self._places.get(path):
            return place.heading
        if within := [place.heading for at, place in self._places.items() if path and at.startswith(f"{path}.")]:
            return within[0]
        absent = [each.heading for each in self.kind.columns if each.path == path or each.path.startswith(f"{path}.")]
        return ", ".join(absent) if path and absent else path

    def look_for_lost_digits(self, rows: Iterable[Sequence[Cell]]) -> None:
        """Marks the columns of NIKs or KKs that all end in 0, as they do once a spreadsheet took them for amounts.

        By chance one in ten does; where `LOST_FROM` different ones all do, it was the spreadsheet.
        """
        numbers: list[tuple[_Place, set[str]]] = [
            (place, set()) for place in self._filled if place.column.read in (NIK, KK)
        ]
        for cells in rows:
            for place, found in numbers:
                cell = cells[place.at] if place.at < len(cells) else None
                if isinstance(cell, str) and cell.strip("' ").isdigit():
                    found.add(cell.strip("' "))
        for place, found in numbers:
            place.lost = len(found) >= LOST_FROM and all(len(each) == 16 and each.endswith("0") for each in found)

    def read(self, cells: Sequence[Cell], revision: int = 0) -> Told:
        """What a row tells. Raises Unreadable, its `heading` the column's."""
        status = self._value(self._status, cells)
        if status in ENDED:
            return self._ended(status, cells, revision)
        kind = self.kind
        data: Data = {}
        width = len(cells)
        for place in self._filled:
            if place.at >= width:
                continue
            cell = cells[place.at]
            value = place.kept.get(cell) if cell.__class__ is str else None
            if value is None:
                value = place.read(cell)
                if value is None:
                    continue
            if place.group:
                group = data.get(place.group)
                if group is None:
                    group = data[place.group] = {}
                group[place.leaf] = value
            else:
                data[place.leaf] = value
        data.setdefault("revision", revision)
        for name, leaf, value in self._always:
            (data.setdefault(name, {}) if name else data).setdefault(leaf, value)
        if isinstance(people := data.get("people"), dict):
            data["people"] = [people]
        time = self._value(self._time, cells) or _dated(kind, data)
        return Told(f"tepat.payout.{status}.v1" if status else kind.type, data, time, key(kind, data))

    def _ended(self, status: str, cells: Sequence[Cell], revision: int) -> Told:
        """What a row tells that ends a payout."""
        row = {path: self._value(self._places.get(path), cells) for path in ENDED_READS}
        first_day, time = row.pop("covers.from"), row.pop("time")
        data = {path: value for path, value in row.items() if value is not None}
        data.setdefault("revision", revision)
        time = time or (midnight(first_day) if first_day else UNDATED)
        return Told(f"tepat.payout.{status}.v1", data, time, key(self.kind, data))

    @staticmethod
    def _value(place: _Place | None, cells: Sequence[Cell]) -> Any:
        if place is None or place.at >= len(cells):
            return None
        cell = cells[place.at]
        value = place.kept.get(cell) if cell.__class__ is str else None
        return place.read(cell) if value is None else value


def bare(kind: Kind, data: Data, revision: int = 0) -> Told:
    """What a JSON object tells that is an event's `data`; `type`, `status` and `time` in it are the event's."""
    data = {name: value for name, value in data.items() if value is not None}
    type_, status, time = (data.pop(name, None) for name in ("type", "status", "time"))
    if isinstance(status, str):
        type_ = f"tepat.payout.{STATUS(status)}.v1"
    if not isinstance(type_, str):
        type_ = next((each for fields, each in kind.shapes if fields <= data.keys()), kind.type)
    if type_ != "tepat.source.complete.v1":
        data.setdefault("revision", revision)
    return Told(type_, data, time if isinstance(time, str) else _dated(kind, data), key(kind, data))


def _dated(kind: Kind, data: Data) -> str:
    for path in kind.dated_by:
        if isinstance(found := _at(data, path), str):
            return midnight(found)
    if kind is REPORTS and "filed_by" in data:
        raise Unreadable("A report needs its day: fill Waktu or Tanggal Kejadian. / Isi Waktu atau Tanggal Kejadian.")
    return UNDATED


def key(kind: Kind, data: Data) -> str:
    """The key of the record: the field that the contracts advise, empty where the event has none."""
    for name in kind.key:
        if (found := _at(data, name)) is not None:
            return str(found)
    return ""


def _at(data: Data, path: str) -> object:
    group, _, leaf = path.rpartition(".")
    inner = data.get(group) if group else data
    return inner.get(leaf) if isinstance(inner, dict) else None


def guess(headings: Iterable[str]) -> tuple[Kind | None, int]:
    """The kind whose columns the headings are, and how many of them; no kind where two fit as well."""
    written = [heading for heading in headings if heading]
    scores = sorted(
        ((sum(kind.column(each) is not None for each in written), kind) for kind in KINDS.values()),
        key=lambda scored: -scored[0],
    )
    (best, kind), (second, _) = scores[0], scores[1]
    return (kind if best > second else None), best


def guess_bare(line: Data) -> Kind | None:
    """The kind of a complete event or a bare object."""
    type_ = str(line.get("type", ""))
    for start, kind in (
        ("tepat.payout.", PAYOUTS),
        ("tepat.report.", REPORTS),
        ("tepat.verification.", VERIFICATIONS),
        ("tepat.objection.", VERIFICATIONS),
        ("tepat.person", BENEFICIARIES),
        ("tepat.household.", BENEFICIARIES),
        ("tepat.institution.", BENEFICIARIES),
    ):
        if type_.startswith(start):
            return kind
    data = line.get("data") if "specversion" in line else line
    if not isinstance(data, dict):
        return None
    for field, kind in (
        ("payout_id", PAYOUTS),
        ("report_id", REPORTS),
        ("verification_id", VERIFICATIONS),
        ("listed_on", VERIFICATIONS),
        ("objection_id", VERIFICATIONS),
    ):
        if field in data:
            return kind
    if data.get("kind") in KINDS and "through" in data:
        return KINDS[str(data["kind"])]
    return BENEFICIARIES if data.keys() & {"nik", "from_nik", "from_kk", "institution_id"} else None
