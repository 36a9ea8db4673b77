"""Who meets a programme's criteria on a day, and why: views of persons and households, and what follows of them.

No I/O, and no clock of its own. Persons are what the registry tells of them (`tepat.person.resolved.v1`), households
the persons living in them on the day ("Person and household" of the definition of overlaps).

Invariants:
- a view holds what is known and nothing else: a datum that lacks is no key, never a guess;
- equal facts on one day make equal decisions, whatever the order they came in;
- what a day changes by itself it changes on the day `turns_on` names, and on no other.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from hashlib import sha256
from typing import Any, Final, Literal, NamedTuple, TypeAlias
from zoneinfo import ZoneInfo

import orjson
from tepat_contracts.policy import Policy
from tepat_contracts.policy import Programme as Ruled

from tepat_eligibility.criteria import EVERYTHING, OF_SCORE, SCORED, Criteria, View, both, named, uses
from tepat_eligibility.score import Score, Scored

#: What the registry tells of a person: the data of `tepat.person.resolved.v1`.
Told: TypeAlias = Mapping[str, Any]

ADULT: Final = 18
"""Years from which a person is no child."""
ELDERLY: Final = 60
"""Years from which a person is elderly."""
COUNTED: Final = {"children": "age", "elderly": "age", "regions": "region"}
"""Fields of a household that are known where this one is known of every member."""
UNRANKED: Final = 2**31
"""Trust of an agency that has no rank: less than any rank."""


class Day:
    """A day, in the forms in which it is compared."""

    __slots__ = ("date", "iso", "midnight")

    def __init__(self, day: date) -> None:
        self.date: Final = day
        self.iso: Final = day.isoformat()
        self.midnight: Final = datetime.combine(day, time.min, UTC)
        """As CEL sees `today`: its parts (getFullYear, getDate…) are the day's own."""


def today(now: datetime, time_zone: str) -> date:
    """The day it is in a time zone."""
    return now.astimezone(ZoneInfo(time_zone)).date()


# --- persons and households -------------------------------------------------------------------------------------


def card(told: Told, ranks: Mapping[str, int], day: Day) -> str | None:
    """The family card a person belongs to on a day, as the agency trusted most tells it; None where none does.

    Args:
        ranks: agencies' ranks of trust, 1 the most; the unranked come last.
    """
    held = _membership(told, ranks, day.iso)
    return None if held is None else held["household"]


def _membership(told: Told, ranks: Mapping[str, int], day: str) -> Mapping[str, Any] | None:
    best: tuple[int, str] | None = None
    held: Mapping[str, Any] | None = None
    for membership in told["memberships"]:
        if membership["since"] <= day <= membership.get("until", "9999-12-31"):
            agency = membership["agency"]
            order = (ranks.get(agency, UNRANKED), agency)
            if best is None or held is None or order < best or (order == best and membership["since"] > held["since"]):
                best, held = order, membership
    return held


def turns_on(told: Told, day: Day) -> str | None:
    """The next day on which something about a person changes by itself: a birthday, a move, a death foretold."""
    days = [_birthday(told["birth_date"], day.iso)] if "birth_date" in told else []
    if "deceased_on" in told:
        days.append(told["deceased_on"])
    for membership in told["memberships"]:
        days.append(membership["since"])
        if day.iso <= (until := membership.get("until", "9999-12-31")) < "9999-12-31":
            days.append((date.fromisoformat(until) + timedelta(1)).isoformat())
    return min([each for each in days if each > day.iso], default=None)


def _birthday(born: str, day: str) -> str:
    """The next day on which a person is a year older: 1 March for 29 February in a year without one."""
    if born > day:
        return born
    year = int(day[:4]) + (born[5:] <= day[5:])
    if year > date.max.year:
        return day
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    return f"{year:04}-{'03-01' if born[5:] == '02-29' and not leap else born[5:]}"


def age(born: str, day: Day) -> int | None:
    """Whole years on a day of who was born on another; none before birth."""
    return int(day.iso[:4]) - int(born[:4]) - (day.iso[5:] < born[5:]) if born <= day.iso else None


def deceased(told: Told, day: Day) -> bool:
    """Whether a person is dead on a day."""
    return bool(told.get("deceased_on", "9999-12-31") <= day.iso)


def person_view(told: Told, day: Day) -> View:
    """A person as criteria see it, beside other attributes they may have."""
    view: dict[str, Any] = {name: value for name, value in told["attributes"].items() if value is not None}
    if "ppks" in view:
        view["ppks"] = tuple(sorted(view["ppks"]))  # what outcomes are kept by must not change, and has no order
    view["deceased"] = deceased(told, day)
    if (born := told.get("birth_date")) is not None and (years := age(born, day)) is not None:
        view["age"] = years
    if "sex" in told:
        view["sex"] = told["sex"]
    if "region" in told:
        view["region"] = told["region"]
    return view


def household_view(members: Sequence[View]) -> View:
    """A household as criteria see it.

    `decile` is the least any member is told to have; how many are children or elderly, and in which regions they
    live, is not known where it is not known of one.

    Args:
        members: the living, in an order that does not depend on how they were read.
    """
    view: dict[str, Any] = {"size": len(members), "members": members}
    if deciles := [member["decile"] for member in members if "decile" in member]:
        view["decile"] = min(deciles)
    ages = [member["age"] for member in members if "age" in member]
    if len(ages) == len(members):
        view["children"] = sum(age < ADULT for age in ages)
        view["elderly"] = sum(age >= ELDERLY for age in ages)
    regions = {member.get("region") for member in members}
    if None not in regions:
        view["regions"] = sorted(regions)
    return view


# --- decisions --------------------------------------------------------------------------------------------------


Outcome: TypeAlias = Literal["confirmed", "rejected", "moved", "deceased", "not_found"]
Verdict: TypeAlias = Literal["eligible", "ineligible", "needs_verification", "unknown"]


@dataclass(frozen=True, slots=True, eq=False)
class Decision:
    """What is decided of a subject; `reasons`, `due` and `score` are the JSON that events carry.

    `due` is of the eligible alone, `score` of programmes that ask for it.

    Known by identity, and across processes by `id`: there are few different ones, each shared by all subjects whose
    data are alike.
    """

    unit: Literal["person", "household"]
    programme: str
    decision: Verdict
    reasons: str
    due: str | None = None
    score: str | None = None
    id: int = field(init=False)
    """64 bits of a SHA-256 of all the rest."""

    def __post_init__(self) -> None:
        said = (self.unit, self.programme, self.decision, self.reasons, self.due or "", self.score or "")
        digest = sha256("\x1f".join(said).encode()).digest()
        object.__setattr__(self, "id", int.from_bytes(digest[:8], "big", signed=True))


def niks_of(told: Told) -> Sequence[str]:
    """Every NIK of a person."""
    return (told["person"], *told["aliases"])


class Visit(NamedTuple):
    """What officers found, in the order in which visits outdate one another."""

    verified_on: date
    time: datetime
    event_id: str
    agency: str
    programme: str | None
    outcome: str
    verification_id: str = ""


def latest(visits: Iterable[Visit], programme: str, agencies: Collection[str], day: date) -> Visit | None:
    """The last of the visits that count for a programme on a day: those made up to it, for the programme or for any.

    Args:
        agencies: those that have the programme. Who made a visit for it had it, or the visit had not passed the door;
            one for any programme counts for those that its agency has.
    """
    counted = (
        visit
        for visit in visits
        if visit.verified_on <= day
        and (visit.programme == programme or (visit.programme is None and visit.agency in agencies))
    )
    return max(counted, key=_order, default=None)


def _order(visit: Visit) -> tuple[Any, ...]:
    """Also of visits that differ in nothing but whether they name a programme, or in their id."""
    return (*visit[:4], visit.programme or "", *visit[5:])


# --- objections -------------------------------------------------------------------------------------------------

LAPSES_AFTER: Final = 14
"""Days within which an officer goes and looks, or an objection lapses."""

Village: TypeAlias = Literal["same", "other", "unknown"]
ObjectionState: TypeAlias = Literal["not_filed_yet", "open", "upheld", "rejected", "lapsed", "other_village"]


class Objection(NamedTuple):
    """What somebody of a village objects to a programme's having, or not having, a person."""

    programme: str
    grounds: str
    region: str
    filed_on: date


def same_village(objection: Objection, told: Told | None, ranks: Mapping[str, int]) -> Village:
    """Whether the person lived in the objection's village on the day it was filed, as far as that is told."""
    if told is None:
        return "unknown"
    held = _membership(told, ranks, objection.filed_on.isoformat())
    region = told.get("region") if held is None else held["region"]
    if region == objection.region:
        return "same"
    return "unknown" if region is None or objection.region.startswith(f"{region}.") else "other"


def became(
    objection: Objection, village: Village, visits: Iterable[Visit], agencies: Collection[str], day: date
) -> tuple[ObjectionState, Visit | None]:
    """What has become of an objection on a day, and the visit that settled it.

    Args:
        visits: those made to the person under any NIK; counted are those for the programme, or for any, from the day
            it was filed until `LAPSES_AFTER` days later, whenever they are told.
        agencies: those that have the programme.
    """
    if day < objection.filed_on:
        return "not_filed_yet", None
    if village == "other":
        return "other_village", None
    counted = (visit for visit in visits if 0 <= (visit.verified_on - objection.filed_on).days <= LAPSES_AFTER)
    if (visit := latest(counted, objection.programme, agencies, day)) is not None:
        upheld = (visit.outcome == "confirmed") == (objection.grounds == "wrongly_excluded")
        return ("upheld" if upheld else "rejected"), visit
    return ("lapsed" if (day - objection.filed_on).days > LAPSES_AFTER else "open"), None


class Programme:
    """A programme as it decides. Remembers decisions by the values they depend on, for one day.

    Args:
        score: that of the policy, if it has one.
        agencies: those that have the programme.
    """

    KEPT: Final = 50_000

    def __init__(self, ruled: Ruled, score: Score | None = None, agencies: Collection[str] = ()) -> None:
        assert ruled.criteria is not None
        self.code: Final = ruled.code
        self.unit: Final = ruled.unit
        self.needs_verification: Final = ruled.needs_verification
        self.effective: Final = ruled.effective
        self._agencies: Final = agencies
        self._criteria: Final = Criteria(ruled.criteria, ruled.named_criteria)
        self._pays: Final = _Pays(ruled)
        self._score: Final = score if asks_score(ruled) else None
        scored_today = self._score is not None and self._score.of_the_day
        self.of_the_day: Final = self._criteria.uses.today or self._pays.uses.today or scored_today
        asking = [self._criteria.uses, self._pays.uses, *([self._score.uses] if self._score is not None else [])]
        self.asked: Final = frozenset(
            name for each in asking for name in (*each.person, *each.household, *each.members)
        )
        """The fields that decisions depend on."""
        self.in_order: Final = any(each is EVERYTHING for each in asking)
        """Whether they may depend on the order of a household's members."""
        self._asks_alive = self.unit == "person" and "deceased" not in self._criteria.uses.person
        self._decided: dict[tuple[Any, ...], Decision] = {}
        self._after_visit: dict[tuple[Decision, bool | None], Decision] = {}
        self._decided_on: date | None = None
        self._dead: Final = self._told("ineligible", [_reason("alive", outcome=False)])

    def decide(self, person: View | None, household: View, day: Day, visits: Iterable[Visit] = ()) -> Decision:
        """Decide of a person in their household, or of a household where `person` is None."""
        return self.verified(self.found(person, household, day), visits, day)

    def found(self, person: View | None, household: View, day: Day) -> Decision:
        """What the criteria come to; who is eligible may have to be verified yet."""
        if self._decided_on != day.date or len(self._decided) > self.KEPT:
            self._decided.clear()
            self._after_visit.clear()
            self._decided_on = day.date
        if self._asks_alive and person is not None and person["deceased"]:
            return self._dead
        if self._score is not None:
            household = self._score.added(household, day.midnight)
        seen = self._criteria.seen(person, household, day.midnight)
        paid = self._pays.members(person, household, day)
        scored = household.get(SCORED)
        decision = self._decided.get((seen, paid, scored))
        if decision is None:
            decision = self._decided[seen, paid, scored] = self._judged(person, household, day, paid, scored)
        return decision

    def verified(self, found: Decision, visits: Iterable[Visit], day: Day) -> Decision:
        """The same once visits are known."""
        if not self.needs_verification or found.decision != "eligible":
            return found
        visit = latest(visits, self.code, self._agencies, day.date)
        return self._visited(found, None if visit is None else visit.outcome == "confirmed")

    # Those of whom these make the same are alike to this programme.

    def of_member(self, member: View, day: Day) -> tuple[Any, ...]:
        """All that decisions depend on of one who lives in the household, beside what `household_view` counts."""
        return (
            self._criteria.of_member(member, day.midnight),
            self._pays.of_person(member, day),
            None if self._score is None else self._score.of_member(member, day.midnight),
        )

    def of_person(self, person: View, day: Day) -> tuple[Any, ...]:
        """All that a decision depends on of the person it is made of."""
        return self._criteria.of_person(person, day.midnight), self._pays.of_person(person, day)

    def _judged(
        self, person: View | None, household: View, day: Day, paid: tuple["Best", ...], scored: Scored | None
    ) -> Decision:
        outcomes = self._criteria.outcomes(person, household, day.midnight)
        reasons = [
            _reason(
                criterion.text,
                outcome,
                () if outcome is not None else criterion.named.lacking(person, household),
                criterion.explained,
            )
            for criterion, outcome in zip(self._criteria.criteria, outcomes, strict=True)
        ]
        verdict = _DECIDED[both(outcomes)]
        due = self._pays.due(paid) if verdict == "eligible" else None
        return self._told(verdict, reasons, due, None if scored is None else scored.told)

    def _visited(self, decision: Decision, confirmed: bool | None) -> Decision:
        after = self._after_visit.get((decision, confirmed))
        if after is None:
            reason = _reason("verification", confirmed, ("verification",) if confirmed is None else ())
            reasons = [*orjson.loads(decision.reasons), reason]
            after = self._told(
                "eligible" if confirmed else "needs_verification",
                reasons,
                decision.due if confirmed else None,
                decision.score,
            )
            self._after_visit[decision, confirmed] = after
        return after

    def _told(
        self, decision: Verdict, reasons: list[dict[str, Any]], due: str | None = None, score: str | None = None
    ) -> Decision:
        return Decision(self.unit, self.code, decision, orjson.dumps(reasons).decode(), due, score)


class Best(NamedTuple):
    """Of a programme's components, the highest first, the one that is due for a person; -1 where none is.

    `missing` names what lacks to tell whether a higher one is.
    """

    component: int
    missing: tuple[str, ...] = ()


class _Pays:
    """What a programme pays. Remembers what is due for a person by the values it depends on, for one day."""

    def __init__(self, ruled: Ruled) -> None:
        self._amount, self._period, self._most = ruled.amount, ruled.period, ruled.most_components
        self._components = sorted(ruled.components, key=lambda each: -each.amount)
        self._criteria = [Criteria(each.criteria) for each in self._components]
        self.uses: Final = uses("&&".join(f"({each.criteria}\n)" for each in ruled.components) or "true")
        self._asks_score: Final = bool(OF_SCORE.intersection(self.uses.household))
        self._kept: dict[tuple[Any, ...], Best] = {}
        self._kept_on: date | None = None

    def members(self, person: View | None, household: View, day: Day) -> tuple[Best, ...]:
        """What is due for the person, or for each who lives in the household, in an order of its own."""
        if not self._components:
            return ()
        if self._kept_on != day.date or len(self._kept) > Programme.KEPT:
            self._kept.clear()
            self._kept_on = day.date
        members = household["members"] if person is None else (person,)
        return tuple(sorted([self._best(member, household, day) for member in members]))

    def of_person(self, person: View, day: Day) -> tuple[Any, ...]:
        """All that what is due depends on of one it may be due for."""
        if not self._components:
            return ()
        if self.uses.household:
            return tuple([person.get(name) for name in (*self.uses.person, *self.uses.members)])
        return self._best(person, {}, day)

    def _best(self, member: View, household: View, day: Day) -> Best:
        seen = self.uses.values(member, household)
        if self._asks_score:
            seen = (*seen, household.get(SCORED))  # what lacks for it is told of who is paid, too
        best = self._kept.get(seen)
        if best is None:
            best = self._kept[seen] = self._found(member, household, day)
        return best

    def _found(self, member: View, household: View, day: Day) -> Best:
        missing: dict[str, int] = {}
        for place, criteria in enumerate(self._criteria):
            outcomes = criteria.outcomes(member, household, day.midnight)
            amount = self._components[place].amount
            if both(outcomes):
                return Best(place, tuple(sorted(name for name, of in missing.items() if of > amount)))
            for outcome, criterion in zip(outcomes, criteria.criteria, strict=True):
                if outcome is None and False not in outcomes:
                    for name in criterion.named.lacking(member, household):
                        missing.setdefault(name, amount)
        return Best(-1, tuple(sorted(missing)))

    def due(self, paid: Sequence[Best]) -> str | None:
        """What is due a period, as JSON; none where the policy names no amount."""
        if not self._components:
            return None if self._amount is None else _json({"amount": self._amount, "period": self._period})
        places = sorted(best.component for best in paid if best.component >= 0)[: self._most]
        counted = Counter(places)
        missing = sorted({name for best in paid for name in best.missing})
        told = {
            "amount": sum(self._components[place].amount for place in places), "period": self._period,
            "components": [
                {"component": self._components[place].code, "persons": persons, "each": self._components[place].amount}
                for place, persons in counted.items()
            ],
        }  # fmt: skip
        return _json(told | {"missing": missing} if missing else told)


def _json(told: Mapping[str, Any]) -> str:
    return orjson.dumps(told).decode()


def _reason(
    criterion: str, outcome: bool | None, missing: Sequence[str] = (), explained: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    told = {"criterion": criterion, "outcome": "unknown" if outcome is None else outcome, **(explained or {})}
    return {**told, "missing": list(missing)} if missing else told


_DECIDED: Final[Mapping[bool | None, Verdict]] = {True: "eligible", False: "ineligible", None: "unknown"}

#: Why a decision once made is withdrawn, as the reasons of the `ineligible` that withdraws it.
WITHDRAWN: Final[Mapping[str, str]] = {
    why: orjson.dumps([_reason(why, outcome=False)]).decode() for why in ("effective", "members", "stands_for")
}


# --- a policy changes, a day turns ------------------------------------------------------------------------------


def restated(old: Policy | None, new: Policy) -> list[str]:
    """The programmes whose decisions may differ under another policy, sorted."""
    before = {programme.code: _deciding(programme, old) for programme in old.programmes} if old is not None else {}
    after = {programme.code: _deciding(programme, new) for programme in new.programmes}
    return sorted(code for code in before.keys() | after.keys() if before.get(code) != after.get(code))


def asks_score(programme: Ruled) -> bool:
    """Whether a programme's criteria, or those of its components, speak of the policy's score."""
    asked = [programme.criteria or "", *(component.criteria for component in programme.components)]
    return any(OF_SCORE.intersection(named(expression).household) for expression in asked)


def _deciding(programme: Ruled, policy: Policy) -> tuple[Any, ...] | None:
    """All that decisions of a programme depend on; None where it makes none."""
    if programme.criteria is None:
        return None
    return (
        programme.unit, programme.criteria, programme.needs_verification, programme.effective, programme.amount,
        programme.period, programme.components, programme.most_components, programme.named_criteria,
        policy.score if asks_score(programme) else None,
        having(programme.code, policy) if programme.needs_verification else None,
    )  # fmt: skip


def having(programme: str, policy: Policy) -> frozenset[str]:
    """The agencies that have a programme."""
    return frozenset(agency.id for agency in policy.agencies if programme in agency.programmes)


def changing_hands(old: Policy, new: Policy) -> list[str]:
    """The programmes that other agencies have under another policy, sorted."""
    programmes = {code for policy in (old, new) for agency in policy.agencies for code in agency.programmes}
    return sorted(code for code in programmes if having(code, old) != having(code, new))


def ranks(policy: Policy) -> dict[str, int]:
    """How far each agency's word is trusted."""
    return {agency.id: agency.trust_rank for agency in policy.agencies if agency.trust_rank is not None}


def turned(programmes: Iterable[Programme], before: date, after: date) -> list[str]:
    """The programmes whose decisions may differ on another day although nothing about a person does, sorted."""
    return sorted(
        programme.code
        for programme in programmes
        if programme.of_the_day or programme.effective.holds(before) != programme.effective.holds(after)
    )
