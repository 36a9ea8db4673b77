"""What may be written as a criterion, and what is told of what may not."""

import pytest
from tepat_contracts.criteria import ENVIRONMENT, HOUSEHOLD, PERSON, mistakes, unheard_of


@pytest.mark.parametrize(
    "expression",
    [
        "true",
        "household.decile <= 4",
        "person.age >= 60 && !person.deceased",
        'person.sex == "P" && person.pregnant',
        'person.school_level in ["SD", "SMP"] || has(person.orphan) && person.orphan',
        "household.members.exists(m, m.age < 6 && household.size > 2)",
        "household.members.filter(m, m.disability).size() >= 1",
        "household.members.filter(m, m.age < 18).all(c, c.decile <= 4)",
        "size(household.members) > 3 ? household.children > 0 : household.elderly > 0",
        'household.regions.exists(r, r.startsWith("33.74"))',
        'person.region.startsWith("33.74") && person.occupation != "a.b"',
        'today >= timestamp("2026-01-01T00:00:00Z") && today.getFullYear() < 2030',
        "household.members[2].age > 5",
        "10 / person.age > 1",
        "person . age < 6 // person.agee is not looked at",
        "double(person.decile) < 2.5",
        "person.pmt_score < 50 || person.pmt_score >= 99.5",
        "person.age < 6 ||\n person.age >= 60",
    ],
)
def test_what_can_be_evaluated(expression: str) -> None:
    assert mistakes(expression) == []


@pytest.mark.parametrize(
    ("expression", "part"),
    [
        ("", "not CEL"),
        ("person.age <", "not CEL"),
        ("(" * 3000 + "1" + ")" * 3000, "not CEL"),
        ("person.agee < 6", "did you mean `age`"),
        ("has(person.orfan)", "did you mean `orphan`"),
        ("true || person.nik == '1'", "`nik`"),
        ("household.members.exists(m, m.agee < 6)", "`agee`"),
        ("household.age < 6", "`age`"),
        ("person.size < 6", "`size`"),
        ("persn.age < 6", "speaks of `persn`"),
        ("income < 5", "they know person, household, today"),
        ('person.age < "6"', "cannot be evaluated"),
        ("person.decile + 1.5 > 2.0", "cannot be evaluated"),
        ("person.disability || person.age", "cannot be evaluated"),
        ("person.pregnant && person.age", "cannot be evaluated"),
        ("sum(household.members) > 1", "sum"),
        ("person.age", "true or false"),
        ('person.age > 1 ? true : "no"', "true or false"),
        ("household.members", "true or false"),
    ],
)
def test_what_cannot_is_told(expression: str, part: str) -> None:
    assert part in "; ".join(mistakes(expression) or unheard_of(expression))


def test_an_undeclared_field_is_no_mistake_but_a_misspelt_one_is() -> None:
    assert not mistakes("household.income <= 600000")
    assert "`income`" in unheard_of("household.income <= 600000")[0]
    assert "did you mean `decile`?" in mistakes("household.decil <= 4")[0]


def test_a_rank_is_a_number() -> None:
    assert mistakes("household.decile", "number") == []
    assert mistakes("-1.5 * double(household.decile)", "number") == []
    assert mistakes("household.decile < 3", "number") == ["must come out as a number"]


def test_the_same_criterion_is_always_judged_alike() -> None:
    assert {tuple(mistakes('person.pregnant && person.age < "6"')) for _ in range(5)} == {
        tuple(mistakes('person.pregnant && person.age < "6"'))
    }


def test_every_declared_field_can_be_asked_for() -> None:
    for name in PERSON:
        assert mistakes(f"person.{name} == person.{name}") == []
    for name in HOUSEHOLD:
        assert mistakes(f"household.{name} == household.{name}") == []
    assert set(ENVIRONMENT) == {"person", "household", "today"}
