"""What notifications decides: who hears what in which words' language, when, and how often it is tried.

No I/O, and no clock of its own.

Invariant: a notice is tried again only where it is certain that it was not sent.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from enum import StrEnum
from typing import Any, Final, Literal, NamedTuple, TypeAlias
from zoneinfo import ZoneInfo

from tepat_contracts.policy import Named, Policy, PolicyIndex, notice_routes

from tepat_notifications.routing import Directory, recipient

Kind: TypeAlias = Literal[
    "overlaps", "digest", "rejections",  # to agencies, where no route of the policy names what they tell of
    "overlap", "case", "finding", "report", "suspect", "summary",  # by the policy's routes
]  # fmt: skip
Fault: TypeAlias = Literal["channel", "recipient"]
Language: TypeAlias = Literal["id", "en"]

VERDICT: Final[Mapping[str, str]] = {"overlaps": "exclusive", "digest": "review"}
"""Of what verdict a kind of notice tells news."""
ORDER: Final = ("exclusive", "preferred", "review", "again", "changed", "cleared")
"""What a notice may say of an overlap, in the order in which it lists them; *preferred* is an exclusive one of which
the rule lets one payout go."""
LANGUAGES: Final[tuple[Language, ...]] = ("id", "en")
DIGEST_AT: Final = time(7)
RETRY_AFTER: Final = tuple(timedelta(seconds=s) for s in (10, 60, 300, 1_800, 7_200))
"""Between the tries of a notice that was refused; then it is given up."""
SPREAD: Final = 0.25
"""By how much of it a wait may be longer, so that what failed together is not tried together."""


class State(StrEnum):
    """Where a notice stands; *delivered* and *read* are what a gateway reports of one that was sent."""

    QUEUED = "queued"
    SENDING = "sending"
    SENT = "sent"
    DELIVERED = "delivered"
    READ = "read"
    FAILED = "failed"
    DOUBTFUL = "doubtful"
    SKIPPED = "skipped"


HANDED_OVER: Final = (State.SENT, State.DELIVERED, State.READ)
"""States of notices that are certain to have gone out."""


class Outcome(NamedTuple):
    """How one try of a notice went: sent; failed, which is certain; or doubtful, where nobody can know.

    ``fault``: what was wrong, as far as it is known: the channel, whatever the notice; or this recipient, whatever the
    channel does next. ``again_after``: seconds the other side asked to wait. ``message_id``: the gateway's.
    """

    state: Literal[State.SENT, State.FAILED, State.DOUBTFUL]
    reason: str | None = None
    fault: Fault | None = None
    again_after: float | None = None
    message_id: str | None = None


class Payout(NamedTuple):
    """One of an overlap's two, as far as its rule's preference goes; ``state`` none where it is not known."""

    agency: str
    programme: str | None
    state: str | None = None


class Advice(NamedTuple):
    """Which programme of an overlap goes first, and which waits. ``alone``: its reader pays the waiting one alone."""

    goes: str
    waits: str
    alone: bool


@dataclass(frozen=True, slots=True)
class Province:
    """What the policy says of those who are told: names, contacts, and the hour of the digests.

    ``agencies`` and ``contacts`` are those of officers too, by the names that ``routing.recipient`` gives them.
    """

    agencies: Mapping[str, str]
    contacts: Mapping[str, Mapping[str, str]]
    programmes: Mapping[str, Named]
    regions: Mapping[str, str]
    zone: ZoneInfo
    digest_at: time
    directory: Directory
    preferred: Mapping[str, str]
    """The programme a rule lets go first, by the rule's id."""
    notices_kept: str
    """How long, as a period of the policy's `retention`."""

    def languages(self, agency: str) -> tuple[Language, ...]:
        """The languages an agency is written in: the one its contact names, else Indonesian and then English."""
        wanted = self.contacts.get(agency, {}).get("language")
        return tuple(each for each in LANGUAGES if each == wanted) or LANGUAGES

    def advice(self, reader: str, rule: str | None, a: Payout, b: Payout) -> Advice | None:
        """What the rule of an exclusive overlap says of which payout may go, as distribution's clearances have it: the
        preferred programme's while the other is only planned. None where it prefers neither, or is gone.
        """
        for goes, waits in ((a, b), (b, a)):
            if goes.programme is None or waits.programme is None or goes.programme == waits.programme:
                continue
            if self.preferred.get(rule or "") == goes.programme and waits.state in (None, "planned"):
                return Advice(goes.programme, waits.programme, reader == waits.agency != goes.agency)
        return None

    def next_digest(self, now: datetime) -> datetime:
        """When the next digests are due, always after ``now``."""
        local = now.astimezone(self.zone)
        due = local.replace(hour=self.digest_at.hour, minute=self.digest_at.minute, second=0, microsecond=0)
        return due if due > local else due + timedelta(days=1)


def province(policy: Policy) -> Province:
    """What a policy says of those who are told.

    ``routes.digest_at``, "HH:MM" in the policy's time zone, is the hour of the digests; 07:00 where it says
    nothing that can be read as one.
    """
    routes = notice_routes(policy.routes)
    officers = {
        recipient(group, officer): officer for group, members in routes.recipients.items() for officer in members
    }
    return Province(
        agencies={agency.id: agency.name for agency in policy.agencies}
        | {name: officer.name for name, officer in officers.items()},
        contacts={agency.id: agency.contact for agency in policy.agencies}
        | {
            name: officer.contact | ({"language": officer.language} if officer.language else {})
            for name, officer in officers.items()
        },
        programmes={programme.code: programme.name for programme in policy.programmes},
        regions=PolicyIndex(policy).regions,
        zone=ZoneInfo(policy.time_zone),
        digest_at=_hour(policy.routes),
        directory=Directory(
            routes,
            {agency.id for agency in policy.agencies},
            [agency.id for agency in policy.agencies if "merge" in agency.rights],
            policy.time_zone,
        ),
        preferred={rule.id: rule.prefer for rule in policy.overlap_rules if rule.prefer is not None},
        notices_kept=policy.retention.notices,
    )


def _hour(routes: Any) -> time:
    told = routes.get("digest_at") if isinstance(routes, dict) else None
    try:
        return time.fromisoformat(told).replace(tzinfo=None) if isinstance(told, str) else DIGEST_AT
    except ValueError:
        return DIGEST_AT


def retry_at(attempts: int, now: datetime, chance: float = 0.0) -> datetime | None:
    """When a notice refused after ``attempts`` tries (from 1) is tried again; none: it is given up.

    ``chance``, from 0 up to 1, makes the wait longer by up to ``SPREAD`` of it.
    """
    return now + RETRY_AFTER[attempts - 1] * (1 + SPREAD * chance) if attempts <= len(RETRY_AFTER) else None
