"""Reports from below: who was missed, what happened, and what became of it."""

from typing import Annotated, Literal, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from .fields import STRICT, Contact, Count, Date, Identifier, Nik, Region, Revision, Text
from .inbound import Complete, Envelope

REPORT_FILED = "tepat.report.filed.v1"
REPORT_ANSWERED = "tepat.report.answered.v1"

ReportKind = Literal[
    "unserved_poor", "school_dropout", "neglected_child", "disability", "fire", "flood", "landslide", "other"
]


class Filer(TypedDict):
    """Who files a report; a citizen may stay unnamed."""

    role: Literal["rt", "rw", "lurah", "kades", "lsm", "business", "citizen", "wksbm"]
    name: NotRequired[Text | None]
    contact: NotRequired[Contact]


class Reported(TypedDict):
    """A person the report is about."""

    nik: NotRequired[Nik | None]
    name: Text
    birth_date: NotRequired[Date | None]
    note: NotRequired[Text | None]


class Report(TypedDict):
    """What was seen, where, and whom it concerns."""

    report_id: Identifier
    revision: Revision
    filed_by: Filer
    kind: ReportKind
    region: Region
    people: list[Reported]
    households: NotRequired[Count | None]
    happened_on: NotRequired[Date | None]
    text: Text


class Answer(TypedDict):
    """What became of a report.

    `report_id` is the one it was filed under: of a report of one's own, or else of the first filed under that id;
    `<agency>/<report_id>` names the report of an agency where several use the id.
    """

    report_id: Identifier
    revision: Revision
    outcome: Literal["acknowledged", "helped_by_neighbours", "referred", "helped", "declined"]
    to_agency: NotRequired[Text | None]
    reason: NotRequired[Text | None]


class ReportEvent(Envelope):
    __pydantic_config__ = STRICT  # type: ignore[misc]
    type: Literal["tepat.report.filed.v1"]
    data: Report


class AnswerEvent(Envelope):
    __pydantic_config__ = STRICT  # type: ignore[misc]
    type: Literal["tepat.report.answered.v1"]
    data: Answer


#: Everything that may stand on a reports topic.
ReportsEvent = Annotated[ReportEvent | AnswerEvent | Complete, Field(discriminator="type")]
