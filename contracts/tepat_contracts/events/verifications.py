"""What officers found when they went and looked."""

from typing import Annotated, Literal, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from .fields import STRICT, Date, Free, Identifier, Nik, Region, Revision, Sha256, Text
from .inbound import Complete, Envelope

VERIFICATION_RECORDED = "tepat.verification.recorded.v1"


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


class VerificationEvent(Envelope):
    __pydantic_config__ = STRICT  # type: ignore[misc]
    type: Literal["tepat.verification.recorded.v1"]
    data: Verification


#: Everything that may stand on a verifications topic.
VerificationsEvent = Annotated[VerificationEvent | Complete, Field(discriminator="type")]
