"""Persons and households on a day, what is decided of them, and what another day or policy changes."""

from datetime import UTC, date, datetime
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tepat_contracts.policy import Effective, from_document
from tepat_contracts.policy import Programme as Ruled
from tepat_eligibility.domain import (
    Day,
    Decision,
    Programme,
    Visit,
    card,
    changing_hands,
    household_view,
    latest,
    person_view,
    restated,
    today,
    turned,
    turns_on,
)

DAY = Day(date(2026, 3, 1))
RANKS = {"dukcapil": 1, "dinsos": 2, "dinsos-b": 2}


def lives(agency: str, household: str, since: str = "2020-01-01", until: str | None = None) -> dict[str, Any]:
    return {"agency": agency, "household": household, "since": since, **({"until": until} if until else {})}


def told(*memberships: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"memberships": list(memberships), "attributes": {}, **more}


def ruled(criteria: str | list[dict[str, Any]], **more: Any) -> Ruled:
    return Ruled.model_validate(
        {"code": "PKH", "name": {"id": "PKH", "en": "PKH"}, "unit": "household", "criteria": criteria, **more}
    )


def reasons(decision: Decision) -> Any:
    return orjson.loads(decision.reasons)


@pytest.mark.parametrize(
    ("memberships", "household"),
    [
        ([], None),
        ([lives("dinsos", "a")], "a"),
        ([lives("dinsos", "a"), lives("dukcapil", "b")], "b"),
        ([lives("unranked", "a"), lives("dinsos", "b")], "b"),
        ([lives("dinsos-b", "a"), lives("dinsos", "b")], "b"),
        ([lives("dinsos", "a", "2020-01-01"), lives("dinsos", "b", "2021-01-01")], "b"),
        ([lives("dinsos", "b", "2021-01-01"), lives("dinsos", "a", "2020-01-01")], "b"),
        ([lives("dukcapil", "a", until="2026-02-28"), lives("dinsos", "b")], "b"),
        ([lives("dukcapil", "a", until="2026-03-01"), lives("dinsos", "b")], "a"),
        ([lives("dukcapil", "a", since="2026-03-02"), lives("dinsos", "b")], "b"),
        ([lives("dukcapil", "a", since="2026-03-01"), lives("dinsos", "b")], "a"),
        ([lives("unranked-b", "a"), lives("unranked-a", "b")], "b"),
    ],
)
def test_the_card_of_a_day_is_told_by_the_most_trusted(memberships: list[Any], household: str | None) -> None:
    assert card(told(*memberships), RANKS, DAY) == household


@pytest.mark.parametrize(
    ("person", "day"),
    [
        (told(), None),
        (told(birth_date="2000-03-01"), "2027-03-01"),
        (told(birth_date="2000-03-02"), "2026-03-02"),
        (told(birth_date="2026-04-01"), "2026-04-01"),
        (told(birth_date="2000-02-29"), "2027-03-01"),
        (told(lives("dinsos", "a", since="2026-03-05"), birth_date="2000-03-07"), "2026-03-05"),
        (told(lives("dinsos", "a", until="2026-03-01")), "2026-03-02"),
        (told(lives("dinsos", "a", until="2026-02-28")), None),
        (told(lives("dinsos", "a", until="9999-12-31")), None),
        (told(deceased_on="2026-03-02"), "2026-03-02"),
        (told(deceased_on="2026-03-01"), None),
    ],
)
def test_the_day_on_which_a_person_changes_by_themselves(person: dict[str, Any], day: str | None) -> None:
    assert turns_on(person, DAY) == day


def test_a_leap_day_is_a_birthday_in_leap_years_and_else_the_day_after() -> None:
    born = told(birth_date="2004-02-29")
    assert turns_on(born, Day(date(2027, 3, 1))) == "2028-02-29"
    ages = {day: person_view(born, Day(date.fromisoformat(day)))["age"] for day in ("2026-02-28", "2026-03-01")}
    assert ages == {"2026-02-28": 21, "2026-03-01": 22}
    assert turns_on(told(birth_date="2000-01-01"), Day(date(9999, 12, 31))) is None


def test_ages_change_on_no_day_but_the_one_foretold() -> None:
    for born in ("2000-02-29", "2000-03-01", "1999-12-31", "2000-01-01"):
        person, day = told(birth_date=born), Day(date(2023, 1, 1))
        while day.date < date(2029, 1, 1):
            coming = turns_on(person, day)
            assert coming is not None
            after = date.fromisoformat(coming)
            eve = Day(date.fromordinal(after.toordinal() - 1))
            assert person_view(person, day)["age"] == person_view(person, eve)["age"]
            assert person_view(person, Day(after))["age"] == person_view(person, eve)["age"] + 1
            day = Day(after)


def test_a_view_holds_what_is_known() -> None:
    assert person_view(told(), DAY) == {"deceased": False}
    full = told(birth_date="2008-03-02", sex="P", region="33.74.01.1001", deceased_on="2026-03-01")
    full["attributes"] = {"decile": 3, "orphan": False, "occupation": None}
    assert person_view(full, DAY) == {
        "deceased": True, "age": 17, "sex": "P", "region": "33.74.01.1001", "decile": 3, "orphan": False,
    }  # fmt: skip
    assert "age" not in person_view(told(birth_date="2026-03-02"), DAY)


def test_a_household_is_known_as_far_as_its_members_are() -> None:
    members = [
        {"age": 17, "decile": 5, "region": "33.74.02"},
        {"age": 18, "region": "33.74.01"},
        {"age": 60, "decile": 3, "region": "33.74.01"},
    ]
    assert household_view(members) == {
        "size": 3, "members": members, "decile": 3, "children": 1, "elderly": 1, "regions": ["33.74.01", "33.74.02"],
    }  # fmt: skip
    assert household_view([{"decile": 4}, {"age": 3}]) == {
        "size": 2, "members": [{"decile": 4}, {"age": 3}], "decile": 4,
    }  # fmt: skip
    assert "decile" not in household_view([{"age": 3}])


@pytest.mark.parametrize(
    ("household", "decision", "outcomes"),
    [
        ({"size": 3, "decile": 4}, "eligible", [True, True]),
        ({"size": 3, "decile": 5}, "ineligible", [False, True]),
        ({"size": 1, "decile": 4}, "ineligible", [True, False]),
        ({"size": 3}, "unknown", ["unknown", True]),
        ({"size": 1}, "ineligible", ["unknown", False]),
    ],
)
def test_a_decision_gives_each_criterions_outcome(
    household: dict[str, Any], decision: str, outcomes: list[object]
) -> None:
    programme = Programme(ruled("household.decile <= 4 && household.size > 1"))
    made = programme.decide(None, {**household, "members": []}, DAY)
    assert (made.unit, made.programme, made.decision) == ("household", "PKH", decision)
    assert [reason["outcome"] for reason in reasons(made)] == outcomes
    assert [reason["criterion"] for reason in reasons(made)] == ["household.decile <= 4", "household.size > 1"]
    assert reasons(made)[0].get("missing") == (["household.decile"] if "decile" not in household else None)


def named(code: str, expression: str) -> dict[str, Any]:
    return {"code": code, "name": {"id": f"{code}?", "en": f"{code} asked"}, "expression": expression}


def test_a_named_criterion_is_one_reason_explained_in_both_languages() -> None:
    both = [
        named("poor", "household.decile <= 4 && household.size > 1 // none alone"),
        named("near", "household.size < 9"),
    ]
    made = Programme(ruled(both)).decide(None, {"size": 3, "members": []}, DAY)
    assert made.decision == "unknown"
    assert reasons(made) == [
        {
            "criterion": "household.decile <= 4 && household.size > 1 // none alone", "outcome": "unknown",
            "code": "poor", "name": {"id": "poor?", "en": "poor asked"}, "missing": ["household.decile"],
        },
        {
            "criterion": "household.size < 9", "outcome": True,
            "code": "near", "name": {"id": "near?", "en": "near asked"},
        },
    ]  # fmt: skip


@settings(deadline=None)  # expressions are compiled anew each time
@given(
    st.lists(st.fixed_dictionaries({"size": st.integers(0, 9)}, optional={"decile": st.integers(1, 10)}), min_size=1)
)
def test_named_criteria_decide_as_the_same_joined_by_and(homes: list[dict[str, Any]]) -> None:
    parts = ["household.decile <= 4 || household.size > 7 // so many", "household.size != 2", "household.decile > 1"]
    told = Programme(ruled([named(str(n), part) for n, part in enumerate(parts)]))
    joined = Programme(ruled(" && ".join(f"({part}\n)" for part in parts)))
    as_written = Programme(ruled(told_as(parts)))
    for home in homes:
        made = [each.decide(None, {**home, "members": []}, DAY).decision for each in (told, joined, as_written)]
        assert len(set(made)) == 1


def told_as(parts: list[str]) -> str:
    """What a service that knows no names reads of them."""
    document = ruled([named(str(n), part) for n, part in enumerate(parts)]).model_dump(mode="json")
    return str(document["criteria"])


def test_like_households_share_a_decision_for_the_day() -> None:
    programme = Programme(ruled("today.getDate() == 1 && household.decile <= 4"))
    first = programme.decide(None, {"size": 3, "decile": 4, "members": []}, DAY)
    assert programme.decide(None, {"size": 9, "decile": 4, "members": []}, DAY) is first
    assert programme.decide(None, {"size": 9, "decile": 3, "members": []}, DAY).decision == "eligible"
    after = programme.decide(None, {"size": 3, "decile": 4, "members": []}, Day(date(2026, 3, 2)))
    assert after.decision == "ineligible"


def test_what_lacks_is_told_of_each_though_the_outcome_is_alike() -> None:
    programme = Programme(ruled("household.members.exists(m, m.age > 60 || m.decile < 2)"))
    missing = [
        reasons(programme.decide(None, {"size": 1, "members": [member]}, DAY))[0]["missing"]
        for member in ({"decile": 5}, {"age": 20}, {})
    ]
    assert missing == [
        ["household.members.age"], ["household.members.decile"], ["household.members.age", "household.members.decile"],
    ]  # fmt: skip


def test_the_deceased_are_not_eligible_unless_the_policy_says_so() -> None:
    household = {"size": 1, "decile": 1, "members": []}
    pupil = {"deceased": True, "school_level": "SD"}
    grant = Programme(ruled('person.school_level == "SD"', unit="person"))
    made = grant.decide(pupil, household, DAY)
    assert (made.decision, reasons(made)) == ("ineligible", [{"criterion": "alive", "outcome": False}])
    assert grant.decide({**pupil, "deceased": False}, household, DAY).decision == "eligible"
    burial = Programme(ruled("person.deceased && household.decile <= 4", unit="person"))
    assert burial.decide(pupil, household, DAY).decision == "eligible"


def visit(outcome: str, on: str, programme: str | None = None, agency: str = "dinsos") -> Visit:
    return Visit(date.fromisoformat(on), datetime(2026, 1, 1, tzinfo=UTC), "e", agency, programme, outcome)


@pytest.mark.parametrize(
    ("visits", "decision", "outcome"),
    [
        ([], "needs_verification", "unknown"),
        ([visit("confirmed", "2026-01-01")], "eligible", True),
        ([visit("confirmed", "2026-01-01", "PKH")], "eligible", True),
        ([visit("confirmed", "2026-01-01", "BPNT")], "needs_verification", "unknown"),
        ([visit("rejected", "2026-01-02"), visit("confirmed", "2026-01-01")], "needs_verification", False),
        ([visit("moved", "2026-01-01"), visit("confirmed", "2026-01-02")], "eligible", True),
        ([visit("not_found", "2026-01-02", "BPNT"), visit("confirmed", "2026-01-01")], "eligible", True),
        ([visit("confirmed", "2026-03-01")], "eligible", True),
        # of a day to come
        ([visit("confirmed", "2026-03-02")], "needs_verification", "unknown"),
        ([visit("rejected", "2030-11-20"), visit("confirmed", "2026-01-01")], "eligible", True),
        # by an agency that does not have the programme: for any it says nothing of this one
        ([visit("confirmed", "2026-01-01", agency="cc-ngo")], "needs_verification", "unknown"),
        ([visit("confirmed", "2026-01-01", "PKH", agency="cc-ngo")], "eligible", True),
    ],
)
def test_the_last_visit_confirms_who_is_eligible(visits: list[Visit], decision: str, outcome: object) -> None:
    programme = Programme(ruled("household.decile <= 4", needs_verification=True), agencies=("dinsos",))
    poor = {"size": 1, "decile": 1, "members": []}
    made = programme.decide(None, poor, DAY, visits)
    assert (made.decision, reasons(made)[-1]["outcome"]) == (decision, outcome)
    assert programme.decide(None, poor, DAY, reversed(visits)) is made
    rich = programme.decide(None, {**poor, "decile": 9}, DAY, visits)
    assert (rich.decision, len(reasons(rich))) == ("ineligible", 1)


def test_of_no_visits_none_is_the_last() -> None:
    assert latest([], "PKH", (), DAY.date) is None


def test_a_day_is_that_of_a_time_zone() -> None:
    evening = datetime(2026, 2, 28, 17, 30, tzinfo=UTC)
    assert today(evening, "Asia/Jakarta") == date(2026, 3, 1)
    assert today(evening, "UTC") == date(2026, 2, 28)


def policy(*programmes: dict[str, Any], **agencies: list[str]) -> Any:
    full = [{"name": {"id": "P", "en": "P"}, "unit": "household", **programme} for programme in programmes]
    told = [{"id": id_, "name": id_, "programmes": codes} for id_, codes in agencies.items()]
    return from_document({"version": "t", "agencies": told, "programmes": full, "overlap_rules": []})


def test_only_programmes_that_decide_otherwise_are_decided_again() -> None:
    a, b = {"code": "A", "criteria": "household.size > 1"}, {"code": "B", "criteria": "household.size > 2"}
    assert restated(None, policy(a, b)) == ["A", "B"]
    assert restated(policy(a, b), policy(a, b)) == []
    assert restated(policy(a, b), policy(a, {**b, "basis": "Perda 1/2026", "repeatable": True})) == []
    for change in ({"criteria": "household.size > 3"}, {"unit": "person"}, {"needs_verification": True}):
        assert restated(policy(a, b), policy(a, {**b, **change})) == ["B"]
    assert restated(policy(a, b), policy({**a, "effective": {"from": date(2026, 1, 1)}}, b)) == ["A"]
    assert restated(policy(a, b), policy(b)) == ["A"]
    assert restated(policy({"code": "A"}), policy()) == []
    one, other = ({**a, "criteria": [named(code, "household.size > 1")]} for code in ("x", "y"))
    assert restated(policy(one), policy(other)) == ["A"]


def test_who_has_a_programme_is_asked_where_officers_verify_it() -> None:
    a, b = {"code": "A", "criteria": "true", "needs_verification": True}, {"code": "B", "criteria": "true"}
    one, other = policy(a, b, one=["A", "B"], two=[]), policy(a, b, one=["B"], two=["A"])
    assert restated(one, other) == ["A"]
    assert changing_hands(one, other) == ["A"]
    assert changing_hands(one, policy(a, b, one=["A", "B"])) == []
    assert changing_hands(one, policy(a, b)) == ["A", "B"]


def test_a_day_changes_programmes_that_speak_of_it_begin_or_end() -> None:
    def made(criteria: str, code: str, **effective: date) -> Programme:
        return Programme(ruled(criteria, code=code, effective=Effective.model_validate(effective)))

    programmes = [
        made("household.size > 1", "SAME"),
        made("today.getFullYear() == 2026", "TODAY"),
        made("household.size > 1", "BEGINS", **{"from": date(2026, 3, 2)}),
        made("household.size > 1", "ENDS", to=date(2026, 3, 1)),
    ]
    assert turned(programmes, date(2026, 3, 1), date(2026, 3, 2)) == ["BEGINS", "ENDS", "TODAY"]
    assert turned(programmes, date(2026, 3, 2), date(2026, 3, 3)) == ["TODAY"]


# --- what is due


def component(code: str, criteria: str, amount: int) -> dict[str, Any]:
    return {"code": code, "name": {"id": code, "en": code}, "criteria": criteria, "amount": amount}


#: Permensos 1/2018 and its successors, rupiah a quarter.
COMPONENTS = [
    component("pregnant", "person.pregnant", 750_000),
    component("early-child", "person.age <= 6", 750_000),
    component("sd", 'person.school_level == "SD"', 225_000),
    component("smp", 'person.school_level == "SMP"', 375_000),
    component("sma", 'person.school_level == "SMA"', 500_000),
    component("disability", "person.disability", 600_000),
    component("elderly", "person.age >= 60", 600_000),
    component("rights-violation", '"korban_kekerasan" in person.ppks', 2_700_000),
]
HOLDS = {
    "pregnant": lambda m: m.get("pregnant"),
    "early-child": lambda m: m["age"] <= 6 if "age" in m else None,
    "sd": lambda m: m["school_level"] == "SD" if "school_level" in m else None,
    "smp": lambda m: m["school_level"] == "SMP" if "school_level" in m else None,
    "sma": lambda m: m["school_level"] == "SMA" if "school_level" in m else None,
    "disability": lambda m: m.get("disability"),
    "elderly": lambda m: m["age"] >= 60 if "age" in m else None,
    "rights-violation": lambda m: "korban_kekerasan" in m["ppks"] if "ppks" in m else None,
}  # fmt: skip
FIELD = {"pregnant": "pregnant", "early-child": "age", "elderly": "age", "sd": "school_level", "smp": "school_level",
         "sma": "school_level", "disability": "disability", "rights-violation": "ppks"}  # fmt: skip

people = st.fixed_dictionaries(
    {"deceased": st.just(False)},
    optional={
        "age": st.integers(0, 90), "pregnant": st.booleans(), "disability": st.booleans(),
        "school_level": st.sampled_from(["SD", "SMP", "SMA", "none"]),
        "ppks": st.sampled_from([(), ("korban_kekerasan",), ("fakir_miskin",)]),
    },
)  # fmt: skip


def owed(members: list[dict[str, Any]], most: int) -> tuple[int, dict[str, int], set[str]]:
    """Amount, persons by component, and what lacks: a plain reading of the rule."""
    amounts = {each["code"]: each["amount"] for each in COMPONENTS}
    bests, missing = [], set()
    for member in members:
        met = [code for code in amounts if HOLDS[code](member)]
        best = max(met, key=lambda code: amounts[code], default=None)
        if best is not None:
            bests.append(best)
        for code, amount in amounts.items():
            if HOLDS[code](member) is None and (best is None or amount > amounts[best]):
                missing.add(f"person.{FIELD[code]}")
    bests = sorted(bests, key=lambda code: -amounts[code])[:most]
    return sum(amounts[code] for code in bests), {code: bests.count(code) for code in bests}, missing


@given(st.lists(st.lists(people, min_size=1, max_size=7), min_size=1, max_size=4), st.integers(1, 5))
def test_each_person_counts_once_at_the_highest_and_so_many_a_family(
    families: list[list[dict[str, Any]]], most: int
) -> None:
    programme = Programme(ruled("household.size > 0", components=COMPONENTS, most_components=most, period="quarter"))
    for members in families:
        made = programme.decide(None, household_view(members), DAY)
        assert made.due is not None
        due = orjson.loads(made.due)
        amount, _, missing = owed(members, most)
        assert (due["amount"], set(due.get("missing", ()))) == (amount, missing)
        assert sum(each["persons"] * each["each"] for each in due["components"]) == amount
        assert sum(each["persons"] for each in due["components"]) <= most
        again = programme.decide(None, household_view(members[::-1]), DAY)
        assert again.due == made.due


def test_what_is_due_is_told_of_the_eligible_alone() -> None:
    fixed = Programme(
        ruled("household.decile <= 4", amount=600_000, period="quarter", needs_verification=True), agencies=("dinsos",)
    )
    poor = household_view([{"decile": 2, "deceased": False}])
    confirmed = Visit(date(2026, 2, 1), datetime(2026, 2, 1, tzinfo=UTC), "v", "dinsos", None, "confirmed")
    assert fixed.decide(None, poor, DAY).due is None
    assert fixed.decide(None, poor, DAY, [confirmed]).due == '{"amount":600000,"period":"quarter"}'
    assert fixed.decide(None, household_view([{"decile": 9, "deceased": False}]), DAY).due is None
    by_person = Programme(ruled("person.age >= 0", unit="person", components=COMPONENTS, period="quarter"))
    old = {"age": 70, "pregnant": False, "disability": False, "ppks": (), "deceased": False}
    assert by_person.decide(old, household_view([old, old]), DAY).due == (
        '{"amount":600000,"period":"quarter","components":[{"component":"elderly","persons":1,"each":600000}]}'
    )
