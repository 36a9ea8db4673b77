"""Households decided whole: what stands of each of them, and of those who live there, under some programmes.

No I/O, and no clock of its own. Invariants
- Who decides for good and who only asks what if decide by this one way, so both come to the same.
- Households whose members are alike to every programme are decided once: a programme says what it makes of a person
  (`Programme.of_member`, `of_person`), and two of whom all make the same may stand for one another.

In a province nearly every household is like one seen before. A person is reduced to what is asked of them, which few
values make up; those are reduced to what programmes make of them, of which there are fewer; and a household to its
members so reduced.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import reduce
from operator import xor
from typing import Any, Final, NamedTuple

import orjson
from tepat_contracts.criteria import PERSON

from tepat_eligibility.criteria import View
from tepat_eligibility.domain import (
    ADULT,
    ELDERLY,
    Day,
    Decision,
    Programme,
    Told,
    Visit,
    age,
    deceased,
    household_view,
    person_view,
)


class Resident(NamedTuple):
    """One who lives in a household, as far as decisions may depend on them, and what stands of either
    (`Stands.text`); what is not known is empty.
    """

    household: str
    household_stands: str
    person: str
    stands: str
    aliases: str
    """Pseudonyms, with commas between them."""
    region: str
    born: str
    facts: str
    """JSON: what else is told, see `facts`."""

    @property
    def niks(self) -> list[str]:
        """Every NIK of the person."""
        return [self.person, *self.aliases.split(",")] if self.aliases else [self.person]

    def view(self, day: Day) -> View:
        """The person as criteria see them."""
        own = {"region": self.region, "birth_date": self.born}
        return person_view({**orjson.loads(self.facts), **{name: known for name, known in own.items() if known}}, day)


def facts(told: Told) -> str:
    """What decisions may depend on of a person, beside the rest of a `Resident`, as JSON."""
    return orjson.dumps({name: told[name] for name in ("attributes", "sex", "deceased_on") if name in told}).decode()


class Decided:
    """What is decided of a subject: a decision of each programme of its unit.

    Known by identity, and across processes by `fold`: the numbers of its decisions, xored; empty where nothing is
    decided.
    """

    __slots__ = ("decisions", "fold", "unverified")

    def __init__(self, decisions: Sequence[Decision] = (), *, unverified: bool = False) -> None:
        self.decisions: Final = decisions
        self.fold: Final = str(reduce(xor, (decision.id for decision in decisions))) if decisions else ""
        self.unverified: Final = unverified
        """Whether it depends on visits yet: see `Households.verified`."""

    def text(self, region: str) -> str:
        """All that stands of a subject that this is told of, with a region, as the database says it."""
        return f"{self.fold} {region}" if self.fold else ""


NOTHING: Final = Decided()


class Stands(NamedTuple):
    """What is decided of a subject, told with the region it lives in (empty where it is not known).

    `residents` are those whose visits count for it; `stood` is what stands of it, as `Decided.text` says it.
    """

    subject: str
    decided: Decided = NOTHING
    region: str = ""
    residents: Sequence[Resident] = ()
    stood: str | None = None

    @property
    def niks(self) -> list[str]:
        """Every NIK of the residents."""
        return [nik for resident in self.residents for nik in resident.niks]

    @property
    def differs(self) -> bool:
        """Whether other than this stands, or nobody knows whether it does."""
        return self.stood != self.decided.text(self.region)


class _Kind(NamedTuple):
    """Persons of whom all that is asked is the same; `number` is that of what programmes make of them."""

    number: int
    alive: bool
    view: View


class _Made(NamedTuple):
    """What is decided of households that are alike, and of those who live there, by the number of what they are."""

    household: View
    whole: Decided
    persons: dict[int, Decided]


class Households:
    """Decides households on a day, by programmes that do so on that day."""

    KEPT: Final = 50_000
    """Different facts, kinds of persons, and households, that are remembered."""

    def __init__(self, programmes: Iterable[Programme], day: Day) -> None:
        self._day = day
        self._by_unit: dict[str, list[Programme]] = {"household": [], "person": []}
        for programme in programmes:
            self._by_unit[programme.unit].append(programme)
        every = [*self._by_unit["household"], *self._by_unit["person"]]
        asked = {name for programme in every for name in programme.asked}
        self._asked = [name for name in PERSON if name in asked or name in ("age", "decile")]
        self._of_region = "region" in asked or "regions" in asked
        self._in_order = any(programme.in_order for programme in every)
        self._ages: dict[str, int | None] = {}
        self._facts: dict[str, int] = {}
        self._different: dict[tuple[Any, ...], int] = {}
        self._kinds: dict[tuple[Any, ...], _Kind] = {}
        self._numbers: dict[tuple[Any, ...], int] = {}
        self._made: dict[tuple[int, ...], _Made] = {}
        self._verified: dict[tuple[Decision, ...], Decided] = {}

    def decided(self, members: Sequence[Resident]) -> Iterator[Stands]:
        """What stands of a household, and of each who lives there; nothing of one where nobody is alive.

        Args:
            members: at least one, the deceased among them, in the order of their pseudonyms.
        """
        kinds, made, region = self._like(members)
        yield Stands(members[0].household, made.whole, region, members, members[0].household_stands)
        for resident, kind in zip(members, kinds, strict=True):
            own = made.persons.get(kind.number) or self._of_person(kind, made)
            yield Stands(resident.person, own, resident.region, (resident,), resident.stands)

    def differing(self, members: Sequence[Resident]) -> list[Stands]:
        """Those of the same that do not stand so, or that depend on visits."""
        kinds, made, region = self._like(members)
        home, whole = members[0], made.whole
        differing = []
        if whole.unverified or home.household_stands != whole.text(region):
            differing.append(Stands(home.household, whole, region, members, home.household_stands))
        persons = made.persons
        for resident, kind in zip(members, kinds, strict=True):
            own = persons.get(kind.number) or self._of_person(kind, made)
            if own.unverified or resident.stands != own.text(resident.region):
                differing.append(Stands(resident.person, own, resident.region, (resident,), resident.stands))
        return differing

    def verified(self, stands: Stands, visits: Mapping[str, Sequence[Visit]]) -> Stands:
        """The same once visits are known, by NIK."""
        found = stands.decided
        if not found.unverified:
            return stands
        made = [visit for nik in stands.niks for visit in visits.get(nik, ())]
        programmes = self._by_unit[found.decisions[0].unit]
        after = tuple(
            programme.verified(each, made, self._day)
            for programme, each in zip(programmes, found.decisions, strict=True)
        )
        verified = self._verified.get(after)
        if verified is None:
            verified = self._verified[after] = Decided(after)
        return stands._replace(decided=verified)

    def _like(self, members: Sequence[Resident]) -> tuple[list[_Kind], _Made, str]:
        """What its members are, what is decided of all households like it, and the region it is told with."""
        if max(len(self._made), len(self._kinds), len(self._facts)) > self.KEPT:
            for kept in (self._facts, self._different, self._kinds, self._numbers, self._made, self._verified):
                kept.clear()
        kinds = [self._kind(resident) for resident in members]
        alive = [kind.number for kind in kinds if kind.alive]
        if not self._in_order:
            alive.sort()
        like = tuple(alive)
        made = self._made.get(like)
        if made is None:
            made = self._made[like] = self._decide([kind.view for kind in kinds if kind.alive])
        known = [resident.region for resident, kind in zip(members, kinds, strict=True) if kind.alive]
        return kinds, made, min(filter(None, known), default="")

    def _kind(self, resident: Resident) -> _Kind:
        told, born = self._facts.get(resident.facts), resident.born
        if told is None:
            told = self._facts[resident.facts] = self._asked_of(resident.facts)
        years = self._ages[born] if born in self._ages else self._age(born)
        key = (told, years, resident.region) if self._of_region else (told, years)
        kind = self._kinds.get(key)
        if kind is None:
            view = resident.view(self._day)
            kind = self._kinds[key] = _Kind(self._numbered(view), not view["deceased"], view)
        return kind

    def _asked_of(self, told: str) -> int:
        """The same number for facts of which all that is asked is the same."""
        parsed = orjson.loads(told)
        attributes = parsed["attributes"]
        asked = [attributes.get(name) for name in self._asked]
        key = (
            parsed.get("sex"), deceased(parsed, self._day),
            *[tuple(sorted(each)) if isinstance(each, list) else each for each in asked],
        )  # fmt: skip
        return self._different.setdefault(key, len(self._different))

    def _age(self, born: str) -> int | None:
        """The age of who was born on a day; few days are different."""
        years = self._ages[born] = age(born, self._day) if born else None
        return years

    def _numbered(self, view: View) -> int:
        """The number of what programmes make of a person, and of what `household_view` does."""
        years = view.get("age")
        made: tuple[Any, ...] = (
            view["deceased"], view.get("decile"), None if years is None else (years >= ADULT) + (years >= ELDERLY),
            view.get("region") if self._of_region else None,
            *[programme.of_member(view, self._day) for of_unit in self._by_unit.values() for programme in of_unit],
            *[programme.of_person(view, self._day) for programme in self._by_unit["person"]],
        )  # fmt: skip
        return self._numbers.setdefault(made, len(self._numbers))

    def _decide(self, alive: Sequence[View]) -> _Made:
        household = household_view(alive)
        return _Made(household, self._of("household", None, household) if alive else NOTHING, {})

    def _of_person(self, kind: _Kind, made: _Made) -> Decided:
        own = made.persons[kind.number] = self._of("person", kind.view, made.household)
        return own

    def _of(self, unit: str, person: View | None, household: View) -> Decided:
        programmes = self._by_unit[unit]
        found = [programme.found(person, household, self._day) for programme in programmes]
        unverified = any(
            programme.needs_verification and decision.decision == "eligible"
            for programme, decision in zip(programmes, found, strict=True)
        )
        return Decided(found, unverified=unverified) if found else NOTHING
