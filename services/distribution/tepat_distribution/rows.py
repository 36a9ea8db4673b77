"""Rows of the ledger in PostgreSQL's binary form: length and bytes of each field, packed once at the door.

Invariant: the fields of fixed length come first, so that a column of many rows is a slice of each (``Layout``), and
nothing is encoded twice.
"""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from functools import lru_cache
from struct import Struct
from typing import Final, NamedTuple
from uuid import UUID

COLUMNS: Final = (
    "agency", "revision", "rank", "event_time", "nik", "told", "told_kk", "programme", "starts", "ends", "amount",
    "partition", "offset", "digest", "person", "household", "kind", "appended", "payout_id", "event_id", "region",
    "trace", "more",
)  # fmt: skip
"""Of table ``payout``, in the order of a packed row."""

EPOCH: Final = datetime(2000, 1, 1, tzinfo=UTC)
EPOCH_DAY: Final = date(2000, 1, 1).toordinal()
DAY_SECONDS: Final = 86_400

LIVE: Final = Struct(">hihiqihiqi16si16si?ihiiiiiqiiiqiqi16si16sihiq").pack
ENDED: Final = Struct(">hihiqihiqiii?iiiiiiiqiqiiiiq").pack
SAME: Final = Struct(">i16si16s").pack
LENGTH: Final = Struct(">i").pack
ABSENT: Final = LENGTH(-1)
ARRAY: Final = Struct(">iiiii").pack


class Layout(NamedTuple):
    """Where a row has its fields of fixed length, each with its length before it."""

    agency: slice
    rank: slice
    nik: slice
    told: slice
    told_kk: slice
    programme: slice
    starts: slice
    ends: slice
    person: slice
    household: slice
    appended: slice


WIDTHS: Final = {
    "agency": 2, "revision": 8, "rank": 2, "event_time": 8, "nik": 16, "told": 16, "told_kk": 1, "programme": 2,
    "starts": 4, "ends": 4, "amount": 8, "partition": 4, "offset": 8, "digest": 8, "person": 16, "household": 16,
    "kind": 2, "appended": 8,
}  # fmt: skip
"""Bytes of the fields of fixed length, in the order of ``COLUMNS``."""


def _layout(*absent: str) -> Layout:
    """Where the fields are in a row that lacks some of them."""
    places, at = {}, 2
    for name, width in WIDTHS.items():
        end = at + 4 + (0 if name in absent else width)
        places[name], at = slice(at, end), end
    return Layout(*(places[name] for name in Layout._fields))


OF_LIVE: Final = _layout()
OF_ENDED: Final = _layout("nik", "told", "programme", "starts", "ends", "amount", "person", "household", "kind")

TRUE: Final = LENGTH(1) + b"\1"

OID: Final = {"boolean": 16, "smallint": 21, "text": 25, "date": 1082, "uuid": 2950}


@lru_cache(maxsize=10_000)
def day(of: date) -> int:
    """A day's number. The first and the last that Python knows are PostgreSQL's infinities, as asyncpg has them:
    packed otherwise, a payout's 9999-12-31 would not equal a membership's or a rule's."""
    if of in (date.min, date.max):
        return -(2**31) if of == date.min else 2**31 - 1
    return of.toordinal() - EPOCH_DAY


def instant(of: datetime) -> int:
    """Microseconds since PostgreSQL's epoch."""
    since = of - EPOCH
    return (since.days * DAY_SECONDS + since.seconds) * 1_000_000 + since.microseconds


def text(of: str) -> bytes:
    """A text with its length before it."""
    packed = of.encode()
    return LENGTH(len(packed)) + packed


def moved(packed: bytes, person: UUID, household: UUID) -> bytes:
    """A live row whose person and household are others than its NIK and card say."""
    after = packed[OF_LIVE.household.stop :]
    return packed[: OF_LIVE.person.start] + SAME(16, person.bytes, 16, household.bytes) + after


def array(kind: str, elements: Sequence[bytes]) -> bytes:
    """An array as a field, its elements each with their length before them; some may be absent."""
    packed = b"".join(elements)
    head = ARRAY(1, 1, OID[kind], len(elements), 1) if elements else ARRAY(0, 0, OID[kind], 0, 0)[:12]
    return LENGTH(len(head) + len(packed)) + head + packed


def row(fields: Sequence[bytes]) -> bytes:
    """A row of fields, each with its length before it."""
    return len(fields).to_bytes(2, "big") + b"".join(fields)
