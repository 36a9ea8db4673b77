"""What a sender is told of its records, and what the quarantine keeps of those not taken.

Invariants:
- every offset of an inbound topic is covered by exactly one accepted range or one rejection: ranges are split around
  rejected offsets, so `rejected` within a range counts 0 of them;
- no receipt and no quarantine entry holds a NIK, a KK, a name or any other value the sender wrote, save the event's
  id; the bytes stay, encrypted, in the service's database.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Literal, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from .events.fields import MAX_INTEGER, Count, Sha256, Text

EVENT_REJECTED = "tepat.event.rejected.v1"
EVENTS_ACCEPTED = "tepat.events.accepted.v1"
EVENT_REPLAYED = "tepat.event.replayed.v1"
RECORD_QUARANTINED = "tepat.record.quarantined.v1"


class Reason(StrEnum):
    """Why a record was not taken; the values stand in receipts and in the quarantine."""

    MALFORMED = "malformed"
    SCHEMA = "schema"
    SOURCE_MISMATCH = "source_mismatch"
    UNKNOWN_TYPE = "unknown_type"
    NIK_INVALID = "nik_invalid"
    KK_INVALID = "kk_invalid"
    PROGRAMME_UNKNOWN = "programme_unknown"
    REGION_UNKNOWN = "region_unknown"
    AGENCY_UNKNOWN = "agency_unknown"
    COVERS_INVERTED = "covers_inverted"
    NOT_PERMITTED = "not_permitted"


ReasonName = Literal[
    "malformed",
    "schema",
    "source_mismatch",
    "unknown_type",
    "nik_invalid",
    "kk_invalid",
    "programme_unknown",
    "region_unknown",
    "agency_unknown",
    "covers_inverted",
    "not_permitted",
]


@dataclass(frozen=True, slots=True)
class Rejection:
    """What the sender is told: the reason, what to do (in English and Indonesian), the field, the event.

    `pointer` is a JSON pointer (RFC 6901) from the event's root, as /data/recipient/nik; empty for the whole event.
    """

    reason: Reason
    message: str
    pointer: str | None = None
    event_id: str | None = None


class Refused(Exception):
    """A record was not taken. Its text names the reason and the field, and nothing the sender wrote."""

    def __init__(self, rejection: Rejection) -> None:
        super().__init__(
            rejection.reason.value if rejection.pointer is None else f"{rejection.reason.value} {rejection.pointer}"
        )
        self.rejection = rejection


Partition = Annotated[int, Field(ge=0, le=2**31 - 1)]
Offset = Annotated[int, Field(ge=0, le=MAX_INTEGER)]


class Rejected(TypedDict):
    """One record was not taken."""

    topic: Text
    partition: Partition
    offset: Offset
    event_id: NotRequired[Text]
    reason: ReasonName
    pointer: NotRequired[Text]
    message: Text


class Accepted(TypedDict):
    """Every record from `from_offset` to `to_offset`, both inclusive, was taken."""

    topic: Text
    partition: Partition
    from_offset: Offset
    to_offset: Offset
    accepted: Count
    rejected: Count


class Replayed(TypedDict):
    """A quarantined record was judged again, and what came of it."""

    topic: Text
    partition: Partition
    offset: Offset
    event_id: NotRequired[Text]
    outcome: Literal["accepted", "rejected"]
    reason: NotRequired[ReasonName]
    message: NotRequired[Text]


class Quarantined(TypedDict):
    """A record that was not taken, as operators see it: where it stood and its SHA-256, never its bytes."""

    topic: Text
    partition: Partition
    offset: Offset
    agency: NotRequired[Text]
    event_id: NotRequired[Text]
    reason: ReasonName
    pointer: NotRequired[Text]
    message: NotRequired[Text]
    sha256: Sha256
