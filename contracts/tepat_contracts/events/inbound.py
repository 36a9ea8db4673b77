"""What every event of an agency has, whatever its kind, and the one event that any kind's topic takes."""

from typing import Any, Literal, NotRequired

from typing_extensions import TypedDict

from .fields import STRICT, Date, Identifier, Text, Time

SOURCE_COMPLETE = "tepat.source.complete.v1"


class Envelope(TypedDict):
    """The attributes of CloudEvents 1.0 beside `type` and `data`.

    `traceparent` is whatever was sent: the door drops a malformed one, it never refuses for it.
    """

    specversion: Literal["1.0"]
    id: Identifier
    source: Text
    time: Time
    subject: NotRequired[Text | None]
    datacontenttype: NotRequired[Text | None]
    dataschema: NotRequired[Text | None]
    traceparent: NotRequired[Any]


class AnyEvent(Envelope):
    """An envelope whatever its type and data."""

    __pydantic_config__ = STRICT  # type: ignore[misc]
    type: Identifier
    data: Any


class SourceComplete(TypedDict):
    """Everything up to and including `through` has been sent; counts as a sign of life."""

    kind: Literal["payouts", "beneficiaries"]
    programme: NotRequired[Text | None]
    through: Date


class Complete(Envelope):
    __pydantic_config__ = STRICT  # type: ignore[misc]
    type: Literal["tepat.source.complete.v1"]
    data: SourceComplete
