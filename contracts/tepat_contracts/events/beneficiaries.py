"""What agencies tell of persons, their households, their merges, card renewals, erasures, and of institutions.

Membership facts come from `tepat.person.recorded.v1` alone. Merges, unmerges, renewals and erasures are for agencies
with the policy's right `merge`.
"""

from typing import Annotated, Literal, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from tepat_contracts.codes import PPKS

from .fields import STRICT, Contact, Date, Identifier, Kk, Nik, Number, Region, Revision, Text
from .inbound import Complete, Envelope

PERSON_RECORDED = "tepat.person.recorded.v1"
PERSONS_MERGED = "tepat.persons.merged.v1"
PERSONS_UNMERGED = "tepat.persons.unmerged.v1"
HOUSEHOLD_RENEWED = "tepat.household.renewed.v1"
PERSON_ERASED = "tepat.person.erased.v1"
INSTITUTION_RECORDED = "tepat.institution.recorded.v1"

#: The code of one of the 26 categories of Permensos 8/2012.
Ppks = Annotated[str, Field(pattern=f"^({'|'.join(PPKS)})$", json_schema_extra={"enum": list(PPKS)})]


class Attributes(TypedDict):
    """What criteria ask of a person; further attributes are the sender's own and not kept."""

    decile: NotRequired[Annotated[int, Field(ge=1, le=10)] | None]
    pmt_score: NotRequired[Number | None]
    occupation: NotRequired[Text | None]
    disability: NotRequired[bool | None]
    pregnant: NotRequired[bool | None]
    school_level: NotRequired[Literal["SD", "SMP", "SMA", "none"] | None]
    orphan: NotRequired[bool | None]
    rights_violation: NotRequired[bool | None]
    ppks: NotRequired[list[Ppks] | None]


class Person(TypedDict):
    """A person as the agency knows them, and the household they belong to from `since` to `until`.

    A fact whose `until` lies before its `since` holds on no day: so an agency withdraws one.
    """

    nik: Nik
    revision: Revision
    name: Text
    sex: Literal["L", "P"]
    birth_date: Date
    region: Region
    kk: Kk
    since: Date
    until: NotRequired[Date | None]
    relation: NotRequired[Literal["head", "spouse", "child", "parent", "other"] | None]
    deceased_on: NotRequired[Date | None]
    attributes: Attributes


class Merge(TypedDict):
    """Two NIKs are one person."""

    from_nik: Nik
    into_nik: Nik
    revision: Revision
    decided_by: Text
    reason: Text


class Unmerge(TypedDict):
    """What was merged from this NIK is taken back."""

    from_nik: Nik
    revision: Revision
    decided_by: Text
    reason: Text


class Renewal(TypedDict):
    """A family's card got a new number; without `into_kk` it did not, after all."""

    from_kk: Kk
    into_kk: NotRequired[Kk | None]
    revision: Revision
    reason: Text


class Erasure(TypedDict):
    """All that was told of a NIK by events no later than this one is to be forgotten (UU PDP 27/2022)."""

    nik: Nik
    revision: Revision
    decided_by: Text
    reason: Text


class Institution(TypedDict):
    """A source of help from the community (WKSBM, TKSK, PSM, Karang Taruna, LKS, PKK, LPMK, FKK…)."""

    institution_id: Identifier
    kind: Text
    name: Text
    regions: list[Region]
    contact: NotRequired[Contact]
    active: bool
    revision: Revision


class PersonEvent(Envelope):
    __pydantic_config__ = STRICT  # type: ignore[misc]
    type: Literal["tepat.person.recorded.v1"]
    data: Person


class MergeEvent(Envelope):
    __pydantic_config__ = STRICT  # type: ignore[misc]
    type: Literal["tepat.persons.merged.v1"]
    data: Merge


class UnmergeEvent(Envelope):
    __pydantic_config__ = STRICT  # type: ignore[misc]
    type: Literal["tepat.persons.unmerged.v1"]
    data: Unmerge


class RenewalEvent(Envelope):
    __pydantic_config__ = STRICT  # type: ignore[misc]
    type: Literal["tepat.household.renewed.v1"]
    data: Renewal


class ErasureEvent(Envelope):
    __pydantic_config__ = STRICT  # type: ignore[misc]
    type: Literal["tepat.person.erased.v1"]
    data: Erasure


class InstitutionEvent(Envelope):
    __pydantic_config__ = STRICT  # type: ignore[misc]
    type: Literal["tepat.institution.recorded.v1"]
    data: Institution


#: Everything that may stand on a beneficiaries topic.
BeneficiariesEvent = Annotated[
    PersonEvent | MergeEvent | UnmergeEvent | RenewalEvent | ErasureEvent | InstitutionEvent | Complete,
    Field(discriminator="type"),
]
