"""From a file's rows to the records that are sent, and to the rows that are not.

Kept here: one row always gives the same record, byte for byte, on whatever day and machine, so that a file sent
again changes nothing. The event's id is the UUIDv5, in a namespace of ours, of agency, type, time and canonical
data; its trace is that id without dashes; its time is the row's own (`layout`). Nothing leaves that the services
would refuse for its form: every record passes the contracts' door first, save for what depends on the policy in
force, which is for the services to judge. A complete CloudEvent of a JSON Lines file is sent as
it stands.
"""

import hashlib
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any, Final, NamedTuple
from uuid import UUID

import orjson
from tepat_contracts import envelope
from tepat_contracts.door import Door, Reason, Refused
from tepat_contracts.policy import Agency, Policy, PolicyIndex
from tepat_contracts.topics import Kind as TopicKind

from tepat_cli.columns import KINDS, Kind
from tepat_cli.exits import WrongUse
from tepat_cli.layout import Layout, Told, bare, guess, guess_bare, key
from tepat_cli.office import JsonLines, table, what, without_verdicts
from tepat_cli.refusals import words
from tepat_cli.values import Cell, Unreadable

NAMESPACE: Final = UUID("0d0c7c26-6c52-5a0a-8c7d-5c6f0f3f6a51")
_LOOKED_AT_FIRST: Final = 500
_NO_OBJECT: Final = (
    "The line is not one JSON object of at most 1 MiB: repair it. / Baris ini bukan satu objek JSON sebesar paling "
    "banyak 1 MiB: perbaiki."
)


class Ready(NamedTuple):
    """A record to send, and where it came from."""

    line: int
    cells: Sequence[Cell]
    id: str
    key: bytes
    value: bytes


class Bad(NamedTuple):
    """A row that is not sent: a reason of contracts.md, the column, what to do, and where in the event it would be."""

    line: int
    cells: Sequence[Cell]
    reason: str
    column: str
    advice: str
    pointer: str | None = None


def identity(agency: str, told: Told, data: bytes) -> str:
    """The event's id: UUIDv5 (RFC 9562, 5.5) of agency, type, time and canonical data, bars between."""
    name = f"{agency}|{told.type}|{told.time}|".encode() + data
    digest = hashlib.sha1(NAMESPACE.bytes + name, usedforsecurity=False).digest()[:16]
    number = int.from_bytes(digest) & ~(0xF << 76) & ~(0x3 << 62) | 5 << 76 | 0x2 << 62
    text = f"{number:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def record(agency: str, told: Told) -> tuple[str, bytes]:
    """The event's id and its bytes. Raises TypeError for a number that JSON can't hold."""
    data = orjson.dumps(told.data, option=orjson.OPT_SORT_KEYS)
    id_ = identity(agency, told, data)
    trace = id_.replace("-", "")
    event = {
        "specversion": envelope.SPEC_VERSION,
        "id": id_,
        "source": envelope.agency_source(agency),
        "type": told.type,
        "time": told.time,
        "traceparent": f"00-{trace}-{trace[16:]}-01",
        "datacontenttype": "application/json",
        "data": orjson.Fragment(data),
    }
    return id_, orjson.dumps(event)


_LEFT_TO_THE_SERVICES: Final = frozenset(
    {Reason.PROGRAMME_UNKNOWN, Reason.REGION_UNKNOWN, Reason.AGENCY_UNKNOWN, Reason.NOT_PERMITTED}
)
"""What depends on the policy in force; the door judges it last."""


class _Gate:
    """The contracts' door for one agency, as far as it needs no policy."""

    def __init__(self, agency: str, kind: Kind, revision: int) -> None:
        self.agency = agency
        self.revision = revision
        self._door: Door[Any] = Door(TopicKind(kind.sent_as))
        sender = Agency(id=agency, name=agency, programmes=[], rights=["merge"])
        self._policy = PolicyIndex(Policy(version="-", agencies=[sender], programmes=[], overlap_rules=[]))

    def admit(self, value: bytes) -> None:
        """Raises Refused."""
        try:
            self._door.admit(value, envelope.STRUCTURED_HEADERS, self.agency, self._policy)
        except Refused as refused:
            if refused.rejection.reason not in _LEFT_TO_THE_SERVICES:
                raise


class Rows:
    """A CSV or XLSX file as records. Raises WrongUse where its kind or columns can't be told."""

    def __init__(self, path: Path, agency: str, kind: Kind | None, revision: int) -> None:
        self._table = table(path, (lambda row: guess(row)[1]) if kind is None else _score(kind))
        chosen = kind or guess(self._table.headings)[0]
        if chosen is None:
            raise WrongUse(words("several_kinds", path=path))
        self.kind = chosen
        try:
            self._layout = Layout(chosen, without_verdicts(self._table.headings))
        except Unreadable as wrong:
            raise WrongUse(f"{path}: {wrong}") from None
        self.headings = self._table.headings
        self.unused = self._layout.unused
        self._gate = _Gate(agency, chosen, revision)

    @property
    def skipped(self) -> int:
        """Hints and repeated headings passed over."""
        return self._table.skipped

    def done(self) -> float:
        """How much of the file has been read, 0 to 1."""
        return self._table.done()

    def heading(self, pointer: str | None) -> str:
        """The column that a JSON pointer into the event means."""
        return self._layout.heading(pointer)

    def records(self) -> Iterator[Ready | Bad]:
        """Every row, from the first, each time it is called."""
        layout, gate = self._layout, self._gate
        rows = self._table.rows()
        top = list(islice(rows, _LOOKED_AT_FIRST))
        layout.look_for_lost_digits(row.cells for row in top)
        for row in chain(top, rows):
            if row.broken:
                yield Bad(row.line, row.cells, "malformed", "", row.broken)
                continue
            try:
                told = layout.read(row.cells, gate.revision)
                id_, value = record(gate.agency, told)
                gate.admit(value)
            except Unreadable as wrong:
                yield Bad(row.line, row.cells, wrong.reason, wrong.heading, str(wrong), wrong.pointer)
            except Refused as refused:
                no = refused.rejection
                yield Bad(row.line, row.cells, str(no.reason), layout.heading(no.pointer), no.message, no.pointer)
            except TypeError:
                yield Bad(
                    row.line,
                    row.cells,
                    "schema",
                    "",
                    "A number in this row is too large. / Ada bilangan yang terlalu besar.",
                )
            else:
                yield Ready(row.line, row.cells, id_, told.key.encode(), value)


def _score(kind: Kind) -> Any:
    return lambda row: sum(1 for heading in row if heading and kind.column(heading))


class Lines:
    """A JSON Lines file as records: complete CloudEvents, or bare `data` objects."""

    headings: Final = ["record"]
    unused: Final[list[str]] = []
    skipped: Final = 0

    def __init__(self, path: Path, agency: str, kind: Kind | None, revision: int) -> None:
        self._file = JsonLines(path)
        if kind is None:
            first = next((line for line in self._file.lines() if _object(line.value) is not None), None)
            kind = guess_bare(_object(first.value) or {}) if first else None
        if kind is None:
            raise WrongUse(words("no_kind", path=path))
        self.kind = kind
        self._gate = _Gate(agency, kind, revision)

    def done(self) -> float:
        """How much of the file has been read, 0 to 1."""
        return self._file.done()

    def heading(self, pointer: str | None) -> str:
        """The field that a JSON pointer into the event means."""
        return pointer or ""

    def records(self) -> Iterator[Ready | Bad]:
        """Every line, from the first, each time it is called."""
        gate, kind = self._gate, self.kind
        for line in self._file.lines():
            shown = (line.value.decode(errors="replace"),)
            found = _object(line.value)
            if found is None:
                yield Bad(line.line, shown, "malformed", "", _NO_OBJECT)
                continue
            try:
                if "specversion" in found:
                    data = found.get("data")
                    id_, value = str(found.get("id", "")), line.value
                    name = key(kind, data) if isinstance(data, dict) else ""
                else:
                    told = bare(kind, found, gate.revision)
                    name = told.key
                    id_, value = record(gate.agency, told)
                gate.admit(value)
            except Unreadable as wrong:
                yield Bad(line.line, shown, wrong.reason, wrong.heading, str(wrong), wrong.pointer)
            except Refused as refused:
                no = refused.rejection
                yield Bad(line.line, shown, str(no.reason), no.pointer or "", no.message, no.pointer)
            else:
                yield Ready(line.line, shown, id_, name.encode(), value)


def _object(value: bytes) -> dict[str, Any] | None:
    try:
        found = orjson.loads(value)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


Source = Rows | Lines


def source(path: Path, agency: str, kind: str | None, revision: int = 0) -> Source:
    """The file at `path` as records of `agency`; its kind is told by what it holds unless given. Raises WrongUse."""
    reader = Lines if what(path) == "jsonl" else Rows
    return reader(path, agency, KINDS[kind] if kind else None, revision)
