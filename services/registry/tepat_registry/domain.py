"""Who is one person with whom, and what is known of each NIK (overlap.md, "Person and household").

Invariants
- Everything here depends on the set of facts, never on their order or number.
- Chains and circles are followed in time linear in their length, without recursion.
- Time stands still here: nothing reads a clock, a database or a topic.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import date, datetime, timedelta
from enum import IntEnum
from heapq import heappop, heappush
from typing import Any, Final, NamedTuple, TypeVar, get_args
from uuid import UUID

from tepat_contracts.events.beneficiaries import Attributes
from tepat_contracts.policy import PersonField

R = TypeVar("R")

#: A NIK or a KK number as a whole number: 16 digits of which the first is never 0, so that both orders agree.
Number = int

#: The most facts and aliases announced of one NIK: more is an error of data, and no record may outgrow its topic.
MOST_MEMBERSHIPS: Final = 4_000
MOST_ALIASES: Final = 16_000
#: The last decile of those whom programmes are for.
NEEDY: Final = 4
LAST_DAY: Final = date.max.isoformat()
#: Dots in the code of a kelurahan or desa: people without a NIK are looked for in one.
VILLAGE: Final = 3

#: A NIK in whatever is written, wherever it stands.
NIK_WRITTEN: Final = re.compile(r"(?<!\d)\d{16}(?!\d)")

_ATTRIBUTES: Final = tuple(Attributes.__annotations__)
_OF_PERSON: Final = ("sex", "birth_date", "region", "deceased_on")
_OF_MEMBERSHIP: Final = ("since", "until", "relation", "region")


class Kind(IntEnum):
    """What a number counts: persons or families."""

    NIK = 0
    KK = 1


class Fact(NamedTuple):
    """What an agency says of a NIK from ``since`` on.

    ``person`` and ``household`` are the pseudonyms of NIK and KK, ``data`` is canonical JSON, ``warnings`` are those
    of ``identity.warnings``, `unborn` (the birth date lies after the event's own time) and `name` (it tells nobody
    apart), with spaces between.
    """

    nik: Number
    person: UUID
    agency: str
    since: date
    until: date | None
    household: UUID
    revision: int
    time: datetime
    event_id: str
    data: str
    warnings: str | None
    partition: int
    offset: int
    trace: str


class Link(NamedTuple):
    """A merge of NIKs or a renewal of a card; without ``into_number`` it is taken back."""

    kind: Kind
    from_number: Number
    into_number: Number | None
    revision: int
    time: datetime
    event_id: str
    agency: str
    data: str
    partition: int
    offset: int
    trace: str


class Erasure(NamedTuple):
    """All told of a NIK by events no later than ``time`` is to be forgotten; ``person`` is its pseudonym."""

    nik: Number
    person: UUID
    time: datetime
    agency: str
    event_id: str
    trace: str


class Statement(NamedTuple):
    """Anything else an agency says, known by type and ``about``: an institution, a report, its answer, completeness.

    ``at`` is the broker's: when it stood on its topic.
    """

    agency: str
    type: str
    about: str
    revision: int
    time: datetime
    event_id: str
    data: str
    topic: str
    partition: int
    offset: int
    trace: str
    at: datetime


def key_of_fact(fact: Fact) -> tuple[Number, str, date]:
    """What makes two facts be about the same."""
    return fact.nik, fact.agency, fact.since


def order_of_fact(fact: Fact) -> tuple[int, datetime, str, str]:
    """Of facts about the same the greatest holds."""
    return fact.revision, fact.time, fact.event_id, fact.data


def key_of_link(link: Link) -> tuple[Kind, Number]:
    """What makes two links be about the same, from whichever agency."""
    return link.kind, link.from_number


def order_of_link(link: Link) -> tuple[int, datetime, str, str, str, Number]:
    """Of links about the same the greatest holds; the last part tells apart a merge and an unmerge of equal data."""
    return link.revision, link.time, link.event_id, link.agency, link.data, link.into_number or 0


def key_of_statement(statement: Statement) -> tuple[str, str, str]:
    """What makes two statements be about the same."""
    return statement.agency, statement.type, statement.about


def key_of_revision(statement: Statement) -> tuple[str, str, str, int]:
    """What makes two statements be the same revision."""
    return statement.agency, statement.type, statement.about, statement.revision


def order_of_revision(statement: Statement) -> tuple[datetime, str, str, float]:
    """Of statements of one revision the greatest holds; of equal ones the first."""
    return statement.time, statement.event_id, statement.data, -statement.at.timestamp()


def order_of_statement(statement: Statement) -> tuple[int, datetime, str, str]:
    """Of statements about the same the greatest holds."""
    return statement.revision, statement.time, statement.event_id, statement.data


def greatest(rows: Iterable[R], key: Callable[[R], Any], order: Callable[[R], Any]) -> list[R]:
    """Of the rows with one key the one with the greatest order, for each key."""
    holding: dict[Any, R] = {}
    for row in rows:
        other = holding.setdefault(key(row), row)
        if other is not row and order(row) > order(other):
            holding[key(row)] = row
    return list(holding.values())


def stands_for(links: Mapping[Number, Number], numbers: Iterable[Number]) -> dict[Number, Number]:
    """The number at the end of each one's chain; for those in or leading into a circle the circle's least."""
    ends: dict[Number, Number] = {}
    for number in numbers:
        path: dict[Number, None] = {}
        at = number
        while at not in ends and at not in path and at in links:
            path[at] = None
            at = links[at]
        end = min(walk(links, at)) if at in path else ends.setdefault(at, at)
        ends.update(dict.fromkeys(path, end))
    return ends


def circles(links: Mapping[Number, Number], ends: Mapping[Number, Number]) -> dict[Number, list[Number]]:
    """The circles among the ends that ``stands_for`` gave, by their least number: only there a link goes on."""
    return {end: walk(links, end) for end in set(ends.values()) if end in links}


def walk(links: Mapping[Number, Number], start: Number) -> list[Number]:
    """The numbers of the circle that ``start`` is in, from it on."""
    circle = [start]
    while (following := links[circle[-1]]) != start:
        circle.append(following)
    return circle


class Who(NamedTuple):
    """A NIK and whom it stands for, as pseudonyms; ``alone`` is the household of that person alone."""

    person: str
    stands_for: str
    alone: str
    aliases: Sequence[str]


class Held(NamedTuple):
    """A fact that holds: who told it and when, the household as a pseudonym, its data, and its trace."""

    agency: str
    time: datetime
    household: str
    data: Mapping[str, Any]
    trace: str = ""


#: Every field of a person that agencies may differ on.
FIELDS: Final[tuple[str, ...]] = get_args(PersonField)


def said(facts: Sequence[Held], field: str) -> list[Held]:
    """Each agency's word on a field, of those that say anything of it, in the order of ``facts``.

    An agency's word is in its latest fact: what an older one says of a circumstance may have passed. Death does not.
    """
    latest: dict[str, Held] = {}
    for fact in facts:
        if field != "deceased_on" or fact.data.get(field) is not None:
            latest.setdefault(fact.agency, fact)
    return [fact for fact in latest.values() if value(fact, field) is not None]


def value(fact: Held, field: str) -> Any:
    """What a fact says of a field; none where it says nothing."""
    return fact.data["attributes"].get(field) if field in _ATTRIBUTES else fact.data.get(field)


def holding(facts: Sequence[Held], recent: AbstractSet[str], fields: Iterable[str] = FIELDS) -> dict[str, Held]:
    """The fact whose word on a field holds, for each field that any agency says something of.

    Args:
        facts: those that hold: the most trusted first, of one agency's the latest.
        recent: fields of which the word told last holds, by the time of its event; of others the most trusted one.
    """
    found = {}
    for field in fields:
        if words := said(facts, field):
            found[field] = max(words, key=lambda fact: fact.time) if field in recent else words[0]
    return found


def household_on(facts: Sequence[Held], day: str) -> Held | None:
    """The fact that says in whose household a person was on a day (YYYY-MM-DD); none where none does.

    Args:
        facts: those that hold: the most trusted first, of one agency's the latest.
    """
    return next((f for f in facts if f.data["since"] <= day <= (f.data.get("until") or day)), None)


class Stay(NamedTuple):
    """Days, both inclusive, on which a person is of a household."""

    since: date
    until: date
    household: str


def stays(facts: Sequence[Held]) -> list[Stay]:
    """In whose household a person was when, as ``household_on`` has it for each day; in order, days of none left out.

    A fact beyond the first 4,000 is an error of data, and passed over.
    """
    spans = [
        (date.fromisoformat(fact.data["since"]), date.fromisoformat(fact.data.get("until") or LAST_DAY), fact.household)
        for fact in facts[:MOST_MEMBERSHIPS]
    ]
    if len(spans) < 2:
        return [Stay(*span) for span in spans]
    starts: dict[date, list[int]] = {}
    for place, (since, _, _) in enumerate(spans):
        starts.setdefault(since, []).append(place)
    days = sorted({*starts, *(until + timedelta(days=1) for _, until, _ in spans if until < date.max)})
    found: list[Stay] = []
    open_: list[int] = []
    for day, following in zip(days, [*days[1:], None], strict=True):
        for place in starts.get(day, ()):
            heappush(open_, place)
        while open_ and spans[open_[0]][1] < day:
            heappop(open_)
        if open_:
            end = following - timedelta(days=1) if following is not None else date.max
            household = spans[open_[0]][2]
            if found and found[-1].household == household and found[-1].until + timedelta(days=1) == day:
                found[-1] = found[-1]._replace(until=end)
            else:
                found.append(Stay(day, end, household))
    return found


def person(who: Who, facts: Sequence[Held], recent: AbstractSet[str] = frozenset()) -> dict[str, Any]:
    """What is announced of a NIK; ``facts`` and ``recent`` as in ``holding``."""
    held = holding(facts, recent)
    told: dict[str, Any] = {
        "person": who.person,
        "stands_for": who.stands_for,
        "alone": who.alone,
        "aliases": sorted(who.aliases)[:MOST_ALIASES],
        "memberships": [
            {"agency": fact.agency, "household": fact.household, **_present(fact.data, _OF_MEMBERSHIP)}
            for fact in sorted(facts[:MOST_MEMBERSHIPS], key=lambda fact: (fact.agency, fact.data["since"]))
        ],
    }
    told |= {field: value(held[field], field) for field in _OF_PERSON if field in held}
    told["attributes"] = {field: value(held[field], field) for field in _ATTRIBUTES if field in held}
    return told


def _present(data: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """Those of the fields that are there: null means absent."""
    return {name: value for name in names if (value := data.get(name)) is not None}


class Covering(NamedTuple):
    """What was told of an institution at a moment: the areas it covers from then on, none where it is not active."""

    institution: tuple[str, str]
    revision: int
    time: datetime
    areas: frozenset[str]


def covered_at(told: Iterable[Covering], moment: datetime) -> frozenset[str]:
    """The areas that active institutions cover just before a moment, as they are named: each by the greatest revision
    told by then.
    """
    standing: dict[tuple[str, str], Covering] = {}
    for each in told:
        other = standing.get(each.institution)
        if each.time < moment and (other is None or each.revision > other.revision):
            standing[each.institution] = each
    return frozenset[str]().union(*(each.areas for each in standing.values()))


class Move(NamedTuple):
    """Everyone of one card who is found under another one from a day on. Cards are households as pseudonyms."""

    start: str
    into: str
    day: str
    persons: frozenset[Number]


def moves(facts: Sequence[Held]) -> set[tuple[str, str]]:
    """From which card to which a person has moved; ``facts`` as in ``household_on``, cards as they stand now."""
    found = set()
    for into, day in _first_days(facts).items():
        before, after = household_on(facts, _eve(day)), household_on(facts, day)
        if before is not None and after is not None and before.household != into == after.household:
            found.add((before.household, into))
    return found


def moved_together(start: str, into: str, people: Mapping[Number, Sequence[Held]]) -> Move | None:
    """The move of a whole family to a card that nobody was under before; none where anyone stays, joins or comes later.

    Args:
        people: everyone whom any fact places under one of the two, with all their facts.
    """
    first = {nik: days[into] for nik, facts in people.items() if into in (days := _first_days(facts))}
    if len(first) < 2 or len(set(first.values())) > 1:
        return None
    day = next(iter(first.values()))
    eve = _eve(day)
    left = {nik for nik, facts in people.items() if _is_under(start, facts, eve) and not _dead(facts, eve)}
    came = {nik for nik in first if _is_under(into, people[nik], day)}
    if not left == came == first.keys():
        return None
    return Move(start, into, day, frozenset(came))


def _first_days(facts: Sequence[Held]) -> dict[str, str]:
    """The first day under each card."""
    found: dict[str, str] = {}
    for fact in facts:
        found[fact.household] = min(fact.data["since"], found.get(fact.household, fact.data["since"]))
    return found


def _eve(day: str) -> str:
    """The day before; the first day there is has none but itself."""
    told = date.fromisoformat(day)
    return (told if told == date.min else told - timedelta(days=1)).isoformat()


def _is_under(card: str, facts: Sequence[Held], day: str) -> bool:
    held = household_on(facts, day)
    return held is not None and held.household == card


def _dead(facts: Sequence[Held], day: str) -> bool:
    told = said(facts, "deceased_on")
    return bool(told) and value(told[0], "deceased_on") <= day


def without(data: Mapping[str, Any], niks: AbstractSet[str]) -> dict[str, Any]:
    """A report as filed, without those people whom one of these NIKs names, nor the NIKs in what is written freely."""
    people = [person for person in data["people"] if person.get("nik") not in niks]
    stripped: dict[str, Any] = _without_niks({**data, "people": people}, niks)
    return stripped


def _without_niks(told: Any, niks: AbstractSet[str]) -> Any:
    match told:
        case str():
            return NIK_WRITTEN.sub(lambda found: "[NIK]" if found[0] in niks else found[0], told)
        case list():
            return [_without_niks(each, niks) for each in told]
        case dict():
            return {name: _without_niks(each, niks) for name, each in told.items()}
    return told
