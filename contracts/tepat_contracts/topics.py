"""Topics as code: name, key, partitions, retention, who may write and who may read.

Invariants:
- an agency writes to its own `agency.<id>.*` inbound topics and reads its own receipts and clearances: the access
  rules are derived from the same lines that declare the topics; of services only those write there through which
  people say something in an agency's name, and nobody but the agency its payouts and visits;
- `policy.v1` has one partition, so that the last version written is one and the same for every reader, and what a
  service tells of its progress has one, for it has one key;
- timestamps are the broker's, or an event with an old time would expire at once;
- a service may read back what it told itself: a new database of it begins so.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final, Literal, Protocol

from .envelope import AGENCY_ID_PATTERN

DAY_MS: Final = 86_400_000
#: Partitions of a topic unless the cluster sets another number; the embedded stack has 6.
PARTITIONS: Final = 12
#: Records up to 2 MiB of value, with room for key, headers and the batch's own bytes.
MAX_MESSAGE_BYTES: Final = 2 * 1_048_576 + 65_536

SERVICES: Final = ("registry", "eligibility", "distribution", "notifications")
#: Who writes policy.v1: the provincial IT's own principal.
POLICY_WRITER: Final = "policy"
OPERATORS: Final = "operators"


class Kind(StrEnum):
    """The four kinds of topic an agency writes."""

    PAYOUTS = "payouts"
    BENEFICIARIES = "beneficiaries"
    REPORTS = "reports"
    VERIFICATIONS = "verifications"


#: The service that owns the records of each kind.
OWNER: Final[dict[Kind, str]] = {
    Kind.BENEFICIARIES: "registry",
    Kind.REPORTS: "registry",
    Kind.VERIFICATIONS: "eligibility",
    Kind.PAYOUTS: "distribution",
}


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic as the cluster must hold it; `{agency}` in the name stands for each agency of the policy.

    `retention_ms` is None for compacted topics. `writers` and `readers` name principals: services by their name,
    an agency as `agency.<id>`. `watchers` may ask where it ends, and read nothing.
    """

    name: str
    key: str
    cleanup: Literal["delete", "compact"]
    writers: tuple[str, ...]
    readers: tuple[str, ...]
    retention_ms: int | None = None
    partitions: int = PARTITIONS
    purpose: str = ""
    watchers: tuple[str, ...] = ()

    def config(self) -> dict[str, str]:
        """The topic's settings as Kafka's admin interface takes them."""
        settings = {
            "cleanup.policy": self.cleanup,
            "max.message.bytes": str(MAX_MESSAGE_BYTES),
            "message.timestamp.type": "LogAppendTime",
        }
        if self.cleanup == "compact":
            # Readers a day behind still see each value, and a closed segment a day keeps the cleaner at work.
            settings |= {
                "min.compaction.lag.ms": str(DAY_MS),
                "segment.ms": str(DAY_MS),
                "min.cleanable.dirty.ratio": "0.1",
                "delete.retention.ms": str(7 * DAY_MS),
            }
        else:
            settings["retention.ms"] = str(self.retention_ms)
        return settings

    def of(self, agency: str) -> "Topic":
        """This topic for one agency."""
        return replace(
            self,
            name=self.name.format(agency=agency),
            writers=tuple(w.format(agency=agency) for w in self.writers),
            readers=tuple(r.format(agency=agency) for r in self.readers),
        )


@dataclass(frozen=True, slots=True)
class Acl:
    """One permission on one topic."""

    principal: str
    operation: Literal["WRITE", "READ", "DESCRIBE"]
    topic: str


_AGENCY: Final = "agency.{agency}"
#: Services through which people say something in an agency's name: who is who, who is forgotten, what is referred.
_IN_ITS_NAME: Final = {Kind.BENEFICIARIES: ("registry",), Kind.REPORTS: ("distribution",)}
#: Findings wait until the owners have told of what stands there.
_WATCHERS: Final = {Kind.BENEFICIARIES: ("distribution",), Kind.VERIFICATIONS: ("distribution",)}

POLICY: Final = Topic(
    "policy.v1",
    key="version",
    cleanup="compact",
    partitions=1,
    writers=(POLICY_WRITER,),
    readers=SERVICES,
    purpose="Every version of the policy; the last written is in force.",
)

INBOUND: Final[dict[Kind, Topic]] = {
    kind: Topic(
        f"agency.{{agency}}.{kind}.v1",
        key="free; NIK or payout id advised",
        cleanup="delete",
        retention_ms=30 * DAY_MS,
        writers=(_AGENCY, *_IN_ITS_NAME.get(kind, ())),
        # Distribution is the owner of payouts alone; the operators' command reads raw topics to check the outcome.
        readers=(OWNER[kind], OPERATORS),
        purpose=f"What an agency tells of its {kind}.",
        watchers=_WATCHERS.get(kind, ()),
    )
    for kind in Kind
}

RECEIPTS: Final = Topic(
    "agency.{agency}.receipts.v1",
    key="topic-partition-offset",
    cleanup="delete",
    retention_ms=30 * DAY_MS,
    writers=("registry", "eligibility", "distribution"),
    readers=(_AGENCY, "notifications", OPERATORS),
    purpose="What was taken of an agency's records, and what was not, why and where.",
)
CLEARANCES: Final = Topic(
    "agency.{agency}.clearances.v1",
    key="payout id",
    cleanup="compact",
    writers=("distribution",),
    readers=(_AGENCY, "distribution", OPERATORS),
    purpose="Whether a planned payout is clear, held or not known.",
)

OVERLAPS: Final = "distribution.overlaps.v1"

_OWN: Final[tuple[Topic, ...]] = (
    POLICY,
    Topic(
        "registry.persons.v1",
        key="person",
        cleanup="compact",
        writers=("registry",),
        readers=("registry", "eligibility", "distribution"),
        purpose="What each NIK stands for, its memberships, and what criteria need, under pseudonyms.",
    ),
    Topic(
        "registry.households.v1",
        key="household",
        cleanup="compact",
        writers=("registry",),
        readers=("registry", "eligibility", "distribution"),
        purpose="The KK at the end of each renewed KK's chain, under pseudonyms.",
    ),
    Topic(
        "registry.reports.v1",
        key="report id",
        cleanup="compact",
        writers=("registry",),
        readers=("registry", "distribution", "notifications"),
        purpose="Where each report from below stands; no names, no free text.",
    ),
    Topic(
        "registry.suspects.v1",
        key="pair",
        cleanup="compact",
        writers=("registry",),
        readers=("registry", "notifications", OPERATORS),
        purpose="Possible duplicate persons and circles of merges; how well fields agree, never their values.",
    ),
    Topic(
        "eligibility.decisions.v1",
        key="programme + person or household, by the programme's unit",
        cleanup="compact",
        writers=("eligibility",),
        readers=("eligibility", "distribution", "notifications"),
        purpose="Who meets a programme's criteria, and each criterion's outcome.",
    ),
    Topic(
        "eligibility.rankings.v1",
        key="round|part",
        cleanup="compact",
        writers=("eligibility",),
        readers=("eligibility", "distribution"),
        purpose="Who comes first in each round where there is not enough for all, under pseudonyms.",
    ),
    Topic(
        OVERLAPS,
        key="overlap id",
        cleanup="compact",
        writers=("distribution",),
        readers=("distribution", "notifications", OPERATORS),
        purpose="Payouts that overlap; folding to the greatest revision gives what holds now.",
    ),
    Topic(
        "distribution.cases.v1",
        key="overlap id",
        cleanup="compact",
        writers=("distribution",),
        readers=("distribution", "notifications", OPERATORS),
        purpose="What people decided of an overlap.",
    ),
    Topic(
        "distribution.aid.v1",
        key="household",
        cleanup="compact",
        writers=("distribution",),
        readers=("registry", "distribution", OPERATORS),
        purpose="What a household receives: programme, period, amount, state.",
    ),
    Topic(
        "distribution.rounds.v1",
        key="round|name, or held|programme|region|day",
        cleanup="compact",
        writers=("distribution",),
        readers=("distribution", OPERATORS),
        purpose="How far each round is, by area, and rounds that communities report; nobody's pseudonym.",
    ),
    Topic(
        "distribution.turns.v1",
        key="round|part",
        cleanup="compact",
        writers=("distribution",),
        readers=("eligibility",),
        purpose="Who had their turn in a round otherwise than its list said; the next list rests on it.",
    ),
    Topic(
        "distribution.findings.v1",
        key="finding id",
        cleanup="compact",
        writers=("distribution",),
        readers=("distribution", "notifications"),
        purpose="Paid to a deceased, ineligible or unknown person; caps and rounds that do not add up.",
    ),
    Topic(
        "notifications.deliveries.v1",
        key="delivery id",
        cleanup="delete",
        retention_ms=365 * DAY_MS,
        writers=("notifications",),
        readers=(OPERATORS,),
        purpose="What was sent to whom, and how it went.",
    ),
    *(
        Topic(
            f"{service}.progress.v1",
            key="service",
            cleanup="compact",
            writers=(service,),
            readers=(service, "distribution"),
            partitions=1,
            purpose=f"Up to where {service} has told all that follows from the topics it reads.",
        )
        for service in ("registry", "eligibility")
    ),
    *(
        Topic(
            f"{service}.quarantine.v1",
            key="topic-partition-offset",
            cleanup="delete",
            retention_ms=90 * DAY_MS,
            writers=(service,),
            readers=(OPERATORS,),
            purpose=f"What {service} could not take; the bytes stay in its database.",
        )
        for service in SERVICES
    ),
)


class _Agency(Protocol):
    @property
    def id(self) -> str: ...
    @property
    def rights(self) -> Sequence[str]: ...


class _HasAgencies(Protocol):
    @property
    def agencies(self) -> Iterable[_Agency]: ...


def own(partitions: int = PARTITIONS) -> list[Topic]:
    """Our own topics, with the cluster's number of partitions; those of one partition keep it."""
    return [topic if topic.partitions == 1 else replace(topic, partitions=partitions) for topic in _OWN]


def of_agency(agency: str, partitions: int = PARTITIONS) -> list[Topic]:
    """The six topics of one agency."""
    return [replace(t.of(agency), partitions=partitions) for t in (*INBOUND.values(), RECEIPTS, CLEARANCES)]


def for_policy(policy: _HasAgencies, partitions: int = PARTITIONS) -> list[Topic]:
    """Every topic a policy asks for: ours and those of its agencies.

    An agency with the right `read` may read the overlaps.
    """
    reading = tuple(_AGENCY.format(agency=agency.id) for agency in policy.agencies if "read" in agency.rights)
    ours = [
        replace(topic, readers=(*topic.readers, *reading)) if topic.name == OVERLAPS else topic
        for topic in own(partitions)
    ]
    return ours + [t for agency in policy.agencies for t in of_agency(agency.id, partitions)]


def acls(topics: Iterable[Topic]) -> Iterator[Acl]:
    """The permissions that let each principal do what the topics say, and nothing more."""
    for topic in topics:
        for principal in topic.writers:
            yield Acl(principal, "WRITE", topic.name)
            yield Acl(principal, "DESCRIBE", topic.name)
        for principal in topic.readers:
            yield Acl(principal, "READ", topic.name)
            yield Acl(principal, "DESCRIBE", topic.name)
        for principal in topic.watchers:
            yield Acl(principal, "DESCRIBE", topic.name)


def inbound_name(agency: str, kind: Kind) -> str:
    """The topic on which an agency sends events of a kind."""
    return f"agency.{agency}.{kind}.v1"


def inbound_pattern(kind: Kind) -> str:
    """A regular expression that matches the inbound topics of a kind, of any agency, whole and nothing else."""
    return rf"^agency\.{AGENCY_ID_PATTERN}\.{kind}\.v1$"


def is_inbound(name: str, *kinds: Kind) -> bool:
    """Whether agencies send events of one of these kinds on a topic."""
    return any(re.fullmatch(inbound_pattern(kind), name) for kind in kinds)


def progress_name(service: str) -> str:
    """The topic on which a service tells up to where it has told everything."""
    return f"{service}.progress.v1"


def receipts_name(agency: str) -> str:
    """The topic on which an agency reads what became of its records."""
    return f"agency.{agency}.receipts.v1"


def clearances_name(agency: str) -> str:
    """The topic on which an agency reads whether its planned payouts are clear."""
    return f"agency.{agency}.clearances.v1"


_AGENCY_TOPIC: Final = re.compile(rf"agency\.({AGENCY_ID_PATTERN})\.[a-z]+\.v[0-9]+")


def agency_of(topic: str) -> str:
    """The agency whose topic this is. Raises ValueError for any other topic."""
    match = _AGENCY_TOPIC.fullmatch(topic)
    if match is None:
        raise ValueError("not the topic of an agency")
    return match[1]
