"""Payouts by the express way: the door in one pass, for the topics that carry nearly all there is.

Invariants:
- what is taken here the door takes too, and reads alike; whatever is in doubt here goes to the door, which alone
  refuses and says why. `test_express` holds both against each other;
- what is read is what a ledger of payouts needs; fields of no use to it are checked and left out.
"""

import re
from datetime import date, datetime
from typing import Annotated, Any, ClassVar, Final, Literal

import msgspec
from msgspec import Meta, Struct

from .door import Door, Headers, Kind
from .envelope import trace_id
from .events.fields import MAX_INTEGER, PAYOUT_ID_PATTERN, TIME_PATTERN
from .events.payouts import CANCELLED, DISBURSED, PLANNED, RETURNED
from .identity import is_kk, is_nik
from .policy import PolicyIndex

_Identifier = Annotated[str, Meta(min_length=1, max_length=128)]
_Natural = Annotated[int, Meta(ge=0, le=MAX_INTEGER)]


class Covers(Struct, gc=False, rename={"start": "from", "end": "to"}):
    """The days a payout is for, both inclusive."""

    start: date
    end: date


class Recipient(Struct, gc=False):
    """Who receives."""

    nik: str
    kk: str | None = None
    name: str | None = None
    birth_date: date | None = None


class Benefit(Struct, gc=False):
    """What is given, in rupiah."""

    kind: Literal["cash", "food", "goods", "service", "capital"]
    amount: _Natural
    quantity: Annotated[float, Meta(ge=0)] | None = None
    unit: str | None = None


class Payout(Struct, gc=False):
    """A payout planned or disbursed."""

    payout_id: str
    revision: _Natural
    programme: str
    covers: Covers
    recipient: Recipient
    benefit: Benefit
    region: str
    tranche: str | None = None
    component: str | None = None
    channel: str | None = None


class Ended(Struct, gc=False):
    """A payout cancelled or returned."""

    payout_id: str
    revision: _Natural
    reason: str


class _Event(Struct, gc=False, tag_field="type", kw_only=True):
    specversion: Literal["1.0"]
    id: _Identifier
    source: str
    time: str
    subject: str | None = None
    datacontenttype: str | None = None
    dataschema: str | None = None
    traceparent: str | None = None
    """Not judged yet: `trace_id` says whether it is one."""


class Planned(_Event, tag=PLANNED):
    """Money that is about to leave."""

    rank: ClassVar[int] = 0
    data: Payout


class Disbursed(_Event, tag=DISBURSED):
    """Money that has left."""

    rank: ClassVar[int] = 1
    data: Payout


class Cancelled(_Event, tag=CANCELLED):
    """Money that will not leave."""

    rank: ClassVar[int] = 2
    data: Ended


class Returned(_Event, tag=RETURNED):
    """Money that came back."""

    rank: ClassVar[int] = 3
    data: Ended


PayoutEvent = Planned | Disbursed | Cancelled | Returned
"""By `rank`: of two events of one revision the later in this list holds (overlap.md, "Ledger")."""

_decode: Final = msgspec.json.Decoder(PayoutEvent).decode
_time: Final = re.compile(TIME_PATTERN.removeprefix("^").removesuffix("$")).fullmatch
_payout_id: Final = re.compile(PAYOUT_ID_PATTERN.removeprefix("^").removesuffix("$")).fullmatch
_TYPES: Final = frozenset((PLANNED, DISBURSED, CANCELLED, RETURNED))
_LAST_YEARS: Final = frozenset((1, 9999))
_BACKSLASH: Final = ord("\\")
_BRACKET: Final = ord("[")
_SMALL: Final = 4_096
"""Bytes of a record in which no number is too long for whoever reads it."""
_TINY: Final = 800
"""Bytes of a record in which objects are not nested too deeply for whoever reads it."""
_SHALLOW: Final = 60
"""Objects in a larger record, likewise."""


class PayoutDoor:
    """Admits the records of payouts topics."""

    def __init__(self) -> None:
        self._door = Door(Kind.PAYOUTS)

    def admit(
        self, value: bytes | None, headers: Headers, agency: str, policy: PolicyIndex
    ) -> tuple[PayoutEvent, datetime] | None:
        """The event in a record and its time, aware; none for a sign of life. Raises Refused, and nothing else."""
        if value is not None and _plain(value):
            try:
                event = _decode(value)
                if (time := _judged(event, agency, policy)) is not None:
                    return event, time
            except (msgspec.MsgspecError, ValueError):  # in doubt
                pass
        return self._examined(value, headers, agency, policy)

    def _examined(
        self, value: bytes | None, headers: Headers, agency: str, policy: PolicyIndex
    ) -> tuple[PayoutEvent, datetime] | None:
        admitted: dict[str, Any] = self._door.admit(value, headers, agency, policy)  # type: ignore[assignment]
        if admitted["type"] not in _TYPES:
            return None
        event: PayoutEvent = msgspec.convert({**admitted, "time": ""}, PayoutEvent)
        return event, admitted["time"]


def _plain(value: bytes) -> bool:
    """Whether the record means one thing to whoever reads JSON: ASCII, no escapes, no arrays, small and shallow."""
    return (
        _BACKSLASH not in value
        and _BRACKET not in value
        and value.isascii()
        and (len(value) <= _TINY or (len(value) <= _SMALL and value.count(b"{") <= _SHALLOW))
    )


def _judged(event: PayoutEvent, agency: str, policy: PolicyIndex) -> datetime | None:
    """The event's time where all that a schema cannot say is in order, else none."""
    entry = policy.agencies.get(agency)
    data = event.data
    if entry is None or event.source != entry.source or not _time(event.time) or not _payout_id(data.payout_id):
        return None
    if isinstance(data, Payout):
        recipient, covers = data.recipient, data.covers
        if not (
            is_nik(recipient.nik)
            and (recipient.kk is None or is_kk(recipient.kk))
            and covers.start <= covers.end
            and data.programme in entry.programmes
            and data.region in policy.regions
        ):
            return None
    if event.traceparent is not None and trace_id(event.traceparent) is None:
        event.traceparent = None
    time = datetime.fromisoformat(event.time)
    return None if time.year in _LAST_YEARS else time
