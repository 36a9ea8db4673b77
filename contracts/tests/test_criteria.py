"""What may be written as a criterion, and what is told of what may not."""

import pytest
from tepat_contracts.criteria import ENVIRONMENT, HOUSEHOLD, PERSON, mistakes, needless, unheard_of
from tepat_contracts.mistakes import wrong


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
        "household.decile >= 1 && household.decile <= 10",
        "2 * household.decile > 11 && 2 * household.decile == 20",
        "household.decile * 2 < 50",
        "(household.decile > 4) == false && household.decile < 3",
        "household.decile > 4 || household.decile < 3",
        "person.age > 60 && household.members.exists(m, m.age < 6)",
        "person.pmt_score > 0.1 && person.pmt_score < 0.2",
        "household.members[20].age > 5",
        "household.income / 0 > 1",
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
        ("household.members.exist(m, m.age < 6)", "`exist` is nothing"),
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
        ("1/0 == 1", "cannot be evaluated, whoever is tried: division by zero"),
        ("household.size % 0 == 1", "cannot be evaluated, whoever is tried"),
        ("[1][3] == 1", "cannot be evaluated, whoever is tried"),
        (
            "household.decile > 4 && household.decile < 3",
            "and `household.decile < 3`, which are never",
        ),
        ("(household.decile > 4) && (true || false) && (3 > household.decile)", "`3 > household.decile`, which are"),
        ("household.members.exists(m, m.age > 60 && m.age < 6)", "never so at once"),
        ("person.age > 5 && person.age < 6", "never so at once"),
        ("household.decile > 20", "asks for `household.decile > 20`, which is never so: `decile` is 1 to 10"),
        ("household.size > 3 || 1 > person.decile // never", "asks for `1 > person.decile`, which is never so"),
        ("household.decile == 11", "compares `decile`, which is 1 to 10, with 11: they are never equal"),
        ("household.score_decile in [0, 1]", "with 0: they are never equal"),
    ],
)
def test_what_cannot_is_told(expression: str, part: str) -> None:
    assert part in "; ".join(map(str, mistakes(expression) or unheard_of(expression)))


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("", "it is empty"),
        ("household.decile >", "it ends where more is expected (column 19)"),
        ("household.decile > 3 and true", "`and` cannot stand there (column 22); write &&"),
        ("household.size = 3", "`=` cannot stand there (column 16); write =="),
        ("true &&\n  household.size >< 3", "`<` cannot stand there (line 2, column 19)"),
        ("person.sex == 'P", "a text begins that does not end, or holds a \\ that CEL does not know (column 15)"),
        ("x ? 1", "it ends where more is expected (column 6)"),
        ("for == 2", "`for` is a word that CEL keeps for itself (column 1); take another name"),
        ("(" * 3000 + "1" + ")" * 3000, "it is nested too deeply"),
    ],
)
def test_what_is_not_cel_is_told_with_its_place_in_plain_words(expression: str, said: str) -> None:
    assert [each.said[0] for each in mistakes(expression)] == [f"is not CEL: {said}"]


@pytest.mark.parametrize("expression", ["household.decile <= 11", "household.decile > 0", "person.age > -1"])
def test_what_is_so_whatever_the_datum_is_told(expression: str) -> None:
    assert mistakes(expression) == []
    (told,) = needless(f"true || {expression}")
    assert f"`{expression}`, which is always so" in str(told)
    assert needless("household.decile <= 10 && household.decile >= 1 && household.size > 3") == []


def test_an_undeclared_field_is_no_mistake_but_a_misspelt_one_is() -> None:
    assert not mistakes("household.income <= 600000")
    assert "`income`" in str(unheard_of("household.income <= 600000")[0])
    assert "did you mean `decile`?" in str(mistakes("household.decil <= 4")[0])


def test_a_rank_is_a_number() -> None:
    assert mistakes("household.decile", "number") == []
    assert mistakes("-1.5 * double(household.decile)", "number") == []
    assert mistakes("household.decile < 3", "number") == [wrong("no_rank")]


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
