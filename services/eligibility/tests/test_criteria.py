"""Criteria: how they are split, what they depend on, and three values against an evaluator written plainly."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tepat_eligibility.criteria import EVERYTHING, Criteria, Criterion, Expression, both, split, uses

TODAY = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("expression", "parts"),
    [
        ("household.decile <= 4", ["household.decile <= 4"]),
        ("a && b", ["a", "b"]),
        (" (a && (b && c)) ", ["a", "b", "c"]),
        ("a && b || c", ["a && b || c"]),
        ("a && (b || c)", ["a", "b || c"]),
        ("a && (b || c) && d", ["a", "(b || c)", "d"]),
        ("a ? b && c : d", ["a ? b && c : d"]),
        ('x == "&&" && y == r"\\" && z', ['x == "&&"', 'y == r"\\"', "z"]),
        ("'''a\n&&''' == b && c", ["'''a\n&&''' == b", "c"]),
        ("a // && b\n && c", ["a", "c"]),
        ("[1, 2].all(x, x > 0 && x < 3) && (a) && f(b && c)", ["[1, 2].all(x, x > 0 && x < 3)", "a", "f(b && c)"]),
        ("(a) && (b)", ["a", "b"]),
        ("(a) || (b)", ["(a) || (b)"]),
    ],
)
def test_criteria_are_what_the_top_level_joins_by_and(expression: str, parts: list[str]) -> None:
    told = [part if part != "(b || c)" else "b || c" for part in parts]
    assert split(expression) == told


@pytest.mark.parametrize(
    ("expression", "person", "household", "members"),
    [
        ("household.decile <= 4", [], ["decile"], []),
        ('household . decile <= 4 && person.school_level in ["SD"]', ["school_level"], ["decile"], []),
        ("has(person.sex)", ["sex"], [], []),
        ("household.members.exists(m, m.age < 5 && m.pregnant)", [], ["members"], ["age", "pregnant"]),
        ("household.members.filter(m, m.age < 5).size() > 1", [], ["members"], ["age"]),
        ("size(household.members.filter(m, m.orphan)) > 1", [], ["members"], ["orphan"]),
        ("household.members.map(m, m.age).exists(a, a.x)", [], ["members"], ["age"]),
        ("size(household.members) > 3", [], ["members"], []),
        ("household.regions.exists(r, r.startsWith('33.74'))", [], ["regions"], []),
        ("true // household.size", [], [], []),
        ("'person.age' == 'x'", [], [], []),
    ],
)
def test_what_a_criterion_depends_on(
    expression: str, person: list[str], household: list[str], members: list[str]
) -> None:
    found = uses(expression)
    assert (list(found.person), list(found.household), list(found.members)) == (person, household, members)


@pytest.mark.parametrize(
    "expression",
    [
        'person["age"] > 3',
        "household.members[0].age > 3",
        "size(person) > 3",
        "person.exists(k, k == 'age')",
        "household.members.exists(m, m == person)",
        "household.members.exists(m, m['age'] > 3)",
        "household.members == []",
        "household.members.filter(m, m.age > 3) == []",
        "[1, 2].exists(x, x == person.age)",
        "[1].exists(person, person == 1)",
    ],
)
def test_what_cannot_be_told_depends_on_everything(expression: str) -> None:
    assert uses(expression) == EVERYTHING


def test_the_day_is_told_apart() -> None:
    assert uses("today.getFullYear() == 2026").today
    assert not uses("household.size == 2 // today").today


@pytest.mark.parametrize(
    ("expression", "outcome"),
    [
        ("household.decile <= 4", None),
        ("household.decile <= 4 && false", False),
        ("false && household.decile <= 4", False),
        ("household.decile <= 4 || true", True),
        ("true || household.decile <= 4", True),
        ("!(household.decile <= 4)", None),
        ("has(household.decile)", False),
        ("1 / 0 > 1", None),
        ("9223372036854775807 + household.size > 0", None),
        ("household.size", None),
        ("household.nothing", None),
        ("this is no CEL", None),
        ("person.age > 3", None),
        ("today.getFullYear() == 2026 && today.getDate() == 1", True),
        ("household.members.exists(m, m.age > 30)", True),
        ("household.members.exists(m, m.age > 50)", None),
        ("household.members.all(m, m.age > 20)", False),
        ("household.members.all(m, m.age > 2)", None),
        ("household.members.exists(m, household.members.exists(n, n.age > m.age + 30))", True),
        ("household.members.exists(m, household.members.exists(m, m.age > 30))", True),
        ("household.members.exists(m, {'m': m.age}.m > 30)", True),
        ("household.members.exists(m, [35].exists(m, m > 30) && m.age > 30)", True),
        ("household.members.exists(m, m['age'] > 30)", True),
        ("household.members.exists(m, m.age > 30 && today.getFullYear() == 2026)", True),
        ("household.members.exists(m, m.age > 30 && household.size == 3)", True),
        ("household.members.exists(_0, _0.age > 30) && household.members.all(_, _.age > 30)", False),
        ("household.members.exists(m, )", None),
        ("household.members.exists(m, m.age", None),
        ("!household.members.exists(m, m.age > 30)", False),
    ],
)
def test_what_lacks_is_unknown_and_never_an_error(expression: str, outcome: bool | None) -> None:
    household = {"size": 3, "members": [{}, {"age": 3}, {"age": 40}]}
    criteria = Criteria(expression)
    assert both(criteria.outcomes(None, household, TODAY)) is outcome


def test_a_member_looked_at_by_the_day_is_looked_at_anew_on_another() -> None:
    criteria = Criteria("household.members.exists(m, m.age >= (today.getFullYear() == 2021 ? 70 : 60))")
    household = {"size": 1, "members": [{"age": 65}]}
    days = [datetime(year, 3, 1, tzinfo=UTC) for year in (2026, 2021, 2026, 2021)]
    assert [criteria.outcomes(None, household, day) for day in days] == [[True], [False], [True], [False]]
    assert criteria.seen(None, household, days[0]) != criteria.seen(None, household, days[1])


@pytest.mark.parametrize(
    ("expression", "outcome"),
    [
        ("household.members.filter(m, m.age < 18).size() == 2", True),
        ("household.members.filter(m, m.age < 18).size() * 2 + 1 == 5", True),
        ("household.members.filter(m, m.age < 18 && household.size == 3).size() >= 2", True),
        ("household.members.filter(m, m.orphan).size() >= 0", None),
        ("household.members.filter(m, m.age < 18).filter(m, m.age < 4).size() == 1", True),
        ("household.members.filter(m, m.age < 18).map(m, m.age).size() == 2", True),
        ("size(household.members.filter(m, m.age < 18)) == 2", True),
    ],
)
def test_members_are_counted(expression: str, outcome: bool | None) -> None:
    household = {"size": 3, "members": [{"age": 3}, {"age": 40}, {"age": 17}]}
    assert both(Criteria(expression).outcomes(None, household, TODAY)) is outcome


def test_what_lacks_is_named() -> None:
    household = {"size": 2, "members": [{"age": 3}, {}]}
    expression = "household.decile <= 4 && person.age > 3 && household.members.all(m, m.age > 2) && household.size > 1"
    named = [each.named.lacking({"sex": "P"}, household) for each in Criteria(expression).criteria]
    assert named == [["household.decile"], ["person.age"], ["household.members.age"], []]
    unclear = Criterion("household['decile'] <= 4 && person[\"sex\"] == 'P'")
    undeclared = Criterion("household.income < 600 || household.members.exists(m, m.wage > 5) || person.car")
    assert undeclared.named.lacking({"car": True}, {**household, "income": 3}) == [
        "household.income", "household.members.wage", "person.car",
    ]  # fmt: skip
    assert unclear.named.lacking({"sex": "P"}, household) == ["household.decile", "person.decile"]


# --- against an evaluator written plainly -------------------------------------------------------------------------

Node = tuple[Any, ...]
NUMBERS = ("age", "decile")
FLAGS = ("disability", "pregnant", "orphan")


def leaves(of: str) -> st.SearchStrategy[Node]:
    numbers = NUMBERS if of != "household" else ("decile", "size", "children")
    kinds: list[st.SearchStrategy[Node]] = [
        st.tuples(st.just("compare"), st.just(of), st.sampled_from(numbers), st.sampled_from(("<=", ">", "==")),
                  st.integers(0, 6)),
        st.tuples(st.just("constant"), st.booleans()),
        st.tuples(st.just("has"), st.just(of), st.sampled_from(numbers)),
    ]  # fmt: skip
    if of != "household":
        kinds += [
            st.tuples(st.just("flag"), st.just(of), st.sampled_from(FLAGS)),
            st.tuples(st.just("school"), st.just(of), st.lists(st.sampled_from(("SD", "SMP", "none")))),
        ]
    return st.one_of(kinds)


def trees(*things: str, deep: int) -> st.SearchStrategy[Node]:
    base = st.one_of([leaves(of) for of in things])
    if deep:
        inner = trees(*(t for t in things if t not in ("m", "n")), "n" if "m" in things else "m", deep=deep - 1)
        macros = st.sampled_from(("exists", "all", "exists_one", "filter"))
        base = st.one_of(base, st.tuples(st.just("macro"), macros, st.just("n" if "m" in things else "m"), inner))
    return st.recursive(
        base,
        lambda below: st.one_of(
            st.tuples(st.sampled_from(("and", "and", "or")), below, below),
            st.tuples(st.just("not"), below),
            st.tuples(st.just("if"), below, below, below),
        ),
        max_leaves=8,
    )


def written(node: Node) -> str:  # noqa: PLR0911 – one a kind
    match node:
        case ("compare", of, name, sign, number):
            return f"{of}.{name} {sign} {number}"
        case ("constant", value):
            return "true" if value else "false"
        case ("has", of, name):
            return f"has({of}.{name})"
        case ("flag", of, name):
            return f"{of}.{name}"
        case ("school", of, levels):
            return f"{of}.school_level in {levels!r}"
        case ("macro", "filter", name, body):
            return f"household.members.filter({name}, {written(body)}).size() > 0"
        case ("macro", kind, name, body):
            return f"household.members.{kind}({name}, {written(body)})"
        case ("and", a, b):
            return f"({written(a)}) && ({written(b)})" if b[0] != "and" else f"({written(a)}) && {written(b)}"
        case ("or", a, b):
            return f"({written(a)}) || ({written(b)})"
        case ("not", a):
            return f"!({written(a)})"
        case ("if", a, b, c):
            return f"({written(a)}) ? ({written(b)}) : ({written(c)})"
    raise AssertionError(node)


def plainly(node: Node, things: dict[str, Any]) -> bool | None:  # noqa: PLR0911, PLR0912 – one a kind
    """The value in three-valued logic; None is unknown."""
    match node:
        case ("compare", of, name, sign, number):
            if name not in things[of]:
                return None
            value = things[of][name]
            return {"<=": value <= number, ">": value > number, "==": value == number}[sign]
        case ("constant", value):
            return bool(value)
        case ("has", of, name):
            return name in things[of]
        case ("flag", of, name):
            return things[of].get(name)
        case ("school", of, levels):
            return things[of]["school_level"] in levels if "school_level" in things[of] else None
        case ("macro", kind, name, body):
            each = [plainly(body, {**things, name: member}) for member in things["household"]["members"]]
            if kind == "exists":
                return True if True in each else None if None in each else False
            if kind == "all":
                return False if False in each else None if None in each else True
            return None if None in each else each.count(True) == 1 if kind == "exists_one" else True in each
        case ("and", a, b):
            values = (plainly(a, things), plainly(b, things))
            return False if False in values else None if None in values else True
        case ("or", a, b):
            values = (plainly(a, things), plainly(b, things))
            return True if True in values else None if None in values else False
        case ("not", a):
            value = plainly(a, things)
            return None if value is None else not value
        case ("if", a, b, c):
            value = plainly(a, things)
            return None if value is None else plainly(b if value else c, things)
    raise AssertionError(node)


persons = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(NUMBERS, st.integers(0, 6)),
        **dict.fromkeys(FLAGS, st.booleans()),
        "school_level": st.sampled_from(("SD", "SMP", "none")),
    },
)
households = st.fixed_dictionaries(
    {"size": st.integers(0, 6), "members": st.lists(persons, max_size=4)},
    optional={"decile": st.integers(0, 6), "children": st.integers(0, 6)},
)


@given(trees("person", "household", deep=2), persons, households)
def test_three_values_are_those_of_the_plain_evaluator(
    tree: Node, person: dict[str, Any], household: dict[str, Any]
) -> None:
    expression = written(tree)
    expected = plainly(tree, {"person": person, "household": household})
    criteria = Criteria(expression)
    assert uses(expression) != EVERYTHING
    assert both(criteria.outcomes(person, household, TODAY)) is expected
    assert Expression(expression).outcome(person, household, TODAY) is expected


@given(trees("person", "household", deep=1), st.lists(st.tuples(persons, households), min_size=2, max_size=5))
def test_equal_values_have_equal_outcomes(tree: Node, seen: list[tuple[dict[str, Any], dict[str, Any]]]) -> None:
    criteria = Criteria(written(tree))
    outcomes: dict[Any, Any] = {}
    for person, household in seen:
        lacking = [each.named.lacking(person, household) for each in criteria.criteria]
        found = [
            (outcome, lacks if outcome is None else None)
            for outcome, lacks in zip(criteria.outcomes(person, household, TODAY), lacking, strict=True)
        ]
        assert outcomes.setdefault(criteria.seen(person, household, TODAY), found) == found
