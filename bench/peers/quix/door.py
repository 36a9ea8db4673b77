"""The contract for payouts, in structured mode: one record in, one payout out under its pseudonyms, or why not."""

import calendar
import hashlib
import hmac
import re
from collections.abc import Mapping
from contextlib import suppress
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

Text = Annotated[str, Meta(pattern="^[^\u0000]*$")]
Identifier = Annotated[str, Meta(min_length=1, max_length=128, pattern="^[^\u0000]*$")]
PayoutId = Annotated[str, Meta(pattern="^[ -{}~]{1,64}$")]
Whole = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Time = Annotated[
    str,
    Meta(
        pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt]([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,6})?"
        r"([Zz]|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$"
    ),
]
NUMBER = re.compile("[0-9]{16}")
REGION = re.compile(r"[0-9]{2}(\.[0-9]{2}(\.[0-9]{2}(\.[0-9]{4})?)?)?")
LARGEST = 1 << 20
PLANNED, DISBURSED, CANCELLED, RETURNED = range(4)


class Refused(Exception):
    """A record that is not taken; its text is the contract's reason, with the field where there is one."""


class Covers(msgspec.Struct, rename={"first": "from", "last": "to"}):
    first: date
    last: date


class Recipient(msgspec.Struct):
    nik: Text
    kk: Text | None = None
    name: Text | None = None
    birth_date: date | None = None


class Benefit(msgspec.Struct):
    kind: Literal["cash", "food", "goods", "service", "capital"]
    amount: Whole
    quantity: Annotated[float, Meta(ge=0)] | None = None
    unit: Text | None = None


class Payout(msgspec.Struct):
    payout_id: PayoutId
    revision: Whole
    programme: Text
    covers: Covers
    recipient: Recipient
    benefit: Benefit
    region: Text
    tranche: Text | None = None
    component: Text | None = None
    channel: Text | None = None


class Ended(msgspec.Struct):
    payout_id: PayoutId
    revision: Whole
    reason: Text


class SourceComplete(msgspec.Struct):
    kind: Literal["payouts", "beneficiaries"]
    through: date
    programme: Text | None = None


class Envelope(msgspec.Struct, kw_only=True, tag_field="type"):
    specversion: Literal["1.0"]
    id: Identifier
    source: Text
    time: Time
    subject: Text | None = None
    datacontenttype: Text | None = None
    dataschema: Text | None = None


class Planned(Envelope, tag="tepat.payout.planned.v1"):
    rank = PLANNED
    data: Payout


class Disbursed(Envelope, tag="tepat.payout.disbursed.v1"):
    rank = DISBURSED
    data: Payout


class Cancelled(Envelope, tag="tepat.payout.cancelled.v1"):
    rank = CANCELLED
    data: Ended


class Returned(Envelope, tag="tepat.payout.returned.v1"):
    rank = RETURNED
    data: Ended


class Complete(Envelope, tag="tepat.source.complete.v1"):
    data: SourceComplete


class Door:
    """Admits records. Creates the file ``began`` at the first."""

    def __init__(self, work: Mapping[str, Any]) -> None:
        self._decode = msgspec.json.Decoder(Planned | Disbursed | Cancelled | Returned | Complete).decode
        self._source = f"urn:tepat:agency:{work['agency']}"
        self._secret = bytes.fromhex(work["secret"])
        self._provinces, self._regions = frozenset(work["provinces"]), frozenset(work["regions"])
        self._programmes = frozenset(work["programmes"])
        self._began: Path | None = Path(work["began"])

    def admit(self, value: bytes | None) -> dict[str, Any] | None:
        """The payout in a record as JSON can carry it; None for an event that tells of none. Raises Refused."""
        if self._began:
            with suppress(FileExistsError):  # another process of the same application
                self._began.touch(exist_ok=False)
            self._began = None
        if not value or len(value) > LARGEST:
            raise Refused("malformed")
        try:
            event = self._decode(value)
            time = datetime.fromisoformat(event.time.upper()).timestamp()
        except msgspec.ValidationError as error:
            of_no_such_type = str(error).startswith("Invalid value") and str(error).endswith("at `$.type`")
            raise Refused("unknown_type" if of_no_such_type else f"schema {error}") from None
        except (msgspec.DecodeError, ValueError):
            raise Refused("malformed") from None
        if event.source != self._source:
            raise Refused("source_mismatch")
        if isinstance(event, Complete):
            if event.data.programme is not None and event.data.programme not in self._programmes:
                raise Refused("programme_unknown /data/programme")
            return None
        data = event.data
        told = {"id": data.payout_id, "order": (data.revision, event.rank, time, event.id)}
        if isinstance(data, Ended):
            return told
        return told | self._judged(data)

    def _judged(self, data: Payout) -> dict[str, Any]:
        nik, kk, covers = data.recipient.nik, data.recipient.kk, data.covers
        if not (self._numbered(nik) and _born_on_a_day(nik)):
            raise Refused("nik_invalid /data/recipient/nik")
        if kk is not None and not self._numbered(kk):
            raise Refused("kk_invalid /data/recipient/kk")
        if covers.last < covers.first:
            raise Refused("covers_inverted /data/covers")
        if data.programme not in self._programmes:
            raise Refused("programme_unknown /data/programme")
        if data.region not in self._regions:
            raise Refused(f"{'region_unknown' if REGION.fullmatch(data.region) else 'schema'} /data/region")
        return {
            "person": self._pseudonym(f"nik:{nik}"),
            "household": self._pseudonym(f"alone:{nik}" if kk is None else f"kk:{kk}"),
            "programme": data.programme,
            "from": covers.first.isoformat(),
            "to": covers.last.isoformat(),
            "amount": data.benefit.amount,
        }

    def _numbered(self, number: str) -> bool:
        """What NIK and KK have in common: 16 digits, a province that exists, a serial that is not 0000."""
        return NUMBER.fullmatch(number) is not None and number[:2] in self._provinces and number[12:] != "0000"

    def _pseudonym(self, name: str) -> str:
        return hmac.digest(self._secret, name.encode(), hashlib.sha256)[:16].hex()


def _born_on_a_day(nik: str) -> bool:
    """Day (women: and 40) and month make a date; 2000 stands for the years of no known century."""
    day, month, year = int(nik[6:8]), int(nik[8:10]), 2000 + int(nik[10:12])
    return 1 <= month <= 12 and 1 <= (day - 40 if day > 40 else day) <= calendar.monthrange(year, month)[1]
