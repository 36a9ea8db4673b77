"""Households decided once for all that are alike are decided as each would be for itself."""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tepat_contracts.policy import Score as RuledScore
from tepat_eligibility.domain import Day, Programme, Visit
from tepat_eligibility.households import Households, Resident, Stands, facts
from tepat_eligibility.score import Score

from .test_criteria import trees, written
from .test_domain import COMPONENTS, component, ruled
from .test_score import VARIABLES

DAY = Day(date(2026, 3, 1))
BORN = ("2024-01-01", "2020-02-29", "2009-05-05", "2008-03-01", "2008-03-02", "1966-03-01", "1950-07-07", "2026-03-02")

VALUES: Mapping[str, tuple[Any, ...]] = {
    "decile": (1, 5, 6), "disability": (True, False), "pregnant": (True, False), "orphan": (True, False),
    "school_level": ("SD", "SMP", "none"), "occupation": ("farm", "none"),
    "ppks": ([], ["korban_kekerasan", "fakir_miskin"], ["fakir_miskin", "korban_kekerasan"]),
    "birth_date": BORN, "deceased_on": ("2026-02-28", "2026-03-01", "2026-03-02"),
    "region": ("33.74.01.1001", "33.74.02.1001"), "sex": ("L", "P"),
}  # fmt: skip
OF_FACTS = {"birth_date", "deceased_on", "region", "sex"}


@st.composite
def provinces(draw: st.DrawFn) -> list[list[dict[str, Any]]]:
    """Small households that differ in a few fields, so that many are alike, and many nearly."""
    fields = draw(st.lists(st.sampled_from(sorted(VALUES)), min_size=1, max_size=3, unique=True))
    common = {name: draw(st.sampled_from(values)) for name, values in VALUES.items() if name != "deceased_on"}
    varied = st.fixed_dictionaries({name: st.sampled_from((None, *VALUES[name])) for name in fields})

    def person(own: dict[str, Any]) -> dict[str, Any]:
        known = {name: value for name, value in {**common, **own}.items() if value is not None}
        told = {name: value for name, value in known.items() if name in OF_FACTS}
        return {**told, "attributes": {name: value for name, value in known.items() if name not in OF_FACTS}}

    return draw(st.lists(st.lists(varied.map(person), min_size=1, max_size=2), min_size=6, max_size=16))


WRITTEN = (
    "person.age >= 6 && person.age <= 21 && household.decile <= 5", 'household.regions.exists(r, r == "33.74.01.1001")',
    "household.members[0].age > 5", "household.score < 0.0", "household.score_decile <= 5 || person.pregnant",
    "household.members.exists(m, m.age > 60 && household.size > 2)", 'person.region == "33.74.01.1001"',
    "person.deceased || household.elderly > 0", '"korban_kekerasan" in person.ppks', "today.getFullYear() == 2026",
    "household.members.filter(m, m.age < 18).filter(c, c.orphan).size() > 0", "household.children > household.elderly",
)  # fmt: skip
BY_HOUSEHOLD = [
    component("crowded", "person.age < 6 && household.size > 2", 900), component("old", "person.age >= 60", 500),
    component("twins", "household.members.filter(m, m.age < 6).size() > 1 && person.age < 6", 1_000),
]  # fmt: skip
SCORE = {
    "code": "s", "name": {"id": "s", "en": "s"}, "intercept": 1, "variables": VARIABLES,
    "deciles": [-8, -6, -4, -2, 0, 2, 4, 6, 8],
}  # fmt: skip
programmes = st.lists(
    st.fixed_dictionaries({
        "criteria": st.one_of(st.sampled_from(WRITTEN), trees("person", "household", deep=1).map(written)),
        "unit": st.sampled_from(("household", "person")),
        "needs_verification": st.booleans(),
        "components": st.sampled_from(([], COMPONENTS, BY_HOUSEHOLD)),
    }),
    min_size=1, max_size=4,
)  # fmt: skip


def compiled(chosen: list[dict[str, Any]]) -> list[Programme]:
    score = Score(RuledScore.model_validate(SCORE))
    return [
        Programme(ruled(**{**each, "period": "quarter"}, code=f"P{place}"), score) for place, each in enumerate(chosen)
    ]


def residents(name: str, members: list[dict[str, Any]]) -> list[Resident]:
    return [
        Resident(name, "", told["person"], "", "", told.get("region", ""), told.get("birth_date", ""), facts(told))
        for told in members
    ]


def said(stands: Stands) -> tuple[Any, ...]:
    return (
        stands.subject, stands.region,
        *((each.programme, each.unit, each.decision, each.reasons, each.due, each.score)
          for each in stands.decided.decisions),
    )  # fmt: skip


@settings(deadline=None, max_examples=60)
@given(programmes, provinces(), st.dictionaries(st.integers(1, 40), st.sampled_from(("confirmed", "rejected"))))
def test_like_households_are_decided_as_each_for_itself(
    chosen: list[dict[str, Any]], homes: list[list[dict[str, Any]]], visited: Mapping[int, str]
) -> None:
    numbers = iter(range(1_000))
    living = [
        [{**told, "person": f"p{next(numbers)}", "aliases": [], "memberships": []} for told in home] for home in homes
    ]
    visits = {
        f"p{number}": [Visit(date(2026, 2, 1), datetime(2026, 2, 1, tzinfo=UTC), "e", "a", None, outcome)]
        for number, outcome in visited.items()
    }
    together, plainly = Households(compiled(chosen), DAY), compiled(chosen)
    for place, members in enumerate(living):
        alone = Households(plainly, DAY)
        one, other = (
            [said(of.verified(stands, visits)) for stands in of.decided(residents(f"h{place}", members))]
            for of in (together, alone)
        )
        assert one == other


def of(*members: dict[str, Any]) -> list[dict[str, Any]]:
    facts = {"aliases": [], "memberships": []}
    return [
        {
            "person": f"p{place}", **facts, **{name: told[name] for name in told if name in OF_FACTS},
            "attributes": {name: told[name] for name in told if name not in OF_FACTS},
        }
        for place, told in enumerate(members)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("chosen", "one", "other"),
    [
        ({"criteria": "person.disability", "unit": "person"}, of({"disability": True}), of({"disability": False})),
        ({"criteria": "person.age > household.decile", "unit": "person"}, of({"birth_date": BORN[0], "decile": 3}),
         of({"birth_date": BORN[1], "decile": 3})),
        ({"criteria": "household.members.exists(m, m.orphan)"}, of({"orphan": True}), of({"orphan": False})),
        ({"criteria": "household.members.exists(m, m.orphan || m.pregnant)"}, of({"orphan": False}),
         of({"pregnant": False})),
        ({"criteria": "household.members.exists(m, m.orphan && household.size > 0)"}, of({"orphan": True}),
         of({"orphan": False})),
        ({"criteria": "household.members[0].age > 20"}, of({"birth_date": BORN[0]}, {"birth_date": BORN[5]}),
         of({"birth_date": BORN[5]}, {"birth_date": BORN[0]})),
        ({"criteria": "true", "components": COMPONENTS}, of({"disability": True}), of({"disability": False})),
        ({"criteria": "true", "components": COMPONENTS}, of({"pregnant": False}), of({"ppks": []})),
        ({"criteria": "household.score < 0.0"}, of({"occupation": "farm"}), of({"occupation": "none"})),
        ({"criteria": 'household.regions.exists(r, r == "33.74")'}, of({"region": "33.74"}), of({"region": "33.75"})),
        ({"criteria": "household.elderly > 0"}, of({"birth_date": BORN[5]}), of({"birth_date": BORN[4]})),
    ],
)  # fmt: skip
def test_who_differs_to_a_programme_is_told_apart(chosen: dict[str, Any], one: Any, other: Any) -> None:
    together = Households(compiled([chosen]), DAY)
    found = [[said(stands)[2:] for stands in together.decided(residents("h", members))] for members in (one, other)]
    alone = [
        [said(stands)[2:] for stands in Households(compiled([chosen]), DAY).decided(residents("h", members))]
        for members in (one, other)
    ]
    assert found == alone
    assert found[0] != found[1]


def test_only_who_stands_otherwise_differs() -> None:
    chosen = [{"criteria": "household.decile <= 4"}, {"criteria": "person.age < 30", "unit": "person"}]
    of_them = Households(compiled(chosen), DAY)
    told = of({"decile": 3, "birth_date": BORN[0]}, {"birth_date": BORN[5], "region": "33.74.01.1001"})
    home = residents("h", told)
    whole, *persons = of_them.decided(home)
    assert [each.subject for each in of_them.differing(home)] == ["h", "p0", "p1"]
    assert persons[1].decided.text("33.74.01.1001") != persons[1].decided.text("")
    stands = [
        each._replace(household_stands=whole.decided.text(whole.region), stands=own.decided.text(own.region))
        for each, own in zip(home, persons, strict=True)
    ]
    assert of_them.differing(stands) == []
    moved = [stands[0], stands[1]._replace(stands=persons[1].decided.text("33.74.02.1001"))]
    assert [each.subject for each in of_them.differing(moved)] == ["p1"]
    assert [each.subject for each in Households([], DAY).differing(stands)] == ["h", "p0", "p1"]


def test_the_same_decisions_have_the_same_fold_wherever_they_are_made() -> None:
    chosen = [{"criteria": "household.decile <= 4"}, {"criteria": "household.size > 0"}]
    member = {"person": "p", "aliases": [], "memberships": [], "attributes": {"decile": 3}}
    home = residents("h", [member])
    folds = {next(Households(compiled(order), DAY).decided(home)).decided.fold for order in (chosen, chosen)}
    assert len(folds) == 1
    richer = residents("h", [{**member, "attributes": {"decile": 5}}])
    assert next(Households(compiled(chosen), DAY).decided(richer)).decided.fold not in folds


def test_of_a_household_where_nobody_is_alive_nothing_stands() -> None:
    dead = {"person": "p", "aliases": [], "memberships": [], "attributes": {}, "deceased_on": "2026-01-01"}
    chosen = [{"criteria": "true"}, {"criteria": "true", "unit": "person"}]
    home, person = Households(compiled(chosen), DAY).decided(residents("h", [dead]))
    assert (home.decided.decisions, home.region) == ((), "")
    assert [each.decision for each in person.decided.decisions] == ["ineligible"]
