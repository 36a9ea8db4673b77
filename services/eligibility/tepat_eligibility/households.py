"""Households decided whole: what stands of each of them, and of those who live there, under some programmes.

No I/O, and no clock of its own. Invariants
- Who decides for good and who only asks what if decide by this one way, so both come to the same.
- Households whose members are alike to every programme are decided once: a programme says what it makes of a person
  (`Programme.of_member`, `of_person`), and two of whom all make the same may stand for one another.

In a province nearly every household is like one seen before. A person is reduced to what is asked of them, which few
values make up; those are reduced to what programmes make of them, of which there are fewer; and a household to its
members so reduced.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import reduce
from operator import xor
from typing import Any, Final, NamedTuple

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
    niks_of,
    person_view,
)


class Decided:
    """What is decided of a subject: a decision of each programme of its unit.

    Known by identity, and across processes by `fold`: the numbers of its decisions, xored.
    """

    __slots__ = ("decisions", "fold", "unverified")

    def __init__(self, decisions: Sequence[Decision] = (), *, unverified: bool = False) -> None:
        self.decisions: Final = decisions
        self.fold: Final = reduce(xor, (decision.id for decision in decisions), 0)
        self.unverified: Final = unverified
        """Whether it depends on visits yet: see `Households.verified`."""


NOTHING: Final = Decided()


class Stands(NamedTuple):
    """What is decided of a subject, told with the region it lives in; `persons` are those whose visits count for it."""

    subject: str
    decided: Decided = NOTHING
    region: str | None = None
    persons: Sequence[Told] = ()

    @property
    def niks(self) -> list[str]:
        """Every NIK of the persons."""
        return [nik for told in self.persons for nik in niks_of(told)]


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
    """Kinds of persons, and of households, that are remembered."""

    def __init__(self, programmes: Iterable[Programme], day: Day) -> None:
        self._day = day
        self._by_unit: dict[str, list[Programme]] = {"household": [], "person": []}
        for programme in programmes:
            self._by_unit[programme.unit].append(programme)
        every = [*self._by_unit["household"], *self._by_unit["person"]]
        asked = {name for programme in every for name in programme.asked}
        self._asked = [name for name in PERSON if name in asked or name in ("age", "decile")]
        self._ppks = self._asked.index("ppks") if "ppks" in self._asked else None
        self._of_region = "region" in asked or "regions" in asked
        self._in_order = any(programme.in_order for programme in every)
        self._ages: dict[str, int | None] = {}
        self._kinds: dict[tuple[Any, ...], _Kind] = {}
        self._numbers: dict[tuple[Any, ...], int] = {}
        self._made: dict[tuple[int, ...], _Made] = {}
        self._verified: dict[tuple[Decision, ...], Decided] = {}

    def decided(self, name: str, members: Sequence[Told]) -> list[Stands]:
        """What stands of a household, and of each who lives there; nothing of one where nobody is alive.

        Args:
            members: the deceased among them, in the order of their pseudonyms.
        """
        if len(self._made) > self.KEPT or len(self._kinds) > self.KEPT:
            for kept in (self._kinds, self._numbers, self._made, self._verified):
                kept.clear()
        kinds = [self._kind(told) for told in members]
        alive = [kind.number for kind in kinds if kind.alive]
        if not self._in_order:
            alive.sort()
        like = tuple(alive)
        made = self._made.get(like)
        if made is None:
            made = self._made[like] = self._decide([kind.view for kind in kinds if kind.alive])
        regions = [told.get("region") for told in members]
        known = [region for region, kind in zip(regions, kinds, strict=True) if kind.alive and region is not None]
        stands = [Stands(name, made.whole, min(known, default=None), members)]
        persons = made.persons
        for told, kind, region in zip(members, kinds, regions, strict=True):
            own = persons.get(kind.number)
            if own is None:
                own = persons[kind.number] = self._of("person", kind.view, made.household)
            stands.append(Stands(told["person"], own, region, (told,)))
        return stands

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

    def _kind(self, told: Told) -> _Kind:
        attributes = told["attributes"]
        asked = [attributes.get(name) for name in self._asked]
        if self._ppks is not None and asked[self._ppks] is not None:
            asked[self._ppks] = tuple(sorted(asked[self._ppks]))
        born = told.get("birth_date")
        key = (
            None if born is None else self._age(born), told.get("sex"), deceased(told, self._day),
            told.get("region") if self._of_region else None, *asked,
        )  # fmt: skip
        kind = self._kinds.get(key)
        if kind is None:
            view = person_view(told, self._day)
            kind = self._kinds[key] = _Kind(self._numbered(view), not view["deceased"], view)
        return kind

    def _age(self, born: str) -> int | None:
        """The age of who was born on a day; few days are different."""
        if born not in self._ages:
            self._ages[born] = age(born, self._day)
        return self._ages[born]

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

    def _of(self, unit: str, person: View | None, household: View) -> Decided:
        programmes = self._by_unit[unit]
        found = [programme.found(person, household, self._day) for programme in programmes]
        unverified = any(
            programme.needs_verification and decision.decision == "eligible"
            for programme, decision in zip(programmes, found, strict=True)
        )
        return Decided(found, unverified=unverified) if found else NOTHING
