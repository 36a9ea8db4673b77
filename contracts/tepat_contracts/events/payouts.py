"""What agencies tell of the money and goods they give.

A payout is known by its agency and `payout_id`; a higher revision replaces the lower wholly. Cancelled and returned
need to name it and nothing more, and may come before what they end.
"""

from typing import Annotated, Literal, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from .fields import STRICT, Covers, Date, Kk, Nik, PayoutId, Quantity, Region, Revision, Rupiah, Text
from .inbound import Complete, Envelope

PLANNED = "tepat.payout.planned.v1"
DISBURSED = "tepat.payout.disbursed.v1"
CANCELLED = "tepat.payout.cancelled.v1"
RETURNED = "tepat.payout.returned.v1"


class Recipient(TypedDict):
    """Who receives; the KK counts only where the registry knows no household."""

    nik: Nik
    kk: NotRequired[Kk | None]
    name: NotRequired[Text | None]
    birth_date: NotRequired[Date | None]


class Benefit(TypedDict):
    """What is given; goods are valued in rupiah too."""

    kind: Literal["cash", "food", "goods", "service", "capital"]
    amount: Rupiah
    quantity: NotRequired[Quantity | None]
    unit: NotRequired[Text | None]


class Payout(TypedDict):
    """A payout planned or disbursed."""

    payout_id: PayoutId
    revision: Revision
    programme: Text
    covers: Covers
    recipient: Recipient
    benefit: Benefit
    region: Region
    tranche: NotRequired[Text | None]
    component: NotRequired[Text | None]
    channel: NotRequired[Text | None]


class Ended(TypedDict):
    """A payout cancelled or returned: which, and why."""

    payout_id: PayoutId
    revision: Revision
    reason: Text


class PayoutEvent(Envelope):
    __pydantic_config__ = STRICT  # type: ignore[misc]
    type: Literal["tepat.payout.planned.v1", "tepat.payout.disbursed.v1"]
    data: Payout


class EndedEvent(Envelope):
    __pydantic_config__ = STRICT  # type: ignore[misc]
    type: Literal["tepat.payout.cancelled.v1", "tepat.payout.returned.v1"]
    data: Ended


#: Everything that may stand on a payouts topic.
PayoutsEvent = Annotated[PayoutEvent | EndedEvent | Complete, Field(discriminator="type")]
