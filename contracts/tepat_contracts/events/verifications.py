"""Whom officers are to visit, what they found when they went and looked, and what is objected to it."""

from typing import Annotated, Literal, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from .fields import STRICT, Date, Free, Identifier, Nik, Region, Revision, Sha256, Text
from .inbound import Complete, Envelope
from .reports import Filer

VERIFICATION_LISTED = "tepat.verification.listed.v1"
VERIFICATION_RECORDED = "tepat.verification.recorded.v1"
OBJECTION_FILED = "tepat.objection.filed.v1"
VILLAGE_PATTERN = r"^[0-9]{2}\.[0-9]{2}\.[0-9]{2}\.[0-9]{4}$"

#: The code of a kelurahan or desa.
Village = Annotated[str, Field(pattern=VILLAGE_PATTERN)]


class Listed(TypedDict):
    """One person on the list of a batch, to be visited for one programme or for any; once a batch."""

    batch: Identifier
    revision: Revision
    nik: Nik
    programme: NotRequired[Text | None]
    region: Region
    listed_on: Date


class Evidence(TypedDict):
    """A photo or letter kept by the agency, known here by its SHA-256 in hexadecimal."""

    kind: Literal["photo", "letter"]
    sha256: Sha256


class Verification(TypedDict):
    """One visit's outcome for one person, for one programme or for any."""

    verification_id: Identifier
    revision: Revision
    batch: Identifier
    nik: Nik
    programme: NotRequired[Text | None]
    outcome: Literal["confirmed", "rejected", "moved", "deceased", "not_found"]
    reason: NotRequired[Text | None]
    verified_on: Date
    officer: Text
    region: Region
    answers: Free
    evidence: NotRequired[list[Evidence] | None]


class Photo(TypedDict):
    """A photo of the house kept by the agency, known here by its SHA-256 in hexadecimal."""

    kind: Literal["photo"]
    sha256: Sha256


class Coordinates(TypedDict):
    """Where the house stands, in degrees (WGS 84)."""

    lat: Annotated[float, Field(ge=-90, le=90, allow_inf_nan=False)]
    lon: Annotated[float, Field(ge=-180, le=180, allow_inf_nan=False)]


class Objection(TypedDict):
    """Somebody of the same village says (*sanggah*) that a programme leaves a person out, or in, wrongly.

    It needs a photo of the house and where it stands, and lapses unless an officer goes and looks within 14 days.
    """

    objection_id: Identifier
    revision: Revision
    nik: Nik
    programme: Text
    grounds: Literal["wrongly_excluded", "wrongly_included"]
    region: Village
    filed_on: Date
    evidence: Annotated[list[Photo], Field(min_length=1)]
    coordinates: Coordinates
    filed_by: Filer


class ListedEvent(Envelope):
    __pydantic_config__ = STRICT  # type: ignore[misc]
    type: Literal["tepat.verification.listed.v1"]
    data: Listed


class VerificationEvent(Envelope):
    __pydantic_config__ = STRICT  # type: ignore[misc]
    type: Literal["tepat.verification.recorded.v1"]
    data: Verification


class ObjectionEvent(Envelope):
    __pydantic_config__ = STRICT  # type: ignore[misc]
    type: Literal["tepat.objection.filed.v1"]
    data: Objection


#: Everything that may stand on a verifications topic.
VerificationsEvent = Annotated[VerificationEvent | ListedEvent | ObjectionEvent | Complete, Field(discriminator="type")]
