"""Who stands for whom, and what is announced of a NIK, without a database."""

from datetime import datetime
from itertools import permutations
from typing import Any, NamedTuple

from hypothesis import given
from hypothesis import strategies as st
from tepat_registry import domain
from tepat_registry.domain import Held, Who

LINKS = st.dictionaries(st.integers(1, 8), st.integers(1, 8), max_size=8)


def naive(links: dict[int, int], number: int) -> int:
    """Walk far enough to be at the end or in a circle; a circle then passes all its numbers."""
    for _ in range(len(links) + 1):
        number = links.get(number, number)
    passed = {number}
    for _ in range(len(links) + 1):
        number = links.get(number, number)
        passed.add(number)
    return min(passed)


@given(LINKS, st.permutations(range(1, 9)))
def test_everyone_stands_for_the_end_of_the_chain_or_the_least_of_the_circle(
    links: dict[int, int], order: list[int]
) -> None:
    ends = domain.stands_for(links, order)
    assert {number: ends[number] for number in order} == {number: naive(links, number) for number in order}


def far(links: dict[int, int], number: int) -> set[int]:
    """The numbers that following links passes."""
    passed: set[int] = set()
    while (number := links.get(number, 0)) not in passed | {0}:
        passed.add(number)
    return passed


@given(LINKS)
def test_circles_are_those_whose_numbers_come_back_to_themselves(links: dict[int, int]) -> None:
    found = domain.circles(links, domain.stands_for(links, range(1, 9)))
    in_circles = {number for number in links if number in far(links, number)}
    assert {number for circle in found.values() for number in circle} == in_circles
    assert all(least == min(circle) for least, circle in found.items())


def test_a_long_chain_and_a_big_star_are_followed_without_recursion() -> None:
    chain = {number: number + 1 for number in range(200_000)}
    assert set(domain.stands_for(chain, chain).values()) == {200_000}
    assert set(domain.stands_for(chain, reversed(chain)).values()) == {200_000}
    star = dict.fromkeys(range(1, 200_000), 0)
    assert set(domain.stands_for(star, star).values()) == {0}
    circle = {number: (number + 1) % 200_000 for number in range(200_000)}
    assert set(domain.stands_for(circle, circle).values()) == {0}


def test_of_rows_about_the_same_the_greatest_holds_in_any_order() -> None:
    class Row(NamedTuple):
        key: str
        order: tuple[int, str]

    rows = [Row("a", (1, "x")), Row("a", (2, "")), Row("b", (0, "")), Row("a", (2, "y")), Row("a", (1, "z"))]
    for order in permutations(rows):
        held = domain.greatest(order, lambda row: row.key, lambda row: row.order)
        assert sorted(held) == [Row("a", (2, "y")), Row("b", (0, ""))]


def fact(agency: str, since: str, time: str = "2026-01-01T00:00:00Z", **data: Any) -> Held:
    told = {"since": since, "region": "33.74", "sex": "L", "birth_date": "1990-01-01", "attributes": {}, **data}
    return Held(agency, datetime.fromisoformat(time), f"kk of {agency}", told)


WHO = Who("p", "s", "a", ["z", "y"])


def test_a_person_is_told_from_the_first_fact_and_dead_by_the_first_that_says_so() -> None:
    told = domain.person(
        WHO,
        [
            fact("b", "2022-01-01", region="33.74.01", attributes={"decile": 2, "orphan": None, "shoe_size": 41}),
            fact("b", "2021-01-01", deceased_on="2025-01-01", until="2021-12-31", relation="head"),
            fact("a", "2021-01-01", deceased_on="2024-01-01", sex="P"),
        ],
    )
    assert told == {
        "person": "p",
        "stands_for": "s",
        "alone": "a",
        "aliases": ["y", "z"],
        "memberships": [
            {"agency": "a", "household": "kk of a", "since": "2021-01-01", "region": "33.74"},
            {
                "agency": "b", "household": "kk of b", "since": "2021-01-01", "until": "2021-12-31",
                "relation": "head", "region": "33.74",
            },
            {"agency": "b", "household": "kk of b", "since": "2022-01-01", "region": "33.74.01"},
        ],
        "deceased_on": "2025-01-01",
        "sex": "L",
        "birth_date": "1990-01-01",
        "region": "33.74.01",
        "attributes": {"decile": 2},
    }  # fmt: skip


def test_each_field_holds_by_itself() -> None:
    facts = [
        fact("dukcapil", "2020-01-01", "2026-01-01T00:00:00Z", attributes={"occupation": "petani"}),
        fact("dinsos", "2024-01-01", "2026-02-01T00:00:00Z", sex="P", attributes={"decile": 2, "pregnant": False}),
        fact("dinsos", "2021-01-01", "2026-03-01T00:00:00Z", attributes={"orphan": True, "pregnant": True}),
        fact("lsm", "2022-01-01", "2026-02-15T00:00:00Z", attributes={"decile": 1, "occupation": "buruh"}),
    ]
    told = domain.person(WHO, facts)
    assert told["sex"] == "L"
    assert told["attributes"] == {"occupation": "petani", "decile": 2, "pregnant": False}
    told = domain.person(WHO, facts, {"decile", "sex"})
    assert told["sex"] == "L"  # lsm's, told last
    assert told["attributes"] == {"occupation": "petani", "decile": 1, "pregnant": False}
    assert [(word.agency, domain.value(word, "occupation")) for word in domain.said(facts, "occupation")] == [
        ("dukcapil", "petani"), ("lsm", "buruh"),
    ]  # fmt: skip


def test_a_day_has_the_household_of_the_most_trusted_agency_that_knows_it() -> None:
    facts = [
        fact("dukcapil", "2024-01-01", until="2025-12-31"),
        fact("dukcapil", "2022-01-01", until="2023-12-31"),
        fact("dinsos", "2020-01-01"),
    ]
    held = [domain.household_on(facts, day) for day in ("2025-12-31", "2022-01-01", "2026-01-01", "2019-12-31")]
    assert held == [facts[0], facts[1], facts[2], None]


def test_a_person_without_facts_is_told_by_the_merge_alone() -> None:
    assert domain.person(WHO, []) == {
        "person": "p", "stands_for": "s", "alone": "a", "aliases": ["y", "z"], "memberships": [], "attributes": {},
    }  # fmt: skip


def test_no_record_outgrows_its_topic() -> None:
    facts = [fact("b", f"{year:04d}-01-01") for year in range(9000, 1000, -1)]
    told = domain.person(WHO._replace(aliases=[f"{n:05d}" for n in range(20_000)]), facts)
    assert len(told["memberships"]) == domain.MOST_MEMBERSHIPS
    assert told["memberships"][-1]["since"] == "9000-01-01"
    assert len(told["aliases"]) == domain.MOST_ALIASES
