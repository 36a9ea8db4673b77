"""Who is told of a cause, by which channels, from when on, and who next where nobody acknowledges it.

No I/O, and no clock of its own.

Invariants
- Who is told depends on the cause and the policy alone. Nobody stands twice in a plan: of the routes that reach a
  recipient the first counts, of the levels the lowest.
- A level at which there is nobody is passed: those above take its place.
- Nobody is told in quiet hours, by the clocks of where they are.
"""

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from typing import Final, Literal, NamedTuple, TypeAlias
from zoneinfo import ZoneInfo

from tepat_contracts import regions
from tepat_contracts.policy import (
    CONCERNED,
    Addressees,
    NoticeKind,
    NoticeLevel,
    NoticeRoute,
    NoticeRoutes,
    Officer,
)

Moment: TypeAlias = Literal["now", "digest"]


class Cause(NamedTuple):
    """What routes look at: what is told of, as far as it says who is to hear of it."""

    kind: NoticeKind
    verdict: str | None
    amount: int | None
    programmes: Sequence[str]
    agencies: Sequence[str]
    region: str | None


class Terms(NamedTuple):
    """How a recipient is told: `channels` in order of preference, `language` none for that of the contact; quiet hours
    by the clocks of `zone`, and so many notices a day.
    """

    channels: tuple[str, ...]
    language: str | None
    zone: str
    quiet_from: time | None
    quiet_to: time | None
    at_most: int | None


class Hearer(NamedTuple):
    """Somebody who is to hear of a cause."""

    recipient: str
    terms: Terms
    moment: Moment


@dataclass(frozen=True, slots=True)
class Plan:
    """Who is told of a cause at once or in a digest, and, where they have `within` to acknowledge it, who next."""

    levels: tuple[tuple[Hearer, ...], ...] = ()
    within: timedelta | None = None


def recipient(group: str, officer: Officer) -> str:
    """An officer's name among all recipients; an agency's is its id, which has no `/`."""
    return f"{group}/{officer.name}"


@dataclass(frozen=True)
class Directory:
    """A policy's routes for notices, ready for look-ups. `zone` is the policy's: by it go those of no known place."""

    routes: NoticeRoutes
    agencies: AbstractSet[str]
    mergers: Sequence[str]
    zone: str
    kinds: AbstractSet[str] = field(init=False)
    _officers: Mapping[tuple[str, str | None], Sequence[Officer]] = field(init=False)

    def __post_init__(self) -> None:
        found: dict[tuple[str, str | None], list[Officer]] = {}
        for group, officers in self.routes.recipients.items():
            for officer in officers:
                found.setdefault((group, officer.region), []).append(officer)
        object.__setattr__(self, "_officers", found)
        object.__setattr__(self, "kinds", {kind for route in self.routes.notices for kind in route.kinds})

    def plan(self, cause: Cause) -> Plan:
        """Who is told of a cause, level by level."""
        matching = [route for route in self.routes.notices if _concerns(route, cause)]
        climbing = next((route for route in matching if route.acknowledge is not None), None)
        known: set[str] = set()
        levels = [[each for route in matching for each in self._hearers(route, None, cause, known)]]
        if climbing is None or climbing.acknowledge is None:
            return Plan((tuple(levels[0]),) if levels[0] else ())
        levels += [list(self._hearers(climbing, level, cause, known)) for level in climbing.acknowledge.then]
        return Plan(tuple(tuple(level) for level in levels if level), climbing.acknowledge.within)

    def _hearers(
        self, route: NoticeRoute, level: NoticeLevel | None, cause: Cause, known: set[str]
    ) -> Iterator[Hearer]:
        """Those whom a route, or a level above it, tells, but those `known` already; what climbs is told at once."""
        to, channels, language = route.to, route.channel, route.language
        if level is not None:
            to, channels, language = level.to, level.channel or channels, level.language or language
        digest = cause.kind == "rejection" or (route.when == "digest" and level is None)
        for name, region in self._addressed(to, cause):
            if name not in known:
                known.add(name)
                terms = Terms(
                    tuple(channels), language, regions.time_zone(region or "") or self.zone,
                    time.fromisoformat(route.quiet.from_) if route.quiet else None,
                    time.fromisoformat(route.quiet.to) if route.quiet else None,
                    route.at_most_a_day,
                )  # fmt: skip
                yield Hearer(name, terms, "digest" if digest else "now")

    def _addressed(self, to: Addressees, cause: Cause) -> Iterator[tuple[str, str | None]]:
        """Recipients, each with the region by whose clocks it goes: an officer's own, for an agency the cause's."""
        if to.officers is not None:
            areas = [*regions.ancestors(cause.region), cause.region] if cause.region is not None else []
            for area in (None, *areas):
                for officer in self._officers.get((to.officers, area), ()):
                    yield recipient(to.officers, officer), officer.region or cause.region
            return
        concerned = self.mergers if cause.kind == "suspect" else cause.agencies
        for agency in concerned if to.agency == CONCERNED else (to.agency,):
            if agency in self.agencies:
                yield str(agency), cause.region


def _concerns(route: NoticeRoute, cause: Cause) -> bool:
    return (
        cause.kind in route.kinds
        and (not route.verdicts or cause.verdict in route.verdicts)
        and (route.at_least is None or (cause.amount is not None and cause.amount >= route.at_least))
        and (not route.programmes or not set(route.programmes).isdisjoint(cause.programmes))
        and (route.region is None or (cause.region is not None and regions.holds([route.region], cause.region)))
    )


# -- when ------------------------------------------------------------------------------------------

_DAY: Final = timedelta(days=1)


def next_hour(hour: time, zone: str, now: datetime) -> datetime:
    """The next time the clocks of a zone show that hour, always after `now`."""
    local = now.astimezone(ZoneInfo(zone))
    due = local.replace(hour=hour.hour, minute=hour.minute, second=0, microsecond=0)
    return due if due > local else due + _DAY


def after_quiet(terms: Terms, at: datetime) -> datetime:
    """`at`, or the end of the quiet hours that it falls into."""
    if terms.quiet_from is None or terms.quiet_to is None:
        return at
    local = at.astimezone(ZoneInfo(terms.zone)).time()
    over_midnight = terms.quiet_to < terms.quiet_from
    after, before = local >= terms.quiet_from, local < terms.quiet_to
    quiet = (after or before) if over_midnight else (after and before)
    return next_hour(terms.quiet_to, terms.zone, at) if quiet else at


def goes_at(terms: Terms, at: datetime, told_today: int, digest_at: time) -> datetime:
    """When a notice that is due may go to who was told `told_today` notices by now on their day: `at`, after the quiet
    hours, or, where that is all they are to be told, at the next day's hour of digests.
    """
    if terms.at_most is None or told_today < terms.at_most:
        return after_quiet(terms, at)
    midnight = next_hour(time(), terms.zone, at)
    return after_quiet(terms, midnight.replace(hour=digest_at.hour, minute=digest_at.minute))
